//! The state of one run of the command: its set-up, and a client that renews in a separate process.

use std::sync::Arc;

use keyfob::{
    Client, Error,
    internals::{
        core::{
            Id,
            contract::{names, settings::Settings},
        },
        setup::{Choices, Setup},
        world::system::{self, env as environment, files::Disk},
    },
};

use crate::{
    args::Global,
    internal::OwnProcess,
    output::{progress, report::Report, terminal},
    telemetry,
};

/// All input of this run. The command is a fresh process, so descriptors named by variables were opened for it.
pub(crate) fn setup(global: &Global) -> Setup {
    read(global, true)
}

/// The same for another client of a run that has taken them over already.
pub(crate) fn setup_without_descriptors(global: &Global) -> Setup {
    read(global, false)
}

fn read(global: &Global, descriptors: bool) -> Setup {
    let choices = Choices::new().inherit_descriptors(descriptors);
    let mut choices = global.home.iter().fold(choices, Choices::home);
    if let Some(approved) = &global.approved {
        choices = choices.approved(approved);
    }
    if let Some(environment) = &global.environment {
        choices = choices.environment(environment);
    }
    if let Some(profile) = &global.profile {
        choices = choices.profile(profile);
    }
    let setup = Setup::read(environment::variables(), choices, &Disk, environment::here().as_deref());
    if let (Some(flag), Some((variable, other))) =
        (&global.environment, chosen_by_a_variable(&setup.settings))
        && flag != other
    {
        let what = format!("--environment {} is not used", terminal::plain(flag));
        let why = format!("{variable} chooses `{other}`, and the contract's variables come before flags");
        Report::warn(
            &Error::new(Id::VariablesConflict, what, why)
                .hint(format!("unset {variable}, or leave the flag out")),
        );
    }
    setup
}

/// The input of this run once more, for another login of the same home. What was inherited belongs to the first one: a login
/// that is named takes nothing else.
#[cfg(feature = "serve")]
pub(crate) fn another_setup(global: &Global, first: &Setup) -> Setup {
    let explicit = first.home.as_ref().filter(|home| home.explicit).and_then(|home| home.config.parent());
    let mut choices = explicit.into_iter().fold(Choices::new(), Choices::home);
    if let Some(approved) = &first.approved {
        choices = choices.approved(approved);
    }
    if let Some(environment) = &global.environment {
        choices = choices.environment(environment);
    }
    if let Some(profile) = &global.profile {
        choices = choices.profile(profile);
    }
    Setup::read(environment::variables(), choices, &Disk, environment::here().as_deref())
}

/// The variable that selects the environment before any flag and any file, and that environment.
pub(crate) fn chosen_by_a_variable(settings: &Settings) -> Option<(&'static str, &'static str)> {
    match settings {
        Settings { local: true, .. } => Some((names::USE_LOCAL, "local")),
        Settings { staging: true, .. } => Some((names::USE_STAGING, "staging")),
        Settings { custom_url: Some(_), .. } => Some((names::CUSTOM_URL, "custom")),
        _ => None,
    }
}

/// A client that renews in a separate process, so that nothing is lost when this one ends.
pub(crate) fn client(global: &Global, setup: Setup) -> Client {
    connect(global, setup, Some(Arc::new(progress::show)))
}

/// The same for a process that serves others: what one of its threads waits for concerns nobody at its terminal.
pub(crate) fn quiet_client(global: &Global, setup: Setup) -> Client {
    connect(global, setup, None)
}

type Listener = Arc<dyn Fn(&keyfob::Progress) + Send + Sync>;

fn connect(global: &Global, setup: Setup, progress: Option<Listener>) -> Client {
    let mut world = system::world(setup.routes.clone());
    world.observe = telemetry::begin(&setup);
    world.notice = Arc::new(Report::say);
    world.progress = progress;
    let metrics = telemetry::word(&setup);
    Client::with(setup, world, Arc::new(OwnProcess { metrics })).only(global.only)
}
