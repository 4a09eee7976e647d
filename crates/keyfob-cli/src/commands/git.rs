//! `keyfob token --format git-credential`: a credential helper of git's (gitcredentials(7), git-credential(1)).
//!
//! git asks its helpers for every host it encounters: remotes, submodules, redirects, LFS servers. It names the host on
//! standard input, and the answer may only be that host's own credential. For any other host the answer is empty, which
//! makes git ask its next helper.

use std::{
    io::{self, BufRead, BufReader, IsTerminal, Read},
    process::ExitCode,
};

use keyfob::{
    Error, Grant,
    internals::{core::Id, core::provider::web_origin},
};

use crate::{
    args::{Global, Token},
    hand_over::grant,
    output::report::{Report, Result},
    session,
};

/// The longest request accepted.
const LONGEST: u64 = 64 * 1024;

/// The request for which git wants a credential.
#[derive(Debug, Default, PartialEq, Eq)]
struct Question {
    protocol: Option<String>,
    host: Option<String>,
    /// The request contains a credential, to be stored or erased: none is wanted.
    brings_one: bool,
}

impl Question {
    /// `name=value` lines up to an empty one or the end. Unknown names are ignored, as git asks of helpers.
    fn read(input: impl Read) -> io::Result<Self> {
        let mut question = Self::default();
        for line in BufReader::new(input.take(LONGEST)).split(b'\n') {
            let line = line?;
            let line = String::from_utf8_lossy(&line);
            match line.trim_end_matches('\r').split_once('=') {
                Some(("protocol", value)) => question.protocol = Some(value.into()),
                Some(("host", value)) => question.host = Some(value.into()),
                Some(("password" | "credential", _)) => question.brings_one = true,
                Some(_) => {}
                None if line.is_empty() => break,
                None => {}
            }
        }
        Ok(question)
    }

    /// The origin of the request. `None`: it cannot have a credential, for example a plain http host that is not this
    /// machine.
    fn origin(&self) -> Option<String> {
        web_origin(&format!("{}://{}/", self.protocol.as_ref()?, self.host.as_ref()?))
    }
}

pub(crate) fn answer(global: &Global, args: &Token) -> Result {
    if io::stdin().is_terminal() {
        let what = "`--format git-credential` answers git";
        let why = "git says on standard input which host it wants a credential for, and that is a terminal";
        return Err(Error::new(Id::Usage, what, why)
            .hint("let git run it: see `keyfob token --help`")
            .into());
    }
    // "If a helper receives any other operation, it should silently ignore the request" (gitcredentials(7)). Without one,
    // as behind a `#`, what git brings tells it.
    let wanted = args.action.as_deref().is_none_or(|action| action == "get");
    let question = Question::read(io::stdin().lock())
        .map_err(|error| Error::caused_by(Id::Usage, "git's question could not be read", error))?;
    let Some(origin) = question.origin().filter(|_| wanted && !question.brings_one) else {
        return Ok(ExitCode::SUCCESS);
    };
    let setup = session::setup(global);
    setup.check()?;
    let client = session::client(global, setup);
    let purpose = args.wanted.purpose();
    if !client.may_go_to(purpose, &origin)? {
        return Ok(ExitCode::SUCCESS);
    }
    let grant = grant::grant_from(global, &client, &args.wanted)?;
    Report::answer(&lines(&grant))?;
    Ok(ExitCode::SUCCESS)
}

/// `password_expiry_utc` keeps git from storing an expired one.
#[expect(clippy::disallowed_methods, reason = "git asked for it, for a host it may go to")]
fn lines(grant: &Grant) -> String {
    let expiry = grant.expires_at().map_or(String::new(), |end| format!("\npassword_expiry_utc={}", end.0));
    format!("username=oauth2\npassword={}{expiry}", grant.credential().expose())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_asks() {
        let origin = |text: &str| Question::read(text.as_bytes()).expect("it is read").origin();
        for (asked, is) in [
            ("protocol=https\nhost=git.example\n\n", Some("https://git.example")),
            ("protocol=https\nhost=GIT.example:443\npath=a/b.git\nusername=x\n", Some("https://git.example")),
            (
                "capability[]=authtype\nprotocol=http\nhost=127.0.0.1:3000\n\nhost=other\n",
                Some("http://127.0.0.1:3000"),
            ),
            ("protocol=http\nhost=git.example\n\n", None),
            ("protocol=ssh\nhost=git.example\n\n", None),
            ("protocol=https\nhost=git.example@evil.example\n\n", None),
            ("protocol=https\nhost=\n\n", None),
            ("protocol=https\n\n", None),
            ("host=git.example\n", None),
            ("", None),
        ] {
            assert_eq!(origin(asked).as_deref(), is, "{asked:?}");
        }
        assert!(
            Question::read(&b"protocol=https\nhost=git.example\npassword=x\n"[..]).expect("read").brings_one
        );
    }
}
