//! Parses the configuration file. Unknown keys are errors.

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};

use serde::Deserialize;

use super::{
    agent::{Agent, RawAgent},
    environment::{Configured, RawEnvironment},
    mistake::{Mistake, Mistakes},
    proxy::{ConfiguredProxy, RawProxy, check_together},
};
use crate::{Cause, Error, Id, Result, error::escape, login::sealed::KeyStore, source::Prefer};

/// The file as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the keys are described in docs/configuration.md")]
pub struct RawConfig {
    pub prefer: Option<String>,
    pub api_key_helper: Option<String>,
    #[serde(default)]
    pub api_key_helper_env: Vec<String>,
    pub environment: Option<String>,
    pub device_grant: Option<bool>,
    pub seal: Option<String>,
    /// What `seal` was called before.
    pub store: Option<String>,
    #[serde(default)]
    pub environments: BTreeMap<String, RawEnvironment>,
    #[serde(default)]
    pub proxy: BTreeMap<String, RawProxy>,
    #[serde(default)]
    pub telemetry: RawTelemetry,
    #[serde(default)]
    pub agent: RawAgent,
}

/// `[telemetry]` as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the keys are described in docs/configuration.md")]
pub struct RawTelemetry {
    pub email: Option<bool>,
}

/// The configuration.
#[derive(Debug, Default)]
pub struct Config {
    /// Which kind of credential goes first.
    pub prefer: Prefer,
    /// A command whose output is an API key.
    pub api_key_helper: Option<String>,
    /// Variables whose values make its output another one.
    pub api_key_helper_env: Vec<String>,
    /// The environment used when nothing else chooses.
    pub environment: Option<String>,
    /// Whether signing in with a code typed on another device (RFC 8628) is switched off.
    pub device_grant_is_off: bool,
    /// What keeps the key that logins are sealed with. `None`: they are not sealed.
    pub seal: Option<KeyStore>,
    /// What is written as earlier versions wanted it, and is still read.
    pub outdated: Vec<Error>,
    /// What the file says of environments.
    pub environments: BTreeMap<String, Configured>,
    /// Proxies, by their names.
    pub proxies: BTreeMap<String, ConfiguredProxy>,
    /// What metrics may say.
    pub telemetry: Telemetry,
    /// What an agent does that is started without options.
    pub agent: Agent,
}

/// What metrics may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Telemetry {
    /// Whether the e-mail address is among it.
    pub email: bool,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { email: true }
    }
}

impl Config {
    /// Parses what was written. Every key is checked, used or not.
    ///
    /// ```
    /// use keyfob_core::config::{Config, RawConfig};
    ///
    /// let raw = RawConfig { prefer: Some("both".into()), ..RawConfig::default() };
    /// let error = Config::parse(raw).expect_err("there are two");
    /// assert_eq!(error.what(), "`prefer` in the configuration file is malformed");
    /// assert_eq!(error.why(), "expected \"api-key\" or \"oauth\"");
    /// ```
    ///
    /// # Errors
    /// [`Id::ConfigMalformed`] for every mistake, naming the key.
    pub fn parse(raw: RawConfig) -> Result<Self> {
        Self::read(raw).map_err(|mistakes| {
            let all = Error::all(mistakes.into_iter().map(Error::from).collect());
            all.unwrap_or_else(|| {
                Error::new(Id::Bug, "the configuration file", "it is refused without a reason")
            })
        })
    }

    /// The same for a caller that knows on which line each key is.
    ///
    /// # Errors
    /// Every mistake there is.
    pub fn read(raw: RawConfig) -> Result<Self, Vec<Mistake>> {
        let mistakes = Mistakes::default();
        let wrong = |key: &str, expected: &str| mistakes.note(&[key], expected);
        let prefer = match raw.prefer.as_deref() {
            None | Some("api-key") => Prefer::ApiKey,
            Some("oauth") => Prefer::OAuth,
            Some(_) => {
                wrong("prefer", "expected \"api-key\" or \"oauth\"");
                Prefer::ApiKey
            }
        };
        if raw.api_key_helper.as_ref().is_some_and(|helper| helper.trim().is_empty()) {
            wrong("api_key_helper", "expected a command");
        }
        if raw.api_key_helper_env.iter().any(|name| name.is_empty() || name.contains(['=', '\0'])) {
            wrong("api_key_helper_env", "expected names of variables");
        }
        let mut outdated = Vec::new();
        let (key, word) = match (raw.seal, raw.store) {
            (Some(_), Some(_)) => {
                wrong("seal", "expected without `store`, its earlier name");
                ("seal", None)
            }
            (None, Some(word)) => {
                let what = "the configuration file says `store`, which is called `seal` now";
                let error = Error::new(Id::ConfigMalformed, what, "the earlier name is still read");
                outdated.push(error.because(Cause::KeyRenamed {
                    line: format!("store = \"{}\"", escape(&word)),
                    now: format!("seal = \"{}\"", escape(&word)),
                }));
                ("store", Some(word))
            }
            (word, None) => ("seal", word),
        };
        let seal = match word.as_deref() {
            None | Some("file") => None,
            Some(word) => KeyStore::from_word(word).or_else(|| {
                wrong(key, "expected \"file\", \"kernel\" or \"secret-service\"");
                None
            }),
        };
        let mut environments = BTreeMap::new();
        for (name, raw) in raw.environments {
            if !is_name(&name) {
                let expected = "expected a name of letters, digits and the characters - _ .";
                mistakes.note(&["environments", &name], expected);
            }
            let configured = Configured::read(&name, raw, &mistakes);
            environments.insert(name, configured);
        }
        for name in raw.agent.doors.keys().filter(|name| !is_name(name) || name.starts_with('.')) {
            let expected = "expected a name of letters, digits and the characters - _ .";
            mistakes.note(&["agent", "doors", name], expected);
        }
        let agent = Agent::read(raw.agent, &mistakes);
        let mut proxies = BTreeMap::new();
        for (name, raw) in raw.proxy {
            if !is_name(&name) {
                let expected = "expected a name of letters, digits and the characters - _ .";
                mistakes.note(&["proxy", &name], expected);
            }
            proxies.insert(name.clone(), ConfiguredProxy::read(&name, raw, &mistakes));
        }
        check_together(&proxies.iter(), &mistakes);
        if let Some(name) = raw.environment.as_deref() {
            let built_in = matches!(name, "production" | "staging" | "local");
            if name == "custom" || !built_in && !environments.contains_key(name) {
                let configured = environments.keys().map(String::as_str).filter(|name| *name != "custom");
                let mut known: Vec<_> = configured.chain(["production", "staging", "local"]).collect();
                known.sort_unstable();
                known.dedup();
                wrong("environment", &format!("expected the name of an environment: {}", known.join(", ")));
            }
        }
        let mistakes = mistakes.all();
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        Ok(Self {
            prefer,
            api_key_helper: raw.api_key_helper,
            api_key_helper_env: raw.api_key_helper_env,
            environment: raw.environment,
            device_grant_is_off: raw.device_grant == Some(false),
            seal,
            outdated,
            environments,
            proxies,
            telemetry: Telemetry { email: raw.telemetry.email.unwrap_or(true) },
            agent,
        })
    }
}

/// Whether an environment can be called this.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !name.is_empty() && name.chars().all(fits)
}
