//! Reads the configuration file's text. All mistakes are reported together, each with its line and key.

use std::{ops::Range, path::Path};

use keyfob_core::{
    Cause, Error, Id,
    config::{
        Config, Mistake, RawConfig,
        keys::{KEYS, Key, Section},
    },
    error::escape,
};
use serde::Deserialize;
use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};

use super::config_shape::{fits, line, nearest, span_of};
use crate::world::system::shown;

/// What sort of mistake it is.
enum Wrong {
    /// It is not TOML.
    Syntax,
    /// This key holds something that it cannot mean.
    Value(String),
    /// This key belongs into this section.
    Misplaced(String, &'static str),
    /// There is no such key; perhaps this one was meant.
    Unknown(String, Option<&'static str>),
}

/// The configuration that a text holds. `path` is where it was read, or will be written.
///
/// # Errors
/// [`Id::ConfigMalformed`] for every mistake that can be found, with its line.
pub(crate) fn parse(path: &Path, text: &str) -> Result<Config, Vec<Error>> {
    // The usual way, on which `keyfob token` is many times an hour: nothing is looked up twice.
    if let Ok(raw) = toml::from_str::<RawConfig>(text)
        && let Ok(config) = Config::read(raw)
    {
        return Ok(config);
    }
    let mut found = Found { path, text, mistakes: Vec::new() };
    found.look();
    if found.mistakes.is_empty() {
        found.note(0, format!("{} is malformed", shown(path)), "it cannot be read".into(), Wrong::Syntax);
    }
    found.mistakes.sort_by_key(|(at, _)| *at);
    Err(found.mistakes.into_iter().map(|(_, error)| error).collect())
}

/// What has been found, each by its place.
struct Found<'f> {
    path: &'f Path,
    text: &'f str,
    mistakes: Vec<(usize, Error)>,
}

/// A key with what it holds, as it is written.
type Entry<'e, 'i> = (&'e Spanned<DeString<'i>>, &'e Spanned<DeValue<'i>>);

/// Keeps the entries of which that is said.
fn retain<'i>(
    table: &mut DeTable<'i>,
    mut keep: impl FnMut(&Spanned<DeString<'i>>, &mut Spanned<DeValue<'i>>) -> bool,
) {
    for (key, mut value) in std::mem::take(table) {
        if keep(&key, &mut value) {
            table.insert(key, value);
        }
    }
}

