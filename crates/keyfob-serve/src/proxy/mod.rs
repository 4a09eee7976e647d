//! The proxy: it adds the credential to requests for one origin, so that the program that sends them never has it.

mod address;
mod budget;
mod covered;
mod credentials;
mod entrance;
mod forward;
mod hall;
mod head;
mod inject;
mod kept;
mod names;
mod open;
mod refusal;
pub(crate) mod scrub;
mod serving;
mod status;
mod tally;
pub(crate) mod target;
pub(crate) mod upstream;

use std::{fs::File, io, net::TcpListener as StdListener, sync::Arc, time::Duration};

use keyfob::{Client, Error, ErrorId, Purpose, Secret};
use tokio::{
    net::{TcpListener, UnixListener},
    sync::{Semaphore, mpsc, watch},
    task::JoinSet,
    time::Instant,
};

use crate::{
    agent::{
        flight::{self, Flights},
        host::Host,
        log::Log,
        room::room_for_connections,
        socket::Socket,
    },
    running::{self, Serves},
};

use self::{
    budget::Budget,
    credentials::Credentials,
    entrance::Pass,
    hall::Hall,
    names::Names,
    open::Open,
    serving::{Listener, accept},
    tally::Tally,
    target::{Rule, Target},
    upstream::{Road, Upstream},
};

/// How long streams that are open may go on when the proxy stops.
const FAREWELL: Duration = Duration::from_secs(20);
/// So much of what was sent may be kept at the same time, by all connections, in case it has to be sent again.
const KEPT: usize = 64 * 1024 * 1024;

/// Where clients come in.
#[derive(Debug)]
enum Entrance {
    Socket(Socket),
    Loopback(StdListener, Secret),
}

/// A target, and what may be asked of it.
#[derive(Debug)]
pub struct Route {
    target: Target,
    road: Road,
    rules: Vec<Rule>,
    is_private: bool,
    scrubs_bodies: bool,
    users: Vec<u32>,
}

impl Route {
    /// To this target, by this road: everything below its path.
    #[must_use]
    pub fn new(target: Target, road: Road) -> Self {
        let rules = vec![Rule::below(target.path())];
        Self { target, road, rules, is_private: false, scrubs_bodies: true, users: Vec::new() }
    }

    /// Only what one of these rules allows. None: everything below the target's path.
    #[must_use]
    pub fn allow(mut self, rules: Vec<Rule>) -> Self {
        if !rules.is_empty() {
            self.rules = rules;
        }
        self
    }

    /// The target may have an address of a private network although its name does not say so.
    #[must_use]
    pub fn private(mut self, is: bool) -> Self {
        self.is_private = is;
        self
    }

    /// Whether the credential is also looked for in the bodies of answers, and covered; it is unless this says no.
    #[must_use]
    pub fn scrub_bodies(mut self, wanted: bool) -> Self {
        self.scrubs_bodies = wanted;
        self
    }

    /// These users may ask too, by their numbers, at a unix socket.
    #[must_use]
    pub fn users(mut self, users: Vec<u32>) -> Self {
        self.users = users;
        self
    }
}

/// The proxy, with its targets.
pub struct Proxy {
    host: Arc<dyn Host>,
    client: Arc<Client>,
    log: Option<Arc<Log>>,
    whose: (String, String),
    routes: Vec<(Route, Entrance)>,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy").field("routes", &self.routes).finish_non_exhaustive()
    }
}

impl Proxy {
    /// A proxy without a target, which adds the credential of this client.
    #[must_use]
    pub fn new(host: Arc<dyn Host>, client: Client) -> Self {
        let whose = (String::new(), String::new());
        Self { host, client: Arc::new(client), log: None, whose, routes: Vec::new() }
    }

    /// Whose credential it is, for people who ask for the state of the proxy.
    #[must_use]
    pub fn of(mut self, environment: &str, profile: &str) -> Self {
        self.whose = (environment.to_owned(), profile.to_owned());
        self
    }

    /// Serves this route at a unix socket, for whom the system says that it is one who may.
    ///
    /// # Errors
    /// [`ErrorId::OriginRefused`] if the credential is not for that origin.
    pub fn at_socket(mut self, route: Route, socket: Socket) -> Result<Self, Error> {
        self.may_go_to(&route)?;
        self.routes.push((route, Entrance::Socket(socket)));
        Ok(self)
    }

    /// Serves this route on loopback, for whoever has this token.
    ///
    /// # Errors
    /// [`ErrorId::OriginRefused`] if the credential is not for that origin; [`ErrorId::Usage`] if others could reach it.
    pub fn on_loopback(mut self, route: Route, listener: StdListener, token: Secret) -> Result<Self, Error> {
        self.may_go_to(&route)?;
        if !listener.local_addr().is_ok_and(|address| address.ip().is_loopback()) {
            let what = "the proxy listens on loopback alone";
            return Err(Error::new(ErrorId::Usage, what, "the address is none of 127.0.0.1 and [::1]"));
        }
        self.routes.push((route, Entrance::Loopback(listener, token)));
        Ok(self)
    }

