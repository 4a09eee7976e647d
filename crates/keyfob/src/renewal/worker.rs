//! Renewal in a separate process and session, so that Ctrl-C, a closed terminal, `timeout` or SIGKILL of the caller
//! cannot interrupt it between the rotation at the server and the write to disk.
//!
//! The lock is handed over: the worker's standard input *is* the lock file, the same open file description, so the
//! lease is held until both processes have ended. No secret passes through arguments, environment or the pipe: the
//! worker reads the token from the store and reports only errors. The worker does not outlive its container, cgroup or
//! machine.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::{fd::AsFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    time::Duration,
};

use keyfob_core::{Error, Id, Result, contract, login::sealed::KeyStore};
use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::Timespec,
};
use serde::{Deserialize, Serialize};

use crate::world::failure;
use crate::{
    renewal::{self, InThread, Need, Spender},
    store::{Lease, Store},
    world::{
        World,
        system::{fd, files},
    },
};

/// Longer than the worker can take by its own bounds.
const PATIENCE: Duration = Duration::from_secs(150);

/// How long the worker waits for a renewal on the other side of a mount, and how often it looks.
const MOUNT_PATIENCE: Duration = Duration::from_secs(40);
const MOUNT_LOOK: Duration = Duration::from_millis(10);

/// Spends in a process of its own.
#[derive(Clone, Debug)]
pub struct Detached {
    /// The program whose first arguments lead to [`work`].
    pub program: PathBuf,
    /// Those arguments.
    pub arguments: Vec<String>,
}

/// How a worker says what failed.
#[derive(Serialize, Deserialize)]
struct Report {
    id: String,
    what: String,
    why: String,
    hint: String,
}

impl Spender for Detached {
    fn spend(&self, world: &World, store: &Store, mut lease: Lease<'_>, need: &Need) -> Result<()> {
        let Some(lock) = lease.file().and_then(|file| file.try_clone().ok()) else {
            return InThread.spend(world, store, lease, need);
        };
        #[expect(clippy::disallowed_methods, reason = "the one place that starts the worker")]
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).arg(store.path()).arg(need.min_valid.to_string());
        command.arg(need.rejected.as_ref().map_or(String::new(), ToString::to_string));
        command.arg(store.seals_with().map_or("file", KeyStore::word)).args(store.spare_dirs());
        // Neither the caller's credentials nor its directory: both may be gone or changed while this runs.
        for name in contract::secret_names() {
            command.env_remove(name);
        }
        command.current_dir("/").stdin(Stdio::from(lock)).stdout(Stdio::piped()).stderr(Stdio::null());
        // The worker takes the record's own lock itself; held here it would be in its way.
        lease.release_inode();
        let cannot = |error: io::Error| {
            let what = format!("cannot start {} to renew the login", self.program.display());
            failure::failed(Id::SystemFailed, what, error)
        };
        let mut child = command.spawn().map_err(cannot)?;
        let report = child.stdout.take().map_or(Ok(Vec::new()), read_report);
        drop(lease);
        match report {
            Err(Late) => {
                let why = format!("process {} has been renewing it for {} s", child.id(), PATIENCE.as_secs());
                Err(Error::new(Id::LeaseBusy, "the login could not be renewed", why))
            }
            Ok(bytes) if bytes.is_empty() => match child.wait() {
                Ok(status) if status.success() => Ok(()),
                _ => Err(Error::new(
                    Id::OutcomeUnknown,
                    "the outcome of renewing the login is unknown",
                    "the process that was renewing it was ended from outside",
                )),
            },
            Ok(bytes) => {
                let _ = child.wait();
                Err(serde_json::from_slice::<Report>(&bytes).map_or_else(
                    |_| {
                        let why = "the process that was renewing it ended while it reported";
                        Error::new(Id::OutcomeUnknown, "the outcome of renewing the login is unknown", why)
                    },
                    |r| Error::new(Id::from_word(&r.id).unwrap_or(Id::Bug), r.what, r.why).hint(r.hint),
                ))
            }
        }
    }
}

struct Late;

