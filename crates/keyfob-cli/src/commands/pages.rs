//! Shell completions and manual pages, generated from the argument parser.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::CommandFactory;
use clap_complete::Shell;
use keyfob::{
    Error,
    internals::{
        core::Id,
        setup::trust::Surroundings,
        world::system::{env, shown},
    },
};

use crate::{
    args::Arguments,
    completion,
    output::report::{Report, Result},
};

/// Where systems keep the package that loads completions of bash from a person's own directory.
const BASH_COMPLETION: [&str; 3] = [
    "/usr/share/bash-completion/bash_completion",
    "/usr/local/share/bash-completion/bash_completion",
    "/etc/bash_completion",
];

pub(crate) fn completions(shell: Shell, install: bool) -> Result {
    let script = completion::script(shell);
    if !install {
        Report::answer(String::from_utf8_lossy(&script).trim_end())?;
        return Ok(ExitCode::SUCCESS);
    }
    let path = match shell {
        Shell::Bash => data_home()?.join("bash-completion/completions/keyfob"),
        Shell::Fish => home_of("XDG_CONFIG_HOME", ".config")?.join("fish/completions/keyfob.fish"),
        Shell::Zsh => data_home()?.join("zsh/site-functions/_keyfob"),
        other => {
            let what = format!("completions for {other} cannot be installed");
            return Err(Error::new(Id::Usage, what, "it has no directory of its own for them")
                .hint(format!("load them from its profile: keyfob completions {other}"))
                .into());
        }
    };
    put(&path, &script).map_err(|error| Error::caused_by(Id::Usage, shown(&path), error))?;
    let path_shown = shown(&path);
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
    Report::answer(&path_shown)?;
    Ok(ExitCode::SUCCESS)
}

/// The page of error ids.
pub(crate) fn errors() -> Result {
    Report::answer(crate::reference::errors::page().trim_end())?;
    Ok(ExitCode::SUCCESS)
}

/// Where `man` looks for a user's own pages.
pub(crate) fn install_manual() -> Result {
    let dir = data_home()?.join("man/man1");
    manual(Some(&dir))?;
    Report::answer(&shown(&dir))?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn manual(out: Option<&Path>) -> Result {
    let failed = |error: io::Error| Error::caused_by(Id::Usage, "the manual pages cannot be written", error);
    match out {
        Some(dir) => {
            pages_into(dir).map_err(failed)?;
        }
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Arguments::command()).render(&mut page).map_err(failed)?;
            Report::answer(String::from_utf8_lossy(&page).trim_end())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn data_home() -> Result<PathBuf> {
    home_of("XDG_DATA_HOME", ".local/share")
}

/// A directory of the XDG specification: a relative one is ignored, an unset one has its place under the home. One that
/// lies in the repository one stands in, or that others can change, is refused.
fn home_of(variable: &str, usual: &str) -> Result<PathBuf> {
    let variables = env::variables();
    let absolute = |name: &str| env::path(variables, name).filter(|path| path.is_absolute());
    let found = absolute(variable).or_else(|| Some(absolute("HOME")?.join(usual))).ok_or_else(|| {
        Error::new(Id::NoHome, "there is nowhere to install to", format!("HOME and {variable} are unset"))
    })?;
    let around = Surroundings::of(env::here().as_deref());
    around.judge_unless_usual(&found, usual).map_err(|refusal| {
        let what = format!("{variable} or HOME leads to {}, which is refused", shown(&found));
        Error::new(Id::HomeUnsafe, what, refusal.to_string())
            .hint("unset it, or print it and keep it yourself")
    })?;
    Ok(found)
}

/// Puts a whole file in its place. A link that lies there is replaced, not followed.
fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let next = path.with_extension("keyfob-new");
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    match fs::remove_file(&next) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::File::create_new(&next)?.write_all(bytes)?;
    fs::rename(&next, path)
}

fn pages_into(dir: &Path) -> io::Result<()> {
    let made = dir.join(".keyfob-new");
    fs::create_dir_all(dir)?;
    if made.symlink_metadata().is_ok() {
        fs::remove_dir_all(&made)?;
    }
    fs::create_dir(&made)?;
    clap_mangen::generate_to(Arguments::command(), &made)?;
    for page in fs::read_dir(&made)? {
        let page = page?;
        fs::rename(page.path(), dir.join(page.file_name()))?;
    }
    fs::remove_dir(&made)
}
