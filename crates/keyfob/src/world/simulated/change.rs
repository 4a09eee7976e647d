//! Directory changes that are not yet durable.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// A change of a directory that is not durable yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Change {
    Link(PathBuf, u32),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf, u32),
}

impl Change {
    pub(super) fn dir(&self) -> Option<&Path> {
        match self {
            Self::Link(path, _) | Self::Unlink(path) | Self::Rename(_, path, _) => path.parent(),
        }
    }

    pub(super) fn inode(&self) -> Option<u32> {
        match self {
            Self::Link(_, inode) | Self::Rename(_, _, inode) => Some(*inode),
            Self::Unlink(_) => None,
        }
    }

    pub(super) fn apply(&self, names: &mut BTreeMap<PathBuf, u32>) {
        match self {
            Self::Link(path, inode) => {
                names.insert(path.clone(), *inode);
            }
            Self::Unlink(path) => {
                names.remove(path);
            }
            Self::Rename(from, to, inode) => {
                names.remove(from);
                names.insert(to.clone(), *inode);
            }
        }
    }
}
