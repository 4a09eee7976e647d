//! What a caller receives: headers to send, and the source of the credential.

use keyfob_core::{
    Error, Id, Result, Secret, Source, Timestamp,
    login::record::Generation,
    oauth::{dialect::Dialect, header::Header},
    source::Purpose,
};
use serde::Serialize;

use crate::{credential::session_token, renewal::Usable, world::Clock};

/// A credential, ready to be sent, that says where it came from. What [`Client::grant`](crate::Client::grant) returns.
///
/// It is a snapshot: ask for another one before every request. It is never written anywhere by itself, and its `Debug`
/// shows no secret.
#[derive(Debug)]
#[non_exhaustive]
pub struct Grant {
    pub(crate) headers: Vec<Header>,
    pub(crate) credential: Secret,
    pub(crate) purpose: Purpose,
    pub(crate) source: Source,
    pub(crate) expires_at: Option<Timestamp>,
    /// Whether that is only what the credential says of itself.
    pub(crate) expiry_is_claimed: bool,
    pub(crate) generation: Option<Generation>,
    pub(crate) profile: Option<String>,
    pub(crate) considered: Vec<Considered>,
    pub(crate) warning: Option<Error>,
    /// Whether it replaces one that was rejected.
    pub(crate) in_place_of_rejected: bool,
}

impl Grant {
    /// The headers to send with a request, each with its name and value: `Authorization: Bearer …` (RFC 6750 §2.1),
    /// `X-Api-Key`, or both for the output of an API key helper; for a remote connection also the device token. With an OAuth
    /// access token they include what its provider demands beside it (the configuration's `api_headers`). A header that is a
    /// list, as `anthropic-beta` is, is added to what a program sends anyway.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.headers.iter().map(|(name, value)| (&**name, value))
    }

    /// The credential alone, as `keyfob token` prints it, without the name of a scheme. For a client library that builds
    /// the header itself; [`Grant::source`] says which kind it is.
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

    /// When it expires, by this machine's clock. `None` if that is unknown: a token from a variable, an API key. See also
    /// [`Grant::expiry_is_claimed`].
    #[must_use]
    pub const fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// Whether [`Grant::expires_at`] is only what the credential of a session, a JWT, says of itself: nobody has verified
    /// its signature. Otherwise it is what the provider said when it issued the token.
    #[must_use]
    pub const fn expiry_is_claimed(&self) -> bool {
        self.expiry_is_claimed
    }

    /// The profile, if it comes from a stored login.
    #[must_use]
    pub fn profile(&self) -> Option<&str> {
        self.profile.as_deref()
    }

    /// Which state of which stored login it is, if it is one. Its text can be passed on to another process, which names it in
    /// [`Need::rejected`](crate::Need::rejected) or with `keyfob token --rejected`.
    #[must_use]
    pub const fn generation(&self) -> Option<&Generation> {
        self.generation.as_ref()
    }

    /// Every source for this purpose, in order: why those before this one were not used, and which ones it shadows.
    #[must_use]
    pub fn considered(&self) -> &[Considered] {
        &self.considered
    }

    /// What to report to the user although there is a credential: a renewal that failed while the token is still valid,
    /// or one that is valid for less time than [`Need::min_valid`](crate::Need::min_valid) asked for.
    #[must_use]
    pub const fn warning(&self) -> Option<&Error> {
        self.warning.as_ref()
    }

    /// Records that an API has accepted it. Without that, the rejection of a credential that [`Client::rejected`] returned is
    /// an error ([`ErrorId::RejectedStale`]): a third would be rejected too.
    ///
    /// [`Client::rejected`]: crate::Client::rejected
    /// [`ErrorId::RejectedStale`]: crate::ErrorId::RejectedStale
    pub fn was_accepted(&mut self) {
        self.in_place_of_rejected = false;
    }
}

/// What a search for a credential found at one source. See [`Grant::considered`].
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Considered {
    pub(crate) source: Source,
    pub(crate) outcome: Outcome,
    pub(crate) reason: String,
}

impl Considered {
    /// Which source.
    #[must_use]
    pub const fn source(&self) -> Source {
        self.source
    }

