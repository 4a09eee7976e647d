//! What the command and the tests of this workspace use beyond the documented names. **Not an interface**: anything in
//! here may change or disappear in any release, also in a patch.

use std::sync::Arc;

use keyfob_core::{
    Error, Record, Result, Secret, Timestamp,
    login::{record::Generation, sealed::KeyStore},
    oauth::federation::{Federation, Narrowing},
    provider::environment::Environment,
    source::Purpose,
};

use crate::{
    client::Client,
    credential::{
        client_proof::ClientProof,
        grant::Grant,
        look::{record_in, seed_store},
        standing::Standing,
        survey::Survey,
    },
    doctor::Finding,
    login::setup_token::Note,
    logout::{Revocation, SignedOut},
    profiles::Profile,
    renewal::Spender,
    session::Session,
    setup::Setup,
    store::Store,
    trusted_device::{Device, Forgotten},
    world::World,
};

pub use keyfob_core as core;

/// See `src/credential`.
pub mod credential {
    pub use crate::credential::*;
}
/// See `src/doctor`.
pub mod doctor {
    pub use crate::doctor::*;
}
/// See `src/login`.
pub mod login {
    pub use crate::login::*;
}
/// See `src/logout`.
pub mod logout {
    pub use crate::logout::*;
}
/// See `src/profiles`.
pub mod profiles {
    pub use crate::profiles::*;
}
/// See `src/provider`.
pub mod provider {
    pub use crate::provider::{discovery::offer, *};
}
/// See `src/remote`.
pub mod remote {
    pub use crate::remote::*;
}
/// See `src/renewal`.
pub mod renewal {
    pub use crate::renewal::*;
}
/// See `src/setup`.
pub mod setup {
    pub use crate::setup::*;
}
/// See `src/store`.
pub mod store {
    pub use crate::store::*;
}
/// See `src/trusted_device`.
pub mod trusted_device {
    pub use crate::trusted_device::*;
}
/// See `src/world`.
pub mod world {
    pub use crate::world::*;
}

/// Further methods of a client, for the command and the tests of this workspace.
#[doc(hidden)]
impl Client {
    /// A client over any world and any spender. Problems of the setup are reported where they matter.
    #[must_use]
    pub fn with(setup: Setup, world: World, spender: Arc<dyn Spender>) -> Self {
        Self { session: Session::new(setup, world, spender) }
    }

    /// Uses the login of its profile narrowed to this, and no other source: the provider exchanges the login's access token for
    /// one that is good for less (RFC 8693 §2.1). That is kept in a record of its own, exchanged anew near its end, once for all
    /// processes; the login's own is not touched. Once that is signed out or replaced, what it was exchanged for is not used any
    /// more. A provider without token exchange refuses: [`ErrorId::FederationRefused`](crate::ErrorId::FederationRefused).
    ///
    /// # Errors
    /// There is no telling which profile is meant.
    pub fn narrowed(mut self, to: Narrowing) -> Result<Self> {
        let profile = self.session.setup.profile()?;
        self.session.narrowing = Some(Federation::narrowing(profile, to));
        Ok(self)
    }

    /// The setup of this client.
    #[must_use]
    pub fn setup(&self) -> &Setup {
        self.session.setup()
    }

    /// What to do after a 401 to the helper's key, named by its fingerprint: the helper runs once more, unless another
    /// process has run it since.
    ///
    /// # Errors
    /// [`ErrorId::HelperFailed`](crate::ErrorId::HelperFailed); [`ErrorId::ProviderRefused`](crate::ErrorId::ProviderRefused) when that key is not what would be used.
    pub fn rejected_key(&self, purpose: Purpose, fingerprint: &str) -> Result<Grant> {
        self.session.rejected_key(purpose, fingerprint)
    }

    /// The generation now stored for the chosen login, if there is one.
    ///
    /// # Errors
    /// The store's.
    pub fn generation(&self) -> Result<Option<Generation>> {
        self.session.generation()
    }

