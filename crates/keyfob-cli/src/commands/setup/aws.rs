//! `keyfob setup aws`: a profile in the person's `~/.aws/config` whose role is taken with the ID token of the login, in a file that
//! the agent keeps fresh.

use std::path::{Path, PathBuf};

use keyfob::{Error, internals::core::Id};

use super::{
    block::Blocks,
    kept::Kept,
    tool::{self, Tool},
};
use crate::args::{Global, SetupAws};

pub(super) struct Aws<'a> {
    pub(super) global: &'a Global,
    pub(super) args: &'a SetupAws,
}

const KEYS: [&str; 2] = ["role_arn = ", "web_identity_token_file = "];

const BLOCKS: Blocks = Blocks {
    tool: "aws",
    own: &|at, line| match at {
        0 => line.starts_with('['),
        _ => KEYS.iter().any(|key| line.starts_with(key)),
    },
    sections: true,
};

impl Tool for Aws<'_> {
    fn name(&self) -> &'static str {
        "aws"
    }

    fn file(&self) -> Result<PathBuf, Error> {
        tool::file(self.args.file.as_ref(), "aws", Some(("AWS_CONFIG_FILE", "")), ".aws/config")
    }

    fn also(&self) -> Result<Option<Box<dyn Tool + '_>>, Error> {
        Ok(Some(Box::new(self.kept()?)))
    }

    fn change(&self, file: &Path, text: Option<&str>, undo: bool) -> Result<Option<String>, Error> {
        let rest = text.map(|text| BLOCKS.without(text));
        if undo {
            return Ok(rest.filter(|rest| !rest.is_empty()));
        }
        let lines = self.lines()?;
        // Somebody may have added a region to it, which stays below it.
        if let Some(new) = text.and_then(|text| BLOCKS.in_place(text, &lines)) {
            return Ok(Some(new));
        }
        let is_it = |line: &str| section(line).is_some_and(|name| Some(name) == section(&lines[0]));
        if let Some(at) = rest.as_deref().unwrap_or_default().lines().position(is_it) {
            let why = format!(
                "line {} is a profile `{}` that keyfob has not written",
                at + 1,
                self.args.aws_profile
            );
            return Err(tool::taken(file, &why));
        }
        Ok(Some(BLOCKS.with(text, &[lines])))
    }

    fn part(&self) -> Result<String, Error> {
        Ok(self.lines()?.join("\n"))
    }

    fn next(&self, undo: bool) -> Vec<String> {
        let mut next = self.kept().map(|kept| kept.next(undo)).unwrap_or_default();
        if !undo {
            next.push(format!("Then: `aws --profile {} sts get-caller-identity`.", self.args.aws_profile));
        }
        next
    }
}

impl Aws<'_> {
    fn kept(&self) -> Result<Kept<'_>, Error> {
        Kept::of(self.global, "aws", self.args.keep.as_ref())
    }

    fn lines(&self) -> Result<Vec<String>, Error> {
        let path = self.kept()?.path;
        // What begins a comment for one of AWS' programs does not for another.
        if path.contains(['#', ';']) || path.trim() != path {
            let what = "the file of the token cannot be written into AWS' configuration";
            return Err(Error::new(
                Id::Usage,
                what,
                "its path has a character that begins a comment there, or a blank at its end",
            )
            .hint("name another: `--keep FILE`"));
        }
        let head = match self.args.aws_profile.as_str() {
            "default" => "[default]".to_owned(),
            name => format!("[profile {name}]"),
        };
        let role = self.args.role.as_deref().unwrap_or_default();
        Ok(vec![head, format!("role_arn = {role}"), format!("web_identity_token_file = {path}")])
    }
}

/// What is between the brackets of a section's first line. AWS' programs take `[profile a]`, `[ profile  "a" ]` and
/// `[profile a] # mine` for the same.
fn section(line: &str) -> Option<String> {
    let inside = line.trim_start().strip_prefix('[')?.split(']').next()?;
    let words = inside.split_whitespace().map(|word| word.trim_matches(['"', '\'']));
    Some(words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" "))
}
