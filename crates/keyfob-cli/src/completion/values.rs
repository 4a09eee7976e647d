//! The values of an argument, selected by the value's name in the help.

use std::path::PathBuf;

use clap::{Arg, ValueHint};
use keyfob::{
    Source,
    internals::{
        setup::{Choices, Setup},
        store::files,
        world::system::{env, files::Disk},
    },
};

use super::candidate::Candidate;

/// What the shell itself completes, if the value is a path.
pub(super) fn files(argument: &Arg) -> Option<&'static str> {
    let is_directory = name(argument) == "DIR";
    match argument.get_value_hint() {
        ValueHint::DirPath => Some("directories"),
        ValueHint::AnyPath | ValueHint::FilePath if is_directory => Some("directories"),
        ValueHint::AnyPath | ValueHint::FilePath => Some("files"),
        _ => None,
    }
}

/// The possible values on this machine. Errors are not reported: completion did not ask for them.
pub(super) fn of(argument: &Arg, home: Option<PathBuf>) -> Vec<Candidate> {
    let plain = |word: &str| Candidate::new(word, None);
    match name(argument) {
        "PROFILE" => profiles(&setup(home)).iter().map(|name| plain(name)).collect(),
        "ENVIRONMENT" => environments(&setup(home)),
        "SOURCE" => Source::ALL.iter().map(|source| plain(source.name())).collect(),
        #[cfg(feature = "dev-server")]
        "KIND[=COUNT]" => keyfob_dev::Fault::all().map(|fault| plain(&fault.to_string())).collect(),
        "PAGE" => {
            let pages = crate::reference::manual::names();
            pages.map(|(word, about)| Candidate { word, about }).collect()
        }
        _ => {
            let possible = argument.get_possible_values();
            let shown = possible.iter().filter(|value| !value.is_hide_set());
            shown.map(|value| Candidate::new(value.get_name(), value.get_help())).collect()
        }
    }
}

fn name(argument: &Arg) -> &str {
    argument.get_value_names().and_then(<[_]>::first).map_or("", |name| name.as_str())
}

/// Directories and configuration. No descriptor is taken over, and nothing is checked that does not come from a file.
fn setup(home: Option<PathBuf>) -> Setup {
    let choices = home.into_iter().fold(Choices::new(), Choices::home);
    Setup::read(env::variables(), choices, &Disk, env::here().as_deref())
}

fn profiles(setup: &Setup) -> Vec<String> {
    let mut names = setup.home.as_ref().map(|home| files::profiles(&home.logins)).unwrap_or_default();
    names.sort();
    names.dedup();
    names
}

fn environments(setup: &Setup) -> Vec<Candidate> {
    let built_in = ["production", "staging", "local"];
    let configured = setup.config.environments.keys().filter(|name| !built_in.contains(&name.as_str()));
    let configured =
        configured.map(|name| Candidate { word: name.clone(), about: "of your configuration".into() });
    let built_in = built_in.iter().map(|name| Candidate { word: (*name).into(), about: "built in".into() });
    configured.chain(built_in).collect()
}
