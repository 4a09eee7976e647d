//! The access log: one line of JSON for each request. It names whose credential was handed to whom, and holds none.

use std::{
    fs::File,
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde::Serialize;
use tokio::sync::Semaphore;

/// How long an answer waits for its line. A file system that hangs keeps nobody from a token for longer, and only once.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the lines go.
#[derive(Debug)]
pub(crate) struct Log {
    file: Arc<File>,
    /// Lines are written one by one.
    turn: Arc<Semaphore>,
    /// Whether a line has been waited for in vain.
    hangs: AtomicBool,
    patience: Duration,
}

/// A request, as it was answered.
#[derive(Debug, Serialize)]
pub(crate) struct Line<'a> {
    pub(crate) time: String,
    pub(crate) door: &'a str,
    pub(crate) uid: Option<u32>,
    /// `None`: that process has ended, or the system does not say.
    pub(crate) pid: Option<i32>,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    /// The origin that headers were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) origin: Option<&'a str>,
    pub(crate) status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) login: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) generation: Option<u64>,
}

impl Log {
    pub(crate) fn new(file: File) -> Self {
        let turn = Arc::new(Semaphore::new(1));
        Self { file: Arc::new(file), turn, hangs: AtomicBool::new(false), patience: PATIENCE }
    }

    /// Appends a line, in one write. One that cannot be written is no reason to refuse a token, and while one hangs, those
    /// that come after it are left out.
    pub(crate) async fn write(&self, line: &impl Serialize) {
        let Ok(mut text) = serde_json::to_vec(line) else { return };
        text.push(b'\n');
        self.append(text).await;
    }

    async fn append(&self, text: Vec<u8>) {
        let patience = if self.hangs.load(Ordering::Relaxed) { Duration::ZERO } else { self.patience };
        let turn = tokio::time::timeout(patience, Arc::clone(&self.turn).acquire_owned());
        let Ok(Ok(turn)) = turn.await else {
            self.hangs.store(true, Ordering::Relaxed);
            return;
        };
        let file = Arc::clone(&self.file);
        let written = tokio::task::spawn_blocking(move || {
            let _ = (&*file).write_all(&text);
            drop(turn);
        });
        let is_written = tokio::time::timeout(self.patience, written).await.is_ok();
        self.hangs.store(!is_written, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    /// A pipe that nobody reads stands for a disk that does not answer: the agent goes on, and the log does when it can.
    #[test]
    fn a_log_that_hangs_holds_nobody_up_for_long() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let log = Log::new(File::from(std::os::fd::OwnedFd::from(writer)));
        let log = Log { patience: Duration::from_millis(50), ..log };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            // More than any pipe holds.
            let first = "x".repeat(8 << 20);
            log.write(&first).await;
            assert!(log.hangs.load(Ordering::Relaxed));
            log.write(&"lost").await;
            let mut read = vec![0; first.len() + 3];
            reader.read_exact(&mut read).unwrap();
            assert!(read.ends_with(b"x\"\n"));
            // Its turn comes back when it has been written.
            drop(log.turn.acquire().await.unwrap());
            log.write(&"heard").await;
            let mut text = [0; 8];
            reader.read_exact(&mut text).unwrap();
            assert_eq!(&text, b"\"heard\"\n");
        });
    }
}
