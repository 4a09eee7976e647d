//! Keeps the files of a door fresh.

use std::{sync::Arc, time::Duration};

use keyfob::{Error, ErrorId, Generation};

use crate::agent::{
    credential::{self, What},
    flight::Credential,
    open::Open,
    sink::{Format, Put, Sink},
};

/// How often the login is looked at: a sign-out has taken the token back by then.
const LOOK: Duration = Duration::from_secs(2);

#[expect(clippy::disallowed_methods, reason = "the file is for whoever reads it, as the user asked for")]
fn text(sink: &Sink, open: &Open, lent: &Credential) -> Vec<u8> {
    match sink.format {
        Format::Token => format!("{}\n", lent.token.expose()).into_bytes(),
        Format::Header => {
            let lines = lent.headers.iter().map(|(name, value)| format!("{name}: {}\n", value.expose()));
            lines.collect::<String>().into_bytes()
        }
        Format::Json => credential::write(open, lent, What::File).unwrap_or_default(),
    }
}

/// Keeps the file for as long as the door is open. Dropped, it takes the file away: one that nobody keeps fresh is worse
/// than none.
pub(crate) async fn keep(open: Arc<Open>, sink: Sink) {
    let mut kept = Kept { sink, put: None };
    let mut written: Option<Generation> = None;
    let mut failed = None;
    loop {
        match open.flights.ask_for_files().await {
            Ok(lent) if written.as_ref() != Some(&lent.generation) || !kept.is_there() => {
                match kept.sink.put(&text(&kept.sink, &open, &lent)) {
                    Ok(put) => {
                        kept.put = Some(put);
                        (written, failed) = (Some(lent.generation.clone()), None);
                    }
                    // Once: it is tried again, and the old text is as good as it was.
                    Err(error) if failed != Some(error.kind()) => {
                        failed = Some(error.kind());
                        let what = format!("{} cannot be written", kept.sink.path.display());
                        open.host.warn(&Error::caused_by(ErrorId::StoreFailed, what, error));
                    }
                    Err(_) => {}
                }
            }
            Ok(_) => {}
            // Nobody is signed in, or not as the token's login: what was written is nobody's any more.
            Err(error) if error.exit_code() == 4 => {
                written = None;
                kept.take_back();
            }
            // Later. The token in the file is good until its end.
            Err(_) => {}
        }
        tokio::time::sleep(LOOK).await;
    }
}

struct Kept {
    sink: Sink,
    /// What this agent has put there, if it has.
    put: Option<Put>,
}

impl Kept {
    fn is_there(&self) -> bool {
        self.put.is_some_and(|put| self.sink.has(put))
    }

    fn take_back(&mut self) {
        if let Some(put) = self.put.take() {
            self.sink.take_back(put);
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.take_back();
    }
}
