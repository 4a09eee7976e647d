//! `[agent]`: the doors that `keyfob agent` opens, and the files that it keeps fresh.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::{String, ToString},
    vec::Vec,
};

use serde::Deserialize;

use super::mistake::Mistakes;
use crate::{contract::values, oauth::federation::Narrowing, time::span};

/// `[agent]` as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the keys are described in docs/configuration.md")]
pub struct RawAgent {
    #[serde(default)]
    pub doors: BTreeMap<String, RawDoor>,
    #[serde(default)]
    pub sink: Vec<RawSink>,
}

/// `[agent.doors.NAME]` as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the keys are described in docs/configuration.md")]
pub struct RawDoor {
    pub socket: Option<String>,
    pub profile: Option<String>,
    pub hosts: Option<Vec<String>>,
    pub headers_only: Option<bool>,
    pub scopes: Option<Vec<String>>,
    pub audience: Option<Vec<String>>,
    pub resource: Option<Vec<String>>,
    pub no_rejected: Option<bool>,
    pub lifetime: Option<String>,
    pub uids: Option<Vec<i64>>,
    pub log: Option<String>,
}

/// `[[agent.sink]]` as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the keys are described in docs/configuration.md")]
pub struct RawSink {
    pub path: Option<String>,
    pub format: Option<String>,
    pub mode: Option<String>,
    pub profile: Option<String>,
}

/// What an agent does that is started without options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agent {
    /// The doors, by their names.
    pub doors: BTreeMap<String, Door>,
    /// The files, in the order of the file.
    pub sinks: Vec<Sink>,
}

/// A door.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Door {
    /// The absolute path of its socket. `None`: one of its name, where things are kept that need not last.
    pub socket: Option<String>,
    /// The profile whose login it gives. `None`: the one that counts otherwise.
    pub profile: Option<String>,
    /// The origins that it is for. Empty: all that the credential may go to.
    pub hosts: Vec<String>,
    /// What its access tokens are narrowed to, by the provider. `None`: they are the login's own.
    pub narrowing: Option<Narrowing>,
    /// Whether it gives headers alone, for a request that is named.
    pub headers_only: bool,
    /// Whether it renews nothing that was rejected.
    pub no_rejected: bool,
    /// After how many seconds it closes.
    pub lifetime: Option<u64>,
    /// Users that it is open to, besides its own and root.
    pub users: Vec<u32>,
    /// The absolute path of its access log.
    pub log: Option<String>,
}

/// A file that is kept fresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sink {
    /// Its absolute path.
    pub path: String,
    /// What is in it.
    pub format: SinkFormat,
    /// Who may read it.
    pub mode: u32,
    /// The profile whose token it holds. `None`: the one that counts otherwise.
    pub profile: Option<String>,
}

/// What is in a file that is kept fresh.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum SinkFormat {
    /// The access token, on a line.
    #[default]
    Token,
    /// The headers, one on a line.
    Header,
    /// Everything about the access token, in JSON.
    Json,
    /// The ID token, on a line.
    IdToken,
    /// The vendor's file of a profile, without a refresh token.
    Credentials,
}

impl SinkFormat {
    /// All there are.
    pub const ALL: [Self; 5] = [Self::Token, Self::Header, Self::Json, Self::IdToken, Self::Credentials];

    /// Its name.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Header => "header",
            Self::Json => "json",
            Self::IdToken => "id-token",
            Self::Credentials => "credentials",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.word() == word)
    }
}

/// Who may read a file, as four digits say it: its owner, who alone may write, and perhaps its group.
fn mode(text: &str) -> Option<u32> {
    match text {
        "0400" => Some(0o400),
        "0440" => Some(0o440),
        "0600" => Some(0o600),
        "0640" => Some(0o640),
        _ => None,
    }
}

