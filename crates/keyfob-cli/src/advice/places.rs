//! Hints about files, directories, programs and the machine.

use std::path::Path;

use keyfob::{Error, ErrorId as Id, internals::core::Cause};

use super::{choice::Choice, situation::Situation, words::quoted};

pub(super) fn choose(error: &Error, cause: &Cause, situation: &Situation) -> Option<Choice> {
    let id = error.id();
    Some(match cause {
        Cause::OtherOwner { .. } if id == Id::AgentUnsafe => {
            "use a socket of your own, or of root's, in a directory of your own: `keyfob agent --socket PATH`".into()
        }
        Cause::OpenToOthers { directory: true, .. } if id == Id::AgentUnsafe => {
            "name a directory that is not there yet, which is made for you alone: `keyfob agent --socket NEW/agent.sock`".into()
        }
        Cause::InRepository { .. } if id == Id::AgentUnsafe => "choose a place outside the repository".into(),
        Cause::OtherOwner { path, owner, us } => other_owner(id, path, *owner, *us, situation),
        Cause::OpenToOthers { path, directory, .. } => {
            let mode = if *directory { "700" } else { "600" };
            format!("make it yours alone: chmod {mode} {}", quoted(path)).into()
        }
        Cause::WritableByOthers { path, .. } => {
            format!("take that from others: chmod go-w {}", quoted(path)).into()
        }
        Cause::Missing { path } if id == Id::IdentityTokenMissing => {
            format!("have the identity token written to {}, or correct its name", quoted(path)).into()
        }
        Cause::Missing { path }
            if matches!(id, Id::ClientSecret | Id::ClientKey | Id::ApprovedListUnsafe) =>
        {
            format!("create {}, or correct its name", quoted(path)).into()
        }
        Cause::Missing { path } => format!("create it: mkdir -p {}", quoted(path)).into(),
        Cause::NoPermission { path } => no_permission(path, situation),
        Cause::ReadOnly { path } => format!(
            "mount {} so that it can be written, or choose another place: KEYFOB_HOME{}",
            quoted(path),
            situation.kept()
        )
        .into(),
        Cause::DiskFull { .. } => format!("make room, then try again{}", situation.kept()).into(),
        Cause::DiskFailed { .. } => format!("check the disk, then try again{}", situation.kept()).into(),
        Cause::Exists { path } => format!("choose another name, or remove {}", quoted(path)).into(),
        Cause::NotADirectory { path } => {
            format!("choose another place: {} is no directory, or lies below a file", quoted(path)).into()
        }
        Cause::NotAFile { .. } => "name a regular file".into(),
        Cause::SecondName { .. } => "`keyfob doctor --fix` makes it a file of its own".into(),
        Cause::NotAbsolute { path } => {
            format!("write the whole path, for example \"$PWD/{}\"", path.trim_start_matches("./")).into()
        }
        Cause::InRepository { .. } if id == Id::IdentityTokenMissing => {
            "have the identity token written outside the repository, and name that file".into()
        }
        Cause::InRepository { .. } => {
            "choose a directory outside the repository, or choose this one explicitly with `--home DIR`"
                .into()
        }
        Cause::RuntimeRefused { .. } => {
            "unset XDG_RUNTIME_DIR, or let it name a directory that is yours alone".into()
        }
        Cause::WorkingDirectoryGone {} => "change to a directory that exists: cd".into(),
        Cause::MachineShort {} => format!(
            "free what this machine is short of (open files, memory, processes), then try again{}",
            situation.kept()
        )
        .into(),
        Cause::RecoveredElsewhere { .. } => {
            "make room on the disk and try again: the next run adopts the file that was kept".into()
        }
        Cause::HeldByProcess { .. } => "wait for that process, or end it; nothing was changed".into(),
        Cause::ProgramNotFound { program } => {
            format!("check its name, and PATH: `command -v {}`", quoted(program)).into()
        }
        Cause::ProgramNotExecutable { program } => {
            format!("make it executable: chmod +x {}", quoted(program)).into()
        }
        Cause::SecretEmpty { path } => {
            format!("write the secret, and nothing else, into {}", quoted(path)).into()
        }
        Cause::RecoveredLogin { path } => format!(
            "make room on the disk, save {}, and sign in with its token: `keyfob login --with-token`",
            quoted(path)
        )
        .into(),
        Cause::MountedFile { .. } => "mount the directory instead of the single file".into(),
        Cause::TooLong { days } => format!("ask for less: `--days {days}`").into(),
        Cause::NameTaken { name } => {
            format!("choose another name, or end that one: `keyfob setup-token revoke {}`", quoted(name))
                .into()
        }
        Cause::NotMinted {} => "`keyfob setup-token list` shows the tokens that were minted here".into(),
        Cause::Mendable {} => "run `keyfob doctor --fix`".into(),
        Cause::NotesUnreadable { path } => format!("move {} away", quoted(path)).into(),
        Cause::SetAside { replaced: true } => "remove it: `keyfob doctor --fix`".into(),
        Cause::SetAside { replaced: false } => {
            "sign in again if it is still needed, then remove it: `keyfob doctor --fix`".into()
        }
        Cause::Interrupted {} => "run `keyfob doctor --fix`, or let the next renewal sort it out".into(),
        Cause::OwnVariable { variable } => format!("unset {variable}").into(),
        Cause::BrowserVariable {} => {
            "let it name a program outside the repository, or open the address yourself".into()
        }
        _ => return None,
    })
}

