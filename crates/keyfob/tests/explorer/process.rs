//! A process: the real code, run over what it has seen so far until it wants to act again.

use std::{
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use keyfob::{
    Secret,
    internals::{
        core::Id,
        core::ProviderTime,
        core::{
            Record,
            login::{
                due,
                record::{Generation, Refusal},
                refresh,
                sealed::KeyStore,
            },
        },
        logout,
        renewal::{self, Asking, Began, InThread, Need, Spender},
        store::{
            Found, Lease, Seen, Store,
            files::{FileLogins, FileStore},
            sealing::Seal,
        },
        world::{
            Connected, Request, World,
            simulated::{self, Act, Outcome, Stage, Vault},
        },
    },
};

/// What a process does.
#[derive(Clone)]
pub(crate) enum Job {
    /// `renewal::usable`, after an API has refused the token of this generation, if one has.
    Renew(Option<Generation>),
    /// The same over and over, an hour after each failure, until there is a token.
    Persistent,
    /// The same where the process that is to renew cannot be started.
    WithoutWorker,
    /// What `Client::sign_out` does on the disk.
    Logout,
    /// What the end of a sign-in does: this record is committed, and then the login before it revoked where it may be.
    Login(Vec<u8>),
    /// A broken copy of one of the two.
    Broken(Broken, Vec<u8>),
}

/// How a copy of the real code is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// It spends the token it read before it took the lock.
    Stale,
    /// It asks without writing down that it does.
    Unnoted,
    /// It writes down that it has asked before there is a connection.
    NotedEarly,
    /// It throws away an answer that is odd.
    Careless,
    /// It takes a lost answer for the end of the login.
    GivesUp,
    /// It asks again at once when an answer was lost.
    Impatient,
    /// It revokes the login it has replaced, whoever's that is.
    Revokes,
    /// It revokes the login it has replaced when it has given up the lease, and somebody else may have signed in.
    RevokesLate,
}

/// A job and the record it is about.
#[derive(Clone)]
pub(crate) struct Actor {
    pub(crate) job: Job,
    pub(crate) record: PathBuf,
    pub(crate) spare: Vec<PathBuf>,
    /// Whether it seals what it writes.
    pub(crate) seals: bool,
    /// How many seconds the clock of its kernel is ahead of the provider's.
    pub(crate) ahead: i64,
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
    ahead: i64,
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

    fn kernel(&self) -> String {
        format!("{} s ahead", self.ahead)
    }
}

impl Actor {
    /// Runs the real code over this history. A process sees nothing but the outcomes of its acts, so the same
    /// history leads to the same place: stopping a thread there and running it again up to there are one.
    pub(crate) fn drive(&self, history: &Arc<History>) -> Wish {
        let script = Arc::new(Script {
            history: history.clone(),
            ahead: self.ahead,
            at: AtomicUsize::new(0),
            wish: Mutex::new(None),
        });
        let world = simulated::world(&(script.clone() as Arc<dyn Stage>));
        match panic::catch_unwind(AssertUnwindSafe(|| self.run(&world))) {
            Ok(report) => Wish::End(report),
            Err(stop) if stop.is::<Stop>() => Wish::Act(script.wish.lock().unwrap().take().unwrap()),
            Err(bug) => panic::resume_unwind(bug),
        }
    }

    fn run(&self, world: &World) -> Report {
        let store = FileStore::at(world, &self.seal(), &self.record, &self.spare).unwrap();
        self.job(world, &store).unwrap_or_else(|error| Report::Failed(error.id()))
    }

    fn seal(&self) -> Seal {
        seal().with(self.seals.then_some(KeyStore::Kernel))
    }

    fn job(&self, world: &World, store: &dyn Store) -> keyfob::Result<Report> {
        match &self.job {
            Job::Renew(rejected) => {
                let need = rejected.iter().cloned().fold(Need::new(), Need::rejected);
                renew(world, store, &need, &InThread)
            }
            Job::WithoutWorker => renew(world, store, &Need::default(), &NoWorker),
            Job::Persistent => {
                for _ in 0..12 {
                    if let Ok(report) = renew(world, store, &Need::default(), &InThread) {
                        return Ok(report);
                    }
                    world.clock.sleep(Duration::from_secs(3700));
                }
                renew(world, store, &Need::default(), &InThread)
            }
            Job::Logout => {
                let lease = renewal::wait_for_lease(world, store)?;
                match lease.read()? {
                    Found::Nothing => return Ok(Report::Nobody),
                    Found::Record(_) | Found::SetAside(_) => lease.erase()?,
                }
                Ok(Report::SignedOut)
            }
            Job::Login(bytes) => self.sign_in(world, store, bytes, None),
            Job::Broken(how @ (Broken::Revokes | Broken::RevokesLate), bytes) => {
                self.sign_in(world, store, bytes, Some(*how))
            }
            Job::Broken(how, _) => broken(*how, world, store),
        }
    }