    /// The login that started from the refresh token in the variable, once that was exchanged.
    ///
    /// # Errors
    /// Why its store cannot be chosen.
    pub fn seeded_record(&self) -> Result<Option<Box<Record>>> {
        Ok(record_in(&*seed_store(&self.session)?))
    }

    /// When the access token of a record ends, by this machine's clock.
    #[must_use]
    pub fn expires_at(&self, record: &Record) -> Option<Timestamp> {
        self.session.expires_at(record)
    }

    /// The state of a stored login.
    #[must_use]
    pub fn standing(&self, record: &Record) -> Standing {
        self.session.standing(record)
    }

    /// The provider that all requests go to.
    ///
    /// # Errors
    /// Why it cannot be determined.
    pub fn environment(&self) -> Result<&Environment> {
        self.session.environment()
    }

    /// The store of the chosen profile, issuer and client.
    ///
    /// # Errors
    /// [`ErrorId::ClientIdMissing`](crate::ErrorId::ClientIdMissing), [`ErrorId::NoHome`](crate::ErrorId::NoHome), [`ErrorId::HomeUnsafe`](crate::ErrorId::HomeUnsafe).
    pub fn store(&self) -> Result<Box<dyn Store>> {
        self.session.store()
    }

    /// What the chosen login is sealed with as it is stored, and what the configuration wants from its next renewal
    /// on: a key in a key store, or nothing. Asks no key store.
    #[must_use]
    pub fn sealing(&self) -> (Option<KeyStore>, Option<KeyStore>) {
        self.session.sealing()
    }

    /// Every stored login of this home that can be read, and what is wrong with the others.
    ///
    /// # Errors
    /// The directory cannot be listed.
    pub fn profiles(&self) -> Result<(Vec<Profile>, Vec<Error>)> {
        self.session.profiles()
    }

    /// Makes a profile the default, which is used when none is named.
    ///
    /// # Errors
    /// [`ErrorId::Usage`](crate::ErrorId::Usage) for a name that is none; the disk's.
    pub fn use_profile(&self, name: &str) -> Result<()> {
        self.session.use_profile(name)
    }

    /// Whether there is a login of this profile, in whatever environment.
    ///
    /// # Errors
    /// The logins cannot be listed.
    pub fn has_profile(&self, name: &str) -> Result<bool> {
        self.session.has_profile(name)
    }

    /// Moves every login of a profile to another name, which must have none. Returns how many there were.
    ///
    /// # Errors
    /// [`ErrorId::Usage`](crate::ErrorId::Usage) where the other name has a login or is none; the store's: then nothing is lost, and the same
    /// call goes on with what was begun.
    pub fn rename_profile(&self, from: &str, to: &str) -> Result<usize> {
        self.session.rename_profile(from, to)
    }

    /// Signs out of every login of a profile. One that cannot be signed out does not stop the rest.
    ///
    /// # Errors
    /// The logins cannot be listed, or the choice of the profile cannot be taken back.
    pub fn remove_profile(&self, name: &str) -> Result<(Vec<SignedOut>, Vec<Error>)> {
        self.session.remove_profile(name)
    }

    /// The environment with its endpoints discovered, where they must be.
    ///
    /// # Errors
    /// [`ErrorId::MetadataInvalid`](crate::ErrorId::MetadataInvalid), [`ErrorId::Unreachable`](crate::ErrorId::Unreachable).
    pub fn complete_environment(&self) -> Result<Environment> {
        self.session.complete_environment()
    }

    /// How the client of this login proves itself, or that of the environment where there is none. Asks nobody, and runs no
    /// command.
    #[must_use]
    pub fn client_proof(&self, record: Option<&Record>) -> Option<ClientProof> {
        ClientProof::of(&self.session, record)
    }

