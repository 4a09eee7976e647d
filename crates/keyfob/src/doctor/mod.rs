//! Checks everything that could keep a login from working, and repairs what is safe to repair without asking:
//! permissions, and what an interrupted renewal left behind.

mod finding;
mod network;

use std::{io, path::Path};

use keyfob_core::{Error, Id, error::escape, login::sealed::KeyStore, source::Purpose};

pub use self::finding::{Finding, State};
use crate::{
    credential::{grant::Outcome, survey::Survey},
    session::Session,
    store::{Found, Seen, Store},
    world::Lock,
};

/// Examines everything. With `fix`, mends what it can. Never starts a renewal.
#[must_use]
pub(crate) fn examine(session: &Session, fix: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |subject: &str, state| findings.push(Finding { subject: subject.into(), state });
    let all: Vec<_> = session.setup.problems.iter().cloned().chain(session.setup.told()).collect();
    if all.is_empty() {
        add("variables and files", State::Fine("nothing is malformed".into()));
    }
    let mut mended = false;
    for problem in all {
        let state = if fix && open_to_others(session, &problem) {
            State::Mended(problem.message())
        } else {
            State::Wrong(problem)
        };
        mended |= matches!(state, State::Mended(_));
        add("variables and files", state);
    }
    if mended {
        // This run was set up without what was wrong: the rest cannot be told by it.
        add("everything else", State::Fine("run `keyfob doctor` again".into()));
        return findings;
    }
    if let Ok(home) = session.setup.require_home() {
        if home.logins.exists() {
            add("store", permissions(session, &home.logins, fix));
            add("locks", locks(session, &home.logins));
            if let Some(store) = session.world.seal.form() {
                add(
                    "key store",
                    match session.world.seal.answers() {
                        Ok(()) => State::Fine(format!("{} answers", store.name())),
                        Err(error) => State::Wrong(error),
                    },
                );
            }
            files(session, &home.logins, fix, &mut |subject, state| add(subject, state));
        } else {
            add("store", State::Fine(format!("{} does not exist yet", home.logins.display())));
        }
    }
    for (subject, found) in roads(session) {
        add(subject, State::Fine(found));
    }
    // Nothing is sent past a proxy or a certificate that was refused; that is told above.
    if session.setup.routes.check().is_ok() {
        network::examine(session, &mut |subject, state| add(subject, state));
    }
    add("sources", sources(session));
    findings
}

/// Takes from others what they may write of the configuration, or of the way to it, where that is what is wrong and it is
/// this user's to mend. Whether that was it.
fn open_to_others(session: &Session, problem: &Error) -> bool {
    let files = &session.world.files;
    match problem.id() {
        Id::ConfigUnsafe => session.setup.home.as_ref().is_some_and(|home| {
            files.protect(&home.config).is_ok() && files.read_trusted(&home.config, false).is_ok()
        }),
        Id::HomeUnsafe => session
            .setup
            .around
            .open_ways()
            .iter()
            .any(|(way, refusal)| problem.why() == refusal.to_string() && files.protect(way).is_ok()),
        _ => false,
    }
}

/// What a variable put between us and the provider: whoever set it can read along, or speak in its name.
fn roads(session: &Session) -> Vec<(&'static str, String)> {
    let setup = &session.setup;
    let proxy = setup.routes.shown().map(|proxy| ("proxy", escape(&proxy)));
    let certificates = setup.routes.certificates().iter().map(|path| path.display().to_string());
    let certificates = certificates.map(|path| ("certificates", format!("{} decides", escape(&path))));
    proxy.into_iter().chain(certificates).collect()
}

fn permissions(session: &Session, dir: &Path, fix: bool) -> State {
    let files = &session.world.files;
    match files.check_dir(dir, true) {
        Ok(()) => State::Fine(format!("{} is yours alone", dir.display())),
        Err(error) => mend(fix, dir, &error, || files.restrict(dir)),
    }
}

fn mend(fix: bool, path: &Path, error: &io::Error, act: impl FnOnce() -> io::Result<()>) -> State {
    if fix && act().is_ok() {
        return State::Mended(format!("{}: {error}", path.display()));
    }
    let id = if error.raw_os_error().is_none() { Id::StoreUnsafe } else { Id::StoreFailed };
    State::Wrong(
        Error::new(id, format!("{} cannot be used", path.display()), error.to_string())
            .hint("run `keyfob doctor --fix`"),
    )
}

