//! `keyfob setup docker`: the credential helper of a registry in docker's configuration, which podman, skopeo and buildah
//! read too.

use std::path::{Path, PathBuf};

use keyfob::Error;
use serde_json::Value;

use super::{
    hosts::{Hosts, authority},
    json,
    link::Link,
    tool::{self, Tool},
};
use crate::args::{Global, SetupHosts};

pub(super) struct Docker<'a> {
    pub(super) global: &'a Global,
    pub(super) args: &'a SetupHosts,
}

const HELPERS: &str = "credHelpers";
/// What docker puts behind `docker-credential-`.
const NAME: &str = "keyfob";

impl Tool for Docker<'_> {
    fn name(&self) -> &'static str {
        "docker"
    }

    fn file(&self) -> Result<PathBuf, Error> {
        let usual = ".docker/config.json";
        tool::file(self.args.file.as_ref(), "docker", Some(("DOCKER_CONFIG", "config.json")), usual)
    }

    fn link(&self) -> Result<Option<Link>, Error> {
        Link::named("docker-credential-keyfob").map(Some)
    }

    fn shares_lines(&self) -> bool {
        true
    }

    fn change(&self, file: &Path, text: Option<&str>, undo: bool) -> Result<Option<String>, Error> {
        let odd = |odd: json::Odd| tool::odd(file, odd.line, &odd.why);
        let helpers = json::get(text, &[HELPERS]).map_err(odd)?;
        let is = |host: &str| helpers.as_ref().and_then(|all| all.get(host)).and_then(Value::as_str);
        let Some(text) = text.filter(|_| undo) else {
            tool::takes_no_words(self.global, "docker")?;
            let mut text = text.map(str::to_owned);
            for host in self.registries()? {
                match is(&host) {
                    Some(NAME) => {}
                    Some(_) => {
                        let why = format!("its `{HELPERS}` name another helper for {host}");
                        return Err(tool::taken(file, &why));
                    }
                    None => text = Some(json::set(text.as_deref(), &[HELPERS, &host], NAME).map_err(odd)?),
                }
            }
            return Ok(text);
        };
        let own = helpers.iter().filter_map(Value::as_object).flatten();
        let own: Vec<_> = own.filter(|(_, name)| name.as_str() == Some(NAME)).map(|(host, _)| host).collect();
        let mut left = text.to_owned();
        for host in &own {
            left = json::remove(&left, &[HELPERS, host]).map_err(odd)?;
        }
        Ok(Some(left).filter(|left| own.is_empty() || !json::is_bare(left)))
    }

    fn part(&self) -> Result<String, Error> {
        let helpers: serde_json::Map<_, _> =
            self.registries()?.into_iter().map(|host| (host, NAME.into())).collect();
        Ok(format!("{:#}", serde_json::json!({ HELPERS: helpers })))
    }

    fn next(&self, undo: bool) -> Vec<String> {
        match self.link() {
            Ok(Some(link)) if !undo && !link.in_path => {
                vec!["Note: docker finds its helper in PATH alone. Add ~/.local/bin to it.".into()]
            }
            _ => Vec::new(),
        }
    }
}

impl Docker<'_> {
    /// A registry is named by its host, with a port where it has one.
    fn registries(&self) -> Result<Vec<String>, Error> {
        let origins = Hosts::of(self.global)?.chosen("docker", &self.args.hosts)?;
        Ok(origins.iter().map(|origin| authority(origin).to_owned()).collect())
    }
}
