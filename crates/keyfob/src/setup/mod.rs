//! The input of a run: variables, directories, configuration, environment, descriptors. All of it is checked before
//! any network use, whether needed or not, and all problems are reported together.

pub(crate) mod certificates;
pub(crate) mod choices;
pub mod chosen;
pub(crate) mod code;
pub(crate) mod config_file;
mod config_shape;
pub mod config_write;
pub mod descriptors;
mod handed_over;
pub mod home;
mod identified;
pub(crate) mod profile;
pub(crate) mod proxies;
mod repositories;
pub mod trust;
pub(crate) mod trusted_files;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use keyfob_core::{
    Cause, Error, Id, Result,
    config::{Config, approved::ApprovedList},
    contract::{
        self, Reading, Variables,
        settings::{Descriptor, Settings},
    },
    provider::environment::Environment,
};

pub use self::{choices::Choices, handed_over::HANDED_OVER, identified::IDENTIFIED_BY};
use crate::{
    setup::{
        chosen::Chosen,
        descriptors::Inherited,
        home::{Home, Places},
        trust::Surroundings,
    },
    world::{
        Files,
        system::{env, routes::Routes, shown},
    },
};

/// The whole input of a run, with everything that is wrong about it.
#[derive(Debug)]
pub struct Setup {
    /// What each variable says.
    pub reading: Reading,
    /// The parsed values of all of them.
    pub settings: Settings,
    /// The directories. `None` when they were refused.
    pub home: Option<Home>,
    /// The configuration file.
    pub config: Config,
    /// The provider. `None` if it cannot be determined.
    pub environment: Option<Environment>,
    profile: Result<String>,
    /// Whether the profile was named for this very call: then inherited tokens do not count.
    pub pinned: bool,
    /// Proxies and certificates. What is wrong with them stops what uses the network, and nothing else.
    pub routes: Routes,
    /// Descriptors taken over and not yet read.
    pub inherited: Vec<Inherited>,
    /// Descriptors that `keyfob exec` passed to one of our ancestors, which has read them.
    pub consumed: Vec<Descriptor>,
    seed: Result<Option<String>>,
    session_file: Result<Option<PathBuf>>,
    identity_file: Result<()>,
    /// A file of approvals that was named for this call.
    pub approved: Option<PathBuf>,
    /// The surroundings of the working directory, by which paths from variables are judged.
    pub around: Surroundings,
    /// What is wrong but does not stop the run, which does without it.
    pub warnings: Vec<Error>,
    /// Everything that is wrong, in the order it was found.
    pub problems: Vec<Error>,
}

/// `keyfob exec` names here the seeded login it used, by its fingerprint: a keyfob that its program runs continues
/// with that login's record, without the seed.
pub const SEEDED_BY: &str = "KEYFOB_SEEDED_BY";

