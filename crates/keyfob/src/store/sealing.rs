//! Encrypts logins before they are written to disk and decrypts them when they are read. The order of file operations,
//! and recovery after a crash, belong to the store and do not depend on sealing.
//!
//! The file contains ciphertext (AES-256-GCM, bound to the file's name); its small key is in a key store of the
//! system. There is no fallback to plain text: if the key store does not respond, that is an error, and the file stays
//! as it is.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use keyfob_core::{
    Cause, Error, Id, Record, Result,
    login::{
        sealed::{Envelope, KeyId, KeyStore, bound_to},
        stored::Unreadable,
    },
};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::world::failure;
use crate::world::{Entropy, Files, KeyTrouble, Keys, WrappingKey};

/// What bytes of a login were found to be.
#[derive(Debug)]
pub enum Opened {
    /// A whole record.
    Record(Box<Record>),
    /// None, and what is wrong with them.
    Damaged(&'static str),
}

/// Which key it is, and the key.
#[derive(Clone)]
struct Known {
    store: KeyStore,
    id: KeyId,
    key: WrappingKey,
}

/// Seals and opens, and caches what the key stores returned for as long as the process lives.
#[derive(Clone)]
pub struct Seal {
    keys: Arc<dyn Keys>,
    form: Option<KeyStore>,
    known: Arc<Mutex<Vec<Known>>>,
    /// The key to seal with: it was in its key store when that was last asked.
    proven: Arc<Mutex<Option<Known>>>,
}

impl Seal {
    /// Opens with these key stores, and seals with none of them.
    #[must_use]
    pub fn new(keys: Arc<dyn Keys>) -> Self {
        Self { keys, form: None, known: Arc::default(), proven: Arc::default() }
    }

    /// The same, sealing with a key of this key store.
    #[must_use]
    pub fn with(self, form: Option<KeyStore>) -> Self {
        Self { form, proven: Arc::default(), ..self }
    }

    /// The key store whose keys are sealed with.
    #[must_use]
    pub fn form(&self) -> Option<KeyStore> {
        self.form
    }

    /// The record in these bytes of the file at this path, plain or sealed, or what is wrong with them.
    ///
    /// # Errors
    /// [`Id::KeyStoreUnavailable`] when its key cannot be had; [`Id::StoreNewer`].
    pub fn open(&self, path: &Path, bytes: &[u8]) -> Result<Opened> {
        let opened = if Envelope::is_one(bytes) {
            match Envelope::decode(bytes) {
                Err(unreadable) => Err(unreadable),
                Ok(envelope) => {
                    let key = self.key(&envelope, path)?;
                    unlock(&key, &envelope, path).and_then(|plain| Record::decode(&plain))
                }
            }
        } else {
            Record::decode(bytes)
        };
        match opened {
            Ok(record) => Ok(Opened::Record(Box::new(record))),
            Err(Unreadable::Corrupt(why)) => Ok(Opened::Damaged(why)),
            Err(Unreadable::Newer(version)) => {
                let why = format!("it is of form {version}, written by a newer keyfob");
                Err(Error::new(Id::StoreNewer, format!("the login in {}", path.display()), why))
            }
        }
    }

    fn key(&self, envelope: &Envelope, path: &Path) -> Result<WrappingKey> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |known: &&Known| known.store == envelope.store && known.id == envelope.key;
        if let Some(known) = known.iter().find(is_it) {
            return Ok(known.key.clone());
        }
        let what = || format!("the login in {} cannot be opened", path.display());
        match self.keys.fetch(envelope.store, &envelope.key) {
            Ok(Some(key)) => {
                known.push(Known { store: envelope.store, id: envelope.key.clone(), key: key.clone() });
                Ok(key)
            }
            Ok(None) => {
                let why = format!("its key is not in {}", envelope.store.name());
                let cause = match envelope.store {
                    KeyStore::Kernel => Cause::KernelForgot {},
                    KeyStore::SecretService => Cause::KeyMissing {},
                };
                Err(Error::new(Id::KeyStoreUnavailable, what(), why).because(cause))
            }
            Err(trouble) => Err(refused(what(), envelope.store, &trouble)),
        }
    }

