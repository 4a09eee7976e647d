//! The account of a login, for reports and metrics; never for authorization.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::Sha256;

use crate::{
    contract::{settings::Presets, values},
    digest::hex,
    json,
    oauth::sent::Sent,
};

/// Account, organisation and e-mail, as far as they are known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The account, as a lower-case UUID.
    #[serde(default)]
    pub account_uuid: Option<String>,
    /// The organisation, as a lower-case UUID.
    #[serde(default)]
    pub organization_uuid: Option<String>,
    /// The e-mail address.
    #[serde(default)]
    pub email: Option<String>,
    /// The subject of the ID token, where the provider speaks OpenID Connect: what its UserInfo must name as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The user name at the provider (`preferred_username`): to be shown, never compared, since it may be given to
    /// another user (OpenID Connect Core §5.7).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
}

/// What can be a user name: text of one line that fits on it.
pub(crate) fn username(text: &str) -> Option<String> {
    let fits = |c: char| !c.is_control() && !c.is_whitespace() || c == ' ';
    let text = text.trim();
    ((1..=128).contains(&text.chars().count()) && text.chars().all(fits)).then(|| text.to_string())
}

impl Identity {
    /// Whether anything is missing that only the provider can say. All three set: no look-up at all.
    #[must_use]
    pub fn needs_lookup(presets: &Presets) -> bool {
        presets.account_uuid.is_none() || presets.organization_uuid.is_none() || presets.email.is_none()
    }