impl Agent {
    /// Reads what was written. What is wrong is noted.
    pub(super) fn read(raw: RawAgent, mistakes: &Mistakes) -> Self {
        let doors = raw.doors.into_iter().map(|(name, door)| {
            let door = read_door(&name, door, mistakes);
            (name, door)
        });
        let paths: Vec<_> = raw.sink.iter().map(|sink| sink.path.clone()).collect();
        let agent = Self {
            doors: doors.collect(),
            sinks: raw
                .sink
                .into_iter()
                .enumerate()
                .filter_map(|(at, sink)| read_sink(at, sink, mistakes))
                .collect(),
        };
        let mut known = BTreeSet::new();
        for (name, door) in &agent.doors {
            if door.socket.as_ref().is_some_and(|socket| !known.insert(socket)) {
                let expected = "expected a path of its own: another door has this one";
                mistakes.note(&["agent", "doors", name, "socket"], expected);
            }
        }
        known.extend(agent.doors.values().filter_map(|door| door.log.as_ref()));
        for (at, path) in paths.iter().enumerate() {
            let expected = match path {
                Some(path) if !known.insert(path) => {
                    "expected a path of its own: another file or socket has this one"
                }
                Some(path) if is_beside_a_file(path) => {
                    "expected another name: the agent writes such files beside those that it keeps"
                }
                _ => continue,
            };
            mistakes.note(&["agent", "sink", &at.to_string(), "path"], expected);
        }
        agent
    }
}

/// Whether a door may be called so. Its name is part of the path of its socket and a word in logs and metrics, where the files
/// have one of their own.
fn is_name(name: &str) -> bool {
    let is_in_it = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_';
    (1..=64).contains(&name.len()) && name.bytes().all(is_in_it) && name != FILES
}

/// What stands for the files where a door's name would.
const FILES: &str = "files";

/// Whether that is the name of a hidden file that is written beside one that is kept fresh.
fn is_beside_a_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.starts_with('.') && [".keyfob-new", ".keyfob-kept"].iter().any(|end| name.ends_with(end))
}

fn read_door(name: &str, raw: RawDoor, mistakes: &Mistakes) -> Door {
    let wrong = |key: &str, expected: &str| mistakes.note(&["agent", "doors", name, key], expected);
    if !is_name(name) {
        let expected = "expected a name of letters, digits, - and _ (64 at most), and not `files`";
        mistakes.note(&["agent", "doors", name], expected);
    }
    if raw.uids.as_ref().is_some_and(|uids| !uids.is_empty()) && raw.socket.is_none() {
        wrong(
            "uids",
            "expected a `socket` beside it: these users cannot enter the directory that it is in otherwise",
        );
    }
    let path = |key: &str, path: Option<String>| {
        let path = path?;
        let is_good = path.starts_with('/') && !path.ends_with('/') && !path.contains('\0');
        is_good.then_some(path).or_else(|| {
            wrong(key, "expected the absolute path of a file");
            None
        })
    };
    for (key, list) in [
        ("hosts", &raw.hosts),
        ("scopes", &raw.scopes),
        ("audience", &raw.audience),
        ("resource", &raw.resource),
    ] {
        // What was meant to narrow the door would leave it as wide as it can be.
        if list.as_ref().is_some_and(Vec::is_empty) {
            wrong(key, "expected one at least, or no such key");
        }
    }
    let hosts = raw.hosts.unwrap_or_default().into_iter();
    let hosts = hosts.filter_map(|host| match values::origin(&host) {
        Ok(origin) => Some(origin),
        Err(expected) => {
            wrong("hosts", expected);
            None
        }
    });
    let scopes = raw.scopes.unwrap_or_default();
    let narrowing =
        Narrowing::read(&scopes, raw.audience.unwrap_or_default(), raw.resource.unwrap_or_default());
    let narrowing = narrowing.unwrap_or_else(|(key, expected)| {
        wrong(key, expected);
        None
    });
    let lifetime = raw.lifetime.as_deref().and_then(|text| {
        let seconds = span(text).filter(|seconds| (1..=31_536_000).contains(seconds));
        if seconds.is_none() {
            wrong(
                "lifetime",
                "expected a time of up to a year with its unit: \"90s\", \"30m\", \"8h\", \"1d\"",
            );
        }
        seconds
    });
    let users = raw.uids.unwrap_or_default().into_iter().filter_map(|uid| {
        let uid = u32::try_from(uid).ok().filter(|uid| *uid != u32::MAX);
        if uid.is_none() {
            wrong("uids", "expected numbers of users");
        }
        uid
    });
    Door {
        socket: path("socket", raw.socket),
        profile: raw.profile,
        hosts: hosts.collect(),
        narrowing,
        headers_only: raw.headers_only.unwrap_or_default(),
        no_rejected: raw.no_rejected.unwrap_or_default(),
        lifetime,
        users: users.collect(),
        log: path("log", raw.log),
    }
}

