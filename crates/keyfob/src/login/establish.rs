//! From a token response to a login on disk: the last steps of every way to sign in.

use keyfob_core::{
    Ahead, Cause, Error, Id, Record, Result, Secret,
    contract::settings::Scopes,
    error::escape,
    login::{record::Generation, refresh},
    oauth::{
        id_token as core_id_token, refusal,
        reply::Reply,
        token_response::{self, Verdict},
    },
    provider::environment::Environment,
};

use crate::world::failure;
use crate::{
    credential::{client_auth, federation::orphans},
    login::{
        id_token,
        signed_in::{Confirm, Meant, SignedIn, TokenKind},
    },
    logout,
    provider::{
        self,
        revoke::{self, Revocation},
        userinfo,
    },
    renewal,
    session::Session,
    store::{Commit, Found, Seen},
    trusted_device::Enrolment,
    world::system::machine_name,
};

impl Session {
    /// Signs in with a token that the user already has. An access token is tried at the provider first.
    pub(crate) fn login_with(
        &self,
        kind: TokenKind,
        token: Secret,
        confirm: Confirm<'_>,
    ) -> Result<SignedIn> {
        let meant = Meant { email: None, confirm };
        self.environment()?.for_a_person()?;
        let environment = self.complete_environment()?;
        let mut record = blank(self, &environment)?;
        match kind {
            TokenKind::Access => {
                record.generation.advance();
                record.access_token = Some(token);
                let unidentified = userinfo::tried(self, &mut record)?.unidentified();
                let origin = Origin::Brought { spent: false };
                save(self, record, unidentified, &origin, meant)
            }
            TokenKind::Refresh => {
                // Before anything is spent.
                would_be_kept(self, &environment)?;
                // An answer without a new one leaves the old one good (RFC 6749 §6).
                record.refresh_token = Some(token);
                record.narrowed = self.setup.settings.scopes.is_some();
                let (url, request) = (environment.token_url()?, refresh::request(&record)?);
                let reply = provider::token::ask(self, &environment, url, request)?;
                accept(self, &environment, record, &reply, &Origin::Brought { spent: true }, meant)
            }
        }
    }
}

/// Makes a login of an answer and saves it.
pub(crate) fn establish(
    session: &Session,
    environment: &Environment,
    asked: &Scopes,
    nonce: Option<&Secret>,
    reply: &Reply,
    meant: Meant<'_>,
) -> Result<SignedIn> {
    let mut record = blank(session, environment)?;
    record.scopes = asked.clone();
    accept(session, environment, record, reply, &Origin::Page { nonce }, meant)
}

/// Where the grant came from.
enum Origin<'n> {
    /// A person agreed to it just now. What it is not proven to be ends at once.
    Page {
        /// What its ID token has to repeat.
        nonce: Option<&'n Secret>,
    },
    /// The user had the token already: it is kept whatever else the provider says.
    Brought {
        /// What they had is used up by now.
        spent: bool,
    },
}

/// Whether the result of a sign-in could be obtained and saved: checked before the user signs in. The disk must accept
/// it, if logins are sealed there must be a key for that, and the secret or the private key of a client that has one must
/// be available, and be one that this provider takes.
pub(crate) fn would_be_kept(session: &Session, environment: &Environment) -> Result<()> {
    if let Some(at) = environment.secret_at() {
        client_auth::at_hand(&session.world, environment, &at)?;
    }
    let store = session.store()?;
    match store.look() {
        // Signing in again is the way out when a key is lost, and what is damaged is set aside.
        Err(error) if error.id() != Id::KeyStoreUnavailable => return Err(error),
        _ => {}
    }
    renewal::wait_for_lease(&session.world, &*store)?.prove()
}

/// The record of a login that is about to begin.
pub(crate) fn blank(session: &Session, environment: &Environment) -> Result<Record> {
    let mut octets = [0; 16];
    session.world.entropy.fill(&mut octets).map_err(failure::no_randomness)?;
    let generation = Generation::new(octets, 0);
    environment.record(generation, session.setup.profile()?, session.world.clock.now(), None)
}

