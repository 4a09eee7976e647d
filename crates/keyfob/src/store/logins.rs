//! What renewal, sign-in, sign-out and reports need of the place where logins are kept.

use std::{
    fmt,
    fs::File,
    io,
    path::{Path, PathBuf},
};

use keyfob_core::{
    Error, Record, Result,
    login::{record::Key, sealed::KeyStore},
};

use crate::{
    finding::State,
    world::{Connected, Held},
};

/// All logins of one user.
pub trait Logins {
    /// The store of the login with this key, whether or not there is one.
    ///
    /// # Errors
    /// [`keyfob_core::Id::StoreFailed`] when it cannot be reached.
    fn of(&self, key: &Key) -> Result<Box<dyn Store>>;

    /// The stores of all logins, in the order of their names.
    ///
    /// # Errors
    /// [`keyfob_core::Id::StoreFailed`] when they cannot be listed.
    fn list(&self) -> Result<Listed>;

    /// Looks for everything that could keep a login from being read, renewed or saved, and reports each with what it is
    /// about.
    fn examine(&self, fix: Fix, report: &mut dyn FnMut(&str, State));
}

/// Every login there is.
pub struct Listed {
    /// Their stores.
    pub stores: Vec<Box<dyn Store>>,
    /// What is wrong with those that cannot be reached.
    pub unreachable: Vec<Error>,
}

/// What an examination may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fix {
    /// Nothing.
    Nothing,
    /// Who may reach what is there. Nothing is written anew: the configuration, which says in which form, has mistakes.
    Access,
    /// Also what an interrupted renewal left behind.
    Everything,
}

/// The place of one login. Reading takes no lock and writes nothing; writing requires a [`Lease`].
pub trait Store {
    /// Names it in messages and reports: the path of its record, where it is a file.
    fn path(&self) -> &Path;

    /// Its name among all logins, for people: the profile and a hash.
    fn name(&self) -> String;

    /// Whether its login was seeded by a variable.
    fn is_seeded(&self) -> bool;

    /// Whether it holds what an identity token was exchanged for. Like a seeded login it belongs to no profile.
    fn is_federated(&self) -> bool;

    /// Looks without a lock.
    ///
    /// # Errors
    /// [`StoreUnsafe`], [`StoreNewer`], [`StoreFailed`]; [`KeyStoreUnavailable`] when it is sealed and its key cannot be
    /// had.
    ///
    /// [`StoreUnsafe`]: keyfob_core::Id::StoreUnsafe
    /// [`StoreNewer`]: keyfob_core::Id::StoreNewer
    /// [`StoreFailed`]: keyfob_core::Id::StoreFailed
    /// [`KeyStoreUnavailable`]: keyfob_core::Id::KeyStoreUnavailable
    fn look(&self) -> Result<Seen>;

    /// Which key store has the key of the record as it is stored. `None`: it is not sealed, or not there.
    ///
    /// # Errors
    /// As [`Store::look`].
    fn sealed_by(&self) -> Result<Option<KeyStore>>;

    /// Tries to take the lease: then only this caller holds it, and what is written will be kept. Never waits.
    ///
    /// # Errors
    /// [`LocksMissing`], [`StoreReadOnly`], [`StoreUnsafe`], [`StoreFailed`].
    ///
    /// [`LocksMissing`]: keyfob_core::Id::LocksMissing
    /// [`StoreReadOnly`]: keyfob_core::Id::StoreReadOnly
    /// [`StoreUnsafe`]: keyfob_core::Id::StoreUnsafe
    /// [`StoreFailed`]: keyfob_core::Id::StoreFailed
    fn try_lease(&self) -> Result<Leased<'_>>;

    /// The lease of a process that already has the lock: the other half of [`Lease::hand_over`].
    ///
    /// # Errors
    /// As [`Store::try_lease`].
    fn resume(&self, lock: Box<dyn Held>) -> Result<Leased<'_>>;

    /// Removes what [`Commit::Recovered`] named, for a login that is not to be adopted.
    fn forget_recovered(&self, path: &Path);
}

/// The right to write one login. There is no other way to write, and it ends with this value or with the process.
pub trait Lease {
    /// The newest record there is, after repairing what a crash may have left.
    ///
    /// # Errors
    /// As [`Store::look`].
    fn read(&self) -> Result<Found>;

    /// The record as it is stored, with nothing repaired.
    ///
    /// # Errors
    /// As [`Store::look`].
    fn peek(&self) -> Result<Option<Record>>;

