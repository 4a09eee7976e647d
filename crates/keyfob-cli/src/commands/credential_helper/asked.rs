//! What a tool asks, and the credential for it.

use std::io::{self, IsTerminal, Read};

use keyfob::{Error, Grant, internals::core::Id};

use crate::{
    args::{Global, Wanted},
    hand_over::grant,
    output::report::Result,
    session,
};

/// The longest question accepted.
pub(super) const LONGEST: u64 = 64 * 1024;

/// What the tool says on standard input.
pub(super) fn question(tool: &str) -> Result<String> {
    not_a_terminal(tool)?;
    let mut text = String::new();
    match io::stdin().lock().take(LONGEST).read_to_string(&mut text) {
        Ok(_) => Ok(text),
        Err(error) => Err(unreadable(tool, error).into()),
    }
}

pub(super) fn unreadable(tool: &str, error: io::Error) -> Error {
    Error::caused_by(Id::Usage, format!("{tool}'s question could not be read"), error)
}

/// A person who tries it would wait for nothing.
pub(super) fn not_a_terminal(tool: &str) -> Result<()> {
    if !io::stdin().is_terminal() {
        return Ok(());
    }
    let why = format!("{tool} asks on standard input, and that is a terminal");
    let error = Error::new(Id::Usage, format!("this answers {tool}"), why);
    Err(error.hint(format!("let {tool} run it: see `keyfob credential-helper --help`")).into())
}

/// The credential, if it may go to one of these origins, which are spellings of one host. `None`: there is none for it.
pub(super) fn granted(global: &Global, origins: &[String]) -> Result<Option<Grant>> {
    let wanted = Wanted::default();
    let setup = session::setup(global);
    setup.check()?;
    let client = session::client(global, setup);
    for origin in origins {
        if let Some(grant) = grant::for_origin(global, &client, &wanted, origin)? {
            return Ok(Some(grant));
        }
    }
    Ok(None)
}

/// A request that is not answered.
pub(super) fn unknown(tool: &str, action: &str, why: &str, hint: &'static str) -> Error {
    let what = format!("{tool} wants `{}`, which keyfob does not do", crate::output::terminal::plain(action));
    Error::new(Id::Usage, what, why).hint(hint)
}
