//! Changes the configuration file: reads it, changes the text, checks that as it will be read, and replaces it
//! atomically.

use std::{io, path::Path};

use keyfob_core::{Cause, Error, Id, Result};

use crate::{
    setup::{config_file, home::Home, trusted_files},
    world::{self, World, failure, system::shown},
};

/// What became of a change.
#[derive(Debug, PartialEq, Eq)]
pub enum Changed {
    /// Everything was as wanted already.
    Nothing,
    /// The file is new, or another one than before.
    Written,
}

/// The text of this home's configuration file: empty where there is none.
///
/// # Errors
/// [`Id::ConfigUnsafe`].
pub fn text(world: &World, home: &Home) -> Result<String> {
    Ok(trusted_files::config_text(&home.config, &*world.files)?.unwrap_or_default())
}

/// Reads this as the text of this home's configuration file.
///
/// # Errors
/// [`Id::ConfigMalformed`].
pub fn check(home: &Home, text: &str) -> Result<()> {
    config_file::parse(&home.config, text).map(drop).map_err(|found| {
        let all = Error::all(found);
        all.unwrap_or_else(|| Error::new(Id::Bug, "the changed configuration", "it cannot be read"))
    })
}

/// Changes the configuration file of this home. `change` gets its text, which is empty where there is none, and answers the
/// new one. Programs of ours that change it at the same time wait for each other.
///
/// # Errors
/// [`Id::ConfigUnsafe`] for a file that is not to be trusted, one behind a link, and a directory that others can change;
/// [`Id::ConfigMalformed`] for a text that could not be read again; what `change` refuses; [`Id::StoreFailed`].
pub fn change(world: &World, home: &Home, mut change: impl FnMut(&str) -> Result<String>) -> Result<Changed> {
    let path = &home.config;
    let failed = |error: io::Error| {
        let what = format!("{} could not be written", shown(path));
        failure::failed(Id::StoreFailed, what, error)
    };
    refuse_what_is_not_ours(world, path)?;
    let changed = world::exclusively(world, path, || {
        Ok::<_, io::Error>((|| {
            // Once more, now that no other process of ours writes it.
            let text = trusted_files::config_text(path, &*world.files)?.unwrap_or_default();
            let new = change(&text)?;
            if new == text {
                return Ok(Changed::Nothing);
            }
            check(home, &new)?;
            world.files.replace(path, new.as_bytes()).map_err(failed)?;
            Ok(Changed::Written)
        })())
    });
    changed.map_err(failed)?
}

