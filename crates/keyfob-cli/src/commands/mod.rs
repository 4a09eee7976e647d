//! The commands, one file each.

pub(crate) mod connect;
#[cfg(feature = "dev-server")]
pub(crate) mod demo;
#[cfg(feature = "dev-server")]
pub(crate) mod dev_server;
pub(crate) mod device;
pub(crate) mod doctor;
pub(crate) mod env;
mod env_report;
pub(crate) mod exec;
pub(crate) mod formats;
pub(crate) mod git;
pub(crate) mod header;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod pages;
pub(crate) mod profiles;
pub(crate) mod setup_token;
pub(crate) mod status;
pub(crate) mod token;

use std::{ffi::OsString, path::Path, process::ExitCode, sync::Arc};

use keyfob::{
    Client, Error, Grant, Id, Purpose,
    credential::grant::Outcome,
    renewal::{Need, Spender, worker},
    setup::{Choices, Setup},
    store::{Lease, Seen, Store},
    world::{
        World,
        system::{self, env as environment, files::Disk},
    },
};

use crate::{
    args::{Arguments, Command, Global, Rejected, Wanted},
    internal::Task,
    program,
    report::{Report, Result},
    telemetry,
};

pub(crate) fn run(arguments: &Arguments) -> Result {
    let global = &arguments.global;
    match &arguments.command {
        Command::Login(args) => login::run(global, args),
        Command::Logout(args) => logout::run(global, args),
        Command::Token(args) => token::run(global, args),
        Command::Header(args) => header::run(global, args),
        Command::Exec(args) => exec::run(global, args),
        Command::Status(args) => status::run(global, args),
        Command::Env(args) => env::run(global, args),
        Command::SetupToken(args) => setup_token::run(global, args),
        Command::Doctor(args) => doctor::run(global, args),
        Command::Profiles(args) => profiles::run(global, args),
        Command::Device(args) => device::run(global, args),
        Command::Connect(args) => connect::run(global, args),
        #[cfg(feature = "dev-server")]
        Command::DevServer(args) => dev_server::run(args),
        #[cfg(feature = "dev-server")]
        Command::Demo(args) => demo::run(args),
        Command::Completions { shell, install } => pages::completions(*shell, *install),
        Command::Man { errors: true, .. } => pages::errors(),
        Command::Man { install: true, .. } => pages::install_manual(),
        Command::Man { out, .. } => pages::manual(out.as_deref()),
    }
}

/// The renewal of [`Task::Renew`].
pub(crate) fn work(words: &[OsString]) -> ExitCode {
    let setup = Setup::read(environment::variables(), Choices::default(), &Disk, Some(Path::new("/")));
    let mut world = system::world(setup.routes);
    let [metrics, order @ ..] = words else { return worker::work(&world, words) };
    world.observe = telemetry::begin_with(&metrics.to_string_lossy(), setup.settings.presets);
    let code = worker::work(&world, order);
    let record = order.first().and_then(|path| Store::at(&world, Path::new(path), &[]).ok()?.look().ok());
    if let Some(Seen::Record(record)) = record {
        telemetry::belongs_to(record.identity);
    }
    telemetry::finish();
    code
}

/// Everything this run is told. The command is a process of its own at its very start: descriptors named by
/// variables were put there for it.
pub(crate) fn setup(global: &Global) -> Setup {
    let choices = Choices {
        home: global.home.clone(),
        approved: global.approved.clone(),
        environment: global.environment.clone(),
        profile: global.profile.clone(),
        descriptors: true,
        given: Vec::new(),
    };
    Setup::read(environment::variables(), choices, &Disk, environment::here().as_deref())
}

/// A client that renews in a process of its own, so that the end of this one loses nothing.
pub(crate) fn client(global: &Global, setup: Setup) -> Client {
    let mut world = system::world(setup.routes.clone());
    world.observe = telemetry::begin(&setup);
    world.notice = Arc::new(Report::say);
    let metrics = telemetry::word(&setup);
    Client::with(setup, world, Arc::new(OwnProcess { metrics })).only(global.only)
}

/// Renews in another process of this program, which is looked for only then.
struct OwnProcess {
    metrics: String,
}

impl Spender for OwnProcess {
    fn spend(&self, world: &World, store: &Store, lease: Lease<'_>, need: &Need) -> Result<(), Error> {
        telemetry::uses_network();
        let arguments = vec![Task::Renew.word().into(), self.metrics.clone().into()];
        let detached = worker::Detached { programs: program::candidates(), arguments };
        detached.spend(world, store, lease, need)
    }
}

/// The credential a command was asked for.
pub(crate) fn grant(global: &Global, wanted: &Wanted) -> Result<Grant> {
    let setup = setup(global);
    setup.check()?;
    warn_of_the_way(&setup);
    grant_from(&client(global, setup), wanted)
}

/// A credential that is at hand needs no network, and is handed out whatever is wrong with the way there.
pub(crate) fn warn_of_the_way(setup: &Setup) {
    if let Err(refused) = setup.routes.check() {
        Report::warn(&refused);
    }
}

pub(crate) fn grant_from(client: &Client, wanted: &Wanted) -> Result<Grant> {
    let purpose = if wanted.remote { Purpose::Remote } else { Purpose::Api };
    let rejected = match &wanted.rejected {
        Some(Rejected::Key(fingerprint)) => {
            let grant = client.rejected_key(purpose, fingerprint)?;
            telemetry::used(client, &grant);
            return Ok(grant);
        }
        Some(Rejected::Login(generation)) => Some(generation.clone()),
        None => None,
    };
    let need = Need { min_valid: wanted.min_valid, rejected };
    let grant = client.grant_for(purpose, &need)?;
    telemetry::used(client, &grant);
    if let (Some(rejected), None) = (&need.rejected, &grant.generation) {
        let what = format!("the credential from {} cannot be renewed", grant.source);
        let why = format!("it is not the login {}, and it is used as it is", rejected.login.as_str());
        return Err(Error::new(Id::ProviderRefused, what, why)
            .hint("replace it, or unset it to use the stored login")
            .into());
    }
    if let Some(warning) = &grant.warning {
        Report::warn(warning);
    }
    warn_of_shadows(&grant);
    Ok(grant)
}

/// The sources that are there and were not used.
pub(crate) fn shadowed(grant: &Grant) -> Vec<&'static str> {
    let shadowed = grant.considered.iter().filter(|c| c.outcome == Outcome::Shadowed);
    shadowed.map(|c| c.source.name()).collect()
}

/// The commonest surprise is a credential nobody meant: a variable that silently wins over the account, or the account
/// over a variable. Said in scripts too, where nobody asks `status`.
fn warn_of_shadows(grant: &Grant) {
    let shadowed = shadowed(grant);
    if !shadowed.is_empty() {
        Report::say(&format!(
            "warning: {} is used and comes before {}; `keyfob status` says why, `--only SOURCE` forbids it",
            grant.source,
            shadowed.join(", ")
        ));
    }
}
