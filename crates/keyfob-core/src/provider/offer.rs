//! What a provider offers, by its own metadata: for setting up a client there.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};

use serde_json::{Map, Value};

use crate::{
    Result,
    contract::settings::Scopes,
    json,
    provider::{
        Endpoints,
        environment::{Discovery, Environment},
    },
};

/// The scopes that a person's login requests by default: who it is, under a name that people know, and a refresh token
/// (OpenID Connect Core §5.4, §11).
const WANTED: [&str; 3] = ["openid", "email", OFFLINE];
const OFFLINE: &str = "offline_access";

/// What a provider offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// What it calls itself. That may differ from what was asked by a final slash.
    pub issuer: String,
    /// Where it is asked.
    pub endpoints: Endpoints,
    /// Whether it says that it takes PKCE with S256 (RFC 7636). `false`: it says nothing; one that says no is refused.
    pub says_s256: bool,
    /// The scopes it names, where it names any.
    pub scopes: Option<Vec<String>>,
    /// Whether it speaks OpenID Connect.
    pub openid: bool,
    /// Whether it names the grant of refresh tokens.
    pub refreshes: bool,
}

impl Offer {
    /// Reads the metadata that was found where `issuer`'s must be. A final slash too many or too few is forgiven, since
    /// the location of the metadata is the same: the provider's own spelling counts.
    ///
    /// # Errors
    /// As [`Environment::completed_by`].
    pub fn read(issuer: &str, metadata: &[u8]) -> Result<Self> {
        let said: Map<String, Value> = json::strict(metadata).unwrap_or_default();
        let own = said.get("issuer").and_then(Value::as_str).filter(|own| is_spelling(own, issuer));
        let environment = Environment {
            discovery: Discovery::Needed { origin: None, relative: Default::default() },
            ..Environment::bare("", own.unwrap_or(issuer))
        };
        let complete = environment.completed_by(metadata)?;
        let list = |name: &str| said.get(name).and_then(Value::as_array);
        let names =
            |name: &str, word: &str| list(name).is_some_and(|list| list.iter().any(|one| one == word));
        let scopes = list("scopes_supported").map(|list| {
            let texts = list.iter().filter_map(Value::as_str);
            // What is no scope (RFC 6749 §3.3) cannot be asked for.
            texts
                .filter(|text| !text.contains(' ') && Scopes::parse(text).is_ok())
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        });
        let openid = names("scopes_supported", "openid")
            || said.contains_key("id_token_signing_alg_values_supported")
            || scopes.is_none() && complete.endpoints.userinfo_url.is_some();
        Ok(Self {
            issuer: complete.issuer,
            endpoints: complete.endpoints,
            says_s256: names("code_challenge_methods_supported", "S256"),
            scopes,
            openid,
            refreshes: names("grant_types_supported", "refresh_token"),
        })
    }

    /// The scopes to request by default: those that it offers, or all of them if it speaks OpenID Connect and does not
    /// say.
    #[must_use]
    pub fn usual_scopes(&self) -> Vec<&'static str> {
        let offered = |scope: &&str| match &self.scopes {
            Some(scopes) => scopes.iter().any(|one| one == scope),
            None => self.openid,
        };
        WANTED.into_iter().filter(offered).collect()
    }

    /// Whether it lists its scopes, and this one is not among them.
    #[must_use]
    pub fn lacks(&self, scope: &str) -> bool {
        self.scopes.as_ref().is_some_and(|scopes| !scopes.iter().any(|one| one == scope))
    }

    /// Whether a login with these scopes will have a refresh token, as far as that is known.
    #[must_use]
    pub fn renews<'s>(&self, mut scopes: impl Iterator<Item = &'s str>) -> Option<bool> {
        if scopes.any(|scope| scope == OFFLINE) {
            return Some(true);
        }
        // A provider with that scope gives refresh tokens for it alone (OpenID Connect Core §11).
        match (self.scopes.is_some() && !self.lacks(OFFLINE), self.refreshes) {
            (true, _) => Some(false),
            (false, true) => Some(true),
            (false, false) => None,
        }
    }
}

