//! pip and uv (`--keyring-provider subprocess`): they run `keyring get ADDRESS USER`, or `keyring --mode creds get ADDRESS`
//! where they know no user, as the command of the Python package keyring is run.

use std::process::ExitCode;

use keyfob::internals::core::provider::web_origin;

use super::asked;
use crate::{
    args::Global,
    output::report::{Report, Result},
};

/// A name for the token as a password.
const USER: &str = "oauth2";

#[expect(clippy::disallowed_methods, reason = "the tool asked for it, for an index it may go to")]
pub(super) fn answer(global: &Global, words: &[String]) -> Result {
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let (with_user, address, user) = match words.as_slice() {
        ["--mode", "creds", "get", address] => (true, *address, USER),
        ["--mode", "creds", "get", address, user] => (true, *address, *user),
        ["get", address, user] => (false, *address, *user),
        _ => {
            let action = words.join(" ");
            let hint = "use `keyfob login` or `keyfob logout` for what keeps a login";
            return Err(asked::unknown("the tool", &action, "`get` alone is answered", hint).into());
        }
    };
    // Not found is said by an exit code and nothing else: the tool goes on without.
    let grant = if user == USER { asked::granted(global, &origins(address))? } else { None };
    let Some(grant) = grant else { return Ok(ExitCode::FAILURE) };
    if with_user {
        Report::answer(USER)?;
    }
    Report::answer(grant.credential().expose())?;
    Ok(ExitCode::SUCCESS)
}

/// An index is named by its address. Where that gets no answer, pip and uv ask once more by its host alone, and send what they
/// get by http too: so a name is answered only where http is good enough, on this machine.
fn origins(address: &str) -> Vec<String> {
    let by = |scheme: &str| web_origin(&format!("{scheme}://{address}"));
    if address.contains("://") {
        return web_origin(address).into_iter().collect();
    }
    by("http").map_or_else(Vec::new, |here| by("https").into_iter().chain([here]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_named_by_its_address_and_on_this_machine_by_its_host() {
        assert_eq!(origins("https://pypi.example/simple/"), ["https://pypi.example"]);
        for name in ["pypi.example", "pypi.example:443", "localhost.example"] {
            assert!(origins(name).is_empty(), "{name}");
        }
        assert_eq!(origins("127.0.0.1:80"), ["https://127.0.0.1:80", "http://127.0.0.1"]);
        assert!(origins("http://pypi.example/").is_empty());
    }
}
