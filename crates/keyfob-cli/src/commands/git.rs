//! The credential helper for git (gitcredentials(7), git-credential(1)): `git-credential-keyfob`, `keyfob credential-helper git`
//! and `keyfob token --format git-credential`.
//!
//! git asks its helpers for every host it encounters: remotes, submodules, redirects, LFS servers. It names the host on
//! standard input, and the answer may only be that host's own credential. For any other host the answer is empty, which
//! makes git ask its next helper.

use std::{
    io::{self, BufRead, BufReader, IsTerminal, Read},
    process::ExitCode,
};

use keyfob::{
    Client, Error, Grant, Source,
    internals::{
        core::provider::web_origin,
        core::{Id, Secret},
    },
};

use crate::{
    args::{Global, Rejected, Wanted},
    hand_over::grant,
    output::report::{Report, Result},
    session,
};

/// The longest request accepted.
const LONGEST: u64 = 64 * 1024;

/// The request for which git wants a credential.
#[derive(Debug, Default)]
struct Question {
    protocol: Option<String>,
    host: Option<String>,
    /// git (2.46 and newer) takes another scheme than Basic.
    takes_schemes: bool,
    /// The schemes of the challenges that the host answered with (RFC 9110 §11.6.1).
    challenges: Vec<String>,
    /// The request contains a credential, to be stored or erased: none is wanted.
    brought: Option<Secret>,
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
                Some(("capability[]", "authtype")) => question.takes_schemes = true,
                // An empty value of an attribute that ends in `[]` clears those before it (git-credential(1)).
                Some(("capability[]", "")) => question.takes_schemes = false,
                Some(("wwwauth[]", "")) => question.challenges.clear(),
                Some(("wwwauth[]", value)) => {
                    let scheme = value.split_whitespace().next().unwrap_or_default();
                    question.challenges.push(scheme.to_ascii_lowercase());
                }
                Some(("password" | "credential", value)) => question.brought = Some(Secret::new(value)),
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

    /// Whether the token goes as what it is, a bearer token (RFC 6750), and not as the password of `oauth2`: if git can send
    /// that, and the host has not said that it wants something else.
    fn wants_bearer(&self) -> bool {
        self.takes_schemes
            && (self.challenges.is_empty() || self.challenges.iter().any(|scheme| scheme == "bearer"))
    }
}

/// `action` is what git wants to have done.
pub(crate) fn answer(global: &Global, action: Option<&str>, wanted: &Wanted) -> Result {
    if io::stdin().is_terminal() {
        let what = "this answers git";
        let why = "git says on standard input which host it wants a credential for, and that is a terminal";
        return Err(Error::new(Id::Usage, what, why)
            .hint("let git run it: see `keyfob credential-helper git --help`")
            .into());
    }
    let question = Question::read(io::stdin().lock())
        .map_err(|error| Error::caused_by(Id::Usage, "git's question could not be read", error))?;
    let Some(origin) = question.origin() else { return Ok(ExitCode::SUCCESS) };
    // "If a helper receives any other operation, it should silently ignore the request" (gitcredentials(7)). Without one,
    // as behind a `#`, what git brings tells it.
    match (action, &question.brought) {
        (None | Some("get"), None) => {
            if let Some(grant) = grant::for_origin(global, &client(global)?, wanted, &origin)? {
                Report::answer(&if question.wants_bearer() { bearer(&grant) } else { basic(&grant) })?;
            }
        }
        (Some("erase"), Some(refused)) => {
            rejected(global, &client(global)?, wanted, &origin, refused)?;
        }
        _ => {}
    }
    Ok(ExitCode::SUCCESS)
}

fn client(global: &Global) -> Result<Client> {
    let setup = session::setup(global);
    setup.check()?;
    Ok(session::client(global, setup))
}

/// git erases what a host refused: if that is still the newest, it is renewed, so that the next run brings another. What
/// git brings may be anybody's; only the same token counts.
#[expect(clippy::disallowed_methods, reason = "compared with what git brought, and shown to nobody")]
fn rejected(global: &Global, client: &Client, wanted: &Wanted, origin: &str, refused: &Secret) -> Result<()> {
    let Some(newest) = grant::for_origin(global, client, wanted, origin)? else { return Ok(()) };
    if newest.credential().expose() != refused.expose() {
        return Ok(());
    }
    let what = match (newest.source(), newest.generation()) {
        (Source::ApiKeyHelper, _) => Rejected::Key(newest.credential().fingerprint()),
        (_, Some(generation)) => Rejected::Login(generation.clone()),
        // Nothing could replace it.
        (_, None) => return Ok(()),
    };
    grant::for_origin(global, client, &Wanted { rejected: Some(what), ..wanted.clone() }, origin)?;
    Ok(())
}

/// The expiry keeps git from storing an expired one.
fn expiry(grant: &Grant) -> String {
    grant.expires_at().map_or(String::new(), |end| format!("\npassword_expiry_utc={}", end.0))
}

#[expect(clippy::disallowed_methods, reason = "git asked for it, for a host it may go to")]
fn basic(grant: &Grant) -> String {
    format!("username=oauth2\npassword={}{}", grant.credential().expose(), expiry(grant))
}

/// `ephemeral` keeps other helpers from storing it at all.
#[expect(clippy::disallowed_methods, reason = "git asked for it, for a host it may go to")]
fn bearer(grant: &Grant) -> String {
    let token = grant.credential().expose();
    format!("capability[]=authtype\nauthtype=Bearer\ncredential={token}\nephemeral=1{}", expiry(grant))
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
    }

    #[test]
    fn how_the_token_goes() {
        let bearer = |text: &str| Question::read(text.as_bytes()).expect("it is read").wants_bearer();
        for (asked, is) in [
            ("capability[]=authtype\nwwwauth[]=Bearer realm=x\n", true),
            ("capability[]=authtype\nwwwauth[]=Basic realm=x\nwwwauth[]=BEARER\n", true),
            ("capability[]=authtype\n", true),
            ("capability[]=authtype\nwwwauth[]=Basic realm=x\n", false),
            ("capability[]=authtype\nwwwauth[]=Bearer\nwwwauth[]=\nwwwauth[]=Basic\n", false),
            ("capability[]=authtype\ncapability[]=\n", false),
            ("capability[]=state\nwwwauth[]=Bearer\n", false),
            ("wwwauth[]=Bearer\n", false),
        ] {
            assert_eq!(bearer(asked), is, "{asked:?}");
        }
    }
}
