//! What a person or a script gets to see, and what a person types.

mod qr;
pub(crate) mod report;
pub(crate) mod terminal;

pub(crate) use self::qr::qr;
