//! Renews an expired login and saves the result: look, take the lease, read again, reserve space, send one request,
//! commit.
//!
//! A refresh token is single-use: if it is used twice, or the response is lost, the provider revokes the login
//! everywhere (RFC 9700 §4.14.2). So there is a single function that uses one, [`spend`], and it requires a [`Lease`].

pub mod order;
pub mod worker;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use keyfob_core::{
    Error, Id, Record, Result,
    login::{
        due::{self, Ask, Next},
        record::Generation,
        refresh,
    },
    oauth::client_credentials::Proven,
    time::Span,
};

use crate::{
    credential::client_secret,
    store::{Commit, Found, Holder, Lease, Seen, Store},
    world::{Connected, Event, NoAnswer, Request, World},
};

/// How long a process waits for another one's renewal when it has nothing else to use. Longer than
/// [`ANSWER`], so that it is never given up before the outcome is known.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How long the token endpoint may take for its whole answer.
pub const ANSWER: Duration = Duration::from_secs(30);

/// What the caller needs of a login.
#[derive(Clone, Debug, Default)]
pub struct Need {
    /// Seconds the access token must still be good for.
    pub min_valid: i64,
    /// The generation an API answered 401 to: only that one is renewed.
    pub rejected: Option<Generation>,
}

/// A record whose access token may be used.
#[derive(Debug)]
pub struct Usable {
    /// The record.
    pub record: Record,
    /// Why it was not renewed although that was due: the token is still good, but somebody should know.
    pub warning: Option<Error>,
}

