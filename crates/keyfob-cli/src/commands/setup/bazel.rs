//! `keyfob setup bazel`: a credential helper for each host in the person's `.bazelrc`.

use std::path::{Path, PathBuf};

use keyfob::{
    Error,
    internals::{core::Id, world::system::shown},
};

use super::{
    block::Blocks,
    hosts::{Hosts, authority},
    link::Link,
    tool::{self, Tool},
};
use crate::args::{Global, SetupHosts};

pub(super) struct Bazel<'a> {
    pub(super) global: &'a Global,
    pub(super) args: &'a SetupHosts,
}

const OPTION: &str = "common --credential_helper=";
const NAME: &str = "bazel-credential-keyfob";

const BLOCKS: Blocks = Blocks {
    tool: "bazel",
    own: &|_, line| line.starts_with(OPTION) && line.trim_end_matches('"').ends_with(NAME),
    sections: false,
};

impl Tool for Bazel<'_> {
    fn name(&self) -> &'static str {
        "bazel"
    }

    fn file(&self) -> Result<PathBuf, Error> {
        tool::file(self.args.file.as_ref(), "bazel", None, ".bazelrc")
    }

    fn link(&self) -> Result<Option<Link>, Error> {
        Link::named(NAME).map(Some)
    }

    fn change(&self, file: &Path, text: Option<&str>, undo: bool) -> Result<Option<String>, Error> {
        let rest = text.map(|text| BLOCKS.without(text));
        if undo {
            return Ok(rest.filter(|rest| !rest.is_empty()));
        }
        tool::takes_no_words(self.global, "bazel")?;
        for host in self.hosts()? {
            let other = format!("--credential_helper={host}=");
            let is = |line: &str| !line.trim_start().starts_with('#') && line.contains(&other);
            let at = rest.as_deref().unwrap_or_default().lines().position(is);
            if let Some(at) = at {
                return Err(tool::taken(file, &format!("line {} names another helper for {host}", at + 1)));
            }
        }
        Ok(Some(BLOCKS.with(text, &[self.lines()?])))
    }

    fn part(&self) -> Result<String, Error> {
        Ok(self.lines()?.join("\n"))
    }

    fn next(&self, _undo: bool) -> Vec<String> {
        Vec::new()
    }
}

impl Bazel<'_> {
    /// Bazel matches the name of the host, whatever the port.
    fn hosts(&self) -> Result<Vec<String>, Error> {
        let origins = Hosts::of(self.global)?.chosen("bazel", &self.args.hosts)?;
        let name = |origin: &String| {
            let authority = authority(origin);
            match authority.rsplit_once(':') {
                Some((name, port)) if port.chars().all(|c| c.is_ascii_digit()) => name.to_owned(),
                _ => authority.to_owned(),
            }
        };
        let mut names: Vec<_> = origins.iter().map(name).collect();
        names.dedup();
        Ok(names)
    }

    fn lines(&self) -> Result<Vec<String>, Error> {
        let path = Link::named(NAME)?.path;
        let path = path.to_str().filter(|path| !path.contains(['\'', '"', '\\', '\n'])).ok_or_else(|| {
            let why = "it has a character that cannot be written there";
            Error::new(Id::Usage, format!("{} cannot be written into .bazelrc", shown(&path)), why)
        })?;
        let line = |host: &String| {
            let option = format!("{OPTION}{host}={path}");
            // Blanks part words there.
            if path.contains([' ', '\t']) { option.replacen(path, &format!("\"{path}\""), 1) } else { option }
        };
        Ok(self.hosts()?.iter().map(line).collect())
    }
}
