//! A door: one narrowed way to one login. It can be made narrower, and nothing that comes through it makes it wider.

use std::{fs::File, sync::Arc, time::Duration};

use http::Uri;
use keyfob::{Client, Error, ErrorId, Result};

use crate::{
    agent::{clock::awake_or_not, sink::Sink},
    wire::Question,
};

/// What may be asked through one socket, and by whom.
pub struct Door {
    pub(crate) name: String,
    pub(crate) client: Arc<Client>,
    pub(crate) environment: String,
    pub(crate) profile: String,
    pub(crate) hosts: Vec<String>,
    pub(crate) headers_only: bool,
    pub(crate) no_rejected: bool,
    pub(crate) lifetime: Option<Duration>,
    users: Vec<u32>,
    pub(crate) sinks: Vec<Sink>,
    pub(crate) log: Option<File>,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door")
            .field("name", &self.name)
            .field("profile", &self.profile)
            .finish_non_exhaustive()
    }
}

impl Door {
    /// A door to the login of this client, which is that of this environment and profile. It is open to this user and to
    /// root.
    #[must_use]
    pub fn new(name: impl Into<String>, client: Client, environment: &str, profile: &str) -> Self {
        Self {
            name: name.into(),
            client: Arc::new(client),
            environment: environment.into(),
            profile: profile.into(),
            hosts: Vec::new(),
            headers_only: false,
            no_rejected: false,
            lifetime: None,
            users: Vec::new(),
            sinks: Vec::new(),
            log: None,
        }
    }

    /// Only for these origins (`https://host[:port]`), among those that the credential may go to anyway.
    #[must_use]
    pub fn hosts(mut self, origins: Vec<String>) -> Self {
        self.hosts = origins;
        self
    }

    /// Only headers for a request that is named, and never a token that is good for any.
    #[must_use]
    pub fn headers_only(mut self, only: bool) -> Self {
        self.headers_only = only;
        self
    }

