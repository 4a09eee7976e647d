//! What a tool has to say to be set up: where its file is, and what the text becomes.

use std::path::{Path, PathBuf};

use keyfob::{
    Error,
    internals::{
        core::Id,
        setup::trust::{Refusal, Surroundings},
        world::system::{env, shown},
    },
};

/// A tool that keyfob can be set up in.
pub(super) trait Tool {
    /// Its word on the command line.
    fn name(&self) -> &'static str;
    /// The file to change, which has been judged.
    fn file(&self) -> Result<PathBuf, Error>;
    /// The file that the tool itself creates while it writes.
    fn lock(&self, file: &Path) -> Option<PathBuf>;
    /// What the text of its file becomes. `None`: no file.
    fn change(&self, text: Option<&str>, undo: bool) -> Result<Option<String>, Error>;
    /// What keyfob's part of the file says, and nothing of the rest: secrets of others may be in it.
    fn part(&self) -> Result<String, Error>;
    /// What the person should know or do next, a sentence each.
    fn next(&self, undo: bool) -> Vec<String>;
}

/// The path that a variable or a flag gave, made absolute, if nobody else can change the way to it. `usual` is its place in
/// a home.
pub(super) fn judged(path: PathBuf, from: &str, usual: Option<&str>) -> Result<PathBuf, Error> {
    let path = std::path::absolute(&path).unwrap_or(path);
    let around = Surroundings::of(env::here().as_deref());
    let verdict = match usual {
        Some(usual) => around.judge_unless_usual(&path, usual),
        // Typed for this call: only the way to it counts.
        None => around.follow(&path).map(drop),
    };
    verdict.map_err(|refusal: Refusal| {
        let what = format!("{from} leads to {}, which is refused", shown(&path));
        Error::new(Id::HomeUnsafe, what, refusal.to_string())
            .hint("name another file, on a way that is yours alone")
    })?;
    Ok(path)
}
