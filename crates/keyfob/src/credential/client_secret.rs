//! Reads a client's secret from where the configuration or the login's record says it is.

use std::path::Path;

use keyfob_core::{
    Cause, Error, Id, Result, Secret,
    contract::settings::ClientId,
    oauth::client_auth::{ClientAuth, Place, SecretAt},
    secret::strip_newline,
};

use crate::{
    credential::command,
    world::{World, failure},
};

/// What the requests of this client are authenticated with. `None`: it is a public one.
///
/// # Errors
/// As [`secret`].
pub(crate) fn client_auth(
    world: &World,
    environment: &str,
    secret_at: Option<&SecretAt>,
    client: &ClientId,
) -> Result<Option<ClientAuth>> {
    let Some(SecretAt { at, auth }) = secret_at else { return Ok(None) };
    let secret = secret(world, environment, at)?;
    Ok(Some(ClientAuth { client: client.clone(), method: *auth, secret }))
}

/// The client's secret.
///
/// # Errors
/// [`Id::ClientSecret`], naming the file or the key of the configuration, never what is in it.
pub(crate) fn secret(world: &World, environment: &str, at: &Place) -> Result<Secret> {
    let (key, bytes) = match at {
        Place::File(path) => ("client_secret_file", from_file(world, Path::new(path))),
        Place::Command(command) => {
            let key = "client_secret_command";
            let failed = |why| (why, Some(Cause::CommandFailed { key: key.into() }));
            (key, command::output(world, key, command).map_err(failed))
        }
    };
    let wrong = |why: String, cause: Option<Cause>| {
        let what = format!("`{key}` of environment `{environment}` gave no secret");
        Error::new(Id::ClientSecret, what, why).maybe_because(cause)
    };
    let holds_none = |why: String| {
        let cause = match at {
            Place::File(path) => Cause::SecretEmpty { path: path.clone() },
            Place::Command(_) => Cause::CommandFailed { key: key.into() },
        };
        wrong(why, Some(cause))
    };
    let bytes = bytes.map_err(|(why, cause)| wrong(why, cause))?;
    let text = std::str::from_utf8(&bytes).map_err(|_| holds_none("it is not text".into()))?;
    Secret::visible(strip_newline(text)).map_err(|why| holds_none(why.sentence().into()))
}

/// A mounted secret is often a link: where it leads is what is checked.
fn from_file(world: &World, path: &Path) -> Result<zeroize::Zeroizing<Vec<u8>>, (String, Option<Cause>)> {
    let read = world.files.resolve(path).and_then(|path| world.files.read(&path));
    match read {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err((
            format!("there is no file {}", path.display()),
            Some(Cause::Missing { path: path.to_string_lossy().into_owned() }),
        )),
        Err(error) => Err((format!("{}: {error}", path.display()), failure::cause(&error, path))),
    }
}
