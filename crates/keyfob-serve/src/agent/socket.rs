//! The socket of a door: where it may lie, and that only one agent listens there.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::{
        fd::OwnedFd,
        unix::{
            fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
            net::UnixListener,
        },
    },
    path::{Path, PathBuf},
};

use keyfob::{Cause, Error, ErrorId, Result};

use crate::agent::users;

/// The longest path of a socket (unix(7): 108 octets with the final zero), less what a temporary name adds.
const LONGEST_PATH: usize = 100;

/// A socket that listens. It is removed when this is dropped.
#[derive(Debug)]
pub struct Socket {
    pub(crate) listener: UnixListener,
    /// `None`: whoever started us made it, and keeps it.
    place: Option<Place>,
}

/// What has to be removed in the end.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    /// Which file it is: somebody may have put another one there.
    file: (u64, u64),
    /// Held as long as the agent lives, and released by the kernel whatever ends it.
    _lock: File,
}

impl Socket {
    /// Listens at this path, 0600 in a directory that nobody else can enter; with `others`, whose users the door names,
    /// in one that nobody else can change. A directory that is not there is made.
    ///
    /// # Errors
    /// [`ErrorId::Usage`] if an agent listens there already, or no socket can be made there;
    /// [`ErrorId::AgentUnsafe`] if other users could put theirs in its place.
    pub fn bind(path: &Path, others: bool) -> Result<Self> {
        know_ourselves(&format!("{} cannot hold the socket of an agent", path.display()))?;
        let (dir, name) = (path.parent(), path.file_name());
        let (Some(dir), Some(name)) = (dir.filter(|dir| dir.is_absolute()), name) else {
            return Err(unusable(path, "it is not an absolute path of a file"));
        };
        if path.as_os_str().len() > LONGEST_PATH {
            return Err(unusable(path, &format!("it is longer than {LONGEST_PATH} octets")));
        }
        check(dir, others)?;
        let failed = |error: io::Error| failed(path, error);
        let mut lock = name.to_owned();
        lock.push(".lock");
        let options = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).to_owned();
        let lock = options.open(dir.join(lock)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(unusable(path, "another agent listens there"));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        // Whatever is there is a dead agent's: it is replaced in one step, so that no client finds nothing there.
        if fs::symlink_metadata(path).is_ok_and(|meta| !is_socket(&meta)) {
            return Err(unusable(path, "there is something else that is not a socket"));
        }
        let mut new = name.to_owned();
        new.push(".new");
        let new = dir.join(new);
        let _ = fs::remove_file(&new);
        let listener = UnixListener::bind(&new).map_err(failed)?;
        let mode = if others { 0o666 } else { 0o600 };
        fs::set_permissions(&new, fs::Permissions::from_mode(mode)).map_err(failed)?;
        fs::rename(&new, path).map_err(failed)?;
        let meta = fs::symlink_metadata(path).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let place = Some(Place { path: path.to_owned(), file: (meta.dev(), meta.ino()), _lock: lock });
        Ok(Self { listener, place })
    }

    /// Listens at a socket that whoever started this process listens at already (`LISTEN_FDS`, sd_listen_fds(3)). It stays
    /// when this is dropped: what comes meanwhile waits there for the next agent.
    ///
    /// # Errors
    /// [`ErrorId::DescriptorUnusable`] if it is no such socket; [`ErrorId::AgentUnsafe`] if who asks cannot be told.
    pub fn inherited(descriptor: OwnedFd) -> Result<Self> {
        know_ourselves("the socket of LISTEN_FDS cannot be an agent's")?;
        let unusable = |error: io::Error| {
            Error::caused_by(ErrorId::DescriptorUnusable, "LISTEN_FDS names no socket that listens", error)
        };
        let family =
            rustix::net::getsockname(&descriptor).map_err(|error| unusable(error.into()))?.address_family();
        if family != rustix::net::AddressFamily::UNIX {
            return Err(unusable(io::Error::new(io::ErrorKind::InvalidInput, "it is no unix socket")));
        }
        #[cfg(target_os = "linux")]
        if !rustix::net::sockopt::socket_acceptconn(&descriptor).map_err(|error| unusable(error.into()))? {
            return Err(unusable(io::Error::new(io::ErrorKind::InvalidInput, "it does not listen")));
        }
        let listener = UnixListener::from(descriptor);
        listener.set_nonblocking(true).map_err(unusable)?;
        Ok(Self { listener, place: None })
    }