/// A name for people: `ola`, or `user 1000`.
fn user(uid: u32, situation: &Situation) -> String {
    match uid {
        0 => "root".into(),
        uid => situation.user_name(uid).unwrap_or_else(|| format!("user {uid}")),
    }
}

fn other_owner(id: Id, path: &str, owner: u32, us: u32, situation: &Situation) -> Choice {
    let (whose, we) = (user(owner, situation), user(us, situation));
    // The home of somebody else, as `sudo` leaves it: whatever root makes there, its owner cannot use afterwards.
    let in_home = home().filter(|home| path.starts_with(home));
    if let (0, Some(home)) = (us, in_home)
        && id != Id::ApprovedListUnsafe
    {
        return Choice {
            what: Some(format!("these logins belong to {whose}, and you are root")),
            why: Some(format!("HOME is {home}")),
            hint: format!("run keyfob as {whose} (without sudo), or set HOME for root: sudo -H"),
        };
    }
    if owner == 0 {
        return Choice {
            what: None,
            why: Some(format!("it belongs to root, and this runs as {we}")),
            hint: format!(
                "give it to {we}: chown {us} {} (in a container: make it in the image, or run with --user 0)",
                quoted(path)
            ),
        };
    }
    let chosen = if situation.given.home.is_some() {
        "another --home"
    } else {
        "a directory of your own: KEYFOB_HOME"
    };
    Choice {
        what: None,
        why: Some(format!("it belongs to {whose}, and this runs as {we}")),
        hint: format!("run keyfob as {whose}, or choose {chosen}"),
    }
}

fn home() -> Option<String> {
    let variables = keyfob::internals::world::system::env::variables();
    variables.text("HOME").map(str::to_owned).filter(|home| home.len() > 1)
}

fn no_permission(path: &str, situation: &Situation) -> Choice {
    // What is not there is not permitted by what is there above it.
    let mut there = Path::new(path);
    while !there.exists() {
        match there.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => there = parent,
            _ => break,
        }
    }
    let us = situation.user().map_or("UID".into(), |uid| uid.to_string());
    format!(
        "give it to you (as root: chown {us} {}), or choose another place{}",
        quoted(&there.display().to_string()),
        situation.kept()
    )
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advice::{Given, Told, choose as told};

    fn of(id: Id, cause: Cause) -> Told {
        let error = Error::new(id, "the directory is refused", "why").because(cause);
        told(&error, &Situation::of(Given::default(), crate::advice::situation::Here::default()))
    }

    #[test]
    fn an_owner_is_told_apart_by_who_we_are() {
        let owned =
            |path: &str, owner, us| of(Id::HomeUnsafe, Cause::OtherOwner { path: path.into(), owner, us });
        // A volume that root made, as a container finds it.
        let volume = owned("/keyfob", 0, 1000);
        assert_eq!(volume.why, "it belongs to root, and this runs as user 1000");
        assert!(volume.hint.starts_with("give it to user 1000: chown 1000 /keyfob"), "{volume:?}");
        // The home of somebody else, as sudo leaves it.
        let home = home().expect("these tests have a home");
        let sudo = owned(&format!("{home}/.local/state"), 1000, 0);
        assert_eq!(sudo.what, "these logins belong to user 1000, and you are root");
        assert_eq!(sudo.why, format!("HOME is {home}"));
        assert_eq!(sudo.hint, "run keyfob as user 1000 (without sudo), or set HOME for root: sudo -H");
        let stranger = owned("/srv/logins", 1001, 1000);
        assert_eq!(stranger.hint, "run keyfob as user 1001, or choose a directory of your own: KEYFOB_HOME");
    }

    #[test]
    fn a_full_disk_and_a_forbidden_place_are_two_things() {
        let path = || String::from("/nowhere/logins");
        let full = of(Id::StoreFailed, Cause::DiskFull { path: path() });
        assert_eq!(full.hint, "make room, then try again");
        let forbidden = of(Id::StoreReadOnly, Cause::NoPermission { path: path() });
        assert!(forbidden.hint.starts_with("give it to you (as root: chown UID /)"), "{forbidden:?}");
        let open = Cause::OpenToOthers { path: "/my home".into(), mode: 0o755, directory: true };
        assert_eq!(of(Id::StoreUnsafe, open).hint, "make it yours alone: chmod 700 '/my home'");
        let writable = Cause::WritableByOthers { path: "/tmp/x".into(), mode: 0o777 };
        assert_eq!(of(Id::HomeUnsafe, writable).hint, "take that from others: chmod go-w /tmp/x");
    }
}
