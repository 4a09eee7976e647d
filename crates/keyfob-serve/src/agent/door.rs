//! A door: one narrowed way to one login. It can be made narrower, and nothing that comes through it makes it wider.

use std::{fs::File, sync::Arc, time::Duration};

use keyfob::Client;

use crate::{
    agent::{clock::awake_or_not, sink::Sink, terms::Terms},
    wire::Narrowed,
};

/// What may be asked through one socket, and by whom.
pub struct Door {
    pub(crate) terms: Terms,
    pub(crate) client: Arc<Client>,
    pub(crate) lifetime: Option<Duration>,
    pub(crate) sinks: Vec<Sink>,
    pub(crate) log: Option<File>,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door")
            .field("name", &self.terms.name)
            .field("profile", &self.terms.profile)
            .finish_non_exhaustive()
    }
}

impl Door {
    /// A door to the login of this client, which is that of this environment and profile. It is open to this user and to
    /// root.
    #[must_use]
    pub fn new(name: impl Into<String>, client: Client, environment: &str, profile: &str) -> Self {
        Self {
            terms: Terms {
                name: name.into(),
                environment: environment.into(),
                profile: profile.into(),
                ..Terms::default()
            },
            client: Arc::new(client),
            lifetime: None,
            sinks: Vec::new(),
            log: None,
        }
    }

    /// Only for these origins (`https://host[:port]`), among those that the credential may go to anyway.
    #[must_use]
    pub fn hosts(mut self, origins: Vec<String>) -> Self {
        self.terms.hosts = origins;
        self
    }

    /// Says what the tokens of this door's client are narrowed to.
    #[must_use]
    pub fn narrowed(mut self, to: Option<Narrowed>) -> Self {
        self.terms.narrowed = to;
        self
    }

    /// Only headers for a request that is named, and never a token that is good for any.
    #[must_use]
    pub fn headers_only(mut self, only: bool) -> Self {
        self.terms.headers_only = only;
        self
    }

    /// Renews nothing because it was rejected: whoever is behind this door cannot make the provider renew the login.
    #[must_use]
    pub fn no_rejected(mut self, none: bool) -> Self {
        self.terms.no_rejected = none;
        self
    }

    /// Closes after this time.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Option<Duration>) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Open to these users too, by their numbers.
    #[must_use]
    pub fn users(mut self, users: Vec<u32>) -> Self {
        self.terms.users = users;
        self
    }

    /// Keeps these files fresh for as long as the door is open.
    #[must_use]
    pub fn sinks(mut self, sinks: Vec<Sink>) -> Self {
        self.sinks = sinks;
        self
    }

    /// Appends a line of JSON for each request to this file.
    #[must_use]
    pub fn log(mut self, file: Option<File>) -> Self {
        self.log = file;
        self
    }

    /// Whether this user may ask.
    pub(crate) fn admits(&self, uid: Option<u32>) -> bool {
        self.terms.admits(rustix::process::geteuid().as_raw(), uid)
    }
}

/// When a door closes, by a clock that goes on while the machine sleeps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closing(Option<Duration>);

/// A timer stands still while the machine sleeps: the clock is looked at again after this time at the latest.
const LOOK: Duration = Duration::from_secs(60);

impl Closing {
    /// After this time from now.
    pub(crate) fn after(lifetime: Option<Duration>) -> Self {
        Self(lifetime.map(|lifetime| awake_or_not().saturating_add(lifetime)))
    }

    /// The time that is left.
    pub(crate) fn left(self) -> Option<Duration> {
        self.left_at(awake_or_not())
    }

    fn left_at(self, now: Duration) -> Option<Duration> {
        self.0.map(|end| end.saturating_sub(now))
    }

    /// Ends when the door closes.
    pub(crate) async fn closed(self) {
        while let Some(pause) = self.left_at(awake_or_not()).map_or(Some(LOOK), pause) {
            tokio::time::sleep(pause).await;
        }
    }
}

/// Until the next look at the clock. `None`: it is over.
fn pause(left: Duration) -> Option<Duration> {
    (!left.is_zero()).then(|| left.min(LOOK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_goes_on_while_the_machine_sleeps() {
        let hour = Duration::from_secs(3600);
        let closing = Closing::after(Some(hour));
        let end = closing.0.unwrap();
        assert!(closing.left().is_some_and(|left| !left.is_zero() && left <= hour));
        // However long a timer would still run: what the clock says counts, and it is looked at every minute.
        assert_eq!(closing.left_at(end + hour), Some(Duration::ZERO));
        assert_eq!(pause(hour), Some(Duration::from_secs(60)));
        assert_eq!(
            (pause(Duration::from_secs(1)), pause(Duration::ZERO)),
            (Some(Duration::from_secs(1)), None)
        );
        assert_eq!(Closing::after(None).left(), None);
    }
}
