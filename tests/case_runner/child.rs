//! One process from its start to its end.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    process::Child,
    thread,
    time::{Duration, Instant},
};

/// Longer than anything here takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(100);

/// The result of one process.
pub(crate) struct Ran {
    /// The exit code, or 128 plus the signal, as in a shell.
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Feeds a process and waits for its end.
pub(crate) fn ran(child: io::Result<Child>, input: &[u8], follow: bool) -> io::Result<Ran> {
    let mut child = child?;
    let mut stdin = child.stdin.take().expect("a pipe");
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut stderr = child.stderr.take().expect("a pipe");
    let (out, err) = thread::scope(|scope| {
        let out = scope.spawn(move || {
            let mut text = Vec::new();
            if follow {
                stdout.read_until(b'\n', &mut text)?;
                let url = String::from_utf8_lossy(&text).trim().to_owned();
                let agent = ureq::Agent::config_builder().proxy(None).build().new_agent();
                let _ = agent.get(&url).call();
            }
            stdout.read_to_end(&mut text).map(|_| text)
        });
        let err = scope.spawn(move || {
            let mut text = Vec::new();
            stderr.read_to_end(&mut text).map(|_| text)
        });
        // Nobody has to read it.
        let _ = stdin.write_all(input);
        drop(stdin);
        let end = Instant::now() + DEADLINE;
        while child.try_wait()?.is_none() {
            if Instant::now() > end {
                child.kill()?;
            }
            thread::sleep(Duration::from_millis(2));
        }
        let done =
            |thread: thread::ScopedJoinHandle<'_, io::Result<Vec<u8>>>| thread.join().expect("a reader");
        Ok::<_, io::Error>((done(out)?, done(err)?))
    })?;
    let status = child.wait()?;
    let code = status
        .code()
        .unwrap_or_else(|| 128 + std::os::unix::process::ExitStatusExt::signal(&status).unwrap_or_default());
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim_end_matches('\n').to_owned();
    // What it waited for depends on the machine.
    let (_, err) = keyfob_testkit::without_waits(&err);
    Ok(Ran { code, out: text(out), err: err.trim_end_matches('\n').to_owned() })
}
