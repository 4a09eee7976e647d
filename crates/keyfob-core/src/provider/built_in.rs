//! The built-in environments.

use alloc::vec::Vec;

use crate::contract::settings::{Bases, ClientId, Scopes};
use crate::provider::{
    Endpoints,
    environment::{Discovery, Environment},
};

/// The client id of whoever built this, if they set one at compile time.
const BUILT_IN_CLIENT_ID: Option<&str> = match option_env!("KEYFOB_DEFAULT_CLIENT_ID") {
    Some(id) if !id.is_empty() => Some(id),
    _ => None,
};

// A build with a malformed one must not come out as a build without.
const _: () = assert!(
    match BUILT_IN_CLIENT_ID {
        Some(id) => ClientId::fits(id),
        None => true,
    },
    "KEYFOB_DEFAULT_CLIENT_ID: expected printable ASCII without a blank at either end"
);

const APPS: &str = "https://claude.ai";
const CONSOLE: &str = "https://platform.claude.com";
const API: &str = "https://api.anthropic.com";
const TOKEN: &str = "https://platform.claude.com/v1/oauth/token";

pub(super) fn default_scopes() -> Scopes {
    Scopes::parse("user:profile user:inference").unwrap_or_default()
}

fn console_scopes() -> Scopes {
    Scopes::parse("org:create_api_key user:profile").unwrap_or_default()
}

/// Its endpoints are fixed. Nobody told how it spells its issuer.
pub(super) fn production() -> Environment {
    Environment {
        name: "production".into(),
        issuer: APPS.into(),
        issuer_is_known: false,
        endpoints: Endpoints {
            token_url: Some(TOKEN.into()),
            ..Endpoints::relative(Some(API), Some(APPS), Some(CONSOLE))
        },
        api_base: Some(API.into()),
        apps_base: Some(APPS.into()),
        console_base: Some(CONSOLE.into()),
        client_id: BUILT_IN_CLIENT_ID.and_then(|id| ClientId::parse(id).ok()),
        scopes: default_scopes(),
        console_scopes: console_scopes(),
        redirect_is_name: false,
        prompt: None,
        dead_refresh_words: Vec::new(),
        iss_promised: false,
        jwks_url: None,
        machine: None,
        confidential: None,
        takes_post_only: false,
        hosts: Vec::new(),
        discovery: Discovery::Done,
    }
}

/// What a provider is known to say, in place of RFC 6749's `invalid_grant`, when a refresh token is dead: Slack, Atlassian,
/// and Dex, which everybody runs at a host of their own and by its own habit below `/dex`.
pub(crate) fn dead_refresh_words(issuer: &str) -> &'static [&'static str] {
    match issuer.trim_end_matches('/') {
        "https://slack.com" => &["invalid_refresh_token"],
        "https://auth.atlassian.com" => &["403 unauthorized_client"],
        issuer if issuer.ends_with("/dex") => &["400 invalid_request"],
        _ => &[],
    }
}

/// Works out of the box; its issuer is the API base.
pub(super) fn local(bases: &Bases) -> Environment {
    Environment {
        name: "local".into(),
        issuer: bases.api.clone(),
        issuer_is_known: true,
        endpoints: Endpoints::relative(Some(&bases.api), Some(&bases.apps), Some(&bases.console)),
        api_base: Some(bases.api.clone()),
        apps_base: Some(bases.apps.clone()),
        console_base: Some(bases.console.clone()),
        client_id: ClientId::parse("keyfob-local").ok(),
        scopes: default_scopes(),
        console_scopes: console_scopes(),
        redirect_is_name: false,
        prompt: None,
        dead_refresh_words: Vec::new(),
        iss_promised: false,
        jwks_url: None,
        machine: None,
        confidential: None,
        takes_post_only: false,
        hosts: Vec::new(),
        discovery: Discovery::Done,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_built_in_scopes_are_scopes() {
        use alloc::string::ToString;
        assert_eq!(super::default_scopes().to_string(), "user:profile user:inference");
        assert_eq!(super::console_scopes().to_string(), "org:create_api_key user:profile");
    }
}
