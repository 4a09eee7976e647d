//! Long-lived tokens for machines: created by a person, shown once, never stored. Only their scopes and expiry are
//! kept, for `setup-token list`.

use std::{
    io,
    path::{Path, PathBuf},
};

use keyfob_core::{
    Cause, Error, Id, Result, Secret, Source, Timestamp,
    contract::settings::Scopes,
    error::escape,
    login::identity::Identity,
    oauth::{
        reply::Reply,
        token_response::{self, Verdict},
    },
    provider::environment::Environment,
};
use serde::{Deserialize, Serialize};

use crate::{
    credential::{grant, look},
    login::establish,
    provider::{
        self,
        revoke::{self, Revocation},
        userinfo,
    },
    session::Session,
    world::{self, system::shown},
};

/// Notes older than their token's end by this much are dropped.
const REMEMBERED: i64 = 30 * 24 * 3600;
/// A token is warned about this long before it ends.
pub const SOON: i64 = 14 * 24 * 3600;

/// A token that lasts. What [`Attempt::wait_for_token`](crate::Attempt::wait_for_token) returns.
///
/// It is not stored anywhere: once this is dropped, the token is lost.
#[derive(Debug)]
#[non_exhaustive]
pub struct Minted {
    token: Secret,
    note: Note,
}

impl Minted {
    /// The access token.
    #[must_use]
    pub const fn token(&self) -> &Secret {
        &self.token
    }

    /// When it expires, by this machine's clock. `None`: the provider did not say.
    #[must_use]
    pub const fn expires_at(&self) -> Option<Timestamp> {
        self.note.expires_at
    }

    /// What it may be used for: scopes, separated by blanks (RFC 6749 §3.3).
    #[must_use]
    pub fn scopes(&self) -> &str {
        &self.note.scopes
    }
}

/// What the command keeps of it: not an interface, see [`crate::internals`].
#[doc(hidden)]
impl Minted {
    /// What can be kept of it.
    #[must_use]
    pub const fn note(&self) -> &Note {
        &self.note
    }
}

/// What is known about a token that was minted here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The token's fingerprint, which finds it again in a variable.
    pub fingerprint: String,
    /// What it is for, in the person's words.
    #[serde(default)]
    pub name: Option<String>,
    /// Who minted it.
    pub issuer: String,
    /// The account's address, if it is known.
    #[serde(default)]
    pub email: Option<String>,
    /// The account, as the provider numbers it.
    #[serde(default)]
    pub account: Option<String>,
    /// What it may do.
    pub scopes: String,
    /// When it was minted.
    pub minted_at: Timestamp,
    /// When it ends, if the provider said.
    pub expires_at: Option<Timestamp>,
}

/// The scopes a token for machines gets: what the contract's variable says, else inference alone.
pub(crate) fn scopes(session: &Session) -> Result<Scopes> {
    match &session.setup.settings.scopes {
        Some(scopes) => Ok(scopes.clone()),
        None => Scopes::parse("user:inference").map_err(|why| Error::new(Id::Bug, "the built-in scope", why)),
    }
}

impl Minted {
    pub(crate) fn read(
        session: &Session,
        environment: &Environment,
        asked: &Scopes,
        reply: &Reply,
    ) -> Result<Self> {
        let refused = |id, why| Error::new(id, "no token was minted", why);
        // A refresh token beside it is not used: what is minted here is used as it is.
        let tokens = match token_response::read(reply).open().1 {
            Verdict::Granted(tokens) => tokens,
            Verdict::Later(said) | Verdict::Unknown(said) => return Err(refused(Id::Unreachable, said.why)),
            Verdict::Odd { why } => return Err(refused(Id::AnswerInvalid, why)),
            Verdict::Refused(said) => return Err(refused(Id::ProviderRefused, said.why)),
        };
        if tokens.expires_in == Some(0) {
            return Err(refused(Id::AnswerInvalid, "it had ended when it arrived".into()));
        }
        let identity = whose(session, environment, &tokens.access_token);
        let now = reply.begins(session.world.clock.now());
        let note = Note {
            fingerprint: tokens.access_token.fingerprint(),
            name: None,
            issuer: environment.issuer().to_owned(),
            email: identity.email,
            account: identity.account_uuid,
            scopes: tokens.scope.named().unwrap_or(asked).to_string(),
            minted_at: now,
            expires_at: tokens.expires_in.map(|seconds| now.plus(seconds)),
        };
        Ok(Self { token: tokens.access_token, note })
    }
}

/// Whose such a token is, if that is known: it may not see the profile. Not knowing is no reason to lose it.
fn whose(session: &Session, environment: &Environment, token: &Secret) -> Identity {
    let presets = &session.setup.settings.presets;
    let said = || {
        let mut record = establish::blank(session, environment).ok()?;
        record.access_token = Some(token.duplicate());
        if userinfo::identify(session, &mut record).unidentified().is_none()
            && record.identity.account_uuid.is_some()
        {
            return Some(record.identity);
        }
        let url = record.endpoints.whoami_url.as_ref()?;
        let headers = grant::headers(Source::Login, token, &record.dialect);
        let answer = provider::get(&session.world, url).with(headers).expect(&[200]).ok()?;
        let said: Whoami = serde_json::from_slice(&answer.reply.body).ok()?;
        let account = Identity { account_uuid: said.account_uuid, ..Identity::default() };
        // The login beside it may be of the same account, and know more.
        let stored = look::record_at_hand(session).map(|record| record.identity);
        let same = stored.filter(|stored| stored.account_uuid == account.account_uuid);
        Some(same.unwrap_or(account))
    };
    said().unwrap_or_default().overlaid(presets)
}

