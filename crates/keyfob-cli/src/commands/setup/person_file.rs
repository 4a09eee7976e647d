//! A person's file of a tool: read and written only where nobody else has a hand in it.

use std::{
    fs,
    io::{self, ErrorKind},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use keyfob::{
    Error,
    internals::{
        core::{Cause, Id},
        world::{
            Files, failure,
            system::{files::Disk, shown},
        },
    },
};

use super::place::failed;

/// The text of a person's file. `None`: there is none. Links, other owners' files and such that others can write are not
/// touched: what would be written there is a command that the tool runs.
pub(super) fn read(path: &Path) -> Result<Option<String>, Error> {
    let refused = |why: &str| Error::new(Id::ConfigUnsafe, format!("{} is not changed", shown(path)), why);
    let meta = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read", path, error)),
        Ok(meta) => meta,
    };
    if meta.file_type().is_symlink() {
        let target = fs::read_link(path).unwrap_or_default();
        let why = format!("it is a link to {}, and links are not written through", shown(&target));
        return Err(refused(&why).hint("name the file that it leads to"));
    }
    let us = rustix::process::geteuid().as_raw();
    if meta.uid() != us {
        let cause = Cause::OtherOwner { path: shown(path), owner: meta.uid(), us };
        return Err(refused(&format!("it belongs to another user ({})", meta.uid())).because(cause));
    }
    if meta.nlink() > 1 {
        let cause = Cause::SecondName { path: shown(path) };
        return Err(refused("it has a second name (a hard link), which would be left behind").because(cause));
    }
    match Disk.read_trusted(path, false) {
        Ok(None) => Ok(None),
        Ok(Some(bytes)) => String::from_utf8(bytes).map(Some).map_err(|_| {
            refused("it is not UTF-8 text").hint("name another file, or change this one yourself")
        }),
        Err(error) => {
            let what = format!("{} is not changed", shown(path));
            Err(failure::failed_at(Id::ConfigUnsafe, what, path, error))
        }
    }
}

/// Puts the new text in the place of the old at once, with the same permissions. What another program has changed since
/// the change was shown is not written over.
pub(super) fn write(
    lock: Option<PathBuf>,
    path: &Path,
    old: Option<&str>,
    new: Option<&str>,
) -> Result<(), Error> {
    let dir = path.parent().unwrap_or(path);
    let cannot = |error| failed("written", path, error);
    Disk.make_dir(dir).map_err(cannot)?;
    let lock = lock.map(Lock::take).transpose()?;
    if read(path)?.as_deref() != old {
        return Err(changed_since(path));
    }
    let Some(new) = new else {
        fs::remove_file(path).map_err(cannot)?;
        drop(lock);
        return Ok(());
    };
    let mode = fs::symlink_metadata(path).map_or(0o600, |meta| meta.mode() & 0o777);
    let next = path.with_extension("keyfob-new");
    let put = || -> io::Result<()> {
        match fs::remove_file(&next) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        Disk.write(&next, new.as_bytes())?;
        fs::set_permissions(&next, fs::Permissions::from_mode(mode))?;
        Disk.sync(&next)?;
        Disk.rename(&next, path)?;
        Disk.sync_dir(dir)
    };
    put().map_err(|error| {
        let _ = fs::remove_file(&next);
        cannot(error)
    })
}

pub(super) fn changed_since(path: &Path) -> Error {
    let what = format!("{} was not changed", shown(path));
    Error::new(Id::Usage, what, "another program has changed it since the change was shown")
        .hint("run it again")
}

/// The tool's own lock: a file that is there while somebody writes.
struct Lock(PathBuf);

impl Lock {
    fn take(path: PathBuf) -> Result<Self, Error> {
        match fs::File::create_new(&path) {
            Ok(_) => Ok(Self(path)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let what = format!("{} is there", shown(&path));
                let why = "another program is changing the file, or was ended while it did";
                Err(Error::new(Id::Usage, what, why)
                    .hint("run it again; remove that file if no program is at it"))
            }
            Err(error) => Err(failed("written", &path, error)),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