impl Setup {
    /// Which key of the chosen environment names a command that gives a client's secret or private key, or an identity token,
    /// if one does.
    #[must_use]
    pub fn secret_command(&self) -> Option<&'static str> {
        use keyfob_core::oauth::{client_auth::Place, federation::Identity};
        let environment = self.environment.as_ref()?;
        let federation = environment.federation.as_ref();
        if federation.is_some_and(|federation| matches!(federation.identity, Identity::Command(_))) {
            return Some("identity_token_command");
        }
        let client = environment.confidential_client()?;
        let signs = client.proof.is_some_and(|proof| proof.signs());
        let key = if signs { "client_key_command" } else { "client_secret_command" };
        matches!(client.secret, Place::Command(_)).then_some(key)
    }

    /// Reads it all. Never fails: what is wrong is listed in [`Setup::problems`]. `here` is the working directory; without
    /// one (it has been removed) no path that a variable names is trusted.
    #[must_use]
    pub fn read(variables: &Variables, mut choices: Choices, files: &dyn Files, here: Option<&Path>) -> Self {
        let mut reading = contract::read(variables);
        let mut problems = std::mem::take(&mut reading.problems);
        let provider_is_clear = reading.provider_is_clear();
        let settings = std::mem::take(&mut reading.settings);
        // Descriptors before anything of ours is opened: a stale number must not name a file of our own.
        let (inherited, consumed) =
            handed_over::take_over(&settings, variables, choices.descriptors, choices.given, &mut problems);

        if choices.descriptors {
            choices.home = choices.home.or_else(|| Chosen::Home.above(variables));
            choices.approved = choices.approved.or_else(|| Chosen::Approved.above(variables));
        }
        let around = Surroundings::of(here);
        let mut warnings = Vec::new();
        let places = places(variables, choices.home);
        let home = if unreadable(variables) {
            // Reported already. The usual place is not meant in its place.
            None
        } else {
            keep(Home::find(&places, files, &around, &mut warnings), &mut problems)
        };
        let config = match &home {
            Some(home) => trusted_files::config(&home.config, files)
                .map_err(|mut found| problems.append(&mut found))
                .ok(),
            None => None,
        };
        let environment_name = choices.environment.or_else(|| text(variables, "KEYFOB_ENVIRONMENT"));
        let approved = if settings.wants_approval() || choices.approved.is_some() {
            keep(trusted_files::approved(choices.approved.as_deref(), files, &around), &mut problems)
        } else {
            Some(ApprovedList::default())
        };
        // With a malformed choice it is unknown which provider was meant: never a default, never production
        // by accident.
        let mut environment =
            approved.zip(config.as_ref()).filter(|_| provider_is_clear).and_then(|(approved, config)| {
                keep(
                    keyfob_core::provider::resolve(&settings, config, environment_name.as_deref(), &approved),
                    &mut problems,
                )
            });
        if let Some(environment) = &mut environment {
            problems.extend(identified::identify(environment, variables).err());
        }
        let config = config.unwrap_or_default();
        identified::withhold(&config);
        warnings.extend(config.outdated.iter().cloned());
        let (profile, pinned) = profile::of(variables, choices.profile, home.as_ref(), files);
        problems.extend(profile.as_ref().err().cloned());
        let seed = seed(&settings, variables);
        problems.extend(seed.as_ref().err().cloned());
        let session_file = session_file(variables, &around);
        problems.extend(session_file.as_ref().err().cloned());
        let identity_file = identified::file(&settings, &around).and_then(|()| {
            environment.as_ref().map_or(Ok(()), |to| identified::file_may_go(&settings, to, &config))
        });
        problems.extend(identity_file.as_ref().err().cloned());
        let routes = proxies::read(variables, &around);
        Self {
            reading,
            settings,
            home,
            config,
            environment,
            profile,
            pinned,
            routes,
            inherited,
            consumed,
            seed,
            session_file,
            identity_file,
            approved: choices.approved,
            around,
            warnings,
            problems,
        }
    }

    /// Reads the changed configuration again, and uses this environment of it from now on. For a caller that has just
    /// set it up and has made sure that no variable chooses another one.
    ///
    /// # Errors
    /// As [`Setup::check`] would say.
    pub fn choose(&mut self, name: &str, variables: &Variables, files: &dyn Files) -> Result<()> {
        let found = |all: Vec<Error>| Error::all(all).map_or(Ok(()), Err);
        match trusted_files::config(&self.require_home()?.config, files) {
            Ok(config) => {
                identified::withhold(&config);
                self.config = config;
            }
            Err(problems) => return found(problems),
        }
        let approved = ApprovedList::default();
        let mut environment =
            keyfob_core::provider::resolve(&self.settings, &self.config, Some(name), &approved)?;
        identified::identify(&mut environment, variables)?;
        self.environment = Some(environment);
        self.problems.retain(|problem| !is_of_the_choice(problem));
        self.check()
    }

    /// Where a key is in the configuration file, for people: `FILE, line N`. `path` is the key with the tables it is in.
    #[must_use]
    pub fn config_place(&self, path: &[String], files: &dyn Files) -> Option<String> {
        let file = &self.home.as_ref()?.config;
        let text = trusted_files::config_text(file, files).ok()??;
        Some(format!("{}, line {}", shown(file), config_shape::line_of(&text, path)?))
    }

    /// What is wrong besides the choice of an environment: that one may be about to be set up.
    #[must_use]
    pub fn problems_but_the_choice(&self) -> Vec<Error> {
        self.problems.iter().filter(|problem| !is_of_the_choice(problem)).cloned().collect()
    }

    /// All problems as one error.
    ///
    /// # Errors
    /// When there is any.
    pub fn check(&self) -> Result<()> {
        Error::all(self.problems.clone()).map_or(Ok(()), Err)
    }

    /// The same, for what uses the network.
    ///
    /// # Errors
    /// When there is any, or when a proxy or a certificate that was named is refused.
    pub fn check_network(&self) -> Result<()> {
        let refused = self.routes.check().err();
        Error::all(self.problems.iter().cloned().chain(refused).collect()).map_or(Ok(()), Err)
    }

    /// What the browser's environment is changed to, and why `BROWSER` is not started, if it is not.
    #[must_use]
    pub fn for_browser(&self, variables: &Variables) -> (Vec<(String, Option<OsString>)>, Option<Error>) {
        code::for_browser(variables, &self.around)
    }

    /// What is wrong and stops nothing here: what is done without, and what only the network needs.
    pub fn told(&self) -> impl Iterator<Item = Error> {
        self.warnings.iter().cloned().chain(self.routes.check().err())
    }

    /// The profile.
    ///
    /// # Errors
    /// It was named by what is no name. Then there is no other one to be meant.
    pub fn profile(&self) -> Result<&str> {
        self.profile.as_deref().map_err(Clone::clone)
    }

    /// The profile, for people.
    #[must_use]
    pub fn profile_name(&self) -> &str {
        self.profile.as_deref().unwrap_or("?")
    }

    /// The fingerprint of the refresh token that seeds a login: the variable's, or the one `keyfob exec` named
    /// for the programs below it, which do not get the variable.
    ///
    /// # Errors
    /// What `keyfob exec` named is no fingerprint.
    pub fn seed(&self) -> Result<Option<&str>> {
        self.seed.as_ref().map(Option::as_deref).map_err(Clone::clone)
    }

    /// Whether the file of identity tokens that a variable names may be read.
    ///
    /// # Errors
    /// What stands against it.
    pub(crate) fn identity_file(&self) -> Result<()> {
        self.identity_file.clone()
    }

    /// Whose identity token is in a variable, for [`IDENTIFIED_BY`]: the program below `exec` does not get the variable.
    #[must_use]
    pub fn identified(&self) -> Option<String> {
        identified::told(self.environment.as_ref()?)
    }

    /// The file that a runner keeps a session's credential in.
    ///
    /// # Errors
    /// What stands against the variable's path.
    pub(crate) fn session_file(&self) -> Result<Option<&Path>> {
        self.session_file.as_ref().map(Option::as_deref).map_err(Clone::clone)
    }

    /// Whether this variable of the contract is unset, or has a valid value. If the value is invalid, what comes after
    /// the variable in an order is not used in its place.
    ///
    /// # Errors
    /// [`Id::VariableMalformed`].
    pub fn readable(&self, name: &str) -> Result<()> {
        let entry = self.reading.entries.iter().find(|entry| entry.variable.name == name);
        match entry.map(|entry| &entry.state) {
            Some(contract::State::Invalid { expected }) => {
                Err(Error::new(Id::VariableMalformed, format!("{name} is malformed"), *expected))
            }
            _ => Ok(()),
        }
    }

    /// The home, for those who go on although something else is wrong.
    ///
    /// # Errors
    /// Why there is none.
    pub fn require_home(&self) -> Result<&Home> {
        self.home.as_ref().ok_or_else(|| self.first_problem(Id::NoHome))
    }

    /// The environment, likewise.
    ///
    /// # Errors
    /// Why there is none.
    pub fn require_environment(&self) -> Result<&Environment> {
        self.environment.as_ref().ok_or_else(|| self.first_problem(Id::EnvironmentUnknown))
    }

    fn first_problem(&self, otherwise: Id) -> Error {
        Error::all(self.problems.clone()).unwrap_or_else(|| {
            Error::new(otherwise, "the set-up is incomplete", "nothing says which is meant")
        })
    }
}