    /// Where it is, as far as that is known.
    #[must_use]
    pub fn path(&self) -> Option<PathBuf> {
        match &self.place {
            Some(place) => Some(place.path.clone()),
            None => self.listener.local_addr().ok()?.as_pathname().map(Path::to_path_buf),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|meta| (meta.dev(), meta.ino()) == self.file) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Refuses to listen where anybody would look as this user does.
fn know_ourselves(what: &str) -> Result<()> {
    if users::is_one(rustix::process::geteuid().as_raw()) {
        return Ok(());
    }
    let why = "this user has no number of its own in this user namespace, so whoever asks could be anybody";
    Err(Error::new(ErrorId::AgentUnsafe, what, why).hint(
        "map the user into the namespace (`unshare --map-current-user`), or start the agent outside of it",
    ))
}

fn is_socket(meta: &fs::Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    meta.file_type().is_socket()
}

/// The directory: made if need be, this user's, and closed to others as far as that is wanted.
fn check(dir: &Path, others: bool) -> Result<()> {
    let failed = |error: io::Error| failed(dir, error);
    if !dir.exists() {
        let mode = if others { 0o755 } else { 0o700 };
        DirBuilder::new().recursive(true).mode(mode).create(dir).map_err(failed)?;
    }
    let meta = fs::metadata(dir).map_err(failed)?;
    let (path, us) = (dir.display().to_string(), rustix::process::geteuid().as_raw());
    let what = format!("{path} cannot hold the socket of an agent");
    if meta.uid() != us {
        let why = format!("it belongs to user {}", meta.uid());
        let cause = Cause::OtherOwner { path, owner: meta.uid(), us };
        return Err(Error::new(ErrorId::AgentUnsafe, what, why).because(cause));
    }
    let (open, why) = if others {
        (meta.mode() & 0o022, "other users can change what is in it")
    } else {
        (meta.mode() & 0o077, "other users can enter it")
    };
    if open != 0 {
        let mode = meta.mode() & 0o777;
        let cause = Cause::OpenToOthers { path, mode, directory: true };
        return Err(Error::new(ErrorId::AgentUnsafe, what, format!("{why} (mode {mode:03o})")).because(cause));
    }
    Ok(())
}

fn unusable(path: &Path, why: &str) -> Error {
    Error::new(ErrorId::Usage, format!("no agent can listen at {}", path.display()), why)
}

fn failed(path: &Path, error: io::Error) -> Error {
    Error::caused_by(ErrorId::Usage, format!("no agent can listen at {}", path.display()), error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn a_socket_is_ours_alone_and_goes_with_its_agent() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/keyfob/agent.sock");
        let socket = Socket::bind(&path, false).unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        let error = Socket::bind(&path, false).expect_err("one is there");
        assert_eq!((error.id(), error.why()), (ErrorId::Usage, "another agent listens there"));
        assert!(UnixStream::connect(&path).is_ok());
        drop(socket);
        assert!(!path.exists());
    }

    /// What a killed agent leaves behind is replaced, and what another program has put there is not.
    #[test]
    fn what_a_dead_agent_left_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let path = dir.path().join("agent.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(UnixStream::connect(&path).is_err());
        let socket = Socket::bind(&path, false).unwrap();
        assert!(UnixStream::connect(&path).is_ok());
        fs::remove_file(&path).unwrap();
        fs::write(&path, "a file").unwrap();
        drop(socket);
        assert_eq!(fs::read_to_string(&path).unwrap(), "a file");
        assert_eq!(Socket::bind(&path, false).expect_err("a file").id(), ErrorId::Usage);
    }

    #[test]
    fn a_directory_that_others_enter_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.sock");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let error = Socket::bind(&path, false).expect_err("open");
        assert!(matches!(error.cause(), Some(Cause::OpenToOthers { mode: 0o755, .. })), "{error}");
        let socket = Socket::bind(&path, true).expect("for others, who are checked one by one");
        assert_eq!(mode(&socket.path().unwrap()), 0o666);
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(Socket::bind(&dir.path().join("other"), true).is_err());
        assert!(Socket::bind(Path::new("agent.sock"), false).is_err());
        assert!(Socket::bind(&dir.path().join("x".repeat(120)), false).is_err());
    }
}