#[derive(Deserialize)]
struct Whoami {
    account_uuid: Option<String>,
}

impl Session {
    /// Refuses what would be refused, or regretted, after the person has signed in: a name that is taken, by a token that
    /// is still good.
    pub(crate) fn may_mint(&self, name: Option<&str>) -> Result<()> {
        let Some(name) = name else { return Ok(()) };
        let now = self.world.clock.now();
        let lives = |note: &Note| note.expires_at.is_none_or(|end| now < end);
        match self.minted()?.into_iter().find(|note| note.name.as_deref() == Some(name) && lives(note)) {
            None => Ok(()),
            Some(note) => {
                let what = format!("there is a token named `{}` already", escape(name));
                let why = format!("it was minted {} at {}", note.minted_at, note.issuer);
                Err(Error::new(Id::Usage, what, why).because(Cause::NameTaken { name: escape(name) }))
            }
        }
    }

    /// Revokes a minted token at its provider. It is not stored here, so the caller supplies it; the note of its name
    /// says whether it is the one that is meant. The note is removed when the provider has confirmed.
    pub(crate) fn revoke_minted(&self, name: &str, token: Secret) -> Result<Revocation> {
        let failed = |why: String| {
            let what = format!("the token named `{}` cannot be revoked", escape(name));
            Error::new(Id::Usage, what, why).because(Cause::NotMinted {})
        };
        let fingerprint = token.fingerprint();
        let notes = self.minted()?;
        let mut named = notes.iter().filter(|note| note.name.as_deref() == Some(name)).peekable();
        if named.peek().is_none() {
            return Err(failed("no token of that name was minted here".into()));
        }
        let Some(note) = named.find(|note| note.fingerprint == fingerprint) else {
            return Err(failed(format!("the token that was given ({fingerprint}) is another one")));
        };
        let environment = self.complete_environment()?;
        if note.issuer != environment.issuer() {
            let why = format!("it was minted at {}, and {} is chosen", note.issuer, environment.issuer());
            return Err(failed(why));
        }
        let mut record = establish::blank(self, &environment)?;
        record.access_token = Some(token);
        let revocation = revoke::revoke(self, &record);
        if revocation == Revocation::Confirmed {
            self.change_minted(|notes| notes.retain(|note| note.fingerprint != fingerprint))?;
        }
        Ok(revocation)
    }

    /// What is known of the tokens minted here, newest last.
    pub(crate) fn minted(&self) -> Result<Vec<Note>> {
        let place = self.minted_place()?;
        let failed = |why: String| {
            Error::new(Id::StoreCorrupt, format!("the notes in {} cannot be read", place.display()), why)
        };
        let bytes = self.world.files.read(&place).map_err(|error| failed(error.to_string()))?;
        let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) else { return Ok(Vec::new()) };
        keyfob_core::json::strict(&bytes).map_err(|why| {
            failed(format!("the file {why}"))
                .because(Cause::NotesUnreadable { path: place.to_string_lossy().into_owned() })
        })
    }

    /// Keeps a note of a token, and drops those of tokens that ended long ago.
    pub(crate) fn remember_minted(&self, note: Note) -> Result<()> {
        let now = self.world.clock.now();
        self.change_minted(|notes| {
            notes.retain(|note| note.expires_at.is_none_or(|end| now < end.plus(REMEMBERED)));
            notes.push(note);
        })
    }

    fn change_minted(&self, change: impl FnOnce(&mut Vec<Note>)) -> Result<()> {
        let place = self.minted_place()?;
        let kept =
            world::exclusively(&self.world, &place, || Ok::<_, io::Error>(self.write_minted(&place, change)));
        kept.map_err(|error| {
            Error::caused_by(Id::StoreFailed, format!("the notes in {}", shown(&place)), error)
        })?
    }

    fn write_minted(&self, place: &Path, change: impl FnOnce(&mut Vec<Note>)) -> Result<()> {
        let mut notes = self.minted()?;
        change(&mut notes);
        let bytes = serde_json::to_vec_pretty(&notes)
            .map_err(|_| Error::new(Id::Bug, "the notes", "they cannot be written as JSON"))?;
        self.world.files.replace(place, &bytes).map_err(|error| {
            Error::caused_by(
                Id::StoreFailed,
                format!("the notes in {} cannot be read", place.display()),
                error,
            )
        })
    }

    fn minted_place(&self) -> Result<PathBuf> {
        Ok(self.setup.require_home()?.logins.with_file_name("minted.json"))
    }
}