    /// What `Client::login` does with tokens it was granted.
    fn sign_in(
        &self,
        world: &World,
        store: &dyn Store,
        bytes: &[u8],
        how: Option<Broken>,
    ) -> keyfob::Result<Report> {
        let record = Record::decode(bytes).unwrap();
        let lease = renewal::wait_for_lease(world, store)?;
        let old = lease.read()?;
        lease.commit(&record)?;
        let Found::Record(old) = old else { return Ok(Report::SignedIn(login(&record))) };
        let revoke = |old: &Record| {
            let body = Secret::new(format!("token={}", refresh(old).unwrap()));
            let _ = world.http.send(&to_provider(body));
        };
        match how {
            Some(Broken::Revokes) => revoke(&old),
            // What it did before the explorer knew one grant for two logins.
            Some(_) if !record.may_share_grant(&old) => revoke(&old),
            Some(_) => {}
            // As the sign-in does it: nobody has to be asked about the login that was just stored.
            None if record.may_share_grant(&old) => {}
            None => {
                let (seal, dir) = (self.seal(), self.record.parent().unwrap());
                let logins = FileLogins::new(world, &seal, dir, self.spare.clone());
                logout::revoke_apart(world, &logins, store, &old, revoke)?;
            }
        }
        Ok(Report::SignedIn(login(&record)))
    }

    /// Whether an API refused the access token it had.
    pub(crate) fn was_rejected(&self) -> bool {
        matches!(self.job, Job::Renew(Some(_)))
    }

    /// Whether it may end a login, or put another one in its place.
    pub(crate) fn ends_logins(&self) -> bool {
        matches!(
            self.job,
            Job::Logout | Job::Login(_) | Job::Broken(Broken::Revokes | Broken::RevokesLate, _)
        )
    }
}

fn renew(world: &World, store: &dyn Store, need: &Need, spender: &dyn Spender) -> keyfob::Result<Report> {
    Ok(match renewal::usable(world, store, need, spender)? {
        Some(usable) => Report::Token(access(&usable.record), login(&usable.record)),
        None => Report::Nobody,
    })
}

/// Hands the lease to a process that never begins.
struct NoWorker;

impl Spender for NoWorker {
    fn spend(
        &self,
        world: &World,
        _: &dyn Store,
        lease: Box<dyn Lease + '_>,
        need: &Need,
    ) -> keyfob::Result<()> {
        renewal::without_worker(world, lease, need, Began::Never)
    }
}

fn to_provider(body: Secret) -> Request<'static> {
    Request {
        method: "POST",
        url: "https://provider.example/token",
        headers: Vec::new(),
        body: Some(("application/x-www-form-urlencoded", body)),
        timeout: renewal::ANSWER,
    }
}

/// A copy of a renewal with one thing wrong.
fn broken(how: Broken, world: &World, store: &dyn Store) -> keyfob::Result<Report> {
    let seen = store.look()?;
    let lease = renewal::wait_for_lease(world, store)?;
    let found = lease.read()?;
    let mut record = match (how, seen, found) {
        (Broken::Stale, Seen::Record(record), _) | (_, _, Found::Record(record)) => record,
        _ => return Ok(Report::Nobody),
    };
    if how == Broken::Impatient
        && let Some(unknown) = &mut record.unknown
    {
        unknown.since = ProviderTime(0);
        record.cooldown = None;
    }
    match Asking::new(world, &Need::default()).next(&record) {
        due::Next::Use if how != Broken::Stale => {
            return Ok(Report::Token(access(&record), login(&record)));
        }
        due::Next::Stop(error) => return Err(error),
        _ => {}
    }
    let note = lease.prepare(&record)?;
    if how == Broken::NotedEarly {
        note().unwrap();
    }
    let note: Connected =
        if matches!(how, Broken::Unnoted | Broken::NotedEarly) { Arc::new(|| Ok(())) } else { note };
    let request = to_provider(refresh::request(&record)?.encode(None, &record.dialect).body.1);
    let answer = world.http.send_when(&request, note);
    let ours = world.clock.now();
    let now = world.clock.ahead(&record).theirs(ours);
    let mut after = match answer {
        Ok(answer) => {
            let before = Record::decode(&record.encode()).unwrap();
            let mut after = refresh::renewed(*record, &answer.reply, ours, None);
            if how == Broken::Careless && after.error.is_some() {
                after.record = before;
            }
            after
        }
        Err(no) => refresh::unanswered(*record, no.sent, &no.why, now),
    };
    if how == Broken::GivesUp && after.error.is_some() {
        let generation = after.record.generation.number();
        after.record.refused = Some(Refusal { generation, at: now, why: "no answer came".into() });
    }
    lease.commit(&after.record)?;
    match after.error {
        Some(error) => Err(error),
        None => Ok(Report::Token(access(&after.record), login(&after.record))),
    }
}

/// What every process opens and seals with. A key store is no disk: it keeps its keys whoever dies.
pub(crate) fn seal() -> Seal {
    static VAULT: LazyLock<Vault> = LazyLock::new(Vault::default);
    Seal::new(Arc::new(VAULT.clone()))
}

pub(crate) fn login(record: &Record) -> String {
    record.generation.login().into()
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
