//! Shell completions and manual pages, generated from the argument parser.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::CommandFactory;
use clap_complete::Shell;
use keyfob::{Error, Id, world::system::env};

use crate::{
    args::Arguments,
    report::{Report, Result},
};

pub(crate) fn completions(shell: Shell, install: bool) -> Result {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "keyfob", &mut script);
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
    let made = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, script));
    made.map_err(|error| Error::caused_by(Id::Usage, path.display().to_string(), error))?;
    if let (Shell::Zsh, Some(dir)) = (shell, path.parent()) {
        let dir = dir.display();
        Report::say(&format!("zsh looks there when .zshrc has, before compinit: fpath=({dir} $fpath)"));
    }
    Report::answer(&path.display().to_string())?;
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
    Report::answer(&dir.display().to_string())?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn manual(out: Option<&Path>) -> Result {
    let failed = |error: io::Error| Error::caused_by(Id::Usage, "the manual pages cannot be written", error);
    match out {
        Some(dir) => {
            fs::create_dir_all(dir).map_err(failed)?;
            clap_mangen::generate_to(Arguments::command(), dir).map_err(failed)?;
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

/// A directory of the XDG specification: a relative one is ignored, an unset one has its place under the home.
fn home_of(variable: &str, usual: &str) -> Result<PathBuf> {
    let variables = env::variables();
    let absolute = |name: &str| variables.text(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let found = absolute(variable).or_else(|| Some(absolute("HOME")?.join(usual)));
    found.ok_or_else(|| {
        Error::new(Id::NoHome, "there is nowhere to install to", format!("HOME and {variable} are unset"))
            .into()
    })
}
