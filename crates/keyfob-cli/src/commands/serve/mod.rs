//! `keyfob serve --stdio`: answers the program that has started it, a line of JSON for each question and each answer.
//! docs/protocol.md describes the form, and `docs/protocol.jsonl` is what its tests and all clients are run against.

mod answer;
mod event;
mod hub;
mod input;
mod logins;
mod parent;
mod question;
mod workers;

use std::{
    io::{self, IsTerminal as _},
    process::ExitCode,
};

use keyfob::{Error, internals::core::Id};

use self::{hub::Hub, logins::Logins};
use crate::{
    args::{Global, Serve},
    output::report::{Report, Result},
};

pub(crate) fn run(global: &Global, _: &Serve) -> Result<ExitCode> {
    // First of all: descriptors that variables name are taken over before anything of ours is opened.
    let logins = Logins::new(global);
    if io::stdin().is_terminal() {
        let why = "a program asks on standard input, and that is a terminal";
        let error = Error::new(Id::Usage, "this answers a program", why);
        return Err(error
            .hint("let the program run it, or try it with a pipe: `keyfob serve --help`")
            .into());
    }
    Report::can_answer()?;
    parent::leave_its_terminal();
    parent::end_with_it();
    Hub::new(logins)?.run()
}
