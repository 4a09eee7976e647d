//! What the system knows about users: where their home is, and who can change a file, from its owner, group and mode.

use std::{
    fs::{self, Metadata},
    os::unix::fs::MetadataExt,
    path::PathBuf,
};

use nix::unistd::{Gid, Group, Uid, User};

use crate::world::breach::Breach;

/// Whether only root and this user can change it; a directory where everybody may make things passes when the sticky
/// bit keeps them from changing what is not theirs.
///
/// # Errors
/// Who else can.
pub(crate) fn whose(meta: &Metadata) -> Result<(), Breach> {
    if stranger(meta.uid()) {
        return Err(Breach::Owner(meta.uid()));
    }
    let sticky = meta.is_dir() && meta.mode() & 0o1000 != 0;
    if others_may_write(meta) && !sticky {
        return Err(Breach::writable(meta));
    }
    Ok(())
}

/// Whether a user who is neither root nor this one may write there, by the mode.
pub(crate) fn others_may_write(meta: &Metadata) -> bool {
    meta.mode() & 0o002 != 0 || (meta.mode() & 0o020 != 0 && !is_own_group(meta))
}

/// Whether an owner is neither root nor this user.
///
/// In a user namespace root's files seem to belong to the user that stands for all users without a number there. Such a
/// file counts as root's if its mode lets no other user write it: the namespace cannot distinguish the two.
pub(crate) fn stranger(uid: u32) -> bool {
    uid != 0 && uid != rustix::process::geteuid().as_raw() && !is_unmapped(uid)
}

fn is_unmapped(uid: u32) -> bool {
    let number = |path| fs::read_to_string(path).ok();
    let Some(overflow) = number("/proc/sys/kernel/overflowuid") else { return false };
    if overflow.trim().parse() != Ok(uid) {
        return false;
    }
    // Three numbers a line: inside, outside, how many. If all are mapped, `nobody` is an actual user.
    let Some(map) = number("/proc/self/uid_map") else { return false };
    let ranges = map.lines().filter_map(|line| {
        let numbers: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        <[u64; 3]>::try_from(numbers).ok()
    });
    !ranges.into_iter().any(|[inside, _, length]| (inside..inside + length).contains(&u64::from(uid)))
}

/// Whether the group that may write is root's, or this user's alone: several distributions give each user a group of
/// the same name and a umask of 002. A group without a name (a volume in a container) has no other members there. An
/// access control list shows in the same bits, and may name any user.
fn is_own_group(meta: &Metadata) -> bool {
    let gid = Gid::from_raw(meta.gid());
    if gid.as_raw() == 0 {
        return true;
    }
    match Group::from_gid(gid) {
        Ok(Some(group)) => User::from_uid(Uid::effective()).ok().flatten().is_some_and(|user| {
            group.name == user.name && group.mem.iter().all(|member| *member == user.name)
        }),
        Ok(None) => {
            let ours = rustix::process::getgroups();
            gid == Gid::effective()
                || ours.is_ok_and(|all| all.iter().any(|one| one.as_raw() == gid.as_raw()))
        }
        Err(_) => false,
    }
}

/// The user's home as the password database names it: nothing an environment says changes it.
#[must_use]
pub(crate) fn own_home() -> Option<PathBuf> {
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::effective()).ok()??;
    user.dir.is_absolute().then_some(user.dir)
}
