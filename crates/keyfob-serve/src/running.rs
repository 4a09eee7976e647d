//! How a server runs: by itself until a signal ends it, or beside a program that it starts.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{
    runtime,
    signal::unix::{SignalKind, signal},
    sync::{mpsc, oneshot},
};

/// A signal came before the program was started: there is nobody to pass it on to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndedBefore {
    /// Its number.
    pub signal: i32,
}

impl EndedBefore {
    /// That this error tells of it.
    #[must_use]
    pub fn within(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }
}

impl std::fmt::Display for EndedBefore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "signal {} came before the program was started", self.signal)
    }
}

impl std::error::Error for EndedBefore {}

/// What serves.
pub(crate) trait Serves: Sized {
    /// How many threads may have to block at the same time.
    fn threads(&self) -> usize;

    /// Does what has to be done before a program is started beside it.
    async fn prepare(&mut self) -> Result<(), keyfob::Error> {
        Ok(())
    }

    /// Serves until that comes; with `closes`, also until there is nothing left to serve at.
    async fn serve(self, until: impl Future<Output = ()>, closes: bool) -> io::Result<()>;
}

/// Serves until SIGTERM, SIGINT or SIGHUP comes, or it ends by itself. `ready` is called when such a signal ends it in order. The
/// second one ends it at once, whatever is still being answered.
pub(crate) fn run<S: Serves, E>(
    server: S,
    ready: impl FnOnce() -> Result<(), E>,
) -> io::Result<Result<(), E>> {
    let _held = held();
    let runtime = runtime(server.threads())?;
    let served = runtime.block_on(async {
        let mut signals = signals(&[SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()])?;
        if let Err(error) = ready() {
            return Ok(Err(error));
        }
        let (end, ended) = oneshot::channel();
        let twice = async move {
            let _ = signals.recv().await;
            let _ = end.send(());
            let _ = signals.recv().await;
        };
        tokio::select! {
            served = server.serve(async move { drop(ended.await) }, true) => served.map(Ok),
            () = twice => Ok(Ok(())),
        }
    });
    // A thread may still wait for the process that renews, which goes on without it.
    runtime.shutdown_background();
    served
}

/// Serves beside a program, for as long as it lasts.
pub(crate) fn run_beside<S, T, E, L, P>(
    mut server: S,
    start: impl FnOnce() -> Result<(L, P), E>,
) -> io::Result<Result<T, E>>
where
    S: Serves,
    T: Send + 'static,
    E: From<keyfob::Error>,
    L: FnOnce() -> T + Send + 'static,
    P: Fn(i32) + Send + 'static,
{
    let _held = held();
    let runtime = runtime(server.threads())?;
    let result = runtime.block_on(async {
        let kinds =
            [SignalKind::terminate(), SignalKind::hangup(), SignalKind::interrupt(), SignalKind::quit()];
        let mut signals = signals(&kinds)?;
        tokio::select! {
            prepared = server.prepare() => if let Err(error) = prepared { return Ok(Err(error.into())) },
            kind = signals.recv() => {
                let signal = kind.unwrap_or(SignalKind::terminate()).as_raw_value();
                return Err(io::Error::new(io::ErrorKind::Interrupted, EndedBefore { signal }));
            }
        }
        let (lasts, pass_on) = match start() {
            Ok(started) => started,
            Err(error) => return Ok(Err(error)),
        };
        let is_over = Arc::new(AtomicBool::new(false));
        let (enough, enough_said) = oneshot::channel();
        let over_by_then = Arc::clone(&is_over);
        tokio::spawn(async move {
            while let Some(kind) = signals.recv().await {
                if over_by_then.load(Ordering::Acquire) {
                    let _ = enough.send(());
                    return;
                }
                if kind == SignalKind::terminate() || kind == SignalKind::hangup() {
                    pass_on(kind.as_raw_value());
                }
            }
        });
        let (over, ended) = oneshot::channel();
        let lasting = tokio::task::spawn_blocking(move || {
            let result = lasts();
            is_over.store(true, Ordering::Release);
            let _ = over.send(());
            result
        });
        tokio::select! {
            served = server.serve(async move { drop(ended.await) }, false) => served?,
            Ok(()) = enough_said => {}
        }
        lasting.await.map(Ok).map_err(io::Error::other)
    });
    runtime.shutdown_background();
    result
}

