//! `keyfob exec -- CMD`: replaces this process with a program that receives the credential, and no other one.

use std::{
    io::{self, Write},
    os::{fd::AsRawFd, unix::process::CommandExt},
    process::Command,
};

use keyfob::{
    Error, Grant, Source,
    internals::{
        core::contract::{self, names},
        core::{Id, oauth::header::carries_a_credential},
        setup::{HANDED_OVER, IDENTIFIED_BY, SEEDED_BY, chosen::Chosen},
        world::{
            failure,
            system::{fd, process, withheld},
        },
    },
};
use rustix::{
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    io::{FdFlags, fcntl_getfd, fcntl_setfd},
};

use super::started::{API_HEADERS, not_started};
#[cfg(feature = "serve")]
use super::{agent::place, beside, private_dir::PrivateDir, proxy};
#[cfg(feature = "serve")]
use keyfob::{Client, Purpose};
#[cfg(feature = "serve")]
use keyfob_serve::{Door, Sink};

use crate::{
    args::{Exec, Global},
    hand_over::grant,
    output::report::Result,
    session, telemetry,
};

pub(crate) fn run(global: &Global, args: &Exec) -> Result {
    #[cfg(feature = "serve")]
    if args.proxy {
        return proxy::beside::run(global, args);
    }
    #[cfg(feature = "serve")]
    if args.through.is_chosen() {
        let what = "`--to`, `--allow`, `--scrub`, `--private` and `--log` are for a proxy";
        return Err(Error::new(Id::Usage, what, "`--proxy` is not there")
            .hint("add `--proxy`, or leave them out")
            .into());
    }
    let setup = session::setup(global);
    setup.check()?;
    grant::warn_of_the_way(&setup);
    let (profile, pinned, seed) =
        (setup.profile()?.to_owned(), setup.pinned, setup.seed()?.map(str::to_owned));
    let identified = setup.identified();
    let client = session::client(global, setup);
    // Before it is taken: a helper's key would be made for nothing.
    #[cfg(feature = "serve")]
    let stays = args.agent || !args.file.is_empty();
    #[cfg(feature = "serve")]
    if stays
        && let Some(source) = client.survey(Purpose::Api).winner
        && !keyfob_serve::is_lent(source)
    {
        let (what, option) = if args.agent {
            ("an agent lends the access tokens of a login alone", "--agent")
        } else {
            ("only the tokens of a login are kept fresh in a file", "--file")
        };
        let why = format!("what is used is from {source}, which is no login");
        return Err(Error::new(Id::AgentRefused, what, why).hint(format!("leave `{option}` out")).into());
    }
    let grant = grant::grant_from(global, &client, &args.wanted)?;

    let [program, rest @ ..] = args.command.as_slice() else {
        return Err(Error::new(Id::Usage, "no program was named", "nothing follows `--`").into());
    };
    #[expect(clippy::disallowed_methods, reason = "starting this program is what the command is for")]
    let mut command = Command::new(program);
    command.args(rest);
    let host = contract::HOST_REFRESHES.map(str::to_owned);
    for name in withheld::from_programs().into_iter().chain(host) {
        command.env_remove(name);
    }
    // Who has the session's credential may read it again where it is kept fresh, and nobody else.
    if !matches!(grant.source(), Source::SessionToken | Source::WebSocketDescriptor) {
        command.env_remove(names::SESSION_TOKEN_FILE);
    }
    command.env_remove(HANDED_OVER);
    command.env_remove(API_HEADERS);
    if let Some(lines) = api_headers(&grant) {
        command.env(API_HEADERS, lines);
    }
    // A keyfob below the program answers for the same login.
    command.env_remove(SEEDED_BY);
    if let Some(seed) = seed.filter(|_| grant.source() == Source::RefreshToken) {
        command.env(SEEDED_BY, seed);
    }
    command.env_remove(IDENTIFIED_BY);
    if let Some(identified) = identified {
        command.env(IDENTIFIED_BY, identified);
    }
    if pinned {
        command.env("KEYFOB_PROFILE", &profile);
    }
    if let Some(home) = &global.home {
        command.env("KEYFOB_HOME", std::path::absolute(home).unwrap_or_else(|_| home.clone()));
    }
    // What a person chose holds below, and a variable alone would not be believed. Chosen further above, it is still open.
    let mut shown = Vec::new();
    for (what, path) in Chosen::ALL.into_iter().zip([&global.home, &global.approved]) {
        let Some(path) = path else { continue };
        command.env_remove(what.variable());
        if let Ok((descriptor, value)) = Chosen::hand_over(path) {
            command.env(what.variable(), value);
            shown.push(descriptor);
        }
    }
    if let Some(environment) = &global.environment {
        command.env("KEYFOB_ENVIRONMENT", environment);
    }
    #[cfg(feature = "serve")]
    if stays {
        return with_an_agent(command, &program.to_string_lossy(), client, &profile, args);
    }
    let _held_until_exec = match &args.env {
        Some(name) => {
            in_variable(&mut command, name, &grant);
            None
        }
        None => Some(on_pipe(&mut command, &grant).map_err(|error| {
            failure::failed(Id::SystemFailed, "the credential could not be put on a pipe", error)
                .hint("hand it over in a variable: `keyfob exec --env NAME`")
        })?),
    };
    telemetry::finish();
    process::give_back(&mut command);
    // Returns only if there is no such program: its exit code and signals are its own.
    let error = command.exec();
    Err(not_started(&program.to_string_lossy(), error).into())
}

