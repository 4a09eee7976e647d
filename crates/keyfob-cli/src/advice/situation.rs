//! The situation in which a command failed: existing logins, environment, files. Examined only when a hint needs it.

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use keyfob::{
    Client,
    internals::{
        core::{Record, contract::names},
        renewal::InThread,
        setup::{Choices, Setup},
        world::system::{self, env, files::Disk},
    },
};

use super::{given::Given, words::homely};

/// The situation of one call.
#[derive(Debug, Default)]
pub(crate) struct Situation {
    /// What was given on the command line.
    pub(crate) given: Given,
    here: OnceLock<Here>,
    /// Whether the situation can be examined: a page of the manual is written without one.
    real: bool,
}

/// What is there.
#[derive(Clone, Debug, Default)]
pub(super) struct Here {
    /// The profile in effect.
    pub(super) profile: String,
    /// Whether it was named for this call.
    pub(super) pinned: bool,
    /// The environment in effect, where it can be determined.
    pub(super) environment: Option<String>,
    /// Whether there is a client id to sign in with.
    pub(super) has_client: bool,
    /// What chose the environment.
    pub(super) chosen_by: &'static str,
    /// Whether that was a variable of the contract, which comes before flags.
    pub(super) outranked: bool,
    /// The configuration file.
    pub(super) config: Option<PathBuf>,
    /// The names of the configured environments.
    pub(super) environments: Vec<String>,
    /// Every login that can be read.
    pub(super) logins: Vec<Login>,
    /// Whether there is a login for this profile and environment, readable or not.
    pub(super) has_login: bool,
}

/// A login that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) profile: String,
    pub(super) environment: String,
    /// The account, where that is known.
    pub(super) account: Option<String>,
}

static THIS_RUN: OnceLock<Situation> = OnceLock::new();

/// That of this run: before the command line is read, one without choices.
pub(super) fn of_this_run() -> &'static Situation {
    THIS_RUN.get_or_init(|| Situation::real(Given::default()))
}

impl Situation {
    fn real(given: Given) -> Self {
        Self { given, here: OnceLock::new(), real: true }
    }

    /// Records the given options. Called once, when the command line has been read.
    pub(crate) fn begin(given: Given) {
        let _ = THIS_RUN.set(Self::real(given));
    }

    /// Repeats the given options in the commands of a hint, but for an environment that a variable outranks: it would not
    /// count in the next call either.
    pub(super) fn repeat(&self, hint: &str) -> String {
        let outranked =
            self.given.environment.is_some() && hint.contains("`keyfob ") && self.here().outranked;
        if !outranked {
            return self.given.repeat(hint);
        }
        Given { environment: None, ..self.given.clone() }.repeat(hint)
    }

    /// What is there.
    pub(super) fn here(&self) -> &Here {
        self.here.get_or_init(|| if self.real { look(&self.given) } else { Here::default() })
    }

    /// Added only where a login exists: it would not help a user who is signing in for the first time.
    pub(super) fn kept(&self) -> &'static str {
        if self.here().has_login { "; the login is kept" } else { "" }
    }

    /// The name of a user of this machine.
    pub(super) fn user_name(&self, uid: u32) -> Option<String> {
        self.real.then(|| system::user_name(uid)).flatten()
    }

    /// Who we are.
    pub(super) fn user(&self) -> Option<u32> {
        self.real.then(|| rustix::process::geteuid().as_raw())
    }

    /// The same of a login that was not to be replaced by this.
    pub(super) fn stays(&self) -> String {
        let here = self.here();
        let mine = |login: &&Login| {
            login.profile == here.profile && Some(&login.environment) == here.environment.as_ref()
        };
        match here.logins.iter().find(mine).map(|login| login.account.as_deref()) {
            Some(Some(account)) => format!("; the login of {account} is still there"),
            Some(None) => "; the login that was there still is".into(),
            None => String::new(),
        }
    }

    /// `[environments.work] in ~/.config/keyfob/config.toml`.
    pub(super) fn section(&self, environment: &str) -> String {
        let file = self.here().config.as_deref().map_or("the configuration file".into(), homely);
        format!("[environments.{environment}] in {file}")
    }

    /// Where the scopes of this environment are said. The built-in ones have no section but for what completes them.
    pub(super) fn scopes_of(&self, environment: &str) -> String {
        match environment {
            "local" | "staging" | "production" | "custom" => {
                format!("{} (or to {})", self.section(environment), names::SCOPES)
            }
            other => self.section(other),
        }
    }

    /// The same of the environment that counts.
    pub(super) fn this_section(&self) -> String {
        self.section(self.here().environment.as_deref().unwrap_or("ENVIRONMENT"))
    }

    #[cfg(test)]
    pub(super) fn of(given: Given, here: Here) -> Self {
        Self { given, here: OnceLock::from(here), real: false }
    }
}

fn look(given: &Given) -> Here {
    let variables = env::variables();
    // Descriptors belong to the run itself, which has taken them over.
    let mut choices = given.home.iter().fold(Choices::new(), Choices::home);
    if let Some(environment) = &given.environment {
        choices = choices.environment(environment);
    }
    if let Some(profile) = &given.profile {
        choices = choices.profile(profile);
    }
    let setup = Setup::read(variables, choices, &Disk, env::here().as_deref());
    let set = |name: &str| variables.text(name).is_some();
    let by_a_variable = [
        (names::USE_LOCAL, setup.settings.local),
        (names::USE_STAGING, setup.settings.staging),
        (names::CUSTOM_URL, setup.settings.custom_url.is_some()),
    ];
    let by_a_variable = by_a_variable.into_iter().find_map(|(name, chosen)| chosen.then_some(name));
    let chosen_by = by_a_variable
        .or_else(|| given.environment.as_ref().map(|_| "--environment"))
        .or_else(|| set("KEYFOB_ENVIRONMENT").then_some("KEYFOB_ENVIRONMENT"))
        .or_else(|| setup.config.environment.as_ref().map(|_| "the configuration file"))
        .unwrap_or("default");
    let mut here = Here {
        profile: setup.profile_name().to_owned(),
        pinned: setup.pinned,
        environment: setup.environment.as_ref().map(|environment| environment.name.clone()),
        has_client: setup.environment.as_ref().is_some_and(|environment| environment.client_id.is_some()),
        chosen_by,
        outranked: by_a_variable.is_some(),
        config: setup.home.as_ref().map(|home| home.config.clone()),
        environments: setup.config.environments.keys().cloned().collect(),
        ..Here::default()
    };
    let world = system::world(setup.routes.clone());
    let client = Client::with(setup, world, Arc::new(InThread));
    here.has_login = client.store().is_ok_and(|store| store.path().exists());
    let profiles = client.profiles().map(|(profiles, _)| profiles).unwrap_or_default();
    here.logins =
        profiles.iter().filter(|profile| !profile.seeded).map(|profile| login(&profile.record)).collect();
    here
}

fn login(record: &Record) -> Login {
    Login {
        profile: record.profile.clone(),
        environment: record.environment.clone(),
        account: record.identity.known_name().map(str::to_owned),
    }
}
