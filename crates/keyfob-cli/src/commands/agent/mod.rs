//! `keyfob agent`: hands out the access tokens of a login over a unix socket, in the foreground.

pub(super) mod host;
mod place;
mod status;

use std::{
    fs::OpenOptions, os::unix::fs::OpenOptionsExt as _, path::Path, process::ExitCode, sync::Arc,
    time::Duration,
};

use keyfob::{
    Error,
    internals::{
        core::Id,
        world::{failure, system::shown},
    },
};
use keyfob_serve::{Door, Socket};

use self::host::ThisCommand;
use crate::{
    args::{Agent, AgentCommand, Global},
    hand_over::grant,
    output::report::{Report, Result},
    session,
};

pub(crate) fn run(global: &Global, args: &Agent) -> Result {
    if let Some(AgentCommand::Status(args)) = &args.command {
        return status::run(global, args);
    }
    let setup = session::setup(global);
    setup.check()?;
    grant::warn_of_the_way(&setup);
    let environment = setup.require_environment()?.name.clone();
    let profile = setup.profile()?.to_owned();
    let activated = place::activated()?;
    let path = place::chosen(&setup, args.socket.as_deref())?;
    let sinks = args.keep.iter().map(|kept| place::kept(&setup, kept)).collect::<Result<Vec<_>, Error>>()?;
    let log = args.log.as_deref().map(open_log).transpose()?;
    Report::can_answer()?;

    let others = !args.for_uid.is_empty();
    let socket = match activated {
        Some(descriptor) => Socket::inherited(descriptor)?,
        None => Socket::bind(&path, others)?,
    };
    let path = socket.path().unwrap_or(path);
    let name = path.file_stem().map_or("agent".into(), |stem| stem.to_string_lossy().into_owned());
    let door = Door::new(name, session::quiet_client(global, setup), &environment, &profile)
        .hosts(args.host.clone())
        .headers_only(args.headers_only)
        .lifetime(args.lifetime.map(Duration::from_secs))
        .users(args.for_uid.clone())
        .sinks(sinks);
    let mut agent = keyfob_serve::Agent::new(Arc::new(ThisCommand)).idle(args.idle.map(Duration::from_secs));
    if let Some(log) = log {
        agent = agent.log(log);
    }
    let agent = agent.door(door, socket);
    // It listens: whoever reads this may ask.
    let ready = || {
        if global.json {
            let told = serde_json::json!({ "socket": path, "environment": environment, "profile": profile });
            Report::json(&told)?;
        } else {
            Report::answer(&path.display().to_string())?;
        }
        Report::say(&format!(
            "Access tokens of profile `{profile}` in environment `{environment}` are handed out there until \
             Ctrl-C, or `kill {}`, ends it.",
            std::process::id()
        ));
        Ok(())
    };
    let served: Result<()> = agent
        .run(ready)
        .map_err(|error| failure::failed(Id::SystemFailed, "the agent could not go on", error))?;
    served?;
    Ok(ExitCode::SUCCESS)
}

fn open_log(path: &Path) -> Result<std::fs::File, Error> {
    let what = || format!("the log {} cannot be written", shown(path));
    let opened = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    opened.map_err(|error| failure::failed_at(Id::Usage, what(), path, error))
}
