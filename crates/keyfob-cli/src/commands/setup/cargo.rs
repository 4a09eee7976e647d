//! `keyfob setup cargo`: the credential provider of a registry in the person's configuration of cargo.

use std::path::{Path, PathBuf};

use keyfob::{Error, internals::core::Id};
use toml_edit::{Array, Item, Table, TableLike, value};

use super::{
    hosts::Hosts,
    link::Link,
    toml,
    tool::{self, Tool},
};
use crate::{
    args::{Global, SetupCargo},
    output::terminal::plain,
};

pub(super) struct Cargo<'a> {
    pub(super) global: &'a Global,
    pub(super) args: &'a SetupCargo,
}

const REGISTRIES: &str = "registries";
const PROVIDER: &str = "credential-provider";
const NAME: &str = "cargo-credential-keyfob";

impl Tool for Cargo<'_> {
    fn name(&self) -> &'static str {
        "cargo"
    }

    fn file(&self) -> Result<PathBuf, Error> {
        let variable = Some(("CARGO_HOME", "config.toml"));
        tool::file(self.args.file.as_ref(), "cargo", variable, ".cargo/config.toml")
    }

    fn link(&self) -> Result<Option<Link>, Error> {
        Link::named(NAME).map(Some)
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
        Ok(format!("{PROVIDER} = {}", self.provider()?))
    }

    fn next(&self, undo: bool) -> Vec<String> {
        if undo {
            return Vec::new();
        }
        vec!["cargo asks keyfob for that registry from now on; `cargo login` and `cargo logout` do not reach it.".into()]
    }
}

impl Cargo<'_> {
    /// The name where cargo finds it in PATH, else the path.
    fn provider(&self) -> Result<Array, Error> {
        let link = Link::named(NAME)?;
        let program = if link.in_path { NAME.into() } else { link.path.to_string_lossy().into_owned() };
        Ok(Array::from_iter([program]))
    }

    fn set(&self, file: &Path, document: &mut toml_edit::DocumentMut) -> Result<bool, Error> {
        tool::takes_no_words(self.global, "cargo")?;
        let hosts = Hosts::of(self.global)?;
        let is_first = document.is_empty();
        let bad = || tool::taken(file, "its `registries` are no table");
        let registries = toml::tables(document, REGISTRIES).ok_or_else(bad)?;
        let mut changed = false;
        if let (Some(name), Some(index)) = (&self.args.registry, &self.args.index) {
            hosts.one(address(index))?;
            match registries.get(name).map(|there| there.get("index").and_then(Item::as_str)) {
                Some(Some(there)) if there == index => {}
                Some(_) => {
                    let why = format!("it has a registry `{}` with another index", plain(name));
                    return Err(tool::taken(file, &why));
                }
                None => {
                    let mut table = Table::new();
                    table.insert("index", value(index.as_str()));
                    toml::sign(&mut table, "cargo", is_first);
                    registries.insert(name, Item::Table(table));
                    changed = true;
                }
            }
        }
        let mut found = false;
        for (name, registry) in registries.iter_mut() {
            let name = name.get().to_owned();
            if self.args.registry.as_ref().is_some_and(|wanted| *wanted != name) {
                continue;
            }
            let Some(registry) = registry.as_table_like_mut() else { continue };
            let index = registry.get("index").and_then(Item::as_str).unwrap_or_default().to_owned();
            if self.args.registry.is_some() {
                hosts.one(address(&index))?;
            } else if !hosts.has(address(&index))? {
                continue;
            }
            found = true;
            let wanted = self.provider()?;
            let wanted: Vec<_> = wanted.iter().filter_map(toml_edit::Value::as_str).collect();
            match registry.get(PROVIDER) {
                there if toml::words(there) == wanted => continue,
                Some(_) if !is_ours(registry) => {
                    let why = format!("its registry `{}` has another credential provider", plain(&name));
                    return Err(tool::taken(file, &why));
                }
                _ => drop(registry.insert(PROVIDER, value(self.provider()?))),
            }
            changed = true;
        }
        if found { Ok(changed) } else { Err(self.none()) }
    }

    fn none(&self) -> Error {
        let what = "there is no registry to set cargo up for";
        let why = match &self.args.registry {
            Some(name) => format!("its configuration has none of the name `{}`", plain(name)),
            None => "no index in its configuration is at a host of the environment".into(),
        };
        Error::new(Id::Usage, what, why)
            .hint("add one: `keyfob setup cargo --registry NAME --index sparse+https://HOST/index/`")
    }
}

/// How the index is kept says nothing of its host.
fn address(index: &str) -> &str {
    ["sparse+", "registry+"].iter().find_map(|kind| index.strip_prefix(kind)).unwrap_or(index)
}

fn is_ours(registry: &dyn TableLike) -> bool {
    toml::words(registry.get(PROVIDER)).first().is_some_and(|program| program.ends_with(NAME))
}

fn undone(document: &mut toml_edit::DocumentMut) -> bool {
    let Some(registries) = document.get_mut(REGISTRIES).and_then(Item::as_table_like_mut) else {
        return false;
    };
    let all: Vec<_> = registries.iter().map(|(name, _)| name.to_owned()).collect();
    let (mut changed, mut is_bare) = (false, !all.is_empty());
    for name in all {
        let Some(item) = registries.get_mut(&name) else { continue };
        let signed = toml::is_signed(item, "cargo");
        match item.as_table_like_mut() {
            Some(registry) if is_ours(registry) => {
                registry.remove(PROVIDER);
                changed = true;
                // A person who has added to it keeps it.
                if signed && registry.iter().all(|(key, _)| key == "index") {
                    registries.remove(&name);
                    continue;
                }
                is_bare = false;
            }
            _ => is_bare = false,
        }
    }
    if changed && is_bare {
        document.remove(REGISTRIES);
    }
    changed
}
