//! Faults to inject between the provider and its clients.

use std::{fmt, str::FromStr};

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// What goes wrong with one request.
        ///
        /// "Rotated" means that the presented refresh token is spent and its successor is issued, whatever becomes of
        /// the answer. A request that is refused anyway is answered as usual and uses up its fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum FaultKind {
            $($(#[$doc])* $name,)*
        }

        impl FaultKind {
            /// Every kind, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The word on the command line and, after `fault:`, in the log.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            pub(crate) const fn outcome(self) -> &'static str {
                match self { $(Self::$name => concat!("fault:", $word),)* }
            }
        }
    };
}

faults! {
    /// Status 500 without a useful body. Nothing is rotated.
    Status500 = "500",
    /// Status 503 with `Retry-After: 1`. Nothing is rotated.
    Status503 = "503",
    /// Status 429 with `Retry-After: 2`. Nothing is rotated.
    Status429 = "429",
    /// Status 429 with `Retry-After` as an HTTP-date two seconds ahead. Nothing is rotated.
    Status429Date = "429-date",
    /// The connection is closed before anything is rotated; no octet is sent.
    DropBefore = "drop-before",
    /// The connection is closed after the rotation; no octet is sent.
    DropAfter = "drop-after",
    /// Rotated at once, answered after [`Options::late`](crate::Options::late).
    Late = "late",
    /// Rotated; `Content-Length` promises more than comes before the connection closes (RFC 9112 §8).
    Truncated = "truncated",
    /// Rotated; the body is not JSON.
    Malformed = "malformed",
    /// Status 200 with an HTML page, as a captive portal sends it. Nothing is rotated.
    Html = "html",
    /// Rotated; `token_type` is `mac`, which no client may use (RFC 6749 §7.1).
    OddTokenType = "odd-token-type",
    /// Rotated; `expires_in` is missing.
    NoExpiry = "no-expiry",
    /// A new access token without a new refresh token: the old one stays valid (RFC 6749 §6).
    NoRefreshToken = "no-refresh-token",
    /// Rotated; `access_token` stands twice with different values (RFC 8259 §4).
    DuplicateMember = "duplicate-member",
    /// Rotated; `refresh_token` occurs twice with different values, so that no client can know which is right.
    DuplicateRefreshToken = "duplicate-refresh-token",
    /// Rotated; the valid JSON body is larger than 2 MiB.
    Huge = "huge",
    /// A 307 to another origin, which must not get the credential: this server under another name, so that a request
    /// for `/elsewhere/v1/oauth/token` in the log means that a client followed. Nothing is rotated.
    Redirect = "redirect",
    /// Rotated; the head comes at once, the body drips in pieces over [`Options::late`](crate::Options::late).
    SlowBody = "slow-body",
    /// The ID token names another issuer.
    IdTokenIssuer = "id-token-issuer",
    /// It is for another client.
    IdTokenAudience = "id-token-audience",
    /// It ended yesterday.
    IdTokenExpired = "id-token-expired",
    /// It repeats the nonce of another sign-in.
    IdTokenNonce = "id-token-nonce",
    /// Its header says `none`.
    IdTokenUnsigned = "id-token-unsigned",
    /// It is signed with a key that is not in the list.
    IdTokenSignature = "id-token-signature",
    /// Its subject is another account.
    IdTokenSubject = "id-token-subject",
    /// Rotated; no ID token comes with it, although `openid` was granted (OpenID Connect Core §12.2).
    NoIdToken = "no-id-token",
    /// Status 401, `invalid_client`: the client, or its proof, is not accepted. Nothing is rotated.
    InvalidClient = "invalid-client",
    /// Status 400; `error_description` repeats what was sent: the body as it came, and every value of it and of
    /// `Authorization` as it is, in base64 and in base64url. Nothing is rotated.
    Echo = "echo",
    /// As usual, but the answer, also an error, is a form and no JSON.
    FormAnswer = "form-answer",
    /// As usual, but an error has status 200 too.
    Always200 = "always-200",
}