/// Who does the spending: this thread, or a process that outlives this one.
pub trait Spender: Send + Sync {
    /// Renews under the lease it is given. Whether it worked is read from the store afterwards.
    ///
    /// # Errors
    /// Why there is no new token.
    fn spend(&self, world: &World, store: &Store, lease: Lease<'_>, need: &Need) -> Result<()>;
}

/// Spends in the calling thread: for hosts, whose own end then ends the renewal with it.
#[derive(Clone, Copy, Debug, Default)]
pub struct InThread;

impl Spender for InThread {
    fn spend(&self, world: &World, _: &Store, lease: Lease<'_>, need: &Need) -> Result<()> {
        spend(world, lease, need)
    }
}

/// A record whose access token is good, renewed if that is due. `None`: nobody signed in.
///
/// With a fresh token this is one read: no lock, no write, no network. Near expiry, whoever finds somebody
/// else renewing uses the token that is still good and does not wait. Nothing here ever deletes or blanks a
/// login.
///
/// # Errors
/// Every reason why there is no usable token now; the record keeps everything that was known.
pub fn usable(world: &World, store: &Store, need: &Need, spender: &dyn Spender) -> Result<Option<Usable>> {
    let usable = at_hand_or_renewed(world, store, need, spender)?;
    Ok(usable.map(|usable| {
        let ask = || ask(world, need, &usable.record, &mut None);
        let short = if need.min_valid > 0 { due::falls_short(&usable.record, &ask()) } else { None };
        Usable { warning: usable.warning.or(short), ..usable }
    }))
}

fn at_hand_or_renewed(
    world: &World,
    store: &Store,
    need: &Need,
    spender: &dyn Spender,
) -> Result<Option<Usable>> {
    let good = |record| Ok(Some(Usable { record, warning: None }));
    let mut waited = Duration::ZERO;
    let mut pause = Duration::from_millis(1);
    let mut failure = None;
    let mut first = None;
    let mut again = false;
    loop {
        let at_hand = match store.look()? {
            // A damaged record has been set aside by this very call: that is the answer, not "nobody".
            Seen::Nothing => return failure.map_or(Ok(None), Err),
            Seen::Damaged(_) => None,
            Seen::Record(record) => match due::next(&record, &ask(world, need, &record, &mut first)) {
                // Still good, but perhaps only because asking is not allowed just now.
                Next::Use => return Ok(Some(Usable { record: *record, warning: failure })),
                // What this process just tried itself says more than the mark it left.
                Next::Stop(error) => return Err(failure.unwrap_or(error)),
                Next::Early => Some(*record),
                Next::Renew => None,
            },
        };
        if let Some(error) = failure {
            return match at_hand {
                Some(record) => Ok(Some(Usable { record, warning: Some(error) })),
                None => Err(error),
            };
        }
        let busy = match store.try_lease() {
            Ok(Ok(lease)) => match settle(world, store, lease, need, &mut first, spender) {
                Ok(Some(record)) => match due::next(&record, &ask(world, need, &record, &mut first)) {
                    // The machine slept until the token that it had asked for was over, or its clock was put forward.
                    Next::Renew if !again => {
                        again = true;
                        continue;
                    }
                    Next::Renew => return Err(over(&record)),
                    _ => return good(record),
                },
                Ok(None) => return Ok(None),
                // Between this look and the worker's, somebody on the other side of a mount was faster.
                Err(error) if error.id() == Id::LeaseBusy => error,
                Err(error) => {
                    failure = Some(error);
                    continue;
                }
            },
            Ok(Err(holder)) => busy(&holder, waited),
            // No lease, no renewal: what cannot be saved is not spent.
            Err(error) => {
                failure = Some(error);
                continue;
            }
        };
        if let Some(record) = at_hand {
            return good(record);
        }
        if waited >= PATIENCE {
            return Err(busy);
        }
        world.clock.sleep(pause);
        waited += pause;
        pause = (pause * 2).min(Duration::from_millis(32));
    }
}

/// With the lease in hand: read again, adopt if somebody was faster, else have it renewed.
fn settle(
    world: &World,
    store: &Store,
    lease: Lease<'_>,
    need: &Need,
    first: &mut Option<Generation>,
    spender: &dyn Spender,
) -> Result<Option<Record>> {
    let Some(record) = found(&lease)? else { return Ok(None) };
    match due::next(&record, &ask(world, need, &record, first)) {
        Next::Use => return Ok(Some(record)),
        Next::Stop(error) => return Err(error),
        Next::Early | Next::Renew => {}
    }
    // What cannot be asked is not begun.
    if let Err(error) = world.http.ready().and_then(|()| spender.spend(world, store, lease, need)) {
        // Renewed, but the disk took it only in another place: the token is as good as any. The old one is not
        // meant: that it could not be renewed must be said.
        let kept = if error.id() == Id::StoreFailed { mended(world, store, need, first)? } else { None };
        let kept = kept.filter(|kept| kept.generation != record.generation);
        return kept.map_or(Err(error), |kept| Ok(Some(kept)));
    }
    match store.look()? {
        Seen::Record(record) => match due::next(&record, &ask(world, need, &record, first)) {
            Next::Stop(error) => Err(error),
            // Fresh, or as fresh as this provider makes them: asking again at once would be a loop.
            Next::Use | Next::Early => Ok(Some(*record)),
            Next::Renew if refresh::has_ended(&record) => Err(over(&record)),
            Next::Renew => Ok(Some(*record)),
        },
        Seen::Nothing => Ok(None),
        // Since then somebody has died while writing it in place.
        Seen::Damaged(why) => match mended(world, store, need, first)? {
            Some(record) => Ok(Some(record)),
            None => Err(Error::new(Id::StoreCorrupt, store.path().display().to_string(), why)),
        },
    }
}

fn over(record: &Record) -> Error {
    let what = format!("the login of profile `{}` at {}", record.profile, record.issuer);
    Error::new(Id::AnswerInvalid, what, "the new access token had expired when it arrived")
}

/// The newest record there is, sorted out under the lease, if nobody else has that and its token can be used.
fn mended(
    world: &World,
    store: &Store,
    need: &Need,
    first: &mut Option<Generation>,
) -> Result<Option<Record>> {
    let Ok(lease) = store.try_lease()? else { return Ok(None) };
    let usable = |record: &Record, first: &mut _| {
        matches!(due::next(record, &ask(world, need, record, first)), Next::Use | Next::Early)
    };
    Ok(found(&lease)?.filter(|record| usable(record, first)))
}

fn found(lease: &Lease<'_>) -> Result<Option<Record>> {
    match lease.read()? {
        Found::Nothing => Ok(None),
        Found::Record(record) => Ok(Some(*record)),
        Found::SetAside(path) => {
            let why = format!("the file was damaged and has been kept as {}", path.display());
            Err(Error::new(Id::StoreCorrupt, "the stored login cannot be read", why))
        }
    }
}

/// The question for this record. `first` remembers the generation this call found to begin with: once it has
/// been replaced, the newer token is taken as it is. Otherwise a wish for more validity than the provider ever
/// gives would make every waiting process renew in turn.
pub fn ask(world: &World, need: &Need, record: &Record, first: &mut Option<Generation>) -> Ask {
    let replaced = *first.get_or_insert_with(|| record.generation.clone()) != record.generation;
    Ask {
        now: world.clock.now(),
        // Asked of the system only where it matters: not on the way of an ordinary fresh token.
        kernel: if record.clocks.is_empty() { None } else { world.clock.kernel() },
        min_valid: if replaced { 0 } else { need.min_valid },
        jitter: u16::try_from(std::process::id() % 1001).unwrap_or(0),
        rejected: need.rejected.clone(),
    }
}

/// Waits for the lease, as sign-in and sign-out do: they commit under it like renewals.
///
/// # Errors
/// [`Id::LeaseBusy`] after [`PATIENCE`], naming the holder; why the disk does not accept writing.
pub fn wait_for_lease<'s>(world: &World, store: &'s Store) -> Result<Lease<'s>> {
    let mut waited = Duration::ZERO;
    let mut pause = Duration::from_millis(1);
    loop {
        match store.try_lease()? {
            Ok(lease) => return Ok(lease),
            Err(holder) if waited >= PATIENCE => return Err(busy(&holder, waited)),
            Err(_) => {
                world.clock.sleep(pause);
                waited += pause;
                pause = (pause * 2).min(Duration::from_millis(32));
            }
        }
    }
}

