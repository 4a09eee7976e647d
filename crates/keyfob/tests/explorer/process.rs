//! A process: the real code, run over what it has seen so far until it wants to act again.

use std::{
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use keyfob::{
    Id,
    core::{
        Record,
        login::{refresh, sealed::KeyStore},
        oauth::token_response,
    },
    renewal::{self, InThread, Need},
    store::{Found, Seen, Store, sealing::Seal},
    world::{
        Request, World,
        simulated::{self, Act, Outcome, Stage, Vault},
    },
};

/// What a process does.
#[derive(Clone)]
pub(crate) enum Job {
    /// `renewal::usable` with this need.
    Renew(Need),
    /// What `Client::sign_out` does on the disk.
    Logout,
    /// What the end of a sign-in does on the disk: this record is committed.
    Login(Vec<u8>),
    /// A broken copy of a renewal: it spends the token it read before it took the lock.
    Stale,
}

/// A job and the record it is about.
#[derive(Clone)]
pub(crate) struct Actor {
    pub(crate) job: Job,
    pub(crate) record: PathBuf,
    pub(crate) spare: Vec<PathBuf>,
    /// Whether it seals what it writes.
    pub(crate) seals: bool,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Report {
    /// It has this access token, of this login.
    Token(String, String),
    /// Nobody is signed in.
    Nobody,
    /// It ended the login.
    SignedOut,
    /// The new login is on the disk.
    SignedIn(String),
    /// It says why not.
    Failed(Id),
}

/// Where a process stands.
#[derive(Clone)]
pub(crate) enum Wish {
    /// It is about to do this.
    Act(Act),
    /// It has ended.
    End(Report),
}

/// What a process has done and seen.
pub(crate) type History = Vec<(Act, Outcome)>;

/// The private payload that unwinds a process at the act where its history ends.
struct Stop;

/// Answers from a history; where that ends, the process stops.
struct Script {
    history: Arc<History>,
    at: AtomicUsize,
    wish: Mutex<Option<Act>>,
}

impl Stage for Script {
    fn act(&self, act: Act) -> Outcome {
        match self.history.get(self.at.fetch_add(1, Ordering::Relaxed)) {
            Some((same, outcome)) => {
                assert_eq!(*same, act, "a process did something else after seeing the same");
                outcome.clone()
            }
            None => {
                *self.wish.lock().unwrap() = Some(act);
                panic::resume_unwind(Box::new(Stop))
            }
        }
    }
}

impl Actor {
    /// Runs the real code over this history. A process sees nothing but the outcomes of its acts, so the same
    /// history leads to the same place: stopping a thread there and running it again up to there are one.
    pub(crate) fn drive(&self, history: &Arc<History>) -> Wish {
        let script =
            Arc::new(Script { history: history.clone(), at: AtomicUsize::new(0), wish: Mutex::new(None) });
        let mut world = simulated::world(&(script.clone() as Arc<dyn Stage>));
        world.seal = seal().with(self.seals.then_some(KeyStore::Kernel));
        match panic::catch_unwind(AssertUnwindSafe(|| self.run(&world))) {
            Ok(report) => Wish::End(report),
            Err(stop) if stop.is::<Stop>() => Wish::Act(script.wish.lock().unwrap().take().unwrap()),
            Err(bug) => panic::resume_unwind(bug),
        }
    }

    fn run(&self, world: &World) -> Report {
        let store = Store::at(world, &self.record, &self.spare).unwrap();
        self.job(world, &store).unwrap_or_else(|error| Report::Failed(error.id()))
    }

    fn job(&self, world: &World, store: &Store) -> keyfob::Result<Report> {
        match &self.job {
            Job::Renew(need) => Ok(match renewal::usable(world, store, need, &InThread)? {
                Some(usable) => Report::Token(access(&usable.record), login(&usable.record)),
                None => Report::Nobody,
            }),
            Job::Logout => {
                let lease = renewal::wait_for_lease(world, store)?;
                match lease.read()? {
                    Found::Nothing => return Ok(Report::Nobody),
                    Found::Record(_) | Found::SetAside(_) => lease.erase()?,
                }
                Ok(Report::SignedOut)
            }
            Job::Login(bytes) => {
                let record = Record::decode(bytes).unwrap();
                let lease = renewal::wait_for_lease(world, store)?;
                lease.read()?;
                lease.commit(&record)?;
                Ok(Report::SignedIn(login(&record)))
            }
            Job::Stale => {
                let Seen::Record(record) = store.look()? else { return Ok(Report::Nobody) };
                let lease = renewal::wait_for_lease(world, store)?;
                let body = Some(("application/x-www-form-urlencoded", refresh::request(&record)?));
                lease.prepare(&record)?;
                let request = Request {
                    method: "POST",
                    url: "https://provider.example/token",
                    headers: Vec::new(),
                    body,
                    timeout: renewal::ANSWER,
                };
                let Ok(answer) = world.http.send(&request) else { return Ok(Report::Failed(Id::Bug)) };
                assert!(!matches!(
                    token_response::read(&answer.reply).open().1,
                    token_response::Verdict::Odd { .. }
                ));
                let after = refresh::renewed(*record, &answer.reply, world.clock.now(), None);
                lease.commit(&after.record)?;
                Ok(Report::Token(access(&after.record), login(&after.record)))
            }
        }
    }

    /// Whether an API refused the access token it had.
    pub(crate) fn was_rejected(&self) -> bool {
        matches!(&self.job, Job::Renew(need) if need.rejected.is_some())
    }

    /// Whether it may end a login, or put another one in its place.
    pub(crate) fn ends_logins(&self) -> bool {
        matches!(self.job, Job::Logout | Job::Login(_))
    }
}

/// What every process opens and seals with. A key store is no disk: it keeps its keys whoever dies.
pub(crate) fn seal() -> Seal {
    static VAULT: LazyLock<Vault> = LazyLock::new(Vault::default);
    Seal::new(Arc::new(VAULT.clone()))
}

pub(crate) fn login(record: &Record) -> String {
    record.generation.login.as_str().into()
}

#[expect(clippy::disallowed_methods, reason = "the tests' own invented secrets")]
pub(crate) fn access(record: &Record) -> String {
    record.access_token.as_ref().map_or("", |token| token.expose()).into()
}

#[expect(clippy::disallowed_methods, reason = "the tests' own invented secrets")]
pub(crate) fn refresh(record: &Record) -> Option<String> {
    Some(record.refresh_token.as_ref()?.expose().into())
}

/// A file beside the record.
pub(crate) fn beside(record: &Path, extension: &str) -> PathBuf {
    record.with_extension(extension)
}