impl FaultKind {
    /// Whether it only says how the answer is written, whatever that says.
    const fn is_of_writing(self) -> bool {
        matches!(self, Self::FormAnswer | Self::Always200)
    }
}

/// Which requests a fault waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultGrant {
    /// `grant_type=refresh_token`, the default.
    Refresh,
    /// `grant_type=authorization_code`, written `code:KIND`.
    Code,
    /// The polls of the device grant (RFC 8628 §3.4), written `device:KIND`.
    Device,
    /// `grant_type=client_credentials`, written `client:KIND`.
    Client,
    /// Exchanges of identity tokens (RFC 7523 §2.1, RFC 8693 §2), written `federation:KIND`.
    Federation,
    /// Requests for an identity token, written `identity:KIND`. Only what strikes before a grant, and what makes an ID token
    /// false, has a meaning there.
    Identity,
    /// Revocation (RFC 7009), written `revoke:KIND`. Only what strikes before a grant has a meaning there.
    Revoke,
}

/// The prefixes of those that are not the default.
const PREFIXES: [(&str, FaultGrant); 6] = [
    ("code:", FaultGrant::Code),
    ("device:", FaultGrant::Device),
    ("client:", FaultGrant::Client),
    ("federation:", FaultGrant::Federation),
    ("identity:", FaultGrant::Identity),
    ("revoke:", FaultGrant::Revoke),
];

/// A fault of one kind for one sort of request. Parsed from `KIND` or, with one of the prefixes, `code:KIND`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fault {
    /// Which requests it strikes.
    pub grant: FaultGrant,
    /// What happens to them.
    pub kind: FaultKind,
}

impl Fault {
    /// Every kind for every sort of request, those of the default first.
    pub fn all() -> impl Iterator<Item = Self> {
        let grants = std::iter::once(FaultGrant::Refresh).chain(PREFIXES.map(|(_, grant)| grant));
        grants.flat_map(|grant| FaultKind::ALL.iter().map(move |kind| Self { grant, kind: *kind }))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = PREFIXES.iter().find(|(_, grant)| *grant == self.grant).map_or("", |(prefix, _)| prefix);
        write!(f, "{prefix}{}", self.kind.word())
    }
}

impl From<FaultKind> for Fault {
    fn from(kind: FaultKind) -> Self {
        Self { grant: FaultGrant::Refresh, kind }
    }
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(words: &str) -> Result<Self, FaultError> {
        let prefixed = |(prefix, grant)| Some((grant, words.strip_prefix(prefix)?));
        let (grant, word) = PREFIXES.into_iter().find_map(prefixed).unwrap_or((FaultGrant::Refresh, words));
        let kind = FaultKind::ALL.iter().copied().find(|kind| kind.word() == word);
        kind.map(|kind| Self { grant, kind }).ok_or(FaultError::UnknownKind)
    }
}

/// A fault and how many requests it strikes. Parsed from `FAULT` (without limit) or `FAULT=COUNT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultPlan {
    /// The fault.
    pub fault: Fault,
    /// `None` = without limit.
    pub count: Option<u32>,
}

impl FromStr for FaultPlan {
    type Err = FaultError;

    fn from_str(words: &str) -> Result<Self, FaultError> {
        let Some((fault, count)) = words.split_once('=') else {
            return Ok(Self { fault: words.parse()?, count: None });
        };
        let fault = fault.parse()?;
        let plain = !count.is_empty() && count.bytes().all(|b| b.is_ascii_digit());
        let count = plain.then(|| count.parse().ok()).flatten().ok_or(FaultError::BadCount)?;
        Ok(Self { fault, count: Some(count) })
    }
}

/// Why a fault was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultError {
    /// The word names no fault.
    UnknownKind,
    /// The count is not a plain number up to `u32::MAX`.
    BadCount,
}