/// Whether these are one issuer, but for a slash at the end.
pub(super) fn is_spelling(one: &str, other: &str) -> bool {
    one == other || one.strip_suffix('/') == Some(other) || other.strip_suffix('/') == Some(one)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cause, Id};
    use alloc::{format, vec};

    fn metadata(issuer: &str, more: &str) -> String {
        format!(
            r#"{{"issuer":"{issuer}","authorization_endpoint":"https://i.example/a","token_endpoint":"https://i.example/t"{more}}}"#
        )
    }

    fn offer(more: &str) -> Offer {
        Offer::read("https://i.example", metadata("https://i.example", more).as_bytes()).unwrap()
    }

    #[test]
    fn a_final_slash_is_the_providers_to_decide() {
        for (asked, own) in [
            ("https://i.example/", "https://i.example"),
            ("https://i.example", "https://i.example/"),
            ("https://i.example/realms/a/", "https://i.example/realms/a"),
            ("https://i.example", "https://i.example"),
        ] {
            let read = Offer::read(asked, metadata(own, "").as_bytes()).unwrap();
            assert_eq!(read.issuer, own, "{asked}");
        }
        for other in ["https://i.example//", "https://I.example", "https://other.example", ""] {
            let error = Offer::read("https://i.example", metadata(other, "").as_bytes()).expect_err(other);
            assert_eq!(error.id(), Id::MetadataInvalid);
            assert!(error.why().contains(&format!("`{other}`")), "{error}");
            // Another provider's name is no other spelling: the user is not advised to trust it.
            let spelling = matches!(error.cause(), Some(Cause::IssuerSpelling { .. }));
            assert_eq!(spelling, other == "https://i.example//", "{error:?}");
        }
        assert!(Offer::read("https://i.example", b"<html>").is_err());
    }

    #[test]
    fn the_usual_scopes_are_those_that_are_offered() {
        let usual = |more: &str| offer(more).usual_scopes().join(" ");
        assert_eq!(
            usual(r#","scopes_supported":["email","openid","offline_access","admin"]"#),
            "openid email offline_access"
        );
        assert_eq!(usual(r#","scopes_supported":["openid","email","profile"]"#), "openid email");
        assert_eq!(usual(r#","scopes_supported":["repo"]"#), "");
        assert_eq!(usual(r#","userinfo_endpoint":"https://i.example/u""#), "openid email offline_access");
        assert_eq!(
            usual(r#","id_token_signing_alg_values_supported":["RS256"]"#),
            "openid email offline_access"
        );
        assert_eq!(usual(""), "", "OAuth alone has no scope that everybody knows");
        assert_eq!(usual(r#","scopes_supported":"openid""#), "", "a list or nothing");
        let odd = offer(r#","scopes_supported":["a b","",7,"ok"]"#);
        assert_eq!(odd.scopes, Some(vec!["ok".to_string()]));
        assert!(odd.lacks("a b") && !odd.lacks("ok") && !offer("").lacks("anything"));
    }

    #[test]
    fn a_refresh_token_is_promised_where_it_will_come() {
        let listed = offer(
            r#","scopes_supported":["openid","offline_access"],"grant_types_supported":["refresh_token"]"#,
        );
        assert_eq!(listed.renews(["openid", "offline_access"].into_iter()), Some(true));
        assert_eq!(listed.renews(["openid"].into_iter()), Some(false));
        let google = offer(r#","scopes_supported":["openid"],"grant_types_supported":["refresh_token"]"#);
        assert_eq!(google.renews(["openid"].into_iter()), Some(true));
        assert_eq!(offer("").renews(["a"].into_iter()), None);
    }

    #[test]
    fn what_cannot_be_used_is_refused_as_in_a_sign_in() {
        let plain = metadata("https://i.example", r#","code_challenge_methods_supported":["plain"]"#);
        assert!(Offer::read("https://i.example", plain.as_bytes()).is_err());
        assert!(offer(r#","code_challenge_methods_supported":["S256"]"#).says_s256);
        assert!(!offer("").says_s256);
        let http = metadata("https://i.example", r#","revocation_endpoint":"http://i.example/r""#);
        assert!(Offer::read("https://i.example", http.as_bytes()).is_err());
    }
}
