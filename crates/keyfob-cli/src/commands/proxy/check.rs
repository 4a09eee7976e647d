//! What `keyfob doctor` says of the proxies of the configuration: whether requests could go where they are to go.

use keyfob::{
    Client, Error, Purpose,
    internals::{
        core::Id,
        doctor::{Finding, State},
    },
};

use super::route::Chosen;
use crate::args::Through;

/// Of each of them, in the order of their names.
pub(crate) fn findings(client: &Client) -> Vec<Finding> {
    let setup = client.setup();
    let all = setup.config.proxies.iter();
    all.map(|(name, proxy)| {
        let found = Chosen::of(setup, &Through::default(), name, proxy).and_then(|chosen| {
            let origin = &chosen.origin;
            if client.may_go_to(Purpose::Api, origin)? {
                return Ok(format!("{origin}{}", chosen.path));
            }
            let what = format!("[proxy.{name}] leads to {origin}, which the credential is not for");
            let why = "it is neither the provider's own nor under `hosts` of the environment";
            Err(Error::new(Id::OriginRefused, what, why))
        });
        let state = match found {
            Err(error) => State::Wrong(error),
            Ok(to) => match client.survey(Purpose::Api).winner {
                Some(source) => State::Fine(format!("requests to {to} get what is from {source}")),
                None => State::Note(format!(
                    "requests to {to} would be refused: nobody has signed in to profile `{}` of this environment",
                    setup.profile_name()
                )),
            },
        };
        Finding { subject: format!("proxy {name}"), state }
    })
    .collect()
}
