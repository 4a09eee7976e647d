//! What a person chose on the command line of `keyfob exec` also applies to a keyfob that its program runs: the home
//! and the approved list.
//!
//! Neither is accepted from a variable, which a repository could set. So `exec` passes its program an open descriptor
//! of what was chosen, which only refers to it and gives no access (`O_PATH`: on Linux; another system passes nothing on), and a variable gives its number. The
//! variable alone proves nothing: only an ancestor of this process can have opened the descriptor.

use std::{
    ffi::OsString,
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::{Path, PathBuf},
};

use keyfob_core::contract::{Variables, names};
use rustix::io::{FdFlags, fcntl_setfd};

use crate::world::system::fd;

/// What can be chosen on the command line alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// `--home DIR`.
    Home,
    /// `--approved FILE`.
    Approved,
}

impl Chosen {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Home, Self::Approved];

    /// The variable that says which descriptor shows it.
    #[must_use]
    pub const fn variable(self) -> &'static str {
        match self {
            Self::Home => names::CHOSEN_HOME,
            Self::Approved => names::CHOSEN_APPROVED,
        }
    }

    /// What a program below is to be given: the descriptor, to be kept open until it has started, and the variable's
    /// value.
    ///
    /// # Errors
    /// There is no such place, or no descriptor to spare.
    pub fn hand_over(path: &Path) -> io::Result<(OwnedFd, OsString)> {
        let path = std::path::absolute(path)?;
        let shows = fd::show(&path)?;
        fcntl_setfd(&shows, FdFlags::empty())?;
        let mut value = format!("{}:", shows.as_raw_fd()).into_bytes();
        value.extend_from_slice(path.as_os_str().as_bytes());
        Ok((shows, OsString::from_vec(value)))
    }

    /// What was chosen above, if there is a descriptor that shows it.
    pub(super) fn above(self, variables: &Variables) -> Option<PathBuf> {
        let value = variables.path(self.variable())?;
        let at = value.iter().position(|octet| *octet == b':')?;
        let number = std::str::from_utf8(&value[..at]).ok()?.parse().ok()?;
        let path = PathBuf::from(OsString::from_vec(value[at + 1..].to_vec()));
        (path.is_absolute() && fd::shows(number, &path)).then_some(path)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;

    fn above(value: impl Into<Vec<u8>>) -> Option<PathBuf> {
        let variables = [(names::CHOSEN_HOME.to_owned(), value.into())].into_iter().collect();
        Chosen::Home.above(&variables)
    }

    #[test]
    fn a_choice_is_shown_by_its_descriptor() {
        let dir = tempfile::tempdir().unwrap();
        let odd = dir.path().join(OsString::from_vec(b"h\xf6me".to_vec()));
        fs::create_dir(&odd).unwrap();
        for path in [dir.path(), &odd] {
            let (shows, value) = Chosen::hand_over(path).unwrap();
            assert_eq!(above(value.clone().into_vec()).as_deref(), Some(path));
            drop(shows);
        }
        assert!(Chosen::hand_over(&dir.path().join("not-there")).is_err());
    }

    #[test]
    fn a_variable_alone_chooses_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (home, other) = (dir.path().join("home"), dir.path().join("other"));
        fs::create_dir(&home).unwrap();
        fs::create_dir(&other).unwrap();
        let shown = home.display();
        let (shows, _) = Chosen::hand_over(&other).unwrap();
        // A directory that was left open for reading.
        let left_open = File::open(&home).unwrap();
        let numbers = [shows.as_raw_fd(), left_open.as_raw_fd(), 0, -1, 987, i32::MAX];
        for value in numbers.map(|number| format!("{number}:{shown}")) {
            assert_eq!(above(value.clone()), None, "{value}");
        }
        let (shows, _) = Chosen::hand_over(&home).unwrap();
        let number = shows.as_raw_fd();
        for value in [
            "",
            ":",
            "x",
            &format!("{number}"),
            &format!("{number}:"),
            &format!("{number}:home"),
            &format!("+{number}x:{shown}"),
            &format!("{number}:{}", other.display()),
        ] {
            assert_eq!(above(value), None, "{value}");
        }
    }
}