fn read_report(mut pipe: impl Read + AsFd) -> Result<Vec<u8>, Late> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let timeout = Timespec { tv_sec: PATIENCE.as_secs().cast_signed(), tv_nsec: 0 };
        match poll(&mut [PollFd::new(&pipe.as_fd(), PollFlags::IN)], Some(&timeout)) {
            Ok(0) => return Err(Late),
            Ok(_) => {}
            Err(_) => continue,
        }
        match pipe.read(&mut chunk) {
            Ok(0) => return Ok(bytes),
            Ok(n) => bytes.extend_from_slice(&chunk[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Ok(bytes),
        }
    }
}

/// The worker: what [`Detached`] starts. Its arguments are the record's path, the validity wanted, the
/// rejected generation or nothing, what the key of a sealed login lies in, and directories for a recovery file.
///
/// Called from the very start of `main`, before anything else was opened.
pub fn work(world: &World, arguments: &[String]) -> ExitCode {
    // First of all: hold nothing of the caller's, and leave its session. Both may fail where they are not
    // needed (no /dev/fd, already a leader); then the caller's end is the only thing not outlived.
    let _ = fd::close_inherited();
    let _ = rustix::process::setsid();
    match renew_inherited(world, arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let report = Report {
                id: error.id().word().into(),
                what: error.what().into(),
                why: error.why().into(),
                hint: error.advice().into(),
            };
            // The caller may be gone. Then there is nobody to tell, and the record says it all.
            let _ = serde_json::to_writer(io::stdout().lock(), &report);
            let _ = io::stdout().lock().flush();
            ExitCode::from(error.exit_code())
        }
    }
}

fn renew_inherited(world: &World, arguments: &[String]) -> Result<()> {
    let misuse = |why: &str| Error::new(Id::Usage, "this command is keyfob's own", why);
    let [path, min_valid, rejected, form, spare @ ..] = arguments else {
        return Err(misuse("its arguments are missing"));
    };
    let spare: Vec<PathBuf> = spare.iter().map(PathBuf::from).collect();
    let need = Need {
        min_valid: min_valid.parse().map_err(|_| misuse("its second argument is not a number"))?,
        rejected: match rejected.as_str() {
            "" => None,
            text => Some(text.parse().map_err(misuse)?),
        },
    };
    let form = match form.as_str() {
        "file" => None,
        word => Some(KeyStore::from_word(word).ok_or_else(|| misuse("its fourth argument is no key store"))?),
    };
    let world = &World { seal: world.seal.clone().with(form), ..world.clone() };
    let store = Store::at(world, Path::new(path), &spare)?;
    let cannot = |error: io::Error| {
        failure::failed(Id::StoreFailed, format!("cannot take over {}", store.lock_path().display()), error)
    };
    let lock = io::stdin().as_fd().try_clone_to_owned().map(File::from).map_err(cannot)?;
    if !is_lease(&lock, &store).map_err(cannot)? {
        return Err(misuse("its standard input is not the lease"));
    }
    // On the other side of a mount somebody may hold the record's own lock: wait for them, then read again.
    let mut waited = Duration::ZERO;
    loop {
        let shared = lock.try_clone().map_err(cannot)?;
        match store.lease(files::inherited(shared))? {
            Ok(lease) => return renewal::spend(world, lease, &need),
            Err(holder) if waited >= MOUNT_PATIENCE => {
                let why = format!("{holder} has been renewing it on the other side of a mount");
                return Err(Error::new(Id::LeaseBusy, "the login could not be renewed", why));
            }
            Err(_) => {
                world.clock.sleep(MOUNT_LOOK);
                waited += MOUNT_LOOK;
            }
        }
    }
}

/// Whether this file is the store's lock file, and its lock is ours: locking it again through the same open
/// file description succeeds exactly then.
fn is_lease(lock: &File, store: &Store) -> io::Result<bool> {
    let named = match std::fs::symlink_metadata(store.lock_path()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        named => named?,
    };
    let ours = lock.metadata()?;
    Ok(ours.ino() == named.ino() && ours.dev() == named.dev() && files::try_lock(lock)?)
}
