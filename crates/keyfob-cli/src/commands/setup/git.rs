//! `keyfob setup git`: a credential helper for each host in the person's git configuration (gitcredentials(7)).

use std::path::{Path, PathBuf};

use keyfob::{Error, internals::world::system::env};

use super::{
    block::Blocks,
    hosts::{Hosts, authority},
    place::{command, home, judged},
    tool::{self, Tool, chosen},
};
use crate::{
    advice::quoted,
    args::{Global, SetupHosts},
};

pub(super) struct Git<'a> {
    pub(super) global: &'a Global,
    pub(super) args: &'a SetupHosts,
}

const USUAL: &str = ".gitconfig";

/// An empty `helper` first: what else is configured for all hosts would be asked before, and told to store the token after.
const BLOCKS: Blocks = Blocks {
    tool: "git",
    own: &|at, line| match at {
        0 => line.starts_with("[credential \""),
        1 => line == RESET,
        _ => at == 2 && line.starts_with("\thelper = ") && line.contains("credential-helper git"),
    },
    sections: true,
};
const RESET: &str = "\thelper =";

impl Tool for Git<'_> {
    fn name(&self) -> &'static str {
        "git"
    }

    /// As git finds it (git-config(1), FILES): the variable, the home, the second place for those who use that alone.
    fn file(&self) -> Result<PathBuf, Error> {
        let variables = env::variables();
        if self.args.file.is_none() && env::path(variables, "GIT_CONFIG_GLOBAL").is_none() {
            let usual = home("git")?.join(USUAL);
            let config = env::path(variables, "XDG_CONFIG_HOME").unwrap_or(home("git")?.join(".config"));
            let second = config.join("git/config");
            if !usual.exists() && second.exists() {
                return judged(second, "XDG_CONFIG_HOME", Some(".config/git/config"));
            }
        }
        tool::file(self.args.file.as_ref(), "git", Some(("GIT_CONFIG_GLOBAL", "")), USUAL)
    }

    /// git creates it while it writes (`lockfile.h`).
    fn lock(&self, file: &Path) -> Option<PathBuf> {
        let mut name = file.as_os_str().to_owned();
        name.push(".lock");
        Some(name.into())
    }

    fn change(&self, file: &Path, text: Option<&str>, undo: bool) -> Result<Option<String>, Error> {
        if let Some((line, why)) = text.and_then(broken) {
            return Err(tool::odd(file, line, why));
        }
        if undo {
            return Ok(text.map(|text| BLOCKS.without(text)).filter(|text| !text.is_empty()));
        }
        Ok(Some(BLOCKS.with(text, &self.blocks()?)))
    }

    fn part(&self) -> Result<String, Error> {
        Ok(self.blocks()?.concat().join("\n"))
    }

    fn next(&self, undo: bool) -> Vec<String> {
        if undo {
            return Vec::new();
        }
        vec!["git asks keyfob for those hosts from now on, and no other helper.".into()]
    }
}

impl Git<'_> {
    fn blocks(&self) -> Result<Vec<Vec<String>>, Error> {
        let mut words = vec![command()];
        words.extend(chosen(self.global)?);
        words.extend(["credential-helper", "git"].map(str::to_owned));
        let shell: Vec<_> = words.iter().map(|word| quoted(word)).collect();
        let helper = value(&format!("!{}", shell.join(" ")));
        let origins = Hosts::of(self.global)?.chosen("git", &self.args.hosts)?;
        debug_assert!(origins.iter().all(|origin| !authority(origin).contains(['"', '\\'])), "an origin");
        let block = |origin: &String| {
            vec![format!("[credential \"{origin}\"]"), RESET.into(), format!("\thelper = {helper}")]
        };
        Ok(origins.iter().map(block).collect())
    }
}

/// In quotes where git would read it otherwise than it is (git-config(1), Syntax).
fn value(text: &str) -> String {
    if !text.contains(['"', '\\', ';', '#', '\n']) && !text.contains("  ") {
        return text.into();
    }
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', "\\n"))
}

/// The first line that git would not read.
fn broken(text: &str) -> Option<(usize, &'static str)> {
    let mut continued = false;
    for (at, line) in text.lines().enumerate() {
        let bare = line.trim();
        let was = std::mem::replace(&mut continued, line.ends_with('\\') && !bare.starts_with(['#', ';']));
        if was || bare.is_empty() || bare.starts_with(['#', ';']) {
            continue;
        }
        if let Some(section) = bare.strip_prefix('[') {
            if !section.contains(']') {
                return Some((at + 1, "a section has no `]`"));
            }
        } else if !bare.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return Some((at + 1, "it is neither a section nor a name"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_in_quotes() {
        assert_eq!(value("!keyfob credential-helper git"), "!keyfob credential-helper git");
        assert_eq!(value("!'/a b/key\\fob' --profile '#1'"), "\"!'/a b/key\\\\fob' --profile '#1'\"");
    }

    #[test]
    fn what_git_would_not_read_is_named_by_its_line() {
        assert_eq!(broken("[a]\n\tb = c \\\n  = d\n# [\n[b \"]\"] x = y\n"), None);
        assert_eq!(broken("[a]\n\n[b\n").map(|(line, _)| line), Some(3));
        assert_eq!(broken("[a]\n= 1\n").map(|(line, _)| line), Some(2));
    }
}
