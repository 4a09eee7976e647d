//! CA certificates for TLS, as `SSL_CERT_FILE` and `SSL_CERT_DIR` name them: which of them may be used.

use std::path::PathBuf;

use keyfob_core::{Error, Id, contract::Variables};

use crate::{
    setup::trust::Surroundings,
    world::system::{certificates::Roots, env, shown},
};

/// The variables that name certificates to trust in the system's place, wherever TLS is spoken.
const FILE: &str = "SSL_CERT_FILE";
const DIRECTORIES: &str = "SSL_CERT_DIR";

/// What the variables name. Certificates decide whom we trust: a repository must not bring its own, and no other
/// user may change them. Relative paths would mean another place in another directory, and a renewal runs in a
/// different one. One of a list of directories may be missing.
pub(crate) fn read(variables: &Variables, around: &Surroundings, problems: &mut Vec<Error>) -> Roots {
    let (file, directories) = (env::path(variables, FILE), env::path(variables, DIRECTORIES));
    if file.is_none() && directories.is_none() {
        return Roots::System;
    }
    let mut found = Vec::new();
    let mut missing = Vec::new();
    let mut judge = |name: &str, path: PathBuf| {
        let what = format!("{name} names {}, which is refused", shown(&path));
        let is_right = if name == FILE { path.is_file() } else { path.is_dir() };
        if !path.is_absolute() {
            problems.push(Error::new(Id::CaFileMalformed, what, "it is not an absolute path"));
        } else if let Err(refusal) = around.judge_file(&path) {
            problems.push(Error::new(Id::CaFileUnsafe, what, refusal.to_string()));
        } else if is_right {
            found.push(path);
        } else if name == FILE {
            problems.push(Error::new(Id::CaFileMalformed, what, "there is no such file"));
        } else {
            missing.push(Error::new(Id::CaFileMalformed, what, "there is no such directory"));
        }
    };
    if let Some(file) = file {
        judge(FILE, file);
    }
    for directory in directories.iter().flat_map(std::env::split_paths) {
        if !directory.as_os_str().is_empty() {
            judge(DIRECTORIES, directory);
        }
    }
    if found.is_empty() {
        problems.extend(missing);
    }
    Roots::Named(found)
}
