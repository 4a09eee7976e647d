//! How a confidential client authenticates (RFC 6749 §2.3): where its secret or its key is kept, and what of it goes into a
//! request. What is signed with a key is in [`super::client_assertion`].

use alloc::{format, string::String};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{Secret, contract::settings::ClientId};

/// What the configuration says of a confidential client (RFC 6749 §2.1): a machine's, or that of an installed application
/// whose provider gives it a secret anyway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confidential {
    /// Where its secret is, or its private key.
    pub secret: Place,
    /// How it proves itself, where the configuration says so; else the provider's metadata decides between the two ways of
    /// a secret. A private key is always said.
    pub proof: Option<Proof>,
    /// By which id the provider knows its key, where the configuration says so.
    pub key_id: Option<String>,
}

/// Where a client's secret or key is. Never on a command line, never in a variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// A file of this user's alone, or one that the service manager has given this unit (see [`unit_credential`]).
    File(String),
    /// The output of a command.
    Command(String),
}

/// The name of a credential that the service manager gives a unit, where a configured path is `$CREDENTIALS_DIRECTORY/NAME`
/// (systemd.exec(5), "Credentials"). Nothing else in a path is replaced, and what would lead elsewhere is no name.
#[must_use]
pub fn unit_credential(path: &str) -> Option<&str> {
    let name = path.strip_prefix("$CREDENTIALS_DIRECTORY/")?;
    let is_plain = |c: char| c.is_ascii_graphic() && c != '/';
    (!name.is_empty() && name != "." && name != ".." && name.chars().all(is_plain)).then_some(name)
}

/// How a client proves itself to the token endpoint (RFC 6749 §2.3.1, OpenID Connect Core §9), by the names of RFC 7591 §2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Proof {
    /// In the header.
    #[serde(rename = "client_secret_basic")]
    Basic,
    /// In the body.
    #[serde(rename = "client_secret_post")]
    Post,
    /// By what it signs with its private key (RFC 7523 §2.2): the provider never sees the key.
    #[serde(rename = "private_key_jwt")]
    PrivateKeyJwt,
}

impl Proof {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Basic, Self::Post, Self::PrivateKeyJwt];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Basic => "client_secret_basic",
            Self::Post => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|proof| proof.name() == name)
    }

    /// Whether it takes a private key, and no secret.
    #[must_use]
    pub const fn signs(self) -> bool {
        matches!(self, Self::PrivateKeyJwt)
    }
}

/// What a login remembers of its client's secret or key: how to find it when the login is renewed or ended. Never the
/// secret, never the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretAt {
    /// Where it is.
    pub at: Place,
    /// What becomes of it in a request.
    pub auth: Proof,
    /// By which id the provider knows the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
}

impl SecretAt {
    /// Whether somebody else is asked for it, and not a file read: then a failure is not tried again at once.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        matches!(self.at, Place::Command(_))
    }
}

/// A client with its proof at hand: what one request is authenticated with.
#[derive(Debug)]
pub struct ClientAuth {
    /// The client.
    pub client: ClientId,
    /// Where the proof goes.
    pub method: Proof,
    /// The proof: the secret, or for [`Proof::PrivateKeyJwt`] what was signed for this one request.
    pub secret: Secret,
}

impl ClientAuth {
    /// The value of the `Authorization` header. Either half is form-encoded first (RFC 6749 §2.3.1), so that a colon or
    /// a blank in it means itself.
    #[expect(
        clippy::disallowed_methods,
        reason = "the client's secret goes into the header of the one request it is for"
    )]
    pub(crate) fn basic(&self) -> Secret {
        let encoded = |text: &str| -> Zeroizing<String> {
            url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().into()
        };
        let (client, secret) = (encoded(self.client.as_str()), encoded(self.secret.expose()));
        let pair = Zeroizing::new(format!("{}:{}", &*client, &*secret));
        let octets = Zeroizing::new(BASE64_STANDARD.encode(pair.as_bytes()));
        Secret::from(format!("Basic {}", &*octets))
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests' own invented secrets")]
mod tests {
    use super::*;
    use crate::{Record, login::record::tests::record};

    /// RFC 6749 §2.3.1: both halves are form-encoded before they are joined, so a colon cannot shift the border.
    #[test]
    fn the_header_is_encoded_twice() {
        let client = ClientId::parse("a:b c").unwrap();
        let auth = ClientAuth { client, method: Proof::Basic, secret: Secret::new("p%s:s+") };
        let header = auth.basic();
        let pair = BASE64_STANDARD.decode(header.expose().strip_prefix("Basic ").unwrap()).unwrap();
        assert_eq!(pair, b"a%3Ab+c:p%25s%3As%2B");
    }

    /// What stays on the disk is where the secret is, never what it is. Records that were written before there were keys
    /// are read as before.
    #[test]
    fn a_record_keeps_the_place_alone() {
        let mut r = record(1_000_000, 60);
        r.secret_at =
            Some(SecretAt { at: Place::File("/run/secret".into()), auth: Proof::Post, key_id: None });
        let bytes = r.encode();
        let text = core::str::from_utf8(&bytes).unwrap();
        assert!(
            text.contains("\"file\": \"/run/secret\"") && text.contains("\"client_secret_post\""),
            "{text}"
        );
        assert!(!text.contains("key_id"), "{text}");
        assert_eq!(Record::decode(&bytes).unwrap().secret_at, r.secret_at);
        let key_id = Some("k1".into());
        r.secret_at =
            Some(SecretAt { at: Place::Command("pass key".into()), auth: Proof::PrivateKeyJwt, key_id });
        assert_eq!(Record::decode(&r.encode()).unwrap().secret_at, r.secret_at);
    }

    /// The configuration, the metadata and the record call a method by one name.
    #[test]
    fn a_method_is_found_by_the_name_it_is_kept_under() {
        for proof in Proof::ALL {
            let kept = serde_json::to_value(proof).unwrap();
            assert_eq!(Proof::named(kept.as_str().unwrap()), Some(proof));
        }
        assert_eq!(Proof::named("none"), None);
    }
}
