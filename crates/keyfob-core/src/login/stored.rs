//! The versioned form of a record on disk.

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::{
    ProviderTime, Record, Secret,
    contract::settings::{ClientId, Scopes},
    json,
    login::{
        federated::Federated,
        identity::Identity,
        record::{Cooldown, Generation, LoginId, Refusal, Unknown},
    },
    oauth::{
        client_auth::{Proof, SecretAt},
        dialect::Dialect,
    },
    provider::{Endpoints, dialect_of},
};

/// The newest form this version writes. A higher number on disk is refused, never rewritten.
pub const VERSION: u32 = 1;

/// The form on disk. Separate, so that a record cannot be serialised anywhere else by accident.
#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    login: LoginId,
    generation: u64,
    profile: String,
    environment: String,
    issuer: String,
    client_id: String,
    endpoints: Endpoints,
    scopes: String,
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    narrowed: bool,
    access_token: Option<Zeroizing<String>>,
    refresh_token: Option<Zeroizing<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id_token: Option<Zeroizing<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id_token_missed: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    dead_refresh_words: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_auth: Option<Proof>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_secret: Option<SecretAt>,
    /// Absent where it is the one that is built in for the issuer: in every record of an earlier version, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dialect: Option<Dialect>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    federated: Option<Federated>,
    issued_at: ProviderTime,
    expires_at: Option<ProviderTime>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    clocks: BTreeMap<String, i64>,
    #[serde(default)]
    identity: Identity,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    verified_subject: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refused: Option<Refusal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cooldown: Option<Cooldown>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unknown: Option<Unknown>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

/// Why bytes on disk are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// Not a whole record: cut short, or damaged.
    Corrupt(&'static str),
    /// Written by a newer keyfob.
    Newer(u32),
}

/// Reads a form that names its version: of a newer one it is not even asked whether its members fit.
pub(super) fn versioned<T: DeserializeOwned>(bytes: &[u8], newest: u32) -> Result<T, Unreadable> {
    #[derive(Deserialize)]
    struct Form {
        version: u32,
    }
    let Form { version } = json::strict(bytes).map_err(Unreadable::Corrupt)?;
    if version > newest {
        return Err(Unreadable::Newer(version));
    }
    serde_json::from_slice(bytes)
        .map_err(|_| Unreadable::Corrupt("has a member of the wrong type, or lacks one"))
}

