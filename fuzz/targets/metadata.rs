//! Provider metadata. The first byte selects how the environment was configured.
#![no_main]

use keyfob_core::{
    Id,
    config::{
        Config, RawConfig, RawEnvironment,
        approved::{ApprovedList, RawEntry, RawList},
    },
    contract::settings::Settings,
    provider::environment::Environment,
};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use url::Url;

const ISSUER: &str = "https://id.example";

fn configured() -> Environment {
    let work = RawEnvironment {
        issuer: Some(ISSUER.into()),
        client_id: Some("client".into()),
        ..RawEnvironment::default()
    };
    let raw = RawConfig { environments: [("work".into(), work)].into(), ..RawConfig::default() };
    let config = Config::parse(raw).expect("a configuration");
    keyfob_core::provider::resolve(&Settings::default(), &config, Some("work"), &ApprovedList::default())
        .expect("an environment")
}

fn custom() -> Environment {
    let approved = vec![RawEntry { url: format!("{ISSUER}/authorize"), ..RawEntry::default() }];
    let list = ApprovedList::parse(RawList { approved }).expect("a list");
    let settings = Settings { custom_url: Some(format!("{ISSUER}/authorize")), ..Settings::default() };
    keyfob_core::provider::resolve(&settings, &Config::default(), None, &list).expect("an environment")
}

fuzz_target!(|bytes: &[u8]| {
    let [mode, body @ ..] = bytes else { return };
    let custom_url = mode % 2 == 1;
    let environment = if custom_url { custom() } else { configured() };
    match environment.completed_by(body) {
        Err(error) => {
            assert!(matches!(error.id(), Id::MetadataInvalid | Id::EnvironmentIncomplete));
            for part in [error.what(), error.why()] {
                keyfob_fuzz::assert_harmless(part);
            }
        }
        Ok(complete) => {
            let said: Value = serde_json::from_slice(body).expect("metadata is JSON");
            assert_eq!(said["issuer"], ISSUER);
            // Who says nothing of PKCE is asked with S256; who lists methods must list it (RFC 8414 §2).
            let listed = said["code_challenge_methods_supported"].as_array();
            let methods = listed.filter(|methods| methods.iter().all(Value::is_string));
            assert!(methods.is_none_or(|methods| methods.iter().any(|method| method == "S256")));
            assert!(!complete.needs_discovery());
            complete.token_url().expect("a token endpoint");
            for (name, endpoint) in complete.endpoints.named() {
                let url = Url::parse(endpoint).expect("an endpoint is a URL");
                let loopback = matches!(url.host_str(), Some(host) if host == "localhost" || host == "[::1]"
                    || host.starts_with("127."));
                assert!(url.scheme() == "https" || url.scheme() == "http" && loopback, "{name}: {endpoint}");
                assert!(url.username().is_empty() && url.password().is_none(), "{name}: {endpoint}");
                if custom_url {
                    assert_eq!(url.origin().ascii_serialization(), ISSUER, "{name}: {endpoint}");
                }
            }
            assert_eq!(complete.issuer(), ISSUER);
        }
    }
});