    /// Sees to it that there is a key to seal with, and that its key store has it: asked for now, or made, kept and
    /// read back. Called under the lease.
    ///
    /// # Errors
    /// [`Id::KeyStoreUnavailable`]. Then nothing has been sealed, and nothing may be spent.
    pub(crate) fn prove(&self, dir: &Path, files: &dyn Files, entropy: &dyn Entropy) -> Result<()> {
        let Some(store) = self.form else { return Ok(()) };
        let note = note(dir, store);
        let noted = files.read(&note).ok().flatten();
        let noted = noted.and_then(|bytes| KeyId::parse(std::str::from_utf8(&bytes).ok()?.trim_end()));
        let what = || "the login cannot be sealed".to_owned();
        if let Some(id) = noted
            && let Some(key) =
                self.keys.fetch(store, &id).map_err(|trouble| refused(what(), store, &trouble))?
        {
            self.remember(Known { store, id, key });
            return Ok(());
        }
        let (mut id, mut key) = ([0; 16], Zeroizing::new([0; 32]));
        entropy.fill(&mut id).and_then(|()| entropy.fill(&mut *key)).map_err(failure::no_randomness)?;
        let (id, key) = (KeyId::new(id), WrappingKey::new(key));
        self.keys.keep(store, &id, &key).map_err(|trouble| refused(what(), store, &trouble))?;
        let kept = self.keys.fetch(store, &id).map_err(|trouble| refused(what(), store, &trouble))?;
        if kept.is_none_or(|kept| kept.octets() != key.octets()) {
            let why = format!("{} said that it keeps a key, and does not have it", store.name());
            return Err(Error::new(Id::KeyStoreUnavailable, what(), why));
        }
        // Every sealed login names its key: without the note the next one merely gets another.
        let _ = files.replace(&note, format!("{}\n", id.as_str()).as_bytes());
        self.remember(Known { store, id, key });
        Ok(())
    }

    /// Whether the key store that is sealed with answers at all.
    ///
    /// # Errors
    /// [`Id::KeyStoreUnavailable`].
    pub fn answers(&self) -> Result<()> {
        let Some(store) = self.form else { return Ok(()) };
        // No key store has this key: "not found" is an answer too.
        let asked = self.keys.fetch(store, &KeyId::new([0; 16]));
        asked.map(drop).map_err(|trouble| refused("logins cannot be sealed".into(), store, &trouble))
    }

    /// Whether there is a key to seal with, or none is needed.
    pub(crate) fn is_proven(&self) -> bool {
        self.form.is_none() || self.proven.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn remember(&self, proven: Known) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|known| known.store != proven.store || known.id != proven.id);
        known.push(proven.clone());
        *self.proven.lock().unwrap_or_else(PoisonError::into_inner) = Some(proven);
    }

    /// The bytes of a record as they go to the disk, in the form that was chosen.
    ///
    /// # Errors
    /// [`Id::KeyStoreUnavailable`] when no key was proven; the system has no randomness.
    pub(crate) fn close(
        &self,
        record: &Record,
        path: &Path,
        entropy: &dyn Entropy,
    ) -> Result<Zeroizing<Vec<u8>>> {
        let plain = record.encode();
        let Some(store) = self.form else { return Ok(plain) };
        let proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Known { id, key, .. } = proven.ok_or_else(|| {
            Error::new(Id::KeyStoreUnavailable, "the login cannot be sealed", "there is no key for it")
        })?;
        let mut nonce = [0; 12];
        entropy.fill(&mut nonce).map_err(failure::no_randomness)?;
        let mut sealed = plain;
        let tag = cipher(&key)?
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(bound_to(&file(path))),
                &mut sealed,
            )
            .map_err(|_| Error::new(Id::Bug, "the login cannot be sealed", "it is too large"))?;
        let sealed = [&sealed[..], tag.as_ref()].concat();
        Ok(Zeroizing::new(Envelope { store, key: id, nonce, sealed }.encode()))
    }

    /// Whether the record is stored as [`Seal::close`] would write it. Sealing it twice never gives the same bytes.
    pub(crate) fn is_as_it_would_be(&self, record: &Record, path: &Path, there: &[u8]) -> bool {
        let plain = record.encode();
        match self.form {
            None => *there == **plain,
            Some(_) => {
                form_of(there) == self.form
                    && matches!(self.open(path, there), Ok(Opened::Record(found)) if found.encode() == plain)
            }
        }
    }
}

/// Which key store holds the key of these bytes. `None`: they are plain.
pub(crate) fn form_of(bytes: &[u8]) -> Option<KeyStore> {
    if !Envelope::is_one(bytes) {
        return None;
    }
    Envelope::decode(bytes).ok().map(|envelope| envelope.store)
}

