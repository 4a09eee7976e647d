//! What a tool has to say to be set up: where its file is, and what the text becomes.

use std::path::{Path, PathBuf};

use keyfob::{
    Error,
    internals::{
        core::Id,
        world::system::{env, shown},
    },
};

use super::{
    link::Link,
    person_file,
    place::{home, judged},
};
use crate::args::Global;

/// A tool that keyfob can be set up in.
pub(super) trait Tool {
    /// Its word on the command line.
    fn name(&self) -> &'static str;
    /// The file to change, which has been judged.
    fn file(&self) -> Result<PathBuf, Error>;
    /// The file that the tool itself creates while it writes.
    fn lock(&self, _file: &Path) -> Option<PathBuf> {
        None
    }
    /// The name under which the tool looks for its helper.
    fn link(&self) -> Result<Option<Link>, Error> {
        Ok(None)
    }
    /// Whether a line of its file may hold keyfob's part and other people's together.
    fn shares_lines(&self) -> bool {
        false
    }
    /// What the text of its file becomes. `None`: no file.
    fn change(&self, file: &Path, text: Option<&str>, undo: bool) -> Result<Option<String>, Error>;
    /// What keyfob's part of the file says, and nothing of the rest: secrets of others may be in it.
    fn part(&self) -> Result<String, Error>;
    /// Another file that this one leads to.
    fn also(&self) -> Result<Option<Box<dyn Tool + '_>>, Error> {
        Ok(None)
    }
    /// Puts the new text in the place of the old.
    fn put(&self, file: &Path, old: Option<&str>, new: Option<&str>) -> Result<(), Error> {
        person_file::write(self.lock(file), file, old, new)
    }
    /// What the person should know or do next, a sentence each.
    fn next(&self, undo: bool) -> Vec<String>;
}

/// The file that was named, or the one in the directory that a variable names, or the one in the home.
pub(super) fn file(
    named: Option<&PathBuf>,
    tool: &str,
    variable: Option<(&str, &str)>,
    usual: &str,
) -> Result<PathBuf, Error> {
    if let Some(path) = named {
        return judged(path.clone(), "--file", None);
    }
    if let Some((name, within)) = variable
        && let Some(path) = env::path(env::variables(), name)
    {
        let path = if within.is_empty() { path } else { path.join(within) };
        return judged(path, name, Some(usual));
    }
    judged(home(tool)?.join(usual), "HOME", Some(usual))
}

/// The error for a file that cannot be changed where it stands.
pub(super) fn odd(file: &Path, line: usize, why: &str) -> Error {
    Error::new(Id::Usage, format!("{} is not changed", shown(file)), format!("line {line}: {why}"))
        .hint("mend that line, or name another file: `--file FILE`")
}

/// The error for a file that says something else already.
pub(super) fn taken(file: &Path, why: &str) -> Error {
    Error::new(Id::Usage, format!("{} is not changed", shown(file)), why.to_owned())
        .hint("take that out first, if keyfob is to answer there")
}

/// What was chosen on this command line, to hold when the tool runs the program too.
pub(super) fn chosen(global: &Global) -> Result<Vec<String>, Error> {
    let text = |path: &PathBuf| {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        path.into_os_string().into_string().map_err(|_| {
            Error::new(
                Id::Usage,
                "a path cannot be written into the file",
                "it is not UTF-8, which that file is",
            )
        })
    };
    let mut words = Vec::new();
    for (flag, path) in [("--home", &global.home), ("--approved", &global.approved)] {
        if let Some(path) = path {
            words.extend([flag.into(), text(path)?]);
        }
    }
    for (flag, name) in [("--profile", &global.profile), ("--environment", &global.environment)] {
        if let Some(name) = name {
            words.extend([flag.into(), name.clone()]);
        }
    }
    Ok(words)
}

/// For a tool that runs its helper by a name alone.
pub(super) fn takes_no_words(global: &Global, tool: &str) -> Result<(), Error> {
    if chosen(global)?.is_empty() {
        return Ok(());
    }
    let what = format!("{tool} cannot be set up for one login");
    let why = format!("{tool} gives its helper no options");
    Err(Error::new(Id::Usage, what, why)
        .hint("leave them out, and set KEYFOB_PROFILE or KEYFOB_ENVIRONMENT where the tool runs"))
}
