//! The Secret Service of the desktop, over D-Bus.
//!
//! A service that hangs may hang forever, and D-Bus calls have no deadline. So each request runs in a separate thread,
//! which is abandoned if there is no response; while one is abandoned, no other is started.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use keyfob_core::{Cause, error::escape, login::sealed::KeyId};
use secret_service::{EncryptionType, Error, blocking::SecretService};
use zbus::blocking::connection::Builder;
use zeroize::Zeroizing;

use crate::world::{KeyTrouble, WrappingKey};

/// How long an answer may take. A service that works takes a hundredth of a second, or a second when it is started
/// by the question.
const PATIENCE: Duration = Duration::from_secs(4);

/// The Secret Service of this session.
#[derive(Debug)]
pub(super) struct Service {
    /// The address of the session bus, or why there is none. The library would take any address of the variable, and run
    /// what that names.
    bus: Result<String, String>,
    unanswered: Mutex<Option<JoinHandle<()>>>,
}

impl Service {
    pub(super) fn at(bus: Result<String, String>) -> Self {
        Self { bus, unanswered: Mutex::default() }
    }

    pub(super) fn fetch(&self, id: &KeyId) -> Result<Option<WrappingKey>, KeyTrouble> {
        let id = id.clone();
        self.ask(move |service| {
            let found = service.search_items(attributes(&id)).map_err(|error| trouble(&error))?;
            let Some(item) = found.unlocked.first() else {
                return if found.locked.is_empty() { Ok(None) } else { Err(trouble(&Error::Locked)) };
            };
            let octets = Zeroizing::new(item.get_secret().map_err(|error| trouble(&error))?);
            WrappingKey::read(&octets).map(Some).ok_or_else(|| KeyTrouble {
                why: "has something else in the place of the key".into(),
                cause: Cause::KeyStoreItem {},
            })
        })
    }

    pub(super) fn keep(&self, id: &KeyId, key: &WrappingKey) -> Result<(), KeyTrouble> {
        let (id, key) = (id.clone(), key.clone());
        self.ask(move |service| {
            let kept = service.get_default_collection().and_then(|keyring| {
                // Unlocking it would prompt the person at the screen, who would not know why.
                keyring.ensure_unlocked()?;
                let label = "keyfob: opens the logins stored on this machine";
                keyring.create_item(
                    label,
                    attributes(&id),
                    key.octets(),
                    true,
                    "application/octet-stream",
                )?;
                Ok(())
            });
            kept.map_err(|error| trouble(&error))
        })
    }

    fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&SecretService<'_>) -> Result<T, KeyTrouble> + Send + 'static,
    ) -> Result<T, KeyTrouble> {
        let bus = self.bus.clone().map_err(|why| KeyTrouble { why, cause: Cause::BusAddress {} })?;
        let mut unanswered = self.unanswered.lock().unwrap_or_else(PoisonError::into_inner);
        if unanswered.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return Err(silent());
        }
        let (tell, answer) = mpsc::channel();
        let put = move || {
            let connected = Builder::address(bus.as_str())
                .and_then(Builder::build)
                .map_err(|error| absent(&error))
                .and_then(|bus| {
                    SecretService::connect_with_existing(EncryptionType::Dh, bus)
                        .map_err(|error| absent(&error))
                });
            let _ = tell.send(connected.and_then(|service| question(&service)));
        };
        let thread = thread::Builder::new().name("secret-service".into()).spawn(put).map_err(|error| {
            KeyTrouble { why: format!("cannot be asked: {error}"), cause: Cause::MachineShort {} }
        })?;
        match answer.recv_timeout(PATIENCE) {
            Ok(answer) => answer,
            Err(_) => {
                *unanswered = Some(thread);
                Err(silent())
            }
        }
    }
}

fn attributes(id: &KeyId) -> HashMap<&str, &str> {
    HashMap::from([("application", "keyfob"), ("key", id.as_str())])
}

fn silent() -> KeyTrouble {
    KeyTrouble {
        why: format!("has not answered in {} s", PATIENCE.as_secs()),
        cause: Cause::KeyStoreSilent {},
    }
}

/// No session bus, nothing on it of that name, or nothing that could be started.
fn absent(error: &impl std::fmt::Display) -> KeyTrouble {
    KeyTrouble {
        why: format!("is not there ({})", escape(&error.to_string())),
        cause: Cause::KeyStoreMissing {},
    }
}

fn trouble(error: &Error) -> KeyTrouble {
    let (why, cause) = match error {
        Error::Locked | Error::Prompt | Error::PromptDisconnected => {
            ("is locked".into(), Cause::KeyStoreLocked {})
        }
        Error::NoResult => ("has no default keyring".into(), Cause::KeyStoreEmpty {}),
        Error::Unavailable => return absent(error),
        other => {
            // Its own words, without the name of a library.
            let said = other.to_string();
            let said = said.strip_prefix("zbus error: ").unwrap_or(&said);
            (format!("answers: {}", escape(said)), Cause::KeyStoreFailed {})
        }
    };
    KeyTrouble { why, cause }
}
