//! `keyfob header`: prints one `Name: value` line for each header.

use std::{collections::BTreeMap, process::ExitCode};

use keyfob::internals::{
    core::{contract::names, provider::web_origin},
    world::system::env as environment,
};

use crate::{
    args::{Global, Header, HeaderFormat, Wanted},
    hand_over::{answer::Answer, grant},
    output::report::{Report, Result},
    session,
};

#[expect(clippy::disallowed_methods, reason = "printing them on stdout is what this command is for")]
pub(crate) fn run(global: &Global, args: &Header) -> Result {
    if let Some(HeaderFormat::HeadersHelper) = args.format {
        return headers_helper(global, &args.wanted);
    }
    let grant = grant::grant_for(global, &args.wanted, args.address.as_deref())?;
    if global.json {
        Report::json(&Answer::of(&grant))?;
    } else {
        let lines: Vec<_> =
            grant.headers().map(|(name, value)| format!("{name}: {}", value.expose())).collect();
        Report::answer(&lines.join("\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// An object whose members are the headers. Where the server is named, it gets none but as a host of the environment; an
/// empty object lets the tool go on without.
#[expect(clippy::disallowed_methods, reason = "printing them on stdout is what this command is for")]
fn headers_helper(global: &Global, wanted: &Wanted) -> Result {
    let setup = session::setup(global);
    setup.check()?;
    let client = session::client(global, setup);
    if let Some(server) = environment::variables().path(names::MCP_SERVER).filter(|server| !server.is_empty())
    {
        let may = match std::str::from_utf8(server).ok().and_then(web_origin) {
            Some(origin) => client.may_go_to(wanted.purpose(), &origin)?,
            None => false,
        };
        if !may {
            Report::answer("{}")?;
            return Ok(ExitCode::SUCCESS);
        }
    }
    let grant = grant::grant_from(global, &client, wanted)?;
    let headers: BTreeMap<_, _> = grant.headers().map(|(name, value)| (name, value.expose())).collect();
    Report::answer(&serde_json::json!(headers).to_string())?;
    Ok(ExitCode::SUCCESS)
}
