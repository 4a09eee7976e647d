//! Implements the traits of the world as acts.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use keyfob_core::oauth::reply::Reply;
use zeroize::Zeroizing;

use crate::world::simulated::{Act, Bytes, Outcome, Stage};
use crate::world::{
    Answer, Clock, Connected, Entropy, Files, Heard, Held, Helper, Http, Lock, NoAnswer, Ran, Request,
    headers::Headers,
};

/// One process on a stage.
pub(super) struct Actor(pub(super) Arc<dyn Stage>);

/// Dropping it is a separate act. A process that is being unwound is dead and acts no more: the kernel takes
/// back what it held.
struct FakeLock {
    stage: Arc<dyn Stage>,
    inode: u32,
}

impl Held for FakeLock {
    fn file(&self) -> Option<&File> {
        None
    }
}

impl Drop for FakeLock {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.stage.act(Act::Release(self.inode));
        }
    }
}

impl Actor {
    fn done(&self, act: Act) -> io::Result<()> {
        match self.0.act(act) {
            Outcome::Failed(kind) => Err(kind.into()),
            _ => Ok(()),
        }
    }

    fn bytes(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        match self.0.act(Act::Read(path.into())) {
            Outcome::Failed(kind) => Err(kind.into()),
            Outcome::Bytes(bytes) => Ok(bytes.map(|bytes| bytes.to_vec())),
            _ => Ok(None),
        }
    }

    fn locked(&self, act: Act) -> io::Result<Lock> {
        match self.0.act(act) {
            Outcome::Held(inode) => Ok(Lock::Held(Box::new(FakeLock { stage: self.0.clone(), inode }))),
            Outcome::Absent => Ok(Lock::Absent),
            Outcome::Failed(kind) => Err(kind.into()),
            _ => Ok(Lock::Busy),
        }
    }
}

impl Clock for Actor {
    fn millis(&self) -> i64 {
        match self.0.act(Act::Now) {
            Outcome::Millis(millis) => millis,
            _ => 0,
        }
    }

    fn sleep(&self, time: Duration) {
        self.0.act(Act::Sleep(time));
    }

    fn kernel(&self) -> Option<String> {
        Some(self.0.kernel())
    }
}

impl Entropy for Actor {
    fn fill(&self, octets: &mut [u8]) -> io::Result<()> {
        if let Outcome::Octet(octet) = self.0.act(Act::Random(octets.len())) {
            octets.fill(octet);
        }
        Ok(())
    }
}

impl Http for Actor {
    #[expect(clippy::disallowed_methods, reason = "the fake provider reads the form it is sent")]
    fn send_when(&self, request: &Request<'_>, connected: Connected) -> Result<Answer, NoAnswer> {
        let not_sent = |why: &str| NoAnswer::not_sent(why);
        if self.0.act(Act::Connect) != Outcome::Done {
            return Err(not_sent("there is no network"));
        }
        connected().map_err(|error| not_sent(&error.to_string()))?;
        let form = request.body.as_ref().map_or("", |(_, body)| body.expose());
        match self.0.act(Act::Send(form.into())) {
            Outcome::Answer(said) => Ok(Answer {
                reply: Reply {
                    status: said.status,
                    content_type: Some(said.content_type.into()),
                    date: said.date,
                    body: said.body.into_bytes(),
                    ..Reply::default()
                },
                headers: Headers::default(),
            }),
            _ => Err(NoAnswer {
                sent: true,
                why: "the line was cut".into(),
                cause: None,
                part: None,
                system: false,
            }),
        }
    }
}

impl Files for Actor {
    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.into())
    }

    fn make_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn restrict(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn check_dir(&self, _: &Path, _: bool) -> io::Result<()> {
        Ok(())
    }

    fn read(&self, path: &Path) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        Ok(self.bytes(path)?.map(Zeroizing::new))
    }

    fn read_trusted(&self, path: &Path, _: bool) -> io::Result<Option<Vec<u8>>> {
        self.bytes(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        match self.0.act(Act::List(path.into())) {
            Outcome::Paths(paths) => Ok(paths),
            _ => Ok(Vec::new()),
        }
    }

    fn lock(&self, path: &Path) -> io::Result<Lock> {
        self.locked(Act::Lock(path.into()))
    }

    fn lock_existing(&self, path: &Path) -> io::Result<Lock> {
        self.locked(Act::LockExisting(path.into()))
    }

    fn holder(&self, _: &Path) -> Option<String> {
        None
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.done(Act::Write(path.into(), Bytes::new(bytes)))
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        self.done(Act::Sync(path.into()))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.done(Act::Rename(from.into(), to.into()))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.done(Act::SyncDir(path.into()))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.done(Act::Remove(path.into()))
    }
}

impl Helper for Actor {
    fn run(&self, _: &str, _: &mut dyn FnMut(Heard<'_>)) -> io::Result<Ran> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn variable(&self, _: &str) -> Option<String> {
        None
    }
}
