//! The agent: it accepts connections at its doors until it is told to stop or all of them have closed.

mod ahead;
mod answer;
mod connection;
mod credential;
pub(crate) mod door;
mod flight;
pub(crate) mod host;
mod keeping;
mod listener;
mod log;
mod open;
mod peer;
pub(crate) mod sink;
pub(crate) mod socket;

use std::{fs::File, io, os::unix::net::UnixStream as StdStream, sync::Arc, time::Duration};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    net::UnixListener,
    runtime,
    signal::unix::{SignalKind, signal},
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};

use self::{
    door::Door,
    host::Host,
    listener::{Listener, Next},
    log::Log,
    open::Open,
    peer::Peer,
    socket::Socket,
};

/// How long the requests that are being answered may take when the agent stops.
const FAREWELL: Duration = Duration::from_secs(10);

/// The agent, with its doors.
pub struct Agent {
    host: Arc<dyn Host>,
    log: Option<Arc<Log>>,
    doors: Vec<(Door, Way)>,
    idle: Option<Duration>,
}

/// How one comes to a door.
#[derive(Debug)]
enum Way {
    Socket(Socket),
    Bell(StdStream),
}

impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agent").field("doors", &self.doors).finish_non_exhaustive()
    }
}

impl Agent {
    /// An agent without a door.
    #[must_use]
    pub fn new(host: Arc<dyn Host>) -> Self {
        Self { host, log: None, doors: Vec::new(), idle: None }
    }

    /// Opens this door at this socket.
    #[must_use]
    pub fn door(mut self, door: Door, socket: Socket) -> Self {
        self.doors.push((door, Way::Socket(socket)));
        self
    }

    /// Opens this door to whoever has the other end of this pair: programs that inherit it, and ask through it as
    /// [`Line::through`](crate::Line::through) does.
    #[must_use]
    pub fn bell(mut self, door: Door, ours: StdStream) -> Self {
        self.doors.push((door, Way::Bell(ours)));
        self
    }

    /// Ends when nobody has asked for this time. For an agent that is started when somebody asks.
    #[must_use]
    pub fn idle(mut self, time: Option<Duration>) -> Self {
        self.idle = time;
        self
    }

    /// Appends a line of JSON for each request to this file.
    #[must_use]
    pub fn log(mut self, file: File) -> Self {
        self.log = Some(Arc::new(Log::new(file)));
        self
    }

    /// Serves until SIGTERM, SIGINT or SIGHUP comes, every door has closed, or nobody asks any more.
    ///
    /// # Errors
    /// The system gives no event loop.
    pub fn run(self) -> io::Result<()> {
        room_for_connections();
        let runtime = runtime()?;
        let served = runtime.block_on(async {
            let mut signals =
                signals(&[SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()])?;
            self.serve(
                async move {
                    let _ = signals.recv().await;
                },
                true,
            )
            .await
        });
        // A thread may still wait for the process that renews, which goes on without it.
        runtime.shutdown_background();
        served
    }

    /// Serves beside a program: starts it, and serves for as long as it lasts, which is waited for in a thread that may block.
    /// SIGTERM and SIGHUP are passed on, by their number, from before it starts; what comes from a terminal, it gets itself.
    ///
    /// # Errors
    /// The system gives no event loop. The inner one: what `start` says.
    pub fn run_beside<T, E, L, P>(self, start: impl FnOnce() -> Result<(L, P), E>) -> io::Result<Result<T, E>>
    where
        T: Send + 'static,
        L: FnOnce() -> T + Send + 'static,
        P: Fn(i32) + Send + 'static,
    {
        let runtime = runtime()?;
        let result = runtime.block_on(async {
            let kinds =
                [SignalKind::terminate(), SignalKind::hangup(), SignalKind::interrupt(), SignalKind::quit()];
            let mut signals = signals(&kinds)?;
            let (lasts, pass_on) = match start() {
                Ok(started) => started,
                Err(error) => return Ok(Err(error)),
            };
            tokio::spawn(async move {
                while let Some(kind) = signals.recv().await {
                    if kind == SignalKind::terminate() || kind == SignalKind::hangup() {
                        pass_on(kind.as_raw_value());
                    }
                }
            });
            let (over, ended) = oneshot::channel();
            let lasting = tokio::task::spawn_blocking(move || {
                let result = lasts();
                let _ = over.send(());
                result
            });
            self.serve(async move { drop(ended.await) }, false).await?;
            lasting.await.map(Ok).map_err(io::Error::other)
        });
        runtime.shutdown_background();
        result
    }

