//! `keyfob dev-server`: the development provider in the foreground.

use std::{process::ExitCode, time::Duration};

use keyfob::{
    Error,
    internals::{core::Id, world::failure},
};
use keyfob_dev::{Client, DevServer, Options};

use crate::{
    args::{DevServer as Arguments, Global},
    output::report::{Report, Result},
};

pub(crate) fn run(global: &Global, args: &Arguments) -> Result {
    let server = start(options(args)?)?;
    // The base is spelt as the local environment spells it.
    let base = format!("http://localhost:{}", server.port());
    if global.json {
        Report::json(&serde_json::json!({ "base_url": base }))?;
    } else {
        // The first line is the base alone, for whoever reads it from a script.
        Report::answer(&base)?;
    }
    let ends = if is_in_front() {
        "Ctrl-C ends it.".into()
    } else {
        format!("`kill {}` ends it.", std::process::id())
    };
    Report::say(&format!(
        "A provider for development: anybody on this machine can sign in as anybody. Its client is `keyfob-local`. {ends}"
    ));
    server.wait().map_err(|error| failure::failed(Id::SystemFailed, "the development provider", error))?;
    Ok(ExitCode::SUCCESS)
}

/// Whether Ctrl-C at a terminal reaches this process: it does not reach a job in the background.
fn is_in_front() -> bool {
    let in_front = rustix::termios::tcgetpgrp(std::io::stdin());
    in_front.is_ok_and(|group| group == rustix::process::getpgrp())
}

pub(crate) fn start(options: Options) -> Result<DevServer> {
    let port = options.port;
    let started = DevServer::start(options).map_err(|error| {
        Error::caused_by(Id::Usage, format!("the development provider cannot start on port {port}"), error)
            .hint("choose another port; `--port 0` lets the system choose")
    })?;
    Ok(started)
}

fn options(args: &Arguments) -> Result<Options> {
    let usage = |flag: &str, why: String| Error::new(Id::Usage, format!("{flag} is malformed"), why);
    let defaults = Options::default();
    let mut clients = Vec::new();
    for client in &args.client {
        clients.push(
            client.parse().map_err(|error: keyfob_dev::ClientError| usage("--client", error.to_string()))?,
        );
    }
    for client in &args.client_key {
        let wrong = |why: String| usage("--client-key", why);
        let (id, file) = client.split_once('=').ok_or_else(|| wrong("expected ID=FILE".into()))?;
        let keys = std::fs::read_to_string(file).map_err(|error| wrong(format!("{file}: {error}")))?;
        clients.push(Client::with_key(id, &keys).map_err(|error| wrong(error.to_string()))?);
    }
    let mut faults = Vec::new();
    for fault in &args.fault {
        faults.push(
            fault.parse().map_err(|error: keyfob_dev::FaultError| usage("--fault", error.to_string()))?,
        );
    }
    Ok(Options {
        port: args.port,
        page_ports: args.page_port.clone(),
        auto_approve: args.auto_approve,
        require_device: args.require_device,
        vendor: args.vendor,
        access_token_ttl: args.access_token_ttl.map_or(defaults.access_token_ttl, Duration::from_secs),
        latency: args.latency.map_or(defaults.latency, Duration::from_millis),
        reuse_grace: args.reuse_grace.map_or(defaults.reuse_grace, Duration::from_secs),
        clients,
        faults,
        log: args.log.clone(),
        state: args.state.clone(),
        ..defaults
    })
}
