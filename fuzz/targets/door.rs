//! A door of an agent: its configuration, and what is asked at it. The first line is the configuration of doors as JSON (the file's own
//! reader, without TOML around it), the second one the address, method and a header of a request, and the rest its body.
//!
//! A configuration that is accepted says what it says in every spelling of it; a door gives what its own configuration allows and never
//! more, as this file reads it by itself.
#![no_main]

extern crate self as keyfob;
pub use keyfob_core::{Cause, Error, Id as ErrorId, Result, login::record::Generation};

#[path = "../../crates/keyfob-serve/src/agent/asked.rs"]
mod asked;
#[path = "../../crates/keyfob-serve/src/agent/terms.rs"]
#[expect(dead_code, reason = "what a door is narrowed to is asked of the provider, and only told here")]
mod terms;
#[path = "../../crates/keyfob-serve/src/wire.rs"]
#[expect(dead_code, reason = "answers are not looked at here")]
mod wire;

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use keyfob_core::{
    config::{
        Config, RawConfig,
        agent::{Agent, Door, RawAgent, RawDoor, RawSink},
    },
    oauth::federation::Narrowing,
};
use keyfob_fuzz::{assert_harmless, assert_tellable};
use libfuzzer_sys::fuzz_target;
use url::{Host, Url};

fuzz_target!(|input: &[u8]| {
    // There are no secrets here to look for, and names are told.
    if input.windows(4).any(|part| part == b"kfz7") {
        return;
    }
    let mut parts = input.splitn(3, |octet| *octet == b'\n');
    let (Some(file), Some(head), Some(body)) = (parts.next(), parts.next(), parts.next()) else { return };
    let Ok(file) = serde_json::from_slice::<RawAgent>(file) else { return };
    let agent = match Config::parse(RawConfig { agent: file, ..RawConfig::default() }) {
        Ok(config) => config.agent,
        Err(error) => {
            assert_eq!(error.id(), ErrorId::ConfigMalformed);
            return assert_tellable(&error);
        }
    };
    let again = Config::parse(RawConfig { agent: written(&agent), ..RawConfig::default() });
    assert_eq!(again.expect("it is accepted as it is written").agent, agent, "written and read again");
    for (name, door) in &agent.doors {
        check_configuration(name, door);
        check_request(name, door, head, body);
    }
});

/// The configuration as a person would write down what was understood of it.
fn written(agent: &Agent) -> RawAgent {
    let door = |door: &Door| RawDoor {
        socket: door.socket.clone(),
        profile: door.profile.clone(),
        hosts: (!door.hosts.is_empty()).then(|| door.hosts.clone()),
        headers_only: Some(door.headers_only),
        scopes: list(door, |narrowing| narrowing.scopes.iter().map(str::to_owned).collect()),
        audience: list(door, |narrowing| narrowing.audience.clone()),
        resource: list(door, |narrowing| narrowing.resource.clone()),
        no_rejected: Some(door.no_rejected),
        lifetime: door.lifetime.map(|seconds| format!("{seconds}s")),
        uids: Some(door.users.iter().copied().map(i64::from).collect()),
        log: door.log.clone(),
    };
    RawAgent {
        doors: agent.doors.iter().map(|(name, one)| (name.clone(), door(one))).collect::<BTreeMap<_, _>>(),
        sink: agent
            .sinks
            .iter()
            .map(|sink| RawSink {
                path: Some(sink.path.clone()),
                format: Some(sink.format.word().into()),
                mode: Some(format!("{:04o}", sink.mode)),
                profile: sink.profile.clone(),
            })
            .collect(),
    }
}

fn list(door: &Door, of: impl Fn(&Narrowing) -> Vec<String>) -> Option<Vec<String>> {
    door.narrowing.as_ref().map(of).filter(|list| !list.is_empty())
}

/// What a name and a path are joined to is not left by them, and an origin is nothing else.
fn check_configuration(name: &str, door: &Door) {
    assert!(!name.is_empty() && !name.contains(['/', '.', '\0', '\n', ' ']));
    assert_harmless(name);
    for path in [&door.socket, &door.log].into_iter().flatten() {
        assert!(path.starts_with('/') && !path.ends_with('/') && !path.contains('\0'));
    }
    for host in &door.hosts {
        let url = Url::parse(host).expect("an origin");
        assert_eq!(&url.origin().ascii_serialization(), host);
        let is_loopback = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        assert!(url.scheme() == "https" || is_loopback, "{host} is not encrypted");
    }
    // What is there narrows.
    assert!(door.narrowing.as_ref().is_none_or(|narrowing| *narrowing != Narrowing::default()));
    assert!(door.lifetime.is_none_or(|seconds| seconds > 0));
}

