//! Programs that tests make and start. Another process writes them: what this one has open for writing is open in every child
//! that another thread has just forked, until that starts its own program, and cannot be started so long (ETXTBSY).

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

/// A script that everybody may run.
pub fn script(path: &Path, text: &str) {
    let mut command = Command::new("sh");
    command.args(["-euc", "cat > \"$1\"; chmod 755 \"$1\"", "sh"]).arg(path).stdin(Stdio::piped());
    let mut writer = command.spawn().expect("sh");
    writer.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
    assert!(writer.wait().expect("our child").success(), "{}", path.display());
}

/// A copy of the command at a place that other users can enter: where it was built need not be one.
pub fn copy_of_program(path: &Path) {
    let copied = Command::new("cp").arg(crate::program()).arg(path).status().expect("cp of coreutils");
    assert!(copied.success(), "{}", path.display());
}
