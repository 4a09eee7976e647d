//! What the configuration file says of proxies: where requests go through one, and how a program finds it.

use alloc::{format, string::String, vec::Vec};

use serde::Deserialize;

use super::mistake::Mistakes;
use crate::{contract::names::AUTH_TOKEN, provider::web_origin};

/// `[proxy.NAME]` as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the keys are described in docs/configuration.md")]
pub struct RawProxy {
    pub to: Option<String>,
    #[serde(default)]
    pub allow: Vec<String>,
    pub scrub: Option<String>,
    pub private: Option<bool>,
    pub base_url_variable: Option<String>,
    pub token_variable: Option<String>,
}

/// A proxy that was configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfiguredProxy {
    /// The address to forward to.
    pub to: String,
    /// What may be asked, as `METHOD /PATH` or `/PATH`; empty: everything below the address.
    pub allow: Vec<String>,
    /// Whether the credential is looked for in the bodies of answers.
    pub scrubs_bodies: bool,
    /// Whether the address may be one of a private network.
    pub private: bool,
    /// The variable that tells a program its address.
    pub base_url_variable: String,
    /// The variable that tells a program the token of its run.
    pub token_variable: String,
}

impl ConfiguredProxy {
    pub(super) fn read(name: &str, raw: RawProxy, mistakes: &Mistakes) -> Self {
        let wrong = |key: &str, expected: &str| mistakes.note(&["proxy", name, key], expected);
        let to = raw.to.unwrap_or_default();
        if web_origin(&to).is_none() {
            wrong("to", "expected https://HOST or https://HOST/PATH; http for this machine alone");
        }
        let is_rule = |rule: &String| {
            let (method, path) = rule.split_once(' ').unwrap_or(("GET", rule));
            !method.is_empty()
                && method.bytes().all(|octet| octet.is_ascii_uppercase())
                && path.starts_with('/')
        };
        if !raw.allow.iter().all(is_rule) {
            wrong("allow", "expected rules: \"POST /v1/messages\", or \"/v1/\" for any method");
        }
        let scrubs_bodies = match raw.scrub.as_deref() {
            None | Some("body") => true,
            Some("headers") => false,
            Some(_) => {
                wrong("scrub", "expected \"body\" or \"headers\"");
                true
            }
        };
        let variable = |key: &str, named: Option<String>, usual: &str| {
            let variable = named.unwrap_or_else(|| usual.into());
            let fits = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'_';
            let begins = variable.bytes().next().is_some_and(|octet| !octet.is_ascii_digit());
            if !begins || !variable.bytes().all(fits) || variable.starts_with("KEYFOB_") {
                wrong(key, "expected the name of a variable of a program's: letters, digits and _");
            }
            variable
        };
        Self {
            to,
            allow: raw.allow,
            scrubs_bodies,
            private: raw.private == Some(true),
            base_url_variable: variable("base_url_variable", raw.base_url_variable, "ANTHROPIC_BASE_URL"),
            token_variable: variable("token_variable", raw.token_variable, AUTH_TOKEN),
        }
    }
}

/// Variables that tell a program which addresses need no proxy: they are set beside ours.
const NO_PROXY: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// What proxies must not share: the variables of one program. The token is the same for all of them.
pub(super) fn check_together<'p>(
    proxies: &(impl Iterator<Item = (&'p String, &'p ConfiguredProxy)> + Clone),
    mistakes: &Mistakes,
) {
    for (at, (name, proxy)) in proxies.clone().enumerate() {
        let wrong = |key: &str, variable: &str, whose: &str| {
            mistakes
                .note(&["proxy", name, key], format!("expected another variable than {variable}, {whose}"));
        };
        for (key, variable) in
            [("base_url_variable", &proxy.base_url_variable), ("token_variable", &proxy.token_variable)]
        {
            if NO_PROXY.contains(&variable.as_str()) {
                wrong(key, variable, "which says what needs no proxy");
            }
        }
        let (base_url, token) = (&proxy.base_url_variable, &proxy.token_variable);
        if proxies.clone().take(at).any(|(_, other)| other.base_url_variable == *base_url) {
            wrong("base_url_variable", base_url, "which another proxy has");
        }
        // One would be overwritten by the other, and the token be told as an address.
        if proxies.clone().any(|(_, other)| other.base_url_variable == *token) {
            wrong("token_variable", token, "which tells an address");
        }
    }
}