    /// What the search found there.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Why, in words for a person. It names variables, profiles and providers, and no secret.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

/// What a search found at a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It has nothing: the search went on.
    Nothing,
    /// It has the credential that is used.
    Here,
    /// It is present and broken: the search stopped.
    Broken,
    /// It is present, but another one is used: an earlier one, or the login of a profile that was named.
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

/// A credential about which nothing else is known.
pub(crate) fn as_it_is(
    purpose: Purpose,
    source: Source,
    credential: Secret,
    dialect: &Dialect,
    considered: Vec<Considered>,
) -> Grant {
    let claimed = session_token::may_claim(source).then(|| session_token::claimed_end(&credential)).flatten();
    Grant {
        headers: headers(source, &credential, dialect),
        credential,
        purpose,
        source,
        expires_at: claimed,
        expiry_is_claimed: claimed.is_some(),
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
    let (credential, end, missing) = match purpose {
        Purpose::IdToken => {
            (&record.id_token, record.id_token_ends_at(), (Id::IdTokenMissing, "it has no ID token"))
        }
        _ => (&record.access_token, record.expires_at, (Id::LoginNeeded, "it has no access token")),
    };
    // What the API demands goes with an access token alone.
    let none = Dialect::default();
    let dialect = if purpose == Purpose::IdToken { &none } else { &record.dialect };
    let credential = credential.as_ref().ok_or_else(|| Error::new(missing.0, what(), missing.1))?;
    Ok(Grant {
        headers: headers(source, credential, dialect),
        credential: credential.duplicate(),
        purpose,
        source,
        expires_at: end.map(|end| clock.ahead(&record).ours(end)),
        expiry_is_claimed: false,
        generation: Some(record.generation.clone()),
        profile: Some(record.profile.clone()),
        considered,
        warning,
        in_place_of_rejected: false,
    })
}

/// What the agent of another machine or user lends: a login's access token, whose record is not here.
pub struct Lent {
    /// The access token.
    pub credential: Secret,
    /// The headers to send.
    pub headers: Vec<Header>,
    /// Which state of which login it is.
    pub generation: Generation,
    /// The profile, where the login is.
    pub profile: Option<String>,
    /// When it expires, by this machine's clock.
    pub expires_at: Option<Timestamp>,
    /// What to report although there is a credential.
    pub warning: Option<Error>,
    /// Who lends it, for people.
    pub by: String,
}

/// The credential that an agent lends: as the stored login, in whose place it stands.
#[must_use]
pub fn lent(purpose: Purpose, lent: Lent) -> Grant {
    Grant {
        headers: lent.headers,
        credential: lent.credential,
        purpose,
        source: Source::Login,
        expires_at: lent.expires_at,
        expiry_is_claimed: false,
        generation: Some(lent.generation),
        profile: lent.profile,
        considered: vec![Considered { source: Source::Login, outcome: Outcome::Here, reason: lent.by }],
        warning: lent.warning,
        in_place_of_rejected: false,
    }
}

/// The headers of a credential (RFC 6750 §2.1 for bearer tokens), and what goes with it in its provider's dialect.
#[expect(clippy::disallowed_methods, reason = "the header's value is made here, and is a secret again")]
#[must_use]
pub fn headers(source: Source, credential: &Secret, dialect: &Dialect) -> Vec<Header> {
    let bearer = || ("Authorization".into(), Secret::from(format!("Bearer {}", credential.expose())));
    let key = || ("X-Api-Key".into(), credential.duplicate());
    match source {
        Source::ApiKey | Source::ApiKeyDescriptor => vec![key()],
        Source::ApiKeyHelper => vec![key(), bearer()],
        source if source.is_oauth() => [bearer()].into_iter().chain(dialect.headers_of_api()).collect(),
        _ => vec![bearer()],
    }
}

/// The names of the headers a source's credential is sent in, and of those that go with it in this dialect.
#[must_use]
pub fn header_names(source: Source, dialect: &Dialect) -> Vec<&str> {
    let own: &[&str] = match source {
        Source::ApiKey | Source::ApiKeyDescriptor => &["X-Api-Key"],
        Source::ApiKeyHelper => &["X-Api-Key", "Authorization"],
        _ => &["Authorization"],
    };
    let beside = dialect.api_headers.iter().filter(|_| source.is_oauth());
    own.iter().copied().chain(beside.map(|header| header.name.as_str())).collect()
}
