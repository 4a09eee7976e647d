//! Where the socket of an agent is.

use std::{
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use keyfob::{
    Error,
    internals::{
        core::Id,
        setup::Setup,
        world::system::{env as environment, fd, shown},
    },
};

use keyfob_serve::Sink;

use crate::{args::Kept, hand_over::lent::judge};

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

/// A file to keep fresh, where no repository and nobody else has put something.
pub(super) fn kept(setup: &Setup, kept: &Kept) -> Result<Sink, Error> {
    let path = std::path::absolute(&kept.path).unwrap_or_else(|_| kept.path.clone());
    judge(setup, &path, format!("{} cannot be kept fresh", shown(&path)))?;
    Sink::new(&path, kept.format)
}

/// The socket at which a service manager listens for us already (sd_listen_fds(3): `LISTEN_PID` says for which process
/// the variables are, and the descriptors begin at 3).
pub(super) fn activated() -> Result<Option<OwnedFd>, Error> {
    let variables = environment::variables();
    let is_ours = variables.text("LISTEN_PID").is_some_and(|pid| pid == std::process::id().to_string());
    match variables.text("LISTEN_FDS").filter(|_| is_ours) {
        None | Some("0") => Ok(None),
        Some("1") => fd::take(3).map(Some).map_err(|error| {
            let what = "LISTEN_FDS names descriptor 3, which is not open";
            Error::caused_by(Id::DescriptorNotOpen, what, error)
        }),
        Some(_) => {
            let (what, why) = ("LISTEN_FDS is not 1", "an agent listens at one socket");
            Err(Error::new(Id::VariableMalformed, what, why)
                .hint("use a socket unit of its own for each agent"))
        }
    }
}