impl fmt::Display for FaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadCount => f.write_str("the count of a fault is a plain number, as in drop-after=1"),
            Self::UnknownKind => {
                f.write_str("unknown fault; known, with an optional prefix code:, device:, client:, federation:, identity: or revoke: and suffix =COUNT, are")?;
                FaultKind::ALL.iter().try_for_each(|kind| write!(f, " {}", kind.word()))
            }
        }
    }
}

impl std::error::Error for FaultError {}

/// The armed faults; the first that fits strikes.
#[derive(Debug, Default)]
pub(crate) struct Armed(Vec<FaultPlan>);

impl Armed {
    pub(crate) fn arm(&mut self, plan: FaultPlan) {
        self.0.push(plan);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The first fault that strikes a request, apart from those that only say how its answer is written.
    pub(crate) fn take(&mut self, grant: FaultGrant) -> Option<FaultKind> {
        self.0.retain(|plan| plan.count != Some(0));
        let fits = |plan: &&mut FaultPlan| plan.fault.grant == grant && !plan.fault.kind.is_of_writing();
        let plan = self.0.iter_mut().find(fits)?;
        if let Some(count) = &mut plan.count {
            *count -= 1;
        }
        Some(plan.fault.kind)
    }

    /// Whether this fault, which only says how an answer is written, strikes a request. It may beside others.
    pub(crate) fn also(&mut self, kind: FaultKind, grant: FaultGrant) -> bool {
        self.0.retain(|plan| plan.count != Some(0));
        let Some(plan) = self.0.iter_mut().find(|plan| plan.fault == (Fault { grant, kind })) else {
            return false;
        };
        if let Some(count) = &mut plan.count {
            *count -= 1;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_back() {
        for kind in FaultKind::ALL {
            assert_eq!(kind.word().parse(), Ok(Fault::from(*kind)));
        }
        for fault in Fault::all() {
            assert_eq!(fault.to_string().parse(), Ok(fault));
        }
        let plan: FaultPlan = "code:drop-after=3".parse().expect("known");
        assert_eq!(plan.fault, Fault { grant: FaultGrant::Code, kind: FaultKind::DropAfter });
        assert_eq!(plan.count, Some(3));
        for (prefix, grant) in PREFIXES {
            assert_eq!(format!("{prefix}echo").parse(), Ok(Fault { grant, kind: FaultKind::Echo }));
        }
        assert_eq!("late=+1".parse::<FaultPlan>(), Err(FaultError::BadCount));
        assert_eq!("later".parse::<FaultPlan>(), Err(FaultError::UnknownKind));
    }

    #[test]
    fn faults_strike_in_order_and_run_out() {
        let mut armed = Armed::default();
        for words in ["500=1", "code:html=1", "late=1"] {
            armed.arm(words.parse().expect("known"));
        }
        assert_eq!(armed.take(FaultGrant::Refresh), Some(FaultKind::Status500));
        assert_eq!(armed.take(FaultGrant::Refresh), Some(FaultKind::Late));
        assert_eq!(armed.take(FaultGrant::Refresh), None);
        assert_eq!(armed.take(FaultGrant::Code), Some(FaultKind::Html));
    }

    #[test]
    fn how_an_answer_is_written_is_apart_from_what_it_says() {
        let mut armed = Armed::default();
        for words in ["form-answer", "always-200=1", "500=1"] {
            armed.arm(words.parse().expect("known"));
        }
        let mut also = |kind| armed.also(kind, FaultGrant::Refresh);
        assert!(also(FaultKind::FormAnswer) && also(FaultKind::FormAnswer));
        assert!(also(FaultKind::Always200) && !also(FaultKind::Always200));
        assert!(!armed.also(FaultKind::FormAnswer, FaultGrant::Device));
        assert_eq!(armed.take(FaultGrant::Refresh), Some(FaultKind::Status500));
        assert_eq!(armed.take(FaultGrant::Refresh), None);
    }
}
