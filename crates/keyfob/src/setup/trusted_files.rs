//! Loads `config.toml` and `approved.toml`, refusing any file that others could have written.

use std::path::Path;

use keyfob_core::{
    Cause, Error, Id, Result,
    config::{Config, approved::ApprovedList},
    error::escape,
};

use crate::{
    setup::{
        config_file,
        trust::{Refusal, Surroundings},
    },
    world::{
        Files, failure,
        system::{owners, shown},
    },
};

/// Reads a file that decides something, if it is there: it must belong to this user or root, and no other user
/// may write it.
fn read_trusted(path: &Path, files: &dyn Files, root_only: bool, id: Id) -> Result<Option<String>> {
    let what = || format!("{} is refused", shown(path));
    match files.read_trusted(path, root_only) {
        Ok(None) => Ok(None),
        Ok(Some(bytes)) => {
            String::from_utf8(bytes).map(Some).map_err(|_| Error::new(id, what(), "it is not UTF-8 text"))
        }
        Err(error) => Err(failure::failed_at(id, what(), path, error)),
    }
}

/// The configuration, if there is a file.
///
/// # Errors
/// [`Id::ConfigUnsafe`]; [`Id::ConfigMalformed`] for every mistake.
pub(crate) fn config(path: &Path, files: &dyn Files) -> Result<Config, Vec<Error>> {
    let text = config_text(path, files).map_err(|error| vec![error])?;
    let Some(text) = text else { return Ok(Config::default()) };
    config_file::parse(path, &text)
}

/// The text of the configuration, if there is a file.
///
/// # Errors
/// [`Id::ConfigUnsafe`].
pub(crate) fn config_text(path: &Path, files: &dyn Files) -> Result<Option<String>> {
    read_trusted(path, files, false, Id::ConfigUnsafe)
}

/// The approved list: never through a variable or the working directory.
///
/// # Errors
/// [`Id::ApprovedListUnsafe`], [`Id::ApprovedListMalformed`].
pub(crate) fn approved(
    chosen: Option<&Path>,
    files: &dyn Files,
    around: &Surroundings,
) -> Result<ApprovedList> {
    // A user who can change the way to such a file can put another one in its place.
    let read = |path: &Path, root_only| {
        let refused = |refusal: Refusal| {
            let what = format!("{} is refused", shown(path));
            Error::new(refusal.id(Id::ApprovedListUnsafe), what, refusal.to_string())
                .maybe_because(refusal.cause(path))
        };
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        around.follow(&absolute).map_err(refused)?;
        read_trusted(path, files, root_only, Id::ApprovedListUnsafe)
    };
    let mut list = ApprovedList::default();
    let own = owners::own_home().map(|home| home.join(".config/keyfob/approved.toml"));
    let places = [Some((Path::new("/etc/keyfob/approved.toml"), true)), own.as_deref().map(|p| (p, false))];
    for (path, root_only) in places.into_iter().flatten() {
        if let Some(text) = read(path, root_only)? {
            list.extend(parse_approved(path, &text)?);
        }
    }
    if let Some(path) = chosen {
        let Some(text) = read(path, false)? else {
            let what = format!("the approved list {} cannot be read", shown(path));
            return Err(Error::new(Id::ApprovedListUnsafe, what, "there is no such file")
                .because(Cause::Missing { path: shown(path) }));
        };
        list.extend(parse_approved(path, &text)?);
    }
    Ok(list)
}

fn parse_approved(path: &Path, text: &str) -> Result<ApprovedList> {
    let wrong = |place: String, why: &str| {
        Error::new(Id::ApprovedListMalformed, format!("{}{place} is malformed", shown(path)), why)
    };
    let raw = toml::from_str(text).map_err(|error| {
        let before = error.span().map(|span| text.as_bytes().iter().take(span.start));
        let line = before.map(|before| 1 + before.filter(|octet| **octet == b'\n').count());
        wrong(line.map(|line| format!(", line {line}")).unwrap_or_default(), &escape(error.message()))
    })?;
    ApprovedList::parse(raw).map_err(|error| wrong(String::new(), error.why()))
}
