//! The hosts that a tool is set up for: those of the environment, and no other.

use keyfob::{
    Client, Error, Purpose,
    internals::core::{Id, provider::web_origin},
};

use crate::{args::Global, output::terminal::plain, session};

/// What may go where, by the configuration of this run.
pub(super) struct Hosts {
    client: Client,
    name: String,
    listed: Vec<String>,
}

impl Hosts {
    pub(super) fn of(global: &Global) -> Result<Self, Error> {
        let setup = session::setup(global);
        setup.check()?;
        let environment = setup.environment.as_ref();
        let name = environment.map(|environment| environment.name.clone()).unwrap_or_default();
        let listed = environment.map(|environment| environment.hosts.clone()).unwrap_or_default();
        Ok(Self { client: session::client(global, setup), name, listed })
    }

    /// Whether the credential may go to this address.
    pub(super) fn has(&self, address: &str) -> Result<bool, Error> {
        match web_origin(address) {
            Some(origin) => self.client.may_go_to(Purpose::Api, &origin),
            None => Ok(false),
        }
    }

    /// The origins that were named, or else all that the configuration lists.
    pub(super) fn chosen(&self, tool: &str, named: &[String]) -> Result<Vec<String>, Error> {
        if named.is_empty() {
            if self.listed.is_empty() {
                let what = format!("there is no host to set {tool} up for");
                let why = format!("the environment `{}` lists none under `hosts`", plain(&self.name));
                return Err(Error::new(Id::Usage, what, why).hint(LIST));
            }
            return Ok(self.listed.clone());
        }
        named.iter().map(|named| self.one(named)).collect()
    }

    /// The origin of an address that is a host of the environment. A name alone means https.
    pub(super) fn one(&self, named: &str) -> Result<String, Error> {
        let address = if named.contains("://") { named.to_owned() } else { format!("https://{named}/") };
        if let Some(origin) = web_origin(&address)
            && self.has(&origin)?
        {
            return Ok(origin);
        }
        let what = format!("keyfob has nothing for {}", plain(named));
        let why = format!("it is no host of the environment `{}`", plain(&self.name));
        Err(Error::new(Id::Usage, what, why).hint(LIST))
    }
}

const LIST: &str =
    "list its origin under `hosts` of the environment in config.toml, if the token may go there";

/// The host and the port of an origin, as most tools name a server.
pub(super) fn authority(origin: &str) -> &str {
    origin.split_once("://").map_or(origin, |(_, rest)| rest)
}
