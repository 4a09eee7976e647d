//! Long-lived tokens for machines: created by a person, shown once, never stored. Only their scopes and expiry are
//! kept, for `setup-token list`.

use std::{
    io,
    path::{Path, PathBuf},
};

use keyfob_core::{
    Error, Id, Result, Secret, Timestamp,
    contract::settings::Scopes,
    oauth::{
        reply::Reply,
        token_response::{self, Verdict},
    },
    provider::environment::Environment,
};
use serde::{Deserialize, Serialize};

use crate::{
    session::Session,
    world::{self, system::shown},
};

/// Notes older than their token's end by this much are dropped.
const REMEMBERED: i64 = 30 * 24 * 3600;
/// A token is warned about this long before it ends.
pub const SOON: i64 = 14 * 24 * 3600;

/// A token that lasts. What [`Attempt::wait_for_token`](crate::Attempt::wait_for_token) returns.
///
/// It is kept nowhere: whoever drops this has lost it.
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

/// What the command keeps of it: no interface, see [`crate::internals`].
#[doc(hidden)]
impl Minted {
    /// What can be kept of it.
    #[must_use]
    pub const fn note(&self) -> &Note {
        &self.note
    }
}

/// What is known of a token that was minted here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The token's fingerprint, which finds it again in a variable.
    pub fingerprint: String,
    /// What it is for, in the person's words.
    #[serde(default)]
    pub name: Option<String>,
    /// Who minted it.
    pub issuer: String,
    /// The account.
    #[serde(default)]
    pub email: Option<String>,
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
        // A refresh token beside it is nobody's: what is minted here is used as it is.
        let tokens = match token_response::read(reply).open().1 {
            Verdict::Granted(tokens) => tokens,
            Verdict::Later(said) | Verdict::Unknown(said) => return Err(refused(Id::Unreachable, said.why)),
            Verdict::Odd { why } => return Err(refused(Id::AnswerInvalid, why)),
            Verdict::Refused(said) => return Err(refused(Id::ProviderRefused, said.why)),
        };
        if tokens.expires_in == Some(0) {
            return Err(refused(Id::AnswerInvalid, "it had ended when it arrived".into()));
        }
        let now = reply.begins(session.world.clock.now());
        let note = Note {
            fingerprint: tokens.access_token.fingerprint(),
            name: None,
            issuer: environment.issuer().to_owned(),
            // Not looked up: such a token may not see the profile.
            email: session.setup.settings.presets.email.clone(),
            scopes: tokens.scope.as_ref().unwrap_or(asked).to_string(),
            minted_at: now,
            expires_at: tokens.expires_in.map(|seconds| now.plus(seconds)),
        };
        Ok(Self { token: tokens.access_token, note })
    }
}

impl Session {
    /// What is known of the tokens minted here, newest last.
    pub(crate) fn minted(&self) -> Result<Vec<Note>> {
        let place = self.minted_place()?;
        let failed =
            |why: String| Error::new(Id::StoreCorrupt, format!("the notes in {}", place.display()), why);
        let bytes = self.world.files.read(&place).map_err(|error| failed(error.to_string()))?;
        let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) else { return Ok(Vec::new()) };
        keyfob_core::json::strict(&bytes)
            .map_err(|why| failed(format!("the file {why}")).hint("move the file away"))
    }

    /// Keeps a note of a token, and drops those of tokens that ended long ago.
    pub(crate) fn remember_minted(&self, note: Note) -> Result<()> {
        let place = self.minted_place()?;
        let kept =
            world::exclusively(&self.world, &place, || Ok::<_, io::Error>(self.add_minted(&place, note)));
        kept.map_err(|error| {
            Error::caused_by(Id::StoreFailed, format!("the notes in {}", shown(&place)), error)
        })?
    }

    fn add_minted(&self, place: &Path, note: Note) -> Result<()> {
        let now = self.world.clock.now();
        let mut notes = self.minted()?;
        notes.retain(|note| note.expires_at.is_none_or(|end| now < end.plus(REMEMBERED)));
        notes.push(note);
        let bytes = serde_json::to_vec_pretty(&notes)
            .map_err(|_| Error::new(Id::Bug, "the notes", "they cannot be written as JSON"))?;
        self.world.files.replace(place, &bytes).map_err(|error| {
            Error::caused_by(Id::StoreFailed, format!("the notes in {}", place.display()), error)
        })
    }

    fn minted_place(&self) -> Result<PathBuf> {
        Ok(self.setup.require_home()?.logins.with_file_name("minted.json"))
    }
}
