use alloc::{collections::BTreeMap, format, string::ToString, vec::Vec};

use super::{Endpoints, Environment, resolve, well_known};
use crate::{Cause, Id, Result, Timestamp};

use crate::{
    config::{
        Config, RawConfig, RawEnvironment,
        approved::{ApprovedList, RawEntry, RawList},
    },
    contract::{
        self, Variables,
        settings::{ClientId, Settings},
    },
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
    // CI runs this test once more in a build that sets the variable, as a vendor's does.
    match option_env!("KEYFOB_DEFAULT_CLIENT_ID") {
        None => {
            let error = e.require_client_id().expect_err("none is shipped");
            assert_eq!(error.id(), Id::ClientIdMissing);
            assert!(matches!(error.cause(), Some(Cause::NoClientId { vendor: true, .. })), "{error:?}");
        }
        Some(built_in) => {
            assert_eq!(e.require_client_id().unwrap().as_str(), built_in);
            let staging = config("staging", RawEnvironment::default());
            let staging = resolved(&[("USE_STAGING_OAUTH", "1")], &staging, None);
            assert!(
                staging.map_or(true, |staging| staging.require_client_id().is_err()),
                "production's client is no other environment's"
            );
        }
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
    assert_eq!(well_known("https://a/b/c")[0], "https://a/.well-known/oauth-authorization-server/b/c");
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
    // What is not needed is never fatal: silence, or a member of another type than the RFC's.
    for (from, to) in [
        (r#","code_challenge_methods_supported":["plain","S256"]"#, ""),
        (r#"["plain","S256"]"#, "null"),
        ("\"issuer\"", r#""revocation_endpoint":null,"userinfo_endpoint":"","jwks_uri":[7],"issuer""#),
        (":true", r#":"yes""#),
    ] {
        let odd = good.replacen(from, to, 1);
        assert_ne!(odd, good);
        assert!(e.completed_by(odd.as_bytes()).is_ok(), "{odd}");
    }
}

/// The contract: rows of one table, which a configuration file may complete.
#[test]
fn configuration_completes_the_built_in_rows() {
    let raw = || RawEnvironment {
        client_id: Some("ours".into()),
        scopes: Some(Vec::from(["openid".to_string()])),
        redirect: Some("localhost".into()),
        ..RawEnvironment::default()
    };
    let url = "https://oauth.company.com/authorize";
    for (name, pairs) in [
        ("production", &[][..]),
        ("local", &[("USE_LOCAL_OAUTH", "1")]),
        ("custom", &[("CLAUDE_CODE_CUSTOM_OAUTH_URL", url)]),
    ] {
        let e = resolve(&settings(pairs), &config(name, raw()), None, &approved(url)).unwrap();
        assert_eq!(e.name, name);
        assert_eq!(e.require_client_id().unwrap().as_str(), "ours", "{name}");
        assert_eq!((e.scopes.to_string(), e.redirect_is_name), ("openid".to_string(), true), "{name}");
        let over = [pairs, &[("CLAUDE_CODE_OAUTH_CLIENT_ID", "mine"), ("CLAUDE_CODE_OAUTH_SCOPES", "a b")]];
        let e = resolve(&settings(&over.concat()), &config(name, raw()), None, &approved(url)).unwrap();
        assert_eq!(e.require_client_id().unwrap().as_str(), "mine", "{name}: the variable outranks it");
        assert_eq!((e.scopes.to_string(), e.console_scopes.to_string()), ("a b".into(), "a b".into()));
    }
}

/// Variables outrank the command line, which outranks the configuration.
#[test]
fn who_chooses_the_environment() {
    let mut config = config("work", RawEnvironment { api_base: Some("http://[::1]:1".into()), ..at("w") });
    let name = |pairs, config: &Config, chosen| resolved(pairs, config, chosen).unwrap().name;
    assert_eq!(name(&[], &config, None), "production");
    config.environment = Some("work".into());
    assert_eq!(name(&[], &config, None), "work");
    assert_eq!(name(&[], &config, Some("local")), "local");
    assert_eq!(name(&[("USE_LOCAL_OAUTH", "0")], &config, Some("production")), "production");
    assert_eq!(name(&[("USE_LOCAL_OAUTH", "true")], &config, Some("production")), "local");
    let error = resolved(&[], &config, Some("custom")).expect_err("no URL");
    assert_eq!(error.id(), Id::EnvironmentIncomplete);
    assert!(error.why().contains("CLAUDE_CODE_CUSTOM_OAUTH_URL"));
}

fn at(host: &str) -> RawEnvironment {
    RawEnvironment {
        authorize_url: Some(alloc::format!("https://{host}.example/authorize")),
        token_url: Some(alloc::format!("https://{host}.example/token")),
        ..RawEnvironment::default()
    }
}

/// Explicit endpoints, then discovered ones, then those below a base.
#[test]
fn endpoints_have_an_order() {
    let raw = RawEnvironment {
        issuer: Some("https://i.example".into()),
        api_base: Some("https://api.example/v/".into()),
        revoke_url: Some("https://explicit.example/revoke".into()),
        ..RawEnvironment::default()
    };
    let e = resolved(&[], &config("work", raw), Some("work")).unwrap();
    let e = e.completed_by(METADATA.as_bytes()).unwrap().endpoints;
    assert_eq!(e.revoke_url.as_deref(), Some("https://explicit.example/revoke"));
    assert_eq!(e.token_url.as_deref(), Some("https://i.example/token"));
    assert_eq!(e.whoami_url.as_deref(), Some("https://api.example/v/v1/whoami"));
}

/// RFC 9207 §2.4: `iss` is compared only if the issuer's own spelling is known.
#[test]
fn when_iss_can_be_compared() {
    let iss = |e: &Environment| e.iss().map(ToString::to_string);
    assert_eq!(iss(&resolved(&[], &Config::default(), None).unwrap()), None, "production");
    assert_eq!(iss(&resolved(&[], &config("work", at("w")), Some("work")).unwrap()), None, "only endpoints");
    let raw = || RawEnvironment { issuer: Some("https://i.example".into()), ..at("w") };
    let told = resolved(&[], &config("work", raw()), Some("work")).unwrap();
    assert_eq!(iss(&told).as_deref(), Some("https://i.example"), "configured");
    let local = resolved(&[("USE_LOCAL_OAUTH", "1")], &Config::default(), None).unwrap();
    assert_eq!(iss(&local).as_deref(), Some("http://localhost:3000"), "local");
}

const METADATA: &str = r#"{"issuer":"https://i.example","authorization_endpoint":"https://i.example/authorize",
    "token_endpoint":"https://i.example/token","revocation_endpoint":"https://i.example/revoke",
    "code_challenge_methods_supported":["S256"]}"#;

/// A process that listens on loopback is not trusted: a provider elsewhere must not send a code there.
#[test]
fn a_remote_provider_cannot_point_to_loopback() {
    let work = |issuer: &str| {
        let raw = RawEnvironment { issuer: Some(issuer.into()), ..RawEnvironment::default() };
        resolved(&[], &config("work", raw), Some("work")).unwrap()
    };
    let to = |text: &str| METADATA.replace("https://i.example/token", text);
    let bad = to("http://127.0.0.1:9/token");
    let error = work("https://i.example").completed_by(bad.as_bytes()).expect_err("loopback");
    assert!(error.why().contains("`token_endpoint`: expected https"), "{}", error.why());
    let here = METADATA.replace("https://i.example", "http://127.0.0.1:9");
    assert!(work("http://127.0.0.1:9").completed_by(here.as_bytes()).is_ok());
}

/// Staging from bases alone: every endpoint has the same path as below production's.
#[test]
fn environment_with_bases_only_has_all_endpoints() {
    let base = |host: &str| Some(alloc::format!("https://{host}.staging.example/"));
    let raw = RawEnvironment {
        api_base: base("api"),
        apps_base: base("apps"),
        console_base: base("console"),
        ..RawEnvironment::default()
    };
    let e = resolved(&[("USE_STAGING_OAUTH", "1")], &config("staging", raw), None).unwrap();
    assert!(!e.needs_discovery());
    let e = e.endpoints;
    assert_eq!(e.authorize_url.as_deref(), Some("https://apps.staging.example/oauth/authorize"));
    assert_eq!(e.console_authorize_url.as_deref(), Some("https://console.staging.example/oauth/authorize"));
    assert_eq!(e.token_url.as_deref(), Some("https://api.staging.example/v1/oauth/token"));
    assert_eq!(e.session_url.as_deref(), Some("wss://api.staging.example/v1/session/ws"));
    for raw in [
        RawEnvironment::default(),
        RawEnvironment { api_base: base("api"), ..RawEnvironment::default() },
        RawEnvironment { apps_base: base("apps"), ..RawEnvironment::default() },
    ] {
        let error = resolved(&[], &config("staging", raw), Some("staging")).expect_err("incomplete");
        assert_eq!(error.id(), Id::EnvironmentIncomplete);
    }
}

/// The endpoints below the bases, to the letter of the design.
#[test]
fn endpoints_lie_below_their_bases() {
    let e = resolved(&[("USE_LOCAL_OAUTH", "1")], &Config::default(), None).unwrap();
    let named: Vec<_> = e.endpoints.named().collect();
    assert_eq!(
        named,
        [
            ("authorize", "http://localhost:3000/oauth/authorize"),
            ("console", "http://localhost:3000/oauth/authorize"),
            ("token", "http://localhost:3000/v1/oauth/token"),
            ("revoke", "http://localhost:3000/v1/oauth/revoke"),
            ("introspect", "http://localhost:3000/v1/oauth/introspect"),
            ("device", "http://localhost:3000/v1/oauth/device/code"),
            ("profile", "http://localhost:3000/api/oauth/profile"),
            ("whoami", "http://localhost:3000/v1/whoami"),
            ("devices", "http://localhost:3000/api/auth/trusted_devices"),
            ("session", "ws://localhost:3000/v1/session/ws"),
        ]
    );
    assert_eq!(e.paste_redirect().unwrap(), "http://localhost:3000/oauth/code/callback");
}

#[test]
fn a_custom_url_must_be_approved() {
    let url = "https://oauth.company.com/authorize";
    let error =
        resolved(&[("CLAUDE_CODE_CUSTOM_OAUTH_URL", url)], &Config::default(), None).expect_err("empty list");
    assert_eq!(error.id(), Id::UrlNotApproved);
}

/// RFC 6749 §4.4: a machine needs a token endpoint and no page; RFC 8414 §2 says how it proves itself.
#[test]
fn client_credentials_environment_needs_no_authorize_url() {
    use crate::oauth::client_auth::Proof;
    let raw = |issuer: Option<&str>, token: Option<&str>| RawEnvironment {
        issuer: issuer.map(Into::into),
        token_url: token.map(Into::into),
        client_id: Some("ci".into()),
        grant: Some("client_credentials".into()),
        client_secret_file: Some("/run/secret".into()),
        ..RawEnvironment::default()
    };
    let e = resolved(&[], &config("ci", raw(None, Some("https://i.example/token"))), Some("ci")).unwrap();
    let machine = e.machine.clone().unwrap();
    assert!(!e.needs_discovery() && e.proof(&machine) == Proof::Basic);
    assert_eq!((e.issuer(), e.scopes.to_string().as_str()), ("https://i.example", ""));
    assert_eq!(e.for_a_person().unwrap_err().id(), Id::Usage);

    let e = resolved(&[], &config("ci", raw(Some("https://i.example"), None)), Some("ci")).unwrap();
    assert!(e.needs_discovery());
    for (methods, proof) in [
        ("", Proof::Basic),
        (r#""token_endpoint_auth_methods_supported":["client_secret_post"],"#, Proof::Post),
        (
            r#""token_endpoint_auth_methods_supported":["client_secret_post","client_secret_basic"],"#,
            Proof::Basic,
        ),
    ] {
        let said = format!(
            r#"{{{methods}"issuer":"https://i.example","token_endpoint":"https://i.example/token"}}"#
        );
        let complete = e.completed_by(said.as_bytes()).unwrap();
        assert_eq!(complete.proof(&machine), proof, "{methods}");
    }
    let none = config("ci", raw(None, None));
    assert_eq!(resolved(&[], &none, Some("ci")).unwrap_err().id(), Id::EnvironmentIncomplete);
}

/// RFC 8414 §2: what the metadata names counts, before anything is asked. A provider that names nothing is tried.
#[test]
fn a_way_to_authenticate_that_the_provider_does_not_name_is_refused() {
    use crate::oauth::client_assertion::Algorithm;
    let raw = |keys: RawEnvironment| RawEnvironment {
        issuer: Some("https://i.example".into()),
        client_id: Some("ci".into()),
        ..keys
    };
    let text = |t: &str| Some(t.to_string());
    let key = || RawEnvironment { client_key_file: text("/run/key"), ..Default::default() };
    let secret = |auth: Option<&str>| RawEnvironment {
        client_secret_file: text("/run/secret"),
        client_auth: auth.map(Into::into),
        ..Default::default()
    };
    let machine = |keys| RawEnvironment { grant: text("client_credentials"), ..keys };
    let complete = |keys: RawEnvironment, methods: &str| {
        let e = resolved(&[], &config("ci", raw(keys)), Some("ci")).unwrap();
        let said = format!(
            r#"{{{methods}"issuer":"https://i.example","authorization_endpoint":"https://i.example/a",
            "token_endpoint":"https://i.example/token"}}"#
        );
        e.completed_by(said.as_bytes())
    };
    let names = |methods: &str| format!(r#""token_endpoint_auth_methods_supported":{methods},"#);
    for (keys, methods) in [
        (key(), r#"["client_secret_basic","none"]"#),
        (machine(key()), r#"["client_secret_post"]"#),
        (secret(None), r#"["private_key_jwt","none"]"#),
        (secret(Some("client_secret_post")), r#"["client_secret_basic"]"#),
        (machine(secret(None)), r#"["tls_client_auth"]"#),
    ] {
        let error = complete(keys, &names(methods)).expect_err(methods);
        assert_eq!(error.id(), Id::ClientAuthUnsupported, "{error}");
        assert!(matches!(error.cause(), Some(Cause::ClientAuthOffered { .. })), "{error:?}");
    }
    for (keys, methods) in [
        (key(), names(r#"["private_key_jwt"]"#)),
        (key(), names("[]").replace("token_endpoint", "other")),
        (key(), names("[]")),
        (secret(Some("client_secret_post")), names(r#"["client_secret_post"]"#)),
        (RawEnvironment::default(), names(r#"["client_secret_basic"]"#)),
    ] {
        assert!(complete(keys, &methods).is_ok(), "{methods}");
    }
    let algorithms = r#""token_endpoint_auth_signing_alg_values_supported":["ES256","PS256"],"#;
    let e = complete(key(), algorithms).unwrap();
    assert!(e.takes_signatures_of(Algorithm::Es256).is_ok());
    let error = e.takes_signatures_of(Algorithm::Rs256).unwrap_err();
    assert_eq!(error.id(), Id::ClientKeyKind);
    assert!(error.why().contains("RS256") && error.why().contains("ES256, PS256"), "{error}");
    assert!(complete(key(), "").unwrap().takes_signatures_of(Algorithm::EdDsa).is_ok());
}

/// The contract, "Who is not trusted": the environment's own origins and its `hosts`, exactly.
#[test]
fn a_credential_goes_to_the_providers_own_origins_and_the_configured_ones() {
    let environment = |issuer: &str| {
        let raw = RawEnvironment {
            issuer: Some(issuer.into()),
            authorize_url: Some("https://page.example/authorize".into()),
            token_url: Some("https://token.example/token".into()),
            api_base: Some("https://api.example/base".into()),
            hosts: Some(["https://git.example:8443".into()].into()),
            ..RawEnvironment::default()
        };
        resolve(&Settings::default(), &config("work", raw), Some("work"), &ApprovedList::default()).unwrap()
    };
    let work = environment("https://id.example/realm");
    for own in
        ["https://id.example", "https://token.example", "https://api.example", "https://git.example:8443"]
    {
        assert!(work.may_have_credential(own, None), "{own}");
    }
    for other in
        ["https://page.example", "https://git.example", "http://token.example", "https://x.token.example", ""]
    {
        assert!(!work.may_have_credential(other, None), "{other}");
    }
    // What a login's record says counts for its token, and the hosts of its own provider alone.
    let id = crate::login::record::Generation::new([7; 16], 1);
    let mut work = work;
    work.client_id = ClientId::parse("agents").ok();
    let mut record = work.record(id, "default", Timestamp(0), None).unwrap();
    record.endpoints =
        Endpoints { token_url: Some("https://then.example/token".into()), ..Endpoints::default() };
    assert!(work.may_have_credential("https://then.example", Some(&record)));
    assert!(
        !work.may_have_credential("https://api.example", Some(&record)),
        "only today's configuration says so"
    );
    assert!(work.may_have_credential("https://git.example:8443", Some(&record)));
    let elsewhere = environment("https://other.example");
    assert!(!elsewhere.may_have_credential("https://git.example:8443", Some(&record)));
}

#[test]
fn a_host_is_an_origin() {
    for wrong in ["git.example", "https://git.example/group", "http://git.example", "https://*.example/", ""]
    {
        let raw = RawEnvironment { hosts: Some([wrong.into()].into()), ..RawEnvironment::default() };
        let environments = BTreeMap::from([("work".to_string(), raw)]);
        let error = Config::parse(RawConfig { environments, ..RawConfig::default() }).expect_err(wrong);
        assert!(error.what().contains("environments.work.hosts"), "{error}");
    }
}

/// What the metadata names is what is asked (RFC 8414 §2).
#[test]
fn every_endpoint_of_the_metadata_is_taken() {
    let raw = RawEnvironment { issuer: Some("https://i.example".into()), ..RawEnvironment::default() };
    let found =
        resolve(&Settings::default(), &config("work", raw), Some("work"), &ApprovedList::default()).unwrap();
    let body = r#"{"issuer":"https://i.example","authorization_endpoint":"https://i.example/a",
        "token_endpoint":"https://i.example/t","revocation_endpoint":"https://i.example/r",
        "introspection_endpoint":"https://i.example/i","device_authorization_endpoint":"https://i.example/d",
        "userinfo_endpoint":"https://i.example/u"}"#;
    let endpoints = found.completed_by(body.as_bytes()).unwrap().endpoints;
    let all: Vec<_> = endpoints.named().map(|(_, url)| url).collect();
    assert_eq!(all, ["a", "t", "r", "i", "d", "u"].map(|end| format!("https://i.example/{end}")));
    assert_eq!(endpoints.identity_url().as_deref(), Some("https://i.example/u"));
    assert!(crate::provider::is_metadata(body.as_bytes()) && !crate::provider::is_metadata(b"{}"));
}

/// Nothing that the configuration says of an environment is lost on the way.
#[test]
fn an_environment_is_what_its_configuration_says() {
    let text = |t: &str| Some(t.to_string());
    let raw = RawEnvironment {
        client_id: text("ours"),
        scopes: Some(["a".into(), "b".into()].into()),
        redirect: text("localhost"),
        port: Some(8000),
        prompt: text("login"),
        dead_refresh_words: Some(["gone".into()].into()),
        client_secret_file: text("/run/secret"),
        api_base: text("https://api.example"),
        apps_base: text("https://apps.example"),
        console_base: text("https://console.example"),
        ..RawEnvironment::default()
    };
    let settings = Settings::default();
    let found = resolve(&settings, &config("work", raw), Some("work"), &ApprovedList::default()).unwrap();
    assert_eq!(found.client_id.as_ref().map(|id| id.as_str()), Some("ours"));
    assert_eq!((found.scopes.to_string(), found.console_scopes.to_string()), ("a b".into(), "a b".into()));
    assert!(found.redirect_is_name && found.prompt.is_some());
    assert_eq!(found.port, Some(8000));
    assert_eq!(found.dead_refresh_words, ["gone"]);
    let bases = [&found.api_base, &found.apps_base, &found.console_base].map(|base| base.as_deref());
    let expected = ["https://api.example", "https://apps.example", "https://console.example"];
    assert_eq!(bases, expected.map(Some));
    assert!(found.secret_at().is_some());
    let (page, scopes) = found.sign_in(true).unwrap();
    assert_eq!((page, scopes.to_string()), ("https://console.example/oauth/authorize", "a b".into()));
}

/// Both work without a configuration file; only the client of production is another party's own.
#[test]
fn the_built_in_environments_are_whole() {
    let of =
        |settings: &Settings| resolve(settings, &Config::default(), None, &ApprovedList::default()).unwrap();
    let bases = |e: &Environment| [&e.api_base, &e.apps_base, &e.console_base].map(Option::is_some);
    let production = of(&Settings::default());
    assert_eq!(bases(&production), [true; 3]);
    let local = of(&settings(&[("USE_LOCAL_OAUTH", "1")]));
    assert_eq!(bases(&local), [true; 3]);
    for environment in [production, local] {
        let scopes = [&environment.scopes, &environment.console_scopes].map(|scopes| scopes.to_string());
        assert_eq!(scopes, ["user:profile user:inference", "org:create_api_key user:profile"]);
        assert!(environment.sign_in(false).unwrap().0.starts_with("http"));
    }
}

/// A secret belongs to the client it was written beside.
#[test]
fn another_client_does_not_get_the_configured_ones_secret() {
    let raw = RawEnvironment {
        client_id: Some("ours".into()),
        client_secret_file: Some("/run/secret".into()),
        ..at("work")
    };
    let config = config("work", raw);
    let secret = |client: &str| {
        resolved(&[("CLAUDE_CODE_OAUTH_CLIENT_ID", client)], &config, Some("work")).unwrap().secret_at()
    };
    assert!(secret("ours").is_some() && secret("mine").is_none());
}

/// If none were chosen, a person's login has the scopes of the built-in ones, and a machine's those of its provider.
#[test]
fn scopes_that_nobody_chose() {
    let scopes = |e: Environment| [e.scopes.to_string(), e.console_scopes.to_string()];
    let usual = ["user:profile user:inference"; 2];
    assert_eq!(scopes(resolved(&[], &config("work", at("work")), Some("work")).unwrap()), usual);
    let url = "https://oauth.company.com/authorize";
    let custom = settings(&[("CLAUDE_CODE_CUSTOM_OAUTH_URL", url)]);
    assert_eq!(scopes(resolve(&custom, &Config::default(), None, &approved(url)).unwrap()), usual);
    let machine = RawEnvironment {
        client_id: Some("ci".into()),
        grant: Some("client_credentials".into()),
        client_secret_file: Some("/run/secret".into()),
        ..at("ci")
    };
    assert_eq!(scopes(resolved(&[], &config("ci", machine), Some("ci")).unwrap()), [""; 2]);
}
