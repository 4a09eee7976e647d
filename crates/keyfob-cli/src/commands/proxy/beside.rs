//! `keyfob exec --proxy -- CMD`: a program with a proxy beside it, which has the credential in its place.

use std::{
    io,
    net::{Ipv4Addr, TcpListener},
    process::Command,
    sync::Arc,
};

use keyfob::{
    Error, Purpose, Secret,
    internals::{
        core::{
            Id,
            contract::{self, names},
        },
        setup::{HANDED_OVER, IDENTIFIED_BY, SEEDED_BY, chosen::Chosen as ByPerson},
        world::{
            failure,
            system::{env as environment, fd, process, withheld},
        },
    },
};

use super::route::{self, Chosen};
use crate::{
    args::{Exec, Global},
    commands::{
        agent::{host::ThisCommand, log},
        beside::{begun, exit_code},
        started::{API_HEADERS, not_started},
    },
    hand_over::grant,
    output::report::Result,
    session,
};

pub(crate) fn run(global: &Global, args: &Exec) -> Result {
    let setup = session::setup(global);
    setup.check()?;
    let chosen = Chosen::all(&setup, &args.through)?;
    let log = args.through.log.as_deref().map(|path| log::open(&setup, path)).transpose()?;
    let client = session::quiet_client(global, setup);
    route::check_source(&client)?;
    // A program that cannot have any is not started.
    grant::grant_from(global, &client, &args.wanted)?;
    if client.survey(Purpose::Api).winner.is_none() {
        let what = "the proxy adds the access token of a login here";
        return Err(Error::new(Id::ProxyRefused, what, "the one that is used is lent by an agent")
            .hint("run it where the login is, or use `keyfob exec` without `--proxy`")
            .into());
    }

    let failed = |error| failure::failed(Id::SystemFailed, "the proxy could not be started", error);
    let token = route::token()?;

    let [program, rest @ ..] = args.command.as_slice() else {
        return Err(Error::new(Id::Usage, "no program was named", "nothing follows `--`").into());
    };
    #[expect(clippy::disallowed_methods, reason = "starting this program is what the command is for")]
    let mut command = Command::new(program);
    command.args(rest);
    withhold(&mut command);
    let environment = client.setup().require_environment()?.name.clone();
    let profile = client.setup().profile()?.to_owned();
    let mut proxy = keyfob_serve::Proxy::new(Arc::new(ThisCommand), client).of(&environment, &profile);
    for chosen in chosen {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        command.env(&chosen.base_url_variable, format!("http://{address}{}", chosen.path));
        hand_over(&mut command, &chosen.token_variable, &token);
        proxy = proxy.on_loopback(chosen.route, listener, token.duplicate())?;
    }
    reach_us_directly(&mut command);
    process::give_back(&mut command);
    if let Some(log) = log {
        proxy = proxy.log(log);
    }
    let program = program.to_string_lossy().into_owned();
    let start = move || match command.spawn() {
        Ok(child) => Ok(begun(child)),
        Err(error) => Err(not_started(&program, error)),
    };
    let failed = |error: io::Error| Error::caused_by(Id::SystemFailed, "the proxy could not go on", error);
    exit_code(proxy.run_beside(start), failed)
}

/// Neither a credential, nor where one could be asked for.
fn withhold(command: &mut Command) {
    // An agent's end that we inherited would be the program's too, and its number is soon found.
    let variables = environment::variables();
    let inherited = variables.text("KEYFOB_AGENT").and_then(|value| value.strip_prefix("fd:")?.parse().ok());
    if let Some(number) = inherited {
        fd::keep_from_children(number);
    }
    let own = ["KEYFOB_AGENT", "KEYFOB_HOME", "KEYFOB_PROFILE", "KEYFOB_ENVIRONMENT", HANDED_OVER, SEEDED_BY];
    let own = own.into_iter().chain([IDENTIFIED_BY, API_HEADERS, names::SESSION_TOKEN_FILE]);
    let own = own.chain(contract::HOST_REFRESHES).chain(ByPerson::ALL.map(ByPerson::variable));
    for name in own.map(str::to_owned).chain(withheld::from_helpers()) {
        command.env_remove(name);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "it is good for nothing but this proxy, which ends with the program"
)]
fn hand_over(command: &mut Command, variable: &str, token: &Secret) {
    command.env(variable, token.expose());
}

/// What the program asks of us goes through no other proxy.
fn reach_us_directly(command: &mut Command) {
    let variables = environment::variables();
    let spellings = ["NO_PROXY", "no_proxy"];
    for name in spellings {
        // Some programs read one of them, and some read the other one first.
        let other = || spellings.iter().find_map(|name| variables.text(name));
        let list = variables.text(name).or_else(other).unwrap_or_default();
        if list != "*" {
            let comma = if list.is_empty() { "" } else { "," };
            command.env(name, format!("{list}{comma}127.0.0.1"));
        }
    }
}
