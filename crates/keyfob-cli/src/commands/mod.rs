//! The commands, one file each. This one only maps each command to its function.

#[cfg(feature = "serve")]
mod agent;
#[cfg(feature = "serve")]
mod beside;
mod browser;
pub(crate) mod completions;
pub(crate) mod connect;
mod credential_helper;
#[cfg(feature = "dev-server")]
pub(crate) mod demo;
#[cfg(feature = "dev-server")]
pub(crate) mod dev_server;
pub(crate) mod device;
pub(crate) mod doctor;
pub(crate) mod env;
mod env_report;
pub(crate) mod exec;
pub(crate) mod git;
pub(crate) mod header;
mod help;
pub(crate) mod init;
mod inspect;
pub(crate) mod login;
mod login_answer;
mod login_seed;
pub(crate) mod logout;
pub(crate) mod man;
mod places;
#[cfg(feature = "serve")]
mod private_dir;
pub(crate) mod profiles;
#[cfg(feature = "serve")]
mod proxy;
mod serve;
mod set_up;
mod set_up_report;
mod setup;
pub(crate) mod setup_token;
pub(crate) mod started;
pub(crate) mod status;
pub(crate) mod token;
mod whoami;

use crate::{
    args::{Arguments, Command},
    output::report::Result,
};

/// Runs the command of the command line.
pub(crate) fn run(arguments: &Arguments) -> Result {
    let global = &arguments.global;
    let Some(command) = &arguments.command else { return help::run(global, &[]) };
    match command {
        Command::Init(args) => init::run(global, args),
        Command::Login(args) => login::run(global, args),
        Command::Logout(args) => logout::run(global, args),
        Command::Token(args) => token::run(global, args),
        Command::Header(args) => header::run(global, args),
        Command::Exec(args) => exec::run(global, args),
        Command::CredentialHelper(args) => credential_helper::run(global, &args.tool),
        Command::Serve(args) => serve::run(global, args),
        Command::Status(args) => status::run(global, args),
        Command::Inspect(args) => inspect::run(global, args),
        Command::Env(args) => env::run(global, args),
        Command::Setup(args) => setup::run(global, &args.tool),
        Command::SetupToken(args) => setup_token::run(global, args),
        Command::Doctor(args) => doctor::run(global, args),
        Command::Whoami => whoami::run(global),
        Command::Profiles(args) => profiles::run(global, args),
        Command::Switch(args) => profiles::switch(global, &args.name),
        Command::Device(args) => device::run(global, args),
        Command::Connect(args) => connect::run(global, args),
        #[cfg(feature = "serve")]
        Command::Agent(args) => agent::run(global, args),
        #[cfg(feature = "serve")]
        Command::Proxy(args) => proxy::run(global, args),
        #[cfg(feature = "dev-server")]
        Command::DevServer(args) => dev_server::run(global, args),
        #[cfg(feature = "dev-server")]
        Command::Demo(args) => demo::run(global, args),
        Command::Completions { shell, install, uninstall } => {
            completions::run(global, *shell, *install, *uninstall)
        }
        Command::Man(args) => man::run(global, args),
        Command::Help { command } => help::run(global, command),
        Command::Version => help::version(global),
    }
}
