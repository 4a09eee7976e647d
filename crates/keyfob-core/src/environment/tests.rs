use alloc::{string::ToString, vec::Vec};

use super::*;
use crate::{
    approved::{RawEntry, RawList},
    config::{RawConfig, RawEnvironment},
    contract::{self, Variables},
};

fn settings(pairs: &[(&str, &str)]) -> Settings {
    let variables: Variables = pairs.iter().map(|(n, v)| (n.to_string(), Some(v.to_string()))).collect();
    let reading = contract::read(&variables);
    assert!(reading.problems.is_empty(), "{:?}", reading.problems);
    reading.settings
}

fn config(name: &str, raw: RawEnvironment) -> Config {
    Config::parse(RawConfig {
        environments: BTreeMap::from([(name.to_string(), raw)]),
        ..RawConfig::default()
    })
    .unwrap()
}

fn approved(url: &str) -> ApprovedList {
    let approved = Vec::from([RawEntry { url: url.to_string(), ..RawEntry::default() }]);
    ApprovedList::parse(RawList { approved }).unwrap()
}

fn resolved(pairs: &[(&str, &str)], config: &Config, chosen: Option<&str>) -> Result<Environment> {
    resolve(&settings(pairs), config, chosen, &ApprovedList::default())
}

/// The contract, "Environments", to the letter.
#[test]
fn production_is_as_fixed() {
    let e = resolved(&[], &Config::default(), None).unwrap();
    assert_eq!(e.endpoints.authorize_url.as_deref(), Some("https://claude.ai/oauth/authorize"));
    assert_eq!(
        e.endpoints.console_authorize_url.as_deref(),
        Some("https://platform.claude.com/oauth/authorize")
    );
    assert_eq!(e.endpoints.token_url.as_deref(), Some("https://platform.claude.com/v1/oauth/token"));
    assert_eq!(e.endpoints.profile_url.as_deref(), Some("https://api.anthropic.com/api/oauth/profile"));
    assert_eq!(e.api_base.as_deref(), Some("https://api.anthropic.com"));
    assert_eq!(e.scopes.to_string(), "user:profile user:inference");
    assert_eq!(e.console_scopes.to_string(), "org:create_api_key user:profile");
    if option_env!("KEYFOB_DEFAULT_CLIENT_ID").is_none() {
        let error = e.require_client_id().expect_err("none is shipped");
        assert_eq!(error.id(), Id::ClientIdMissing);
        assert!(error.advice().contains("API key") && error.advice().contains("setup-token"));
    }
    let completed =
        config("production", RawEnvironment { client_id: Some("ours".into()), ..Default::default() });
    assert_eq!(resolved(&[], &completed, None).unwrap().require_client_id().unwrap().as_str(), "ours");
}

#[test]
fn local_keeps_the_paths_of_its_bases() {
    let e = resolved(
        &[
            ("USE_LOCAL_OAUTH", "1"),
            ("CLAUDE_LOCAL_OAUTH_API_BASE", "http://localhost:3001"),
            ("CLAUDE_LOCAL_OAUTH_APPS_BASE", "http://localhost:3001/apps"),
            ("CLAUDE_LOCAL_OAUTH_CONSOLE_BASE", "http://[::1]:3002/console/"),
        ],
        &Config::default(),
        Some("ignored: the variable outranks it"),
    )
    .unwrap();
    assert_eq!(e.endpoints.authorize_url.as_deref(), Some("http://localhost:3001/apps/oauth/authorize"));
    assert_eq!(
        e.endpoints.console_authorize_url.as_deref(),
        Some("http://[::1]:3002/console/oauth/authorize")
    );
    assert_eq!(e.endpoints.token_url.as_deref(), Some("http://localhost:3001/v1/oauth/token"));
    assert_eq!(e.endpoints.session_url.as_deref(), Some("ws://localhost:3001/v1/session/ws"));
    assert_eq!(e.issuer(), "http://localhost:3001");
    assert_eq!(e.require_client_id().unwrap().as_str(), "keyfob-local");
}

/// The three local bases count only in local mode.
#[test]
fn local_bases_do_not_leak_into_production() {
    let e =
        resolved(&[("CLAUDE_LOCAL_OAUTH_API_BASE", "http://localhost:9")], &Config::default(), None).unwrap();
    assert_eq!(e.name, "production");
    assert_eq!(e.api_base.as_deref(), Some("https://api.anthropic.com"));
}

