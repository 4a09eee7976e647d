//! Which certificates somebody named to be believed in the system's place.

use std::path::PathBuf;

use keyfob_core::{Error, Id, contract::Variables, error::escape};

use crate::setup::trust::Surroundings;

/// The variables that name certificates to trust in the system's place, wherever TLS is spoken.
const CERTIFICATES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Such certificates decide whom we believe: a repository must not bring its own. Relative paths would mean another
/// place in another directory, and a renewal has one of its own.
pub(crate) fn named(variables: &Variables, around: &Surroundings, problems: &mut Vec<Error>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for name in CERTIFICATES {
        let wrong = |id, path: &str, why: &str| {
            let what = format!("{name} names {}, which is refused", escape(path));
            Error::new(id, what, why)
        };
        let Some(value) = variables.text(name) else { continue };
        let is_list = name.ends_with("DIR");
        let paths = if is_list { std::env::split_paths(value).collect() } else { vec![PathBuf::from(value)] };
        for path in paths {
            let shown = path.to_string_lossy();
            if !path.is_absolute() {
                problems.push(wrong(Id::CaFileMalformed, &shown, "it is not an absolute path"));
            } else if let Err(refusal) = around.judge(&path) {
                problems.push(wrong(Id::CaFileUnsafe, &shown, &refusal.to_string()));
            } else if !(if is_list { path.is_dir() } else { path.is_file() }) {
                let why = if is_list { "there is no such directory" } else { "there is no such file" };
                problems.push(wrong(Id::CaFileMalformed, &shown, why));
            } else {
                found.push(path);
            }
        }
    }
    found
}