/// Where it is noted which key new logins are sealed with.
fn note(dir: &Path, store: KeyStore) -> PathBuf {
    dir.join(format!("{store}.keyid"))
}

fn cipher(key: &WrappingKey) -> Result<LessSafeKey> {
    let key = UnboundKey::new(&AES_256_GCM, key.octets());
    key.map(LessSafeKey::new).map_err(|_| Error::new(Id::Bug, "a wrapping key", "it has the wrong length"))
}

fn unlock(key: &WrappingKey, envelope: &Envelope, path: &Path) -> Result<Zeroizing<Vec<u8>>, Unreadable> {
    let mut octets = Zeroizing::new(envelope.sealed.clone());
    let nonce = Nonce::assume_unique_for_key(envelope.nonce);
    let bound = Aad::from(bound_to(&file(path)));
    let cipher = cipher(key).map_err(|_| Unreadable::Corrupt("names no usable key"))?;
    let opened = cipher.open_in_place(nonce, bound, &mut octets);
    let length = opened.map_err(|_| Unreadable::Corrupt("does not open with its key"))?.len();
    octets.truncate(length);
    Ok(octets)
}

/// The name that a record, its successor and its recovery file have in common.
fn file(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn refused(what: String, store: KeyStore, trouble: &KeyTrouble) -> Error {
    let why = format!("{} {}", store.name(), trouble.why);
    Error::new(Id::KeyStoreUnavailable, what, why).because(trouble.cause.clone())
}

#[cfg(all(test, feature = "simulation"))]
mod tests {
    use super::*;
    use crate::world::{
        World,
        simulated::{Machine, Shared, Vault},
    };
    use keyfob_core::{Secret, Timestamp};

    const DIR: &str = "/home/ada/logins";

    fn record() -> Record {
        let plain = serde_json::json!({
            "version": 1, "login": "07070707070707070707070707070707", "generation": 3, "profile": "default",
            "environment": "local", "issuer": "http://127.0.0.1:9", "client_id": "keyfob-local",
            "scopes": "user:profile", "endpoints": {}, "access_token": "sesame", "refresh_token": "open",
            "issued_at": 1_700_000_000, "expires_at": 4_102_444_800_i64,
        });
        Record::decode(plain.to_string().as_bytes()).expect("a record")
    }

    fn path(name: &str) -> PathBuf {
        Path::new(DIR).join(name)
    }

    /// A seal that has a key, and the bytes of a login it closed.
    fn sealed(vault: &Vault) -> (Seal, Vec<u8>) {
        let world = Shared::new(Machine::new(Timestamp(1_000_000))).process(1);
        closed(DIR, &world, vault)
    }

    /// The same with the key of this directory.
    fn closed(dir: &str, world: &World, vault: &Vault) -> (Seal, Vec<u8>) {
        let seal = Seal::new(Arc::new(vault.clone())).with(Some(KeyStore::Kernel));
        seal.prove(Path::new(dir), &*world.files, &*world.entropy).expect("a key");
        let bytes = seal.close(&record(), &path("a.json"), &*world.entropy).expect("sealed");
        (seal, bytes.to_vec())
    }

    /// What is wrong with these bytes, whose key is at hand.
    fn damage(seal: &Seal, name: &str, bytes: &[u8]) -> &'static str {
        match seal.open(&path(name), bytes).expect("the key") {
            Opened::Damaged(why) => why,
            Opened::Record(_) => panic!("it opens"),
        }
    }

    /// What is written can be read again: the largest answer that is taken at all, all of it tokens, in either form.
    #[test]
    fn the_largest_login_can_be_read_again() {
        use crate::world::system::{files, http};
        let vault = Vault::default();
        let (seal, _) = sealed(&vault);
        let world = Shared::new(Machine::new(Timestamp(1_000_000))).process(1);
        let half = "x".repeat(usize::try_from(http::LARGEST / 2).expect("a size"));
        let mut large = record();
        large.access_token = Some(Secret::visible(&half).expect("a token"));
        large.refresh_token = Some(Secret::visible(&half).expect("a token"));
        let forms = [
            large.encode().to_vec(),
            seal.close(&large, &path("a.json"), &*world.entropy).expect("sealed").to_vec(),
        ];
        for bytes in forms {
            let length = bytes.len() as u64;
            assert!(length > http::LARGEST && length < files::LARGEST, "{length}");
        }
    }

    #[test]
    fn what_is_sealed_can_be_opened_and_shows_nothing() {
        let vault = Vault::default();
        let (seal, bytes) = sealed(&vault);
        let text = String::from_utf8(bytes.clone()).expect("text");
        for word in ["sesame", "refresh", "keyfob-local", "127.0.0.1"] {
            assert!(!text.contains(word), "{text}");
        }
        // Its successor and its recovery file have the same stem.
        for name in ["a.json", "a.next", "a.recovery"] {
            let opened = seal.open(&path(name), &bytes).expect("the key");
            assert!(matches!(opened, Opened::Record(opened) if *opened.encode() == *record().encode()));
        }
        let fresh = Seal::new(Arc::new(vault));
        let opened = fresh.open(&path("a.json"), &bytes).expect("the key");
        assert!(matches!(opened, Opened::Record(_)), "another process");
        assert_eq!(form_of(&bytes), Some(KeyStore::Kernel));
    }

    /// Every octet counts: what was changed is damage, never a record.
    #[test]
    fn a_changed_octet_opens_nothing() {
        let (seal, bytes) = sealed(&Vault::default());
        let envelope = || Envelope::decode(&bytes).expect("an envelope");
        let whole = envelope().sealed.len();
        for at in (0..whole).step_by(7).chain(whole - 16..whole) {
            let mut changed = envelope();
            changed.sealed[at] ^= 1;
            assert_eq!(
                damage(&seal, "a.json", &changed.encode()),
                "does not open with its key",
                "octet {at}"
            );
        }
        let mut nonce = envelope();
        nonce.nonce[0] ^= 1;
        assert_eq!(damage(&seal, "a.json", &nonce.encode()), "does not open with its key");
        let mut short = envelope();
        short.sealed.truncate(15);
        assert_eq!(damage(&seal, "a.json", &short.encode()), "does not open with its key");
    }

    #[test]
    fn one_login_cannot_take_the_place_of_another() {
        let (seal, bytes) = sealed(&Vault::default());
        assert_eq!(damage(&seal, "b.json", &bytes), "does not open with its key");
    }

    /// A key of another id is not even tried; another key under the same id opens nothing.
    #[test]
    fn a_wrong_key_opens_nothing() {
        let vault = Vault::default();
        let (_, bytes) = sealed(&vault);
        let id = Envelope::decode(&bytes).expect("an envelope").key;
        let wrong = WrappingKey::new(Zeroizing::new([9; 32]));
        vault.keep(KeyStore::Kernel, &id, &wrong).expect("kept");
        let seal = Seal::new(Arc::new(vault.clone()));
        assert_eq!(damage(&seal, "a.json", &bytes), "does not open with its key");
        vault.empty();
        let lost = Seal::new(Arc::new(vault)).open(&path("a.json"), &bytes).expect_err("lost");
        assert_eq!(lost.id(), Id::KeyStoreUnavailable);
        assert!(
            lost.why().contains("the kernel keyring") && lost.cause() == Some(&Cause::KernelForgot {}),
            "{lost}"
        );
    }

    #[test]
    fn a_key_is_made_once_and_read_back() {
        let vault = Vault::default();
        let world = Shared::new(Machine::new(Timestamp(1_000_000))).process(1);
        let prove = || {
            let seal = Seal::new(Arc::new(vault.clone())).with(Some(KeyStore::SecretService));
            seal.prove(Path::new(DIR), &*world.files, &*world.entropy)
        };
        prove().expect("a key");
        prove().expect("the same");
        assert_eq!(vault.holds(), 1);
        vault.empty();
        prove().expect("another, for what is sealed from now on");
        assert_eq!(vault.holds(), 1);
        vault.empty();
        vault.lie();
        let error = prove().expect_err("it was not kept");
        assert_eq!(error.id(), Id::KeyStoreUnavailable);
        assert!(error.why().contains("does not have it"), "{error}");
        vault.silence(true);
        assert!(prove().expect_err("silent").why().contains("the Secret Service does not answer"));
    }

    #[test]
    fn a_key_is_proven_where_one_is_needed() {
        let vault = Vault::default();
        let plain = Seal::new(Arc::new(vault.clone()));
        assert!(plain.form().is_none() && plain.is_proven(), "plain needs none");
        let (seal, _) = sealed(&vault);
        assert!(seal.form() == Some(KeyStore::Kernel) && seal.is_proven());
        let other = seal.with(Some(KeyStore::SecretService));
        assert!(
            other.form() == Some(KeyStore::SecretService) && !other.is_proven(),
            "a key of the other store"
        );
    }

    /// Each login names its key; of two in one store neither stands in for the other.
    #[test]
    fn each_login_is_opened_with_its_own_key() {
        let vault = Vault::default();
        let world = Shared::new(Machine::new(Timestamp(1_000_000))).process(1);
        let (one, two) = (closed(DIR, &world, &vault).1, closed("/home/bob/logins", &world, &vault).1);
        assert_eq!(vault.holds(), 2);
        let seal = Seal::new(Arc::new(vault.clone()));
        for bytes in [&one, &two, &one] {
            assert!(matches!(seal.open(&path("a.json"), bytes), Ok(Opened::Record(_))));
        }
        vault.silence(true);
        for bytes in [&one, &two] {
            let opened = seal.open(&path("a.json"), bytes);
            assert!(matches!(opened, Ok(Opened::Record(_))), "it was fetched before");
        }
    }

    /// What was fetched stays at hand when another key is proven; a key that was replaced under its name does not.
    #[test]
    fn what_is_proven_replaces_its_namesake_alone() {
        let vault = Vault::default();
        let world = Shared::new(Machine::new(Timestamp(1_000_000))).process(1);
        let prove = |seal: &Seal| seal.prove(Path::new(DIR), &*world.files, &*world.entropy).expect("a key");
        let foreign = closed("/home/bob/logins", &world, &vault).1;
        let seal = Seal::new(Arc::new(vault.clone())).with(Some(KeyStore::Kernel));
        assert!(matches!(seal.open(&path("a.json"), &foreign), Ok(Opened::Record(_))));
        prove(&seal);
        vault.silence(true);
        assert!(matches!(seal.open(&path("a.json"), &foreign), Ok(Opened::Record(_))), "still at hand");
        vault.silence(false);

        let close = || seal.close(&record(), &path("a.json"), &*world.entropy).expect("sealed");
        let id = Envelope::decode(&close()).expect("an envelope").key;
        vault.keep(KeyStore::Kernel, &id, &WrappingKey::new(Zeroizing::new([9; 32]))).expect("kept");
        prove(&seal);
        assert!(matches!(seal.open(&path("a.json"), &close()), Ok(Opened::Record(_))), "with the new one");
    }

    #[test]
    fn a_key_store_that_is_not_asked_need_not_answer() {
        let vault = Vault::default();
        let plain = Seal::new(Arc::new(vault.clone()));
        let seal = plain.clone().with(Some(KeyStore::Kernel));
        assert!(seal.answers().is_ok(), "that it has no such key is an answer");
        vault.silence(true);
        assert_eq!(seal.answers().expect_err("silent").id(), Id::KeyStoreUnavailable);
        assert!(plain.answers().is_ok());
    }

    /// A directory of logins has one key in each key store.
    #[test]
    fn a_key_is_for_one_directory_and_one_store() {
        let vault = Vault::default();
        let world = Shared::new(Machine::new(Timestamp(1_000_000))).process(1);
        let prove = |dir: &str, store| {
            let seal = Seal::new(Arc::new(vault.clone())).with(Some(store));
            seal.prove(Path::new(dir), &*world.files, &*world.entropy).expect("a key");
            vault.holds()
        };
        assert_eq!(prove(DIR, KeyStore::Kernel), 1);
        assert_eq!(prove(DIR, KeyStore::SecretService), 2);
        assert_eq!(prove("/home/bob/logins", KeyStore::Kernel), 3);
        assert_eq!((prove(DIR, KeyStore::Kernel), prove(DIR, KeyStore::SecretService)), (3, 3), "noted");
    }

    #[test]
    fn a_record_is_put_again_unless_it_lies_there_in_its_form() {
        let vault = Vault::default();
        let (seal, closed) = sealed(&vault);
        let (plain, open) = (Seal::new(Arc::new(vault.clone())), record().encode());
        let elsewhere = Seal::new(Arc::new(vault)).with(Some(KeyStore::SecretService));
        let mut next = record();
        next.access_token = Some(Secret::visible("next").expect("a token"));
        for (seal, of, there, is) in [
            (&plain, &record(), &open[..], true),
            (&plain, &next, &open[..], false),
            (&plain, &record(), &closed[..], false),
            (&seal, &record(), &closed[..], true),
            (&seal, &next, &closed[..], false),
            (&seal, &record(), &open[..], false),
            (&elsewhere, &record(), &closed[..], false),
            (&seal, &record(), &closed[..closed.len() / 2], false),
        ] {
            assert_eq!(seal.is_as_it_would_be(of, &path("a.json"), there), is, "{:?}", seal.form());
        }
    }
}
