//! Processes of this program that are not commands: they renew, open the browser, send metrics, complete a command line
//! for a shell, or are the demo's child.
//!
//! They are started by [`Task::command`] (completion by the shell's script) and recognised by [`Task::of`], before the command
//! line is parsed: the parser, its help and its completions do not know them.

mod browse;
mod complete;
mod demo_child;
#[cfg(feature = "metrics")]
mod export_metrics;
mod renew;
pub(crate) mod task;

use std::{ffi::OsString, process::ExitCode};

use self::task::Task;
pub(crate) use self::{
    browse::{Opened, hindrance},
    renew::OwnProcess,
};
use crate::output::report::{Failure, Report, Result};

/// Runs a task with the words that follow the task's own.
pub(crate) fn run(task: Task, words: &[OsString]) -> ExitCode {
    let text = |at: usize| words.get(at).and_then(|word| word.to_str()).unwrap_or_default();
    let result = match task {
        Task::Renew => return renew::run(words),
        Task::Complete => complete::run(words),
        Task::Browse => browse::run(text(0)),
        Task::DemoChild => demo_child::run(text(0)),
        #[cfg(feature = "metrics")]
        Task::ExportMetrics => export_metrics::detach(),
        #[cfg(feature = "metrics")]
        Task::SendMetrics => export_metrics::send(),
        #[cfg(not(feature = "metrics"))]
        Task::ExportMetrics | Task::SendMetrics => Ok(ExitCode::SUCCESS),
    };
    finish(result)
}

/// Tries the collector of metrics. `None`: this program was built without them.
pub(crate) fn try_collector() -> Option<(String, std::result::Result<(), String>)> {
    #[cfg(feature = "metrics")]
    return Some(export_metrics::try_collector());
    #[cfg(not(feature = "metrics"))]
    None
}

fn finish(result: Result) -> ExitCode {
    match result {
        Ok(code) => code,
        // No task parses a command line.
        Err(Failure::Pipe | Failure::Parser(_)) => ExitCode::SUCCESS,
        Err(Failure::Error(error)) => Report::failure(&error, false),
    }
}
