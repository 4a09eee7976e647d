//! The whole state of the provider, and its transitions.
//!
//! It is one structure behind one mutex: a rotation is one transition, so two requests can never both use a refresh
//! token.

use std::{collections::HashMap, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::state::{
    bounded::Bounded,
    codes::{Code, DeviceCodes},
    credential::{self, Digest, NoEntropy},
    device::Device,
    scope::Scopes,
    transaction::Transaction,
};

/// A used code is remembered this long, so that its reuse revokes what it gave.
const USED_CODE_MEMORY: u64 = 24 * 3600;
/// A refresh token that is not used expires (RFC 9700 §4.14.2).
pub(crate) const REFRESH_IDLE_LIFE: u64 = 30 * 24 * 3600;
/// How many new credentials there may be between two sweeps of expired ones.
const SWEEP_EVERY: u32 = 4096;

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Tables {
    pub(crate) families: HashMap<u64, Family>,
    pub(crate) access: HashMap<Digest, Access>,
    pub(crate) refresh: HashMap<Digest, Refresh>,
    pub(crate) devices: HashMap<String, Device>,
    #[serde(skip)]
    pub(crate) codes: Bounded<Code>,
    /// The assertions that were used, and when each ends.
    #[serde(skip)]
    pub(crate) assertions: UsedAssertions,
    #[serde(skip)]
    pub(crate) transactions: Bounded<Transaction>,
    #[serde(skip)]
    pub(crate) device_codes: DeviceCodes,
    /// The numbers of identity tokens that were exchanged, each until it ends.
    pub(crate) identity_numbers: HashMap<Digest, u64>,
    #[serde(skip)]
    pub(crate) counters: Grants,
    #[serde(skip)]
    until_sweep: u32,
}

/// What must not come twice, until it has ended. Not bounded as the tables that a page in a browser can fill: who gets here
/// has a registered key.
#[derive(Debug, Default)]
pub(crate) struct UsedAssertions(HashMap<Digest, u64>);

impl UsedAssertions {
    pub(crate) fn insert(&mut self, assertion: Digest, until: u64) {
        self.0.insert(assertion, until);
    }

    pub(crate) fn contains(&self, assertion: &Digest) -> bool {
        self.0.contains_key(assertion)
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&u64) -> bool) {
        self.0.retain(|_, until| keep(until));
    }
}

/// How often what was granted or detected since the server started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Grants {
    /// Authorization codes exchanged for tokens.
    pub codes: u64,
    /// Refresh tokens rotated, whether or not the answer reached the client.
    pub refreshes: u64,
    /// Refresh grants served without a new refresh token (the fault `no-refresh-token`).
    pub unrotated: u64,
    /// Just-rotated refresh tokens accepted once more within the grace (part of `refreshes`).
    pub graces: u64,
    /// Spent refresh tokens presented again: the family was revoked.
    pub reuses: u64,
    /// Authorization codes presented again: what they had given was revoked.
    pub code_reuses: u64,
    /// Device codes exchanged for tokens.
    pub device_codes: u64,
    /// Client credentials grants.
    pub client_credentials: u64,
    /// Identity tokens exchanged for access tokens, whether or not the answer reached the client.
    pub federations: u64,
    /// Numbered identity tokens that were presented again.
    pub identity_reuses: u64,
    /// Identity tokens that were issued on request.
    pub identity_tokens: u64,
}

/// One sign-in and everything that came from it (RFC 9700 §4.14.2 calls it the grant).
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Family {
    pub(crate) client_id: Arc<str>,
    /// `None` = a client acting for itself.
    pub(crate) email: Option<Arc<str>>,
    pub(crate) scope: Scopes,
    pub(crate) revoked: bool,
    /// When everything in it has certainly expired.
    ends_at: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Access {
    pub(crate) family: u64,
    pub(crate) scope: Scopes,
    /// For whom it is, where that is not this server alone (RFC 8693 §2.1, RFC 8707 §2).
    #[serde(default)]
    pub(crate) audience: Vec<String>,
    pub(crate) issued_at: u64,
    pub(crate) expires_at: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Refresh {
    pub(crate) family: u64,
    pub(crate) idle_until: u64,
    pub(crate) spent: Option<Spent>,
}

/// A rotated refresh token is kept, so that its reuse can be distinguished from an unknown one.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Spent {
    at: u64,
    grace_used: bool,
}

/// Tokens on their way to the client.
pub(crate) struct Issued {
    pub(crate) access_token: String,
    pub(crate) refresh_token: Option<String>,
    /// Only where a person signed in with the scope `openid`.
    pub(crate) id_token: Option<String>,
    /// A person signed in, and this machine is to be a trusted device.
    pub(crate) wants_device: bool,
    pub(crate) expires_in: u64,
    pub(crate) scope: Scopes,
    pub(crate) family: u64,
}

/// What a rotation is asked to do.
pub(crate) struct Rotation<'a> {
    pub(crate) token: &'a str,
    pub(crate) client_id: &'a str,
    /// Narrows the access token; never the family.
    pub(crate) scope: Option<Scopes>,
    pub(crate) ttl: u64,
    pub(crate) grace: u64,
    /// The fault `no-refresh-token`: leave the presented token valid.
    pub(crate) keep: bool,
}