fn accept(
    session: &Session,
    environment: &Environment,
    mut record: Record,
    reply: &Reply,
    origin: &Origin<'_>,
    meant: Meant<'_>,
) -> Result<SignedIn> {
    let now = session.world.clock.now();
    let asked_for_openid = record.scopes.iter().any(|scope| scope == "openid");
    let (rotated, verdict) = token_response::read(reply).open();
    let (id_token, wants_device) = match verdict {
        Verdict::Granted(mut tokens) => {
            let more = (tokens.id_token.take(), tokens.wants_device);
            refresh::accept(&mut record, tokens, rotated, reply, now, session.world.clock.kernel());
            more
        }
        verdict => {
            let mut cause = None;
            let (id, why) = match verdict {
                Verdict::Later(said) | Verdict::Unknown(said) => {
                    let seconds = reply.retry_after.as_ref().and_then(|text| text.trim().parse().ok());
                    cause = said.busy(seconds);
                    (Id::Unreachable, said.why)
                }
                Verdict::Refused(said) => {
                    if let Some(error) = refused_client(environment, said.word.as_deref(), &said.why) {
                        return Err(error);
                    }
                    cause = said.word.as_deref().map(|word| match (origin, word) {
                        (Origin::Brought { .. }, "invalid_grant") => {
                            Cause::TokenRejected { status: said.status }
                        }
                        _ => refusal::cause(word, &record.scopes),
                    });
                    (Id::ProviderRefused, said.why)
                }
                Verdict::Odd { why } => (Id::AnswerInvalid, why),
                Verdict::Granted(_) => (Id::Bug, String::new()),
            };
            let error = exchange_failed(id, why).maybe_because(cause);
            // The one that the user brought may be spent by now: its successor is saved before anything is reported.
            if let (Some(rotated), Origin::Brought { .. }) = (rotated, origin) {
                record.generation.advance();
                record.refresh_token = Some(rotated);
                save(session, record, None, origin, meant)?;
                return Err(error.because(Cause::RotatedKept {}));
            }
            return Err(error);
        }
    };
    // It would be useless, and that would be noticed only when it is needed.
    if record.refresh_token.is_none() && refresh::has_ended(&record) {
        let why = "its access token had ended when it arrived, and no refresh token came with it";
        return Err(exchange_failed(Id::AnswerInvalid, why.into()).because(Cause::TokenEnded {}));
    }
    let nonce = match origin {
        Origin::Page { nonce } => *nonce,
        Origin::Brought { .. } => None,
    };
    // Without the issuer's own spelling there is nothing to compare its token with; and one that was not requested
    // answers no request (OpenID Connect Core §3.1.2.1), so nothing in it could be right or wrong.
    let id_token = id_token.filter(|_| environment.iss().is_some() && asked_for_openid);
    let mut unidentified = None;
    if let Some(token) = id_token {
        let now = reply.provider_time().unwrap_or_else(|| Ahead::default().theirs(reply.begins(now)));
        match id_token::verified(session, environment, &token, nonce, now) {
            Ok(identity) => {
                record.id_token = Some(token).filter(|token| core_id_token::to_keep(token).is_ok());
                let identity = identity.without(&reply.sent);
                record.verified_subject.clone_from(&identity.subject);
                record.identity = identity;
            }
            Err(error) if error.id() == Id::IdTokenInvalid && matches!(origin, Origin::Page { .. }) => {
                logout::end_unstored(session, &*session.store()?, &record);
                return Err(error);
            }
            Err(error) => {
                // What says the right things, from the token endpoint itself, is handed out although its signature cannot be
                // checked here (OpenID Connect Core §3.1.3.7, number 6): who reads it checks that.
                if error.id() != Id::IdTokenInvalid && id_token::is_ours(environment, &token, nonce, now)? {
                    record.id_token = Some(token).filter(|token| core_id_token::to_keep(token).is_ok());
                }
                unidentified = Some(error);
            }
        }
    }
    let by_a_person = matches!(origin, Origin::Page { .. });
    let mut signed_in = save(session, record, unidentified, origin, meant)?;
    signed_in.left_open.clone_from(&environment.left_open);
    // The login is on the disk: whatever comes of this, it stays.
    if wants_device && by_a_person {
        signed_in.device = match session.device() {
            Ok(Some(_)) => Enrolment::NotNeeded,
            Ok(None) => {
                session.enroll_device(&machine_name()).map_or_else(Enrolment::Failed, Enrolment::Enrolled)
            }
            Err(error) => Enrolment::Failed(error),
        };
    }
    Ok(signed_in)
}

