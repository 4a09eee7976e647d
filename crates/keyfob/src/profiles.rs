//! Profiles: lists the stored logins, and keeps which of them counts when none is named.

use std::path::PathBuf;

use keyfob_core::{Error, Id, Record, Result};

use crate::{session::Session, setup::profile, store::Seen, world::failure};

/// One stored login.
#[derive(Debug)]
pub struct Profile {
    /// Its record.
    pub record: Record,
    /// Whether it was seeded by a variable.
    pub seeded: bool,
    /// Where it lies.
    pub path: PathBuf,
}

impl Session {
    /// Every stored login of this home that can be read, and what is wrong with the others.
    pub(crate) fn profiles(&self) -> Result<(Vec<Profile>, Vec<Error>)> {
        let logins = self.logins()?.list()?;
        let (mut profiles, mut problems) = (Vec::new(), logins.unreachable);
        for store in logins.stores {
            let path = store.path();
            match store.look() {
                Ok(Seen::Record(record)) => profiles.push(Profile {
                    record: *record,
                    seeded: store.is_seeded(),
                    path: path.to_path_buf(),
                }),
                Ok(Seen::Nothing) => {}
                Ok(Seen::Damaged(why)) => {
                    problems.push(Error::new(
                        Id::StoreCorrupt,
                        format!("the login in {}", path.display()),
                        format!("it {why}"),
                    ));
                }
                Err(error) => problems.push(error),
            }
        }
        Ok((profiles, problems))
    }

    /// Makes a profile the one that counts when none is named.
    pub(crate) fn use_profile(&self, name: &str) -> Result<()> {
        profile::check(name, "the command line", Id::Usage)?;
        let place = profile::place(&self.setup.require_home()?.logins);
        let written = self.world.files.replace(&place, name.as_bytes());
        written.map_err(|error| {
            failure::failed(
                Id::StoreFailed,
                format!("the choice could not be kept in {}", place.display()),
                error,
            )
        })
    }
}
