//! Processes of this program that are no commands: they renew, open the browser, send metrics, or are the demo's child.
//!
//! All of them are started by [`Task::command`] and recognised by [`Task::of`], before the command line is parsed: the
//! parser, its help and its completions do not know them.

mod browse;
#[cfg(feature = "metrics")]
mod export_metrics;
mod whoami;

use std::{
    ffi::{OsStr, OsString},
    process::{Command, ExitCode},
};

use keyfob::core::contract;

use crate::{
    commands, program,
    report::{Report, Result},
};

/// What such a process is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Renews one login, in a session of its own.
    Renew,
    /// Opens an address in the browser.
    Browse,
    /// Starts the process that sends what a run counted, and ends.
    ExportMetrics,
    /// Sends it.
    SendMetrics,
    /// Asks the provider whose credential it was handed, as the child of `keyfob demo`.
    Whoami,
}

impl Task {
    const ALL: [Self; 5] = [Self::Renew, Self::Browse, Self::ExportMetrics, Self::SendMetrics, Self::Whoami];

    /// The first argument that makes this program such a process.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Renew => "internal:renew",
            Self::Browse => "internal:browse",
            Self::ExportMetrics => "internal:export-metrics",
            Self::SendMetrics => "internal:send-metrics",
            Self::Whoami => "internal:whoami",
        }
    }

    /// The task that a first argument names.
    pub(crate) fn of(word: &OsStr) -> Option<Self> {
        Self::ALL.into_iter().find(|task| word == task.word())
    }

    /// The process, to be given its arguments and streams. No variable that holds a credential is in its environment.
    pub(crate) fn command(self) -> Command {
        #[expect(clippy::disallowed_methods, reason = "the one place that starts this program again")]
        let mut command = Command::new(program::own());
        command.arg(self.word());
        for name in contract::secret_names() {
            command.env_remove(name);
        }
        command
    }

    /// Does it. The words are those after the task's own.
    pub(crate) fn run(self, words: &[OsString]) -> ExitCode {
        let text = |at: usize| words.get(at).and_then(|word| word.to_str()).unwrap_or_default();
        let result = match self {
            Self::Renew => return commands::work(words),
            Self::Browse => browse::run(text(0)),
            Self::Whoami => whoami::run(text(0)),
            #[cfg(feature = "metrics")]
            Self::ExportMetrics => export_metrics::detach(),
            #[cfg(feature = "metrics")]
            Self::SendMetrics => export_metrics::send(),
            #[cfg(not(feature = "metrics"))]
            Self::ExportMetrics | Self::SendMetrics => Ok(ExitCode::SUCCESS),
        };
        finish(result)
    }
}

fn finish(result: Result) -> ExitCode {
    match result {
        Ok(code) => code,
        Err(crate::report::Failure::Pipe) => ExitCode::SUCCESS,
        Err(crate::report::Failure::Error(error)) => Report::failure(&error, false),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_parser_knows_no_internal_task() {
        let parser = crate::args::Arguments::command();
        for task in Task::ALL {
            assert_eq!(Task::of(OsStr::new(task.word())), Some(task));
            assert!(parser.find_subcommand(task.word()).is_none(), "{}", task.word());
        }
        assert!(parser.get_subcommands().all(|command| !command.is_hide_set()), "nothing is hidden");
    }
}