    /// Serves until that comes; with `closes`, also until every door has closed.
    async fn serve(self, until: impl Future<Output = ()>, closes: bool) -> io::Result<()> {
        let stop = watch::Sender::new(false);
        let (mut doors, mut all) = (JoinSet::new(), Vec::new());
        for (door, way) in self.doors {
            let open = Open::new(door, Arc::clone(&self.host), self.log.clone());
            all.push(Arc::clone(&open));
            let stopped = stop.subscribe();
            let (listener, socket) = match way {
                Way::Socket(socket) => {
                    let listener = UnixListener::from_std(socket.listener.try_clone()?)?;
                    (Listener::Socket(listener), Some(socket))
                }
                Way::Bell(ours) => (Listener::bell(ours)?, None),
            };
            doors.spawn(async move {
                accept(open, listener, stopped).await;
                // Removed only now: until then somebody answers there.
                drop(socket);
            });
        }
        let closed = async {
            while doors.join_next().await.is_some() {}
            if !closes {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = until => {}
            () = closed => {}
            () = left_alone(&all, self.idle) => {}
        }
        stop.send_replace(true);
        while doors.join_next().await.is_some() {}
        Ok(())
    }
}

fn runtime() -> io::Result<runtime::Runtime> {
    runtime::Builder::new_current_thread().enable_all().max_blocking_threads(flight::THREADS + 4).build()
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

/// Ends when nobody has asked at any door for this time.
async fn left_alone(doors: &[Arc<Open>], time: Option<Duration>) {
    let Some(time) = time else { return std::future::pending().await };
    loop {
        let idle = doors.iter().map(|open| open.idle()).min().unwrap_or(time);
        match time.checked_sub(idle).filter(|left| !left.is_zero()) {
            Some(left) => tokio::time::sleep(left).await,
            None => return,
        }
    }
}

/// One door, until the agent stops or the door closes.
async fn accept(open: Arc<Open>, listener: Listener, mut stopped: watch::Receiver<bool>) {
    // Both end with this.
    let mut keeping = JoinSet::new();
    keeping.spawn(ahead::keep(Arc::clone(&open)));
    // Of the connections of this door: what ends the agent, or the door alone, ends them.
    let end = watch::Sender::new(false);
    let mut connections = JoinSet::new();
    let closed = open.closing.closed();
    tokio::pin!(closed);
    for sink in open.door.sinks.clone() {
        keeping.spawn(keeping::keep(Arc::clone(&open), sink));
    }
    let mut gone = false;
    loop {
        let next = tokio::select! {
            next = listener.next(), if !gone => next,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            _ = stopped.wait_for(|stopped| *stopped) => break,
            () = &mut closed => break,
        };
        match next {
            Next::Stream(stream) => {
                let peer = Peer::of(&stream, open.log.is_some());
                connections.spawn(connection::serve(Arc::clone(&open), peer, stream, end.subscribe()));
            }
            Next::Pipes(pipes) => {
                let peer = Peer::inherited();
                connections.spawn(connection::serve(Arc::clone(&open), peer, pipes, end.subscribe()));
            }
            // Who has asked already may go on.
            Next::Gone => gone = true,
            // Short of descriptors or memory, or a peer that has left: neither is a reason to end.
            Next::Failed => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
    keeping.shutdown().await;
    end.send_replace(true);
    let _ = tokio::time::timeout(FAREWELL, async { while connections.join_next().await.is_some() {} }).await;
}

/// Every connection is a descriptor: as many as the system lets this user have.
fn room_for_connections() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}
