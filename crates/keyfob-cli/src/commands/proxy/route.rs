//! What `proxy` and `exec --proxy` have in common: where requests go, and the token of a run.

use keyfob::{
    Client, Error, Purpose, Secret,
    internals::{
        core::{Id, config::ConfiguredProxy, contract::names},
        setup::Setup,
        world::{Entropy as _, system::entropy::SystemEntropy},
    },
};
use keyfob_serve::{Road, Route, Rule, Target};

use crate::args::{Scrub, Through};

/// Where programs of the contract look for the address of the API.
const BASE_URL: &str = "ANTHROPIC_BASE_URL";

/// A route that was chosen.
pub(super) struct Chosen {
    pub(super) route: Route,
    pub(super) origin: String,
    /// What a base URL has behind the host.
    pub(super) path: String,
    pub(super) base_url_variable: String,
    pub(super) token_variable: String,
}

impl Chosen {
    /// What was named, else every one of the configuration, else the API of the environment.
    pub(super) fn all(setup: &Setup, through: &Through) -> Result<Vec<Self>, Error> {
        let configured = &setup.config.proxies;
        let named: Vec<(String, ConfiguredProxy)> = match &through.to {
            Some(url) if url.contains("://") => vec![(String::new(), of_flags(url))],
            Some(name) => {
                let found = configured.get(name).ok_or_else(|| {
                    let why = "the configuration has no [proxy] of that name";
                    Error::new(Id::Usage, format!("there is no proxy `{name}`"), why)
                        .hint("name an address, `--to https://HOST`, or one of the configuration's")
                })?;
                vec![(name.clone(), found.clone())]
            }
            None if configured.is_empty() => {
                let base = setup.require_environment()?.api_base.clone().ok_or_else(|| {
                    let what = "where to forward is not known";
                    Error::new(Id::Usage, what, "the environment has no `api_base`")
                        .hint("name it: `--to URL`")
                })?;
                vec![(String::new(), of_flags(&base))]
            }
            None => configured.iter().map(|(name, proxy)| (name.clone(), proxy.clone())).collect(),
        };
        if named.len() > 1 && !through.allow.is_empty() {
            let what = "`--allow` is for one proxy";
            return Err(Error::new(Id::Usage, what, format!("the configuration has {}", named.len()))
                .hint("name the one: `--to NAME`"));
        }
        named.iter().map(|(name, proxy)| Self::of(setup, through, name, proxy)).collect()
    }

    /// The same where there has to be one.
    pub(super) fn one(setup: &Setup, through: &Through) -> Result<Self, Error> {
        let mut all = Self::all(setup, through)?;
        match (all.pop(), all.len()) {
            (Some(one), 0) => Ok(one),
            (_, others) => {
                let names: Vec<_> = setup.config.proxies.keys().map(String::as_str).collect();
                let why = format!("the configuration has {}", others + 1);
                Err(Error::new(Id::Usage, "one process is a proxy for one origin", why)
                    .hint(format!("name the one: `--to NAME`, of {}", names.join(", "))))
            }
        }
    }

    pub(super) fn of(
        setup: &Setup,
        through: &Through,
        name: &str,
        proxy: &ConfiguredProxy,
    ) -> Result<Self, Error> {
        let target = Target::parse(&proxy.to)?;
        let (origin, path) = (target.origin().to_owned(), target.path().to_owned());
        let found = setup.routes.road(&origin)?;
        let mut road = Road::direct(found.tls);
        if let Some(via) = found.via {
            let user = via.user.as_ref().map(|(name, password)| (name.as_str(), password));
            road = road.through(&via.address, user)?;
        }
        let of_configuration = proxy.allow.iter().map(|rule| rule.parse::<Rule>());
        let of_configuration = of_configuration.collect::<Result<Vec<_>, _>>().map_err(|why| {
            Error::new(Id::ConfigMalformed, format!("`allow` of [proxy.{name}] is malformed"), why)
        })?;
        let rules = if through.allow.is_empty() { of_configuration } else { through.allow.clone() };
        let bodies = through.scrub.map_or(proxy.scrubs_bodies, |scrub| scrub == Scrub::Body);
        let route = Route::new(target, road)
            .allow(rules)
            .private(through.private || proxy.private)
            .scrub_bodies(bodies);
        let (base_url_variable, token_variable) =
            (proxy.base_url_variable.clone(), proxy.token_variable.clone());
        Ok(Self { route, origin, path, base_url_variable, token_variable })
    }
}

/// One of which the command line says all.
fn of_flags(to: &str) -> ConfiguredProxy {
    ConfiguredProxy {
        to: to.into(),
        allow: Vec::new(),
        scrubs_bodies: true,
        private: false,
        base_url_variable: BASE_URL.into(),
        token_variable: names::AUTH_TOKEN.into(),
    }
}

/// Refuses what is no login before anything is started.
pub(super) fn check_source(client: &Client) -> Result<(), Error> {
    match client.survey(Purpose::Api).winner {
        Some(source) if !keyfob_serve::is_lent(source) => {
            let what = "the proxy adds the access token of a login alone";
            let why = format!("what is used is from {source}, which is no login");
            Err(Error::new(Id::ProxyRefused, what, why).hint("unset it, or name the login: `--profile NAME`"))
        }
        _ => Ok(()),
    }
}

/// 256 bits that are good for nothing but this run of the proxy.
pub(super) fn token() -> Result<Secret, Error> {
    let mut octets = [0; 32];
    SystemEntropy
        .fill(&mut octets)
        .map_err(|error| Error::caused_by(Id::SystemFailed, "no randomness", error))?;
    let digits: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    Ok(Secret::new(format!("keyfob-run-{digits}")))
}
