//! All logins of one directory.

use std::path::{Path, PathBuf};

use keyfob_core::{Error, Id, Result, login::record::Key};

use super::{examine, store::FileStore};
use crate::{
    finding::State,
    store::{Fix, Listed, Logins, Store, sealing::Seal},
    world::{World, failure},
};

/// The logins in one directory.
pub struct FileLogins<'w> {
    world: &'w World,
    seal: &'w Seal,
    dir: &'w Path,
    spare: Vec<PathBuf>,
}

impl<'w> FileLogins<'w> {
    /// Those in `dir`; where that takes no record, `spare` takes its recovery file. Touches nothing.
    #[must_use]
    pub fn new(world: &'w World, seal: &'w Seal, dir: &'w Path, spare: Vec<PathBuf>) -> Self {
        Self { world, seal, dir, spare }
    }

    fn at(&self, record: &Path) -> Result<FileStore> {
        FileStore::at(self.world, self.seal, record, &self.spare)
    }
}

impl Logins for FileLogins<'_> {
    fn of(&self, key: &Key) -> Result<Box<dyn Store>> {
        Ok(Box::new(self.at(&self.dir.join(format!("{}.json", key.stem())))?))
    }

    fn list(&self) -> Result<Listed> {
        let paths = self.world.files.list(self.dir).map_err(|error| {
            failure::failed_at(
                Id::StoreFailed,
                format!("cannot list {}", self.dir.display()),
                self.dir,
                error,
            )
        })?;
        let (mut stores, mut unreachable) = (Vec::<Box<dyn Store>>::new(), Vec::<Error>::new());
        for path in paths.iter().filter(|path| examine::is_record(path)) {
            match self.at(path) {
                Ok(store) => stores.push(Box::new(store)),
                Err(error) => unreachable.push(error),
            }
        }
        Ok(Listed { stores, unreachable })
    }

    fn examine(&self, fix: Fix, report: &mut dyn FnMut(&str, State)) {
        examine::directory(self.world, self.seal, self.dir, fix, report);
    }
}
