//! A private session bus with GNOME Keyring on it.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};

/// A bus on which nothing is started by being asked for.
const BUS: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path=PATH</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
</policy></busconfig>"#;

pub(crate) struct Desktop {
    dir: tempfile::TempDir,
    bus: Child,
    keyring: Option<Child>,
}

impl Desktop {
    /// A bus, and nothing on it.
    pub(crate) fn empty() -> Self {
        let dir = tempfile::Builder::new().prefix("keyfob-bus-").tempdir().expect("a directory");
        let socket = dir.path().join("bus");
        let config = dir.path().join("bus.conf");
        fs::write(&config, BUS.replace("PATH", &socket.display().to_string())).expect("our file");
        let mut command = Command::new("dbus-daemon");
        command.arg("--nofork").arg("--config-file").arg(&config).stdin(Stdio::null());
        let bus = command.stderr(Stdio::null()).spawn().expect("dbus-daemon, from the package of that name");
        until("the bus", || socket.exists());
        Self { dir, bus, keyring: None }
    }

    /// With an unlocked keyring that has been verified to store values.
    pub(crate) fn unlocked() -> Self {
        let mut desktop = Self::empty();
        desktop.start_keyring();
        desktop
    }

    /// With a Secret Service that has never been given a keyring.
    pub(crate) fn without_keyring() -> Self {
        let mut desktop = Self::empty();
        let mut command = desktop.command("gnome-keyring-daemon");
        command.args(["--foreground", "--components=secrets"]).stdout(Stdio::null());
        desktop.keyring = Some(command.spawn().expect("gnome-keyring-daemon, of gnome-keyring"));
        until("a Secret Service", || {
            let mut ask = desktop.command("dbus-send");
            ask.args(["--session", "--print-reply", "--dest=org.freedesktop.secrets"]);
            ask.args(["/org/freedesktop/secrets", "org.freedesktop.DBus.Peer.Ping"]);
            ask.output().expect("dbus-send, from the package dbus-bin").status.success()
        });
        desktop
    }

    /// From now on what it is to keep cannot be written.
    pub(crate) fn fill_disk(&self) {
        let keyring = Pid::from_child(self.keyring.as_ref().expect("a keyring"));
        let none = Rlimit { current: Some(0), maximum: None };
        prlimit(Some(keyring), Resource::Fsize, none).expect("our child");
    }

    /// Puts something else in the place of this key.
    pub(crate) fn replace(&self, id: &str) {
        self.forget(id);
        let mut store = self.command("secret-tool");
        store.args(["store", "--label", "another", "application", "keyfob", "key", id]);
        let mut store = store.stdin(Stdio::piped()).spawn().expect("secret-tool");
        store.stdin.take().expect("a pipe").write_all(b"no key").expect("it reads");
        assert!(store.wait().expect("it ends").success());
    }

    pub(crate) fn address(&self) -> String {
        format!("unix:path={}", self.dir.path().join("bus").display())
    }

    fn command(&self, program: &str) -> Command {
        let dir: &Path = self.dir.path();
        let mut command = Command::new(program);
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", dir);
        command.env("XDG_RUNTIME_DIR", dir).env("DBUS_SESSION_BUS_ADDRESS", self.address());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        command
    }

    pub(crate) fn start_keyring(&mut self) {
        // A disk that is full is an error to it, and not its end.
        let mut command = self.command("env");
        command.args(["--ignore-signal=XFSZ", "gnome-keyring-daemon"]);
        command.args(["--foreground", "--unlock", "--components=secrets"]).stdin(Stdio::piped());
        let mut keyring =
            command.stdout(Stdio::null()).spawn().expect("gnome-keyring-daemon, of gnome-keyring");
        keyring.stdin.take().expect("a pipe").write_all(b"a password").expect("it reads its password");
        self.keyring = Some(keyring);
        // It is on the bus before its keyring is open.
        until("an open keyring", || {
            let mut store = self.command("secret-tool");
            store.args(["store", "--label", "trial", "trial", "yes"]).stdin(Stdio::piped());
            let mut store = store.spawn().expect("secret-tool, from the package libsecret-tools");
            let _ = store.stdin.take().expect("a pipe").write_all(b"trial");
            store.wait().expect("it ends").success()
        });
    }

    /// The value that another program finds under this key's id.
    pub(crate) fn find(&self, id: &str) -> Vec<u8> {
        let mut command = self.command("secret-tool");
        command.args(["lookup", "application", "keyfob", "key", id]);
        command.output().expect("secret-tool").stdout
    }

    pub(crate) fn forget(&self, id: &str) {
        let mut command = self.command("secret-tool");
        let cleared = command.args(["clear", "application", "keyfob", "key", id]).status();
        assert!(cleared.expect("secret-tool").success());
    }

    pub(crate) fn lock(&self) {
        let mut command = self.command("dbus-send");
        command.args(["--session", "--print-reply", "--dest=org.freedesktop.secrets"]);
        command.args(["/org/freedesktop/secrets", "org.freedesktop.Secret.Service.Lock"]);
        command.arg("array:objpath:/org/freedesktop/secrets/collection/login");
        let answer = command.output().expect("dbus-send, from the package dbus-bin");
        assert!(String::from_utf8_lossy(&answer.stdout).contains("collection/login"), "{answer:?}");
    }

    /// It is there, and does not answer any more.
    pub(crate) fn hang(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn wake(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let keyring = self.keyring.as_ref().expect("a keyring");
        kill_process(Pid::from_child(keyring), signal).expect("our child");
    }

    pub(crate) fn end_keyring(&mut self) {
        if let Some(mut keyring) = self.keyring.take() {
            let _ = keyring.kill();
            let _ = keyring.wait();
        }
    }
}

impl Drop for Desktop {
    fn drop(&mut self) {
        self.end_keyring();
        let _ = self.bus.kill();
        let _ = self.bus.wait();
    }
}

/// Looks until it is so, and fails when that takes too long.
#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < end, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
