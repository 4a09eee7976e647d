//! The child process of `keyfob demo`: a program that only knows the descriptor it was given.

use std::process::ExitCode;

use keyfob::{
    Error, Source,
    internals::{
        core::{
            Id,
            contract::names,
            oauth::dialect::{Addition, Dialect},
        },
        credential::grant,
        provider,
        setup::descriptors::Inherited,
        world::system::{self, env},
    },
};

use crate::{
    commands::started::API_HEADERS,
    output::report::{Report, Result},
};

pub(super) fn run(base: &str) -> Result {
    let variables = env::variables();
    let number = variables.text(names::OAUTH_DESCRIPTOR).and_then(|number| number.parse().ok());
    let number = number.ok_or_else(|| {
        Error::new(Id::Usage, "no descriptor was handed over", "run this through `keyfob exec`")
    })?;
    let token = Inherited::take(names::OAUTH_DESCRIPTOR, number)?.read()?;
    let world = system::world(system::routes::Routes::default());
    let url = format!("{base}/v1/whoami");
    let beside = variables.text(API_HEADERS).unwrap_or_default().lines();
    let beside = beside.filter_map(|line| line.split_once(": "));
    let dialect = Dialect {
        api_headers: beside.map(|(name, value)| Addition::new(name, value)).collect(),
        ..Dialect::default()
    };
    let headers = grant::headers(Source::OauthTokenDescriptor, &token, &dialect);
    let answer =
        provider::get(&world, &url).with(headers).send().map_err(|failure| failure.error("the provider"))?;
    let body = answer.reply.quote(String::from_utf8_lossy(&answer.reply.body).trim());
    Report::answer(&format!("{} {body}", answer.reply.status))?;
    Ok(if answer.reply.status == 200 { ExitCode::SUCCESS } else { ExitCode::from(5) })
}
