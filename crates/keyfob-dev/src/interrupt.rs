//! Ctrl-C, for a host in the foreground.

use std::io;

/// Runs `act` on a separate thread as soon as the process is interrupted, with the number of the signal (SIGINT,
/// SIGTERM or SIGHUP; elsewhere 2 for Ctrl-C). It takes over these signals for the rest of the process.
///
/// # Errors
/// When the signals cannot be watched or there is no thread; nothing has been taken over by a thread then.
pub fn on_interrupt(act: impl FnOnce(i32) + Send + 'static) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Before this returns: what comes from now on is not lost.
    let signals = {
        let _inside = runtime.enter();
        Signals::new(true)?
    };
    let watch = move || act(runtime.block_on(signals.next()));
    std::thread::Builder::new().name("interrupt".to_owned()).spawn(watch).map(drop)
}

/// Waits until the process is interrupted. A closed terminal is not an interruption: a server may be meant to keep
/// running.
pub(crate) fn wait() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let _signal = Signals::new(false)?.next().await;
        Ok(())
    })
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: Option<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
impl Signals {
    fn new(hangup: bool) -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let hangup = if hangup { Some(signal(SignalKind::hangup())?) } else { None };
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self { interrupt, terminate: signal(SignalKind::terminate())?, hangup })
    }

    async fn next(mut self) -> i32 {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => 2,
            _ = self.terminate.recv() => 15,
            _ = hangup => 1,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new(_: bool) -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(self) -> i32 {
        let _ = tokio::signal::ctrl_c().await;
        2
    }
}