/// Memory of each size that a request may need, which is held for as long as a server runs. musl's allocator gives memory back to the
/// system as soon as nothing in a group of pieces is in use, and each request would ask for it anew. Of every two
/// pieces one is held, so that the other is there for requests. Nothing is written to them.
fn held() -> Vec<Vec<u8>> {
    /// The sizes that musl has up to the buffers of hyper (its `malloc/mallocng/malloc.c`), in units of 16 octets, of which four
    /// octets are its own.
    const UNITS: [usize; 24] = [
        10, 12, 15, 18, 20, 25, 31, 36, 42, 50, 63, 72, 84, 102, 127, 146, 170, 204, 255, 292, 340, 409, 511,
        584,
    ];
    /// Of each so many, as for as many requests at a time.
    const PIECES: usize = 16;
    let sizes = UNITS.iter().filter(|_| cfg!(target_env = "musl")).flat_map(|units| [units * 16 - 4; PIECES]);
    let all: Vec<_> = sizes.map(|size| std::hint::black_box(Vec::with_capacity(size))).collect();
    all.into_iter().step_by(2).collect()
}

/// With so many threads that may block, and a few for the program that is waited for and what is counted.
fn runtime(threads: usize) -> io::Result<runtime::Runtime> {
    runtime::Builder::new_current_thread().enable_all().max_blocking_threads(threads + 4).build()
}

/// These signals, as they come.
fn signals(kinds: &[SignalKind]) -> io::Result<mpsc::Receiver<SignalKind>> {
    let (came, signals) = mpsc::channel(4);
    for kind in kinds {
        let (mut signal, came, kind) = (signal(*kind)?, came.clone(), *kind);
        tokio::spawn(async move { while signal.recv().await.is_some() && came.send(kind).await.is_ok() {} });
    }
    Ok(signals)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Signal, getpid, kill_process};

    /// A signal is everybody's in this process.
    static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());

    /// It gets a signal, and when it has heard of that another one, and would go on for ever.
    struct Busy;

    impl Serves for Busy {
        fn threads(&self) -> usize {
            1
        }

        async fn serve(self, until: impl Future<Output = ()>, _: bool) -> io::Result<()> {
            kill_process(getpid(), Signal::HUP).unwrap();
            until.await;
            kill_process(getpid(), Signal::HUP).unwrap();
            std::future::pending().await
        }
    }

    #[test]
    fn whoever_does_not_want_to_wait_for_the_end_says_so_twice() {
        let _turn = TURN.lock();
        run(Busy, || Ok::<_, keyfob::Error>(())).unwrap().unwrap();
    }

    /// It gets a signal while it prepares, and would do so for ever.
    struct Preparing;

    impl Serves for Preparing {
        fn threads(&self) -> usize {
            1
        }

        async fn prepare(&mut self) -> Result<(), keyfob::Error> {
            kill_process(getpid(), Signal::TERM).unwrap();
            std::future::pending().await
        }

        async fn serve(self, _: impl Future<Output = ()>, _: bool) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_signal_before_the_program_is_there_is_told_by_its_number() {
        type Started = (fn(), fn(i32));
        let _turn = TURN.lock();
        let start = || -> Result<Started, keyfob::Error> { panic!("nothing is started") };
        let error = run_beside(Preparing, start).expect_err("it was ended");
        assert_eq!(EndedBefore::within(&error), Some(EndedBefore { signal: 15 }));
    }
}