impl Record {
    /// The bytes for the disk, ending in a newline. They are wiped when dropped.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the store is where tokens live; the bytes are wiped on drop"
    )]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let secret = |s: &Option<Secret>| s.as_ref().map(|s| Zeroizing::new(String::from(s.expose())));
        let stored = Stored {
            version: VERSION,
            login: self.generation.login.clone(),
            generation: self.generation.number,
            profile: self.profile.clone(),
            environment: self.environment.clone(),
            issuer: self.issuer.clone(),
            client_id: self.client_id.as_str().into(),
            endpoints: self.endpoints.clone(),
            scopes: format!("{}", self.scopes),
            narrowed: self.narrowed,
            access_token: secret(&self.access_token),
            refresh_token: secret(&self.refresh_token),
            id_token: secret(&self.id_token),
            id_token_missed: self.id_token_missed.clone(),
            dead_refresh_words: self.dead_refresh_words.clone(),
            client_auth: self.proof,
            client_secret: self.secret_at.clone(),
            dialect: Some(&self.dialect).filter(|own| **own != dialect_of(&self.issuer)).cloned(),
            federated: self.federated.clone(),
            issued_at: self.issued_at,
            expires_at: self.expires_at,
            clocks: self.clocks.clone(),
            identity: self.identity.clone(),
            verified_subject: self.verified_subject.clone(),
            refused: self.refused.clone(),
            cooldown: self.cooldown.clone(),
            unknown: self.unknown.clone(),
            other: self.other.clone(),
        };
        #[expect(clippy::expect_used, reason = "maps with text keys into memory: there is nothing to fail")]
        let mut bytes = Zeroizing::new(serde_json::to_vec_pretty(&stored).expect("a record is JSON"));
        bytes.push(b'\n');
        bytes
    }

    /// Reads what [`Record::encode`] wrote, by this version or a later one of the same form.
    ///
    /// # Errors
    /// Says what sort of damage it is, never what the bytes hold.
    pub fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        let stored: Stored = versioned(bytes, VERSION)?;
        // What `token --json` says must be what `--rejected` takes.
        if !stored.login.is_well_formed() {
            return Err(Unreadable::Corrupt("has a malformed login id"));
        }
        let secret = |text: Option<Zeroizing<String>>, why| match text {
            None => Ok(None),
            Some(text) => Secret::visible(&text).map(Some).map_err(|_| Unreadable::Corrupt(why)),
        };
        let dialect = stored.dialect.unwrap_or_else(|| dialect_of(&stored.issuer));
        Ok(Self {
            generation: Generation { login: stored.login, number: stored.generation },
            profile: stored.profile,
            environment: stored.environment,
            issuer: stored.issuer,
            client_id: ClientId::parse(&stored.client_id)
                .map_err(|_| Unreadable::Corrupt("has a malformed client_id"))?,
            endpoints: stored.endpoints,
            scopes: if stored.scopes.is_empty() {
                Scopes::default()
            } else {
                Scopes::parse(&stored.scopes).map_err(|_| Unreadable::Corrupt("has malformed scopes"))?
            },
            narrowed: stored.narrowed,
            access_token: secret(stored.access_token, "has a malformed access token")?,
            refresh_token: secret(stored.refresh_token, "has a malformed refresh token")?,
            id_token: secret(stored.id_token, "has a malformed ID token")?,
            id_token_missed: stored.id_token_missed,
            dead_refresh_words: stored.dead_refresh_words,
            proof: stored.client_auth,
            secret_at: stored.client_secret,
            dialect,
            federated: stored.federated,
            issued_at: stored.issued_at,
            expires_at: stored.expires_at,
            clocks: stored.clocks,
            identity: stored.identity,
            verified_subject: stored.verified_subject,
            refused: stored.refused,
            cooldown: stored.cooldown,
            unknown: stored.unknown,
            other: stored.other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::record::tests::record;
    use alloc::string::ToString;

    #[test]
    fn a_record_survives_the_disk() {
        let bytes = record(100, 60).encode();
        let again = Record::decode(&bytes).unwrap();
        assert_eq!(*again.encode(), *bytes);
        assert!(again.access_token.unwrap().same_as("access-3"));
    }

    #[test]
    fn an_id_token_is_kept_with_the_login_and_one_without_is_read() {
        let plain = record(100, 60).encode();
        assert!(!String::from_utf8_lossy(&plain).contains("id_token"), "older versions wrote none");
        let mut with = record(100, 60);
        with.id_token = Some(Secret::new("e30.e30.c2ln"));
        with.id_token_missed = Some("none came".into());
        let again = Record::decode(&with.encode()).unwrap();
        assert!(again.id_token.unwrap().same_as("e30.e30.c2ln"));
        assert_eq!(again.id_token_missed.as_deref(), Some("none came"));
    }

    /// A newer version may add members; an older one must not lose them.
    #[test]
    fn unknown_members_survive() {
        let mut value: Value = serde_json::from_slice(&record(1, 1).encode()).unwrap();
        value["from_the_future"] = serde_json::json!({"a": [1, 2]});
        let again = Record::decode(value.to_string().as_bytes()).unwrap().encode();
        let again: Value = serde_json::from_slice(&again).unwrap();
        assert_eq!(again["from_the_future"], serde_json::json!({"a": [1, 2]}));
    }

    #[test]
    fn damage_is_told_without_quoting() {
        let bytes = record(1, 1).encode();
        for end in 0..bytes.len() - 2 {
            assert!(matches!(Record::decode(&bytes[..end]), Err(Unreadable::Corrupt(_))), "cut at {end}");
        }
        let newer = String::from_utf8(bytes.to_vec()).unwrap().replace("\"version\": 1", "\"version\": 2");
        assert_eq!(Record::decode(newer.as_bytes()).err(), Some(Unreadable::Newer(2)));
    }

    /// Found by fuzzing: such a login could be listed but never be named again.
    #[test]
    fn a_login_id_is_one_everywhere() {
        let text = String::from_utf8(record(1, 1).encode().to_vec()).unwrap();
        let text = text.replace(LoginId::new([7; 16]).as_str(), "0707070707070707070707070707'707");
        let why = Unreadable::Corrupt("has a malformed login id");
        assert_eq!(Record::decode(text.as_bytes()).err(), Some(why));
    }
}