/// Why a refresh token was not rotated.
#[derive(Debug)]
pub(crate) enum NotRotated {
    Unknown,
    Expired,
    Revoked,
    OtherClient,
    Reused(u64),
    Wider,
    NoEntropy,
}

impl From<NoEntropy> for NotRotated {
    fn from(_: NoEntropy) -> Self {
        Self::NoEntropy
    }
}

impl Tables {
    /// Begins a family. The caller issues its first tokens with [`Tables::issue_access`] and
    /// [`Tables::issue_refresh`].
    pub(crate) fn begin(
        &mut self,
        client_id: &str,
        email: Option<&str>,
        scope: Scopes,
        ends_at: u64,
    ) -> Result<u64, NoEntropy> {
        let id = credential::public_id()?;
        let family = Family {
            client_id: client_id.into(),
            email: email.map(Into::into),
            scope,
            revoked: false,
            ends_at,
        };
        self.families.insert(id, family);
        Ok(id)
    }

    pub(crate) fn issue_access(
        &mut self,
        family: u64,
        scope: Scopes,
        now: u64,
        ttl: u64,
    ) -> Result<String, NoEntropy> {
        self.issue_access_for(family, scope, Vec::new(), now, ttl)
    }

    /// The same for a token that is for somebody.
    pub(crate) fn issue_access_for(
        &mut self,
        family: u64,
        scope: Scopes,
        audience: Vec<String>,
        now: u64,
        ttl: u64,
    ) -> Result<String, NoEntropy> {
        let token = credential::mint(credential::ACCESS_TOKEN)?;
        let expires_at = now.saturating_add(ttl);
        self.outlive(family, expires_at);
        self.access
            .insert(Digest::of(&token), Access { family, scope, audience, issued_at: now, expires_at });
        self.sweep_when_due(now);
        Ok(token)
    }

    pub(crate) fn issue_refresh(&mut self, family: u64, now: u64) -> Result<String, NoEntropy> {
        let token = credential::mint(credential::REFRESH_TOKEN)?;
        let idle_until = now.saturating_add(REFRESH_IDLE_LIFE);
        self.outlive(family, idle_until);
        self.refresh.insert(Digest::of(&token), Refresh { family, idle_until, spent: None });
        Ok(token)
    }

    /// Spends a refresh token and issues its successor, or finds out that it was spent before and revokes the
    /// family (RFC 9700 §4.14.2). One transition.
    pub(crate) fn rotate(&mut self, ask: &Rotation<'_>, now: u64) -> Result<Issued, NotRotated> {
        let digest = Digest::of(ask.token);
        let token = self.refresh.get_mut(&digest).ok_or(NotRotated::Unknown)?;
        let id = token.family;
        let family = self.families.get_mut(&id).ok_or(NotRotated::Unknown)?;
        // Before everything else: another client learns nothing and changes nothing (RFC 6749 §10.4).
        if *family.client_id != *ask.client_id {
            return Err(NotRotated::OtherClient);
        }
        if family.revoked {
            return Err(NotRotated::Revoked);
        }
        if now >= token.idle_until {
            return Err(NotRotated::Expired);
        }
        let in_grace = token.spent.is_some_and(|s| !s.grace_used && now < s.at.saturating_add(ask.grace));
        if token.spent.is_some() && !in_grace {
            family.revoked = true;
            self.counters.reuses += 1;
            return Err(NotRotated::Reused(id));
        }
        let scope = ask.scope.unwrap_or(family.scope);
        if !family.scope.covers(scope) {
            return Err(NotRotated::Wider);
        }
        // Both are issued before the old one is spent: without randomness nothing has happened.
        let access_token = self.issue_access(id, scope, now, ask.ttl)?;
        let refresh_token = if ask.keep { None } else { Some(self.issue_refresh(id, now)?) };
        if ask.keep {
            self.counters.unrotated += 1;
        } else {
            if let Some(token) = self.refresh.get_mut(&digest) {
                token.spent = Some(Spent { at: token.spent.map_or(now, |s| s.at), grace_used: in_grace });
            }
            self.counters.refreshes += 1;
            self.counters.graces += u64::from(in_grace);
        }
        Ok(Issued {
            access_token,
            refresh_token,
            id_token: None,
            wants_device: false,
            expires_in: ask.ttl,
            scope,
            family: id,
        })
    }

