//! `keyfob completions`: prints, installs or removes the completion script for a shell.

use std::{path::Path, process::ExitCode};

use clap_complete::Shell;
use keyfob::{
    Error,
    internals::{core::Id, world::system::shown},
};

use crate::{
    args::Global,
    commands::places::{data_home, home_of, judge, put, take_away},
    completion,
    output::report::{Report, Result},
};

/// Where systems keep the package that loads completions of bash from a person's own directory.
const BASH_COMPLETION: [&str; 3] = [
    "/usr/share/bash-completion/bash_completion",
    "/usr/local/share/bash-completion/bash_completion",
    "/etc/bash_completion",
];

pub(crate) fn run(global: &Global, shell: Shell, install: bool, uninstall: bool) -> Result {
    let script = completion::script(shell);
    if !install && !uninstall {
        let script = String::from_utf8_lossy(&script);
        if global.json {
            Report::json(&serde_json::json!({ "shell": shell.to_string(), "script": script }))?;
        } else {
            Report::answer(script.trim_end())?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let (top, place) = match shell {
        Shell::Bash => (data_home()?, "bash-completion/completions/keyfob"),
        Shell::Fish => (home_of("XDG_CONFIG_HOME", ".config")?, "fish/completions/keyfob.fish"),
        Shell::Zsh => (data_home()?, "zsh/site-functions/_keyfob"),
        other => {
            let what = format!("completions for {other} cannot be installed");
            return Err(Error::new(Id::Usage, what, "it has no directory of its own for them")
                .hint(format!("load them from its profile: keyfob completions {other}"))
                .into());
        }
    };
    let path = top.join(place);
    let path_shown = shown(&path);
    if uninstall {
        return remove(global, shell, &path, &top);
    }
    judge(&path, is_own)?;
    put(&path, &script)?;
    match (shell, path.parent()) {
        (Shell::Zsh, Some(dir)) => {
            let dir = shown(dir);
            Report::say(&format!("zsh looks there when .zshrc has, before compinit: fpath=({dir} $fpath)"));
        }
        (Shell::Bash, _) if BASH_COMPLETION.iter().any(|place| Path::new(place).exists()) => {
            Report::say("New shells load it when it is needed: the package bash-completion does that.");
        }
        (Shell::Bash, _) => Report::say(&format!(
            "The package bash-completion would load it, and is not installed here (Debian: apt install \
             bash-completion). Without it, write into ~/.bashrc: source {path_shown}"
        )),
        _ => {}
    }
    if global.json {
        Report::json(&serde_json::json!({ "shell": shell.to_string(), "installed": path_shown }))?;
    } else {
        Report::answer(&path_shown)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn remove(global: &Global, shell: Shell, path: &Path, top: &Path) -> Result {
    let removed = take_away(path, top, is_own)?.then(|| shown(path));
    if global.json {
        Report::json(&serde_json::json!({ "shell": shell.to_string(), "removed": removed }))?;
    } else if let Some(path) = removed {
        Report::answer(&path)?;
    } else {
        Report::say(&format!("There are no completions of keyfob for {shell} there: {}", shown(path)));
    }
    Ok(ExitCode::SUCCESS)
}

/// Every script says it in one of its first two lines.
fn is_own(file: &[u8]) -> bool {
    file.splitn(3, |byte| *byte == b'\n')
        .take(2)
        .any(|line| line.starts_with(b"# Completions of keyfob for "))
}
