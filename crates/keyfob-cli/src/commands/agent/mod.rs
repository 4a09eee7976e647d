//! `keyfob agent`: hands out the access tokens of a login over a unix socket, in the foreground.

mod doors;
pub(super) mod host;
pub(super) mod log;
pub(super) mod place;
mod status;

use std::process::ExitCode;

use keyfob::internals::{core::Id, world::failure};
use serde_json::json;

use self::doors::{Opened, Told};
use crate::{
    args::{Agent, AgentCommand, Global},
    hand_over::grant,
    output::report::{Report, Result},
    session,
};

/// Fewer connections at a time are so few that a person should hear of it.
const FEW: usize = 512;

pub(crate) fn run(global: &Global, args: &Agent) -> Result {
    if let Some(AgentCommand::Status(args)) = &args.command {
        return status::run(global, args);
    }
    let setup = session::setup(global);
    setup.check()?;
    grant::warn_of_the_way(&setup);
    Report::can_answer()?;
    let is_configured = !args.is_of_one_door() && !setup.config.agent.doors.is_empty();
    let Opened { agent, doors, remarks } = doors::open(global, args, setup)?;
    let room = agent.room();
    // They listen: whoever reads this may ask.
    let ready = || {
        match doors.as_slice() {
            [door] if !is_configured => one(global, door)?,
            doors => several(global, doors)?,
        }
        remarks.iter().for_each(|remark| Report::say(remark));
        if room < FEW {
            Report::say(&format!(
                "There is room for {room} connections at a time, because this process may have no more files open \
                 (`ulimit -Hn`). Whoever comes then waits."
            ));
        }
        Ok(())
    };
    let served: Result<()> = agent
        .run(ready)
        .map_err(|error| failure::failed(Id::SystemFailed, "the agent could not go on", error))?;
    served?;
    Ok(ExitCode::SUCCESS)
}

fn one(global: &Global, door: &Told) -> Result<()> {
    let Told { socket, environment, profile, .. } = door;
    if global.json {
        Report::json(&json!({ "socket": socket, "environment": environment, "profile": profile }))?;
    } else {
        Report::answer(&socket.display().to_string())?;
    }
    Report::say(&format!(
        "Access tokens of profile `{profile}` in environment `{environment}` are handed out there until Ctrl-C, or \
         `kill {}`, ends it.",
        std::process::id()
    ));
    Ok(())
}

fn several(global: &Global, doors: &[Told]) -> Result<()> {
    if global.json {
        let told = doors.iter().map(|door| {
            json!({
                "door": door.name,
                "socket": door.socket,
                "environment": door.environment,
                "profile": door.profile,
            })
        });
        Report::json(&json!({ "doors": told.collect::<Vec<_>>() }))?;
    } else {
        for door in doors {
            Report::answer(&door.socket.display().to_string())?;
        }
    }
    for Told { name, environment, profile, .. } in doors {
        Report::say(&format!("The door `{name}` is for profile `{profile}` in environment `{environment}`."));
    }
    Report::say(&format!(
        "Access tokens are handed out there until Ctrl-C, or `kill {}`, ends it.",
        std::process::id()
    ));
    Ok(())
}
