//! The proxy: it adds the credential to requests for one origin, so that the program that sends them never has it.

mod address;
mod budget;
mod covered;
mod credentials;
mod entrance;
mod forward;
mod head;
mod inject;
mod kept;
mod names;
mod open;
mod refusal;
pub(crate) mod scrub;
mod status;
mod tally;
pub(crate) mod target;
pub(crate) mod upstream;

use std::{convert::Infallible, fs::File, io, net::TcpListener as StdListener, sync::Arc, time::Duration};

use http::{HeaderValue, StatusCode, header};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use keyfob::{Client, Error, ErrorId, Purpose, Secret};
use tokio::{
    io::{AsyncRead, AsyncWrite},
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
        peer::Peer,
        room::room_for_connections,
        socket::Socket,
    },
    running::{self, Serves},
    strict::{
        Strict,
        course::{Course, Next},
    },
};

use self::{
    budget::Budget,
    credentials::Credentials,
    entrance::Pass,
    names::Names,
    open::{Caller, Open, Place},
    tally::{Counted, Tally},
    target::{Rule, Target},
    upstream::{Road, Upstream},
};

/// How long streams that are open may go on when the proxy stops.
const FAREWELL: Duration = Duration::from_secs(20);
/// The longest head of a request.
const LONGEST_HEAD: usize = 64 * 1024;
/// The longest head of somebody who has not shown yet that they may ask.
const LONGEST_FIRST: usize = 16 * 1024;
/// How long a head may take to come in, and a connection may be idle.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long somebody has to show that they may ask.
const FOR_STRANGERS: Duration = Duration::from_secs(10);
/// How long a connection on which nothing is asked is left open when the proxy stops. Whoever asks meanwhile is answered, and hears
/// that it was the last time here; whoever is between two requests would not know whether the next one was heard.
const LINGER: Duration = Duration::from_secs(1);
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
        let room = Arc::new(Semaphore::new(room_for_connections(2)));
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
            let (pass, listener, socket) = match entrance {
                Entrance::Socket(socket) => {
                    let listener = UnixListener::from_std(socket.listener.try_clone()?)?;
                    (Pass::User, Listener::Socket(listener), Some(socket))
                }
                Entrance::Loopback(listener, token) => {
                    listener.set_nonblocking(true)?;
                    (Pass::Token(token), Listener::Loopback(TcpListener::from_std(listener)?), None)
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
            };
            serving.spawn(accept(Arc::new(open), listener, socket, Arc::clone(&room), stop.subscribe()));
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
    let news: Vec<_> = all.iter().map(|(origin, tally)| (origin.clone(), tally.news())).collect();
    if news.iter().any(|(_, traffic)| !traffic.is_empty() || traffic.open > 0) {
        let host = Arc::clone(host);
        let _ = tokio::task::spawn_blocking(move || host.count_traffic(&news)).await;
    }
}

enum Listener {
    Socket(UnixListener),
    Loopback(TcpListener),
}

/// One target, until the proxy stops.
async fn accept(
    open: Arc<Open>,
    listener: Listener,
    socket: Option<Socket>,
    room: Arc<Semaphore>,
    mut stopped: watch::Receiver<bool>,
) {
    let end = watch::Sender::new(false);
    let mut connections = JoinSet::new();
    loop {
        let next = async {
            // Without room, whoever comes waits in the socket.
            let place = Arc::clone(&room).acquire_owned().await.ok();
            let stream = match &listener {
                Listener::Socket(listener) => listener.accept().await.map(|(stream, _)| Stream::Unix(stream)),
                Listener::Loopback(listener) => {
                    listener.accept().await.map(|(stream, _)| Stream::Tcp(stream))
                }
            };
            (stream, place)
        };
        let (stream, place) = tokio::select! {
            next = next => next,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            _ = stopped.wait_for(|stopped| *stopped) => break,
        };
        let (open, end) = (Arc::clone(&open), end.subscribe());
        match stream {
            Ok(Stream::Unix(stream)) => {
                let peer = Peer::of(&stream, open.log.is_some());
                // Nothing is said to another user, who has no business in a directory of ours.
                if open.admits(peer.uid) {
                    connections.spawn(async move {
                        serve(open, peer, stream, Place::new(place), end).await;
                    });
                }
            }
            Ok(Stream::Tcp(stream)) => {
                let _ = stream.set_nodelay(true);
                connections.spawn(async move {
                    serve(open, Peer::unknown(), stream, Place::new(place), end).await;
                });
            }
            // Short of descriptors or memory, or a peer that has left: neither is a reason to end.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
    // Whoever comes from here on finds nobody, or the next one.
    drop((listener, socket));
    end.send_replace(true);
    while connections.join_next().await.is_some() {}
}

enum Stream {
    Unix(tokio::net::UnixStream),
    Tcp(tokio::net::TcpStream),
}

/// Serves a connection to its end. When the proxy stops, what is being answered still is, and so is what comes a moment later.
async fn serve<S>(open: Arc<Open>, peer: Peer, stream: S, place: Place, mut stopped: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let _counted = Counted::connection(&open.tally);
    let course = Course::default();
    let mut strict = Strict::new(stream, LONGEST_HEAD, course.clone()).may_upgrade();
    if open.pass.is_known_beforehand() {
        course.admit();
    } else {
        strict = strict.longest_first(LONGEST_FIRST);
    }
    let caller = Caller { peer, place, course: course.clone() };
    let is_over = stopped.clone();
    let service = service_fn(|request| {
        let (open, caller, is_over) = (Arc::clone(&open), caller.clone(), is_over.clone());
        let number = caller.course.asked();
        async move {
            let mut answer = forward::answer(&open, &caller, request).await;
            let next = match answer.status() {
                StatusCode::SWITCHING_PROTOCOLS => Next::Protocol,
                _ => Next::Request,
            };
            if next == Next::Request && *is_over.borrow() {
                answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            caller.course.answered(number, next);
            Ok::<_, Infallible>(answer)
        }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(LONGEST_HEAD);
    let mut serving = std::pin::pin!(builder.serve_connection(TokioIo::new(strict), service).with_upgrades());
    let known = async {
        tokio::time::sleep(FOR_STRANGERS).await;
        if course.is_known() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        // What is wrong with a connection concerns nobody but its peer.
        _ = serving.as_mut() => return,
        () = known => return,
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
    if tokio::time::timeout(LINGER, serving.as_mut()).await.is_err() && course.has_begun() {
        serving.as_mut().graceful_shutdown();
        let _ = serving.await;
    }
}
