//! Parses the configuration file. Unknown keys are errors.

pub mod approved;

use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};

use serde::Deserialize;

use crate::{
    Error, Id, Result,
    contract::{
        settings::{ClientId, Scopes},
        values::{self, Expected},
    },
    login::sealed::KeyStore,
    oauth::{
        client_auth::{Confidential, Place, Proof},
        prompt::Prompt,
    },
    provider::Endpoints,
    source::Prefer,
};

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
    pub store: Option<String>,
    #[serde(default)]
    pub environments: BTreeMap<String, RawEnvironment>,
    #[serde(default)]
    pub telemetry: RawTelemetry,
}

/// `[telemetry]` as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the keys are described in docs/configuration.md")]
pub struct RawTelemetry {
    pub email: Option<bool>,
}

/// One `[environments.NAME]` as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the keys are described in docs/configuration.md")]
pub struct RawEnvironment {
    pub issuer: Option<String>,
    pub client_id: Option<String>,
    pub scopes: Option<Vec<String>>,
    pub redirect: Option<String>,
    pub prompt: Option<String>,
    pub dead_refresh_words: Option<Vec<String>>,
    pub grant: Option<String>,
    pub client_secret_file: Option<String>,
    pub client_secret_command: Option<String>,
    pub client_auth: Option<String>,
    pub api_base: Option<String>,
    pub apps_base: Option<String>,
    pub console_base: Option<String>,
    pub authorize_url: Option<String>,
    pub token_url: Option<String>,
    pub revoke_url: Option<String>,
    pub introspect_url: Option<String>,
    pub device_url: Option<String>,
    pub profile_url: Option<String>,
    pub userinfo_url: Option<String>,
    pub hosts: Option<Vec<String>>,
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
    pub store: Option<KeyStore>,
    /// What the file says of environments.
    pub environments: BTreeMap<String, Configured>,
    /// What metrics may say.
    pub telemetry: Telemetry,
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

/// What the file says of one environment.
#[derive(Clone, Debug, Default)]
pub struct Configured {
    /// The issuer, as it was written.
    pub issuer: Option<String>,
    /// The client.
    pub client_id: Option<ClientId>,
    /// The scopes.
    pub scopes: Option<Scopes>,
    /// Whether the redirect must be the name `localhost`.
    pub redirect_is_name: bool,
    /// What the sign-in page must ask, if somebody chose that.
    pub prompt: Option<Prompt>,
    /// The provider's own words for a refresh token that is dead.
    pub dead_refresh_words: Vec<String>,
    /// Set where the client is a machine that asks for itself.
    pub machine: Option<Confidential>,
    /// Set where a person signs in and the client has a secret.
    pub confidential: Option<Confidential>,
    /// The base of API endpoints.
    pub api_base: Option<String>,
    /// The base of the sign-in page.
    pub apps_base: Option<String>,
    /// The base of the console's page.
    pub console_base: Option<String>,
    /// The endpoints it names itself.
    pub endpoints: Endpoints,
    /// Further origins that its credential may go to.
    pub hosts: Vec<String>,
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
    /// [`Id::ConfigMalformed`], naming the key.
    pub fn parse(raw: RawConfig) -> Result<Self> {
        let prefer = match raw.prefer.as_deref() {
            None | Some("api-key") => Prefer::ApiKey,
            Some("oauth") => Prefer::OAuth,
            Some(_) => return Err(wrong("prefer", "expected \"api-key\" or \"oauth\"")),
        };
        if raw.api_key_helper.as_ref().is_some_and(|helper| helper.trim().is_empty()) {
            return Err(wrong("api_key_helper", "expected a command"));
        }
        if raw.api_key_helper_env.iter().any(|name| name.is_empty() || name.contains(['=', '\0'])) {
            return Err(wrong("api_key_helper_env", "expected names of variables"));
        }
        let store = match raw.store.as_deref() {
            None | Some("file") => None,
            Some(word) => Some(
                KeyStore::from_word(word)
                    .ok_or_else(|| wrong("store", "expected \"file\", \"kernel\" or \"secret-service\""))?,
            ),
        };
        let mut environments = BTreeMap::new();
        for (name, raw) in raw.environments {
            let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            if name.is_empty() || !name.chars().all(fits) {
                return Err(wrong(
                    "environments",
                    "expected names of letters, digits and the characters - _ .",
                ));
            }
            let configured = Configured::parse(&name, raw)?;
            environments.insert(name, configured);
        }
        if let Some(name) = raw.environment.as_deref() {
            let built_in = matches!(name, "production" | "staging" | "local");
            if name == "custom" || !built_in && !environments.contains_key(name) {
                return Err(wrong(
                    "environment",
                    "expected production, staging, local, or another name under [environments]",
                ));
            }
        }
        Ok(Self {
            prefer,
            api_key_helper: raw.api_key_helper,
            api_key_helper_env: raw.api_key_helper_env,
            environment: raw.environment,
            device_grant_is_off: raw.device_grant == Some(false),
            store,
            environments,
            telemetry: Telemetry { email: raw.telemetry.email.unwrap_or(true) },
        })
    }
}

impl Configured {
    fn parse(name: &str, raw: RawEnvironment) -> Result<Self> {
        let confidential = confidential(name, &raw)?;
        let is_machine = raw.grant.as_deref() == Some("client_credentials");
        let (machine, confidential) = if is_machine { (confidential, None) } else { (None, confidential) };
        fn read<T>(
            name: &str,
            key: &str,
            value: Option<String>,
            parse: fn(&str) -> Result<T, Expected>,
        ) -> Result<Option<T>> {
            value
                .map(|text| parse(&text).map_err(|why| wrong(&format!("environments.{name}.{key}"), why)))
                .transpose()
        }
        let url = |key: &str, value| read(name, key, value, values::endpoint);
        let base = |key: &str, value| -> Result<Option<String>> {
            let base = read(name, key, value, values::issuer)?;
            Ok(base.map(|base| base.trim_end_matches('/').to_string()))
        };
        let scopes = match raw.scopes {
            None => None,
            // RFC 6749 §3.3: nothing is asked for, and the provider decides.
            Some(list) if list.is_empty() => Some(Scopes::default()),
            Some(list) if list.iter().any(|scope| scope.is_empty() || scope.contains(' ')) => {
                let key = format!("environments.{name}.scopes");
                return Err(wrong(&key, "expected a list with one scope name in each text"));
            }
            Some(list) => read(name, "scopes", Some(list.join(" ")), Scopes::parse)?,
        };
        let redirect_is_name = match raw.redirect.as_deref() {
            None | Some("127.0.0.1") => false,
            Some("localhost") => true,
            Some(_) => {
                return Err(wrong(
                    &format!("environments.{name}.redirect"),
                    "expected \"127.0.0.1\" or \"localhost\"",
                ));
            }
        };
        let dead_refresh_words = raw.dead_refresh_words.unwrap_or_default();
        if !dead_refresh_words.iter().all(|word| is_error_word(word)) {
            let key = format!("environments.{name}.dead_refresh_words");
            return Err(wrong(
                &key,
                "expected error codes, each with or without a status: \"403 some_code\"",
            ));
        }
        let hosts = raw.hosts.unwrap_or_default();
        let hosts = hosts.into_iter().map(|host| read(name, "hosts", Some(host), values::origin));
        let hosts = hosts.filter_map(Result::transpose).collect::<Result<_>>()?;
        let configured = Self {
            machine,
            confidential,
            hosts,
            dead_refresh_words,
            issuer: read(name, "issuer", raw.issuer, values::issuer)?,
            client_id: read(name, "client_id", raw.client_id, ClientId::parse)?,
            scopes,
            redirect_is_name,
            prompt: read(name, "prompt", raw.prompt, Prompt::parse)?,
            api_base: base("api_base", raw.api_base)?,
            apps_base: base("apps_base", raw.apps_base)?,
            console_base: base("console_base", raw.console_base)?,
            endpoints: Endpoints {
                authorize_url: url("authorize_url", raw.authorize_url)?,
                token_url: url("token_url", raw.token_url)?,
                revoke_url: url("revoke_url", raw.revoke_url)?,
                introspect_url: url("introspect_url", raw.introspect_url)?,
                device_url: url("device_url", raw.device_url)?,
                profile_url: url("profile_url", raw.profile_url)?,
                userinfo_url: url("userinfo_url", raw.userinfo_url)?,
                ..Endpoints::default()
            },
        };
        if matches!(name, "production" | "local" | "custom") && configured.leads_somewhere() {
            return Err(wrong(
                &format!("environments.{name}"),
                "expected its client, scopes, redirect, prompt and hosts only: its endpoints do not come from here",
            ));
        }
        Ok(configured)
    }

