//! The configuration file, parsed into what it means. Unknown keys are mistakes, not decoration.

use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};

use serde::Deserialize;

use crate::{
    Error, Id, Result,
    environment::Endpoints,
    settings::{ClientId, Scopes},
    source::Prefer,
    values::{self, Expected},
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
    #[serde(default)]
    pub environments: BTreeMap<String, RawEnvironment>,
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
    pub api_base: Option<String>,
    pub authorize_url: Option<String>,
    pub token_url: Option<String>,
    pub revoke_url: Option<String>,
    pub introspect_url: Option<String>,
    pub device_url: Option<String>,
    pub profile_url: Option<String>,
    pub userinfo_url: Option<String>,
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
    /// What the file says of environments.
    pub environments: BTreeMap<String, Configured>,
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
    /// The base of API endpoints.
    pub api_base: Option<String>,
    /// The endpoints it names itself.
    pub endpoints: Endpoints,
}

impl Config {
    /// Parses what was written. Every key is checked, used or not.
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
        let mut environments = BTreeMap::new();
        for (name, raw) in raw.environments {
            let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            if name.is_empty() || !name.chars().all(fits) {
                return Err(wrong(
                    "environments",
                    "expected names of letters, digits and the characters - _ .",
                ));
            }
            if matches!(name.as_str(), "local" | "custom") {
                return Err(wrong(
                    &format!("environments.{name}"),
                    "expected another name: this one is built in",
                ));
            }
            let configured = Configured::parse(&name, raw)?;
            environments.insert(name, configured);
        }
        Ok(Self {
            prefer,
            api_key_helper: raw.api_key_helper,
            api_key_helper_env: raw.api_key_helper_env,
            environment: raw.environment,
            environments,
        })
    }
}

impl Configured {
    fn parse(name: &str, raw: RawEnvironment) -> Result<Self> {
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
        let scopes = match raw.scopes {
            None => None,
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
        let configured = Self {
            issuer: read(name, "issuer", raw.issuer, values::issuer)?,
            client_id: read(name, "client_id", raw.client_id, ClientId::parse)?,
            scopes,
            redirect_is_name,
            api_base: read(name, "api_base", raw.api_base, values::issuer)?
                .map(|base| base.trim_end_matches('/').to_string()),
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
        let endpoints = &configured.endpoints;
        if name == "production"
            && (configured.issuer.is_some()
                || configured.api_base.is_some()
                || *endpoints != Endpoints::default())
        {
            return Err(wrong(
                "environments.production",
                "expected client_id and scopes only: its endpoints are fixed",
            ));
        }
        Ok(configured)
    }
}

fn wrong(key: &str, expected: &str) -> Error {
    Error::new(Id::ConfigMalformed, format!("`{key}` in the configuration file is malformed"), expected)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            environment(RawEnvironment { token_url: text("http://127.0.0.1:3/t"), ..Default::default() })
                .is_ok()
        );
        let prefer = RawConfig { prefer: text("both"), ..RawConfig::default() };
        assert!(Config::parse(prefer).expect_err("wrong").what().contains("`prefer`"));
    }

    /// The contract: configuration may complete production, never change where it leads.
    #[test]
    fn production_cannot_be_led_elsewhere() {
        let with = |raw| {
            Config::parse(RawConfig {
                environments: BTreeMap::from([("production".to_string(), raw)]),
                ..RawConfig::default()
            })
        };
        assert!(
            with(RawEnvironment { token_url: Some("https://evil.example/t".into()), ..Default::default() })
                .is_err()
        );
        assert!(with(RawEnvironment { client_id: Some("ours".into()), ..Default::default() }).is_ok());
    }
}
