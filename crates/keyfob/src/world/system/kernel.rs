//! The kernel's user keyring. It needs no service and no session bus, stays in kernel memory, and is lost on restart.
//!
//! A key added to the user keyring directly belongs to a process that *possesses* that keyring, which a shell started
//! by `su`, `cron` or a service manager often does not: it could neither set the key's permissions nor read it back. So
//! the key is created in a keyring of this process, made accessible to the user, and then linked.

use keyfob_core::{Cause, login::sealed::KeyId};
use linux_keyutils::{KeyError, KeyPermissionsBuilder, KeyRing, KeyRingIdentifier, Permission};
use zeroize::Zeroizing;

use crate::world::{KeyTrouble, WrappingKey};

pub(super) fn fetch(id: &KeyId) -> Result<Option<WrappingKey>, KeyTrouble> {
    let mut octets = Zeroizing::new([0_u8; 32]);
    let read = user().and_then(|user| user.search(&name(id))).and_then(|key| key.read(&mut *octets));
    match read {
        Ok(32) => Ok(Some(WrappingKey::new(octets))),
        Ok(_) | Err(KeyError::KeyDoesNotExist | KeyError::KeyExpired | KeyError::KeyRevoked) => Ok(None),
        Err(error) => Err(trouble("shows no key", error)),
    }
}

pub(super) fn keep(id: &KeyId, key: &WrappingKey) -> Result<(), KeyTrouble> {
    let ours = Permission::VIEW | Permission::READ | Permission::SEARCH | Permission::LINK;
    let permissions = KeyPermissionsBuilder::builder().posessor(Permission::ALL).user(ours).build();
    let kept = KeyRing::from_special_id(KeyRingIdentifier::Process, true).and_then(|process| {
        let key = process.add_key(&name(id), key.octets())?;
        key.set_perms(permissions)?;
        user()?.link_key(key)
    });
    kept.map_err(|error| trouble("takes no key", error))
}

fn user() -> Result<KeyRing, KeyError> {
    KeyRing::from_special_id(KeyRingIdentifier::User, true)
}

fn name(id: &KeyId) -> String {
    format!("keyfob:{}", id.as_str())
}

fn trouble(what: &str, error: KeyError) -> KeyTrouble {
    let (why, cause) = match error {
        KeyError::AccessDenied => {
            ("this process's session may not use the user's keyring".into(), Cause::KeyStoreSession {})
        }
        KeyError::QuotaExceeded => ("this user has too many keys".into(), Cause::KeyStoreFull {}),
        // ENOSYS, or a sandbox that forbids the calls.
        KeyError::PermissionDenied | KeyError::OperationNotSupported | KeyError::Unknown(38) => {
            ("this kernel or container does not allow keyrings".into(), Cause::KeyStoreMissing {})
        }
        other => (other.to_string(), Cause::KeyStoreFailed {}),
    };
    KeyTrouble { why: format!("{what}: {why}"), cause }
}
