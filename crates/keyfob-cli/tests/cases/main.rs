//! The cases of `tests/cases`, with the real command and a real provider; and in all of them, no secret anywhere it was
//! not meant to be.
#![expect(clippy::disallowed_methods, reason = "tests start the real command")]

mod case;
#[cfg(feature = "traced")]
mod core_dumps;
mod leaks;
mod stage;

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use keyfob::core::{
    config::RawConfig,
    contract::VARIABLES,
    source::{self, Prefer, Purpose},
};
use serde_json::Value;

use crate::{
    case::{Case, Run},
    stage::{Ran, Stage},
};

/// How many cases run at a time: some of them wait.
const AT_ONCE: usize = 6;

#[test]
fn every_case() {
    let cases = case::all();
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(String::new()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let wrong = judge(case);
                    if !wrong.is_empty() {
                        let mut failures = failures.lock().expect("no panic");
                        let _ =
                            writeln!(failures, "\n{} ({})\n  {}", case.name, case.about, wrong.join("\n  "));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().expect("no panic");
    assert!(failures.is_empty(), "{failures}");
}

/// Everything that is wrong with what a case came to.
fn judge(case: &Case) -> Vec<String> {
    let stage = Stage::new(case);
    let mut wrong = Vec::new();
    for run in &case.runs {
        let before = stage.traffic().len();
        for ran in stage.run(run) {
            let at = wrong.len();
            compare(&stage, run, &ran, &mut wrong);
            scan(&stage, run, &ran, &mut wrong);
            if wrong.len() > at {
                wrong.push(format!(
                    "  of {:?}, which ended with {:?} and said\n{}{}",
                    run.words, ran.code, ran.out, ran.err
                ));
            }
        }
        // The contract: before any network use.
        if case.malformed && stage.traffic().len() > before {
            wrong.push(format!("{:?} used the network: {:?}", run.words, stage.traffic()));
        }
    }
    let traffic = stage.traffic();
    if let Some(expected) = &case.traffic
        && *expected != traffic
    {
        wrong.push(format!("the provider was asked {traffic:#?}, not {expected:#?}"));
    }
    for path in &case.never {
        if let Some(line) = traffic.iter().find(|line| line.contains(path)) {
            wrong.push(format!("the provider was asked {line}"));
        }
    }
    wrong
}

fn compare(stage: &Stage<'_>, run: &Run, ran: &Ran, wrong: &mut Vec<String>) {
    if ran.code != Some(run.code) {
        wrong.push(format!("the exit code is {:?}, not {}", ran.code, run.code));
    }
    for (name, text, parts) in [("stdout", &ran.out, &run.out), ("stderr", &ran.err, &run.err)] {
        for part in parts.iter().map(|part| stage.filled(part)) {
            if !text.contains(&part) {
                wrong.push(format!("{name} does not say `{part}`"));
            }
        }
    }
    if run.json.is_empty() {
        return;
    }
    let said: Value = serde_json::from_str(ran.out.lines().last().unwrap_or("")).unwrap_or_default();
    for (path, expected) in &run.json {
        let expected = match expected {
            toml::Value::String(text) if text == "null" => Value::Null,
            toml::Value::String(text) => Value::from(stage.filled(text)),
            other => serde_json::to_value(other).expect("JSON"),
        };
        let found = at(&said, path);
        if *found != expected {
            wrong.push(format!("`{path}` is {found}, not {expected}"));
        }
    }
}

/// `a.b`, and `a[x].b` for the element whose `source` or `name` is `x`.
fn at<'v>(value: &'v Value, path: &str) -> &'v Value {
    path.split('.').fold(value, |value, step| {
        match step.strip_suffix(']').and_then(|step| step.split_once('[')) {
            None => &value[step],
            Some((list, key)) => {
                let named = |v: &&Value| v["source"] == key || v["name"] == key;
                value[list].as_array().and_then(|all| all.iter().find(named)).unwrap_or(&Value::Null)
            }
        }
    })
}