/// Whether locks mean anything on this filesystem.
fn locks(session: &Session, dir: &Path) -> State {
    match session.world.files.lock(&dir.join("doctor.lock")) {
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

fn files(session: &Session, dir: &Path, fix: bool, add: &mut dyn FnMut(&str, State)) {
    let Ok(paths) = session.world.files.list(dir) else { return };
    // A backup made of hard links: each file has a second name there. Lock files first, or no lease can be had.
    let beside = dir.parent().and_then(|dir| session.world.files.list(dir).ok()).unwrap_or_default();
    let (locks, others): (Vec<_>, Vec<_>) =
        paths.iter().chain(&beside).partition(|path| path.extension().is_some_and(|ext| ext == "lock"));
    for path in locks.into_iter().chain(others).filter(|_| fix) {
        if matches!(session.world.files.separate(path), Ok(true)) {
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
            add("set-aside file", set_aside(session, &path, what, fix));
        }
        if path.extension().is_some_and(|extension| extension == "json") {
            add("login", login(session, &path, fix));
            if let Some(held) = holder(session, &path) {
                add("lease", held);
            }
        }
    }
}

/// A damaged file is kept for whoever can still read something in it. Once there is a login in its place again it
/// is nothing but old tokens.
fn set_aside(session: &Session, path: &Path, what: String, fix: bool) -> State {
    let successor =
        Store::at(&session.world, &path.with_extension("json"), &[]).and_then(|store| store.look());
    let replaced = matches!(successor, Ok(Seen::Record(_)));
    if fix && replaced && session.world.files.remove(path).is_ok() {
        return State::Mended(format!("removed {}: there is a new login in its place", path.display()));
    }
    let hint = if replaced {
        "`keyfob doctor --fix` removes it: there is a new login in its place"
    } else {
        "sign in again if that is still needed; then `keyfob doctor --fix` removes the file"
    };
    State::Wrong(Error::new(Id::StoreCorrupt, what, "it was set aside, not deleted").hint(hint))
}

/// Who has the lease just now. A process that was stopped in the middle keeps it, and everybody else waits.
fn holder(session: &Session, path: &Path) -> Option<State> {
    let store = Store::at(&session.world, path, &[]).ok()?;
    let holder = store.try_lease().ok()?.err()?;
    Some(State::Fine(format!("{holder} holds the lease on {}", path.display())))
}

fn login(session: &Session, path: &Path, fix: bool) -> State {
    let files = &session.world.files;
    if let Err(error) = files.read(path) {
        return mend(fix, path, &error, || files.restrict(path));
    }
    let looked = Store::at(&session.world, path, &[]).and_then(|store| Ok((store.look()?, store)));
    let (seen, store) = match looked {
        Ok(looked) => looked,
        Err(error) => return State::Wrong(error),
    };
    let left = ["next", "recovery"].iter().any(|extension| path.with_extension(extension).exists());
    if left || matches!(seen, Seen::Damaged(_)) {
        // What is written anew is written as the configuration says: that must be understood.
        return unfinished(&store, path, fix && session.setup.problems.is_empty());
    }
    match seen {
        Seen::Record(record) => {
            let refusal = record.refused.as_ref().filter(|r| r.generation == record.generation.number);
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
                    record.generation.number,
                    sealing(&store)
                )),
            }
        }
        Seen::Nothing | Seen::Damaged(_) => State::Fine(format!("{} is empty", path.display())),
    }
}

/// What the login is sealed with, and what it is going to be.
fn sealing(store: &Store) -> String {
    let (is, will_be) = (store.sealed_by().ok().flatten(), store.seals_with());
    let name = |form: Option<KeyStore>| form.map_or("a plain file", KeyStore::name);
    match is {
        Some(key) if is == will_be => format!(", sealed with a key in {}", key.name()),
        None if is == will_be => String::new(),
        _ => format!(", now {}; {} from its next renewal on", name(is), name(will_be)),
    }
}

/// What an interrupted renewal left behind is sorted out by taking the lease and reading.
fn unfinished(store: &Store, path: &Path, fix: bool) -> State {
    let what = format!("{} has something unfinished beside it", path.display());
    match store.try_lease() {
        Err(error) => State::Wrong(error),
        Ok(Err(holder)) => State::Fine(format!("{holder} is renewing {}", path.display())),
        Ok(Ok(_)) if !fix => State::Wrong(
            Error::new(Id::OutcomeUnknown, what, "a renewal was interrupted")
                .hint("run `keyfob doctor --fix`, or let the next renewal sort it out"),
        ),
        Ok(Ok(lease)) => match lease.read() {
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

fn sources(session: &Session) -> State {
    let survey = Survey::of(session, Purpose::Api);
    if let Some(error) = survey.broken {
        return State::Wrong(error);
    }
    let shadowed: Vec<_> = survey
        .considered
        .iter()
        .filter(|c| c.outcome == Outcome::Shadowed)
        .map(|c| c.source.name())
        .collect();
    match survey.winner {
        None => State::Wrong(Error::new(
            Id::LoginNeeded,
            format!("profile `{}`", escape(session.setup.profile_name())),
            "nobody has signed in",
        )),
        Some(winner) if shadowed.is_empty() => State::Fine(format!("{winner} is used, and shadows nothing")),
        Some(winner) => State::Fine(format!("{winner} is used, and comes before {}", shadowed.join(", "))),
    }
}
