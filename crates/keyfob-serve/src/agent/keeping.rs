//! Keeps the files of a door fresh.

use std::{io, sync::Arc, time::Duration};

use keyfob::{Error, ErrorId, Generation, Result, Timestamp};

use crate::{
    agent::{
        credential::{self, What, json},
        flight::Credential,
        open::Open,
        sink::{Format, Put, Sink},
    },
    wire,
};

/// How often the login is looked at: a sign-out has taken the token back by then.
const LOOK: Duration = Duration::from_secs(2);

#[expect(clippy::disallowed_methods, reason = "the file is for whoever reads it, as the user asked for")]
fn text(sink: &Sink, open: &Open, lent: &Credential) -> Vec<u8> {
    match sink.format {
        Format::Token => format!("{}\n", lent.token.expose()).into_bytes(),
        Format::IdToken => lent.token.expose().as_bytes().to_vec(),
        Format::Header => {
            let lines = lent.headers.iter().map(|(name, value)| format!("{name}: {}\n", value.expose()));
            lines.collect::<String>().into_bytes()
        }
        Format::Json => credential::write(open, lent, What::File).unwrap_or_default(),
        Format::Credentials => {
            let file = wire::CredentialsFile {
                version: "1.0",
                kind: "oauth_token",
                access_token: lent.token.expose(),
                expires_at: lent.expires_at.map(|end| end.0),
            };
            json(&file).unwrap_or_default()
        }
    }
}

/// A file that is kept fresh. Dropped, it takes the file away: one that nobody keeps fresh is worse than none.
pub(crate) struct Keeping {
    open: Arc<Open>,
    sink: Sink,
    /// What this agent has put there, if it has.
    put: Option<Put>,
    written: Option<Generation>,
    ends: Option<Timestamp>,
    told: Option<Told>,
}

/// What was told of last, so that it is told once.
#[derive(PartialEq, Eq)]
enum Told {
    Writing(io::ErrorKind),
    Asking(ErrorId),
}

impl Keeping {
    pub(crate) fn new(open: Arc<Open>, sink: Sink) -> Self {
        Self { open, sink, put: None, written: None, ends: None, told: None }
    }

    /// Keeps the file for as long as the door is open.
    pub(crate) async fn keep(mut self) {
        loop {
            match self.look().await {
                Ok(()) => self.told = None,
                Err((told, error)) => {
                    // It is tried again, and the old text is as good as it was. What is wrong with the login itself is
                    // told where it is renewed ahead.
                    let is_of_the_file =
                        matches!(told, Told::Writing(_)) || self.sink.format == Format::IdToken;
                    if self.told.as_ref() != Some(&told) && is_of_the_file {
                        self.open.host.warn(&error);
                    }
                    self.told = Some(told);
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Puts a token there for the first time.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) async fn begin(&mut self) -> Result<()> {
        self.look().await.map_err(|(_, error)| error)
    }

    async fn look(&mut self) -> Result<(), (Told, Error)> {
        let wants_id_token = self.sink.format == Format::IdToken;
        let asked = self.open.flights.ask_for_files(wants_id_token).await;
        // A timer stands still while the machine sleeps: it may be over although nobody has been told so.
        if self.is_over() {
            self.written = None;
            self.take_back();
            return Ok(());
        }
        match asked {
            Ok(lent) if self.written.as_ref() == Some(&lent.generation) && self.is_there() => Ok(()),
            Ok(lent) => {
                let text = text(&self.sink, &self.open, &lent);
                self.put(text).await.map_err(|error| {
                    let what = format!("{} cannot be written", self.sink.path.display());
                    (Told::Writing(error.kind()), Error::caused_by(ErrorId::StoreFailed, what, error))
                })?;
                (self.written, self.ends) = (Some(lent.generation.clone()), lent.expires_at);
                Ok(())
            }
            Err(error) => {
                // Nobody is signed in, or not as the token's login: what was written is nobody's any more. Otherwise there is
                // one later, and the token in the file is good until its end.
                let has_ended = self.ends.is_some_and(|end| end.since(self.open.host.now()) <= 0);
                if error.exit_code() == 4 || has_ended || self.is_of_another(&error).await {
                    self.written = None;
                    self.take_back();
                }
                Err((Told::Asking(error.id()), error))
            }
        }
    }

    /// Whether what was written is of another login than the one that is there: its own can be refused what it asks for, or not get
    /// through to the provider, and the file is not the other one's until then.
    async fn is_of_another(&self, error: &Error) -> bool {
        let Some(written) = self.written.as_ref().filter(|_| self.put.is_some()) else { return false };
        // A disk or a key store that is not to be had says nothing of whose login it is.
        let is_of_the_store = matches!(
            error.id(),
            ErrorId::StoreFailed | ErrorId::StoreReadOnly | ErrorId::KeyStoreUnavailable | ErrorId::LeaseBusy
        );
        match self.open.flights.known().await.map(|known| known.generation) {
            Ok(Some(known)) => known.login() != written.login(),
            Ok(None) => !is_of_the_store,
            Err(_) => false,
        }
    }

    /// Writes it where a disk that hangs holds up nobody else. If this is dropped meanwhile, what is put there is dropped too.
    async fn put(&mut self, text: Vec<u8>) -> io::Result<()> {
        let turn = Arc::clone(&self.open.writing).acquire_owned().await.map_err(io::Error::other)?;
        let (sink, ours) = (self.sink.clone(), self.put.take());
        let written = tokio::task::spawn_blocking(move || {
            let put = sink.put(&text, ours.as_ref());
            // In this order: the turn is over when what is not taken over has been taken away.
            (put, ours, turn)
        });
        let (put, ours, _turn) = written.await.map_err(io::Error::other)?;
        match put {
            Ok(put) => {
                self.put = Some(put);
                Ok(())
            }
            Err(error) => {
                self.put = ours;
                Err(error)
            }
        }
    }

    /// Whether the door has closed.
    fn is_over(&self) -> bool {
        self.open.closing.left().is_some_and(|left| left.is_zero())
    }

    fn is_there(&self) -> bool {
        self.put.as_ref().is_some_and(|put| self.sink.has(put))
    }

    /// Takes away what is there of this agent's, and what one left there that was killed.
    fn take_back(&mut self) {
        drop(self.put.take());
        self.sink.take_over();
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        self.take_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::{door::Door, host::tests::Login};
    use keyfob::testing::Simulation;

    /// The machine slept, and woke after the end: the first to look takes the file away, and writes none.
    #[test]
    fn a_door_whose_time_is_over_writes_no_file() {
        let simulation = Simulation::signed_in().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let sink = Sink::new(&path, Format::Token).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let keeping = |lifetime| {
            let door = Door::new("job", simulation.client(), "local", "default").lifetime(lifetime);
            Keeping::new(Open::new(door, Arc::new(Login)), sink.clone())
        };
        runtime.block_on(async {
            let mut over = keeping(Some(Duration::ZERO));
            over.begin().await.unwrap();
            assert!(!path.exists());
            let mut lasting = keeping(Some(Duration::from_secs(3600)));
            lasting.begin().await.unwrap();
            assert!(path.exists());
            // It is told by the clock alone.
            lasting.open = Arc::clone(&over.open);
            lasting.begin().await.unwrap();
            assert!(!path.exists());
        });
    }
}
