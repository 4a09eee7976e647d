//! `keyfob setup TOOL`: writes keyfob into the configuration of another tool, and takes it out again.
//!
//! One tool is one file beside this one (`tool.rs`), which says where the tool's file is and what its text becomes. Everything else is
//! here and the same for all: what is refused, that the change is shown first, that a person is asked, and how it is written.

mod bazel;
mod block;
mod cargo;
mod claude_code;
mod codex;
mod docker;
mod git;
mod hosts;
mod json;
mod kubeconfig;
mod kubernetes;
mod link;
mod place;
mod pnpm;
mod terraform;
mod toml;
mod tool;

use std::{
    fs,
    io::{self, ErrorKind},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::ExitCode,
};

use keyfob::{
    Error,
    internals::{
        core::{Cause, Id},
        world::{
            Files, failure,
            system::{files::Disk, shown},
        },
    },
};

pub(crate) use self::link::astray;
use self::{place::failed, tool::Tool};
use crate::{
    args::{Global, How, SetupTool},
    commands::set_up_report as report,
    config_edit,
    output::{
        report::{Report, Result},
        terminal,
    },
};

pub(crate) fn run(global: &Global, tool: &SetupTool) -> Result {
    let (tool, file, how): (Box<dyn Tool + '_>, &Option<PathBuf>, &How) = match tool {
        SetupTool::Git(args) => (Box::new(git::Git { global, args }), &args.file, &args.how),
        SetupTool::Docker(args) => (Box::new(docker::Docker { global, args }), &args.file, &args.how),
        SetupTool::Cargo(args) => (Box::new(cargo::Cargo { global, args }), &args.file, &args.how),
        SetupTool::Terraform(args) => {
            (Box::new(terraform::Terraform { global, args }), &args.file, &args.how)
        }
        SetupTool::Bazel(args) => (Box::new(bazel::Bazel { global, args }), &args.file, &args.how),
        SetupTool::Pnpm(args) => (Box::new(pnpm::Pnpm { global, args }), &args.file, &args.how),
        SetupTool::ClaudeCode(args) => {
            (Box::new(claude_code::ClaudeCode { global, args }), &args.file, &args.how)
        }
        SetupTool::Codex(args) => (Box::new(codex::Codex { global, args }), &args.file, &args.how),
        SetupTool::Kubernetes(args) => {
            (Box::new(kubernetes::Kubernetes { global, args }), &args.kubeconfig, &args.how)
        }
    };
    set_up(global, &*tool, file.is_some(), how)
}

