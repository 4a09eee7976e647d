use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};

use super::{
    agent::{RawDoor, RawSink},
    *,
};
use crate::{
    Cause, Id, Result,
    contract::names::AUTH_TOKEN,
    login::sealed::KeyStore,
    oauth::client_auth::{Confidential, Place, Proof},
};

fn environment(raw: RawEnvironment) -> Result<Config> {
    let environments = BTreeMap::from([("work".to_string(), raw)]);
    Config::parse(RawConfig { environments, ..RawConfig::default() })
}

#[test]
fn configuration_error_names_the_key() {
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
        environment(RawEnvironment { token_url: text("http://127.0.0.1:3/t"), ..Default::default() }).is_ok()
    );
    for scopes in [vec![String::new()], vec!["a b".to_string()], vec!["a".to_string(), String::new()]] {
        assert!(
            said(RawEnvironment { scopes: Some(scopes), ..Default::default() })
                .contains("environments.work.scopes")
        );
    }
    let said = |raw| Config::parse(raw).expect_err("wrong").what().to_string();
    assert!(said(RawConfig { prefer: text("both"), ..Default::default() }).contains("`prefer`"));
    for word in ["", "keychain", "File"] {
        assert!(said(RawConfig { seal: text(word), ..Default::default() }).contains("`seal`"));
        assert!(said(RawConfig { store: text(word), ..Default::default() }).contains("`store`"));
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
    let seal = |word: &str| {
        let config = Config::parse(RawConfig { seal: Some(word.into()), ..RawConfig::default() }).unwrap();
        assert!(config.outdated.is_empty());
        config.seal
    };
    assert_eq!(Config::default().seal, None);
    assert_eq!(seal("file"), None);
    assert_eq!(seal("kernel"), Some(KeyStore::Kernel));
    assert_eq!(seal("secret-service"), Some(KeyStore::SecretService));
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
        assert_eq!(work.confidential, Some(Confidential { secret, proof, key_id: None }));
    }
}

