//! Reads a client's secret or private key from where the configuration or the login's record says it is.

use std::path::Path;

use keyfob_core::{
    Cause, Error, Id, Result, Secret,
    oauth::client_auth::{Place, unit_credential},
    secret::strip_newline,
};
use zeroize::Zeroizing;

use crate::{
    credential::{command, unit},
    world::{World, failure},
};

/// What is read: by which keys of the configuration it is found, and what its failure is called.
struct Wanted {
    file: &'static str,
    command: &'static str,
    what: &'static str,
    id: Id,
}

const SECRET: Wanted = Wanted {
    file: "client_secret_file",
    command: "client_secret_command",
    what: "secret",
    id: Id::ClientSecret,
};
const KEY: Wanted =
    Wanted { file: "client_key_file", command: "client_key_command", what: "key", id: Id::ClientKey };

impl Wanted {
    const fn key(&self, at: &Place) -> &'static str {
        match at {
            Place::File(_) => self.file,
            Place::Command(_) => self.command,
        }
    }

    fn failed(&self, environment: &str, at: &Place, why: String, cause: Option<Cause>) -> Error {
        let what = format!("`{}` of environment `{environment}` gave no {}", self.key(at), self.what);
        Error::new(self.id, what, why).maybe_because(cause)
    }

    /// What is there holds none.
    fn holds_none(&self, environment: &str, at: &Place, why: &str) -> Error {
        let cause = match at {
            Place::File(path) => Cause::SecretEmpty { path: path.clone() },
            Place::Command(_) => Cause::CommandFailed { key: self.command.into() },
        };
        self.failed(environment, at, why.into(), Some(cause))
    }

    fn read(&self, world: &World, environment: &str, at: &Place) -> Result<Zeroizing<Vec<u8>>> {
        let bytes = match at {
            Place::File(path) => from_file(world, Path::new(path)),
            Place::Command(words) => command::output(world, self.command, words)
                .map_err(|why| (why, Some(Cause::CommandFailed { key: self.command.into() }))),
        };
        bytes.map_err(|(why, cause)| self.failed(environment, at, why, cause))
    }
}

/// The client's secret.
///
/// # Errors
/// [`Id::ClientSecret`], naming the file or the key of the configuration, never what is in it.
pub(super) fn secret(world: &World, environment: &str, at: &Place) -> Result<Secret> {
    let bytes = SECRET.read(world, environment, at)?;
    let text =
        std::str::from_utf8(&bytes).map_err(|_| SECRET.holds_none(environment, at, "it is not text"))?;
    Secret::visible(strip_newline(text)).map_err(|why| SECRET.holds_none(environment, at, why.sentence()))
}

/// The text of the client's private key.
///
/// # Errors
/// [`Id::ClientKey`], likewise.
pub(super) fn key(world: &World, environment: &str, at: &Place) -> Result<Zeroizing<Vec<u8>>> {
    let bytes = KEY.read(world, environment, at)?;
    if bytes.trim_ascii().is_empty() {
        return Err(KEY.holds_none(environment, at, "it is empty"));
    }
    Ok(bytes)
}

/// The failure of a key that was read.
pub(super) fn key_failed(environment: &str, at: &Place, id: Id, why: String) -> Error {
    Wanted { id, ..KEY }.failed(environment, at, why, None)
}

fn from_file(world: &World, path: &Path) -> Result<Zeroizing<Vec<u8>>, (String, Option<Cause>)> {
    let (path, read) = match path.to_str().and_then(unit_credential) {
        // Who may read it is the service manager's to say, which gives it by an access list: its mode alone looks too open.
        Some(name) => {
            let path = unit::credential(world, name)?;
            let read = world.files.read_trusted(&path, false);
            (path, read.map(|bytes| bytes.map(Zeroizing::new)))
        }
        // A mounted secret is often a link: where it leads is what is checked.
        None => (path.to_owned(), world.files.resolve(path).and_then(|path| world.files.read(&path))),
    };
    match read {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err((
            format!("there is no file {}", path.display()),
            Some(Cause::Missing { path: path.to_string_lossy().into_owned() }),
        )),
        Err(error) => Err((format!("{}: {error}", path.display()), failure::cause(&error, &path))),
    }
}