impl Found<'_> {
    fn look(&mut self) {
        let (whole, broken) = DeTable::parse_recoverable(self.text);
        for error in &broken {
            let at = error.span().map_or(0, |span| span.start);
            let what = format!("{}, line {}: this is not TOML", shown(self.path), self.line(at));
            let why = escape(error.message());
            self.note(at, what, why, Wrong::Syntax);
        }
        // What a parser makes of the rest is a guess: nothing is said about that.
        if !broken.is_empty() {
            return;
        }
        let mut good = whole;
        let mut unsure = Vec::new();
        self.sections(good.get_mut(), &mut unsure);
        let Ok(raw) = RawConfig::deserialize(toml::Deserializer::from(good.clone())) else { return };
        let Err(mistakes) = Config::read(raw) else { return };
        for mistake in mistakes {
            // What was left out because it is wrong may be what is missed here.
            if !unsure.iter().any(|path| mistake.path().starts_with(path)) {
                self.value(good.get_ref(), &mistake);
            }
        }
    }

    /// Looks at every key, and leaves out what cannot be read.
    fn sections(&mut self, top: &mut DeTable<'_>, unsure: &mut Vec<Vec<String>>) {
        retain(top, |key, value| match (key.get_ref().as_ref(), value.get_ref()) {
            ("environments" | "proxy" | "telemetry" | "agent", DeValue::Table(_)) => true,
            ("proxy", _) => self.shape((key, value), "", "expected tables: [proxy.NAME]"),
            ("environments", _) => {
                let expected = "expected tables: [environments.NAME]";
                self.shape((key, value), "", expected)
            }
            ("agent", _) => {
                self.shape((key, value), "", "expected tables: [agent.doors.NAME] and [[agent.sink]]")
            }
            ("telemetry", _) => self.shape((key, value), "", "expected a table: [telemetry]"),
            (name, DeValue::Table(_)) => {
                let name = escape(name);
                let what = format!("there is no section [{name}]");
                let why = match name.as_str() {
                    "environment" | "env" => {
                        "the tables of environments are called [environments.NAME]".into()
                    }
                    name if KEYS.iter().any(|key| key.name == name) => {
                        format!("`{name}` is a key, and no table")
                    }
                    name => format!(
                        "the sections are [telemetry], [proxy.NAME], [environments.NAME], [agent.doors.NAME] and [[agent.sink]]: \
                         [environments.{name}]?"
                    ),
                };
                self.note_at(key, &what, why, Wrong::Value(name));
                false
            }
            _ => self.key((key, value), Section::Top, ""),
        });
        for (name, value) in top.iter_mut() {
            let DeValue::Table(table) = value.get_mut() else { continue };
            if name.get_ref() == "telemetry" {
                retain(table, |key, value| self.key((key, value), Section::Telemetry, "telemetry"));
            } else if name.get_ref() == "agent" {
                self.agent(table);
            } else if name.get_ref() == "proxy" {
                retain(table, |name, value| match value.get_mut() {
                    DeValue::Table(keys) => {
                        let title = format!("proxy.{}", escape(name.get_ref()));
                        retain(keys, |key, value| {
                            let is_good = self.key((key, value), Section::Proxy, &title);
                            if !is_good {
                                unsure.push(vec!["proxy".into(), name.get_ref().to_string()]);
                            }
                            is_good
                        });
                        true
                    }
                    _ => self.shape((name, value), "proxy", "expected a table: [proxy.NAME]"),
                });
            } else {
                retain(table, |name, value| match value.get_mut() {
                    DeValue::Table(keys) => {
                        let title = format!("environments.{}", escape(name.get_ref()));
                        retain(keys, |key, value| {
                            if key.get_ref() == "federation" {
                                return self.federation((key, value), &title);
                            }
                            let is_good = self.key((key, value), Section::Environment, &title);
                            if !is_good && Key::find(Section::Environment, key.get_ref()).is_some() {
                                unsure.push(vec!["environments".into(), name.get_ref().to_string()]);
                            }
                            is_good
                        });
                        true
                    }
                    _ => {
                        unsure.push(vec!["environment".into()]);
                        self.shape((name, value), "environments", "expected a table: [environments.NAME]")
                    }
                });
            }
        }
    }

    /// Looks at every key of a federation, and leaves out what cannot be read.
    fn federation(
        &mut self,
        (key, value): (&Spanned<DeString<'_>>, &mut Spanned<DeValue<'_>>),
        title: &str,
    ) -> bool {
        let DeValue::Table(keys) = value.get_mut() else {
            return self.shape((key, value), title, "expected a table: [environments.NAME.federation]");
        };
        let title = format!("{title}.federation");
        retain(keys, |key, value| self.key((key, value), Section::Federation, &title));
        true
    }

    /// Looks at every key of the agent's doors and files, and leaves out what cannot be read.
    fn agent(&mut self, tables: &mut DeTable<'_>) {
        retain(tables, |part, value| match (part.get_ref().as_ref(), value.get_mut()) {
            ("doors", DeValue::Table(doors)) => {
                retain(doors, |name, door| match door.get_mut() {
                    DeValue::Table(keys) => {
                        let title = format!("agent.doors.{}", escape(name.get_ref()));
                        retain(keys, |key, value| self.key((key, value), Section::Door, &title));
                        true
                    }
                    _ => self.shape((name, door), "agent.doors", "expected a table: [agent.doors.NAME]"),
                });
                true
            }
            ("sink", DeValue::Array(sinks)) if sinks.iter().all(|sink| sink.get_ref().is_table()) => {
                for sink in sinks.iter_mut() {
                    if let DeValue::Table(keys) = sink.get_mut() {
                        retain(keys, |key, value| self.key((key, value), Section::Sink, SINK));
                    }
                }
                true
            }
            ("doors", _) => self.shape((part, value), "agent", "expected tables: [agent.doors.NAME]"),
            ("sink", _) => self.shape((part, value), "agent", "expected a list of tables: [[agent.sink]]"),
            (name, _) => {
                let name = escape(name);
                let what = format!("`{name}` is not a key of [agent]");
                let why = "there are [agent.doors.NAME] and [[agent.sink]]".into();
                self.note_at(part, &what, why, Wrong::Value(name));
                false
            }
        });
    }

    /// Whether this key belongs here and holds what can be read.
    fn key(&mut self, (key, value): Entry<'_, '_>, here: Section, title: &str) -> bool {
        let name = key.get_ref().as_ref();
        if let Some(known) = Key::find(here, name) {
            return fits(known.holds, value.get_ref()) || {
                self.shape((key, value), title, known.holds.expected())
            };
        }
        let is = match here {
            Section::Top => format!("`{}` is not a key of the part above the sections", escape(name)),
            _ => format!("`{}` is not a key of [{title}]", escape(name)),
        };
        let elsewhere = KEYS.iter().find(|key| key.name == name);
        let (why, wrong) = match elsewhere.map(|key| key.section) {
            Some(section) => {
                let place = match section {
                    Section::Top => "above the first [section]",
                    Section::Environment => "under [environments.NAME]",
                    Section::Federation => "under [environments.NAME.federation]",
                    Section::Proxy => "under [proxy.NAME]",
                    Section::Telemetry => "under [telemetry]",
                    Section::Door => "under [agent.doors.NAME]",
                    Section::Sink => "under [[agent.sink]]",
                };
                (format!("it belongs {place}"), Wrong::Misplaced(escape(name), place))
            }
            None => ("there is no such key".into(), Wrong::Unknown(escape(name), nearest(name, here))),
        };
        self.note_at(key, &is, why, wrong);
        false
    }

    /// Notes that a key holds something of another kind. It is not read.
    fn shape(&mut self, (key, value): Entry<'_, '_>, title: &str, expected: &str) -> bool {
        let what = malformed(key.get_ref(), title);
        let is = match value.get_ref() {
            DeValue::String(_) => "text",
            DeValue::Integer(_) | DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        let wrong = Wrong::Value(escape(key.get_ref()));
        self.note_at(key, &what, format!("{expected}; this is {is}"), wrong);
        false
    }

    /// Notes what is wrong with a value, at the key that holds it, or where that is missed.
    fn value(&mut self, top: &DeTable<'_>, mistake: &Mistake) {
        let at = span_of(top, mistake.path()).unwrap_or(0..0);
        let (title, key) = match mistake.path() {
            // Which of them it is, the line says.
            [agent, sink, _, key] if agent == "agent" && sink == "sink" => (SINK.to_owned(), key.as_str()),
            [tables @ .., key] => (tables.join("."), key.as_str()),
            [] => (String::new(), ""),
        };
        let what = malformed(key, &escape(&title));
        let wrong = Wrong::Value(escape(key));
        self.place(at, &what, mistake.expected().to_owned(), wrong);
    }

    fn note_at(&mut self, key: &Spanned<DeString<'_>>, what: &str, why: String, wrong: Wrong) {
        self.place(key.span(), what, why, wrong);
    }

    fn place(&mut self, at: Range<usize>, what: &str, why: String, wrong: Wrong) {
        let what = format!("{}, line {}: {what}", shown(self.path), self.line(at.start));
        self.note(at.start, what, why, wrong);
    }

    fn note(&mut self, at: usize, what: String, why: String, wrong: Wrong) {
        let (path, line) = (shown(self.path), self.line(at) as u64);
        let cause = match wrong {
            Wrong::Syntax => Cause::ConfigSyntax { path, line },
            Wrong::Value(key) => Cause::ConfigValue { path, line, key },
            Wrong::Misplaced(key, place) => {
                Cause::ConfigKeyMisplaced { path, line, key, place: place.into() }
            }
            Wrong::Unknown(key, nearest) => {
                Cause::ConfigKeyUnknown { path, line, key, nearest: nearest.map(str::to_owned) }
            }
        };
        self.mistakes.push((at, Error::new(Id::ConfigMalformed, what, why).because(cause)));
    }

    fn line(&self, at: usize) -> usize {
        line(self.text, at)
    }
}

