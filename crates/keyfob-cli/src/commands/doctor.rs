//! `keyfob doctor`: checks what could keep a login from working; `--fix` repairs what it can.

use std::process::ExitCode;

use keyfob::{
    Client, Error,
    internals::{
        core::Id,
        doctor::{Finding, State, Wish},
        world::system::shown,
    },
};

use crate::{
    advice,
    args::{Doctor, Global},
    commands::{help, setup},
    internal,
    output::{
        report::{self, Report, Result},
        terminal,
    },
    session,
};

pub(crate) fn run(global: &Global, args: &Doctor) -> Result {
    let client = session::client(global, session::setup(global));
    Report::say("Examining the variables, the store, the provider and the clock.");
    let run = args.run_helper || (!global.json && may_run(&client)?);
    let mut findings = client.examine(Wish { fix: args.fix, run });
    findings.extend(collector(&client));
    findings.push(Finding { subject: "program".into(), state: State::Fine(help::kind()) });
    findings.extend(helpers());
    #[cfg(feature = "serve")]
    findings.extend(super::proxy::check::findings(&client));
    // The first failure decides, malformed variables before all others.
    let code = findings.iter().find_map(|finding| match &finding.state {
        State::Wrong(error) => Some(error.exit_code()),
        _ => None,
    });
    if global.json {
        let list: Vec<_> = findings
            .iter()
            .map(|finding| {
                let (state, text, error) = match &finding.state {
                    State::Fine(text) => ("ok", Some(text), None),
                    State::Note(text) => ("note", Some(text), None),
                    State::Mended(text) => ("fixed", Some(text), None),
                    State::Wrong(error) => ("problem", None, Some(report::error_json(error))),
                };
                serde_json::json!({ "subject": finding.subject, "state": state, "text": text, "error": error })
            })
            .collect();
        Report::json(&serde_json::json!({ "findings": list }))?;
        return Ok(ExitCode::from(code.unwrap_or(0)));
    }
    for finding in &findings {
        let (mark, text) = match &finding.state {
            State::Fine(text) => ("ok   ", terminal::plain_whole(text)),
            State::Note(text) => ("note ", terminal::plain_whole(text)),
            State::Mended(text) => ("fixed", terminal::plain_whole(text)),
            State::Wrong(error) => {
                let told = advice::told(error);
                ("WRONG", format!("{}: {}\n{:22}{}", told.what, told.why, "", told.hint))
            }
        };
        Report::answer(&format!("{mark}  {:<14} {text}", finding.subject))?;
    }
    Ok(ExitCode::from(code.unwrap_or(0)))
}

/// A command of the configuration may require a touch or cost something: the user decides whether it is run.
fn may_run(client: &Client) -> Result<bool> {
    let setup = client.setup();
    let command = match (&setup.config.api_key_helper, setup.secret_command()) {
        (Some(_), _) => "api_key_helper",
        (None, Some(key)) => key,
        (None, None) => return Ok(false),
    };
    if !terminal::has_person() {
        return Ok(false);
    }
    Ok(terminal::agrees(&format!("Run the configured {command} once, to see whether it works?"))?)
}

/// Links by which tools find keyfob, and which lead nowhere.
fn helpers() -> Option<Finding> {
    let astray: Vec<_> = setup::astray().iter().map(|path| shown(path)).collect();
    let text = format!(
        "{} leads to a program that is gone; run `keyfob setup` for that tool again, or remove it",
        astray.first()?
    );
    let more = astray.len().checked_sub(2).map(|more| format!("; {} more", more + 1)).unwrap_or_default();
    Some(Finding { subject: "tools".into(), state: State::Note(text + &more) })
}

/// Whether metrics reach the collector: without this check, a failure would go unnoticed.
fn collector(client: &Client) -> Option<Finding> {
    let setup = client.setup();
    if setup.settings.metrics.is_none() || setup.routes.check().is_err() {
        return None;
    }
    let (endpoint, outcome) = internal::try_collector()?;
    let state = match outcome {
        Ok(()) => State::Fine(format!("the collector at {endpoint} answers")),
        Err(why) => State::Wrong(
            Error::new(Id::Unreachable, format!("the collector at {endpoint} takes no metrics"), why)
                .hint("correct OTEL_EXPORTER_OTLP_ENDPOINT (or OTEL_EXPORTER_OTLP_METRICS_ENDPOINT)"),
        ),
    };
    Some(Finding { subject: "metrics".into(), state })
}