/// The program stays below this process, which is its agent, or keeps its files fresh. Where the credential is lent already, the
/// program asks that agent, whose variable and descriptor it inherits.
#[cfg(feature = "serve")]
fn with_an_agent(mut command: Command, program: &str, client: Client, profile: &str, args: &Exec) -> Result {
    process::give_back(&mut command);
    if client.survey(Purpose::Api).winner.is_none() {
        if !args.file.is_empty() {
            let what = "no file can be kept fresh here";
            let why = "the login is where the agent of KEYFOB_AGENT runs";
            let hint = "where the agent runs, let it keep the file: `keyfob agent --keep PATH`";
            return Err(Error::new(Id::AgentRefused, what, why).hint(hint).into());
        }
        telemetry::finish();
        return Err(not_started(program, command.exec()).into());
    }
    let environment = client.environment()?.name.clone();
    let failed = |error| failure::failed(Id::SystemFailed, "the agent could not be started", error);
    let mut sinks = Vec::new();
    // Removed when the program has ended.
    let dir = if args.file.is_empty() {
        None
    } else {
        let transient = client.setup().require_home()?.transient();
        let dir = PrivateDir::below(&transient).map_err(|error| {
            failure::failed_at(
                Id::SystemFailed,
                "no directory could be made for its files",
                &transient,
                error,
            )
        })?;
        for file in &args.file {
            let path = dir.path().join(&file.variable);
            sinks.push(Sink::new(&path, place::format(file.format))?);
            command.env(&file.variable, path);
        }
        Some(dir)
    };
    let ends = if args.agent { Some(beside::ends(&mut command).map_err(failed)?) } else { None };
    let (ours, theirs) = ends.map_or((None, None), |(ours, theirs)| (Some(ours), Some(theirs)));
    let start = move || {
        let child = command.spawn().map_err(|error| not_started(program, error));
        drop(theirs);
        child
    };
    let door = Door::new("exec", client, &environment, profile).sinks(sinks);
    let ended = beside::serve(start, ours, door);
    drop(dir);
    ended
}

#[expect(clippy::disallowed_methods, reason = "the person named this variable for it")]
fn in_variable(command: &mut Command, name: &str, grant: &Grant) {
    command.env(name, grant.credential().expose());
}

/// What the provider demands beside the credential, if it demands anything.
#[expect(clippy::disallowed_methods, reason = "these headers come from the configuration and are no secrets")]
fn api_headers(grant: &Grant) -> Option<String> {
    let beside = grant.headers().filter(|(name, _)| !carries_a_credential(name));
    let lines: Vec<_> = beside.map(|(name, value)| format!("{name}: {}", value.expose())).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// The whole credential fits into the pipe, so that no process has to stay to write it.
#[expect(clippy::disallowed_methods, reason = "the pipe is for this one child, which is told its number")]
fn on_pipe(command: &mut Command, grant: &Grant) -> io::Result<io::PipeReader> {
    let (reader, mut writer) = io::pipe()?;
    let credential = grant.credential().expose().as_bytes();
    make_room(&writer, credential.len())?;
    writer.write_all(credential)?;
    drop(writer);
    // The one descriptor that is meant to be inherited. No thread of ours can start a child meanwhile.
    fcntl_setfd(&reader, fcntl_getfd(&reader)? - FdFlags::CLOEXEC)?;
    let number = reader.as_raw_fd();
    let variable = variable_for(grant.source());
    command.env(variable, number.to_string());
    // A keyfob below the program must not look for it: the program will have read it.
    command.env(HANDED_OVER, format!("{variable}={number}:{}", fd::file_name(&reader)?));
    Ok(reader)
}

/// The pipe has no reader yet, so a write that does not fit would block forever. A pipe holds 64 KiB, or one page if
/// its user has many.
fn make_room(pipe: &io::PipeWriter, length: usize) -> io::Result<()> {
    fcntl_setfl(pipe, fcntl_getfl(pipe)? | OFlags::NONBLOCK)?;
    #[cfg(target_os = "linux")]
    if rustix::pipe::fcntl_getpipe_size(pipe)? < length {
        rustix::pipe::fcntl_setpipe_size(pipe, length)?;
    }
    let _ = length;
    Ok(())
}

fn variable_for(source: Source) -> &'static str {
    match source {
        Source::ApiKey | Source::ApiKeyDescriptor | Source::ApiKeyHelper => names::API_KEY_DESCRIPTOR,
        Source::SessionToken | Source::WebSocketDescriptor => names::WEBSOCKET_DESCRIPTOR,
        _ => names::OAUTH_DESCRIPTOR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// pipe(7): no user may have a pipe that large. This is then an error, rather than a wait for a reader that cannot
    /// exist yet.
    #[test]
    fn a_credential_that_fits_no_pipe_is_refused() {
        let (_reader, writer) = io::pipe().unwrap();
        make_room(&writer, 100_000).unwrap();
        assert!(make_room(&writer, 1 << 31).is_err());
        let written = (&writer).write(&vec![0; 4 << 20]);
        assert!(
            written.is_ok_and(|written| written < 4 << 20),
            "and writing more than it holds does not wait"
        );
    }
}