    /// Whether a renewal of this record that ended without a report had already asked the provider.
    ///
    /// # Errors
    /// [`keyfob_core::Id::StoreFailed`]: it cannot be determined.
    fn was_asked(&self, record: &Record) -> Result<bool>;

    /// Makes sure that what is committed under this lease can be sealed, if it is to be, without asking the user again.
    ///
    /// # Errors
    /// [`keyfob_core::Id::KeyStoreUnavailable`].
    fn prove(&self) -> Result<()>;

    /// Reserves space for the answer and records the intent to ask for it. From then on a crash spends nothing until
    /// the returned function has been called: that notes durably that the provider was asked, and belongs between the
    /// connection and the first byte of the request.
    ///
    /// # Errors
    /// [`StoreReadOnly`], [`StoreFailed`], [`KeyStoreUnavailable`]: nothing was spent.
    ///
    /// [`StoreReadOnly`]: keyfob_core::Id::StoreReadOnly
    /// [`StoreFailed`]: keyfob_core::Id::StoreFailed
    /// [`KeyStoreUnavailable`]: keyfob_core::Id::KeyStoreUnavailable
    fn prepare(&self, record: &Record) -> Result<Connected>;

    /// Withdraws an intent that was not carried out. Nothing was sent.
    fn take_back(self: Box<Self>);

    /// The same for one that could not be noted: why.
    fn withdraw(self: Box<Self>, error: &io::Error) -> Error;

    /// Makes the record durable and gives the lease up. When this returns [`Commit::Durable`], a power cut cannot lose
    /// it. It never goes back to what was there before.
    ///
    /// # Errors
    /// [`StoreFailed`]: no place at all took it. [`KeyStoreUnavailable`]: it was to be sealed, and there is no key;
    /// [`Lease::prove`] finds that out before anything is spent.
    ///
    /// [`StoreFailed`]: keyfob_core::Id::StoreFailed
    /// [`KeyStoreUnavailable`]: keyfob_core::Id::KeyStoreUnavailable
    fn commit(self: Box<Self>, record: &Record) -> Result<Commit>;

    /// Removes the login and everything around it, and gives the lease up: nothing can bring it back.
    ///
    /// # Errors
    /// [`keyfob_core::Id::StoreFailed`], [`keyfob_core::Id::StoreReadOnly`].
    fn erase(self: Box<Self>) -> Result<()>;

    /// What another process needs to continue under this lease. `None`: it cannot be handed over, and this process does
    /// the work itself.
    fn hand_over(&mut self) -> Option<HandOver>;
}

/// What is handed to another process with a lease.
#[derive(Debug)]
pub struct HandOver {
    /// The open file that carries the lock: a process that has it open holds the lease.
    pub lock: File,
    /// Where the record is stored.
    pub record: PathBuf,
    /// The directories besides its own that may take a recovery file.
    pub spare: Vec<PathBuf>,
    /// Which key store has the key that it seals with.
    pub seals_with: Option<KeyStore>,
}

/// What came of trying for a lease.
pub enum Leased<'s> {
    /// It is ours.
    Lease(Box<dyn Lease + 's>),
    /// It is held already.
    Busy(Holder),
}

impl<'s> Leased<'s> {
    /// The lease, unless it is held already.
    #[must_use]
    pub fn lease(self) -> Option<Box<dyn Lease + 's>> {
        match self {
            Self::Lease(lease) => Some(lease),
            Self::Busy(_) => None,
        }
    }
}

/// What a look without a lock shows.
#[derive(Debug)]
pub enum Seen {
    /// There is no login.
    Nothing,
    /// A whole record.
    Record(Box<Record>),
    /// Bytes that are no whole record, and stay so. Only the holder of the lease may judge them.
    Damaged(&'static str),
}

/// What was found under the lease.
#[derive(Debug)]
pub enum Found {
    /// There is no login.
    Nothing,
    /// The newest record there is.
    Record(Box<Record>),
    /// The record was damaged beyond repair and has been set aside under this name.
    SetAside(PathBuf),
}

/// The result of a commit.
#[derive(Debug)]
pub enum Commit {
    /// In its place and on the disk: a power cut cannot lose it.
    Durable,
    /// In another place, which the next holder of the lease adopts.
    Recovered(PathBuf),
}

/// Who has the lease.
#[derive(Clone, Debug, Default)]
pub struct Holder(pub Option<String>);

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_deref().unwrap_or("another process"))
    }
}
