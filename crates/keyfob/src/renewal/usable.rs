//! A token that is usable now: the stored one, or a renewed one.

use std::time::Duration;

use keyfob_core::{
    Cause, Error, Id, Record, Result,
    login::{
        due::{self, Next},
        refresh,
    },
};

use super::{
    asking::{Asking, Need},
    lease::{PATIENCE, busy, found},
    spend::Spender,
};
use crate::{
    lasting::{self, Wait},
    store::{Lease, Leased, Seen, Store},
    world::{World, waiting::Waiting},
};

/// A record whose access token may be used.
#[derive(Debug)]
pub struct Usable {
    /// The record.
    pub record: Record,
    /// Why it was not renewed although that was due: the token is still good, but the user should know.
    pub warning: Option<Error>,
}

/// A record whose access token is good, renewed if that is due. `None`: there is no login.
///
/// With a fresh token this is one read: no lock, no write, no network. Near expiry, a process that finds
/// another one renewing uses the token that is still good and does not wait. Nothing here ever deletes or
/// blanks a login.
///
/// # Errors
/// Every reason why there is no usable token now; the record keeps everything that was known.
pub fn usable(
    world: &World,
    store: &dyn Store,
    need: &Need,
    spender: &dyn Spender,
) -> Result<Option<Usable>> {
    let usable = at_hand_or_renewed(world, store, need, spender)?;
    Ok(usable.map(|usable| {
        let short = Asking::new(world, need).falls_short(&usable.record);
        // Its token may be good until it expires, but the user should know that no other will follow.
        let ended = || due::ended(&usable.record);
        Usable { warning: usable.warning.or(short).or_else(ended), ..usable }
    }))
}

fn at_hand_or_renewed(
    world: &World,
    store: &dyn Store,
    need: &Need,
    spender: &dyn Spender,
) -> Result<Option<Usable>> {
    let good = |record| Ok(Some(Usable { record, warning: None }));
    let patience = need.patience.map_or(PATIENCE, |patience| patience.min(PATIENCE));
    let mut waited = Duration::ZERO;
    let mut pause = Duration::from_millis(1);
    let mut failure = None;
    let mut asking = Asking::new(world, need);
    let mut again = false;
    let mut wait = Wait::new(world);
    loop {
        let at_hand = match store.look()? {
            // A damaged record has been set aside by this very call: that is the answer, not "no login".
            Seen::Nothing => return failure.map_or(Ok(None), Err),
            Seen::Damaged(_) => None,
            Seen::Record(record) => match asking.next(&record) {
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
            Ok(Leased::Lease(lease)) => match settle(world, store, lease, need, &mut asking, spender) {
                Ok(Some(record)) => match asking.next(&record) {
                    // The machine slept until the token that it had asked for was over, or its clock was put forward.
                    Next::Renew if !again => {
                        again = true;
                        continue;
                    }
                    Next::Renew => return Err(over(&record)),
                    _ => return good(record),
                },
                Ok(None) => return Ok(None),
                // Between this look and the worker's, a process on the other side of a mount was faster.
                Err(error) if error.id() == Id::LeaseBusy => error,
                Err(error) => {
                    failure = Some(error);
                    continue;
                }
            },
            Ok(Leased::Busy(holder)) => {
                if at_hand.is_none() {
                    wait.look(|| Waiting::Lease { holder: holder.to_string() });
                }
                busy(&holder, waited)
            }
            // No lease, no renewal: what cannot be saved is not spent.
            Err(error) => {
                failure = Some(error);
                continue;
            }
        };
        if let Some(record) = at_hand {
            return good(record);
        }
        if waited >= patience {
            return Err(busy);
        }
        world.clock.sleep(pause);
        waited += pause;
        pause = (pause * 2).min(Duration::from_millis(32));
    }
}

/// With the lease held: read again, adopt if another process was faster, else have it renewed.
fn settle(
    world: &World,
    store: &dyn Store,
    lease: Box<dyn Lease + '_>,
    need: &Need,
    asking: &mut Asking<'_>,
    spender: &dyn Spender,
) -> Result<Option<Record>> {
    let Some(record) = found(&*lease)? else { return Ok(None) };
    match asking.next(&record) {
        Next::Use => return Ok(Some(record)),
        Next::Stop(error) => return Err(error),
        Next::Early | Next::Renew => {}
    }
    // What cannot be asked is not begun.
    let what = || Waiting::Renewal { profile: record.profile.clone(), issuer: record.issuer.clone() };
    let spend = || lasting::during(world, what, || spender.spend(world, store, lease, need));
    if let Err(error) = world.http.ready().and_then(|()| spend()) {
        // Renewed, but the disk took it only in another place: the token is as good as any. The old one is not
        // meant: that it could not be renewed must be said.
        let kept = if error.id() == Id::StoreFailed { mended(store, asking)? } else { None };
        let kept = kept.filter(|kept| kept.generation != record.generation);
        return kept.map_or(Err(error), |kept| Ok(Some(kept)));
    }
    match store.look()? {
        Seen::Record(record) => match asking.next(&record) {
            Next::Stop(error) => Err(error),
            // Fresh, or as fresh as this provider makes them: asking again at once would be a loop.
            Next::Use | Next::Early => Ok(Some(*record)),
            Next::Renew if refresh::has_ended(&record) => Err(over(&record)),
            Next::Renew => Ok(Some(*record)),
        },
        Seen::Nothing => Ok(None),
        // Since then a process has died while writing it in place.
        Seen::Damaged(why) => match mended(store, asking)? {
            Some(record) => Ok(Some(record)),
            None => Err(Error::new(
                Id::StoreCorrupt,
                format!("the login in {} cannot be read", store.path().display()),
                why,
            )),
        },
    }
}

fn over(record: &Record) -> Error {
    let what = format!("{} could not be renewed", due::title(record));
    let why = "the new access token had expired when it arrived";
    Error::new(Id::AnswerInvalid, what, why).because(Cause::TokenEnded {})
}

/// The newest record there is, recovered under the lease, if no other process has that and its token can be used.
fn mended(store: &dyn Store, asking: &mut Asking<'_>) -> Result<Option<Record>> {
    let Leased::Lease(lease) = store.try_lease()? else { return Ok(None) };
    Ok(found(&*lease)?.filter(|record| matches!(asking.next(record), Next::Use | Next::Early)))
}
