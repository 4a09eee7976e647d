//! The child process of `keyfob demo`: a program that only knows the descriptor it was given.

use std::process::ExitCode;

use keyfob::{
    Error, Secret,
    internals::{
        core::Id,
        core::contract::names,
        setup::descriptors::Inherited,
        world::{
            Request,
            system::{self, env},
        },
    },
};

use crate::output::report::{Report, Result};

#[expect(clippy::disallowed_methods, reason = "the credential goes into the one header it is for")]
pub(super) fn run(base: &str) -> Result {
    let variables = env::variables();
    let number = variables.text(names::OAUTH_DESCRIPTOR).and_then(|number| number.parse().ok());
    let number = number.ok_or_else(|| {
        Error::new(Id::Usage, "no descriptor was handed over", "run this through `keyfob exec`")
    })?;
    let token = Inherited::take(names::OAUTH_DESCRIPTOR, number)?.read()?;
    let url = format!("{base}/v1/whoami");
    let request = Request {
        method: "GET",
        url: &url,
        headers: vec![("Authorization", Secret::from(format!("Bearer {}", token.expose())))],
        body: None,
        timeout: std::time::Duration::from_secs(10),
    };
    let world = system::world(system::routes::Routes::default());
    let answer =
        world.http.send(&request).map_err(|no| Error::new(Id::Unreachable, "the provider", no.why))?;
    let body = answer.reply.quote(String::from_utf8_lossy(&answer.reply.body).trim());
    Report::answer(&format!("{} {body}", answer.reply.status))?;
    Ok(if answer.reply.status == 200 { ExitCode::SUCCESS } else { ExitCode::from(5) })
}
