//! The internal processes of this program, and how each is started and recognised.

use std::{ffi::OsStr, process::Command};

use keyfob::internals::world::system::{program, withheld};

/// The purpose of such a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Renews one login, in a separate session.
    Renew,
    /// Prints the candidates for the end of an incomplete command line.
    Complete,
    /// Opens an address in the browser.
    Browse,
    /// Starts the process that sends a run's metrics, and ends.
    ExportMetrics,
    /// Sends it.
    SendMetrics,
    /// Queries the provider with the credential it was handed, as the child of `keyfob demo`.
    DemoChild,
}

impl Task {
    const ALL: [Self; 6] =
        [Self::Renew, Self::Complete, Self::Browse, Self::ExportMetrics, Self::SendMetrics, Self::DemoChild];

    /// The first argument that makes this program such a process.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Renew => "internal:renew",
            Self::Complete => "internal:complete",
            Self::Browse => "internal:browse",
            Self::ExportMetrics => "internal:export-metrics",
            Self::SendMetrics => "internal:send-metrics",
            Self::DemoChild => "internal:demo-child",
        }
    }

    /// The task that a first argument names.
    pub(crate) fn of(word: &OsStr) -> Option<Self> {
        Self::ALL.into_iter().find(|task| word == task.word())
    }

    /// The process, ready for its arguments and streams. No variable that holds a credential is in its environment.
    pub(crate) fn command(self) -> Command {
        #[expect(clippy::disallowed_methods, reason = "the one place that starts this program again")]
        let mut command = Command::new(program::own());
        command.arg(self.word());
        for name in withheld::from_helpers() {
            command.env_remove(name);
        }
        command
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
