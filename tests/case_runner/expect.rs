//! The expected result of a run, and the report when the run differs.

use std::fs;

use keyfob::internals::core::error::escape_whole;
use keyfob_dev::LoggedRequest;
use serde_json::Value;

use crate::{
    blanks::Blanks,
    case::{Case, Run, Whoami},
    child::Ran,
    stage::Stage,
};

/// Two texts, so that one sees where they part.
fn differ(what: &str, expected: &str, found: &str) -> String {
    let lines = |mark: &str, text: &str| -> String {
        text.lines().map(|line| format!("\n      {mark} {}", escape_whole(line))).collect()
    };
    format!("{what} differs{}{}", lines("expected |", expected), lines("found    |", found))
}

/// What `header` prints last where the vendor's demands are made; `whoami` finds out that it does.
const FLAG: &str = "\nanthropic-beta: oauth-2025-04-20";

/// Exit code and words.
pub(crate) fn words(case: &Case, run: &Run, ran: &Ran, blanks: &Blanks, problems: &mut Vec<String>) {
    let code = if case.malformed { 3 } else { run.code };
    if ran.code != code {
        problems.push(differ("the exit code", &code.to_string(), &format!("{}\n{}", ran.code, ran.err)));
    }
    // An API key has none, and that is noticed.
    let may_be_flagged = run.out.as_ref().is_some_and(|out| out.starts_with("Authorization:"));
    let out = ran.out.strip_suffix(FLAG).filter(|_| may_be_flagged).unwrap_or(&ran.out).to_owned();
    for (what, text, whole, has, lacks) in [
        ("stdout", &out, &run.out, &run.out_has, &run.out_lacks),
        ("stderr", &ran.err, &run.err, &run.err_has, &run.err_lacks),
    ] {
        if let Some(whole) = whole.as_ref().map(|whole| blanks.fill(whole.trim_end_matches('\n')))
            && *text != whole
        {
            problems.push(differ(what, &whole, text));
        }
        for part in has.iter().map(|part| blanks.fill(part)).filter(|part| !text.contains(part)) {
            problems.push(differ(&format!("{what} lacks `{part}`; it"), &part, text));
        }
        for part in lacks.iter().map(|part| blanks.fill(part)).filter(|part| text.contains(part)) {
            problems.push(differ(&format!("{what} has `{part}`; it"), "", text));
        }
    }
    if case.malformed {
        for name in case.covers.iter().filter(|name| !ran.err.contains(*name) && !ran.out.contains(*name)) {
            problems.push(differ(&format!("nothing names {name}; stderr"), name, &ran.err));
        }
    }
    json(run, &ran.out, blanks, problems);
}

fn json(run: &Run, out: &str, blanks: &Blanks, problems: &mut Vec<String>) {
    if run.json.is_empty() {
        return;
    }
    let line = out.lines().last().unwrap_or("");
    let Ok(answer) = serde_json::from_str::<Value>(line) else {
        problems.push(differ("stdout is no JSON; it", "JSON", out));
        return;
    };
    for (path, expected) in &run.json {
        let expected = match expected {
            toml::Value::String(text) if text == "null" => Value::Null,
            toml::Value::String(text) => blanks.fill(text).into(),
            other => serde_json::to_value(other).expect("TOML is JSON"),
        };
        let Some(found) = at(&answer, path) else {
            problems.push(differ(&format!("{path} on stdout"), &expected.to_string(), "no such member"));
            continue;
        };
        if *found != expected {
            problems.push(differ(&format!("{path} on stdout"), &expected.to_string(), &found.to_string()));
        }
    }
}

/// The member a path leads to.
fn at<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.').try_fold(value, |value, step| match value {
        Value::Array(list) => match step.parse::<usize>() {
            Ok(index) => list.get(index),
            Err(_) => list.iter().find(|one| one["source"] == step || one["name"] == step),
        },
        _ => value.get(step),
    })
}

/// One request as a case writes it, with everything else that may be said of it.
fn told(request: &LoggedRequest) -> (String, Vec<String>) {
    let line = format!("{} {} {}", request.method, request.path, request.status);
    let mut tags = request.credential.clone();
    tags.extend(request.client_id.iter().map(|id| format!("client:{id}")));
    tags.extend(request.grant_type.iter().map(|grant| format!("grant:{grant}")));
    tags.push(request.outcome.clone());
    if request.credential.is_empty() {
        tags.push("anonymous".into());
    }
    (line, tags)
}

/// Exactly the requests a case names.
pub(crate) fn traffic(run: &Run, requests: &[LoggedRequest], problems: &mut Vec<String>) {
    let found: Vec<_> = requests.iter().map(told).collect();
    let fits = |expected: &str, (line, tags): &(String, Vec<String>)| {
        expected.strip_prefix(line.as_str()).is_some_and(|more| {
            let mut wanted = more.split_whitespace();
            (more.is_empty() || more.starts_with(' ')) && wanted.all(|tag| tags.iter().any(|t| t == tag))
        })
    };
    let same = found.len() == run.traffic.len() && run.traffic.iter().zip(&found).all(|(e, f)| fits(e, f));
    if !same {
        let lines: Vec<_> = found.iter().map(|(line, tags)| format!("{line} {}", tags.join(" "))).collect();
        problems.push(differ("the traffic", &run.traffic.join("\n"), &lines.join("\n")));
    }
}

/// Sends the headers a run printed, and compares whom the provider saw.
pub(crate) fn whoami(stage: &mut Stage, expected: &Whoami, headers: &str) {
    let url = format!("{}/v1/whoami", stage.server.base_url());
    let agent = ureq::Agent::config_builder().proxy(None).http_status_as_error(false).build().new_agent();
    let mut request = agent.get(&url);
    for (name, value) in headers.lines().filter_map(|line| line.split_once(": ")) {
        request = request.header(name, value);
    }
    let mut response = request.call().expect("the provider answers");
    let status = response.status().as_u16();
    let body = response.body_mut().read_to_string().expect("a body");
    let answer: Value = serde_json::from_str(&body).unwrap_or_default();
    let account = expected.account.as_ref().map(|account| stage.blanks.fill(account));
    let credential: Vec<_> =
        answer["credential"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let same = status == expected.status
        && (expected.credential.is_empty() || credential == expected.credential)
        && account.as_deref().is_none_or(|account| answer["account_uuid"] == account);
    if !same {
        let wanted = format!("{} {:?} {account:?}", expected.status, expected.credential);
        stage.problem(differ("whom the provider saw", &wanted, &format!("{status} {body}")));
    }
}

/// The files that must be below the home, and those that must not.
pub(crate) fn files(stage: &Stage, run: &Run, problems: &mut Vec<String>) {
    for (name, content) in &run.files {
        let expected = stage.blanks.fill(content);
        match fs::read_to_string(stage.home.join(name)) {
            Ok(found) if found == expected => {}
            Ok(found) => problems.push(differ(&format!("the file {name}"), &expected, &found)),
            Err(error) => problems.push(format!("the file {name}: {error}")),
        }
    }
    for name in run.absent.iter().filter(|name| stage.home.join(name).symlink_metadata().is_ok()) {
        problems.push(format!("{name} is there"));
    }
}
