//! The access log of a door, or of a proxy: opened so that nothing else than a file of this user's can be written to, or waited for.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use keyfob::{
    Cause, Error,
    internals::{
        core::Id,
        setup::Setup,
        world::{failure, system::shown},
    },
};
use rustix::{fs::OFlags, io::Errno};

use crate::hand_over::lent::judge;

/// Opens a log, where no repository and nobody else has put something. A link is not followed, and a pipe, whose reader could
/// hold up whoever writes, is none.
pub(crate) fn open(setup: &Setup, path: &Path) -> Result<File, Error> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let what = format!("the log {} cannot be written", shown(&path));
    judge(setup, &path, what.clone())?;
    let failed = |error: io::Error| failure::failed_at(Id::Usage, what.clone(), &path, error);
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600).custom_flags(flags);
    let unfit = |why: &str| {
        Error::new(Id::Usage, what.clone(), why).hint("name a file of yours, or one that is not there yet")
    };
    let file = match options.open(&path) {
        Ok(file) => file,
        // open(2): a link is not followed, and a pipe has no reader.
        Err(error) => {
            return Err(match Errno::from_io_error(&error) {
                Some(Errno::LOOP) => unfit("it is a link"),
                Some(Errno::NXIO) => unfit("it is no file"),
                _ => failed(error),
            });
        }
    };
    let meta = file.metadata().map_err(failed)?;
    if !meta.is_file() {
        return Err(unfit("it is no file"));
    }
    let us = rustix::process::geteuid().as_raw();
    if meta.uid() != us {
        let cause = Cause::OtherOwner { path: path.display().to_string(), owner: meta.uid(), us };
        let why = format!("it belongs to user {}", meta.uid());
        return Err(Error::new(Id::AgentUnsafe, what, why).because(cause));
    }
    Ok(file)
}
