//! Opens a page through a process without credentials in its environment, and reports the result. Failure is never
//! fatal: the URL has already been shown.

use std::{
    io::{BufRead, BufReader},
    process::{ChildStdout, Command, Stdio},
    sync::mpsc::{self, Sender},
    time::Duration,
};

use keyfob::internals::{setup::Setup, world::system::env};

use crate::{
    internal::{Opened, hindrance, task::Task},
    output::{report::Report, terminal::plain_whole},
};

/// By then the process that opens the page has decided, unless the machine is very busy.
const DECIDED: Duration = Duration::from_secs(5);

/// Why no browser can be opened, as far as that is known before one is tried.
pub(crate) fn not_possible(setup: &Setup) -> Option<String> {
    let (changes, refused) = setup.for_browser(env::variables());
    // What is left when that one is not started, only the process knows that starts another.
    if refused.is_some() || changes.iter().any(|(name, _)| name == "DISPLAY" || name == "WAYLAND_DISPLAY") {
        return None;
    }
    hindrance(env::variables())
}

/// Opens the page and reports whether, with what, and why not. The latter is also returned.
pub(crate) fn open(setup: &Setup, url: &str) -> Result<(), String> {
    let opened = start(setup, url);
    match &opened {
        Some(Opened::By(name)) => Report::say(&format!("Opened the page in {}.", plain_whole(name))),
        Some(Opened::Not(why)) => not(why),
        None => {
            Report::say("The browser has not answered yet: open the address yourself if nothing appears.");
        }
    }
    match opened {
        Some(Opened::Not(why)) => Err(why),
        _ => Ok(()),
    }
}

fn not(why: &str) {
    Report::say(&format!("No browser could be opened: {}. Open the address yourself.", plain_whole(why)));
}

fn start(setup: &Setup, url: &str) -> Option<Opened> {
    let mut command = Task::Browse.command();
    command.arg(url).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    adapt(&mut command, setup);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return Some(Opened::Not(format!("keyfob could not start a process for it ({error})"))),
    };
    let said = child.stdout.take()?;
    let (sender, receiver) = mpsc::channel();
    // Without a thread to spare nobody listens to it; it is looked after by the system when this ends.
    let listen = move || {
        listen(said, &sender);
        let _ = child.wait();
    };
    std::thread::Builder::new().name("browser".into()).spawn(listen).ok()?;
    receiver.recv_timeout(DECIDED).ok()
}

/// A repository sets variables, and a browser's launcher runs what they name; relative names find nothing there.
fn adapt(command: &mut Command, setup: &Setup) {
    let (changes, refused) = setup.for_browser(env::variables());
    if let Some(refused) = &refused {
        Report::warn(refused);
    }
    for (name, value) in changes {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.current_dir("/");
}

/// Waits for the first result; a later correction is reported when it arrives.
fn listen(said: ChildStdout, first: &Sender<Opened>) {
    let words = BufReader::new(said).lines().map_while(Result::ok);
    for opened in words.filter_map(|line| serde_json::from_str::<Opened>(&line).ok()) {
        if let (Err(_), Opened::Not(why)) = (first.send(opened.clone()), &opened) {
            not(why);
        }
    }
}