/// The keys of a machine come together or not at all.
#[test]
fn client_credentials_configuration_must_be_complete() {
    let text = |t: &str| Some(t.to_string());
    let whole = || RawEnvironment {
        client_id: text("ci"),
        grant: text("client_credentials"),
        client_secret_file: text("/run/secret"),
        ..Default::default()
    };
    let config = environment(whole()).unwrap();
    let machine = config.environments["work"].machine.clone().unwrap();
    let secret = Place::File("/run/secret".into());
    assert_eq!(machine, Confidential { secret, proof: None, key_id: None });
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

/// A private key takes the place of a secret, for a person's client and a machine's. It signs for an issuer, which has to
/// be known by name, and never beside a secret.
#[test]
fn a_client_may_have_a_key_and_no_secret() {
    let text = |t: &str| Some(t.to_string());
    let whole = || RawEnvironment {
        issuer: text("https://id.example"),
        client_id: text("desktop"),
        client_key_file: text("/run/key.pem"),
        ..Default::default()
    };
    for client_auth in [None, text("private_key_jwt")] {
        let raw = RawEnvironment { client_auth, client_key_id: text("k1"), ..whole() };
        let config = environment(raw).unwrap();
        let work = &config.environments["work"];
        let (secret, proof) = (Place::File("/run/key.pem".into()), Some(Proof::PrivateKeyJwt));
        assert_eq!(work.confidential, Some(Confidential { secret, proof, key_id: text("k1") }));
    }
    let raw = RawEnvironment { grant: text("client_credentials"), ..whole() };
    assert!(environment(raw).unwrap().environments["work"].machine.is_some());
    let public = RawEnvironment { client_auth: text("none"), client_key_file: None, ..whole() };
    assert_eq!(environment(public).unwrap().environments["work"].confidential, None);
    let without = || RawEnvironment { client_key_file: None, ..whole() };
    let secret = || RawEnvironment { client_secret_file: text("/run/secret"), ..without() };
    for (raw, key) in [
        (RawEnvironment { issuer: None, ..whole() }, "client_key_file"),
        (RawEnvironment { client_id: None, ..whole() }, "client_id"),
        (RawEnvironment { client_key_file: text("key.pem"), ..whole() }, "client_key_file"),
        (RawEnvironment { client_key_command: text("pass key"), ..whole() }, "client_key_file"),
        (RawEnvironment { client_key_command: text(" "), ..without() }, "client_key_command"),
        (RawEnvironment { client_secret_file: text("/run/secret"), ..whole() }, "client_key_file"),
        (RawEnvironment { client_auth: text("client_secret_post"), ..whole() }, "client_auth"),
        (RawEnvironment { client_auth: text("none"), ..whole() }, "client_auth"),
        (RawEnvironment { client_auth: text("private_key_jwt"), ..without() }, "client_auth"),
        (RawEnvironment { client_auth: text("client_secret_jwt"), ..whole() }, "client_auth"),
        (RawEnvironment { client_auth: text("private_key_jwt"), ..secret() }, "client_auth"),
        (RawEnvironment { client_auth: text("none"), ..secret() }, "client_auth"),
        (RawEnvironment { client_key_id: text("k1"), ..secret() }, "client_key_id"),
        (RawEnvironment { client_key_id: text("k1"), ..without() }, "client_key_id"),
        (RawEnvironment { client_key_id: text(""), ..whole() }, "client_key_id"),
        (
            RawEnvironment { client_auth: text("none"), grant: text("client_credentials"), ..without() },
            "client_secret_file",
        ),
    ] {
        let error = environment(raw).expect_err(key);
        assert!(error.what().contains(&format!("environments.work.{key}`")), "{key}: {error}");
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

/// The former name of `seal` is read, and reported; both together are an error.
#[test]
fn the_earlier_name_of_seal_is_read_and_said() {
    let earlier = RawConfig { store: Some("kernel".into()), ..RawConfig::default() };
    let config = Config::parse(earlier).unwrap();
    assert_eq!(config.seal, Some(KeyStore::Kernel));
    let [said] = &config.outdated[..] else { panic!("it is said: {:?}", config.outdated) };
    assert!(said.what().contains("`store`"), "{said}");
    assert!(
        matches!(said.cause(), Some(Cause::KeyRenamed { now, .. }) if now == "seal = \"kernel\""),
        "{said:?}"
    );
    let word = || Some("kernel".to_string());
    let both = RawConfig { seal: word(), store: word(), ..RawConfig::default() };
    let error = Config::parse(both).unwrap_err();
    assert_eq!(error.id(), crate::Id::ConfigMalformed);
    assert!(error.message().contains("`seal`") && error.message().contains("`store`"), "{error}");
}

/// People correct everything in one go.
#[test]
fn every_mistake_is_told_at_once() {
    let text = |t: &str| Some(t.to_string());
    let work = RawEnvironment {
        issuer: text("ftp://id.example"),
        redirect: text("0.0.0.0"),
        port: Some(65536),
        client_auth: text("basic"),
        ..Default::default()
    };
    let production =
        RawEnvironment { issuer: text("https://id.example"), port: Some(0), ..Default::default() };
    let raw = RawConfig {
        prefer: text("both"),
        seal: text("keychain"),
        environment: text("wrok"),
        environments: BTreeMap::from([
            ("work".to_string(), work),
            ("production".to_string(), production),
            ("a b".to_string(), RawEnvironment::default()),
        ]),
        ..Default::default()
    };
    let mistakes = Config::read(raw).expect_err("mistakes");
    let mut paths: Vec<_> = mistakes.iter().map(|mistake| mistake.path().join(".")).collect();
    paths.sort();
    let expected = [
        "environment",
        "environments.a b",
        "environments.production.issuer",
        "environments.production.port",
        "environments.work.client_auth",
        "environments.work.issuer",
        "environments.work.port",
        "environments.work.redirect",
        "prefer",
        "seal",
    ];
    assert_eq!(paths, expected);
    let named = mistakes.iter().find(|mistake| mistake.path() == ["environment"]).expect("noted");
    assert!(named.expected().contains("local, production, staging, work"), "{}", named.expected());
}

#[test]
fn the_port_of_the_callback_can_be_fixed() {
    let with = |port| environment(RawEnvironment { port, ..Default::default() });
    assert_eq!(with(Some(8000)).unwrap().environments["work"].port, Some(8000));
    assert_eq!(with(None).unwrap().environments["work"].port, None);
    for wrong in [-1, 0, 65_536, i64::MAX] {
        assert!(with(Some(wrong)).is_err(), "{wrong}");
    }
}

/// What is said of the keys is said of those that are read, and of no others.
#[test]
fn the_table_of_keys_is_what_is_read() {
    use super::keys::{KEYS, Section};
    let named = |section| {
        let keys = KEYS.iter().filter(|key| key.section == section).map(|key| key.name);
        keys.collect::<alloc::collections::BTreeSet<_>>()
    };
    let read = |fields: &[&'static str]| fields.iter().copied().collect::<alloc::collections::BTreeSet<_>>();
    let mut top = read(fields::of::<RawConfig>());
    assert!(
        top.remove("environments") && top.remove("telemetry") && top.remove("agent") && top.remove("proxy"),
        "the tables"
    );
    assert_eq!(named(Section::Top), top);
    let mut environment = read(fields::of::<RawEnvironment>());
    assert!(environment.remove("federation"), "a table");
    assert_eq!(named(Section::Environment), environment);
    assert_eq!(named(Section::Federation), read(fields::of::<RawFederation>()));
    assert_eq!(named(Section::Proxy), read(fields::of::<RawProxy>()));
    assert_eq!(named(Section::Telemetry), read(fields::of::<RawTelemetry>()));
    assert_eq!(named(Section::Door), read(fields::of::<RawDoor>()));
    assert_eq!(named(Section::Sink), read(fields::of::<RawSink>()));
    let sections = [
        Section::Top,
        Section::Environment,
        Section::Federation,
        Section::Proxy,
        Section::Telemetry,
        Section::Door,
        Section::Sink,
    ];
    assert_eq!(
        sections.map(|section| named(section).len()).iter().sum::<usize>(),
        KEYS.len(),
        "none is there twice"
    );
}

/// The names of a structure's fields, as its derived reader asks for them.
mod fields {
    use core::fmt;

    use serde::{
        Deserialize, Deserializer,
        de::{self, Visitor},
        forward_to_deserialize_any,
    };

    struct Asked<'a>(&'a mut &'static [&'static str]);

    #[derive(Debug)]
    struct Enough;

    impl fmt::Display for Enough {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("enough")
        }
    }

    impl core::error::Error for Enough {}

    impl de::Error for Enough {
        fn custom<T: fmt::Display>(_: T) -> Self {
            Self
        }
    }

    impl<'de> Deserializer<'de> for Asked<'_> {
        type Error = Enough;

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Enough> {
            Err(Enough)
        }

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            _: V,
        ) -> Result<V::Value, Enough> {
            *self.0 = fields;
            Err(Enough)
        }

        forward_to_deserialize_any! {
            bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
            newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }

    pub(super) fn of<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
        let mut fields: &'static [&'static str] = &[];
        let _ = T::deserialize(Asked(&mut fields));
        fields
    }
}