#[test]
fn staging_has_no_public_endpoints() {
    let error = resolved(&[("USE_STAGING_OAUTH", "1")], &Config::default(), None).expect_err("none");
    assert_eq!(error.id(), Id::EnvironmentIncomplete);
    let raw = RawEnvironment {
        authorize_url: Some("https://staging.example.com/oauth/authorize".into()),
        token_url: Some("https://staging.example.com/v1/oauth/token".into()),
        client_id: Some("s".into()),
        ..RawEnvironment::default()
    };
    let e = resolved(&[("USE_STAGING_OAUTH", "true")], &config("staging", raw), None).unwrap();
    assert_eq!((e.issuer(), e.needs_discovery()), ("https://staging.example.com", false));
}

#[test]
fn a_configured_environment_is_chosen_by_name() {
    let raw =
        RawEnvironment { issuer: Some("https://login.company.com".into()), ..RawEnvironment::default() };
    let config = config("work", raw);
    let e = resolved(
        &[("CLAUDE_CODE_OAUTH_CLIENT_ID", "mine"), ("CLAUDE_CODE_OAUTH_SCOPES", "openid")],
        &config,
        Some("work"),
    )
    .unwrap();
    assert!(e.needs_discovery());
    assert_eq!((e.client_id.unwrap().as_str(), e.scopes.to_string().as_str()), ("mine", "openid"));
    let unknown = resolved(&[], &config, Some("wrok")).expect_err("unknown");
    assert_eq!(unknown.id(), Id::EnvironmentUnknown);
}

/// RFC 8414 §3.1, its own examples; OpenID Connect Discovery §4.
#[test]
fn well_known_places() {
    assert_eq!(
        well_known("https://example.com/issuer1"),
        [
            "https://example.com/.well-known/oauth-authorization-server/issuer1",
            "https://example.com/issuer1/.well-known/openid-configuration"
        ]
    );
    assert_eq!(
        well_known("https://example.com")[0],
        "https://example.com/.well-known/oauth-authorization-server"
    );
    assert_eq!(
        well_known("https://example.com/")[0],
        "https://example.com/.well-known/oauth-authorization-server"
    );
}

#[test]
fn metadata_is_believed_only_when_it_fits() {
    let url = "https://oauth.company.com/authorize";
    let e = resolve(
        &settings(&[("CLAUDE_CODE_CUSTOM_OAUTH_URL", url)]),
        &Config::default(),
        None,
        &approved(url),
    )
    .unwrap();
    assert!(e.needs_discovery());
    let good = r#"{"issuer":"https://oauth.company.com","authorization_endpoint":"https://oauth.company.com/authorize",
        "token_endpoint":"https://oauth.company.com/token","code_challenge_methods_supported":["plain","S256"],
        "authorization_response_iss_parameter_supported":true}"#;
    let complete = e.completed_by(good.as_bytes()).unwrap();
    assert!(complete.iss_promised && !complete.needs_discovery());
    assert_eq!(complete.token_url().unwrap(), "https://oauth.company.com/token");
    assert!(complete.endpoints.identity_url().is_none(), "a custom provider inherits nothing of production");
    for (from, to, why) in [
        ("\"https://oauth.company.com\"", "\"https://oauth.company.com/\"", "is that of"),
        ("\"S256\"", "\"s256\"", "S256"),
        ("company.com/token", "evil.example/token", "not on the approved"),
        ("https://oauth.company.com/token", "http://oauth.company.com/token", "https"),
        ("company.com/authorize", "company.com/authorise", "not the custom URL"),
        ("\"issuer\"", "\"issuer\":\"x\",\"issuer\"", "twice"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good);
        let error = e.completed_by(bad.as_bytes()).expect_err(why);
        assert!(error.id() == Id::MetadataInvalid && error.why().contains(why), "{why}: {}", error.why());
    }
}

#[test]
fn a_custom_url_must_be_approved() {
    let url = "https://oauth.company.com/authorize";
    let error =
        resolved(&[("CLAUDE_CODE_CUSTOM_OAUTH_URL", url)], &Config::default(), None).expect_err("empty list");
    assert_eq!(error.id(), Id::UrlNotApproved);
}
