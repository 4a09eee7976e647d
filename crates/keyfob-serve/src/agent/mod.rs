//! The agent: it accepts connections at its doors until it is told to stop or all of them have closed.

mod ahead;
mod answer;
mod asked;
mod clock;
mod connection;
mod credential;
pub(crate) mod door;
pub(crate) mod flight;
pub(crate) mod host;
mod keeping;
mod lent;
mod listener;
pub(crate) mod log;
mod open;
pub(crate) mod peer;
mod rejections;
pub(crate) mod room;
mod serving;
mod sight;
pub(crate) mod sink;
pub(crate) mod socket;
pub(crate) mod terms;
pub(crate) mod users;

use std::{collections::BTreeMap, io, os::unix::net::UnixStream as StdStream, sync::Arc, time::Duration};

use keyfob::{Error, ErrorId};
use tokio::net::UnixListener;

use crate::{
    running::{self, Serves},
    wire::Narrowed,
};

use self::{
    door::Door, host::Host, keeping::Keeping, listener::Listener, open::Open, rejections::Rejections,
    serving::Doorway, socket::Socket,
};

/// The agent, with its doors.
pub struct Agent {
    host: Arc<dyn Host>,
    doors: Vec<(Door, Way)>,
    idle: Option<Duration>,
    /// By the environment and the profile of a login: several doors may lead to one. What it is narrowed to is another one here.
    rejections: BTreeMap<(String, String, Option<Narrowed>), Arc<Rejections>>,
    /// Those that are about to be served.
    opened: Vec<Doorway>,
}

/// How one comes to a door.
#[derive(Debug)]
enum Way {
    Socket(Socket),
    Bell(StdStream),
    /// Nobody does: it is there for its files.
    None,
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
        Self { host, doors: Vec::new(), idle: None, rejections: BTreeMap::new(), opened: Vec::new() }
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

    /// Keeps the files of this door fresh, and lets nobody ask at it.
    #[must_use]
    pub fn files(mut self, door: Door) -> Self {
        self.doors.push((door, Way::None));
        self
    }

    /// Ends when nobody has asked for this time. For an agent that is started when somebody asks; one that keeps files is
    /// needed although nobody asks, and goes on.
    #[must_use]
    pub fn idle(mut self, time: Option<Duration>) -> Self {
        self.idle = time;
        self
    }

    /// For how many connections there is room, at all doors together. Raises the number of files that this process may have open
    /// as far as it may.
    #[must_use]
    pub fn room(&self) -> usize {
        let has_bell = self.doors.iter().any(|(_, way)| matches!(way, Way::Bell(_)));
        room::room_for_connections(if has_bell { 2 } else { 1 })
    }

    /// Serves until SIGTERM, SIGINT or SIGHUP comes, every door has closed, or nobody asks any more. `ready` is called when such
    /// a signal ends it in order: whoever is told before could end it and leave its socket and files behind.
    ///
    /// # Errors
    /// The system gives no event loop. The inner one: what `ready` says, and then nothing is served.
    pub fn run<E>(self, ready: impl FnOnce() -> Result<(), E>) -> io::Result<Result<(), E>> {
        running::run(self, ready)
    }

    /// Serves beside a program: puts its files there, starts it, and serves for as long as it lasts, which is waited for in a
    /// thread that may block. SIGTERM and SIGHUP are passed on, by their number, from before it starts; what comes from a
    /// terminal, it gets itself. When it is over, any of them ends the answers that are still being given.
    ///
    /// # Errors
    /// The system gives no event loop. The inner one: what `start` says, or why there is nothing to put into a file.
    pub fn run_beside<T, E, L, P>(self, start: impl FnOnce() -> Result<(L, P), E>) -> io::Result<Result<T, E>>
    where
        T: Send + 'static,
        E: From<Error>,
        L: FnOnce() -> T + Send + 'static,
        P: Fn(i32) + Send + 'static,
    {
        running::run_beside(self, start)
    }

    /// Opens the doors that are not open yet.
    fn open(&mut self) -> io::Result<()> {
        for (mut door, way) in std::mem::take(&mut self.doors) {
            let sinks = std::mem::take(&mut door.sinks);
            let (listener, socket) = match way {
                Way::Socket(socket) => {
                    let listener = UnixListener::from_std(socket.listener.try_clone()?)?;
                    (Listener::Socket(listener), Some(socket))
                }
                Way::Bell(ours) => (Listener::bell(ours)?, None),
                Way::None => (Listener::None, None),
            };
            let terms = &door.terms;
            let login = (terms.environment.clone(), terms.profile.clone(), terms.narrowed.clone());
            let rejections = Arc::clone(self.rejections.entry(login).or_default());
            let open = Open::among(door, Arc::clone(&self.host), rejections);
            let keepings = sinks.into_iter().map(|sink| Keeping::new(Arc::clone(&open), sink)).collect();
            self.opened.push(Doorway { open, listener, socket, keepings });
        }
        Ok(())
    }
}

impl Serves for Agent {
    fn threads(&self) -> usize {
        (self.doors.len() + self.opened.len()) * flight::OF_A_DOOR
    }

    async fn prepare(&mut self) -> Result<(), Error> {
        self.open().map_err(|error| {
            Error::caused_by(ErrorId::SystemFailed, "the agent's doors could not be opened", error)
        })?;
        for file in self.opened.iter_mut().flat_map(|doorway| &mut doorway.keepings) {
            file.begin().await?;
        }
        Ok(())
    }

    async fn serve(mut self, until: impl Future<Output = ()>, closes: bool) -> io::Result<()> {
        self.open()?;
        serving::serve(self.opened, until, closes, self.idle).await
    }
}
