//! How a confidential client proves itself, and where its secret is (RFC 6749 §2.3).

use alloc::string::String;

use serde::{Deserialize, Serialize};

/// What the configuration says of a confidential client (RFC 6749 §2.1): a machine's, or that of an installed application
/// whose provider gives it a secret all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confidential {
    /// Where its secret is.
    pub secret: Place,
    /// How it proves itself, where the configuration says so; else the provider's metadata decides.
    pub proof: Option<Proof>,
}

/// Where a client's secret is. Never on a command line, never in a variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// A file of this user's alone.
    File(String),
    /// The output of a command.
    Command(String),
}

/// How a client proves itself to the token endpoint (RFC 6749 §2.3.1), by the names of RFC 7591 §2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Proof {
    /// In the header.
    #[serde(rename = "client_secret_basic")]
    Basic,
    /// In the body.
    #[serde(rename = "client_secret_post")]
    Post,
}

impl Proof {
    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "client_secret_basic" => Some(Self::Basic),
            "client_secret_post" => Some(Self::Post),
            _ => None,
        }
    }
}

/// What a login remembers of its client's secret: how to find it when the login is renewed or ended. Never the secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretAt {
    /// Where it is.
    pub at: Place,
    /// Where it goes in a request.
    pub auth: Proof,
}
