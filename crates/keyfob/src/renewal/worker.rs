//! Renewal in a separate process and session, so that Ctrl-C, a closed terminal, `timeout` or SIGKILL of the caller
//! cannot interrupt it between the rotation at the server and the write to disk.
//!
//! The lock is handed over: the worker's standard input *is* the lock file, the same open file description, so the
//! lease is held until both processes have ended. No secret passes through arguments, environment or the pipe: the
//! worker reads the token from the store and reports that it began, and how it ended. The worker does not outlive its
//! container, cgroup or machine.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read, Write},
    os::{fd::AsFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    sync::Arc,
    time::Duration,
};

use keyfob_core::{Cause, Error, Id, Record, Result, error::escape};
use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::Timespec,
};
use serde::{Deserialize, Serialize};

use crate::world::failure;
use crate::{
    renewal::{self, Began, InThread, Need, Spender, order::Order},
    setup::{Choices, Setup},
    store::{HandOver, Lease, Leased, Seen, Store, files::FileStore, sealing::Seal},
    world::{
        World,
        system::{self, env, fd, files, locks, program},
    },
};

/// Longer than the worker can take by its own bounds.
const PATIENCE: Duration = Duration::from_secs(150);

/// How long the worker waits for a renewal on the other side of a mount, and how often it looks.
const MOUNT_PATIENCE: Duration = Duration::from_secs(40);
const MOUNT_LOOK: Duration = Duration::from_millis(10);

/// A process that renews, and how it is started. Renewals in it outlive the program that asked for them: see
/// [`Client::renewing_in`](crate::Client::renewing_in).
///
/// The calling program is started again with an argument that its `main` has to recognise before it does anything else:
///
/// ```no_run
#[doc = include_str!("../../examples/detached_renewal.rs")]
/// ```
#[derive(Clone, Debug)]
pub struct Detached {
    worker: Worker,
}

/// Spends in a separate process.
#[derive(Clone, Debug)]
pub struct Worker {
    programs: Vec<PathBuf>,
    arguments: Vec<OsString>,
}

/// What a worker writes first of all. It precedes its report as a blank.
const BEGUN: u8 = b'\n';

/// What a worker writes last of all: why it failed, or that it did not. Whether it has done its work is read from this
/// and never from the exit status of the process, which is not available to every caller.
#[derive(Serialize, Deserialize)]
struct Report {
    failed: Option<Failure>,
}

#[derive(Serialize, Deserialize)]
struct Failure {
    id: String,
    what: String,
    why: String,
    cause: Option<Cause>,
}

/// A line for the person, from a command that the worker runs: before its report, and ended by a line break.
#[derive(Serialize, Deserialize)]
struct Notice {
    notice: String,
}

/// What was received from a worker.
enum Heard {
    Report(Report),
    /// It ended without one.
    Nothing(Began),
    /// It has not ended, and the caller waits no longer.
    Late(u32),
}

impl Spender for Worker {
    fn spend(
        &self,
        world: &World,
        store: &dyn Store,
        mut lease: Box<dyn Lease + '_>,
        need: &Need,
    ) -> Result<()> {
        let Some(handed) = lease.hand_over() else {
            return InThread.spend(world, store, lease, need);
        };
        let order = Order::new(&handed, need).to_args();
        let HandOver { lock, .. } = handed;
        let mut began = Began::Never;
        for program in &self.programs {
            match self.start(world, program, &lock, &order) {
                Heard::Report(Report { failed: None }) => return Ok(()),
                Heard::Report(Report { failed: Some(r) }) => {
                    return Err(Error::new(Id::from_word(&r.id).unwrap_or(Id::Bug), r.what, r.why)
                        .maybe_because(r.cause));
                }
                Heard::Late(process) => {
                    let why = format!("process {process} has been renewing it for {} s", PATIENCE.as_secs());
                    return Err(Error::new(Id::LeaseBusy, "the login could not be renewed", why));
                }
                Heard::Nothing(Began::Yes) => {
                    began = Began::Yes;
                    break;
                }
                Heard::Nothing(Began::Never) => {}
            }
        }
        // The lock was shared with the worker and is ours alone now; the record's own is taken again.
        match store.resume(locks::inherited(lock))? {
            Leased::Lease(lease) => renewal::without_worker(world, lease, need, began),
            Leased::Busy(holder) => Err(renewal::busy(&holder, Duration::ZERO)),
        }
    }
}

