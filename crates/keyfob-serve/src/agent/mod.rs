//! The agent: it accepts connections at its doors until it is told to stop or all of them have closed.

mod ahead;
mod answer;
mod connection;
pub(crate) mod door;
mod flight;
pub(crate) mod host;
mod log;
mod open;
mod peer;
pub(crate) mod socket;

use std::{fs::File, io, sync::Arc, time::Duration};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    net::UnixListener,
    runtime,
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
};

use self::{door::Door, host::Host, log::Log, open::Open, peer::Peer, socket::Socket};

/// How long the requests that are being answered may take when the agent stops.
const FAREWELL: Duration = Duration::from_secs(10);

/// The agent, with its doors.
pub struct Agent {
    host: Arc<dyn Host>,
    log: Option<Arc<Log>>,
    doors: Vec<(Door, Socket)>,
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
        Self { host, log: None, doors: Vec::new() }
    }

    /// Opens this door at this socket.
    #[must_use]
    pub fn door(mut self, door: Door, socket: Socket) -> Self {
        self.doors.push((door, socket));
        self
    }

    /// Appends a line of JSON for each request to this file.
    #[must_use]
    pub fn log(mut self, file: File) -> Self {
        self.log = Some(Arc::new(Log::new(file)));
        self
    }

    /// Serves until SIGTERM, SIGINT or SIGHUP comes, or every door has closed.
    ///
    /// # Errors
    /// The system gives no event loop.
    pub fn run(self) -> io::Result<()> {
        room_for_connections();
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(flight::THREADS + 4)
            .build()?;
        let served = runtime.block_on(self.serve());
        // A thread may still wait for the process that renews, which goes on without it.
        runtime.shutdown_background();
        served
    }

    async fn serve(self) -> io::Result<()> {
        let stop = watch::Sender::new(false);
        let mut doors = JoinSet::new();
        for (door, socket) in self.doors {
            let listener = UnixListener::from_std(socket.listener.try_clone()?)?;
            let open = Open::new(door, Arc::clone(&self.host), self.log.clone());
            let stopped = stop.subscribe();
            doors.spawn(async move {
                accept(open, listener, stopped).await;
                // Removed only now: until then somebody answers there.
                drop(socket);
            });
        }
        let mut signals = JoinSet::new();
        for kind in [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()] {
            let mut signal = signal(kind)?;
            signals.spawn(async move { signal.recv().await });
        }
        tokio::select! {
            _ = signals.join_next() => { stop.send_replace(true); }
            () = async { while doors.join_next().await.is_some() {} } => {}
        }
        while doors.join_next().await.is_some() {}
        Ok(())
    }
}

/// One door, until the agent stops or the door closes.
async fn accept(open: Arc<Open>, listener: UnixListener, mut stopped: watch::Receiver<bool>) {
    let ahead = tokio::spawn(ahead::keep(Arc::clone(&open)));
    // Of the connections of this door: what ends the agent, or the door alone, ends them.
    let end = watch::Sender::new(false);
    let mut connections = JoinSet::new();
    let closed = open.closing.closed();
    tokio::pin!(closed);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            _ = stopped.wait_for(|stopped| *stopped) => break,
            () = &mut closed => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let peer = Peer::of(&stream, open.log.is_some());
                connections.spawn(connection::serve(Arc::clone(&open), peer, stream, end.subscribe()));
            }
            // Short of descriptors or memory, or a peer that has left: neither is a reason to end.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
    ahead.abort();
    end.send_replace(true);
    let _ = tokio::time::timeout(FAREWELL, async { while connections.join_next().await.is_some() {} }).await;
}

/// Every connection is a descriptor: as many as the system lets this user have.
fn room_for_connections() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}
