//! The doors that an agent opens: one that the options describe, or all that the configuration has.

use std::{
    collections::{BTreeMap, BTreeSet},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use keyfob::{
    Client, Error,
    internals::{
        core::{
            Id,
            config::agent::{self, SinkFormat},
            oauth::federation::Narrowing,
        },
        setup::Setup,
        world::system::{files::Disk, shown},
    },
};
use keyfob_serve::{Door, Narrowed, Sink, Socket};

use super::{host::ThisCommand, log, place};
use crate::{
    args::{Agent, Global},
    session,
};

/// An agent whose doors are open.
pub(super) struct Opened {
    pub(super) agent: keyfob_serve::Agent,
    pub(super) doors: Vec<Told>,
    /// What a person should know of its files.
    pub(super) remarks: Vec<String>,
}

/// A door, as it is told of.
pub(super) struct Told {
    pub(super) name: String,
    pub(super) socket: PathBuf,
    pub(super) environment: String,
    pub(super) profile: String,
}

impl Opened {
    fn nothing(args: &Agent) -> Self {
        let agent = keyfob_serve::Agent::new(Arc::new(ThisCommand)).idle(args.idle.map(Duration::from_secs));
        Self { agent, doors: Vec::new(), remarks: Vec::new() }
    }

    fn open(&mut self, door: Door, socket: Socket, told: Told) {
        let agent = std::mem::replace(&mut self.agent, keyfob_serve::Agent::new(Arc::new(ThisCommand)));
        self.agent = agent.door(door, socket);
        self.doors.push(told);
    }

    fn keep(&mut self, door: Door) {
        let agent = std::mem::replace(&mut self.agent, keyfob_serve::Agent::new(Arc::new(ThisCommand)));
        self.agent = agent.files(door);
    }
}

/// Opens what is to be open. If one of them cannot be, none is.
pub(super) fn open(global: &Global, args: &Agent, setup: Setup) -> Result<Opened, Error> {
    let inherited = place::activated()?;
    let configured = setup.config.agent.clone();
    let mut opened = Opened::nothing(args);
    if args.is_of_one_door() || configured.doors.is_empty() {
        let keeps = !args.keep.is_empty() || !args.is_of_one_door() && !configured.sinks.is_empty();
        if args.idle.is_some() && keeps {
            opened.remarks.push(GOES_ON.to_owned());
        }
        if !args.is_of_one_door() {
            keep(&mut opened, global, &setup, &configured.sinks)?;
        }
        one(&mut opened, global, args, setup, inherited)?;
        return Ok(opened);
    }
    if args.idle.is_some() && !configured.sinks.is_empty() {
        opened.remarks.push(GOES_ON.to_owned());
    }
    keep(&mut opened, global, &setup, &configured.sinks)?;
    let mut inherited: Vec<_> = inherited.into_iter().map(Socket::inherited).collect::<Result<_, _>>()?;
    for (name, door) in &configured.doors {
        let within = |error| at(&setup, &["agent", "doors", name], error);
        open_one(&mut opened, global, &setup, (name, door), &mut inherited).map_err(within)?;
    }
    match inherited.first() {
        None => Ok(opened),
        Some(socket) => {
            let path = socket.path().unwrap_or_default();
            let what = format!("LISTEN_FDS brings {}, at which no door listens", shown(&path));
            let why = "the doors of the configuration listen at other sockets";
            let hint = format!("add `socket = \"{}\"` to the door that it is for", shown(&path));
            Err(Error::new(Id::Usage, what, why).hint(hint))
        }
    }
}

/// What a person should know who has asked for both.
const GOES_ON: &str =
    "It keeps files fresh, so it goes on although nobody asks: `--idle` ends it only without files.";

/// The door that the options describe.
fn one(
    opened: &mut Opened,
    global: &Global,
    args: &Agent,
    setup: Setup,
    inherited: Vec<OwnedFd>,
) -> Result<(), Error> {
    let environment = setup.require_environment()?.name.clone();
    let profile = setup.profile()?.to_owned();
    let path = place::chosen(&setup, args.socket.as_deref())?;
    one_file_each(args)?;
    let sinks = args.keep.iter().map(|kept| place::kept(&setup, kept)).collect::<Result<Vec<_>, Error>>()?;
    let log = args.log.as_deref().map(|path| log::open(&setup, path)).transpose()?;
    if !args.for_uid.is_empty() && args.socket.is_none() && inherited.is_empty() {
        let what = "other users cannot come to the usual socket";
        let why = "`--for-uid` names them, and nobody else can enter its directory";
        return Err(Error::new(Id::Usage, what, why)
            .hint("name one in a directory that they can enter: `--socket PATH`"));
    }
    let mut inherited = inherited.into_iter();
    let socket = match (inherited.next(), inherited.next()) {
        (Some(descriptor), None) => Socket::inherited(descriptor)?,
        (None, _) => Socket::bind(&path, !args.for_uid.is_empty())?,
        _ => {
            let (what, why) = ("LISTEN_FDS is not 1", "this agent has one door");
            return Err(Error::new(Id::VariableMalformed, what, why).hint(
                "use a socket unit of its own for each agent, or describe the doors in the configuration",
            ));
        }
    };
    let path = socket.path().unwrap_or(path);
    let narrowing = Narrowing::read(&args.scope, args.audience.clone(), args.resource.clone());
    let narrowing = narrowing.map_err(|(key, expected)| {
        let option = if key == "scopes" { "scope" } else { key };
        Error::new(Id::Usage, format!("`--{option}` is malformed"), expected)
    })?;
    if narrowing.is_some()
        && let Some(kept) = args.keep.iter().find(|kept| kept.format == SinkFormat::IdToken)
    {
        let what = format!("{} cannot be kept fresh", shown(&kept.path));
        let why = "it is to hold the ID token, and a provider narrows access tokens alone";
        return Err(Error::new(Id::Usage, what, why)
            .hint("keep it in an agent without `--scope`, `--audience` and `--resource`"));
    }
    let name = path.file_stem().map_or("agent".into(), |stem| stem.to_string_lossy().into_owned());
    let door = Door::new(&name, client(global, setup, narrowing.clone())?, &environment, &profile)
        .narrowed(narrowing.as_ref().map(told))
        .hosts(args.host.clone())
        .headers_only(args.headers_only)
        .no_rejected(args.no_rejected)
        .lifetime(args.lifetime.map(Duration::from_secs))
        .users(args.for_uid.clone())
        .log(log)
        .sinks(sinks);
    opened.open(door, socket, Told { name, socket: path, environment, profile });
    Ok(())
}

/// A client for a door.
fn client(global: &Global, setup: Setup, narrowing: Option<Narrowing>) -> Result<Client, Error> {
    let client = session::quiet_client(global, setup);
    match narrowing {
        Some(narrowing) => client.narrowed(narrowing),
        None => Ok(client),
    }
}

/// What a door is narrowed to, as it says so.
fn told(narrowing: &Narrowing) -> Narrowed {
    let Narrowing { scopes, audience, resource } = narrowing;
    let scopes = scopes.iter().map(str::to_owned).collect();
    Narrowed { scopes, audience: audience.clone(), resource: resource.clone() }
}

/// Two texts in one file would take turns.
fn one_file_each(args: &Agent) -> Result<(), Error> {
    let mut known = BTreeSet::new();
    for kept in &args.keep {
        if !known.insert(std::path::absolute(&kept.path).unwrap_or_else(|_| kept.path.clone())) {
            let what = format!("{} cannot be kept fresh", shown(&kept.path));
            return Err(
                Error::new(Id::Usage, what, "it is named twice").hint("give each `--keep` its own path")
            );
        }
    }
    Ok(())
}

/// A door of the configuration.
fn open_one(
    opened: &mut Opened,
    global: &Global,
    setup: &Setup,
    (name, door): (&str, &agent::Door),
    inherited: &mut Vec<Socket>,
) -> Result<(), Error> {
    let own = of_profile(global, setup, door.profile.as_deref())?;
    let environment = own.require_environment()?.name.clone();
    let profile = own.profile()?.to_owned();
    let path = place::of_door(&own, name, door)?;
    let log = door.log.as_deref().map(|path| log::open(&own, Path::new(path))).transpose()?;
    let socket = match inherited.iter().position(|socket| socket.path().as_deref() == Some(&path)) {
        Some(at) => inherited.swap_remove(at),
        None => Socket::bind(&path, !door.users.is_empty())?,
    };
    let served = Door::new(name, client(global, own, door.narrowing.clone())?, &environment, &profile)
        .narrowed(door.narrowing.as_ref().map(told))
        .hosts(door.hosts.clone())
        .headers_only(door.headers_only)
        .no_rejected(door.no_rejected)
        .lifetime(door.lifetime.map(Duration::from_secs))
        .users(door.users.clone())
        .log(log);
    opened.open(served, socket, Told { name: name.to_owned(), socket: path, environment, profile });
    Ok(())
}

/// The files of the configuration: one login keeps all of its own fresh.
fn keep(opened: &mut Opened, global: &Global, setup: &Setup, sinks: &[agent::Sink]) -> Result<(), Error> {
    let mut by_profile: BTreeMap<Option<&str>, Vec<Sink>> = BTreeMap::new();
    for (number, sink) in sinks.iter().enumerate() {
        let place = ["agent", "sink", &number.to_string()];
        let kept = place::sink(setup, sink).map_err(|error| at(setup, &place, error))?;
        // A profile that cannot be one is said where it is written.
        let own = of_profile(global, setup, sink.profile.as_deref());
        own.and_then(|own| own.profile().map(drop)).map_err(|error| at(setup, &place, error))?;
        if sink.mode & 0o040 != 0 {
            let group = place::group_of(Path::new(&sink.path));
            opened.remarks.push(format!("{} can be read by {group}.", shown(Path::new(&sink.path))));
        }
        by_profile.entry(sink.profile.as_deref()).or_default().push(kept);
    }
    for (profile, sinks) in by_profile {
        let own = of_profile(global, setup, profile)?;
        let environment = own.require_environment()?.name.clone();
        let profile = own.profile()?.to_owned();
        let door = Door::new("files", session::quiet_client(global, own), &environment, &profile);
        opened.keep(door.sinks(sinks));
    }
    Ok(())
}

/// The set-up of a login that a door or a file names.
fn of_profile(global: &Global, setup: &Setup, profile: Option<&str>) -> Result<Setup, Error> {
    let mut global = global.clone();
    if let Some(profile) = profile {
        global.profile = Some(profile.to_owned());
    }
    let own = session::another_setup(&global, setup);
    own.check()?;
    Ok(own)
}

/// The same error, with the line in the configuration of what it is about.
fn at(setup: &Setup, path: &[&str], error: Error) -> Error {
    let path: Vec<_> = path.iter().map(|part| (*part).to_owned()).collect();
    let Some(place) = setup.config_place(&path, &Disk) else { return error };
    let mut told = Error::new(error.id(), format!("{place}: {}", error.what()), error.why());
    if let Some(advice) = error.advice() {
        told = told.hint(advice.to_owned());
    }
    let told = told.maybe_because(error.cause().cloned());
    // The others have said where they are.
    let all = std::iter::once(told).chain(error.also().iter().cloned()).collect();
    Error::all(all).unwrap_or(error)
}
