//! `keyfob doctor`: checks what could keep a login from working; `--fix` repairs what it can.

use std::process::ExitCode;

use keyfob::internals::doctor::State;

use crate::{
    advice,
    args::{Doctor, Global},
    output::{
        report::{self, Report, Result},
        terminal,
    },
    session,
};

pub(crate) fn run(global: &Global, args: &Doctor) -> Result {
    let client = session::client(global, session::setup(global));
    Report::say("Examining the variables, the store, the provider and the clock.");
    let findings = client.examine(args.fix);
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
