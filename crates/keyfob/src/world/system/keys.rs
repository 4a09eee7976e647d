//! The key stores of this system. One that is missing, or was not compiled in, reports that when it is used.

use keyfob_core::login::sealed::{KeyId, KeyStore};

use crate::world::{KeyTrouble, Keys, WrappingKey};

/// The key stores of this system. Nothing is opened before one of them is asked.
#[derive(Debug)]
pub struct SystemKeys {
    #[cfg(all(target_os = "linux", feature = "secret-service"))]
    service: crate::world::system::secret_service::Service,
}

impl SystemKeys {
    /// Those that can be reached by this address of the session bus, or why by none.
    pub(crate) fn new(bus: Result<String, String>) -> Self {
        #[cfg(all(target_os = "linux", feature = "secret-service"))]
        let keys = Self { service: crate::world::system::secret_service::Service::at(bus) };
        #[cfg(not(all(target_os = "linux", feature = "secret-service")))]
        let keys = {
            drop(bus);
            Self {}
        };
        keys
    }
}

impl Keys for SystemKeys {
    fn fetch(&self, store: KeyStore, id: &KeyId) -> Result<Option<WrappingKey>, KeyTrouble> {
        match store {
            #[cfg(target_os = "linux")]
            KeyStore::Kernel => crate::world::system::kernel::fetch(id),
            #[cfg(all(target_os = "linux", feature = "secret-service"))]
            KeyStore::SecretService => self.service.fetch(id),
            #[cfg(not(all(target_os = "linux", feature = "secret-service")))]
            _ => Err(missing(id)),
        }
    }

    fn keep(&self, store: KeyStore, id: &KeyId, key: &WrappingKey) -> Result<(), KeyTrouble> {
        match store {
            #[cfg(target_os = "linux")]
            KeyStore::Kernel => crate::world::system::kernel::keep(id, key),
            #[cfg(all(target_os = "linux", feature = "secret-service"))]
            KeyStore::SecretService => self.service.keep(id, key),
            #[cfg(not(all(target_os = "linux", feature = "secret-service")))]
            _ => Err(missing((id, key))),
        }
    }
}

#[cfg(not(all(target_os = "linux", feature = "secret-service")))]
fn missing<T>(_: T) -> KeyTrouble {
    KeyTrouble {
        why: "is not one of the key stores this program was built with".into(),
        cause: keyfob_core::Cause::KeyStoreMissing {},
    }
}