fn check_request(name: &str, door: &Door, head: &[u8], body: &[u8]) {
    let terms = terms::Terms {
        name: name.into(),
        environment: "production".into(),
        profile: door.profile.clone().unwrap_or_else(|| "default".into()),
        hosts: door.hosts.clone(),
        narrowed: None,
        headers_only: door.headers_only,
        no_rejected: door.no_rejected,
        users: door.users.clone(),
    };
    for uid in [Some(0), Some(1000), Some(1001), Some(u32::MAX), None].into_iter().chain(door.users.iter().copied().map(Some)) {
        let is_named = uid.is_some_and(|uid| uid == 0 || uid == 1000 || door.users.contains(&uid));
        assert_eq!(terms.admits(1000, uid), is_named);
    }
    check_head(head);
    let question = match asked::question(body) {
        Ok(question) => question,
        Err(refusal) => {
            assert_eq!(refusal.status, 400);
            return assert_tellable(&refusal.error);
        }
    };
    let printed = serde_json::to_vec(&question).expect("a question is written");
    assert_eq!(asked::question(&printed).ok(), Some(question.clone()), "written and read again");
    if let Some(handle) = &question.rejected {
        match asked::rejected(handle) {
            Ok(generation) => assert_eq!(&generation.to_string(), handle),
            Err(refusal) => assert_tellable(&refusal.error),
        }
    }
    for wants_token in [true, false] {
        let origin = match terms.check(&question, wants_token) {
            Ok(origin) => origin,
            Err(error) => {
                assert!(matches!(error.id(), ErrorId::AgentRefused | ErrorId::Usage));
                assert_tellable(&error);
                continue;
            }
        };
        // The law, read by itself: only this login, and only in this form.
        assert!(question.profile.is_none_or_is(&terms.profile) && question.environment.is_none_or_is("production"));
        assert!(!door.no_rejected || question.rejected.is_none(), "it renews what was rejected");
        assert_eq!(origin.is_none(), wants_token);
        if wants_token {
            assert!(!door.headers_only && door.hosts.is_empty(), "it gives a token");
            continue;
        }
        let (method, url) = (question.method.as_deref().expect("a method"), question.url.as_deref().expect("a URL"));
        assert!(method != "TRACE" && method != "CONNECT");
        // By another reader of addresses, which repairs: what it makes of the text is the origin all the same.
        let origin = origin.expect("an origin");
        // It knows more of names (IDNA) and of addresses, and may refuse what is plain to us; it may not read another one.
        if let Ok(read) = Url::parse(url) {
            assert_eq!(read.username(), "");
            assert!(read.password().is_none());
            assert_eq!(read.origin(), Url::parse(&origin).expect("an origin").origin());
        }
        assert!(door.hosts.is_empty() || door.hosts.contains(&origin), "it is for {origin}");
    }
}

/// Whether a request gets any further follows from its head, whatever is in the rest of it.
fn check_head(head: &[u8]) {
    let mut words = head.splitn(3, |octet| *octet == b' ');
    let (Some(address), Some(name), Some(value)) = (words.next(), words.next(), words.next()) else { return };
    let (Ok(address), Ok(name), Ok(value)) =
        (Uri::try_from(address), HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
    else {
        return;
    };
    let right = [("keyfob", "1"), ("host", "keyfob")];
    for left_out in 0..3 {
        let lines = right.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, line)| line);
        let mut headers: HeaderMap =
            lines.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect();
        headers.append(name.clone(), value.clone());
        assert!(asked::patience(&headers).as_secs() <= 60, "it waits for ever");
        match asked::check_head(&address, &headers) {
            Ok(()) => {
                assert_eq!(headers.get_all("keyfob").iter().collect::<Vec<_>>(), ["1"]);
                assert_eq!(headers.get_all("host").iter().collect::<Vec<_>>(), ["keyfob"]);
                assert!(address.host().is_none() && address.query().is_none());
                for strange in ["origin", "referer", "via", "forwarded", "x-forwarded-for", "sec-fetch-site"] {
                    assert!(!headers.contains_key(strange), "a page may ask");
                }
            }
            Err(refusal) => {
                assert_eq!(refusal.status, 400);
                assert_tellable(&refusal.error);
            }
        }
    }
}

trait NoneOrIs {
    fn is_none_or_is(&self, expected: &str) -> bool;
}

impl NoneOrIs for Option<String> {
    fn is_none_or_is(&self, expected: &str) -> bool {
        self.as_deref().is_none_or(|text| text == expected)
    }
}
