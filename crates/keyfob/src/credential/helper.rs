//! The API key helper: a configured command whose output is an API key. All processes share its output until it
//! expires, and only one of them runs the command at a time. Failures are remembered briefly, and never as a key.

use std::{path::PathBuf, time::Duration};

use keyfob_core::{Cause, Error, Id, Result, Secret, secret::strip_newline};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::world::failure;
use crate::{
    credential::command,
    lasting::Wait,
    session::Session,
    world::{Event, Lock, World, waiting::Waiting},
};

/// How long a failure is remembered, so that fifty processes do not run into it one after the other.
const FAILURE_MS: i64 = 5_000;
/// How long to wait for another process's run: longer than a run may take.
const PATIENCE: Duration = Duration::from_secs(70);

/// What the last run came to.
#[derive(Serialize, Deserialize)]
struct Memory {
    /// When, in milliseconds by the wall clock.
    at: i64,
    /// The key.
    key: Option<Zeroizing<String>>,
    /// Why there is none.
    failure: Option<String>,
}

/// The key: remembered, or from a run now.
///
/// # Errors
/// [`Id::HelperFailed`].
pub(crate) fn run(session: &Session) -> Result<Secret> {
    let Some(command) = &session.setup.config.api_key_helper else {
        return Err(failed("the configuration names none"));
    };
    let ttl = session.setup.settings.helper_ttl_ms;
    let place = place(session, command)?;
    let world = &session.world;
    match recall(world, &place, ttl) {
        Recalled::Nothing => {}
        Recalled::Key(key) => return Ok(key),
        Recalled::Failure(error) => return Err(error),
    }
    let _alone = alone(world, &place)?;
    // Perhaps another process was faster.
    match recall(world, &place, ttl) {
        Recalled::Nothing => {}
        Recalled::Key(key) => return Ok(key),
        Recalled::Failure(error) => return Err(error),
    }
    let outcome = observed(world, command);
    remember(world, &place, ttl, &outcome);
    outcome
}

/// A key from a run now, whatever is remembered: to learn whether the command works. It is remembered like any other.
///
/// # Errors
/// [`Id::HelperFailed`].
pub(crate) fn tried(session: &Session) -> Result<Secret> {
    let Some(command) = &session.setup.config.api_key_helper else {
        return Err(failed("the configuration names none"));
    };
    let place = place(session, command)?;
    let _alone = alone(&session.world, &place)?;
    let outcome = run_now(&session.world, command);
    remember(&session.world, &place, session.setup.settings.helper_ttl_ms, &outcome);
    outcome
}

/// Another key for a rejected one, named by its fingerprint: from one run, or from another process's run since.
///
/// # Errors
/// [`Id::HelperFailed`], also when it gives the rejected key again: running it once more would not help.
pub(crate) fn run_again(session: &Session, rejected: &str) -> Result<Secret> {
    let Some(command) = &session.setup.config.api_key_helper else {
        return Err(failed("the configuration names none"));
    };
    let ttl = session.setup.settings.helper_ttl_ms;
    let place = place(session, command)?;
    let world = &session.world;
    let _alone = alone(world, &place)?;
    match recall(world, &place, ttl) {
        Recalled::Key(key) if key.fingerprint() != rejected => return Ok(key),
        Recalled::Failure(error) => return Err(error),
        Recalled::Key(_) | Recalled::Nothing => {}
    }
    let outcome = observed(world, command).and_then(|key| {
        if key.fingerprint() == rejected {
            return Err(failed("it gave the rejected key again"));
        }
        Ok(key)
    });
    remember(world, &place, ttl, &outcome);
    outcome
}

/// Where keys are remembered, below the directory that does not outlast the session.
const DIRECTORY: &str = "helper";

/// Forgets what is remembered for this profile: it was signed out.
///
/// # Errors
/// The disk's.
pub(crate) fn forget(session: &Session) -> Result<()> {
    let Some(command) = &session.setup.config.api_key_helper else { return Ok(()) };
    let place = place(session, command)?;
    session.world.files.remove(&place).map_err(|error| failed(&error.to_string()))
}

/// Forgets every remembered key of this home. What could not be forgotten.
///
/// # Errors
/// There is no home.
pub(crate) fn forget_all(session: &Session) -> Result<Vec<Error>> {
    let dir = session.setup.require_home()?.transient().join(DIRECTORY);
    let files = &session.world.files;
    let remembered = match files.list(&dir) {
        Ok(remembered) => remembered,
        Err(error) => {
            return Ok(vec![failure::failed_at(
                Id::StoreFailed,
                format!("cannot list {}", dir.display()),
                &dir,
                error,
            )]);
        }
    };
    let kept = remembered.iter().filter(|path| path.extension().is_some_and(|found| found == "json"));
    let failed = kept.filter_map(|path| {
        let error = files.remove(path).err()?;
        Some(failure::failed_at(
            Id::StoreFailed,
            format!("the key remembered in {} could not be forgotten", path.display()),
            path,
            error,
        ))
    });
    Ok(failed.collect())
}

