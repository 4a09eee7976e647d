//! The agent: it accepts connections at its doors until it is told to stop or all of them have closed.

mod ahead;
mod answer;
mod connection;
mod credential;
pub(crate) mod door;
pub(crate) mod flight;
pub(crate) mod host;
mod keeping;
mod listener;
mod log;
mod open;
pub(crate) mod peer;
pub(crate) mod sink;
pub(crate) mod socket;

use std::{fs::File, io, os::unix::net::UnixStream as StdStream, sync::Arc, time::Duration};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    net::UnixListener,
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
};

use crate::running::{self, Serves};

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

/// Of users that a door is not open to: so many at a time are told so, for so long. The others are closed at once.
const STRANGERS: usize = 8;
const FOR_STRANGERS: Duration = Duration::from_secs(5);

/// Descriptors that connections leave for the store, the network and the files.
const RESERVE: u64 = 128;

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

    /// Serves until SIGTERM, SIGINT or SIGHUP comes, every door has closed, or nobody asks any more. `ready` is called when such
    /// a signal ends it in order: whoever is told before could end it and leave its socket and files behind.
    ///
    /// # Errors
    /// The system gives no event loop. The inner one: what `ready` says, and then nothing is served.
    pub fn run<E>(self, ready: impl FnOnce() -> Result<(), E>) -> io::Result<Result<(), E>> {
        running::run(self, ready)
    }

    /// Serves beside a program: starts it, and serves for as long as it lasts, which is waited for in a thread that may block.
    /// SIGTERM and SIGHUP are passed on, by their number, from before it starts; what comes from a terminal, it gets itself.
    /// When it is over, any of them ends the answers that are still being given.
    ///
    /// # Errors
    /// The system gives no event loop. The inner one: what `start` says.
    pub fn run_beside<T, E, L, P>(self, start: impl FnOnce() -> Result<(L, P), E>) -> io::Result<Result<T, E>>
    where
        T: Send + 'static,
        L: FnOnce() -> T + Send + 'static,
        P: Fn(i32) + Send + 'static,
    {
        running::run_beside(self, start)
    }
}

impl Serves for Agent {
    /// Serves until that comes; with `closes`, also until every door has closed.
    async fn serve(self, until: impl Future<Output = ()>, closes: bool) -> io::Result<()> {
        let stop = watch::Sender::new(false);
        let room = room_for_connections();
        let (mut doors, mut all) = (JoinSet::new(), Vec::new());
        for (door, way) in self.doors {
            let open = Open::new(door, Arc::clone(&self.host), self.log.clone());
            all.push(Arc::clone(&open));
            let (stopped, room) = (stop.subscribe(), Arc::clone(&room));
            let (listener, socket) = match way {
                Way::Socket(socket) => {
                    let listener = UnixListener::from_std(socket.listener.try_clone()?)?;
                    (Listener::Socket(listener), Some(socket))
                }
                Way::Bell(ours) => (Listener::bell(ours)?, None),
            };
            doors.spawn(async move {
                accept(open, listener, room, stopped).await;
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
async fn accept(
    open: Arc<Open>,
    listener: Listener,
    room: Arc<Semaphore>,
    mut stopped: watch::Receiver<bool>,
) {
    let strangers = Arc::new(Semaphore::new(STRANGERS));
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
            // Without room, whoever comes waits in the socket.
            next = next(&listener, &room), if !gone => next,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            _ = stopped.wait_for(|stopped| *stopped) => break,
            () = &mut closed => break,
        };
        let (next, place) = next;
        match next {
            Next::Stream(stream) => {
                let peer = Peer::of(&stream, open.log.is_some());
                let is_admitted = open.door.admits(peer.uid);
                let told = if is_admitted { None } else { Arc::clone(&strangers).try_acquire_owned().ok() };
                if !is_admitted && told.is_none() {
                    continue;
                }
                let serving = connection::serve(Arc::clone(&open), peer, stream, end.subscribe());
                connections.spawn(async move {
                    let _held = (place, &told);
                    if is_admitted {
                        serving.await;
                    } else {
                        let _ = tokio::time::timeout(FOR_STRANGERS, serving).await;
                    }
                });
            }
            Next::Pipes(pipes) => {
                let peer = Peer::inherited();
                let serving = connection::serve(Arc::clone(&open), peer, pipes, end.subscribe());
                connections.spawn(async move {
                    let _held = place;
                    serving.await;
                });
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

/// The next connection, and its place among those that there is room for.
async fn next(listener: &Listener, room: &Arc<Semaphore>) -> (Next, Option<OwnedSemaphorePermit>) {
    let place = Arc::clone(room).acquire_owned().await.ok();
    (listener.next().await, place)
}

/// Room for as many connections as the system lets this user have descriptors for, but for those of a reserve. Through a bell
/// come two for each.
fn room_for_connections() -> Arc<Semaphore> {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    Arc::new(Semaphore::new(room_in(getrlimit(Resource::Nofile).current)))
}

/// Of so many descriptors. `None`: the system sets no limit.
fn room_in(descriptors: Option<u64>) -> usize {
    let free = descriptors.map_or(u64::MAX, |all| all.saturating_sub(RESERVE)) / 2;
    usize::try_from(free.clamp(16, 16_384)).unwrap_or(16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_the_rest() {
        assert_eq!([Some(1024), Some(64), None].map(room_in), [448, 16, 16_384]);
    }
}
