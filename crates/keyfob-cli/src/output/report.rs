//! Output: results on stdout, messages for people on stderr.

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
    sync::{Mutex, PoisonError},
};

use keyfob::{
    Error,
    internals::{
        core::{Cause, Id},
        world::system::process,
    },
};
use serde::Serialize;

use crate::{
    advice,
    output::{manner::Manner, progress},
};

/// The result of a command.
pub(crate) type Result<T = ExitCode, E = Failure> = std::result::Result<T, E>;

/// Why a command ended early.
pub(crate) enum Failure {
    /// Something failed.
    Error(Error),
    /// The parser's output: a help text, or a mistake on the command line.
    Parser(clap::Error),
    /// The reader of our output has closed it, which is not an error.
    Pipe,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// The version of the answers in JSON.
const VERSION: u8 = 1;

/// An answer with the version of the description it follows.
#[derive(Serialize)]
struct Versioned<'a, A> {
    v: u8,
    #[serde(flatten)]
    answer: &'a A,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    warnings: &'a [serde_json::Value],
}

/// What was told and did not end the command: an answer in JSON has these as `warnings`.
static TOLD: Mutex<Vec<serde_json::Value>> = Mutex::new(Vec::new());

fn told_so_far() -> Vec<serde_json::Value> {
    TOLD.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn note(error: &Error) {
    TOLD.lock().unwrap_or_else(PoisonError::into_inner).push(error_json(error));
}

/// The two streams.
pub(crate) struct Report;

impl Report {
    /// Whether an answer can be delivered: checked before an action that is worthless without it.
    pub(crate) fn can_answer() -> Result<()> {
        // The runtime has opened /dev/null in its place, which takes everything.
        if process::has_stdout() { Ok(()) } else { Err(unwritable("it was closed from the start")) }
    }

    /// One line of the answer.
    pub(crate) fn answer(text: &str) -> Result<()> {
        Self::can_answer()?;
        progress::clear();
        let mut out = io::stdout().lock();
        let written =
            out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
        written.map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::Pipe,
            _ => unwritable(&error.to_string()),
        })
    }

    /// Prose of the answer: on a terminal, lines are broken between words.
    pub(crate) fn prose(text: &str) -> Result<()> {
        Self::answer(&Manner::of_answers().prose(text))
    }

    /// The answer in JSON, an object, on one line for scripts and indented for people. docs/json/keyfob.schema.json
    /// describes each: what a member means never changes within a version, and members may be added.
    pub(crate) fn json(answer: &impl Serialize) -> Result<()> {
        let answer = Versioned { v: VERSION, answer, warnings: &told_so_far() };
        let text = if io::stdout().is_terminal() {
            serde_json::to_string_pretty(&answer)
        } else {
            serde_json::to_string(&answer)
        };
        Self::answer(&text.map_err(|_| Error::new(Id::Bug, "the answer", "it cannot be written as JSON"))?)
    }

    /// Something that a program has to know before the answer: a separate line on standard error, among prose. Unlike
    /// prose, it must be delivered.
    pub(crate) fn event(event: &impl Serialize) -> Result<(), Error> {
        let text = serde_json::to_string(&Versioned { v: VERSION, answer: event, warnings: &[] });
        let text = text.map_err(|_| Error::new(Id::Bug, "an event", "it cannot be written as JSON"))?;
        progress::clear();
        // In one write: half a line, with an error behind it, would be neither an event nor prose.
        io::stderr().lock().write_all(format!("{text}\n").as_bytes()).map_err(|error| {
            Error::new(Id::Usage, "standard error cannot be written", error.to_string())
                .hint("check where the messages go: with --json the address is among them")
        })
    }

    /// Prose for the user. It is no failure if it is not read.
    pub(crate) fn say(text: &str) {
        Self::show(&Manner::of_messages().prose(text));
    }

    /// Output for a person that is not prose and is left unchanged: a picture, an escape sequence.
    pub(crate) fn show(text: &str) {
        progress::clear();
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// A failure that does not end the command, in its three lines.
    pub(crate) fn tell(error: &Error) {
        note(error);
        Self::show(&three_lines(Manner::of_messages(), "error", error));
    }

    /// A warning, in the three lines of an error.
    pub(crate) fn warn(error: &Error) {
        note(error);
        Self::show(&three_lines(Manner::of_messages(), "warning", error));
    }

    /// Reports a failure and returns its exit code.
    pub(crate) fn failure(error: &Error, json: bool) -> ExitCode {
        Self::show(&three_lines(Manner::of_messages(), "error", error));
        if json {
            let _ = Self::json(&serde_json::json!({ "error": error_json(error) }));
        }
        ExitCode::from(exit_code(error))
    }
}

fn unwritable(why: &str) -> Failure {
    let error = Error::new(Id::Usage, "standard output cannot be written", why);
    Failure::Error(error.hint("check where the output goes"))
}

/// The exit code of a failure: that of its kind, except for a program that was not started, which has a shell's code.
fn exit_code(error: &Error) -> u8 {
    match error.cause() {
        Some(Cause::ProgramNotFound { .. }) => 127,
        Some(Cause::ProgramNotExecutable { .. }) => 126,
        _ => error.exit_code(),
    }
}

/// What failed, why, and the hint; the other failures of the same check below.
fn three_lines(manner: Manner, word: &str, error: &Error) -> String {
    let label = format!("{word}:");
    let label = if word == "error" { manner.bad(&label) } else { manner.doubtful(&label) };
    let told = advice::told(error);
    let lines = [
        format!("{label} {}", told.what),
        format!("{} {}", manner.bold("cause:"), told.why),
        format!("{}  {}", manner.bold("hint:"), told.hint),
    ];
    let mut text = manner.hanging(&lines.join("\n"), LABEL);
    for other in error.also() {
        text.push_str("\n\n");
        text.push_str(&three_lines(manner, "error", other));
    }
    text
}

/// The column at which the text behind `cause: ` begins.
const LABEL: usize = 7;

/// An error for scripts: the id is stable, the words are not.
pub(crate) fn error_json(error: &Error) -> serde_json::Value {
    let also: Vec<_> = error.also().iter().map(error_json).collect();
    let told = advice::told(error);
    let mut value = serde_json::json!({
        "id": error.id().word(),
        "message": format!("{}: {}", told.what, told.why),
        "hint": told.hint,
    });
    if let Some(cause) = error.cause() {
        value["cause"] = cause.word().into();
    }
    if !also.is_empty() {
        value["also"] = also.into();
    }
    value
}