impl Detached {
    /// Starts the calling program again, with these arguments before those of the renewal. Its `main` must recognise them
    /// and return [`Detached::work`] before it does anything else. If the program cannot be started, because its file was
    /// replaced or removed, the calling process renews by itself.
    #[must_use]
    pub fn this_program<A: Into<OsString>>(arguments: impl IntoIterator<Item = A>) -> Self {
        Self { worker: Worker::this_program(arguments) }
    }

    pub(crate) fn into_worker(self) -> Worker {
        self.worker
    }

    /// What the started process does: it closes every inherited descriptor but the lock, leaves the session of its caller,
    /// renews one login, and writes its report to standard output, which its caller reads. `order` is what follows the
    /// arguments of [`Detached::this_program`]; nothing in it is secret.
    ///
    /// Call it first in `main`: threads and descriptors that were opened before end up in a process that outlives its
    /// caller. Return the exit code as it is: it is the one of the error ([`Error::exit_code`]), or 0.
    #[must_use]
    pub fn work(order: impl IntoIterator<Item = OsString>) -> ExitCode {
        let setup = Setup::read(env::variables(), Choices::new(), &files::Disk, Some(Path::new("/")));
        work(&system::world(setup.routes), &order.into_iter().collect::<Vec<_>>())
    }
}

impl Worker {
    /// Starts the calling program again, in whichever way it can be reached, with these arguments before those of an
    /// [`Order`]. They lead to [`work`].
    #[must_use]
    pub fn this_program<A: Into<OsString>>(arguments: impl IntoIterator<Item = A>) -> Self {
        Self { programs: program::candidates(), arguments: arguments.into_iter().map(Into::into).collect() }
    }

    fn start(&self, world: &World, program: &Path, lock: &File, order: &[OsString]) -> Heard {
        let never = Heard::Nothing(Began::Never);
        let Ok(lock) = lock.try_clone() else { return never };
        #[expect(clippy::disallowed_methods, reason = "the one place that starts the worker")]
        let mut command = Command::new(program);
        command.args(&self.arguments).args(order);
        // Neither the caller's credentials nor its directory: both may be gone or changed while this runs.
        for name in system::withheld::from_helpers() {
            command.env_remove(name);
        }
        command.current_dir("/").stdin(Stdio::from(lock)).stdout(Stdio::piped()).stderr(Stdio::null());
        let Ok(mut child) = command.spawn() else { return never };
        // Our copies of its streams are closed here.
        drop(command);
        let said = child.stdout.take().map_or(Ok(Vec::new()), |pipe| read_report(pipe, &*world.notice));
        let Ok(said) = said else { return Heard::Late(child.id()) };
        // Only so that nothing is left of it.
        let _ = child.wait();
        match said.split_first() {
            Some((&BEGUN, report)) => {
                serde_json::from_slice(report).map_or(Heard::Nothing(Began::Yes), Heard::Report)
            }
            _ => never,
        }
    }
}

struct Late;

/// The word that it began, and its report. Notices are passed on as they come.
fn read_report(mut pipe: impl Read + AsFd, notice: &dyn Fn(&str)) -> Result<Vec<u8>, Late> {
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
            Ok(n) => {
                bytes.extend_from_slice(&chunk[..n]);
                pass_on(&mut bytes, notice);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Ok(bytes),
        }
    }
}

/// Takes the notices that have come whole from behind the word that it began.
fn pass_on(bytes: &mut Vec<u8>, notice: &dyn Fn(&str)) {
    while let Some(end) = bytes.iter().skip(1).position(|octet| *octet == b'\n') {
        if let Ok(line) = serde_json::from_slice::<Notice>(&bytes[1..=end]) {
            notice(&escape(&line.notice));
        }
        bytes.drain(1..end + 2);
    }
}

