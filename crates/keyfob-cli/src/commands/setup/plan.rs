//! What is to become of one file, and of the link that goes with it: shown first, then written.

use std::path::{Path, PathBuf};

use keyfob::{Error, internals::world::system::shown};

use super::{link::Link, person_file, tool::Tool};
use crate::{
    args::How,
    commands::set_up_report as report,
    config_edit,
    output::{report::Report, terminal},
};

pub(super) struct Plan<'a> {
    tool: &'a dyn Tool,
    pub(super) path: PathBuf,
    old: Option<String>,
    new: Option<String>,
    link: Option<Link>,
    /// Which another file may need.
    stays: Option<Link>,
}

impl<'a> Plan<'a> {
    /// `named`: the file was named for this call, and is perhaps one of several.
    pub(super) fn of(tool: &'a dyn Tool, named: bool, how: &How) -> Result<Self, Error> {
        let path = tool.file()?;
        let old = person_file::read(&path)?;
        let new = tool.change(&path, old.as_deref(), how.undo)?;
        // A link that is as it should be, or is not this command's to remove, is no change.
        let link = if how.undo { tool.link().unwrap_or_default() } else { tool.link()? };
        let link = link.filter(|link| if how.undo { link.is_own() } else { !link.is_there });
        let (link, stays) = if how.undo && named { (None, link) } else { (link, None) };
        Ok(Self { tool, path, old, new, link, stays })
    }

    pub(super) fn changes(&self) -> bool {
        self.new != self.old || self.link.is_some()
    }

    pub(super) fn show(&self, how: &How) {
        show(self.tool, &self.path, self.old.as_deref(), self.new.as_deref());
        if let Some(link) = &self.link {
            Report::say(&format!("{} {}", if how.undo { "Goes:" } else { "Link:" }, link.says()));
        }
        if let Some(link) = &self.stays {
            Report::say(&format!("Stays: {}, which another file may need.", shown(&link.path)));
        }
    }

    pub(super) fn write(&self, how: &How) -> Result<(), Error> {
        // A tool must never be told of a helper that is not there.
        if let Some(link) = self.link.as_ref().filter(|_| !how.undo) {
            link.write()?;
        }
        if self.new != self.old {
            self.tool.put(&self.path, self.old.as_deref(), self.new.as_deref())?;
        }
        match self.link.as_ref().filter(|_| how.undo) {
            Some(link) => link.remove(),
            None => Ok(()),
        }
    }

    /// What became of it.
    pub(super) fn told(&self, how: &How) -> String {
        let path = shown(&self.path);
        match (self.changes(), &self.new) {
            (false, _) if how.undo => format!("{path} holds nothing of keyfob's."),
            (false, _) => format!("{path} says that already."),
            (true, None) if self.old.is_some() => format!("Removed {path}, which held nothing else."),
            (true, new) if *new == self.old => format!("{path} is as it was."),
            (true, _) => format!("Written to {path}."),
        }
    }

    pub(super) fn json(&self, how: &How) -> Result<serde_json::Value, Error> {
        Ok(serde_json::json!({
            "tool": self.tool.name(),
            "file": shown(&self.path),
            "link": self.link.as_ref().map(|link| shown(&link.path)),
            "changed": self.changes() && !how.dry_run,
            "would_change": self.changes(),
            "undo": how.undo,
            "content": if how.undo { None } else { Some(self.tool.part()?) },
        }))
    }
}

/// Shows the lines that come and go. Where keyfob shares a line with others, their secrets may be in it: then keyfob's part
/// is shown alone.
fn show(tool: &dyn Tool, path: &Path, old: Option<&str>, new: Option<&str>) {
    let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
    let gone = |line: &String| line.strip_prefix('-').is_some_and(|text| !text.trim().is_empty());
    let is_shared = || {
        let is_long = old.lines().count() == 1 && old.contains('{');
        is_long || tool.shares_lines() && config_edit::difference(old, new).iter().any(gone)
    };
    if old == new || !is_shared() {
        report::change(path, old, new);
        return;
    }
    Report::say(&format!(
        "\n{} will change. Its lines may hold more than this, which is keyfob's part:\n",
        shown(path)
    ));
    // Nothing can be said of it where what it was made from is gone.
    for line in tool.part().unwrap_or_default().lines() {
        Report::show(format!("  {}", terminal::plain_whole(line)).trim_end());
    }
    Report::say("");
}
