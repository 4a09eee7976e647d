//! `keyfob proxy status`: what a proxy says of itself.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};

use keyfob::{
    Error, Secret,
    internals::{
        core::Id,
        setup::Setup,
        world::{failure, system::shown},
    },
};
use keyfob_serve::{Line, Refused, Working};
use serde_json::json;

use crate::{
    args::{Global, ProxyStatus},
    hand_over::lent::judge,
    output::{
        manner::Manner,
        report::{Report, Result, error_json},
        terminal::plain,
        when::Calendar,
    },
    session,
};

/// Where a proxy is.
enum Place {
    Socket(PathBuf),
    Loopback(SocketAddr, Secret),
}

impl Place {
    fn line(&self) -> Line<'_> {
        match self {
            Self::Socket(path) => Line::to(path),
            Self::Loopback(address, token) => Line::at(*address, token),
        }
    }

    /// As the proxy says it when it listens.
    fn address(&self) -> String {
        match self {
            Self::Socket(path) => format!("unix:{}", path.display()),
            Self::Loopback(address, _) => format!("http://{address}"),
        }
    }
}

pub(super) fn run(global: &Global, args: &ProxyStatus) -> Result {
    let setup = session::setup(global);
    let place = match (&args.socket, &args.info) {
        (Some(path), _) => Place::Socket(std::path::absolute(path).unwrap_or_else(|_| path.clone())),
        (None, Some(file)) => told_in(&setup, file)?,
        (None, None) => Place::Socket(setup.require_home()?.transient().join("proxy.sock")),
    };
    if let Place::Socket(path) = &place {
        judge(&setup, path, format!("the proxy at {} is not asked", shown(path)))?;
    }
    let working = place.line().proxy_status().map_err(|refused| told(&place, refused))?;
    let problem = working.problem.clone().map(|answer| {
        let why = format!("{} (says the proxy)", answer.why);
        let id = answer.id.unwrap_or(Id::ProxyRefused);
        Error::new(id, answer.what, why).hint(answer.hint)
    });
    if global.json {
        Report::json(&answer(&place, &working, problem.as_ref()))?;
    } else {
        page(&place, &working, problem.as_ref())?;
    }
    Ok(problem.map_or(ExitCode::SUCCESS, |problem| ExitCode::from(problem.exit_code())))
}

/// What a proxy has written into its file. Whoever could put another one there could have the token of a run sent elsewhere.
fn told_in(setup: &Setup, path: &Path) -> Result<Place, Error> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let what = format!("{} does not say where a proxy is", shown(&path));
    judge(setup, &path, what.clone())?;
    let text = fs::read(&path).map_err(|error| failure::failed_at(Id::Usage, what.clone(), &path, error))?;
    let odd = || {
        Error::new(Id::Usage, what.clone(), "it is no file of `keyfob proxy --info`")
            .hint("name the file that the proxy was started with: `--info FILE`")
    };
    let told: serde_json::Value = serde_json::from_slice(&text).map_err(|_| odd())?;
    let address = told["address"].as_str().ok_or_else(odd)?;
    if let Some(path) = address.strip_prefix("unix:") {
        return Ok(Place::Socket(path.into()));
    }
    let host = address.strip_prefix("http://").and_then(|rest| rest.split('/').next());
    let host: Option<SocketAddr> = host.and_then(|host| host.parse().ok());
    let host = host.filter(|host| host.ip().is_loopback()).ok_or_else(odd)?;
    let token = told["token"].as_str().ok_or_else(odd)?;
    Ok(Place::Loopback(host, Secret::new(token)))
}

/// Why a proxy does not say anything.
fn told(place: &Place, refused: Refused) -> Error {
    let what = format!("the proxy at {} does not answer", plain(&place.address()));
    let error = match refused {
        Refused::Absent(error) => Error::caused_by(Id::Unreachable, what, error),
        Refused::Stranger(owner) => Error::new(
            Id::AgentUnsafe,
            what,
            format!("user {owner} listens there, who is neither you nor root"),
        ),
        Refused::Silent => Error::new(Id::Unreachable, what, "no answer came in time"),
        Refused::NoAnswer(why) => Error::new(Id::Unreachable, what, why),
        Refused::Said(answer) => Error::new(answer.id.unwrap_or(Id::ProxyRefused), answer.what, answer.why),
    };
    error.hint("start it: `keyfob proxy`; or name another one: `--socket PATH` or `--info FILE`")
}

fn answer(place: &Place, working: &Working, problem: Option<&Error>) -> serde_json::Value {
    json!({
        "address": place.address(),
        "version": working.version,
        "pid": working.pid,
        "to": working.to,
        "environment": working.environment,
        "profile": working.profile,
        "uptime": working.uptime,
        "connections": working.connections,
        "streams": working.streams,
        "answered": working.answered,
        "refused": working.refused,
        "renewed": working.renewed,
        "source": working.source,
        "expires_in": working.expires_in,
        "error": problem.map(error_json),
    })
}

fn page(place: &Place, working: &Working, problem: Option<&Error>) -> Result<()> {
    let (manner, calendar) = (Manner::of_answers(), Calendar::here());
    Report::prose(&format!(
        "{}Requests to {} go to {} with the credential of profile `{}` in environment `{}`.",
        manner.mark(problem.is_none()),
        plain(&place.address()),
        manner.bold(&plain(&working.to)),
        plain(&working.profile),
        plain(&working.environment)
    ))?;
    if let Some(left) = working.expires_in {
        let end = calendar.now().plus(left);
        Report::prose(&if left > 0 {
            format!(
                "Its token is valid until {}; the proxy renews it when a request needs that.",
                calendar.ahead(end)
            )
        } else {
            format!("Its token ended {}.", calendar.ago(end))
        })?;
    }
    let list = |counts: &BTreeMap<String, u64>| {
        let all: Vec<_> = counts.iter().map(|(key, number)| format!("{number} {}", plain(key))).collect();
        if all.is_empty() { "none".to_owned() } else { all.join(", ") }
    };
    Report::prose(&format!(
        "Answered: {}. Refused: {}. Renewed: {}.",
        list(&working.answered),
        list(&working.refused),
        working.renewed
    ))?;
    let count = |number: u64, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    Report::prose(&format!(
        "Process {} (keyfob {}): {} and {} now.",
        working.pid,
        plain(&working.version),
        count(working.connections, "connection"),
        count(working.streams, "open stream"),
    ))?;
    if let Some(problem) = problem {
        Report::say("");
        Report::tell(problem);
    }
    Ok(())
}