/// No secret of the case where it was not meant to be.
fn scan(stage: &Stage<'_>, run: &Run, ran: &Ran, wrong: &mut Vec<String>) {
    let minted = run.prints.iter().any(|name| name == "*");
    let secrets = || stage.secrets.iter();
    let unmeant = || secrets().filter(|(name, _)| !run.prints.contains(name));
    let log = format!("{:?}", stage.server.requests());
    let mut places = vec![("stderr".to_owned(), ran.err.clone()), ("the provider's log".to_owned(), log)];
    places.extend(leaks::files(stage.home.path(), &|path| stage.wrote(path)));
    for (place, text) in places {
        if let Some(name) = leaks::found(&text, secrets()) {
            wrong.push(format!("the secret {name} stands in {place}"));
        }
        // What was minted meanwhile is known by how it begins.
        if text.contains("kdev-at-") || text.contains("kdev-rt-") || text.contains("kdev-dt-") {
            wrong.push(format!("a credential of the provider stands in {place}"));
        }
    }
    if let Some(name) = leaks::found(&ran.out, unmeant()) {
        wrong.push(format!("the secret {name} stands in stdout"));
    }
    let of_the_provider = ran.out.contains("kdev-at-") || ran.out.contains("kdev-rt-");
    if of_the_provider && !minted && run.prints.is_empty() {
        wrong.push("a credential of the provider stands in stdout".into());
    }
}

/// Each of the twenty has a case in which it does its work, and one in which it is refused.
#[test]
fn every_variable_has_its_cases() {
    let cases = case::all();
    let covered = |malformed: bool| -> BTreeSet<&str> {
        let fitting = cases.iter().filter(|case| case.malformed == malformed);
        fitting.flat_map(|case| case.covers.iter().map(String::as_str)).collect()
    };
    let (work, refused) = (covered(false), covered(true));
    for variable in VARIABLES {
        assert!(work.contains(variable.name), "no case shows what {} does", variable.name);
        assert!(refused.contains(variable.name), "no case shows a malformed {}", variable.name);
    }
}

/// Each step of each order has a case in which both are there and the earlier one wins.
#[test]
fn every_step_of_every_order_has_its_case() {
    let cases = case::all();
    let covered: BTreeSet<&str> =
        cases.iter().flat_map(|case| case.covers.iter().map(String::as_str)).collect();
    for (word, purpose, prefer) in [
        ("api", Purpose::Api, Prefer::ApiKey),
        ("oauth", Purpose::Api, Prefer::OAuth),
        ("remote", Purpose::Remote, Prefer::ApiKey),
    ] {
        for pair in source::order(purpose, prefer).windows(2) {
            let step = format!("{word}: {} before {}", pair[0], pair[1]);
            assert!(covered.contains(&*step), "no case shows {step}");
        }
    }
    // The configuration of the cases is one the product reads.
    assert!(toml::from_str::<RawConfig>("prefer = \"oauth\"").is_ok());
}

/// A scan that finds nothing is worth something only if it finds what is there.
#[test]
fn a_leak_is_found() {
    let text = "about = \"planted\"\n[secrets]\na = \"access\"\n[env]\nCLAUDE_CODE_OAUTH_TOKEN = \"{a}\"\n\
                [[run]]\nwords = [\"token\"]\n";
    let case: Case = toml::from_str(text).expect("a case");
    let said = judge(&case).join("\n");
    assert!(said.contains("the secret a stands in stdout"), "{said}");
    let meant: Case = toml::from_str(&format!("{text}prints = [\"a\"]\n")).expect("a case");
    assert_eq!(judge(&meant), Vec::<String>::new());
    let into_a_file = format!(
        "{text}prints = [\"a\"]\n[[run]]\nwords = [\"exec\", \"--env\", \"T\", \"--\", \"sh\", \"-c\", \
                               \"env > {{home}}/leak\"]\n"
    );
    let case: Case = toml::from_str(&into_a_file).expect("a case");
    let said = judge(&case).join("\n");
    assert!(said.contains("the secret a stands in leak"), "{said}");
}

impl Stage<'_> {
    /// Whether the case itself put this file there.
    fn wrote(&self, path: &Path) -> bool {
        path.starts_with("descriptors") || self.has_file(path)
    }
}
