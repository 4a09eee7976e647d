//! `keyfob proxy`: adds the credential to requests for one origin, in the foreground.

pub(super) mod beside;
pub(super) mod check;
mod route;
mod status;

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    net::{SocketAddr, TcpListener},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use keyfob::{
    Error, Secret,
    internals::{
        core::Id,
        setup::Setup,
        world::{failure, system::shown},
    },
};
use keyfob_serve::Socket;

use self::route::{Chosen, token};
use super::agent::{host::ThisCommand, log, place};
use crate::{
    args::{Global, Listen, Proxy, ProxyCommand},
    hand_over::{grant, lent::judge},
    output::report::{Report, Result},
    session,
};

/// Where clients come in.
enum Entrance {
    Socket(Socket, PathBuf),
    Loopback(TcpListener, SocketAddr, Secret),
}

pub(crate) fn run(global: &Global, args: &Proxy) -> Result {
    if let Some(ProxyCommand::Status(args)) = &args.command {
        return status::run(global, args);
    }
    let setup = session::setup(global);
    setup.check()?;
    grant::warn_of_the_way(&setup);
    let chosen = Chosen::one(&setup, &args.through)?;
    let entrance = entrance(&setup, args)?;
    let log = args.through.log.as_deref().map(|path| log::open(&setup, path)).transpose()?;
    Report::can_answer()?;
    let (environment, profile) = (setup.require_environment()?.name.clone(), setup.profile()?.to_owned());
    if let Some(path) = &args.info {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        judge(&setup, &path, format!("{} is not written", shown(&path)))?;
    }
    let client = session::quiet_client(global, setup);
    route::check_source(&client)?;

    let mut proxy = keyfob_serve::Proxy::new(Arc::new(ThisCommand), client).of(&environment, &profile);
    let route = chosen.route.users(args.for_uid.clone());
    let (address, token) = match &entrance {
        Entrance::Socket(_, path) => (format!("unix:{}", path.display()), None),
        Entrance::Loopback(_, address, token) => {
            (format!("http://{address}{}", chosen.path), Some(token.duplicate()))
        }
    };
    proxy = match entrance {
        Entrance::Socket(socket, _) => proxy.at_socket(route, socket)?,
        Entrance::Loopback(listener, _, token) => proxy.on_loopback(route, listener, token)?,
    };
    if let Some(log) = log {
        proxy = proxy.log(log);
    }
    let info = args.info.as_deref().map(|path| Info::write(path, &address, &chosen.origin, token.as_ref()));
    let _info = info.transpose()?;
    // It listens: whoever reads this may ask.
    let ready = || {
        if global.json {
            let told = serde_json::json!({
                "address": address, "to": chosen.origin, "environment": environment, "profile": profile,
            });
            Report::json(&told)?;
        } else {
            Report::answer(&address)?;
        }
        Report::say(&format!(
            "Requests to there go to {} with the credential of profile `{profile}` in environment `{environment}`, \
             until Ctrl-C, or `kill {}`, ends it.",
            chosen.origin,
            std::process::id()
        ));
        Ok(())
    };
    let served: Result<()> = proxy
        .run(ready)
        .map_err(|error| failure::failed(Id::SystemFailed, "the proxy could not go on", error))?;
    served?;
    Ok(ExitCode::SUCCESS)
}

fn entrance(setup: &Setup, args: &Proxy) -> Result<Entrance, Error> {
    let others = !args.for_uid.is_empty();
    if let Some(Listen::Loopback(address)) = &args.listen {
        if args.info.is_none() {
            let what = "nobody would know the token of a proxy on loopback";
            return Err(Error::new(Id::Usage, what, "it is told in a file alone")
                .hint("add `--info FILE`, or listen at a unix socket"));
        }
        if others {
            let what = "`--for-uid` is for a unix socket";
            return Err(Error::new(Id::Usage, what, "on loopback, the system does not say who asks")
                .hint("leave it out, or listen at `unix:PATH`"));
        }
        let listener = TcpListener::bind(address).map_err(|error| {
            failure::failed(Id::Usage, format!("the proxy cannot listen at {address}"), error)
        })?;
        let bound = listener
            .local_addr()
            .map_err(|error| failure::failed(Id::SystemFailed, "the proxy cannot listen", error))?;
        return Ok(Entrance::Loopback(listener, bound, token()?));
    }
    let path = match &args.listen {
        Some(Listen::Unix(path)) => {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            judge(setup, &path, format!("the proxy cannot listen at {}", shown(&path)))?;
            path
        }
        _ => setup.require_home()?.transient().join("proxy.sock"),
    };
    let mut activated = place::activated()?;
    let socket = match (activated.pop(), activated.is_empty()) {
        (Some(descriptor), true) => Socket::inherited(descriptor)?,
        (Some(_), false) => {
            let (what, why) = ("LISTEN_FDS is not 1", "a proxy listens at one socket");
            return Err(
                Error::new(Id::VariableMalformed, what, why).hint("use a socket unit with one socket")
            );
        }
        (None, _) => Socket::bind(&path, others)?,
    };
    let path = socket.path().unwrap_or(path);
    Ok(Entrance::Socket(socket, path))
}

/// The file that says where the proxy is. It goes with it.
struct Info(PathBuf);

impl Info {
    #[expect(
        clippy::disallowed_methods,
        reason = "the token of this run is for who may read this file: its user"
    )]
    fn write(path: &Path, address: &str, to: &str, token: Option<&Secret>) -> Result<Self, Error> {
        let failed =
            |error| failure::failed_at(Id::Usage, format!("{} cannot be written", shown(path)), path, error);
        let mut told = serde_json::json!({ "v": 1, "address": address, "pid": std::process::id(), "to": to });
        if let Some(token) = token {
            told["token"] = token.expose().into();
        }
        let mut new = path.as_os_str().to_owned();
        new.push(".new");
        let new = PathBuf::from(new);
        let _ = fs::remove_file(&new);
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new).map_err(failed)?;
        let written = file.write_all(format!("{told}\n").as_bytes()).and_then(|()| fs::rename(&new, path));
        if let Err(error) = written {
            let _ = fs::remove_file(&new);
            return Err(failed(error));
        }
        Ok(Self(path.to_owned()))
    }
}

impl Drop for Info {
    fn drop(&mut self) {
        let told = fs::read(&self.0).ok().and_then(|text| serde_json::from_slice(&text).ok());
        // Another proxy may have put its own there.
        if told.is_some_and(|told: serde_json::Value| told["pid"] == std::process::id()) {
            let _ = fs::remove_file(&self.0);
        }
    }
}
