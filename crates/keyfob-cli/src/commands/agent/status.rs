//! `keyfob agent status`: what an agent says of itself.

use std::process::ExitCode;

use keyfob_serve::Standing;
use serde_json::json;

use keyfob::{Error, internals::setup::Setup};

use super::place::{of_door, usual};
use crate::{
    args::{AgentStatus, Global},
    hand_over::lent::{self, Place},
    output::{
        manner::Manner,
        report::{Report, Result, error_json},
        terminal::plain,
        when::Calendar,
    },
    session,
};

pub(super) fn run(global: &Global, args: &AgentStatus) -> Result {
    let setup = session::setup(global);
    let configured = &setup.config.agent.doors;
    if args.socket.is_none() && lent::named(&setup).is_none() && !configured.is_empty() {
        return all(global, &setup);
    }
    let place = match (&args.socket, lent::named(&setup)) {
        (Some(path), _) => Place::Path(std::path::absolute(path).unwrap_or_else(|_| path.clone())),
        (None, Some(named)) => named?,
        (None, None) => Place::Path(usual(&setup)?),
    };
    let standing = place.line().status().map_err(|refused| lent::told(&place, refused))?;
    if global.json {
        Report::json(&answer(&place, &standing))?;
    } else {
        page(&place, &standing)?;
    }
    Ok(standing
        .problem
        .map_or(ExitCode::SUCCESS, |problem| ExitCode::from(lent::said(&place, problem).exit_code())))
}

/// Of each door that is configured. It ends as the first that gives nothing would.
fn all(global: &Global, setup: &Setup) -> Result {
    let mut code = ExitCode::SUCCESS;
    let mut answers = Vec::new();
    let mut failed = |code_of_one: u8| {
        if code == ExitCode::SUCCESS {
            code = ExitCode::from(code_of_one);
        }
    };
    for (name, door) in &setup.config.agent.doors {
        let at = of_door(setup, name, door).map(Place::Path);
        let socket =
            at.as_ref().map_or_else(|_| door.socket.clone().unwrap_or_default(), ToString::to_string);
        let asked = at.and_then(|place| {
            let standing = place.line().status().map_err(|refused| lent::told(&place, refused))?;
            Ok((place, standing))
        });
        match asked {
            Ok((place, standing)) => {
                if let Some(problem) = &standing.problem {
                    failed(lent::said(&place, problem.clone()).exit_code());
                }
                if global.json {
                    answers.push(answer(&place, &standing));
                } else {
                    page(&place, &standing)?;
                    Report::prose("")?;
                }
            }
            Err(error) => {
                failed(error.exit_code());
                if global.json {
                    answers.push(absent(name, &socket, &error));
                } else {
                    Report::prose(&format!("The door `{name}` is not open."))?;
                    Report::tell(&error);
                    Report::prose("")?;
                }
            }
        }
    }
    if global.json {
        Report::json(&json!({ "doors": answers }))?;
    }
    Ok(code)
}

fn absent(name: &str, socket: &str, error: &Error) -> serde_json::Value {
    json!({ "door": name, "socket": socket, "error": error_json(error) })
}

fn answer(place: &Place, standing: &Standing) -> serde_json::Value {
    let problem = standing.problem.clone().map(|problem| error_json(&lent::said(place, problem)));
    json!({
        "socket": place.to_string(),
        "version": standing.version,
        "pid": standing.pid,
        "door": standing.door,
        "environment": standing.environment,
        "profile": standing.profile,
        "account": standing.account,
        "headers_only": standing.headers_only,
        "no_rejected": standing.no_rejected,
        "hosts": standing.hosts,
        "narrowed": standing.narrowed.as_ref().map(|to| {
            json!({ "scopes": to.scopes, "audience": to.audience, "resource": to.resource })
        }),
        "closes_in": standing.closes_in,
        "uptime": standing.uptime,
        "connections": standing.connections,
        "answered": standing.answered,
        "refused": standing.refused,
        "source": standing.source,
        "handle": standing.handle,
        "expires_in": standing.expires_in,
        "error": problem,
    })
}

fn page(place: &Place, standing: &Standing) -> Result<()> {
    let (manner, calendar) = (Manner::of_answers(), Calendar::here());
    let mark = manner.mark(standing.problem.is_none());
    let whose = match &standing.account {
        Some(account) => format!("The login of {}", manner.bold(&plain(account))),
        None if standing.source.is_some() => "A login".into(),
        None => "No login".into(),
    };
    Report::prose(&format!(
        "{mark}{whose}: profile `{}` in environment `{}`.",
        plain(&standing.profile),
        plain(&standing.environment)
    ))?;
    if let Some(left) = standing.expires_in {
        let end = calendar.now().plus(left);
        Report::prose(&if left > 0 {
            format!("Its token is valid until {}; the agent renews it before.", calendar.ahead(end))
        } else {
            format!("Its token ended {}.", calendar.ago(end))
        })?;
    }
    let gives = if standing.hosts.is_empty() {
        if standing.headers_only { "headers for a request alone".into() } else { "tokens and headers".into() }
    } else {
        format!("headers for requests to {} alone", plain(&standing.hosts.join(", ")))
    };
    // Nobody who asks there gets anything, whatever the door is for.
    let waits = standing.source.is_none() && standing.problem.is_some();
    let gives =
        if waits { format!("gives nothing now; it is for {gives}") } else { format!("gives {gives}") };
    Report::prose(&format!(
        "The door `{}` at {} {gives}.",
        plain(&standing.door),
        plain(&place.to_string())
    ))?;
    if let Some(to) = &standing.narrowed {
        let parts = [("scope", &to.scopes), ("audience", &to.audience), ("resource", &to.resource)];
        let parts = parts.into_iter().filter(|(_, list)| !list.is_empty());
        let parts: Vec<_> = parts.map(|(word, list)| format!("{word} {}", plain(&list.join(" ")))).collect();
        Report::prose(&format!("Its tokens are narrowed: {}.", parts.join(", ")))?;
    }
    if standing.no_rejected {
        Report::prose("It renews no token because it was rejected.")?;
    }
    if let Some(left) = standing.closes_in {
        let end = calendar.now().plus(left.cast_signed());
        Report::prose(&format!("It closes {}.", calendar.ahead(end)))?;
    }
    let count = |number: u64, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    Report::prose(&format!(
        "Process {} (keyfob {}): {} answered, {} refused, {} now.",
        standing.pid,
        plain(&standing.version),
        count(standing.answered, "request"),
        standing.refused,
        count(standing.connections, "connection"),
    ))?;
    if let Some(problem) = standing.problem.clone() {
        Report::say("");
        Report::tell(&lent::said(place, problem));
    }
    Ok(())
}
