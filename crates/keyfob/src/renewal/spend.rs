//! Spends a refresh token.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use keyfob_core::{
    Cause, Error, Id, Record, Result,
    login::{due::Next, refresh},
    oauth::{client_auth::SecretAt, token_request::Encoded},
};

use super::{
    asking::{Asking, Need},
    lease::found,
};
use crate::{
    credential::client_auth::Party,
    provider,
    store::{Commit, Lease, Store},
    world::{Connected, Event, NoAnswer, World},
};

/// How long the token endpoint may take for its whole answer.
pub const ANSWER: Duration = Duration::from_secs(30);

/// Who does the spending: this thread, or a process that outlives this one.
pub trait Spender: Send + Sync {
    /// Renews under the lease it is given. Whether it worked is read from the store afterwards.
    ///
    /// # Errors
    /// Why there is no new token.
    fn spend(&self, world: &World, store: &dyn Store, lease: Box<dyn Lease + '_>, need: &Need) -> Result<()>;
}

/// Spends in the calling thread: for hosts, whose own end then ends the renewal with it.
#[derive(Clone, Copy, Debug, Default)]
pub struct InThread;

impl Spender for InThread {
    fn spend(&self, world: &World, _: &dyn Store, lease: Box<dyn Lease + '_>, need: &Need) -> Result<()> {
        spend(world, lease, need)
    }
}

/// How far the process that was to renew has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Began {
    /// It could not be started, or was not the program it should be.
    Never,
    /// It began, and ended without a report.
    Yes,
}

/// Goes on where a process that was to renew does not report: what it left beside the record says how far it came. The
/// lease is this process's as much as it was the other's.
///
/// # Errors
/// As [`spend`]; [`Id::OutcomeUnknown`] when it had asked, [`Id::RenewalEnded`] when it was ended before.
pub fn without_worker(world: &World, lease: Box<dyn Lease + '_>, need: &Need, began: Began) -> Result<()> {
    let before = lease.peek()?;
    let asked = before.as_ref().is_some_and(|record| lease.was_asked(record).unwrap_or(true));
    let Some(record) = found(&*lease)? else { return Ok(()) };
    if before.is_some_and(|before| before.generation != record.generation) {
        // It had the answer, and was ended before it said so.
        return Ok(());
    }
    if asked {
        let what = "the outcome of renewing the login is unknown";
        let why = "the process that was renewing it was ended from outside after it had asked the provider";
        return Err(Error::new(Id::OutcomeUnknown, what, why).because(Cause::Uncertain {}));
    }
    match began {
        Began::Never => spend(world, lease, need),
        Began::Yes => match Asking::new(world, need).next(&record) {
            Next::Use => Ok(()),
            Next::Stop(error) => Err(error),
            Next::Early | Next::Renew => {
                let why = "the process that was renewing it was ended from outside before it had asked the provider";
                Err(Error::new(Id::RenewalEnded, "the login was not renewed", why))
            }
        },
    }
}

/// The only place that spends a refresh token: once, under the lease, with space reserved for the answer. The
/// outcome is committed in any case, so that the next process knows.
///
/// # Errors
/// Why there is no new token. [`Id::StoreFailed`] when there is one that no place on the disk took.
pub fn spend(world: &World, lease: Box<dyn Lease + '_>, need: &Need) -> Result<()> {
    let Some(record) = found(&*lease)? else { return Ok(()) };
    match Asking::new(world, need).next(&record) {
        Next::Use => return Ok(()),
        Next::Stop(error) => return Err(error),
        Next::Early | Next::Renew => {}
    }
    let Some(url) = record.endpoints.token_url.clone() else {
        let what = format!("the login of profile `{}` cannot be renewed", record.profile);
        return Err(Error::new(Id::StoreCorrupt, what, "its record names no token endpoint"));
    };
    let request = refresh::request(&record)?;
    // Before anything is written down: without the client's secret or key nothing is asked, and nothing is spent.
    let proof = Party::of(&record).proof(world, record.secret_at.as_ref(), world.clock.ahead(&record));
    let auth = match proof {
        Ok(auth) => auth,
        Err(error) => {
            if record.secret_at.as_ref().is_some_and(SecretAt::is_asked) {
                // A command is not run by every call: some ask a person, or a service that locks. Where this cannot be
                // noted, what failed first is told nevertheless.
                let now = world.clock.ahead(&record).theirs(world.clock.now());
                drop(lease.commit(&refresh::unanswered(record, false, error.why(), now).record));
            }
            return Err(error);
        }
    };
    let request = request.encode(auth.as_ref(), &record.dialect);
    // Before the request: between its answer and the disk nothing else is done.
    let kernel = world.clock.kernel();
    let asked = lease.prepare(&record)?;
    (world.observe)(Event::RenewalBegan);
    let outcome = ask_and_commit(world, lease, record, &asked, Prepared { url, request, kernel });
    (world.observe)(Event::RenewalEnded { failed: outcome.as_ref().err().map(Error::id) });
    outcome
}

/// A request that is ready to go, and the kernel whose clock its answer is held against.
struct Prepared {
    url: String,
    request: Encoded,
    kernel: Option<String>,
}

fn ask_and_commit(
    world: &World,
    lease: Box<dyn Lease + '_>,
    record: Record,
    say_asked: &Connected,
    Prepared { url, request, kernel }: Prepared,
) -> Result<()> {
    let refused = Arc::new(OnceLock::new());
    let note: Connected = {
        let (say_asked, refused) = (say_asked.clone(), refused.clone());
        Arc::new(move || {
            say_asked().map_err(|error| {
                let kind = error.kind();
                let _ = refused.set(error);
                kind.into()
            })
        })
    };
    let answer = provider::post(world, &url, request).within(ANSWER).send_when(note);
    match (refused.get(), &answer) {
        // What cannot be noted is not asked.
        (Some(error), Err(NoAnswer { sent: false, .. })) => return Err(lease.withdraw(error)),
        (None, Err(NoAnswer { sent: false, system: true, why, .. })) => {
            lease.take_back();
            let what = format!(
                "the login of profile `{}` at {} could not be renewed",
                record.profile, record.issuer
            );
            return Err(Error::new(Id::SystemFailed, what, why.clone()).because(Cause::MachineShort {}));
        }
        _ => {}
    }
    let now = world.clock.now();
    let after = match answer {
        Ok(answer) => refresh::renewed(record, &answer.reply, now, kernel),
        // What was rotated may be in the part that came.
        Err(NoAnswer { part: Some(part), .. }) => refresh::renewed(record, &part, now, kernel),
        Err(no_answer) => {
            let now = world.clock.ahead(&record).theirs(now);
            let after = refresh::unanswered(record, no_answer.sent, &no_answer.why, now);
            // If the request may have arrived, the unknown outcome matters more than the cause.
            let cause = no_answer.cause.filter(|_| !no_answer.sent).map(|cause| *cause);
            refresh::After { error: after.error.map(|error| error.maybe_because(cause)), ..after }
        }
    };
    match (lease.commit(&after.record)?, after.error) {
        (_, Some(error)) => Err(error),
        (Commit::Durable, None) => Ok(()),
        (Commit::Recovered(path), None) => {
            let why = format!("the disk refused it; it was kept in {}", path.display());
            Err(Error::new(Id::StoreFailed, "the login was renewed but could not be put in its place", why)
                .because(Cause::RecoveredElsewhere { path: path.to_string_lossy().into_owned() }))
        }
    }
}
