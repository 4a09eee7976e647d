//! The command `keyfob`.

mod advice;
mod args;
mod commands;
mod completion;
mod config_edit;
mod hand_over;
mod internal;
mod output;
mod reference;
mod session;
mod telemetry;

use std::{ffi::OsString, process::ExitCode};

use clap::Parser;

use crate::{
    advice::{Given, Situation},
    args::Arguments,
    internal::task::Task,
    output::report::{Failure, Report, Result},
};

/// Runs the command with the arguments and the environment of this process.
#[must_use]
pub fn main() -> ExitCode {
    keyfob::internals::world::system::process::settle();
    keyfob::internals::world::system::keep_private();
    let mut words: Vec<OsString> = std::env::args_os().collect();
    // The way most runs take, many times an hour: no parser is built for it.
    if let [_, command] = words.as_slice()
        && command == "token"
        && args::by_name(&words).is_none()
    {
        return finish(commands::token::run(&args::Global::default(), &args::Token::default()), false);
    }
    // Processes of our own: renewal must come before anything is opened.
    if let Some(task) = words.get(1).and_then(|word| Task::of(word)) {
        return internal::run(task, &words[2..]);
    }
    // One program under many names: the tools look for a helper by its name.
    if let Some(full) = args::by_name(&words) {
        words = full;
    }
    let arguments = match Arguments::try_parse_from(&words) {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error, &words),
    };
    Situation::begin(Given {
        home: arguments.global.home.clone(),
        profile: arguments.global.profile.clone(),
        environment: arguments.global.environment.clone(),
        command: words.iter().skip(1).find_map(|word| args::command_name(word)),
    });
    finish(commands::run(&arguments), arguments.global.json)
}

fn finish(result: Result, json: bool) -> ExitCode {
    let code = match result {
        Ok(code) => code,
        Err(Failure::Pipe) => ExitCode::SUCCESS,
        Err(Failure::Parser(error)) => usage(&error, &std::env::args_os().collect::<Vec<_>>()),
        Err(Failure::Error(error)) => Report::failure(&error, json),
    };
    telemetry::finish();
    code
}

/// Requested output goes to stdout, as the parser writes it; a mistake is reported like every other failure.
fn usage(error: &clap::Error, words: &[OsString]) -> ExitCode {
    if error.use_stderr() {
        return Report::failure(&advice::usage::error(error, words), advice::usage::wants_json(words));
    }
    let _ = error.print();
    ExitCode::SUCCESS
}
