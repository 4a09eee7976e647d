//! An OAuth or OpenID provider on loopback whose whole behaviour is a value ([`Manners`]). It is strict: whatever a client
//! does wrong is refused, and noted.

mod manners;
mod state;
mod tokens;

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use url::form_urlencoded;

use state::State;

pub(crate) use manners::{Asked, Issue, Manners, Rotation, asks_for, exact, loopback_with_any_port};
pub(crate) use tokens::Signature;

use crate::{
    front::{header, written},
    proxy::{head, locked},
};

/// A request that it received.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Its query, or its form.
    pub(crate) parameters: Asked,
    pub(crate) head: String,
}

pub(crate) struct Stub {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Stub {
    /// Starts one that is like this at its address.
    pub(crate) fn start(manners: impl FnOnce(&str) -> Manners) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("a port");
        let state = Arc::new(Mutex::new(State::new(manners(&format!("http://{address}")))));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&shared);
                thread::spawn(move || serve(client, &shared));
            }
        });
        Self { address, state }
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on it is different.
    pub(crate) fn becomes(&self, change: impl FnOnce(&mut Manners)) {
        change(&mut locked(&self.state).manners);
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        locked(&self.state).seen.clone()
    }

    /// The requests for this path, in their order.
    pub(crate) fn asked(&self, path: &str) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| seen.path == path).collect()
    }

    /// What clients did wrong.
    pub(crate) fn complaints(&self) -> Vec<String> {
        locked(&self.state).complaints.clone()
    }

    /// Ends every refresh token, as an administrator or a rule of the provider's would.
    pub(crate) fn forgets(&self) {
        let mut state = locked(&self.state);
        state.refresh_tokens.clear();
        state.replaced.clear();
    }

    /// The number of access tokens that are good.
    pub(crate) fn active(&self) -> usize {
        locked(&self.state).access_tokens.len()
    }
}

fn serve(mut client: TcpStream, state: &Mutex<State>) -> Option<()> {
    client.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    let head = head(&mut client)?;
    let mut words = head.lines().next()?.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?);
    let mut body = vec![0; header(&head, "content-length").and_then(|text| text.parse().ok()).unwrap_or(0)];
    client.read_exact(&mut body).ok()?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pairs = if method == "GET" { query.as_bytes() } else { &body };
    let parameters = form_urlencoded::parse(pairs).into_owned().collect();
    let seen = Seen { method, path: path.to_owned(), parameters, head };
    let answer = locked(state).answer(&seen);
    client.write_all(&written(&answer)).ok()
}
