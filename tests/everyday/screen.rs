//! A terminal with a user in front of it.
#![expect(clippy::disallowed_methods, reason = "tests start the real command, in a terminal of its own")]

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    os::unix::fs::OpenOptionsExt,
    process::{Child, Command},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use rustix::{
    fs::OFlags,
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcgetattr, tcsetwinsize},
};

/// Longer than anything here takes on a busy machine: a wait that reaches it is a failure.
const DEADLINE: Duration = Duration::from_secs(60);

/// Looks until it is so.
#[track_caller]
pub(crate) fn until(what: &str, so: impl Fn() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !so() {
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub(crate) struct Screen {
    master: File,
    /// The other end, as a shell would hold it: it outlives the programs that run in it.
    end: File,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Screen {
    pub(crate) fn new(columns: u16) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).expect("a terminal");
        grantpt(&master).and_then(|()| unlockpt(&master)).expect("a terminal");
        let name = ptsname(&master, Vec::new()).expect("a terminal").into_string().expect("ASCII");
        let end = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(OFlags::NOCTTY.bits().cast_signed())
            .open(name)
            .expect("a terminal");
        let screen = Self { master: master.into(), end, shown: Arc::default() };
        screen.resize(columns);
        let (mut master, shown) =
            (screen.master.try_clone().expect("a descriptor"), Arc::clone(&screen.shown));
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            // It fails when the last holder of the other end has gone.
            while let Ok(read) = master.read(&mut chunk) {
                shown.lock().expect("whole").extend_from_slice(&chunk[..read]);
            }
        });
        screen
    }

    pub(crate) fn resize(&self, columns: u16) {
        self.set_size(columns, 24);
    }

    pub(crate) fn set_size(&self, columns: u16, lines: u16) {
        let size = Winsize { ws_row: lines, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.master, size).expect("a terminal");
    }

    /// An end for the standard streams.
    pub(crate) fn stream(&self) -> File {
        self.end.try_clone().expect("a descriptor")
    }

    /// Starts a command as a shell starts it: this terminal is its own, and Ctrl-C reaches it.
    pub(crate) fn start(&self, command: &Command) -> Child {
        let mut started = self.wrap(command);
        started.stdout(self.stream()).spawn().expect("setsid of util-linux")
    }

    /// The same with standard output in a pipe.
    pub(crate) fn start_piped(&self, command: &Command) -> Child {
        let mut started = self.wrap(command);
        started.stdout(std::process::Stdio::piped()).spawn().expect("setsid of util-linux")
    }

    fn wrap(&self, command: &Command) -> Command {
        // Whoever runs the tests may ignore signals (`nohup`), and what is ignored is inherited.
        let mut started = Command::new("env");
        started.args(["--default-signal=INT,HUP", "setsid", "--ctty"]);
        started.arg(command.get_program()).args(command.get_args()).env_clear();
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                started.env(name, value);
            }
        }
        started.current_dir(command.get_current_dir().expect("a directory"));
        started.stdin(self.stream()).stderr(self.stream());
        started
    }

    pub(crate) fn type_in(&self, text: &str) {
        (&self.master).write_all(text.as_bytes()).expect("a terminal");
    }

    /// Everything that was shown.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().expect("whole")).into_owned()
    }

    /// Everything that was shown by a program that has ended: all of it has arrived when what is written behind it has.
    #[track_caller]
    pub(crate) fn whole(&self) -> String {
        const BEHIND: &str = "~ that was all ~";
        self.stream().write_all(BEHIND.as_bytes()).expect("a terminal");
        self.shows(BEHIND).replace(BEHIND, "")
    }

    /// The words that were shown: without styles, and without regard to where lines were broken.
    pub(crate) fn words(&self) -> String {
        let text = self.text();
        let mut parts = text.split("\x1b[");
        let mut plain = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            // Only what selects a style (ECMA-48, SGR) is no word.
            match part.split_once(|c: char| !c.is_ascii_digit() && c != ';') {
                Some((numbers, rest)) if part[numbers.len()..].starts_with('m') => plain.push_str(rest),
                _ => plain.extend(["\x1b[", part]),
            }
        }
        plain.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Waits until this is shown, on one line or on several. Everything before and after it.
    #[track_caller]
    pub(crate) fn shows(&self, what: &str) -> String {
        until(&format!("{what:?} on the screen"), || {
            self.text().contains(what) || self.words().contains(what)
        });
        self.text()
    }

    /// The line with the address of the sign-in page, once the command waits for its answer.
    #[track_caller]
    pub(crate) fn address(&self) -> String {
        let text = self.shows("here:\r\n");
        let address = text.split("\r\n").find(|line| line.starts_with("http"));
        address.expect("an address on a line of its own").to_owned()
    }

    /// Echo, line editing, signals: the settings that a program must restore.
    pub(crate) fn modes(&self) -> String {
        let modes = tcgetattr(&self.end).expect("a terminal");
        format!("{:?} {:?} {:?}", modes.input_modes, modes.output_modes, modes.local_modes)
    }
}
