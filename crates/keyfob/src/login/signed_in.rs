//! A finished sign-in, and what a caller requires of one.

use keyfob_core::{Error, Record, login::record::Generation};

use crate::{provider::revoke::Revocation, trusted_device::Enrolment};

/// A finished sign-in. When a caller has this, the login is on the disk.
#[derive(Debug)]
#[non_exhaustive]
pub struct SignedIn {
    pub(super) record: Record,
    pub(super) replaced: Option<Revocation>,
    pub(super) unidentified: Option<Error>,
    pub(super) device: Enrolment,
    pub(super) left_open: Vec<&'static str>,
}

impl SignedIn {
    /// The profile it was saved in.
    #[must_use]
    pub fn profile(&self) -> &str {
        &self.record.profile
    }

    /// The issuer identifier of the provider (RFC 8414 §2).
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.record.issuer
    }

    /// The e-mail address of the account, if the provider said. For display, never for authorization.
    #[must_use]
    pub fn email(&self) -> Option<&str> {
        self.record.identity.email.as_deref()
    }

    /// Which login it is.
    #[must_use]
    pub const fn generation(&self) -> &Generation {
        &self.record.generation
    }

    /// Whether the login that it replaces was revoked, if there was one and that was wanted.
    #[must_use]
    pub const fn replaced(&self) -> Option<&Revocation> {
        self.replaced.as_ref()
    }

    /// Why the account could not be identified, if it could not. The login works nevertheless.
    #[must_use]
    pub const fn unidentified(&self) -> Option<&Error> {
        self.unidentified.as_ref()
    }
}

impl SignedIn {
    /// What the provider's metadata leaves open that the login is the poorer for, such as a revocation endpoint: in words
    /// for a person, to be said once. Empty where no metadata was needed.
    #[must_use]
    pub fn left_open(&self) -> &[&'static str] {
        &self.left_open
    }
}

/// What only the command shows: not an interface, see [`crate::internals`].
#[doc(hidden)]
impl SignedIn {
    /// The record as it was saved.
    #[must_use]
    pub const fn record(&self) -> &Record {
        &self.record
    }

    /// The result of making this machine a trusted device, if the provider asked for that.
    #[must_use]
    pub const fn device(&self) -> &Enrolment {
        &self.device
    }
}

/// Which kind of token [`Client::login_with`](crate::Client::login_with) is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenKind {
    /// A refresh token (RFC 6749 §1.5). It is exchanged at once; with a provider that rotates refresh tokens it is spent by
    /// that, and any other copy of it is worthless.
    Refresh,
    /// An access token. It is used as it is until the provider rejects it, and cannot be renewed.
    Access,
}

/// Decides whether a sign-in is saved although another account signed in than the one whose login is stored, or than the
/// one that was asked for. The error describes the difference. `&|_| false` if there is no user to ask.
pub type Confirm<'c> = &'c dyn Fn(&Error) -> bool;

/// Whose sign-in it is meant to be.
#[derive(Clone, Copy)]
pub(crate) struct Meant<'m> {
    /// The address that was suggested to the provider.
    pub(crate) email: Option<&'m str>,
    pub(crate) confirm: Confirm<'m>,
}