fn read_sink(at: usize, raw: RawSink, mistakes: &Mistakes) -> Option<Sink> {
    let at = at.to_string();
    let wrong = |key: &str, expected: &str| mistakes.note(&["agent", "sink", &at, key], expected);
    let path = raw.path.filter(|path| path.starts_with('/') && !path.ends_with('/') && !path.contains('\0'));
    if path.is_none() {
        wrong("path", "expected the absolute path of a file");
    }
    let format = match raw.format.as_deref() {
        None => Some(SinkFormat::default()),
        Some(word) => SinkFormat::from_word(word).or_else(|| {
            let all = SinkFormat::ALL.map(|format| format!("\"{}\"", format.word()));
            wrong("format", &format!("expected one of {}", all.join(", ")));
            None
        }),
    };
    let mode = match raw.mode.as_deref() {
        None => Some(0o600),
        Some(text) => mode(text).or_else(|| {
            wrong(
                "mode",
                "expected \"0400\", \"0440\", \"0600\" or \"0640\": nobody else may read or write it",
            );
            None
        }),
    };
    let (path, format, mode) = (path?, format?, mode?);
    if format == SinkFormat::Credentials && mode & 0o077 != 0 {
        wrong(
            "mode",
            "expected \"0400\" or \"0600\": the vendor's programs refuse a file that others may read",
        );
    }
    Some(Sink { path, format, mode, profile: raw.profile })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(raw: RawAgent) -> Result<Agent, Vec<String>> {
        let mistakes = Mistakes::default();
        let agent = Agent::read(raw, &mistakes);
        let wrong: Vec<_> = mistakes.all().iter().map(|mistake| mistake.path().join(".")).collect();
        if wrong.is_empty() { Ok(agent) } else { Err(wrong) }
    }

    fn text(text: &str) -> Option<String> {
        Some(text.into())
    }

    #[test]
    fn a_door_is_read_and_its_defaults_are_the_widest_for_its_own_user() {
        let raw = RawDoor {
            socket: text("/run/user/1000/ci.sock"),
            profile: text("ci"),
            hosts: Some(Vec::from(["https://API.example.com/".into()])),
            no_rejected: Some(true),
            lifetime: text("8h"),
            uids: Some(Vec::from([1001])),
            ..RawDoor::default()
        };
        let doors = BTreeMap::from([("ci".into(), raw), ("plain".into(), RawDoor::default())]);
        let agent = read(RawAgent { doors, sink: Vec::new() }).unwrap();
        let ci = &agent.doors["ci"];
        assert_eq!((ci.lifetime, &*ci.users, ci.no_rejected), (Some(28_800), &[1001][..], true));
        assert_eq!(ci.hosts, ["https://api.example.com"]);
        assert_eq!(agent.doors["plain"], Door::default());
    }

    #[test]
    fn what_is_wrong_with_a_door_is_named_all_at_once() {
        let raw = RawDoor {
            socket: text("ci.sock"),
            hosts: Some(Vec::from(["api.example.com".into()])),
            lifetime: text("8 hours"),
            uids: Some(Vec::from([-1, 5_000_000_000])),
            log: text("/var/log/"),
            ..RawDoor::default()
        };
        let same = || RawDoor { socket: text("/run/a.sock"), ..RawDoor::default() };
        let doors = BTreeMap::from([("a b".into(), raw), ("c".into(), same()), ("d".into(), same())]);
        let mut wrong = read(RawAgent { doors, sink: Vec::new() }).unwrap_err();
        wrong.dedup();
        let expected = ["a b", "a b.socket", "a b.hosts", "a b.lifetime", "a b.uids", "a b.log", "d.socket"];
        let mut expected: Vec<_> = expected.iter().map(|key| format!("agent.doors.{key}")).collect();
        expected.sort();
        wrong.sort();
        assert_eq!(wrong, expected);
    }

    /// A name is joined to a path, and written where words are.
    #[test]
    fn a_name_is_a_word() {
        for (name, is_good) in [
            ("ci", true),
            ("Build_2-x", true),
            ("", false),
            (".", false),
            ("../x", false),
            ("/srv/x", false),
            ("a\nb", false),
            ("é", false),
            ("files", false),
        ] {
            let doors = BTreeMap::from([(name.into(), RawDoor::default())]);
            let wrong = read(RawAgent { doors, sink: Vec::new() }).err();
            let expected = (!is_good).then(|| Vec::from([format!("agent.doors.{name}")]));
            assert_eq!(wrong, expected, "{name:?}");
        }
    }

    /// The usual place of a socket is a directory of 0700.
    #[test]
    fn other_users_need_a_socket_that_they_can_come_to() {
        let door = |socket: Option<&str>| RawDoor {
            socket: socket.map(Into::into),
            uids: Some(Vec::from([1001])),
            ..RawDoor::default()
        };
        let one = |door| read(RawAgent { doors: BTreeMap::from([("ci".into(), door)]), sink: Vec::new() });
        assert!(one(door(Some("/srv/ci/ci.sock"))).is_ok());
        assert_eq!(one(door(None)).unwrap_err(), ["agent.doors.ci.uids"]);
    }

    #[test]
    fn each_file_has_a_path_of_its_own() {
        let sink = |path: &str| RawSink { path: text(path), ..RawSink::default() };
        let door = RawDoor { socket: text("/run/a.sock"), log: text("/run/log"), ..RawDoor::default() };
        let paths = ["/run/t", "/run/t", "/run/a.sock", "/run/log", "/run/.t.keyfob-new", "/run/t.new"];
        let doors = BTreeMap::from([("a".into(), door)]);
        let wrong = read(RawAgent { doors, sink: paths.map(sink).into() }).unwrap_err();
        assert_eq!(wrong, [1, 2, 3, 4].map(|at| format!("agent.sink.{at}.path")));
    }

    #[test]
    fn a_file_has_a_place_a_format_and_readers() {
        let sink = |path: &str, format: Option<&str>, mode: Option<&str>| RawSink {
            path: text(path),
            format: format.map(Into::into),
            mode: mode.map(Into::into),
            profile: None,
        };
        let one = |sink| read(RawAgent { sink: Vec::from([sink]), ..RawAgent::default() });
        let plain = one(sink("/run/token", None, None)).unwrap();
        assert_eq!((plain.sinks[0].format, plain.sinks[0].mode), (SinkFormat::Token, 0o600));
        for format in SinkFormat::ALL {
            let read = one(sink("/run/token", Some(format.word()), None)).unwrap();
            assert_eq!(read.sinks[0].format, format);
        }
        assert_eq!(one(sink("/run/token", Some("id-token"), Some("0640"))).unwrap().sinks[0].mode, 0o640);
        for (wrong, key) in [
            (sink("token", None, None), "path"),
            (RawSink::default(), "path"),
            (sink("/run/token", Some("jwt"), None), "format"),
            (sink("/run/token", None, Some("0644")), "mode"),
            (sink("/run/token", None, Some("600")), "mode"),
            (sink("/run/token", Some("credentials"), Some("0640")), "mode"),
        ] {
            assert_eq!(one(wrong).unwrap_err(), [format!("agent.sink.0.{key}")]);
        }
    }
}
