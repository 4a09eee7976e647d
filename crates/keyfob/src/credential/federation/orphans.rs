//! What was exchanged for a login that is there no more. Nobody is given it, but it is on the disk, and alive at the provider until its end.

use keyfob_core::Result;

use crate::{
    provider::revoke,
    renewal,
    session::Session,
    store::{Found, Seen, Store},
};

/// Ends what the access tokens of a login that is gone were exchanged for, and what is left of earlier ones. It comes after the end of the
/// login: an exchange that was begun before holds the lease that is waited for here, and none begins after it. What fails
/// here must not keep anybody from signing out; it is tried again when the next login ends.
pub(crate) fn end(session: &Session, gone: Option<&str>, revoke: bool) {
    let all = || session.logins().and_then(|logins| logins.list()).map(|listed| listed.stores);
    let Ok(stores) = all() else { return };
    let narrowed: Vec<_> = stores.iter().filter_map(|store| Some((store, login_of(&**store)?))).collect();
    if narrowed.is_empty() {
        return;
    }
    // Looked for only now: whatever was exchanged for a login that has come meanwhile is that one's.
    let logins = all().ok().and_then(|stores| {
        let of_login = |store: &dyn Store| match store.look() {
            Ok(Seen::Record(record)) => Some(Some(record.generation.login().to_owned())),
            Ok(Seen::Nothing) => Some(None),
            // It may be of any login.
            Ok(Seen::Damaged(_)) | Err(_) => None,
        };
        let logins = stores.iter().filter(|store| !store.is_federated());
        logins.map(|store| of_login(&**store)).collect::<Option<Vec<_>>>()
    });
    let is_left = |login: &str| {
        gone != Some(login)
            && logins.as_ref().is_none_or(|logins| logins.iter().flatten().any(|known| known == login))
    };
    for (store, login) in narrowed.into_iter().filter(|(_, login)| !is_left(login)) {
        let _ = end_one(session, &**store, &login, revoke);
    }
}

/// The login that the record of this store was got for, if it was for one.
fn login_of(store: &dyn Store) -> Option<String> {
    if !store.is_federated() {
        return None;
    }
    match store.look() {
        Ok(Seen::Record(record)) => record.federated?.login,
        _ => None,
    }
}

fn end_one(session: &Session, store: &dyn Store, login: &str, revoke: bool) -> Result<()> {
    let lease = renewal::wait_for_lease(&session.world, store)?;
    let Found::Record(record) = lease.read()? else { return Ok(()) };
    // Another login may have taken its place meanwhile.
    if !super::narrowed::is_of(&record, login) {
        return Ok(());
    }
    if revoke && record.access_token.is_some() {
        revoke::revoke(session, &record);
    }
    lease.erase()
}
