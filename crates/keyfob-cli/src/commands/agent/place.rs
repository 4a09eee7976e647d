//! Where the socket of an agent is.

use std::path::{Path, PathBuf};

use keyfob::{
    Error,
    internals::{setup::Setup, world::system::shown},
};

use crate::hand_over::lent::judge;

/// Where the socket is: as chosen, or where things are kept that last as long as the user is logged in.
pub(super) fn chosen(setup: &Setup, chosen: Option<&Path>) -> Result<PathBuf, Error> {
    let Some(path) = chosen else { return usual(setup) };
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    judge(setup, &path, format!("no agent can listen at {}", shown(&path)))?;
    Ok(path)
}

/// The place of the agent that was started without one.
pub(super) fn usual(setup: &Setup) -> Result<PathBuf, Error> {
    Ok(setup.require_home()?.transient().join("agent.sock"))
}