    /// Whether it says where anything is asked.
    fn leads_somewhere(&self) -> bool {
        let places = [&self.issuer, &self.api_base, &self.apps_base, &self.console_base];
        self.machine.is_some()
            || places.into_iter().any(Option::is_some)
            || self.endpoints != Endpoints::default()
    }
}

/// Whether it is an error code (RFC 6749 §5.2), perhaps behind the status that belongs to it.
fn is_error_word(text: &str) -> bool {
    let word = match text.split_once(' ') {
        Some((status, word)) if status.parse().is_ok_and(|status: u16| (200..=599).contains(&status)) => word,
        Some(_) => return false,
        None => text,
    };
    !word.is_empty() && word.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

/// The keys of a client's secret belong together: one without the others is a mistake. A machine must have one.
fn confidential(name: &str, raw: &RawEnvironment) -> Result<Option<Confidential>> {
    let (file, command) = (&raw.client_secret_file, &raw.client_secret_command);
    let bad = |key: &str, expected: &str| Err(wrong(&format!("environments.{name}.{key}"), expected));
    let is_machine = match raw.grant.as_deref() {
        Some("client_credentials") => true,
        Some("authorization_code") | None => false,
        Some(_) => return bad("grant", "expected \"authorization_code\" or \"client_credentials\""),
    };
    let secret = match (file, command) {
        (Some(file), None) if file.starts_with('/') => Place::File(file.clone()),
        (Some(_), None) => return bad("client_secret_file", "expected an absolute path"),
        (None, Some(command)) if !command.trim().is_empty() => Place::Command(command.clone()),
        (None, Some(_)) => return bad("client_secret_command", "expected a command"),
        (Some(_), Some(_)) => {
            return bad("client_secret_file", "expected this or client_secret_command, not both");
        }
        (None, None) if is_machine => {
            return bad("client_secret_file", "expected this or client_secret_command");
        }
        (None, None) if raw.client_auth.is_some() => {
            return bad("client_auth", "expected client_secret_file or client_secret_command beside it");
        }
        (None, None) => return Ok(None),
    };
    if raw.client_id.is_none() {
        return bad("client_id", "expected the client that the secret belongs to");
    }
    let proof = match raw.client_auth.as_deref().map(Proof::named) {
        Some(None) => {
            return bad("client_auth", "expected \"client_secret_basic\" or \"client_secret_post\"");
        }
        known => known.flatten(),
    };
    Ok(Some(Confidential { secret, proof }))
}

fn wrong(key: &str, expected: &str) -> Error {
    Error::new(Id::ConfigMalformed, format!("`{key}` in the configuration file is malformed"), expected)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn environment(raw: RawEnvironment) -> Result<Config> {
        let environments = BTreeMap::from([("work".to_string(), raw)]);
        Config::parse(RawConfig { environments, ..RawConfig::default() })
    }

    #[test]
    fn mistakes_name_their_key() {
        let said = |raw| environment(raw).expect_err("wrong").what().to_string();
        let text = |t: &str| Some(t.to_string());
        assert!(
            said(RawEnvironment { token_url: text("http://id.example/t"), ..Default::default() })
                .contains("environments.work.token_url")
        );
        assert!(
            said(RawEnvironment { issuer: text("https://id.example/?x"), ..Default::default() })
                .contains("environments.work.issuer")
        );
        assert!(
            said(RawEnvironment { redirect: text("0.0.0.0"), ..Default::default() })
                .contains("environments.work.redirect")
        );
        assert!(
            said(RawEnvironment { prompt: text("none"), ..Default::default() })
                .contains("environments.work.prompt")
        );
        assert!(
            environment(RawEnvironment { token_url: text("http://127.0.0.1:3/t"), ..Default::default() })
                .is_ok()
        );
        for scopes in [vec![String::new()], vec!["a b".to_string()], vec!["a".to_string(), String::new()]] {
            assert!(
                said(RawEnvironment { scopes: Some(scopes), ..Default::default() })
                    .contains("environments.work.scopes")
            );
        }
        let said = |raw| Config::parse(raw).expect_err("wrong").what().to_string();
        assert!(said(RawConfig { prefer: text("both"), ..Default::default() }).contains("`prefer`"));
        for store in ["", "keychain", "File"] {
            assert!(said(RawConfig { store: text(store), ..Default::default() }).contains("`store`"));
        }
        assert!(said(RawConfig { api_key_helper: text(" "), ..Default::default() }).contains("helper`"));
        let names = vec!["A=B".to_string()];
        assert!(said(RawConfig { api_key_helper_env: names, ..Default::default() }).contains("helper_env`"));
        for name in ["wrok", "custom", ""] {
            let environments = BTreeMap::from([("custom".to_string(), RawEnvironment::default())]);
            let raw = RawConfig { environment: text(name), environments, ..Default::default() };
            assert!(said(raw).contains("`environment`"), "{name}");
        }
    }

    #[test]
    fn words_for_a_dead_token_are_error_codes() {
        let with = |word: &str| {
            environment(RawEnvironment { dead_refresh_words: Some(vec![word.into()]), ..Default::default() })
        };
        for word in ["invalid_refresh_token", "403 unauthorized_client"] {
            assert_eq!(with(word).unwrap().environments["work"].dead_refresh_words, [word]);
        }
        for wrong in ["", " ", "a b", "403 ", "999 a", "a\"b", "403 a b"] {
            let error = with(wrong).expect_err(wrong);
            assert!(error.what().contains("environments.work.dead_refresh_words"), "{error}");
        }
    }

    #[test]
    fn logins_are_sealed_on_request() {
        let store = |word: &str| {
            Config::parse(RawConfig { store: Some(word.into()), ..RawConfig::default() }).unwrap().store
        };
        assert_eq!(Config::default().store, None);
        assert_eq!(store("file"), None);
        assert_eq!(store("kernel"), Some(KeyStore::Kernel));
        assert_eq!(store("secret-service"), Some(KeyStore::SecretService));
    }

    #[test]
    fn the_environment_may_be_built_in_or_configured() {
        for name in ["production", "staging", "local", "work"] {
            let raw = RawConfig {
                environment: Some(name.into()),
                environments: BTreeMap::from([("work".to_string(), RawEnvironment::default())]),
                ..RawConfig::default()
            };
            assert!(Config::parse(raw).is_ok(), "{name}");
        }
    }

    /// Providers give installed applications a secret too, and demand it beside PKCE.
    #[test]
    fn a_client_of_a_person_may_have_a_secret() {
        let text = |t: &str| Some(t.to_string());
        for grant in [None, text("authorization_code")] {
            let raw = RawEnvironment {
                client_id: text("desktop"),
                grant,
                client_secret_command: text("pass desktop"),
                client_auth: text("client_secret_post"),
                ..Default::default()
            };
            let config = environment(raw).unwrap();
            let work = &config.environments["work"];
            assert!(work.machine.is_none());
            let (secret, proof) = (Place::Command("pass desktop".into()), Some(Proof::Post));
            assert_eq!(work.confidential, Some(Confidential { secret, proof }));
        }
    }

    /// The keys of a machine come together or not at all.
    #[test]
    fn a_machine_is_whole() {
        let text = |t: &str| Some(t.to_string());
        let whole = || RawEnvironment {
            client_id: text("ci"),
            grant: text("client_credentials"),
            client_secret_file: text("/run/secret"),
            ..Default::default()
        };
        let config = environment(whole()).unwrap();
        let machine = config.environments["work"].machine.clone().unwrap();
        assert_eq!(machine, Confidential { secret: Place::File("/run/secret".into()), proof: None });
        for (raw, key) in [
            (RawEnvironment { grant: text("password"), ..whole() }, "grant"),
            (RawEnvironment { client_id: None, ..whole() }, "client_id"),
            (RawEnvironment { client_secret_file: text("secret"), ..whole() }, "client_secret_file"),
            (RawEnvironment { client_secret_file: None, ..whole() }, "client_secret_file"),
            (RawEnvironment { client_secret_command: text("pass ci"), ..whole() }, "client_secret_file"),
            (
                RawEnvironment { client_secret_file: None, client_secret_command: text(" "), ..whole() },
                "client_secret_command",
            ),
            (RawEnvironment { client_auth: text("basic"), ..whole() }, "client_auth"),
            (
                RawEnvironment {
                    client_auth: text("client_secret_post"),
                    grant: None,
                    client_secret_file: None,
                    ..whole()
                },
                "client_auth",
            ),
        ] {
            let error = environment(raw).expect_err(key);
            assert!(error.what().contains(&format!("environments.work.{key}`")), "{error}");
        }
        for name in ["production", "local", "custom"] {
            let environments = BTreeMap::from([(name.to_string(), whole())]);
            let error = Config::parse(RawConfig { environments, ..RawConfig::default() }).expect_err(name);
            assert!(error.what().contains(name), "{error}");
        }
    }

    /// The contract: configuration may complete the built-in rows, never change where they lead: production is
    /// fixed, local has its variables, custom its approval.
    #[test]
    fn built_in_environments_cannot_be_led_elsewhere() {
        let evil = || Some("https://evil.example/x".to_string());
        for name in ["production", "local", "custom"] {
            let with = |raw| {
                Config::parse(RawConfig {
                    environments: BTreeMap::from([(name.to_string(), raw)]),
                    ..RawConfig::default()
                })
            };
            for raw in [
                RawEnvironment { issuer: evil(), ..Default::default() },
                RawEnvironment { api_base: evil(), ..Default::default() },
                RawEnvironment { apps_base: evil(), ..Default::default() },
                RawEnvironment { console_base: evil(), ..Default::default() },
                RawEnvironment { authorize_url: evil(), ..Default::default() },
                RawEnvironment { token_url: evil(), ..Default::default() },
                RawEnvironment { revoke_url: evil(), ..Default::default() },
                RawEnvironment { introspect_url: evil(), ..Default::default() },
                RawEnvironment { device_url: evil(), ..Default::default() },
                RawEnvironment { profile_url: evil(), ..Default::default() },
                RawEnvironment { userinfo_url: evil(), ..Default::default() },
            ] {
                let error = with(raw).expect_err("leads elsewhere");
                assert!(error.what().contains(name), "{error}");
            }
            let raw = RawEnvironment {
                client_id: Some("ours".into()),
                scopes: Some(vec!["a".into()]),
                redirect: Some("localhost".into()),
                ..Default::default()
            };
            assert!(with(raw).is_ok(), "{name}");
        }
    }

    #[test]
    fn metrics_have_the_address_unless_told_otherwise() {
        assert!(Config::default().telemetry.email);
        let raw = RawConfig { telemetry: RawTelemetry { email: Some(false) }, ..RawConfig::default() };
        assert!(!Config::parse(raw).unwrap().telemetry.email);
    }
}