/// Where the memory of this command is: another profile, or other values of the variables the configuration
/// names, make it another one.
fn place(session: &Session, command: &str) -> Result<PathBuf> {
    let home = session.setup.require_home()?;
    let values = |name: &String| [name.clone(), session.world.helper.variable(name).unwrap_or_default()];
    let variables: Vec<String> = session.setup.config.api_key_helper_env.iter().flat_map(values).collect();
    let texts = [command, session.setup.profile()?].into_iter().chain(variables.iter().map(String::as_str));
    let name = keyfob_core::digest::name_of(texts);
    let dir = home.transient().join(DIRECTORY);
    let files = &session.world.files;
    files.make_dir(&dir).and_then(|()| files.check_dir(&dir, true)).map_err(|error| {
        failure::failed_at(
            Id::StoreUnsafe,
            format!("cannot remember a key in {}", dir.display()),
            &dir,
            error,
        )
    })?;
    Ok(dir.join(format!("{name}.json")))
}

/// What is remembered of the last run.
enum Recalled {
    /// Nothing that still counts.
    Nothing,
    /// The key it gave.
    Key(Secret),
    /// Why it gave none, or why what is remembered is no key.
    Failure(Error),
}

fn recall(world: &World, place: &std::path::Path, ttl: u64) -> Recalled {
    match memory(world, place, ttl) {
        None | Some(Memory { key: None, failure: None, .. }) => Recalled::Nothing,
        Some(Memory { key: Some(key), .. }) => match Secret::visible(&key) {
            Ok(key) => Recalled::Key(key),
            Err(why) => Recalled::Failure(failed(why.as_str())),
        },
        Some(Memory { failure: Some(why), .. }) => {
            Recalled::Failure(failed(&format!("{why} (remembered for a moment)")))
        }
    }
}

/// What was written down of the last run, while it counts.
fn memory(world: &World, place: &std::path::Path, ttl: u64) -> Option<Memory> {
    // 0 means never, and a failure is no exception.
    if ttl == 0 {
        return None;
    }
    let bytes = world.files.read(place).ok()??;
    let memory: Memory = serde_json::from_slice(&bytes).ok()?;
    let age = world.clock.millis().checked_sub(memory.at)?;
    let lasts = match memory.key {
        Some(_) => i64::try_from(ttl).unwrap_or(i64::MAX),
        None => FAILURE_MS,
    };
    // From the future: the clock was stepped back, and its age is unknown.
    (0..lasts).contains(&age).then_some(memory)
}

#[expect(clippy::disallowed_methods, reason = "the remembered key goes into a file of this user's alone")]
fn remember(world: &World, place: &std::path::Path, ttl: u64, outcome: &Result<Secret>) {
    if ttl == 0 {
        return;
    }
    let memory = Memory {
        at: world.clock.millis(),
        key: outcome.as_ref().ok().map(|key| Zeroizing::new(key.expose().to_owned())),
        failure: outcome.as_ref().err().map(|error| error.why().to_owned()),
    };
    // Not being able to remember costs a run, not the key.
    if let Ok(bytes) = serde_json::to_vec(&memory).map(Zeroizing::new) {
        let _ = world.files.write(place, &bytes);
    }
}

fn alone(world: &World, place: &std::path::Path) -> Result<Box<dyn crate::world::Held>> {
    let lock = place.with_extension("lock");
    let mut waited = Duration::ZERO;
    let pause = Duration::from_millis(10);
    let mut wait = Wait::new(world);
    loop {
        match world.files.lock(&lock) {
            Ok(Lock::Held(held)) => return Ok(held),
            Ok(_) if waited < PATIENCE => {
                wait.look(|| Waiting::HelperOf { holder: holder(world, &lock) });
                world.clock.sleep(pause);
                waited += pause;
            }
            Ok(_) => {
                let holder = holder(world, &lock);
                return Err(failed(&format!("{holder} has been running it for {} s", PATIENCE.as_secs())));
            }
            Err(error) => return Err(failed(&error.to_string())),
        }
    }
}

fn holder(world: &World, lock: &std::path::Path) -> String {
    world.files.holder(lock).unwrap_or_else(|| "another process".into())
}

fn observed(world: &World, command: &str) -> Result<Secret> {
    (world.observe)(Event::HelperBegan);
    let outcome = run_now(world, command);
    (world.observe)(Event::HelperEnded { failed: outcome.as_ref().err().map(Error::id) });
    outcome
}

fn run_now(world: &World, command: &str) -> Result<Secret> {
    let output = command::output(world, "api_key_helper", command).map_err(|why| failed(&why))?;
    let text = std::str::from_utf8(&output).map_err(|_| failed("its output is not text"))?;
    Secret::visible(strip_newline(text)).map_err(|why| failed(&format!("its output {why}")))
}

fn failed(why: &str) -> Error {
    Error::new(Id::HelperFailed, "the configured api_key_helper gave no key", why)
        .because(Cause::CommandFailed { key: "api_key_helper".into() })
}