/// A login that the user brought along may be of the same family as the one it replaces: revoking that would end
/// both. The same may be so of two sign-ins of one person (see [`Record::may_share_grant`]).
fn save(
    session: &Session,
    mut record: Record,
    unidentified: Option<Error>,
    origin: &Origin<'_>,
    meant: Meant<'_>,
) -> Result<SignedIn> {
    let revoke_old = matches!(origin, Origin::Page { .. });
    let unidentified = unidentified.or_else(|| userinfo::identify(session, &mut record).unidentified());
    let store = session.store()?;
    // Before the lease: a person may think about it, and the login that is there goes on meanwhile.
    let stored = match store.look() {
        Ok(Seen::Record(stored)) => Some(stored),
        _ => None,
    };
    if let Some(error) = another(&record, stored.as_deref(), meant.email)
        && !(meant.confirm)(&error)
    {
        let others = stored.is_none_or(|stored| record.identity.is_another_than(&stored.identity));
        return Err(match origin {
            // The tokens of one account may be one grant: then the login that stays would end with it.
            Origin::Page { .. } if others => {
                revoke::revoke(session, &record);
                error
            }
            Origin::Brought { spent: true } => {
                let kept = beside(session, record)?;
                error.because(Cause::KeptBeside { profile: kept })
            }
            _ => error,
        });
    }
    let lease = renewal::wait_for_lease(&session.world, &*store)?;
    let old = match lease.read() {
        Ok(Found::Record(old)) => Some(Ok(old)),
        Ok(Found::Nothing | Found::SetAside(_)) => None,
        // Signing in again is the way out when a key is lost. The record it replaces cannot be read then.
        Err(error) if error.id() == Id::KeyStoreUnavailable => Some(Err(error)),
        Err(error) => return Err(error),
    };
    match lease.commit(&record) {
        Ok(Commit::Durable) => {}
        Err(error) if error.id() == Id::KeyStoreUnavailable && revoke_old => {
            logout::end_unstored(session, &*store, &record);
            return Err(error);
        }
        Err(error) => return Err(error),
        // What is kept beside a record is adopted as its successor only, and this is another login: the one before
        // stays, and this one ends rather than lie around.
        Ok(Commit::Recovered(path)) => {
            let failed = |why: String| Error::new(Id::StoreFailed, "the new login could not be saved", why);
            if revoke_old {
                store.forget_recovered(&path);
                logout::end_unstored(session, &*store, &record);
                return Err(failed("the disk refused it".into()));
            }
            let why = format!("the disk refused it; until the next run it is in {}", path.display());
            return Err(
                failed(why).because(Cause::RecoveredLogin { path: path.to_string_lossy().into_owned() })
            );
        }
    }
    // The old login ends only when the new one is on the disk.
    let gone = match &old {
        Some(Ok(old)) => Some(old.generation.login().to_owned()),
        _ => None,
    };
    let replaced = old.filter(|_| revoke_old).map(|old| match old {
        Ok(old) if record.may_share_grant(&old) => logout::SPARED,
        Ok(old) => logout::end_unstored(session, &*store, &old),
        Err(error) => Revocation::Failed(error.message()),
    });
    // What the old one was narrowed to ends with it, where it has ended, and is of no use to anybody in any case.
    let has_ended = matches!(&replaced, Some(revocation) if *revocation != logout::SPARED);
    orphans::end(session, gone.as_deref(), has_ended);
    Ok(SignedIn { record, replaced, unidentified, device: Enrolment::NotNeeded, left_open: Vec::new() })
}

/// Why this sign-in is not the one that was meant, if it is not.
fn another(record: &Record, stored: Option<&Record>, email: Option<&str>) -> Option<Error> {
    let who = escape(record.identity.name());
    let told = |whom: String| {
        let what = format!("{who} signed in, and not {whom}");
        let why = "nothing was saved, and the login that was there stays";
        Some(Error::new(Id::OtherAccount, what, why).because(Cause::AnotherAccount {}))
    };
    if let Some(email) = email.filter(|email| record.identity.is_not(email)) {
        return told(format!("{}, who was asked for", escape(email)));
    }
    let stored = stored.filter(|stored| stored.access_token.is_some() || stored.refresh_token.is_some())?;
    if !record.identity.is_another_than(&stored.identity) {
        return None;
    }
    told(format!("{}, whose login profile `{}` holds", escape(stored.identity.name()), stored.profile))
}

/// Saves a login whose token would be lost otherwise in a separate profile. Returns the profile's name.
fn beside(session: &Session, mut record: Record) -> Result<String> {
    let profile = record.profile.clone();
    for number in 2..100 {
        record.profile = format!("{profile}-{number}");
        let store = session.store_beside(&record.profile)?;
        if matches!(store.look()?, Seen::Nothing) {
            renewal::wait_for_lease(&session.world, &*store)?.commit(&record)?;
            return Ok(record.profile);
        }
    }
    let what = format!("there is no room beside profile `{profile}` for the login of another account");
    Err(Error::new(Id::StoreFailed, what, "ninety-eight profiles of that name are there already"))
}

/// The provider does not take this client (RFC 6749 §5.2): which one it was, and what can help. `None`: it is about
/// something else.
pub(crate) fn refused_client(environment: &Environment, word: Option<&str>, why: &str) -> Option<Error> {
    let client = environment.client_id.as_ref()?.as_str();
    let signs = environment.secret_at().is_some_and(|at| at.auth.signs());
    let wants_secret = environment.confidential.is_none() && why.contains("secret");
    if !matches!(word, Some("invalid_client" | "unauthorized_client")) && !wants_secret {
        return None;
    }
    let what = format!("{} refused client `{}`", environment.issuer(), escape(client));
    let (environment, client, secret) =
        (environment.name.clone(), escape(client), environment.confidential.is_some());
    let cause = if signs {
        Cause::AssertionRefused { environment, client }
    } else {
        Cause::ClientUnknown { environment, client, secret }
    };
    Some(Error::new(Id::ProviderRefused, what, why).because(cause))
}

fn exchange_failed(id: Id, why: String) -> Error {
    Error::new(id, "signing in was not finished", why)
}