/// The worker: what [`Worker`] starts, with an [`Order`].
///
/// Called from the very start of `main`, before anything else was opened.
pub fn work(world: &World, order: &[OsString]) -> ExitCode {
    // First of all: hold nothing of the caller's, and leave its session. Both may fail where they are not
    // needed (no /dev/fd, already a leader); then the caller's end is the only thing not outlived.
    let _ = fd::close_inherited();
    let _ = rustix::process::setsid();
    // The caller may be gone. Then no process reads this, and the record says it all.
    let say = |bytes: &[u8]| {
        let mut stdout = io::stdout().lock();
        let _ = stdout.write_all(bytes).and_then(|()| stdout.flush());
    };
    say(&[BEGUN]);
    let notice = move |text: &str| {
        if let Ok(mut line) = serde_json::to_vec(&Notice { notice: text.into() }) {
            line.push(b'\n');
            say(&line);
        }
    };
    let world = World { notice: Arc::new(notice), ..world.clone() };
    let failed = Order::from_args(order)
        .map_err(|wrong| misuse(&wrong.to_string()))
        .and_then(|order| renew_inherited(&world, &order))
        .err();
    let code = failed.as_ref().map_or(ExitCode::SUCCESS, |error| ExitCode::from(error.exit_code()));
    let failed = failed.map(|error| Failure {
        id: error.id().word().into(),
        what: error.what().into(),
        why: error.why().into(),
        cause: error.cause().cloned(),
    });
    say(&serde_json::to_vec(&Report { failed }).unwrap_or_default());
    code
}

fn misuse(why: &str) -> Error {
    Error::new(Id::Usage, "this command is keyfob's own", why)
}

/// The record an order is about, as it is now.
#[must_use]
pub fn record(world: &World, order: &[OsString]) -> Option<Box<Record>> {
    match store_of(world, &Order::from_args(order).ok()?).ok()?.look().ok()? {
        Seen::Record(record) => Some(record),
        Seen::Nothing | Seen::Damaged(_) => None,
    }
}

fn store_of(world: &World, order: &Order) -> Result<FileStore> {
    let seal = Seal::new(world.keys.clone()).with(order.seals_with);
    FileStore::at(world, &seal, &order.record, &order.spare)
}

fn renew_inherited(world: &World, order: &Order) -> Result<()> {
    let need = order.need();
    let store = store_of(world, order)?;
    let cannot = |error: io::Error| {
        failure::failed(Id::StoreFailed, format!("cannot take over {}", store.lock_path().display()), error)
    };
    let lock = io::stdin().as_fd().try_clone_to_owned().map(File::from).map_err(cannot)?;
    if !is_lease(&lock, &store).map_err(cannot)? {
        return Err(misuse("its standard input is not the lease"));
    }
    // The caller may be gone: processes that wait can report which one holds the lease.
    files::sign(&lock);
    // On the other side of a mount a process may hold the record's own lock: wait for it, then read again.
    let mut waited = Duration::ZERO;
    loop {
        let shared = lock.try_clone().map_err(cannot)?;
        match store.resume(locks::inherited(shared))? {
            Leased::Lease(lease) => return renewal::spend(world, lease, &need),
            Leased::Busy(holder) if waited >= MOUNT_PATIENCE => {
                let why = format!("{holder} has been renewing it on the other side of a mount");
                return Err(Error::new(Id::LeaseBusy, "the login could not be renewed", why));
            }
            Leased::Busy(_) => {
                world.clock.sleep(MOUNT_LOOK);
                waited += MOUNT_LOOK;
            }
        }
    }
}

/// Whether this file is the store's lock file, and its lock is ours: locking it again through the same open
/// file description succeeds exactly then.
fn is_lease(lock: &File, store: &FileStore) -> io::Result<bool> {
    let named = match std::fs::symlink_metadata(store.lock_path()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        named => named?,
    };
    let ours = lock.metadata()?;
    Ok(ours.ino() == named.ino() && ours.dev() == named.dev() && locks::try_lock(lock)?)
}