    /// A valid access token and its family.
    pub(crate) fn access(&self, token: &str, now: u64) -> Option<(&Access, &Family)> {
        let access = self.access.get(&Digest::of(token))?;
        let family = self.families.get(&access.family)?;
        (now < access.expires_at && !family.revoked).then_some((access, family))
    }

    /// A refresh token that could be spent now, and its family.
    pub(crate) fn refresh(&self, token: &str, now: u64) -> Option<(&Refresh, &Family)> {
        let refresh = self.refresh.get(&Digest::of(token))?;
        let family = self.families.get(&refresh.family)?;
        (now < refresh.idle_until && refresh.spent.is_none() && !family.revoked).then_some((refresh, family))
    }

    pub(crate) fn revoke_family(&mut self, id: u64) {
        if let Some(family) = self.families.get_mut(&id) {
            family.revoked = true;
        }
    }

    fn outlive(&mut self, family: u64, until: u64) {
        if let Some(family) = self.families.get_mut(&family) {
            family.ends_at = family.ends_at.max(until);
        }
    }

    fn sweep_when_due(&mut self, now: u64) {
        if let Some(left) = self.until_sweep.checked_sub(1) {
            self.until_sweep = left;
            return;
        }
        self.until_sweep = SWEEP_EVERY;
        self.sweep(now);
    }

    /// Forgets what has expired.
    pub(crate) fn sweep(&mut self, now: u64) {
        self.access.retain(|_, access| now < access.expires_at);
        self.refresh.retain(|_, refresh| now < refresh.idle_until);
        self.families.retain(|_, family| now < family.ends_at);
        self.sweep_waiting(now);
        self.devices.retain(|_, device| now < device.expires_at);
    }

    /// Removes expired codes and sign-ins that were never completed.
    pub(crate) fn sweep_waiting(&mut self, now: u64) {
        self.codes.retain(|code| now < code.expires_at.saturating_add(USED_CODE_MEMORY));
        self.transactions.retain(|transaction| now < transaction.expires_at);
        self.device_codes.sweep(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed_in() -> (Tables, String) {
        let mut tables = Tables::default();
        let scope = Scopes::parse("user:profile user:inference").expect("known");
        let family = tables.begin("c", Some("a@b"), scope, 0).expect("entropy");
        let token = tables.issue_refresh(family, 1000).expect("entropy");
        (tables, token)
    }

    fn ask(token: &str) -> Rotation<'_> {
        Rotation { token, client_id: "c", scope: None, ttl: 60, grace: 0, keep: false }
    }

    #[test]
    fn another_client_cannot_revoke_a_family_by_presenting_a_spent_token() {
        let (mut tables, token) = signed_in();
        let next = tables.rotate(&ask(&token), 1000).expect("rotated").refresh_token.expect("new");
        let stranger = Rotation { client_id: "other", ..ask(&token) };
        assert!(matches!(tables.rotate(&stranger, 1000), Err(NotRotated::OtherClient)));
        assert!(tables.rotate(&ask(&next), 1000).is_ok());
    }

    #[test]
    fn the_grace_is_given_once() {
        let (mut tables, token) = signed_in();
        tables.rotate(&ask(&token), 1000).expect("rotated");
        let again = Rotation { grace: 10, ..ask(&token) };
        assert!(tables.rotate(&again, 1009).is_ok());
        assert!(matches!(tables.rotate(&again, 1009), Err(NotRotated::Reused(_))));
    }

    #[test]
    fn reuse_grace_ends() {
        let (mut tables, token) = signed_in();
        tables.rotate(&ask(&token), 1000).expect("rotated");
        let again = Rotation { grace: 10, ..ask(&token) };
        assert!(matches!(tables.rotate(&again, 1010), Err(NotRotated::Reused(_))));
    }

    #[test]
    fn a_sweep_forgets_only_what_has_expired() {
        let (mut tables, token) = signed_in();
        tables.sweep(1000 + REFRESH_IDLE_LIFE - 1);
        assert!(tables.refresh(&token, 1000).is_some());
        tables.sweep(1000 + REFRESH_IDLE_LIFE);
        assert!(tables.refresh.is_empty() && tables.families.is_empty());
    }
}
