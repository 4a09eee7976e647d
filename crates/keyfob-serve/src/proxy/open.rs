//! A target that is being served: what its connections share.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::Instant,
};

use crate::{
    agent::{host::Host, log::Log, peer::Peer},
    proxy::{
        budget::Budget,
        credentials::Credentials,
        entrance::Pass,
        tally::Tally,
        target::{Rule, Target},
        upstream::Upstream,
    },
    strict::course::Course,
};

/// A target with what is needed to serve it.
pub(crate) struct Open {
    pub(crate) target: Target,
    pub(crate) rules: Vec<Rule>,
    pub(crate) pass: Pass,
    pub(crate) scrubs_bodies: bool,
    pub(crate) upstream: Upstream,
    pub(crate) credentials: Credentials,
    /// Of the whole proxy.
    pub(crate) budget: Budget,
    pub(crate) tally: Arc<Tally>,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) log: Option<Arc<Log>>,
    /// Whose credential it is, for people: the environment and the profile.
    pub(crate) whose: Arc<(String, String)>,
    pub(crate) began: Instant,
    /// Held by what goes on when its connection is none of HTTP's any more.
    pub(crate) alive: mpsc::Sender<()>,
    /// The users that may come in by a unix socket, beside our own and root.
    pub(crate) users: Vec<u32>,
    /// For the connections of clients, of the whole proxy.
    pub(crate) room: Arc<Semaphore>,
}

impl Open {
    /// Whether this user may ask at a unix socket.
    pub(crate) fn admits(&self, uid: Option<u32>) -> bool {
        let us = rustix::process::geteuid().as_raw();
        uid.is_some_and(|uid| uid == us || uid == 0 || self.users.contains(&uid))
    }
}

/// Whoever is at the other end of a connection.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) peer: Peer,
    pub(crate) place: Place,
    pub(crate) course: Course,
}

/// Held by a connection, also when it is none of HTTP's any more.
#[derive(Clone)]
pub(crate) struct Place(Arc<Mutex<Held>>);

struct Held {
    is_of_strangers: bool,
    #[expect(dead_code, reason = "it is held")]
    permit: OwnedSemaphorePermit,
}

impl Place {
    /// One of a client's.
    pub(crate) fn new(permit: OwnedSemaphorePermit) -> Self {
        Self(Arc::new(Mutex::new(Held { is_of_strangers: false, permit })))
    }

    /// One of somebody who has not shown yet that they may ask.
    pub(crate) fn of_strangers(permit: OwnedSemaphorePermit) -> Self {
        Self(Arc::new(Mutex::new(Held { is_of_strangers: true, permit })))
    }

    /// They have. As soon as there is room for one more client, the place is free for the next stranger.
    pub(crate) async fn move_to(&self, room: &Arc<Semaphore>) {
        let is_of_strangers = self.0.lock().unwrap_or_else(PoisonError::into_inner).is_of_strangers;
        if is_of_strangers && let Ok(permit) = Arc::clone(room).acquire_owned().await {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Held { is_of_strangers: false, permit };
        }
    }
}