    /// Renews nothing because it was rejected: whoever is behind this door cannot make the provider renew the login.
    #[must_use]
    pub fn no_rejected(mut self, none: bool) -> Self {
        self.no_rejected = none;
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
        self.users = users;
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

    /// Whether this user may ask. Where the system does not say who it is, nobody may.
    pub(crate) fn admits(&self, uid: Option<u32>) -> bool {
        let us = rustix::process::geteuid().as_raw();
        uid.is_some_and(|uid| uid == us || uid == 0 || self.users.contains(&uid))
    }

    /// Refuses what is meant for another login, or is more than this door gives. Returns the origin of the request that
    /// headers are for.
    pub(crate) fn check(&self, question: &Question, wants_token: bool) -> Result<Option<String>> {
        let others = [
            ("profile", &question.profile, &self.profile),
            ("environment", &question.environment, &self.environment),
        ];
        for (what, asked, own) in others {
            if asked.as_ref().is_some_and(|asked| asked != own) {
                let why = format!("it is for the {what} `{own}`, and another one was asked for");
                return Err(self.refuse(&why));
            }
        }
        if self.no_rejected && question.rejected.is_some() {
            return Err(self.refuse("it renews no token because it was rejected"));
        }
        if wants_token {
            if question.url.is_some() || question.method.is_some() {
                let what = "a token is for no one request";
                return Err(Error::new(ErrorId::Usage, what, "`method` and `url` belong to /v1/headers"));
            }
            if self.headers_only {
                return Err(self.refuse("it gives headers for a request (/v1/headers), and no token"));
            }
            if !self.hosts.is_empty() {
                return Err(self.refuse(
                    "it is for some hosts alone: it gives headers for a request (/v1/headers), and no token",
                ));
            }
            return Ok(None);
        }
        let (Some(method), Some(url)) = (&question.method, &question.url) else {
            let what = "headers are for one request";
            return Err(Error::new(ErrorId::Usage, what, "`method` or `url` is missing"));
        };
        if http::Method::from_bytes(method.as_bytes()).is_err() {
            return Err(Error::new(ErrorId::Usage, "the `method` is malformed", "it is no method of HTTP"));
        }
        // RFC 9110 §9.3.8: the answer of a TRACE is the request, credential and all.
        if matches!(method.as_str(), "TRACE" | "CONNECT") {
            return Err(self.refuse("no credential goes with TRACE or CONNECT"));
        }
        let origin = origin(url)?;
        if !self.hosts.is_empty() && !self.hosts.contains(&origin) {
            return Err(self.refuse(&format!("it is not for {origin}")));
        }
        Ok(Some(origin))
    }

    /// A refusal of this door's.
    pub(crate) fn refuse(&self, why: &str) -> Error {
        Error::new(ErrorId::AgentRefused, format!("the agent's door `{}` does not give that", self.name), why)
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

/// The origin of an address, as the library spells one (RFC 6454 §6.1). Nothing is repaired: a lenient reader and a
/// strict one may see two hosts in one text.
pub(crate) fn origin(url: &str) -> Result<String> {
    let malformed = |why: &str| Error::new(ErrorId::Usage, "the `url` is malformed", why);
    let uri: Uri = url.parse().map_err(|_| malformed("it is no absolute http or https address"))?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(malformed("it is no absolute http or https address"));
    };
    if authority.as_str().contains('@') {
        return Err(malformed("it has a user name in it"));
    }
    let usual = match scheme {
        "https" => 443,
        "http" => 80,
        _ => return Err(malformed("it is no absolute http or https address")),
    };
    let host = authority.host().to_ascii_lowercase();
    // Its reader would take `+443` and `0443` too.
    let is_plain = |port: &str| !port.starts_with('0') && port.bytes().all(|octet| octet.is_ascii_digit());
    let port = authority.port().filter(|port| is_plain(port.as_str()));
    let port = match (port.map(|port| port.as_u16()), authority.as_str().len() == authority.host().len()) {
        (Some(port), _) => port,
        (None, true) => usual,
        (None, false) => return Err(malformed("its port is malformed")),
    };
    let port = if port == usual { String::new() } else { format!(":{port}") };
    Ok(format!("{scheme}://{host}{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyfob::testing::Simulation;

    fn door() -> Door {
        let client = Simulation::signed_in().unwrap().client();
        Door::new("ci", client, "local", "default")
    }

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

    #[test]
    fn an_origin_is_read_and_never_repaired() {
        for (url, is) in [
            ("https://api.example.com/v1?x=1", Some("https://api.example.com")),
            ("https://API.example.com:443", Some("https://api.example.com")),
            ("http://127.0.0.1:3000/", Some("http://127.0.0.1:3000")),
            ("http://[::1]:80/", Some("http://[::1]")),
            ("wss://api.example.com/", None),
            ("https://api.example.com@evil.example/", None),
            ("https:/api.example.com", None),
            ("https://api.example.com\\@evil.example/", None),
            ("https://api.exa\tmple.com/", None),
            ("https://api.example.com:99999/", None),
            ("https://api.example.com:/", None),
            ("https://api.example.com:+443/", None),
            ("https://api.example.com:0443/", None),
            ("https://api.example.com:-1/", None),
            ("https://api.example.com:0/", None),
            ("/v1/token", None),
            ("", None),
        ] {
            assert_eq!(origin(url).ok().as_deref(), is, "{url}");
        }
    }

    #[test]
    fn a_door_gives_what_it_is_for_and_nothing_else() {
        let asked = |profile: Option<&str>, environment: Option<&str>| Question {
            profile: profile.map(Into::into),
            environment: environment.map(Into::into),
            ..Question::default()
        };
        let headers = |method: &str, url: &str| Question {
            method: Some(method.into()),
            url: Some(url.into()),
            ..Question::default()
        };
        let refused = |door: &Door, question: &Question, token| {
            door.check(question, token).err().map(|error| error.id())
        };
        let open = door();
        assert_eq!(refused(&open, &asked(None, None), true), None);
        assert_eq!(refused(&open, &asked(Some("default"), Some("local")), true), None);
        assert_eq!(refused(&open, &asked(Some("work"), None), true), Some(ErrorId::AgentRefused));
        assert_eq!(refused(&open, &asked(None, Some("production")), true), Some(ErrorId::AgentRefused));
        assert_eq!(refused(&open, &headers("GET", "https://a.example/"), true), Some(ErrorId::Usage));
        assert_eq!(refused(&open, &asked(None, None), false), Some(ErrorId::Usage));
        assert_eq!(refused(&open, &headers("G T", "https://a.example/"), false), Some(ErrorId::Usage));
        assert_eq!(
            refused(&open, &headers("TRACE", "https://a.example/"), false),
            Some(ErrorId::AgentRefused)
        );
        for narrow in [door().headers_only(true), door().hosts(vec!["https://a.example".into()])] {
            assert_eq!(refused(&narrow, &asked(None, None), true), Some(ErrorId::AgentRefused));
            let origin = narrow.check(&headers("GET", "https://a.example/x"), false).unwrap();
            assert_eq!(origin.as_deref(), Some("https://a.example"));
        }
        let rejected = Question { rejected: Some("x:1".into()), ..Question::default() };
        assert_eq!(refused(&open, &rejected, true), None);
        let steady = door().no_rejected(true);
        assert_eq!(refused(&steady, &rejected, true), Some(ErrorId::AgentRefused));
        assert_eq!(refused(&steady, &asked(None, None), true), None);
        let narrow = door().hosts(vec!["https://a.example".into()]);
        for other in ["https://b.example/", "https://a.example:8443/", "http://a.example/"] {
            assert_eq!(
                refused(&narrow, &headers("GET", other), false),
                Some(ErrorId::AgentRefused),
                "{other}"
            );
        }
    }

    #[test]
    fn a_door_is_open_to_its_own_user_to_root_and_to_those_it_names() {
        let us = rustix::process::geteuid().as_raw();
        let door = door();
        assert!(door.admits(Some(us)) && door.admits(Some(0)));
        assert!(!door.admits(Some(us + 4711)) && !door.admits(None));
        assert!(door.users(vec![us + 4711]).admits(Some(us + 4711)));
    }
}
