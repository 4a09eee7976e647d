//! Opens a URL in the browser, from a process that has no credential to pass on, and reports the result. It leaves the
//! session first, so that Ctrl-C and a closed terminal affect the command, not a browser that outlives it.
//!
//! A launcher (`xdg-open`) exits at once, with a status that says whether it succeeded; a browser keeps running.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use keyfob::{
    Error,
    internals::{
        core::{Id, contract::Variables, error::escape},
        world::system::env,
    },
};
use serde::{Deserialize, Serialize};

use crate::output::report::{Report, Result};

/// The result of opening a page. One line of standard output each; a later one corrects an earlier one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Opened {
    /// This program has accepted it.
    By(String),
    /// No program has, for this reason.
    Not(String),
}

/// A program that still runs after this time has found nothing wrong.
const TAKEN: Duration = Duration::from_millis(400);
/// A failure later than this is not waited for.
const LATEST: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(10);

/// Programs that open a page in the desktop user's browser, with the words before the URL.
const OPENERS: &[(&str, &[&str])] = if cfg!(target_os = "macos") {
    &[("open", &[])]
} else {
    &[
        ("xdg-open", &[]),
        ("gio", &["open"]),
        ("kde-open", &[]),
        ("exo-open", &[]),
        ("wslview", &[]),
        ("sensible-browser", &[]),
        ("x-www-browser", &[]),
    ]
};

pub(super) fn run(url: &str) -> Result {
    let known = url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "https" | "http"));
    if !known {
        return Err(Error::new(Id::Usage, "the address cannot be opened", "it is not a web address").into());
    }
    let _ = rustix::process::setsid();
    let variables = env::variables();
    if let Some(why) = hindrance(variables) {
        report(&Opened::Not(why))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut failures = Vec::new();
    for (name, words) in candidates(variables, url) {
        match start(variables, &words) {
            Err(why) => failures.push(why),
            Ok(mut child) => match ended_within(&mut child, TAKEN) {
                Some(status) if !status.success() => {
                    failures.push(format!("{} ended with {status}", words[0]));
                }
                Some(_) => {
                    report(&Opened::By(name))?;
                    return Ok(ExitCode::SUCCESS);
                }
                None => {
                    report(&Opened::By(name))?;
                    if let Some(status) = ended_within(&mut child, LATEST).filter(|status| !status.success())
                    {
                        report(&Opened::Not(format!("{} ended with {status}", words[0])))?;
                    }
                    return Ok(ExitCode::SUCCESS);
                }
            },
        }
    }
    // Of the programs of a desktop those that are not there are no news, unless there is none.
    if variables.text("BROWSER").is_none_or(|text| text.trim().is_empty()) {
        failures.retain(|why| !why.ends_with(ABSENT));
        if failures.is_empty() {
            failures.push("there is no program here that opens one (xdg-open)".into());
        }
    }
    report(&Opened::Not(failures.join(", ")))?;
    Ok(ExitCode::SUCCESS)
}

/// A line between two processes of one program, which is not a public format and has no version.
fn report(opened: &Opened) -> Result<()> {
    let text = serde_json::to_string(opened);
    Report::answer(
        &text.map_err(|_| Error::new(Id::Bug, "what came of the page", "it cannot be written as JSON"))?,
    )
}

/// Why no browser can be opened, as far as that is known before one is tried.
pub(crate) fn hindrance(variables: &Variables) -> Option<String> {
    let set = |name: &str| variables.text(name).is_some_and(|text| !text.trim().is_empty());
    let has_screen =
        ["BROWSER", "DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME"].iter().any(|name| set(name));
    (!has_screen && !cfg!(target_os = "macos")).then(|| {
        "there is no display (neither DISPLAY nor WAYLAND_DISPLAY is set), and BROWSER is not set".into()
    })
}

/// The programs to try, in order, each with its name for the user. If `BROWSER` is set, only that is used.
fn candidates(variables: &Variables, url: &str) -> Vec<(String, Vec<String>)> {
    let named = variables.text("BROWSER").unwrap_or_default();
    let named: Vec<_> = named.split(':').filter(|command| !command.trim().is_empty()).collect();
    if named.is_empty() {
        let desktop = |(program, words): &(&str, &[&str])| {
            let command = std::iter::once(*program).chain(words.iter().copied()).chain([url]);
            (format!("the browser of this desktop ({program})"), command.map(str::to_owned).collect())
        };
        return OPENERS.iter().map(desktop).collect();
    }
    named
        .into_iter()
        .map(|command| {
            let mut words: Vec<_> =
                command.split_ascii_whitespace().map(|word| word.replace("%s", url)).collect();
            if !command.contains("%s") {
                words.push(url.to_owned());
            }
            let program = Path::new(&words[0]).file_name().unwrap_or_default().to_string_lossy();
            (format!("{} (BROWSER)", escape(&program)), words)
        })
        .collect()
}

const ABSENT: &str = "is not there";

fn start(variables: &Variables, words: &[String]) -> std::result::Result<Child, String> {
    let (program, arguments) = words.split_first().ok_or("it names nothing")?;
    let found = find(variables, program).ok_or_else(|| format!("{} {ABSENT}", escape(program)))?;
    #[expect(clippy::disallowed_methods, reason = "the one place that starts a browser")]
    let mut command = Command::new(found);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map_err(|error| format!("{} cannot be started ({error})", escape(program)))
}

fn find(variables: &Variables, program: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return Path::new(program).is_file().then(|| program.into());
    }
    let (_, path) = variables.all().find(|(name, _)| *name == "PATH")?;
    std::env::split_paths(OsStr::from_bytes(path))
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join(program))
        .find(|path| path.is_file())
}

#[expect(clippy::disallowed_methods, reason = "a bound for a wait, and nothing else depends on it")]
fn ended_within(child: &mut Child, time: Duration) -> Option<ExitStatus> {
    let begun = Instant::now();
    // By the clock, and by its turns: on a busy machine the program has fewer of them in the same time, as this has.
    let mut looks = time.as_millis() / LOOK.as_millis();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if begun.elapsed() < time || looks > 0 => {
                looks = looks.saturating_sub(1);
                thread::sleep(LOOK);
            }
            // Nobody can tell.
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned()))).collect()
    }

    #[test]
    fn what_is_named_counts_and_nothing_else() {
        let tried = |text: &str| candidates(&variables(&[("BROWSER", text)]), "http://x/");
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            tried("/opt/ff/firefox --new-tab=%s:w3m"),
            [
                ("firefox (BROWSER)".into(), words(&["/opt/ff/firefox", "--new-tab=http://x/"])),
                ("w3m (BROWSER)".into(), words(&["w3m", "http://x/"]))
            ]
        );
        assert_eq!(tried("").len(), OPENERS.len());
    }

    #[test]
    fn without_a_screen_nothing_is_tried() {
        assert!(hindrance(&variables(&[("DISPLAY", "")])).is_some_and(|why| why.contains("DISPLAY")));
        for name in ["DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "WSL_DISTRO_NAME"] {
            assert_eq!(hindrance(&variables(&[(name, "x")])), None, "{name}");
        }
    }
}