/// RFC 6749 §3.3: an empty list is an answer, and not the same as none.
#[test]
fn to_ask_for_no_scope_is_a_choice() {
    let scopes = |scopes| {
        let config = environment(RawEnvironment { scopes, ..Default::default() }).unwrap();
        config.environments["work"].scopes.clone().map(|scopes| scopes.to_string())
    };
    assert_eq!(scopes(Some(vec![])).as_deref(), Some(""));
    assert_eq!(scopes(Some(vec!["a".into(), "b".into()])).as_deref(), Some("a b"));
    assert_eq!(scopes(None), None);
}

#[test]
fn an_environment_has_a_name_that_can_be_typed() {
    let named = |name: &str| {
        let environments = BTreeMap::from([(name.to_string(), RawEnvironment::default())]);
        Config::parse(RawConfig { environments, ..RawConfig::default() })
    };
    for name in ["work", "Work-2", "a_b.c"] {
        assert!(named(name).is_ok(), "{name}");
    }
    for name in ["", "a b", "w\u{f6}rk", "a/b"] {
        assert!(named(name).is_err(), "{name:?}");
    }
}

#[test]
fn the_device_grant_is_off_where_somebody_turned_it_off() {
    let off = |device_grant| {
        Config::parse(RawConfig { device_grant, ..RawConfig::default() }).unwrap().device_grant_is_off
    };
    assert_eq!([None, Some(true), Some(false)].map(off), [false, false, true]);
}

