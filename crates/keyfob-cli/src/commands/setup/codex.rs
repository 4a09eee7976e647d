//! `keyfob setup codex`: the command that gets the bearer token of a model provider in codex' configuration.

use std::path::{Path, PathBuf};

use keyfob::{Error, internals::core::Id};
use toml_edit::{Array, Item, Table, value};

use super::{
    hosts::Hosts,
    place::command,
    toml,
    tool::{self, Tool, chosen},
};
use crate::{
    args::{Global, SetupCodex},
    output::terminal::plain,
};

pub(super) struct Codex<'a> {
    pub(super) global: &'a Global,
    pub(super) args: &'a SetupCodex,
}

const PROVIDERS: &str = "model_providers";
const AUTH: &str = "auth";

impl Tool for Codex<'_> {
    fn name(&self) -> &'static str {
        "codex"
    }

    fn file(&self) -> Result<PathBuf, Error> {
        tool::file(
            self.args.file.as_ref(),
            "codex",
            Some(("CODEX_HOME", "config.toml")),
            ".codex/config.toml",
        )
    }

    fn shares_lines(&self) -> bool {
        true
    }

    fn change(&self, file: &Path, text: Option<&str>, undo: bool) -> Result<Option<String>, Error> {
        let mut document = toml::read(file, text)?;
        let changed = if undo { undone(&mut document) } else { self.set(file, &mut document)? };
        if !changed {
            return Ok(text.map(str::to_owned));
        }
        Ok(toml::written(&document, text))
    }

    fn part(&self) -> Result<String, Error> {
        let url = self.args.base_url.as_deref().unwrap_or("BASE_URL");
        Ok(self.auth(url)?.to_string())
    }

    fn next(&self, undo: bool) -> Vec<String> {
        if undo {
            return Vec::new();
        }
        vec!["codex runs that for each token. Choose the provider by `model_provider` or `codex -c model_provider=NAME`.".into()]
    }
}

impl Codex<'_> {
    /// The command and its words: what it gets is for that address alone.
    fn auth(&self, url: &str) -> Result<Table, Error> {
        let mut words = chosen(self.global)?;
        words.extend(["token", "--for", url].map(str::to_owned));
        let mut table = Table::new();
        table.insert("command", value(command()));
        table.insert("args", value(words.into_iter().collect::<Array>()));
        Ok(table)
    }

    fn set(&self, file: &Path, document: &mut toml_edit::DocumentMut) -> Result<bool, Error> {
        let hosts = Hosts::of(self.global)?;
        let is_first = document.is_empty();
        let bad = || tool::taken(file, "its `model_providers` are no table");
        let providers = toml::tables(document, PROVIDERS).ok_or_else(bad)?;
        let mut changed = false;
        if let (Some(name), Some(url)) = (&self.args.provider, &self.args.base_url) {
            hosts.one(url)?;
            match providers.get(name).map(|there| there.get("base_url").and_then(Item::as_str)) {
                Some(Some(there)) if there == url => {}
                Some(_) => {
                    let why = format!("it has a provider `{}` with another base_url", plain(name));
                    return Err(tool::taken(file, &why));
                }
                None => {
                    let mut table = Table::new();
                    table.insert("name", value(name.as_str()));
                    table.insert("base_url", value(url.as_str()));
                    table.insert("wire_api", value("responses"));
                    toml::sign(&mut table, "codex", is_first);
                    providers.insert(name, Item::Table(table));
                    changed = true;
                }
            }
        }
        let mut found = false;
        for (name, provider) in providers.iter_mut() {
            let name = name.get().to_owned();
            if self.args.provider.as_ref().is_some_and(|wanted| *wanted != name) {
                continue;
            }
            let Some(provider) = provider.as_table_like_mut() else { continue };
            let url = provider.get("base_url").and_then(Item::as_str).unwrap_or_default().to_owned();
            if self.args.provider.is_some() {
                hosts.one(&url)?;
            } else if !hosts.has(&url)? {
                continue;
            }
            found = true;
            for other in ["env_key", "experimental_bearer_token"] {
                if provider.get(other).is_some() {
                    let why = format!("its provider `{}` has an `{other}`", plain(&name));
                    return Err(tool::taken(file, &why));
                }
            }
            let mut wanted = self.auth(&url)?;
            match provider.get(AUTH) {
                Some(there) if says(there, &wanted) => continue,
                Some(there) if !is_ours(there) => {
                    let why = format!("its provider `{}` has another `auth`", plain(&name));
                    return Err(tool::taken(file, &why));
                }
                _ => {}
            }
            toml::sign(&mut wanted, "codex", false);
            provider.insert(AUTH, Item::Table(wanted));
            changed = true;
        }
        if found { Ok(changed) } else { Err(self.none()) }
    }

    fn none(&self) -> Error {
        let what = "there is no model provider to set codex up for";
        let why = match &self.args.provider {
            Some(name) => format!("its configuration has none of the name `{}`", plain(name)),
            None => "no base_url in its configuration is at a host of the environment".into(),
        };
        Error::new(Id::Usage, what, why)
            .hint("add one: `keyfob setup codex --provider NAME --base-url https://HOST/v1`")
    }
}

fn says(there: &Item, wanted: &Table) -> bool {
    ["command", "args"].iter().all(|key| toml::words(there.get(key)) == toml::words(wanted.get(key)))
}

fn is_ours(auth: &Item) -> bool {
    let program = auth.get("command").and_then(Item::as_str).unwrap_or_default();
    let name = program.rsplit('/').next().unwrap_or_default();
    name.starts_with("keyfob")
        && toml::words(auth.get("args")).windows(2).any(|words| words == ["token", "--for"])
}

fn undone(document: &mut toml_edit::DocumentMut) -> bool {
    let Some(providers) = document.get_mut(PROVIDERS).and_then(Item::as_table_like_mut) else { return false };
    let all: Vec<_> = providers.iter().map(|(name, _)| name.to_owned()).collect();
    let (mut changed, mut is_bare) = (false, !all.is_empty());
    for name in all {
        let Some(item) = providers.get_mut(&name) else { continue };
        let signed = toml::is_signed(item, "codex");
        match item.as_table_like_mut() {
            Some(provider) if provider.get(AUTH).is_some_and(is_ours) => {
                provider.remove(AUTH);
                changed = true;
                let written = ["name", "base_url", "wire_api"];
                // A person who has added to it keeps it.
                if signed && provider.iter().all(|(key, _)| written.contains(&key)) {
                    providers.remove(&name);
                    continue;
                }
                is_bare = false;
            }
            _ => is_bare = false,
        }
    }
    if changed && is_bare {
        document.remove(PROVIDERS);
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_auth_it_is() {
        let is = |text: &str| {
            let document: toml_edit::DocumentMut = text.parse().expect("TOML");
            is_ours(document.get(AUTH).expect("it is there"))
        };
        assert!(is(
            "[auth]\ncommand = \"/usr/bin/keyfob\"\nargs = [\"--profile\", \"a\", \"token\", \"--for\", \"https://a\"]\n"
        ));
        assert!(!is("[auth]\ncommand = \"/usr/bin/keyfob\"\nargs = [\"token\"]\n"));
        assert!(!is("auth = { command = \"other\", args = [\"token\", \"--for\", \"a\"] }\n"));
    }
}
