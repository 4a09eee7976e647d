//! Looks at the files of all logins, and repairs what is safe to repair without asking: permissions, hard links, and
//! what an interrupted renewal left behind.

use std::{io, os::unix::fs::MetadataExt, path::Path};

use keyfob_core::{Cause, Error, Id, login::sealed::KeyStore};

use super::store::FileStore;
use rustix::fs::Access;

use crate::{
    finding::State,
    store::{Fix, Found, Leased, Seen, Store, sealing::Seal},
    world::{Lock, World, failure},
};

/// Whether the file at this path is a login's record, by its name.
pub(super) fn is_record(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json")
}

/// Examines a directory of logins.
pub(super) fn directory(
    world: &World,
    seal: &Seal,
    dir: &Path,
    fix: Fix,
    report: &mut dyn FnMut(&str, State),
) {
    if !dir.exists() {
        report("store", State::Fine(format!("{} does not exist yet", dir.display())));
        report("room", could_be_made(dir));
        return;
    }
    report("store", permissions(world, dir, fix));
    report("locks", locks(world, dir));
    report("room", room(world, dir));
    if let Some(store) = seal.form() {
        let state = match seal.answers() {
            Ok(()) => State::Fine(format!("{} answers", store.name())),
            Err(error) => State::Wrong(error),
        };
        report("key store", state);
    }
    files(world, seal, dir, fix, report);
}

/// As much as a renewal writes before it asks.
const ROOM: usize = 64 * 1024;

/// Whether a renewal would find enough space, and may write.
fn room(world: &World, dir: &Path) -> State {
    let probe = dir.join("doctor.room");
    let written = world.files.write(&probe, &vec![b' '; ROOM]).and_then(|()| world.files.sync(&probe));
    let _ = world.files.remove(&probe);
    match written {
        Ok(()) => State::Fine(format!("{} has room for a renewal", dir.display())),
        Err(error) => State::Wrong(failure::failed_at(
            Id::StoreFailed,
            format!("{} has no room for a renewal", dir.display()),
            dir,
            error,
        )),
    }
}

/// Whether the directory could be created at sign-in.
fn could_be_made(dir: &Path) -> State {
    let there = dir.ancestors().skip(1).find(|dir| dir.symlink_metadata().is_ok()).unwrap_or(dir);
    match rustix::fs::access(there, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) if there.is_dir() => State::Fine(format!("it can be made in {}", there.display())),
        Ok(()) => State::Wrong(Error::new(
            Id::StoreFailed,
            format!("{} cannot be made", dir.display()),
            format!("{} is no directory", there.display()),
        )),
        Err(errno) => State::Wrong(failure::failed_at(
            Id::StoreFailed,
            format!("{} cannot be made: {} cannot be written", dir.display(), there.display()),
            there,
            errno.into(),
        )),
    }
}

fn permissions(world: &World, dir: &Path, fix: Fix) -> State {
    let files = &world.files;
    match files.check_dir(dir, true) {
        Ok(()) => State::Fine(format!("{} is yours alone", dir.display())),
        Err(error) => mend(fix, dir, &error, || files.restrict(dir)),
    }
}

fn mend(fix: Fix, path: &Path, error: &io::Error, act: impl FnOnce() -> io::Result<()>) -> State {
    if fix != Fix::Nothing && act().is_ok() {
        return State::Mended(format!("{}: {error}", path.display()));
    }
    let id = if error.raw_os_error().is_none() { Id::StoreUnsafe } else { Id::StoreFailed };
    let error = Error::new(id, format!("{} cannot be used", path.display()), error.to_string())
        .maybe_because(failure::cause(error, path));
    // That would not repair another user's file, or one where it was tried already.
    let own = path.symlink_metadata().is_ok_and(|meta| meta.uid() == rustix::process::geteuid().as_raw());
    State::Wrong(if own && fix == Fix::Nothing { error.because(Cause::Mendable {}) } else { error })
}

/// Whether locks mean anything on this filesystem.
fn locks(world: &World, dir: &Path) -> State {
    match world.files.lock(&dir.join("doctor.lock")) {
        Ok(Lock::Held(_)) => State::Fine("the filesystem locks files".into()),
        Ok(_) => State::Fine("another doctor is at work".into()),
        Err(error) if error.kind() == io::ErrorKind::Unsupported => {
            State::Wrong(Error::caused_by(Id::LocksMissing, format!("{} has no locks", dir.display()), error))
        }
        Err(error) => State::Wrong(Error::caused_by(
            Id::StoreReadOnly,
            format!("{} cannot be written", dir.display()),
            error,
        )),
    }
}

