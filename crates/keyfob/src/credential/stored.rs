//! The stored login, and the credential of a machine that stands in for one.

use keyfob_core::Result;

use crate::{
    credential::{
        look::{Look, login_store, nobody},
        machine,
    },
    renewal::{self, Need, Usable},
    session::Session,
};

/// What the stored login came to.
pub(crate) enum Stored {
    /// A login with a token that is good.
    Usable(Box<Usable>),
    /// None, and why.
    Not(Look),
}

/// The stored login, renewed if that is due. What a look and an acquisition do for other sources happens in one
/// reading here: this is the way most runs take, many times an hour.
pub(crate) fn stored(session: &Session, need: &Need) -> Result<Stored> {
    let store = match login_store(session) {
        Ok(store) => store,
        Err(look) => return Ok(Stored::Not(look)),
    };
    let machine = session.environment().ok().and_then(|environment| environment.machine.as_ref());
    let usable = match machine {
        Some(machine) => machine::usable(session, &*store, machine, need)?,
        None => renewal::usable(&session.world, &*store, need, &*session.spender)?,
    };
    Ok(usable.map_or_else(|| Stored::Not(nobody(session)), |usable| Stored::Usable(Box::new(usable))))
}
