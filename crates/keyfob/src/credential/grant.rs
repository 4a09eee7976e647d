//! What a caller receives: headers to send, and the source of the credential.

use keyfob_core::{Error, Id, Result, Secret, Source, Timestamp, login::record::Generation, source::Purpose};
use serde::Serialize;

use crate::{renewal::Usable, world::Clock};

/// A credential, ready to be sent, that explains itself.
#[derive(Debug)]
pub struct Grant {
    /// The headers: one, or two for the output of an API key helper.
    #[doc(hidden)]
    pub headers: Vec<(&'static str, Secret)>,
    /// The credential alone, as `keyfob token` prints it.
    #[doc(hidden)]
    pub credential: Secret,
    /// What it was wanted for.
    #[doc(hidden)]
    pub purpose: Purpose,
    /// Where it came from.
    #[doc(hidden)]
    pub source: Source,
    /// When it ends, by this machine's clock. `None`: nobody knows.
    #[doc(hidden)]
    pub expires_at: Option<Timestamp>,
    /// Which state of which stored login, if it is one: what to name after a 401.
    #[doc(hidden)]
    pub generation: Option<Generation>,
    /// The profile, if it is a stored login.
    #[doc(hidden)]
    pub profile: Option<String>,
    /// Every source, in order: why those before it were passed over, and what it shadows.
    #[doc(hidden)]
    pub considered: Vec<Considered>,
    /// Something the person should know although there is a credential.
    #[doc(hidden)]
    pub warning: Option<Error>,
    /// Whether it was got in the place of one that was rejected.
    pub(crate) in_place_of_rejected: bool,
}

impl Grant {
    /// The headers to send: one, or two for the output of an API key helper.
    #[must_use]
    pub fn headers(&self) -> &[(&'static str, Secret)] {
        &self.headers
    }

    /// The credential alone, as `keyfob token` prints it.
    #[must_use]
    pub const fn credential(&self) -> &Secret {
        &self.credential
    }

    /// What it was requested for.
    #[must_use]
    pub const fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// Where it came from.
    #[must_use]
    pub const fn source(&self) -> Source {
        self.source
    }

    /// When it ends, by this machine's clock. `None`: nobody knows.
    #[must_use]
    pub const fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// The profile, if it comes from a stored login.
    #[must_use]
    pub fn profile(&self) -> Option<&str> {
        self.profile.as_deref()
    }

    /// Something the person should know although there is a credential.
    #[must_use]
    pub const fn warning(&self) -> Option<&Error> {
        self.warning.as_ref()
    }

    /// Says that it has been accepted since it was got. If it is rejected later, that is the first time.
    pub fn was_accepted(&mut self) {
        self.in_place_of_rejected = false;
    }
}

/// One source and what came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Considered {
    /// Which.
    pub source: Source,
    /// What came of it.
    pub outcome: Outcome,
    /// Why.
    pub reason: String,
}

/// What came of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It has nothing: the search went on.
    Nothing,
    /// It won.
    Here,
    /// It is there and broken: the search stopped.
    Broken,
    /// It is there, but another one won: an earlier one, or the login of a profile that was named.
    Shadowed,
}

impl Outcome {
    /// The word in reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Here => "here",
            Self::Broken => "broken",
            Self::Shadowed => "shadowed",
        }
    }
}

/// A credential of which nothing else is known.
pub(crate) fn as_it_is(
    purpose: Purpose,
    source: Source,
    credential: Secret,
    considered: Vec<Considered>,
) -> Grant {
    Grant {
        headers: headers(source, &credential),
        credential,
        purpose,
        source,
        expires_at: None,
        generation: None,
        profile: None,
        considered,
        warning: None,
        in_place_of_rejected: false,
    }
}

/// The credential of a stored login.
pub(crate) fn stored_grant(
    clock: &dyn Clock,
    purpose: Purpose,
    source: Source,
    usable: Usable,
    considered: Vec<Considered>,
) -> Result<Grant> {
    let Usable { record, warning } = usable;
    let what = || format!("the login of profile `{}` at {}", record.profile, record.issuer);
    let credential = record
        .access_token
        .as_ref()
        .ok_or_else(|| Error::new(Id::LoginNeeded, what(), "it has no access token"))?;
    Ok(Grant {
        headers: headers(source, credential),
        credential: credential.duplicate(),
        purpose,
        source,
        expires_at: record.expires_at.map(|end| clock.ahead(&record).ours(end)),
        generation: Some(record.generation.clone()),
        profile: Some(record.profile.clone()),
        considered,
        warning,
        in_place_of_rejected: false,
    })
}

/// The headers of a credential (RFC 6750 §2.1 for bearer tokens).
#[expect(clippy::disallowed_methods, reason = "the header's value is made here, and is a secret again")]
pub(crate) fn headers(source: Source, credential: &Secret) -> Vec<(&'static str, Secret)> {
    let bearer = || ("Authorization", Secret::from(format!("Bearer {}", credential.expose())));
    let key = || ("X-Api-Key", credential.duplicate());
    match source {
        Source::ApiKey | Source::ApiKeyDescriptor => vec![key()],
        Source::ApiKeyHelper => vec![key(), bearer()],
        _ => vec![bearer()],
    }
}

/// The names of the headers a source's credential is sent in.
#[must_use]
pub const fn header_names(source: Source) -> &'static [&'static str] {
    match source {
        Source::ApiKey | Source::ApiKeyDescriptor => &["X-Api-Key"],
        Source::ApiKeyHelper => &["X-Api-Key", "Authorization"],
        _ => &["Authorization"],
    }
}
