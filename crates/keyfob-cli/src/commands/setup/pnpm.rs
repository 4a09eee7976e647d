//! `keyfob setup pnpm`: a token helper for each registry in the person's `.npmrc`. pnpm runs it by its absolute path and
//! without words, and takes it from no other file: one in a project could run anything.

use std::path::{Path, PathBuf};

use keyfob::{
    Error,
    internals::{
        core::{Id, provider::web_origin},
        world::system::shown,
    },
};

use super::{
    block::Blocks,
    hosts::{Hosts, authority},
    link::Link,
    tool::{self, Tool},
};
use crate::{
    args::{Global, SetupPnpm},
    output::terminal::plain,
};

pub(super) struct Pnpm<'a> {
    pub(super) global: &'a Global,
    pub(super) args: &'a SetupPnpm,
}

const NAME: &str = "pnpm-credential-keyfob";

const BLOCKS: Blocks = Blocks {
    tool: "pnpm",
    own: &|_, line| line.starts_with("//") && line.contains("/:tokenHelper=") && line.ends_with(NAME),
    sections: false,
};

impl Tool for Pnpm<'_> {
    fn name(&self) -> &'static str {
        "pnpm"
    }

    fn file(&self) -> Result<PathBuf, Error> {
        tool::file(self.args.file.as_ref(), "pnpm", Some(("NPM_CONFIG_USERCONFIG", "")), ".npmrc")
    }

    fn link(&self) -> Result<Option<Link>, Error> {
        Link::named(NAME).map(Some)
    }

    fn change(&self, file: &Path, text: Option<&str>, undo: bool) -> Result<Option<String>, Error> {
        let rest = text.map(|text| BLOCKS.without(text));
        if undo {
            return Ok(rest.filter(|rest| !rest.is_empty()));
        }
        tool::takes_no_words(self.global, "pnpm")?;
        self.may_go_by_http()?;
        for registry in self.registries()? {
            let is = |line: &str| {
                let key = line.trim().strip_prefix(&registry).unwrap_or_default();
                [":tokenHelper", ":_authToken", ":_auth", ":_password"].iter().any(|own| key.starts_with(own))
            };
            if let Some(at) = rest.as_deref().unwrap_or_default().lines().position(is) {
                return Err(tool::taken(file, &format!("line {} has a credential for {registry}", at + 1)));
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

impl Pnpm<'_> {
    fn origins(&self) -> Result<Vec<String>, Error> {
        Hosts::of(self.global)?.chosen("pnpm", &self.args.hosts)
    }

    /// A project's own `.npmrc` chooses the scheme of its registry, and the line here names none: over http, a token is for
    /// everybody on the way.
    fn may_go_by_http(&self) -> Result<(), Error> {
        let origins = self.origins()?;
        let is_remote = |origin: &&String| web_origin(&format!("http://{}", authority(origin))).is_none();
        let Some(remote) = origins.iter().find(is_remote).filter(|_| !self.args.accept_http) else {
            return Ok(());
        };
        let host = plain(authority(remote));
        let what = format!("pnpm is not set up for {host}");
        let why = format!(
            "pnpm sends the token unencrypted too, in a project whose .npmrc says `registry=http://{host}/`"
        );
        Err(Error::new(Id::Usage, what, why)
            .hint("say `--accept-http`, if you run pnpm in no project that could say so"))
    }

    /// As npm names a registry: without its scheme.
    fn registries(&self) -> Result<Vec<String>, Error> {
        let origins = self.origins()?;
        Ok(origins.iter().map(|origin| format!("//{}/", authority(origin))).collect())
    }

    fn lines(&self) -> Result<Vec<String>, Error> {
        let path = Link::named(NAME)?.path;
        let path = path.to_str().filter(|path| !path.contains(['\n', '$', ';', '#'])).ok_or_else(|| {
            let why = "it has a character that cannot be written there";
            Error::new(Id::Usage, format!("{} cannot be written into .npmrc", shown(&path)), why)
        })?;
        Ok(self.registries()?.iter().map(|registry| format!("{registry}:tokenHelper={path}")).collect())
    }
}