/// A name means something only in its section: `prompt` at the top is none.
#[test]
fn a_key_is_found_in_its_own_section() {
    use super::keys::{KEYS, Key, Section};
    for key in KEYS {
        let found = Key::find(key.section, key.name).expect(key.name);
        assert!(found.section == key.section && found.name == key.name, "{}", key.name);
    }
    for (section, name) in [
        (Section::Top, "prompt"),
        (Section::Environment, "prefer"),
        (Section::Telemetry, "seal"),
        (Section::Top, ""),
    ] {
        assert!(Key::find(section, name).is_none(), "{name}");
    }
}

#[test]
fn what_a_key_holds_is_told_apart() {
    use super::keys::Holds;
    let told: alloc::collections::BTreeSet<_> =
        [Holds::Text, Holds::Texts, Holds::Numbers, Holds::Boolean, Holds::Port, Holds::Table]
            .map(Holds::expected)
            .into();
    assert!(told.len() == 6 && told.iter().all(|text| text.starts_with("expected ")), "{told:?}");
}

#[test]
fn a_proxy_is_a_target_and_what_a_program_is_told() {
    let read = |raw: RawProxy| {
        let raw = RawConfig { proxy: [("api".into(), raw)].into(), ..RawConfig::default() };
        Config::parse(raw).map(|config| config.proxies["api"].clone())
    };
    let to = |to: &str| RawProxy { to: Some(to.into()), ..RawProxy::default() };
    let plain = read(to("https://api.example.com/v1")).unwrap();
    assert!(plain.scrubs_bodies && !plain.private && plain.allow.is_empty());
    assert_eq!((&*plain.base_url_variable, &*plain.token_variable), ("ANTHROPIC_BASE_URL", AUTH_TOKEN));
    let rules = |rules: &[&str]| RawProxy {
        allow: rules.iter().map(|rule| (*rule).to_string()).collect(),
        ..to("https://api.example.com")
    };
    assert!(read(rules(&["POST /v1/messages", "/v1/"])).is_ok());
    for wrong in [
        RawProxy::default(),
        to("http://api.example.com"),
        to("api.example.com"),
        rules(&["post /v1"]),
        rules(&["v1"]),
        rules(&["GET v1"]),
        RawProxy { scrub: Some("all".into()), ..to("https://api.example.com") },
        RawProxy { token_variable: Some("1X".into()), ..to("https://api.example.com") },
        RawProxy { token_variable: Some("KEYFOB_HOME".into()), ..to("https://api.example.com") },
        RawProxy { base_url_variable: Some(String::new()), ..to("https://api.example.com") },
    ] {
        assert_eq!(read(wrong).unwrap_err().id(), Id::ConfigMalformed);
    }
}

/// Of the variables of one program each has one meaning.
#[test]
fn proxies_do_not_write_over_each_others_variables() {
    let proxy = |base_url: &str, token: &str| RawProxy {
        to: Some("https://api.example.com".into()),
        base_url_variable: Some(base_url.into()),
        token_variable: Some(token.into()),
        ..RawProxy::default()
    };
    let read = |proxies: &[(&str, &str)]| {
        let names = ["a", "b", "c"].into_iter();
        let proxies = names.zip(proxies).map(|(name, (base, token))| (name.into(), proxy(base, token)));
        Config::parse(RawConfig { proxy: proxies.collect(), ..RawConfig::default() }).map(drop)
    };
    // The token is the same for all of them.
    assert!(read(&[("A_URL", "TOKEN"), ("B_URL", "TOKEN"), ("C_URL", "OTHER")]).is_ok());
    for (wrong, variable) in [
        (&[("URL", "TOKEN"), ("URL", "OTHER")][..], "URL"),
        (&[("BOTH", "BOTH")], "BOTH"),
        (&[("A_URL", "TOKEN"), ("B_URL", "A_URL")], "A_URL"),
        (&[("A_URL", "C_URL"), ("B_URL", "TOKEN"), ("C_URL", "TOKEN")], "C_URL"),
        (&[("NO_PROXY", "TOKEN")], "NO_PROXY"),
        (&[("URL", "no_proxy")], "no_proxy"),
    ] {
        let error = read(wrong).expect_err("two meanings");
        assert_eq!(error.id(), Id::ConfigMalformed);
        assert!(error.why().contains(variable), "{wrong:?}: {error}");
    }
}