/// A link leads to a file that the user keeps elsewhere, such as a repository of dotfiles: replacing the link would cut
/// it off from there, and its target is not ours to write.
fn refuse_what_is_not_ours(world: &World, path: &Path) -> Result<()> {
    let what = || format!("{} is not written", shown(path));
    let refuse = |error: io::Error| failure::failed(Id::ConfigUnsafe, what(), error);
    let leads_to = world.files.resolve(path).map_err(refuse)?;
    if leads_to != *path {
        let why = format!("it is a link to {}, and links are not written through", shown(&leads_to));
        return Err(Error::new(Id::ConfigUnsafe, what(), why)
            .because(Cause::ConfigIsALink { path: shown(&leads_to) }));
    }
    if let Some(dir) = path.parent().filter(|dir| dir.exists()) {
        world.files.check_dir(dir, false).map_err(|error| {
            let what = format!("{} is not written to", shown(dir));
            failure::failed(Id::ConfigUnsafe, what, error)
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::system::{self, routes::Routes};
    use std::{
        fs,
        os::unix::fs::{PermissionsExt, symlink},
        path::PathBuf,
    };

    struct Place {
        _dir: tempfile::TempDir,
        home: Home,
    }

    fn place() -> Place {
        let dir = tempfile::tempdir().unwrap();
        let home = Home {
            config: dir.path().join("etc/keyfob/config.toml"),
            logins: dir.path().join("logins"),
            runtime: None,
            explicit: false,
        };
        Place { _dir: dir, home }
    }

    fn put(home: &Home, text: &str) -> Result<Changed> {
        change(&system::world(Routes::default()), home, |_| Ok(text.to_owned()))
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_file_is_made_with_its_directories_for_its_owner_alone() {
        let place = place();
        assert_eq!(put(&place.home, "prefer = \"oauth\"\n"), Ok(Changed::Written));
        let path = &place.home.config;
        assert_eq!(fs::read_to_string(path).unwrap(), "prefer = \"oauth\"\n");
        assert_eq!((mode(path), mode(path.parent().unwrap())), (0o600, 0o700));
        let before = fs::metadata(path).unwrap().modified().unwrap();
        assert_eq!(put(&place.home, "prefer = \"oauth\"\n"), Ok(Changed::Nothing));
        assert_eq!(fs::metadata(path).unwrap().modified().unwrap(), before, "it was not touched");
    }

    #[test]
    fn what_could_not_be_read_again_is_not_written() {
        let place = place();
        put(&place.home, "prefer = \"oauth\"\n").unwrap();
        let error = put(&place.home, "prefer = \"both\"\n").expect_err("malformed");
        assert_eq!(error.id(), Id::ConfigMalformed);
        assert_eq!(fs::read_to_string(&place.home.config).unwrap(), "prefer = \"oauth\"\n");
    }

    #[test]
    fn a_link_is_not_written_through_and_not_replaced() {
        let place = place();
        let dir = place.home.config.parent().unwrap();
        fs::create_dir_all(dir).unwrap();
        let dotfile: PathBuf = dir.join("kept-elsewhere.toml");
        for exists in [true, false] {
            if exists {
                fs::write(&dotfile, "prefer = \"api-key\"\n").unwrap();
            } else {
                fs::remove_file(&dotfile).unwrap();
                fs::remove_file(&place.home.config).unwrap();
            }
            symlink(&dotfile, &place.home.config).unwrap();
            let error = put(&place.home, "prefer = \"oauth\"\n").expect_err("a link");
            assert_eq!(error.id(), Id::ConfigUnsafe);
            assert!(
                matches!(error.cause(), Some(Cause::ConfigIsALink { path }) if path.contains("elsewhere"))
            );
            assert!(place.home.config.is_symlink());
            assert_eq!(dotfile.exists(), exists);
        }
    }

    #[test]
    fn a_file_or_directory_that_others_can_change_is_refused() {
        let place = place();
        put(&place.home, "prefer = \"oauth\"\n").unwrap();
        let path = &place.home.config;
        fs::set_permissions(path, PermissionsExt::from_mode(0o666)).unwrap();
        assert_eq!(put(&place.home, "").expect_err("open").id(), Id::ConfigUnsafe);
        fs::set_permissions(path, PermissionsExt::from_mode(0o644)).unwrap();
        let dir = path.parent().unwrap();
        fs::set_permissions(dir, PermissionsExt::from_mode(0o777)).unwrap();
        assert_eq!(put(&place.home, "").expect_err("open").id(), Id::ConfigUnsafe);
        fs::set_permissions(dir, PermissionsExt::from_mode(0o755)).unwrap();
        assert_eq!(put(&place.home, ""), Ok(Changed::Written));
    }

    /// Two at once: none undoes the other's change.
    #[test]
    fn changes_at_the_same_time_wait_for_each_other() {
        let place = place();
        std::thread::scope(|scope| {
            for worker in 0..4 {
                let home = &place.home;
                scope.spawn(move || {
                    let world = system::world(Routes::default());
                    for number in 0..10 {
                        let line =
                            format!("[environments.w{worker}-{number}]\nissuer = \"https://i.example\"\n");
                        change(&world, home, |text| Ok(format!("{text}{line}"))).unwrap();
                    }
                });
            }
        });
        let text = fs::read_to_string(&place.home.config).unwrap();
        assert_eq!(text.lines().count(), 80);
    }
}
