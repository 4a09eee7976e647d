//! `keyfob agent`: hands out the access tokens of a login over a unix socket, in the foreground.

mod place;
mod status;

use std::{
    fs::OpenOptions, os::unix::fs::OpenOptionsExt as _, path::Path, process::ExitCode, sync::Arc,
    time::Duration,
};

use keyfob::{
    Client, Error, Purpose, Timestamp,
    internals::{
        core::Id,
        world::{
            Clock as _, failure,
            system::{clock::SystemClock, shown},
        },
    },
};
use keyfob_serve::{Door, Host, Known, Socket, Told};

use crate::{
    advice,
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
    let path = place::chosen(&setup, args.socket.as_deref())?;
    let log = args.log.as_deref().map(open_log).transpose()?;
    Report::can_answer()?;

    let others = !args.for_uid.is_empty();
    let socket = Socket::bind(&path, others)?;
    let name = path.file_stem().map_or("agent".into(), |stem| stem.to_string_lossy().into_owned());
    let door = Door::new(name, session::quiet_client(global, setup), &environment, &profile)
        .hosts(args.host.clone())
        .headers_only(args.headers_only)
        .lifetime(args.lifetime.map(Duration::from_secs))
        .users(args.for_uid.clone());
    let mut agent = keyfob_serve::Agent::new(Arc::new(ThisCommand));
    if let Some(log) = log {
        agent = agent.log(log);
    }
    let agent = agent.door(door, socket);
    // It listens: whoever reads this may ask.
    if global.json {
        Report::json(&serde_json::json!({ "socket": path, "environment": environment, "profile": profile }))?;
    } else {
        Report::answer(&path.display().to_string())?;
    }
    Report::say(&format!(
        "Access tokens of profile `{profile}` in environment `{environment}` are handed out there until \
         Ctrl-C, or `kill {}`, ends it.",
        std::process::id()
    ));
    agent.run().map_err(|error| failure::failed(Id::SystemFailed, "the agent could not go on", error))?;
    Ok(ExitCode::SUCCESS)
}

fn open_log(path: &Path) -> Result<std::fs::File, Error> {
    let what = || format!("the log {} cannot be written", shown(path));
    let opened = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    opened.map_err(|error| failure::failed_at(Id::Usage, what(), path, error))
}

/// What the agent asks of this command.
struct ThisCommand;

impl Host for ThisCommand {
    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    fn told(&self, error: &Error) -> Told {
        let told = advice::told(error);
        Told { what: told.what, why: told.why, hint: told.hint }
    }

    fn known(&self, client: &Client) -> Known {
        let survey = client.survey(Purpose::Api);
        let standing = survey.standing.as_ref();
        let obstacle =
            standing.and_then(|standing| standing.obstacle.clone().or_else(|| standing.ended.clone()));
        let identity = survey.record.as_ref().map(|record| record.identity.clone()).unwrap_or_default();
        let identity = identity.overlaid(&client.setup().settings.presets);
        Known {
            account: identity.known_name().map(ToString::to_string),
            source: survey.winner,
            generation: survey.record.as_ref().map(|record| record.generation.clone()),
            expires_at: standing.and_then(|standing| standing.expires_at),
            problem: survey.broken.or(survey.nobody).or(obstacle),
        }
    }

    fn warn(&self, error: &Error) {
        // Not kept for an answer: there is none any more.
        Report::tell(error);
    }
}