pub(crate) fn busy(holder: &Holder, waited: Duration) -> Error {
    let why = format!("{holder} has held the lease on it for {} s", waited.as_secs());
    Error::new(Id::LeaseBusy, "the login could not be renewed", why)
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
pub fn without_worker(world: &World, lease: Lease<'_>, need: &Need, began: Began) -> Result<()> {
    let before = lease.peek()?;
    let asked = before.as_ref().is_some_and(|record| lease.was_asked(record).unwrap_or(true));
    let Some(record) = found(&lease)? else { return Ok(()) };
    if before.is_some_and(|before| before.generation != record.generation) {
        // It had the answer, and was ended before it said so.
        return Ok(());
    }
    if asked {
        let what = "the outcome of renewing the login is unknown";
        let why = "the process that was renewing it was ended from outside after it had asked the provider";
        return Err(Error::new(Id::OutcomeUnknown, what, why));
    }
    match began {
        Began::Never => spend(world, lease, need),
        Began::Yes => match due::next(&record, &ask(world, need, &record, &mut None)) {
            Next::Use => Ok(()),
            Next::Stop(error) => Err(error),
            Next::Early | Next::Renew => {
                let why = "the process that was renewing it was ended from outside before it had asked the provider";
                Err(Error::new(Id::RenewalEnded, "the login was not renewed", why))
            }
        },
    }
}

/// The only place that spends a refresh token: once, under the lease, with room made for the answer. Whatever
/// the outcome, it is committed, so that the next process knows.
///
/// # Errors
/// Why there is no new token. [`Id::StoreFailed`] when there is one that no place on the disk took.
pub fn spend(world: &World, lease: Lease<'_>, need: &Need) -> Result<()> {
    let Some(record) = found(&lease)? else { return Ok(()) };
    match due::next(&record, &ask(world, need, &record, &mut None)) {
        Next::Use => return Ok(()),
        Next::Stop(error) => return Err(error),
        Next::Early | Next::Renew => {}
    }
    let Some(url) = record.endpoints.token_url.clone() else {
        let what = format!("the login of profile `{}`", record.profile);
        return Err(Error::new(Id::StoreCorrupt, what, "its record names no token endpoint"));
    };
    let form = refresh::request(&record)?;
    // Before anything is written down: without the client's secret nothing is asked, and nothing is spent.
    let (at, client_id) = (record.secret_at.as_ref(), &record.client_id);
    let proven = client_secret::authenticated(world, &record.environment, at, client_id, form)?;
    // Before the request: between its answer and the disk nothing else is done.
    let kernel = world.clock.kernel();
    let asked = lease.prepare(&record)?;
    (world.observe)(Event::RenewalBegan);
    let outcome = ask_and_commit(world, lease, record, &asked, Asking { url, proven, kernel });
    (world.observe)(Event::RenewalEnded { failed: outcome.as_ref().err().map(Error::id) });
    outcome
}

/// A request that is ready to go, and the kernel whose clock its answer is held against.
struct Asking {
    url: String,
    proven: Proven,
    kernel: Option<String>,
}

fn ask_and_commit(
    world: &World,
    lease: Lease<'_>,
    record: Record,
    say_asked: &Connected,
    Asking { url, proven, kernel }: Asking,
) -> Result<()> {
    let request = Request {
        method: "POST",
        url: &url,
        headers: proven.authorization.map(|value| ("Authorization", value)).into_iter().collect(),
        body: Some(("application/x-www-form-urlencoded", proven.body)),
        timeout: ANSWER,
    };
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
    let asked = world.clock.now();
    let answer = world.http.send_when(&request, note);
    match (refused.get(), &answer) {
        // What cannot be noted is not asked.
        (Some(error), Err(NoAnswer { sent: false, .. })) => return Err(lease.withdraw(error)),
        (None, Err(NoAnswer { sent: false, system: true, why, .. })) => {
            lease.take_back();
            let what = format!(
                "the login of profile `{}` at {} could not be renewed",
                record.profile, record.issuer
            );
            return Err(Error::new(Id::SystemFailed, what, why.clone()));
        }
        _ => {}
    }
    let now = world.clock.now();
    let after = match answer {
        Ok(answer) => refresh::renewed(record, &answer.reply, Span { asked, answered: now }, kernel),
        // What was rotated may be in the part that came.
        Err(NoAnswer { part: Some(part), .. }) => {
            refresh::renewed(record, &part, Span { asked, answered: now }, kernel)
        }
        Err(no_answer) => {
            let now = world.clock.ahead(&record).theirs(now);
            refresh::unanswered(record, no_answer.sent, &no_answer.why, now)
        }
    };
    match (lease.commit(&after.record)?, after.error) {
        (_, Some(error)) => Err(error),
        (Commit::Durable, None) => Ok(()),
        (Commit::Recovered(path), None) => {
            let why = format!("the disk refused it; it was kept in {}", path.display());
            Err(Error::new(Id::StoreFailed, "the login was renewed but could not be put in its place", why)
                .hint("try again: the next run adopts the kept file"))
        }
    }
}
