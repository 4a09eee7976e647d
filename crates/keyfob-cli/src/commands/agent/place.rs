//! Where the socket of an agent is.

use std::{
    fs,
    os::{fd::OwnedFd, unix::fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use keyfob::{
    Error,
    internals::{
        core::{
            Id,
            config::agent::{self, SinkFormat},
        },
        setup::Setup,
        world::system::{env as environment, fd, shown},
    },
};

use keyfob_serve::{Format, Sink};

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

/// The place of a door of the configuration.
pub(super) fn of_door(setup: &Setup, name: &str, door: &agent::Door) -> Result<PathBuf, Error> {
    match &door.socket {
        Some(path) => chosen(setup, Some(Path::new(path))),
        None => Ok(setup.require_home()?.transient().join(format!("{name}.sock"))),
    }
}

/// A file to keep fresh, where no repository and nobody else has put something.
pub(super) fn kept(setup: &Setup, kept: &Kept) -> Result<Sink, Error> {
    let path = std::path::absolute(&kept.path).unwrap_or_else(|_| kept.path.clone());
    judge(setup, &path, format!("{} cannot be kept fresh", shown(&path)))?;
    Sink::new(&path, format(kept.format))
}

/// The same, as it is configured.
pub(super) fn sink(setup: &Setup, sink: &agent::Sink) -> Result<Sink, Error> {
    let path = Path::new(&sink.path);
    judge(setup, path, format!("{} cannot be kept fresh", shown(path)))?;
    Ok(Sink::new(path, format(sink.format))?.mode(sink.mode))
}

pub(crate) const fn format(format: SinkFormat) -> Format {
    match format {
        SinkFormat::Token => Format::Token,
        SinkFormat::Header => Format::Header,
        SinkFormat::Json => Format::Json,
        SinkFormat::IdToken => Format::IdToken,
        SinkFormat::Credentials => Format::Credentials,
    }
}

/// The group that a file there will have, for people (inode(7): its maker's, or in a directory with the set-group-ID bit that of
/// the directory).
pub(super) fn group_of(path: &Path) -> String {
    let of_directory = path.parent().and_then(|dir| fs::metadata(dir).ok());
    let of_directory = of_directory.filter(|meta| meta.mode() & 0o2000 != 0).map(|meta| meta.gid());
    let gid = of_directory.unwrap_or_else(|| rustix::process::getegid().as_raw());
    format!("group {gid}")
}

/// The sockets at which a service manager listens for us already (sd_listen_fds(3): `LISTEN_PID` says for which process
/// the variables are, and the descriptors begin at 3).
pub(crate) fn activated() -> Result<Vec<OwnedFd>, Error> {
    const MOST: i32 = 64;
    let variables = environment::variables();
    let is_ours = variables.text("LISTEN_PID").is_some_and(|pid| pid == std::process::id().to_string());
    let Some(text) = variables.text("LISTEN_FDS").filter(|_| is_ours) else { return Ok(Vec::new()) };
    let number = text.parse().ok().filter(|number| (0..=MOST).contains(number)).ok_or_else(|| {
        let why = format!("expected a number from 0 to {MOST}");
        Error::new(Id::VariableMalformed, "LISTEN_FDS is malformed", why)
    })?;
    let sockets = (3..3 + number).map(|number| {
        fd::take(number).map_err(|error| {
            let what = format!("LISTEN_FDS names descriptor {number}, which is not open");
            Error::caused_by(Id::DescriptorNotOpen, what, error)
        })
    });
    sockets.collect()
}
