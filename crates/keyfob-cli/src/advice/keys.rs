//! Hints about the key store that holds the key for sealed logins.

use keyfob::internals::core::Cause;

use super::{choice::Choice, situation::Situation};

pub(super) fn choose(cause: &Cause, situation: &Situation) -> Option<Choice> {
    let kept = situation.kept();
    Some(match cause {
        Cause::KernelForgot {} => "sign in again: `keyfob login`; a login that is to outlast a restart wants `seal = \"secret-service\"`".into(),
        Cause::KeyMissing {} => "bring the keyring back that held it, or sign in again: `keyfob login`".into(),
        // What is there needs the key that it was sealed with, whatever the configuration says for the next one.
        Cause::KeyStoreMissing {} if situation.here().has_login => {
            "run this where the key store is (a desktop session), or sign in again after choosing another `seal`".into()
        }
        Cause::KeyStoreMissing {} => {
            "run this in a desktop session, or choose another `seal` in the configuration file".into()
        }
        Cause::KeyStoreLocked {} => format!("unlock the keyring, then try again{kept}").into(),
        Cause::KeyStoreSilent {} => "see whether it asks for a password somewhere, or restart it".into(),
        Cause::KeyStoreSession {} => {
            "start a session that may: `keyctl session - keyfob …` (package keyutils)".into()
        }
        Cause::KeyStoreFull {} => "remove some keys: `keyctl show @u` lists them (package keyutils)".into(),
        Cause::KeyStoreEmpty {} => "make one: log in to the desktop, or open its keyring program".into(),
        Cause::KeyStoreItem {} => "look at the item `keyfob` in it, and bring back what was there".into(),
        Cause::KeyStoreFailed {} => {
            "see what it logs, or choose another `seal` in the configuration file".into()
        }
        Cause::BusAddress {} => "let it name the socket of your own session bus, or unset it".into(),
        Cause::UnitCredentials { name } => format!(
            "start it as a unit with `LoadCredential={name}:PATH`, or name the file by its path in the configuration"
        )
        .into(),
        Cause::CommandFailed { key } => {
            format!("run the `{key}` of the configuration file by hand and look at what it says").into()
        }
        _ => return None,
    })
}