/// How the tables of files are written, but for the outer brackets.
const SINK: &str = "[agent.sink]";

fn malformed(key: &str, title: &str) -> String {
    match title {
        "" => format!("`{}` is malformed", escape(key)),
        title => format!("`{}` of [{title}] is malformed", escape(key)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyfob_core::config::keys::Holds;

    /// Everything that is said of this text: line, what, why.
    fn said(text: &str) -> Vec<String> {
        let Err(all) = parse(Path::new("/c.toml"), text) else { return Vec::new() };
        all.iter()
            .map(|error| {
                assert_eq!(error.id(), Id::ConfigMalformed);
                assert!(error.cause().is_some(), "{error}");
                format!("{}: {}", error.what().strip_prefix("/c.toml, line ").expect("a line"), error.why())
            })
            .collect()
    }

    #[track_caller]
    fn says(text: &str, expected: &[&str]) {
        assert_eq!(said(text), expected, "{text}");
    }

    #[test]
    fn what_is_right_is_read() {
        says("", &[]);
        says(
            "environment = \"work\"\n[environments.work]\nissuer = \"https://id.example\"\nport = 8000\n",
            &[],
        );
        says("environments.work.issuer = \"https://id.example\"\ntelemetry = { email = false }", &[]);
        says("\u{feff}seal = \"file\"\r\n", &[]);
    }

    #[test]
    fn what_is_wrong_with_a_door_or_a_file_is_named_with_its_line() {
        says("[agent.doors.ci]\nhosts = [\"https://a.example\"]\n[[agent.sink]]\npath = \"/run/t\"\n", &[]);
        says(
            "[agent.doors.ci]\nsocket = \"ci\"\nhost = [\"https://a.example\"]\nuids = \"me\"\n",
            &[
                "2: `socket` of [agent.doors.ci] is malformed: expected the absolute path of a file",
                "3: `host` is not a key of [agent.doors.ci]: there is no such key",
                "4: `uids` of [agent.doors.ci] is malformed: expected a list of numbers: [1000, 1001]; this is text",
            ],
        );
        says(
            "[[agent.sink]]\npath = \"/run/t\"\n[[agent.sink]]\npath = \"/run/u\"\nformat = \"jwt\"\n[[agent.sink]]\n",
            &[
                "5: `format` of [[agent.sink]] is malformed: expected one of \"token\", \"header\", \"json\", \"id-token\", \
                 \"credentials\"",
                "6: `path` of [[agent.sink]] is malformed: expected the absolute path of a file",
            ],
        );
        says(
            "agent = true\n",
            &[
                "1: `agent` is malformed: expected tables: [agent.doors.NAME] and [[agent.sink]]; this is true or false",
            ],
        );
        says(
            "[agent]\ndoors = []\nsink = 7\nsocket = \"/run/a\"\n",
            &[
                "2: `doors` of [agent] is malformed: expected tables: [agent.doors.NAME]; this is a list",
                "3: `sink` of [agent] is malformed: expected a list of tables: [[agent.sink]]; this is a number",
                "4: `socket` is not a key of [agent]: there are [agent.doors.NAME] and [[agent.sink]]",
            ],
        );
    }

    #[test]
    fn a_key_in_the_wrong_place_is_told_where_it_belongs() {
        says(
            "# mine\n[environments.work]\nissuer = \"https://id.example\"\nseal = \"kernel\"\n",
            &["4: `seal` is not a key of [environments.work]: it belongs above the first [section]"],
        );
        says(
            "issuer = \"https://id.example\"",
            &[
                "1: `issuer` is not a key of the part above the sections: it belongs under [environments.NAME]",
            ],
        );
        says(
            "[telemetry]\nclient_id = \"x\"",
            &["2: `client_id` is not a key of [telemetry]: it belongs under [environments.NAME]"],
        );
        says(
            "email = false",
            &["1: `email` is not a key of the part above the sections: it belongs under [telemetry]"],
        );
    }

    #[test]
    fn an_unknown_key_is_told_with_the_one_that_was_meant() {
        let text = "[environments.work]\nclientid = \"x\"\nnonsense = 1\nscope = [\"a\"]\n";
        let all = parse(Path::new("/c.toml"), text).expect_err("three unknown keys");
        let meant = |error: &Error| match error.cause() {
            Some(Cause::ConfigKeyUnknown { line, nearest, .. }) => (*line, nearest.clone()),
            other => panic!("{other:?}"),
        };
        let meant: Vec<_> = all.iter().map(meant).collect();
        assert_eq!(meant, [(2, Some("client_id".into())), (3, None), (4, Some("scopes".into()))]);
    }

    #[test]
    fn a_value_of_another_kind_is_told() {
        says(
            "device_grant = \"false\"\nprefer = 1\n[environments.work]\nscopes = \"openid\"\nport = \"8000\"\n\
             hosts = [1]\nissuer = [\"x\"]\n",
            &[
                "1: `device_grant` is malformed: expected true or false, without quotes; this is text",
                "2: `prefer` is malformed: expected text in quotes; this is a number",
                "4: `scopes` of [environments.work] is malformed: expected a list of texts: [\"one\", \"another\"]; \
                 this is text",
                "5: `port` of [environments.work] is malformed: expected a number from 1 to 65535, without quotes; \
                 this is text",
                "6: `hosts` of [environments.work] is malformed: expected a list of texts: [\"one\", \"another\"]; \
                 this is a list",
                "7: `issuer` of [environments.work] is malformed: expected text in quotes; this is a list",
            ],
        );
    }

    #[test]
    fn tables_have_their_names() {
        says(
            "[environment.work]\nissuer = \"https://id.example\"\n",
            &[
                "1: there is no section [environment]: the tables of environments are called [environments.NAME]",
            ],
        );
        says(
            "[work]\nissuer = \"https://id.example\"\n",
            &[
                "1: there is no section [work]: the sections are [telemetry], [proxy.NAME], [environments.NAME], \
                 [agent.doors.NAME] and [[agent.sink]]: [environments.work]?",
            ],
        );
        says("[seal]\n", &["1: there is no section [seal]: `seal` is a key, and no table"]);
        says(
            "environments = 1",
            &["1: `environments` is malformed: expected tables: [environments.NAME]; \
                                    this is a number"],
        );
        says(
            "[environments]\nwork = \"https://id.example\"\n",
            &[
                "2: `work` of [environments] is malformed: expected a table: [environments.NAME]; this is text",
            ],
        );
        says(
            "telemetry = false",
            &["1: `telemetry` is malformed: expected a table: [telemetry]; this is true or false"],
        );
    }

    /// Values too, at their own line, beside mistakes of every other kind; and nothing that only follows from another one.
    #[test]
    fn all_mistakes_are_told_by_line() {
        says(
            "prefer = \"both\"\nenvironment = \"wrok\"\nsael = \"kernel\"\n\n[environments.work]\n\
             issuer = \"http://id.example\"\nredirect = \"0.0.0.0\"\n\n[environments.ci]\n\
             grant = \"client_credentials\"\nclient_secret_file = 7\n\n[environments.production]\n\
             token_url = \"https://id.example/t\"\n",
            &[
                "1: `prefer` is malformed: expected \"api-key\" or \"oauth\"",
                "2: `environment` is malformed: expected the name of an environment: ci, local, production, \
                 staging, work",
                "3: `sael` is not a key of the part above the sections: there is no such key",
                "6: `issuer` of [environments.work] is malformed: expected https (http is for loopback)",
                "7: `redirect` of [environments.work] is malformed: expected \"127.0.0.1\" or \"localhost\"",
                "11: `client_secret_file` of [environments.ci] is malformed: expected text in quotes; this is a number",
                "14: `token_url` of [environments.production] is malformed: expected its client, scopes, redirect, port, \
                 prompt and hosts only: its endpoints do not come from here",
            ],
        );
        says(
            "\n[environments.ci]\ngrant = \"client_credentials\"\nclient_id = \"ci\"\n",
            &[
                "2: `client_secret_file` of [environments.ci] is malformed: expected this, client_secret_command or client_key_file",
            ],
        );
        says(
            "[environments.\"a b\"]\nissuer = \"https://id.example\"\n",
            &[
                "1: `a b` of [environments] is malformed: expected a name of letters, digits and the characters - _ .",
            ],
        );
    }

    #[test]
    fn broken_toml_is_told_by_line() {
        let one = said("seal = \"file\"\n[environments.work\nissuer = \"https://id.example\"\n");
        assert!(one[0].starts_with("2: this is not TOML: "), "{one:?}");
        let two =
            said("seal = file\nprefer = \"oauth\"\n[environments.work]\nissuer = \"https://id.example\n");
        assert!(two[0].starts_with("1: ") && two.last().expect("two").starts_with("4: "), "{two:?}");
        let twice = said("seal = \"file\"\n\nseal = \"file\"\n");
        assert!(twice[0].starts_with("3: this is not TOML: duplicate key"), "{twice:?}");
    }

    /// A command in the file may hold what no other user should read.
    #[test]
    fn no_value_is_repeated() {
        for text in [
            "api_key_helper = [\"hush\"]",
            "api_key_helper = \"echo hush",
            "hush\n",
            "seal = \"hush\"",
            "[environments.work]\nclient_secret_command = { hush = 1 }\n",
        ] {
            let error = parse(Path::new("/c.toml"), text).expect_err("malformed");
            assert!(!format!("{error:?}").contains("hush"), "{text}: {error:?}");
        }
    }

    const PAGE: &str = include_str!("../../../../docs/configuration.md");

    /// The page, which is the manual's too, has every key once, in its section, with what it holds; each example is one, and
    /// nothing is shown that could not be read.
    #[test]
    fn the_page_describes_every_key() {
        let section = |title: &str| {
            let body = PAGE.split(&format!("\n### {title}\n")).nth(1).expect(title);
            body.split("\n### ").next().expect("its end")
        };
        let mut described = 0;
        for (title, section_of_keys, heading) in [
            ("Above the first section", Section::Top, ""),
            ("An environment", Section::Environment, "[environments.work]\n"),
            ("Federation", Section::Federation, "[environments.work.federation]\n"),
            ("A proxy", Section::Proxy, "[proxy.api]\n"),
            ("Metrics", Section::Telemetry, "[telemetry]\n"),
            ("Doors of an agent", Section::Door, "[agent.doors.ci]\n"),
            ("Files kept fresh", Section::Sink, "[[agent.sink]]\n"),
        ] {
            let rows = section(title).lines().filter_map(|line| line.strip_prefix("| `"));
            for row in rows {
                let cells: Vec<_> = row.split(" | ").collect();
                let [key, meaning, holds, default, example] = cells[..] else { panic!("five cells: {row}") };
                let key =
                    Key::find(section_of_keys, key.trim_end_matches('`')).unwrap_or_else(|| panic!("{key}"));
                let expected = match key.holds {
                    Holds::Text => "text",
                    Holds::Texts => "list of texts",
                    Holds::Numbers => "list of numbers",
                    Holds::Boolean => "true or false",
                    Holds::Table => "table of texts",
                    Holds::Port => "number",
                };
                assert_eq!(holds, expected, "{}", key.name);
                assert!(!default.is_empty() && meaning.len() > 10, "{row}");
                let example = example.trim_end_matches(" |").trim_matches('`');
                assert!(example.starts_with(&format!("{} = ", key.name)), "{row}");
                // What a key demands beside itself.
                let beside = match (key.section, key.name) {
                    (Section::Federation, name)
                        if name.starts_with("identity_token") && name != "identity_token_audience" =>
                    {
                        ""
                    }
                    (Section::Federation, "subject_token_type" | "requested_token_type") => {
                        "grant = \"token-exchange\"\nidentity_token = \"github\"\n"
                    }
                    (Section::Sink, "format" | "mode" | "profile") => "path = \"/run/t\"\n",
                    (Section::Door, "uids") => "socket = \"/srv/keyfob/ci.sock\"\n",
                    (Section::Proxy, name) if name != "to" => "to = \"https://api.example.com\"\n",
                    (Section::Federation, _) => "identity_token = \"github\"\n",
                    (_, name) => match name {
                        "environment" => "[environments.work]\nissuer = \"https://id.example\"\n",
                        "grant" | "client_auth" => "client_id = \"x\"\nclient_secret_command = \"x\"\n",
                        "client_secret_file" | "client_secret_command" => "client_id = \"x\"\n",
                        "client_key_file" | "client_key_command" => {
                            "client_id = \"x\"\nissuer = \"https://id.example\"\n"
                        }
                        "client_key_id" => {
                            "client_id = \"x\"\nissuer = \"https://id.example\"\nclient_key_command = \"x\"\n"
                        }
                        _ => "",
                    },
                };
                says(&format!("{heading}{example}\n{beside}"), &[]);
                described += 1;
            }
        }
        // A key that has been renamed is described in prose.
        assert_eq!(described, KEYS.iter().filter(|key| key.name != "store").count());
        let whole =
            PAGE.split("```toml\n").nth(1).and_then(|block| block.split("```").next()).expect("a whole file");
        says(whole, &[]);
        assert!(["[environments.work]", "[telemetry]", "seal ="].iter().all(|part| whole.contains(part)));
    }
}
