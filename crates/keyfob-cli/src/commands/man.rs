//! `keyfob man`: shows, prints, installs or removes the manual.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use keyfob::{
    Error,
    internals::{
        core::{Id, contract},
        setup::{Choices, Setup},
        world::system::{env, files::Disk, shown},
    },
};

use crate::{
    args::{Global, Man},
    commands::places::{data_home, judge, put, take_away},
    output::{
        manner::Manner,
        report::{Report, Result},
        terminal::plain,
    },
    reference::{errors, manual, manual::Page},
};

pub(crate) fn run(global: &Global, args: &Man) -> Result {
    let told = |member: &str, text: &str| Report::json(&serde_json::json!({ member: text }));
    if args.errors && global.json {
        told("markdown", &errors::page())?;
    } else if args.errors {
        Report::answer(errors::page().trim_end())?;
    } else if args.install {
        let dir = install()?;
        if global.json { told("installed", &dir)? } else { Report::answer(&dir)? }
    } else if args.uninstall {
        let dir = remove()?;
        if global.json {
            Report::json(&serde_json::json!({ "removed": dir }))?;
        } else if let Some(dir) = dir {
            Report::answer(&dir)?;
        } else {
            Report::say("There are no pages of keyfob in your data directory.");
        }
    } else if let Some(dir) = &args.out {
        write(|page| dir.join(page.file()))?;
        if global.json {
            told("installed", &shown(dir))?;
        }
    } else if global.json {
        told("page", &manual::troff(&found(&args.page)?))?;
    } else {
        show(&args.page)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn found(words: &[String]) -> Result<Page> {
    Ok(manual::find(words).ok_or_else(|| {
        let all: Vec<_> = manual::names().map(|(name, _)| name).collect();
        let what = format!("there is no manual page `{}`", plain(&words.join(" ")));
        Error::new(Id::Usage, what, format!("the pages are {}", all.join(", "))).hint("choose one")
    })?)
}

/// A page: for a user as `man` shows it, for a program as troff.
fn show(words: &[String]) -> Result<()> {
    let page = found(words)?;
    let troff = manual::troff(&page);
    if !io::stdout().is_terminal() {
        return Report::answer(troff.trim_end());
    }
    if read_by_man(&troff).is_ok_and(|shown| shown) {
        return Ok(());
    }
    Report::answer(&manual::text(&page, Manner::of_answers()))
}

/// Has `man` show it, with the user's preferred pager. Returns whether it did.
fn read_by_man(troff: &str) -> io::Result<bool> {
    let mut man = reader("man");
    let mut child = man.args(["-l", "-"]).stdin(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    if let Some(mut pipe) = child.stdin.take() {
        // A pager that is left early reads no further.
        let _ = pipe.write_all(troff.as_bytes());
    }
    Ok(child.wait()?.success())
}

/// A program of the system's manual, without a credential, and without any path into the current repository: variables
/// name the pager.
#[expect(clippy::disallowed_methods, reason = "the manual is read by the system's own programs")]
fn reader(program: &str) -> Command {
    let mut command = Command::new(program);
    let setup = Setup::read(env::variables(), Choices::default(), &Disk, env::here().as_deref());
    let (changes, _) = setup.for_browser(env::variables());
    for (name, value) in changes {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    for name in contract::secret_names() {
        command.env_remove(name);
    }
    command.current_dir("/");
    command
}

/// Installs every page where this user's `man` looks, and says so if it does not look there yet. Returns the directory.
fn install() -> Result<String> {
    let dir = data_home()?.join("man");
    write(|page| dir.join(format!("man{}", page.section)).join(page.file()))?;
    let line = format!("export MANPATH=\"{}:$MANPATH\"", shown(&dir));
    match looked_at(&dir) {
        Some(Looked::Already) => Report::say("Read them: man keyfob, man keyfob-login, man keyfob-config"),
        Some(Looked::WithLine) => {
            Report::say(
                "`man` does not look there yet. With this line in ~/.profile (zsh: ~/.zprofile), it does after the \
                         next login:",
            );
            Report::show(&format!("  {line}"));
            Report::say("Until then `keyfob man` shows the pages.");
        }
        Some(Looked::Never) => Report::say("`man` does not look there: `keyfob man` shows the pages."),
        None => {
            Report::say("There is no `man` here (Debian: apt install man-db): `keyfob man` shows the pages.");
        }
    }
    Ok(shown(&dir))
}

enum Looked {
    Already,
    /// Once `MANPATH` says so.
    WithLine,
    Never,
}

/// Whether `man` searches a directory, by its own account. `None`: there is no `man` to ask.
fn looked_at(dir: &Path) -> Option<Looked> {
    let says = |variable: Option<&str>| {
        let mut ask = reader("manpath");
        if let Some(value) = variable {
            ask.env("MANPATH", value);
        }
        let output = ask.arg("-q").stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
        let paths = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let same = |path: &str| fs::canonicalize(path).ok() == fs::canonicalize(dir).ok();
        Some(output.status.success() && paths.split(':').any(same))
    };
    if says(None)? {
        return Some(Looked::Already);
    }
    let today = env::variables().text("MANPATH").unwrap_or_default();
    let with_line = says(Some(&format!("{}:{today}", dir.display())))?;
    Some(if with_line { Looked::WithLine } else { Looked::Never })
}

/// Removes every page of keyfob's that is where [`install`] puts them, those of former versions as well. Returns the
/// directory, if there was one.
fn remove() -> Result<Option<String>> {
    let data = data_home()?;
    let dir = data.join("man");
    let mut any = false;
    let sections: BTreeSet<_> = manual::pages().iter().map(|page| page.section).collect();
    for section in sections {
        let section = dir.join(format!("man{section}"));
        let Ok(pages) = fs::read_dir(&section) else { continue };
        let mut names: Vec<_> = pages.filter_map(|page| Some(page.ok()?.file_name())).collect();
        names.retain(|name| name.as_encoded_bytes().starts_with(b"keyfob"));
        names.sort();
        for name in names {
            any |= take_away(&section.join(name), &data, is_own)?;
        }
    }
    Ok(any.then(|| shown(&dir)))
}

/// Every page says it in its first line.
fn is_own(file: &[u8]) -> bool {
    let line = file.split(|byte| *byte == b'\n').next().unwrap_or_default();
    line.starts_with(b".TH KEYFOB") && line.windows(8).any(|words| words == b"\"keyfob ")
}

fn write(place: impl Fn(&manual::Page) -> PathBuf) -> Result<()> {
    for page in manual::pages() {
        judge(&place(&page), is_own)?;
    }
    for page in manual::pages() {
        let place = place(&page);
        put(&place, manual::troff(&page).as_bytes())?;
    }
    Ok(())
}
