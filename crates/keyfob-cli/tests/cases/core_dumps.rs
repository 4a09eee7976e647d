//! A process that held a credential leaves no core, however large one may be. That this machine writes cores at all is
//! shown by a program that may.

use std::{
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Runs the words with a limit that allows any core, and aborts what the program becomes as soon as it sleeps.
fn aborted(dir: &Path, program: &str, words: &str) -> ExitStatus {
    let mut command = Command::new("bash");
    command.args(["-c", &format!("ulimit -c unlimited && exec {words}")]).current_dir(dir).env_clear();
    command.env("PATH", "/usr/bin:/bin").env("HOME", dir).env("KEYFOB_HOME", dir.join("keyfob"));
    command.env("USE_LOCAL_OAUTH", "1").env("CLAUDE_CODE_OAUTH_TOKEN_FILE_DESCRIPTOR", "5");
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("bash");
    let (stat, end) = (format!("/proc/{}/stat", child.id()), Instant::now() + Duration::from_secs(20));
    loop {
        let text = std::fs::read_to_string(&stat).unwrap_or_default();
        if text.contains(&format!("({program}) S")) {
            break;
        }
        assert!(Instant::now() < end, "{program} never waited: {text}");
        thread::sleep(Duration::from_millis(2));
    }
    let kill = Command::new("kill").args(["-ABRT", &child.id().to_string()]).status();
    assert!(kill.is_ok_and(|status| status.success()));
    child.wait().expect("it ends")
}

#[test]
fn nothing_is_left_of_a_process_that_dies() {
    let dir = tempfile::tempdir().expect("a directory");
    let other = aborted(dir.path(), "sleep", "sleep 20");
    assert!(other.core_dumped(), "this machine writes no cores, so that nothing can be shown: {other:?}");
    // It waits for the writer, with everything else it was given in its memory.
    let ours = aborted(
        dir.path(),
        "keyfob",
        &format!("'{}' token 5< <(exec sleep 6)", env!("CARGO_BIN_EXE_keyfob")),
    );
    assert_eq!(ours.signal(), Some(6), "{ours:?}");
    assert!(!ours.core_dumped(), "{ours:?}");
}
