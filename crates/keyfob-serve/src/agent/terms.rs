//! What a door gives, and to whom. Pure: fuzzed as it stands.

use std::net::Ipv6Addr;

use http::Uri;
use keyfob::{Cause, Error, ErrorId, Result};

use crate::wire::{Narrowed, Question};

/// What may be asked through one door, and by whom.
#[derive(Clone, Debug, Default)]
pub(crate) struct Terms {
    pub(crate) name: String,
    pub(crate) environment: String,
    pub(crate) profile: String,
    /// Empty: all that the credential may go to.
    pub(crate) hosts: Vec<String>,
    /// What the tokens of its client are narrowed to, if they are not the login's own.
    pub(crate) narrowed: Option<Narrowed>,
    pub(crate) headers_only: bool,
    pub(crate) no_rejected: bool,
    pub(crate) users: Vec<u32>,
}

impl Terms {
    /// Whether this user may ask an agent of that one. Where the system does not say who it is, nobody may.
    pub(crate) fn admits(&self, us: u32, uid: Option<u32>) -> bool {
        uid.is_some_and(|uid| uid == us || uid == 0 || self.users.contains(&uid))
    }

    /// Refuses whom the door of this user is not open to, and everybody when its time is over.
    pub(crate) fn check_open(&self, is_over: bool, us: u32, uid: Option<u32>) -> Result<()> {
        if !self.admits(us, uid) {
            let who = uid.map_or("a user that the system does not tell".into(), |uid| format!("user {uid}"));
            return Err(self.refuse(Cause::DoorStranger {}, &format!("it is not open to {who}")));
        }
        if is_over {
            return Err(self.refuse(Cause::DoorClosed {}, "its time is over, and it has closed"));
        }
        Ok(())
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
                return Err(self.refuse(Cause::DoorLogin {}, &why));
            }
        }
        if self.no_rejected && question.rejected.is_some() {
            return Err(self.refuse(Cause::DoorRejected {}, "it renews no token because it was rejected"));
        }
        if wants_token {
            if question.url.is_some() || question.method.is_some() {
                let what = "a token is for no one request";
                return Err(Error::new(ErrorId::Usage, what, "`method` and `url` belong to /v1/headers"));
            }
            if self.headers_only {
                return Err(self.refuse(
                    Cause::DoorNarrow {},
                    "it gives headers for a request (/v1/headers), and no token",
                ));
            }
            if !self.hosts.is_empty() {
                return Err(self.refuse(
                    Cause::DoorNarrow {},
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
            return Err(self.refused("no credential goes with TRACE or CONNECT"));
        }
        let origin = origin(url)?;
        if !self.hosts.is_empty() && !self.hosts.contains(&origin) {
            return Err(self.refuse(Cause::DoorHost {}, &format!("it is not for {origin}")));
        }
        Ok(Some(origin))
    }

    /// A refusal of this door's.
    pub(crate) fn refuse(&self, cause: Cause, why: &str) -> Error {
        self.refused(why).because(cause)
    }

    fn refused(&self, why: &str) -> Error {
        Error::new(ErrorId::AgentRefused, format!("the agent's door `{}` does not give that", self.name), why)
    }
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
    if !is_host(&host) {
        return Err(malformed("its host is none"));
    }
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

/// A name of letters, digits, `-`, `_` and dots, or an address of IPv6 in brackets and nothing beside it. The reader of addresses also
/// takes `a[::1]` and escapes, which others read as another host, or as none.
fn is_host(host: &str) -> bool {
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match bracketed {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => {
            let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet);
            !host.is_empty() && host.bytes().all(is_plain)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door() -> Terms {
        Terms {
            name: "ci".into(),
            environment: "local".into(),
            profile: "default".into(),
            ..Terms::default()
        }
    }

    #[test]
    fn an_origin_is_read_and_never_repaired() {
        for (url, is) in [
            ("https://api.example.com/v1?x=1", Some("https://api.example.com")),
            ("https://API.example.com:443", Some("https://api.example.com")),
            ("http://127.0.0.1:3000/", Some("http://127.0.0.1:3000")),
            ("http://[::1]:80/", Some("http://[::1]")),
            ("wss://api.example.com/", None),
            ("https://a.example[::1]:3000/", None),
            ("https://[::1]a.example/", None),
            ("https://[::g]/", None),
            ("https://api%2eexample.com/", None),
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
        let refused = |door: &Terms, question: &Question, token| {
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
        for narrow in [
            Terms { headers_only: true, ..door() },
            Terms { hosts: vec!["https://a.example".into()], ..door() },
        ] {
            assert_eq!(refused(&narrow, &asked(None, None), true), Some(ErrorId::AgentRefused));
            let origin = narrow.check(&headers("GET", "https://a.example/x"), false).unwrap();
            assert_eq!(origin.as_deref(), Some("https://a.example"));
        }
        let rejected = Question { rejected: Some("x:1".into()), ..Question::default() };
        assert_eq!(refused(&open, &rejected, true), None);
        let steady = Terms { no_rejected: true, ..door() };
        assert_eq!(refused(&steady, &rejected, true), Some(ErrorId::AgentRefused));
        assert_eq!(refused(&steady, &asked(None, None), true), None);
        let narrow = Terms { hosts: vec!["https://a.example".into()], ..door() };
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
        let (us, other) = (1000, 1001);
        let door = door();
        assert!(door.admits(us, Some(us)) && door.admits(us, Some(0)));
        assert!(!door.admits(us, Some(other)) && !door.admits(us, None));
        let open = Terms { users: vec![other], ..door };
        assert!(open.admits(us, Some(other)));
    }
    #[test]
    fn a_door_says_whom_it_is_not_open_to_and_when_it_has_closed() {
        let cause = |is_over, uid| {
            let refused = door().check_open(is_over, 4711, uid).err()?;
            Some((refused.id(), refused.cause().cloned()))
        };
        assert_eq!((cause(false, Some(4711)), cause(false, Some(0))), (None, None));
        let closed = Some((ErrorId::AgentRefused, Some(Cause::DoorClosed {})));
        assert_eq!(cause(true, Some(4711)), closed);
        for stranger in [None, Some(4712)] {
            let told = Some((ErrorId::AgentRefused, Some(Cause::DoorStranger {})));
            assert_eq!(cause(false, stranger), told);
        }
    }
}