    fn may_go_to(&self, route: &Route) -> Result<(), Error> {
        let origin = route.target.origin();
        if self.client.may_go_to(Purpose::Api, origin)? {
            return Ok(());
        }
        let what = format!("the credential is not for {origin}");
        let why =
            "it is neither the provider's own nor under `hosts` in the configuration of the environment";
        Err(Error::new(ErrorId::OriginRefused, what, why))
    }

    /// Appends a line of JSON for each request to this file.
    #[must_use]
    pub fn log(mut self, file: File) -> Self {
        self.log = Some(Arc::new(Log::new(file)));
        self
    }

    /// Serves until SIGTERM, SIGINT or SIGHUP comes. `ready` is called when such a signal ends it in order.
    ///
    /// # Errors
    /// The system gives no event loop. The inner one: what `ready` says, and then nothing is served.
    pub fn run<E>(self, ready: impl FnOnce() -> Result<(), E>) -> io::Result<Result<(), E>> {
        running::run(self, ready)
    }

    /// Serves beside a program, as [`Agent::run_beside`](crate::Agent::run_beside) does.
    ///
    /// # Errors
    /// The system gives no event loop. The inner one: what `start` says.
    pub fn run_beside<T, E, L, P>(self, start: impl FnOnce() -> Result<(L, P), E>) -> io::Result<Result<T, E>>
    where
        T: Send + 'static,
        L: FnOnce() -> T + Send + 'static,
        P: Fn(i32) + Send + 'static,
        E: From<Error>,
    {
        running::run_beside(self, start)
    }
}

impl Serves for Proxy {
    fn threads(&self) -> usize {
        flight::OF_A_DOOR + names::AT_ONCE
    }

    async fn serve(self, until: impl Future<Output = ()>, closes: bool) -> io::Result<()> {
        let stop = watch::Sender::new(false);
        let (alive, mut all_gone) = mpsc::channel(1);
        // Each has one to the target.
        let all_places = room_for_connections(2);
        let is_open = |(_, entrance): &(_, Entrance)| matches!(entrance, Entrance::Loopback(..));
        let of_strangers = if self.routes.iter().any(is_open) { all_places / 4 } else { 0 };
        let room = Arc::new(Semaphore::new(all_places - of_strangers));
        let hall = Hall::new(of_strangers);
        let flights = Flights::new(self.client, Arc::clone(&self.host));
        let (budget, names) = (Budget::new(KEPT), Names::new());
        let (whose, began) = (Arc::new(self.whose), Instant::now());
        let (mut serving, mut all) = (JoinSet::new(), Vec::new());
        for (route, entrance) in self.routes {
            let origin = route.target.origin().to_owned();
            let tally = Arc::<Tally>::default();
            all.push((origin.clone(), Arc::clone(&tally)));
            let credentials =
                Credentials::new(Arc::clone(&flights), Arc::clone(&self.host), origin, Arc::clone(&tally));
            let upstream = Upstream::new(&route.target, route.road, route.is_private, &names);
            let (pass, listener) = match entrance {
                Entrance::Socket(socket) => {
                    let listener = UnixListener::from_std(socket.listener.try_clone()?)?;
                    (Pass::User, Listener::Socket(listener, socket))
                }
                Entrance::Loopback(listener, token) => {
                    listener.set_nonblocking(true)?;
                    (Pass::Token(token), Listener::Loopback(TcpListener::from_std(listener)?, hall.clone()))
                }
            };
            let open = Open {
                target: route.target,
                rules: route.rules,
                pass,
                scrubs_bodies: route.scrubs_bodies,
                upstream,
                credentials,
                budget: budget.clone(),
                tally,
                whose: Arc::clone(&whose),
                began,
                host: Arc::clone(&self.host),
                log: self.log.clone(),
                alive: alive.clone(),
                users: route.users,
                room: Arc::clone(&room),
            };
            serving.spawn(accept(Arc::new(open), listener, stop.subscribe()));
        }
        drop(alive);
        tokio::select! {
            () = until => {}
            () = count(&self.host, &all) => {}
        }
        stop.send_replace(true);
        let over = async {
            while serving.join_next().await.is_some() {}
            let _ = all_gone.recv().await;
        };
        // Beside a program there is nobody left who waits for an answer.
        if closes {
            let _ = tokio::time::timeout(FAREWELL, over).await;
        }
        tell(&self.host, &all).await;
        Ok(())
    }
}

/// What is counted, by the origin.
type Tallies = Vec<(String, Arc<Tally>)>;

/// Tells the host what is counted, as often as it wants to hear it. Never ends.
async fn count(host: &Arc<dyn Host>, all: &Tallies) {
    let Some(every) = host.counts_every() else { return std::future::pending().await };
    loop {
        tokio::time::sleep(every).await;
        tell(host, all).await;
    }
}

async fn tell(host: &Arc<dyn Host>, all: &Tallies) {
    if host.counts_every().is_none() {
        return;
    }
    let mut is_new = false;
    let mut news = Vec::with_capacity(all.len());
    for (origin, tally) in all {
        let (traffic, is_to_be_told) = tally.news();
        is_new |= is_to_be_told;
        news.push((origin.clone(), traffic));
    }
    if is_new {
        let host = Arc::clone(host);
        let _ = tokio::task::spawn_blocking(move || host.count_traffic(&news)).await;
    }
}