    /// What is known of the tokens minted here, newest last.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn minted(&self) -> Result<Vec<Note>> {
        self.session.minted()
    }

    /// Refuses a name for a new token if a token of that name is still valid.
    ///
    /// # Errors
    /// [`ErrorId::Usage`](crate::ErrorId::Usage); the file cannot be read.
    pub fn may_mint(&self, name: Option<&str>) -> Result<()> {
        self.session.may_mint(name)
    }

    /// Revokes a minted token at its provider.
    ///
    /// # Errors
    /// [`ErrorId::Usage`](crate::ErrorId::Usage) for a name that nothing was minted by, or another token than that one's; the disk's.
    pub fn revoke_minted(&self, name: &str, token: Secret) -> Result<Revocation> {
        self.session.revoke_minted(name, token)
    }

    /// Keeps a note of a token, and drops those of tokens that ended long ago.
    ///
    /// # Errors
    /// The disk's.
    pub fn remember_minted(&self, note: Note) -> Result<()> {
        self.session.remember_minted(note)
    }

    /// The device token that goes with this login: the variable's, which is never stored, else the stored one
    /// of this provider and account, unless it has ended.
    ///
    /// # Errors
    /// The store's.
    pub fn device(&self) -> Result<Option<Device>> {
        self.session.device()
    }

    /// Makes this machine a trusted device of the stored login's account.
    ///
    /// # Errors
    /// [`ErrorId::Usage`](crate::ErrorId::Usage) when the variable holds a token already: then there is no enrolment.
    /// [`ErrorId::LoginNeeded`](crate::ErrorId::LoginNeeded) if there is no login, or it is too old to enrol with.
    pub fn enroll_device(&self, name: &str) -> Result<Device> {
        self.session.enroll_device(name)
    }

    /// Removes this machine from the account's devices, and its token here in any case.
    ///
    /// # Errors
    /// The store's.
    pub fn forget_device(&self) -> Result<Forgotten> {
        self.session.forget_device()
    }

    /// Replaces the stored token with the successor that the provider sent. One that came through the variable
    /// is not stored.
    ///
    /// # Errors
    /// The store's.
    pub fn renew_device(&self, successor: &Secret) -> Result<()> {
        self.session.renew_device(successor)
    }

    /// Signs out the login in this store. With `keep_spent` its record stays, without tokens, so that the
    /// variable that seeded it is never replayed.
    ///
    /// # Errors
    /// As [`Client::logout`].
    pub fn sign_out(&self, store: &dyn Store, keep_spent: bool) -> Result<Option<SignedOut>> {
        self.session.sign_out(store, keep_spent)
    }

    /// The address of the keys of this issuer, if an environment of this machine has it.
    ///
    /// # Errors
    /// Its metadata could not be had.
    pub fn keys_of(&self, issuer: &str) -> Result<Option<String>> {
        self.session.keys_of(issuer)
    }

    /// The keys at an address.
    ///
    /// # Errors
    /// [`ErrorId::Unreachable`](crate::ErrorId::Unreachable).
    pub fn fetch_keys(&self, url: &str) -> Result<Vec<u8>> {
        self.session.fetch_keys(url)
    }

    /// What each source says, in their order, without taking anything: what `keyfob status` shows.
    #[must_use]
    pub fn survey(&self, purpose: Purpose) -> Survey {
        Survey::of(&self.session, purpose)
    }

    /// The source that would be used: the winner of [`Client::survey`], without a look at what comes after it.
    #[must_use]
    pub fn winner(&self, purpose: Purpose) -> Option<crate::Source> {
        crate::credential::survey::winner(&self.session, purpose)
    }

    /// The mark of the stored login of the chosen profile: as long as it is the same, a grant from that login would be the same
    /// too, until it is time to renew it. Neither opens nor reads anything.
    #[must_use]
    pub fn mark(&self) -> Option<crate::world::Mark> {
        let store = self.session.store().ok()?;
        self.session.world.files.mark(store.path())
    }

    /// Looks for everything that could keep a login from working, and does what the wish allows.
    #[must_use]
    pub fn examine(&self, wish: crate::doctor::Wish) -> Vec<Finding> {
        crate::doctor::examine(&self.session, wish)
    }
}