fn files(world: &World, seal: &Seal, dir: &Path, fix: Fix, add: &mut dyn FnMut(&str, State)) {
    let Ok(paths) = world.files.list(dir) else { return };
    // A backup made of hard links: each file has a second name there. Lock files first, or no lease can be had.
    let beside = dir.parent().and_then(|dir| world.files.list(dir).ok()).unwrap_or_default();
    let (locks, others): (Vec<_>, Vec<_>) =
        paths.iter().chain(&beside).partition(|path| path.extension().is_some_and(|ext| ext == "lock"));
    for path in locks.into_iter().chain(others).filter(|_| fix != Fix::Nothing) {
        if matches!(world.files.separate(path), Ok(true)) {
            add(
                "hard link",
                State::Mended(format!("{} is a file of its own again", crate::world::system::shown(path))),
            );
        }
    }
    for path in paths {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.contains(".damaged-") {
            let what = format!("{} holds a login that could not be read", path.display());
            add("set-aside file", set_aside(world, seal, &path, what, fix));
        }
        if is_record(&path) {
            add("login", login(world, seal, &path, fix));
            if let Some(held) = holder(world, seal, &path) {
                add("lease", held);
            }
        }
    }
}

/// A damaged file is kept, because something in it may still be readable. Once there is a login in its place again,
/// it is nothing but old tokens.
fn set_aside(world: &World, seal: &Seal, path: &Path, what: String, fix: Fix) -> State {
    let successor =
        FileStore::at(world, seal, &path.with_extension("json"), &[]).and_then(|store| store.look());
    let replaced = matches!(successor, Ok(Seen::Record(_)));
    if fix != Fix::Nothing && replaced && world.files.remove(path).is_ok() {
        return State::Mended(format!("removed {}: there is a new login in its place", path.display()));
    }
    let cause = Cause::SetAside { replaced };
    State::Wrong(Error::new(Id::StoreCorrupt, what, "it was set aside, not deleted").because(cause))
}

/// Who has the lease just now. A process that was stopped in the middle keeps it, and everybody else waits.
fn holder(world: &World, seal: &Seal, path: &Path) -> Option<State> {
    let store = FileStore::at(world, seal, path, &[]).ok()?;
    let Leased::Busy(holder) = store.try_lease().ok()? else { return None };
    Some(State::Fine(format!("{holder} holds the lease on {}", path.display())))
}

fn login(world: &World, seal: &Seal, path: &Path, fix: Fix) -> State {
    let files = &world.files;
    if let Err(error) = files.read(path) {
        return mend(fix, path, &error, || files.restrict(path));
    }
    let looked = FileStore::at(world, seal, path, &[]).and_then(|store| Ok((store.look()?, store)));
    let (seen, store) = match looked {
        Ok(looked) => looked,
        Err(error) => return State::Wrong(error),
    };
    let left = ["next", "recovery"].iter().any(|extension| path.with_extension(extension).exists());
    if left || matches!(seen, Seen::Damaged(_)) {
        return unfinished(&store, path, fix);
    }
    match seen {
        Seen::Record(record) => {
            let refusal = record.refused.as_ref().filter(|r| r.generation == record.generation.number());
            match refusal {
                Some(refusal) => State::Wrong(Error::new(
                    Id::LoginRefused,
                    format!("the login of profile `{}` has ended", record.profile),
                    refusal.why.clone(),
                )),
                None => State::Fine(format!(
                    "profile `{}` at {}, generation {}{}",
                    record.profile,
                    record.issuer,
                    record.generation.number(),
                    sealing(&store)
                )),
            }
        }
        Seen::Nothing | Seen::Damaged(_) => State::Fine(format!("{} is empty", path.display())),
    }
}

/// What the login is sealed with, and what it is going to be.
fn sealing(store: &FileStore) -> String {
    let (is, will_be) = (store.sealed_by().ok().flatten(), store.seal.form());
    let name = |form: Option<KeyStore>| form.map_or("a plain file", KeyStore::name);
    match is {
        Some(key) if is == will_be => format!(", sealed with a key in {}", key.name()),
        None if is == will_be => String::new(),
        _ => format!(", now {}; {} from its next renewal on", name(is), name(will_be)),
    }
}

/// What an interrupted renewal left behind is sorted out by taking the lease and reading.
fn unfinished(store: &FileStore, path: &Path, fix: Fix) -> State {
    let what = format!("{} has something unfinished beside it", path.display());
    match store.try_lease() {
        Err(error) => State::Wrong(error),
        Ok(Leased::Busy(holder)) => State::Fine(format!("{holder} is renewing {}", path.display())),
        Ok(Leased::Lease(_)) if fix != Fix::Everything => State::Wrong(
            Error::new(Id::OutcomeUnknown, what, "a renewal was interrupted").because(Cause::Interrupted {}),
        ),
        Ok(Leased::Lease(lease)) => match lease.read() {
            Err(error) => State::Wrong(error),
            Ok(Found::Nothing) => State::Mended(format!("removed what was left of {}", path.display())),
            Ok(Found::SetAside(aside)) => {
                State::Mended(format!("a damaged file was set aside as {}", aside.display()))
            }
            Ok(Found::Record(record)) => {
                let unknown = record.unknown_now().is_some();
                match lease.commit(&record) {
                    Err(error) => State::Wrong(error),
                    Ok(_) if unknown => State::Mended(format!(
                        "{}: the outcome of its last renewal is unknown, and noted",
                        path.display()
                    )),
                    Ok(_) => State::Mended(format!(
                        "{}: the finished renewal was put in its place",
                        path.display()
                    )),
                }
            }
        },
    }
}
