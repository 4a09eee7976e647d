//! The command `keyfob`.
fn main() {}