/// `named`: the file was named for this call, and is perhaps one of several.
fn set_up(global: &Global, tool: &dyn Tool, named: bool, how: &How) -> Result {
    let path = tool.file()?;
    let old = read(&path)?;
    let new = tool.change(&path, old.as_deref(), how.undo)?;
    // A link that is as it should be, or is not this command's to remove, is no change.
    let link = if how.undo { tool.link().unwrap_or_default() } else { tool.link()? };
    let link = link.filter(|link| if how.undo { link.is_own() } else { !link.is_there });
    let (link, stays) = if how.undo && named { (None, link) } else { (link, None) };
    let changes = new != old || link.is_some();
    show(tool, &path, old.as_deref(), new.as_deref());
    if let Some(link) = &link {
        Report::say(&format!("{} {}", if how.undo { "Goes:" } else { "Link:" }, link.says()));
    }
    if let Some(link) = &stays {
        Report::say(&format!("Stays: {}, which another file may need.", shown(&link.path)));
    }
    if changes && !how.dry_run {
        if !how.yes && terminal::has_person() && !terminal::agrees("Write that?")? {
            let error = Error::new(Id::Usage, format!("{} was not changed", shown(&path)), "you said no");
            return Err(error.hint("run it again, or change the file yourself as shown").into());
        }
        // A tool must never be told of a helper that is not there.
        if let Some(link) = link.as_ref().filter(|_| !how.undo) {
            link.write()?;
        }
        if new != old {
            write(tool, &path, old.as_deref(), new.as_deref())?;
        }
        if let Some(link) = link.as_ref().filter(|_| how.undo) {
            link.remove()?;
        }
    }
    let told = match (changes, how.dry_run, &new) {
        (false, ..) if how.undo => format!("{} holds nothing of keyfob's.", shown(&path)),
        (false, ..) => format!("{} says that already.", shown(&path)),
        (true, true, _) => "Nothing was written (`--dry-run`).".into(),
        (true, false, None) if old.is_some() => format!("Removed {}, which held nothing else.", shown(&path)),
        (true, false, _) if new == old => format!("{} is as it was.", shown(&path)),
        (true, false, _) => format!("Written to {}.", shown(&path)),
    };
    Report::say(&told);
    let next = tool.next(how.undo);
    if !how.dry_run {
        next.iter().for_each(|line| Report::say(line));
    }
    if global.json {
        Report::json(&serde_json::json!({
            "tool": tool.name(),
            "file": shown(&path),
            "link": link.as_ref().map(|link| shown(&link.path)),
            "changed": changes && !how.dry_run,
            "would_change": changes,
            "undo": how.undo,
            "content": if how.undo { None } else { Some(tool.part()?) },
        }))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows the lines that come and go. Where keyfob shares a line with others, their secrets may be in it: then keyfob's part
/// is shown alone.
fn show(tool: &dyn Tool, path: &Path, old: Option<&str>, new: Option<&str>) {
    let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
    let gone = |line: &String| line.strip_prefix('-').is_some_and(|text| !text.trim().is_empty());
    let is_shared = || {
        let is_long = old.lines().count() == 1 && old.contains('{');
        is_long || tool.shares_lines() && config_edit::difference(old, new).iter().any(gone)
    };
    if old == new || !is_shared() {
        report::change(path, old, new);
        return;
    }
    Report::say(&format!(
        "\n{} will change. Its lines may hold more than this, which is keyfob's part:\n",
        shown(path)
    ));
    // Nothing can be said of it where what it was made from is gone.
    for line in tool.part().unwrap_or_default().lines() {
        Report::show(format!("  {}", terminal::plain_whole(line)).trim_end());
    }
    Report::say("");
}

/// The text of a person's file. `None`: there is none. Links, other owners' files and such that others can write are not
/// touched: what would be written there is a command that the tool runs.
fn read(path: &Path) -> Result<Option<String>, Error> {
    let refused = |why: &str| Error::new(Id::ConfigUnsafe, format!("{} is not changed", shown(path)), why);
    let meta = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read", path, error)),
        Ok(meta) => meta,
    };
    if meta.file_type().is_symlink() {
        let target = fs::read_link(path).unwrap_or_default();
        let why = format!("it is a link to {}, and links are not written through", shown(&target));
        return Err(refused(&why).hint("name the file that it leads to"));
    }
    let us = rustix::process::geteuid().as_raw();
    if meta.uid() != us {
        let cause = Cause::OtherOwner { path: shown(path), owner: meta.uid(), us };
        return Err(refused(&format!("it belongs to another user ({})", meta.uid())).because(cause));
    }
    if meta.nlink() > 1 {
        let cause = Cause::SecondName { path: shown(path) };
        return Err(refused("it has a second name (a hard link), which would be left behind").because(cause));
    }
    match Disk.read_trusted(path, false) {
        Ok(None) => Ok(None),
        Ok(Some(bytes)) => String::from_utf8(bytes).map(Some).map_err(|_| {
            refused("it is not UTF-8 text").hint("name another file, or change this one yourself")
        }),
        Err(error) => {
            let what = format!("{} is not changed", shown(path));
            Err(failure::failed_at(Id::ConfigUnsafe, what, path, error))
        }
    }
}

/// Puts the new text in the place of the old at once, with the same permissions. What another program has changed since
/// the change was shown is not written over.
fn write(tool: &dyn Tool, path: &Path, old: Option<&str>, new: Option<&str>) -> Result<(), Error> {
    let dir = path.parent().unwrap_or(path);
    let cannot = |error| failed("written", path, error);
    Disk.make_dir(dir).map_err(cannot)?;
    let lock = tool.lock(path).map(Lock::take).transpose()?;
    if read(path)?.as_deref() != old {
        let what = format!("{} was not changed", shown(path));
        let why = "another program has changed it since the change was shown";
        return Err(Error::new(Id::Usage, what, why).hint("run it again"));
    }
    let Some(new) = new else {
        fs::remove_file(path).map_err(cannot)?;
        drop(lock);
        return Ok(());
    };
    let mode = fs::symlink_metadata(path).map_or(0o600, |meta| meta.mode() & 0o777);
    let next = path.with_extension("keyfob-new");
    let put = || -> io::Result<()> {
        match fs::remove_file(&next) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        Disk.write(&next, new.as_bytes())?;
        fs::set_permissions(&next, fs::Permissions::from_mode(mode))?;
        Disk.sync(&next)?;
        Disk.rename(&next, path)?;
        Disk.sync_dir(dir)
    };
    put().map_err(|error| {
        let _ = fs::remove_file(&next);
        cannot(error)
    })
}

/// The tool's own lock: a file that is there while somebody writes.
struct Lock(PathBuf);

impl Lock {
    fn take(path: PathBuf) -> Result<Self, Error> {
        match fs::File::create_new(&path) {
            Ok(_) => Ok(Self(path)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let what = format!("{} is there", shown(&path));
                let why = "another program is changing the file, or was ended while it did";
                Err(Error::new(Id::Usage, what, why)
                    .hint("run it again; remove that file if no program is at it"))
            }
            Err(error) => Err(failed("written", &path, error)),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
