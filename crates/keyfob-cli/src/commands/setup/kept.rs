//! A file with the ID token that the agent keeps fresh for a tool: its `[[agent.sink]]` in keyfob's own configuration.

use std::{
    fs,
    path::{Path, PathBuf},
};

use keyfob::{
    Error,
    internals::{
        core::Id,
        setup::{config_write, home::Home},
        world::{
            Files as _,
            system::{self, files::Disk, shown},
        },
    },
};

use super::{
    block::Blocks,
    person_file,
    place::{failed, judged},
    tool::Tool,
};
use crate::{args::Global, session};

pub(super) struct Kept<'a> {
    global: &'a Global,
    tool: &'static str,
    home: Home,
    /// Where the token is.
    pub(super) path: String,
    /// The directory that is made for it.
    made: Option<PathBuf>,
    pub(super) next: Vec<String>,
}

const HEAD: &str = "[[agent.sink]]";
const KEYS: [&str; 4] = ["path = ", "format = ", "mode = ", "profile = "];

impl<'a> Kept<'a> {
    /// In keyfob's own state, where nobody else comes and nothing is handed on with dotfiles; or where the person says.
    pub(super) fn of(global: &'a Global, tool: &'static str, named: Option<&PathBuf>) -> Result<Self, Error> {
        if global.environment.is_some() || global.approved.is_some() {
            let what = format!("{tool} cannot be set up for `--environment` or `--approved`");
            return Err(Error::new(Id::Usage, what, "the agent that keeps its file has one environment")
                .hint("choose the environment in the configuration, or by KEYFOB_ENVIRONMENT where the agent runs"));
        }
        let home = session::setup(global).require_home()?.clone();
        let (path, made) = match named {
            Some(path) => (judged(path.clone(), "--keep", None)?, None),
            None => {
                let dir = home.logins.with_file_name("kept");
                (dir.join(format!("{tool}-id-token")), Some(dir))
            }
        };
        let text = path.to_str().filter(|text| !text.chars().any(char::is_control)).ok_or_else(|| {
            let what = format!("{} cannot be written into a configuration", shown(&path));
            Error::new(Id::Usage, what, "it is no UTF-8, or has a control character in it")
                .hint("name another: `--keep FILE`")
        })?;
        Ok(Self { global, tool, home, path: text.to_owned(), made, next: Vec::new() })
    }

    fn lines(&self) -> Vec<String> {
        let text = |key: &str, value: &str| format!("{key} = {}", toml_edit::Value::from(value));
        let mut lines = vec![HEAD.to_owned(), text("path", &self.path), text("format", "id-token")];
        lines.extend(self.global.profile.as_ref().map(|profile| text("profile", profile)));
        lines
    }
}

impl Tool for Kept<'_> {
    fn name(&self) -> &'static str {
        self.tool
    }

    fn file(&self) -> Result<PathBuf, Error> {
        Ok(self.home.config.clone())
    }

    fn change(&self, _file: &Path, text: Option<&str>, undo: bool) -> Result<Option<String>, Error> {
        let own = |at: usize, line: &str| match at {
            0 => line == HEAD,
            _ => KEYS.iter().any(|key| line.starts_with(key)),
        };
        let blocks = Blocks { tool: self.tool, own: &own, sections: true };
        if undo {
            return Ok(text.map(|text| blocks.without(text)).filter(|rest| !rest.is_empty()));
        }
        let new = blocks.with(text, &[self.lines()]);
        config_write::check(&self.home, &new)?;
        Ok(Some(new))
    }

    fn part(&self) -> Result<String, Error> {
        Ok(self.lines().join("\n"))
    }

    /// Other programs of ours that change the configuration wait.
    fn put(&self, file: &Path, old: Option<&str>, new: Option<&str>) -> Result<(), Error> {
        let dir = self.made.as_deref();
        let is_kept = new.is_some_and(|new| new.lines().any(|line| line == self.lines()[1]));
        if let Some(dir) = dir.filter(|_| is_kept) {
            Disk.make_dir(dir).map_err(|error| failed("made", dir, error))?;
        }
        match new {
            None => person_file::write(None, file, old, None)?,
            Some(new) => {
                let world = system::world(session::setup(self.global).routes.clone());
                config_write::change(&world, &self.home, |text| {
                    let is_as_shown = text == old.unwrap_or_default();
                    if is_as_shown { Ok(new.to_owned()) } else { Err(person_file::changed_since(file)) }
                })?;
            }
        }
        if let Some(dir) = dir.filter(|_| !is_kept) {
            // Not if something is in it: an agent may still keep the file, and takes it away when it ends.
            let _ = fs::remove_dir(dir);
        }
        Ok(())
    }

    fn next(&self, undo: bool) -> Vec<String> {
        if undo {
            return vec!["An agent that runs goes on with the file until it is started again.".into()];
        }
        let mut next = vec![format!(
            "Start `keyfob agent`, again if it runs: it keeps {} fresh, for as long as somebody is signed in.",
            shown(Path::new(&self.path))
        )];
        next.extend(self.next.iter().cloned());
        next
    }
}