fn is_of_the_choice(problem: &Error) -> bool {
    matches!(problem.id(), Id::EnvironmentUnknown | Id::EnvironmentIncomplete)
}

fn keep<T>(result: Result<T>, problems: &mut Vec<Error>) -> Option<T> {
    result.map_err(|error| problems.push(error)).ok()
}

fn text(variables: &Variables, name: &str) -> Option<String> {
    variables.text(name).map(str::to_owned)
}

/// Whether a variable that names a place has more than one value.
fn unreadable(variables: &Variables) -> bool {
    ["KEYFOB_HOME", "HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"]
        .iter()
        .any(|name| !variables.is_readable(name))
}

fn places(variables: &Variables, chosen: Option<PathBuf>) -> Places {
    let path = |name| env::path(variables, name);
    Places {
        chosen,
        keyfob_home: path("KEYFOB_HOME"),
        home: path("HOME"),
        xdg_config: path("XDG_CONFIG_HOME"),
        xdg_state: path("XDG_STATE_HOME"),
        xdg_runtime: path("XDG_RUNTIME_DIR"),
    }
}

/// The file of a session's credential, by the rule for every path that a variable names. Whether it is there, and this
/// user's alone, is found out when it is read: a runner may write it later.
fn session_file(variables: &Variables, around: &Surroundings) -> Result<Option<PathBuf>> {
    const NAME: &str = contract::names::SESSION_TOKEN_FILE;
    let refused = |what: String, why: String| Error::new(Id::SessionFile, what, why);
    if !variables.is_readable(NAME) {
        return Err(refused(
            format!("{NAME} is malformed"),
            "expected one path, and the environment holds two".into(),
        ));
    }
    let Some(path) = env::path(variables, NAME) else { return Ok(None) };
    around.judge(&path).map_err(|refusal| {
        let what = format!("{NAME} names {}, which is refused", shown(&path));
        Error::new(refusal.id(Id::SessionFile), what, refusal.to_string()).maybe_because(refusal.cause(&path))
    })?;
    Ok(Some(path))
}

fn seed(settings: &Settings, variables: &Variables) -> Result<Option<String>> {
    if let Some(token) = &settings.refresh_token {
        return Ok(Some(token.fingerprint()));
    }
    let named = text(variables, SEEDED_BY);
    match &named {
        Some(text) if text.len() != 12 || !text.bytes().all(|b| b.is_ascii_hexdigit()) => {
            let why = "expected what `keyfob exec` puts there for the programs below it";
            Err(Error::new(Id::VariableMalformed, format!("{SEEDED_BY} is malformed"), why)
                .because(Cause::OwnVariable { variable: SEEDED_BY.into() }))
        }
        _ => Ok(named),
    }
}