    /// Reads the profile's answer, or an OpenID Connect UserInfo one. What is malformed in it is left out: it
    /// is untrusted text that ends in reports.
    ///
    /// # Errors
    /// When it is not a JSON object.
    pub fn parse(body: &[u8]) -> Result<Self, &'static str> {
        let answer: serde_json::Map<String, Value> = json::strict(body)?;
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(ToString::to_string);
        let within = |object: &str, member: &str| text(answer.get(object).and_then(|o| o.get(member)));
        let uuid = |text: Option<String>| text.and_then(|text| values::uuid(&text).ok());
        Ok(Self {
            account_uuid: uuid(within("account", "uuid")),
            organization_uuid: uuid(within("organization", "uuid")),
            email: within("account", "email")
                .or_else(|| text(answer.get("email")))
                .and_then(|text| values::email(&text).ok()),
            subject: text(answer.get("sub")),
            username: text(answer.get("preferred_username")).as_deref().and_then(username),
        })
    }

    /// Without what was sent for it: some profiles repeat anything.
    #[must_use]
    pub fn without(self, sent: &Sent) -> Self {
        let kept = |text: Option<String>| text.filter(|text| !sent.is_in(text));
        Self {
            account_uuid: kept(self.account_uuid),
            organization_uuid: kept(self.organization_uuid),
            email: kept(self.email),
            subject: kept(self.subject),
            username: kept(self.username),
        }
    }

    /// What UserInfo says, laid over what the ID token said.
    ///
    /// # Errors
    /// If it describes another account: then it must not be used (OpenID Connect Core §5.3.2).
    pub fn completed_by(self, said: Self) -> Result<Self, &'static str> {
        if self.subject.is_some() && self.subject != said.subject {
            return Err("speaks of somebody else than the ID token");
        }
        Ok(Self {
            account_uuid: said.account_uuid.or(self.account_uuid),
            organization_uuid: said.organization_uuid.or(self.organization_uuid),
            email: said.email.or(self.email),
            subject: said.subject,
            username: said.username.or(self.username),
        })
    }

    /// Whether these two are known to be different accounts of one provider. The strongest name that both have decides;
    /// what only one of them has says nothing.
    #[must_use]
    pub fn is_another_than(&self, other: &Self) -> bool {
        let differ = |one: &Option<String>, two: &Option<String>| match (one, two) {
            (Some(one), Some(two)) => Some(!one.eq_ignore_ascii_case(two)),
            _ => None,
        };
        differ(&self.account_uuid, &other.account_uuid)
            // OpenID Connect Core §5.7: issuer and `sub` are the only lasting name.
            .or_else(|| match (&self.subject, &other.subject) {
                (Some(one), Some(two)) => Some(one != two),
                _ => None,
            })
            .or_else(|| differ(&self.email, &other.email))
            .unwrap_or(false)
    }

    /// Whether this is known not to be the account of that address. What is no address (a user name suggested to the
    /// provider) cannot be compared.
    #[must_use]
    pub fn is_not(&self, address: &str) -> bool {
        let known = self.email.as_deref().filter(|_| address.contains('@'));
        known.is_some_and(|email| !email.eq_ignore_ascii_case(address))
    }

    /// What people call it.
    #[must_use]
    pub fn name(&self) -> &str {
        self.known_name().unwrap_or("somebody")
    }

    /// The name that says most to a person, where there is any: the e-mail address, the user name, the account, or the
    /// subject as the provider numbers it.
    #[must_use]
    pub fn known_name(&self) -> Option<&str> {
        let names = [&self.email, &self.username, &self.account_uuid, &self.subject];
        names.into_iter().flatten().next().map(String::as_str)
    }

    /// With what the variables say laid over it.
    #[must_use]
    pub fn overlaid(self, presets: &Presets) -> Self {
        Self {
            account_uuid: presets.account_uuid.clone().or(self.account_uuid),
            organization_uuid: presets.organization_uuid.clone().or(self.organization_uuid),
            email: presets.email.clone().or(self.email),
            subject: self.subject,
            username: self.username,
        }
    }

    /// What metrics say of whom, by the names OpenTelemetry reports use. `account` allows the account's two, `email`
    /// the address. Only what is known is there.
    #[must_use]
    pub fn attributes(&self, presets: &Presets, account: bool, email: bool) -> Vec<(&'static str, String)> {
        let known = self.clone().overlaid(presets);
        let tag = known.tagged_id(presets);
        let all = [
            ("organization.id", known.organization_uuid),
            ("user.account_uuid", known.account_uuid.filter(|_| account)),
            ("user.account_id", tag.filter(|_| account)),
            ("user.email", known.email.filter(|_| email)),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    /// The account's tag in metrics: the preset one, else `acct_` and half of a keyed hash of the account's
    /// UUID. Absent when no account is known, never the hash of nothing.
    #[must_use]
    pub fn tagged_id(&self, presets: &Presets) -> Option<String> {
        if let Some(tag) = &presets.tagged_id {
            return Some(tag.clone());
        }
        let account = presets.account_uuid.as_ref().or(self.account_uuid.as_ref())?;
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(b"keyfob/account-tag/v1").ok()?;
        mac.update(account.to_ascii_lowercase().as_bytes());
        Some(format!("acct_{}", hex(&mac.finalize().into_bytes()[..16])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: &str = "550e8400-e29b-41d4-a716-446655440000";

    #[test]
    fn the_profile_and_userinfo() {
        let body = r#"{"account":{"uuid":"550E8400-E29B-41D4-A716-446655440000","email":"ada@example.com"},
            "organization":{"uuid":"not-one","name":"x"},"more":1}"#;
        let identity = Identity::parse(body.as_bytes()).unwrap();
        assert_eq!(identity.account_uuid.as_deref(), Some(ACCOUNT));
        assert_eq!(identity.organization_uuid, None, "malformed values are left out");
        assert_eq!(
            Identity::parse(br#"{"sub":"7","email":"a@b.c"}"#).unwrap().email.as_deref(),
            Some("a@b.c")
        );
        assert_eq!(Identity::parse(b"{\"email\":\"a\\u001b@b.c\"}").unwrap().email, None);
        assert!(Identity::parse(b"[]").is_err());
    }

    /// OpenID Connect Core §5.3.2.
    #[test]
    fn userinfo_must_speak_of_the_same_person() {
        let by_token = Identity {
            subject: Some("7".into()),
            email: Some("old@b.c".into()),
            account_uuid: Some(ACCOUNT.into()),
            ..Identity::default()
        };
        let said = |body: &str| by_token.clone().completed_by(Identity::parse(body.as_bytes()).unwrap());
        let both = said(r#"{"sub":"7","email":"a@b.c"}"#).unwrap();
        assert_eq!((both.email.as_deref(), both.account_uuid.as_deref()), (Some("a@b.c"), Some(ACCOUNT)));
        assert!(said(r#"{"sub":"8","email":"a@b.c"}"#).is_err());
        assert!(said(r#"{"email":"a@b.c"}"#).is_err(), "it has to say whom it speaks of");
        let profile = Identity::parse(br#"{"account":{"email":"a@b.c"}}"#).unwrap();
        assert!(Identity::default().completed_by(profile).is_ok(), "a profile is not UserInfo");
    }

    #[test]
    fn the_strongest_name_that_both_have_decides() {
        let who = |account: &str, subject: &str, email: &str| {
            let some = |text: &str| (!text.is_empty()).then(|| text.to_string());
            Identity {
                account_uuid: some(account),
                organization_uuid: None,
                email: some(email),
                subject: some(subject),
                username: None,
            }
        };
        for (one, two, another) in [
            (who(ACCOUNT, "", "a@b.c"), who(&ACCOUNT.to_uppercase(), "", "new@b.c"), false),
            (who("", "7", "a@b.c"), who("", "8", "a@b.c"), true),
            (who("", "x", "a@b.c"), who("", "X", "a@b.c"), true),
            (who("", "", "a@b.c"), who("", "", "A@B.c"), false),
            (who("", "", "a@b.c"), who("", "", "b@b.c"), true),
            (who(ACCOUNT, "", ""), who("", "7", "a@b.c"), false),
            (who("", "", ""), who(ACCOUNT, "7", "a@b.c"), false),
        ] {
            assert_eq!(one.is_another_than(&two), another, "{one:?} {two:?}");
            assert_eq!(two.is_another_than(&one), another, "{two:?} {one:?}");
        }
        let ada = who("", "7", "ada@b.c");
        assert!(ada.is_not("bob@b.c") && !ada.is_not("ADA@b.c") && !ada.is_not("bob"));
        assert!(!who("", "7", "").is_not("bob@b.c"), "nobody knows");
    }

    /// Not every provider gives out addresses, and not everybody asks for them.
    #[test]
    fn an_account_without_an_address_has_a_name_all_the_same() {
        let name =
            |body: &str| Identity::parse(body.as_bytes()).unwrap().known_name().map(ToString::to_string);
        for (body, expected) in [
            (r#"{"sub":"7","preferred_username":"ada","email":"a@b.c"}"#, Some("a@b.c")),
            (r#"{"sub":"7","preferred_username":" ada lovelace "}"#, Some("ada lovelace")),
            (r#"{"sub":"7","preferred_username":""}"#, Some("7")),
            ("{\"sub\":\"7\",\"preferred_username\":\"a\\u001b[2J\"}", Some("7")),
            (r#"{"sub":"7","preferred_username":7}"#, Some("7")),
            ("{}", None),
        ] {
            assert_eq!(name(body).as_deref(), expected, "{body}");
        }
        let long = alloc::format!(r#"{{"sub":"7","preferred_username":"{}"}}"#, "a".repeat(129));
        assert_eq!(name(&long).as_deref(), Some("7"));
        assert_eq!(Identity::default().name(), "somebody");
    }

    #[test]
    fn variables_come_first_and_save_the_look_up() {
        let mut presets = Presets { email: Some("b@c.d".into()), ..Presets::default() };
        assert!(Identity::needs_lookup(&presets));
        let known = Identity { email: Some("a@b.c".into()), ..Identity::default() };
        assert_eq!(known.overlaid(&presets).email.as_deref(), Some("b@c.d"));
        presets.account_uuid = Some(ACCOUNT.into());
        presets.organization_uuid = Some(ACCOUNT.into());
        assert!(!Identity::needs_lookup(&presets));
    }

    #[test]
    fn metrics_attributes_follow_their_settings() {
        let known = Identity {
            account_uuid: Some(ACCOUNT.into()),
            organization_uuid: Some(ACCOUNT.into()),
            email: Some("a@b.c".into()),
            subject: Some("7".into()),
            username: Some("ada".into()),
        };
        let presets = Presets { email: Some("b@c.d".into()), ..Presets::default() };
        let names = |account, email| {
            known.attributes(&presets, account, email).into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        };
        assert_eq!(
            names(true, true),
            ["organization.id", "user.account_uuid", "user.account_id", "user.email"]
        );
        assert_eq!(names(false, false), ["organization.id"]);
        assert_eq!(known.attributes(&presets, false, true)[1], ("user.email", "b@c.d".into()));
        let nobody = Identity::default().attributes(&Presets::default(), true, true);
        assert!(nobody.is_empty(), "and never the hash of nobody");
    }

    /// printf 550e8400-e29b-41d4-a716-446655440000 |
    /// openssl dgst -sha256 -hmac keyfob/account-tag/v1 | cut -c1-32
    #[test]
    fn the_tag_is_the_documented_hash() {
        let identity = Identity { account_uuid: Some(ACCOUNT.into()), ..Identity::default() };
        assert_eq!(
            identity.tagged_id(&Presets::default()).as_deref(),
            Some("acct_62a18fdb74f3bff0a383cac45ac00036")
        );
        let shouted = Identity { account_uuid: Some(ACCOUNT.to_uppercase()), ..Identity::default() };
        assert_eq!(shouted.tagged_id(&Presets::default()), identity.tagged_id(&Presets::default()));
        assert_eq!(Identity::default().tagged_id(&Presets::default()), None);
        let preset = Presets { tagged_id: Some("acct_12345_prod".into()), ..Presets::default() };
        assert_eq!(Identity::default().tagged_id(&preset).as_deref(), Some("acct_12345_prod"));
    }

    #[test]
    fn whatever_is_missing_has_to_be_looked_up() {
        let all = Presets {
            account_uuid: Some(ACCOUNT.into()),
            organization_uuid: Some(ACCOUNT.into()),
            email: Some("a@b.c".into()),
            ..Presets::default()
        };
        assert!(!Identity::needs_lookup(&all));
        for missing in [
            Presets { account_uuid: None, ..all.clone() },
            Presets { organization_uuid: None, ..all.clone() },
            Presets { email: None, ..all },
        ] {
            assert!(Identity::needs_lookup(&missing), "{missing:?}");
        }
    }

    /// A profile that repeats the token it was asked with does not put it into reports.
    #[test]
    fn what_was_sent_is_nobodys_name() {
        let sent = Sent::new(
            None,
            &[("Authorization".into(), crate::Secret::from("Bearer at-12345@b.c".to_string()))],
        );
        let said = |email: &str| Identity {
            account_uuid: Some(ACCOUNT.into()),
            email: Some(email.into()),
            ..Identity::default()
        };
        assert_eq!(said("a@b.c").without(&sent), said("a@b.c"));
        assert_eq!(said("at-12345@b.c").without(&sent), Identity { email: None, ..said("") });
    }
}
