//! `keyfob env`: shows the effect of each variable of the contract. Always runs; exits with 3 if one is malformed.

use std::process::ExitCode;

use keyfob::{Error, internals::core::contract::State};

use crate::{
    args::{Env, Global},
    commands::env_report,
    output::report::{Report, Result},
    reference, session,
};

pub(crate) fn run(global: &Global, args: &Env) -> Result {
    if args.markdown && global.json {
        Report::json(&serde_json::json!({ "markdown": reference::environment::page() }))?;
        return Ok(ExitCode::SUCCESS);
    }
    if args.markdown {
        Report::answer(reference::environment::page().trim_end())?;
        return Ok(ExitCode::SUCCESS);
    }
    let setup = session::setup(global);
    let error = Error::all(setup.problems.clone());
    if global.json {
        setup.told().for_each(|told| Report::warn(&told));
        Report::json(&env_report::report(&setup.reading, setup.environment.as_ref(), error.as_ref()))?;
    } else {
        for entry in &setup.reading.entries {
            let said = match &entry.state {
                State::Unset => "unset".to_owned(),
                State::Set { value: Some(value), .. } => keyfob::internals::core::error::escape(value),
                State::Set { fingerprint: Some(fingerprint), .. } => {
                    format!("set (secret, fingerprint {fingerprint})")
                }
                State::Set { .. } => "set".to_owned(),
                State::Invalid { expected } => format!("INVALID: {expected}"),
            };
            Report::answer(&format!("{:<44} {said}", entry.variable.name))?;
        }
        match &setup.environment {
            Some(environment) => {
                let client = environment.client_id.as_ref().map_or("none", |id| id.as_str());
                Report::answer(&format!(
                    "\nEnvironment `{}`, issuer {}",
                    environment.name,
                    environment.issuer()
                ))?;
                Report::answer(&format!("  client id  {client}\n  scopes     {}", environment.scopes))?;
                for (name, url) in environment.endpoints.named() {
                    Report::answer(&format!("  {name:<10} {url}"))?;
                }
            }
            None => Report::answer("\nNo environment selected; fix the errors printed on stderr first.")?,
        }
        if let Some(error) = &error {
            Report::tell(error);
        }
        setup.told().for_each(|told| Report::warn(&told));
    }
    Ok(ExitCode::from(if error.is_some() { 3 } else { 0 }))
}
