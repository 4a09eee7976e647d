//! A clock that jumps while the machine works, and a machine that sleeps in the middle of a renewal.
//!
//! The clock is libfaketime's, from Debian's package `faketime`, under the command as it was built: nothing of the
//! record is edited.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command},
};

use keyfob_dev::DevServer;
use keyfob_testkit::{Home, Ran, provider, rounds::worker_of, until};
use rustix::process::{Pid, Signal, kill_process};

const HOUR: i64 = 3600;

/// A machine whose clock is set by a file.
struct Machine {
    server: DevServer,
    sandbox: Home,
    library: PathBuf,
}

impl Machine {
    fn new() -> Self {
        let server = provider();
        let sandbox = Home::signed_in(&server);
        let places = fs::read_dir("/usr/lib").expect("/usr/lib").map(|entry| entry.expect("an entry").path());
        let mut libraries = places.map(|place| place.join("faketime/libfaketime.so.1"));
        let library =
            libraries.find(|library| library.exists()).expect("libfaketime, from Debian's `faketime`");
        let machine = Self { server, sandbox, library };
        machine.jump(0);
        machine
    }

    fn hand(&self) -> PathBuf {
        self.sandbox.home().with_file_name("clock")
    }

    /// Moves the clock by so many seconds from the true time, for running processes too.
    fn jump(&self, seconds: i64) {
        let next = self.hand().with_extension("next");
        fs::write(&next, format!("{seconds:+}\n")).expect("a file");
        fs::rename(&next, self.hand()).expect("the same directory");
    }

    fn keyfob(&self, words: &[&str]) -> Command {
        let mut command = self.sandbox.keyfob(words);
        command.env("LD_PRELOAD", &self.library).env("FAKETIME_TIMESTAMP_FILE", self.hand());
        command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        command
    }

    #[track_caller]
    fn token(&self) -> String {
        let ran = Ran::from(self.keyfob(&["token"]).output().expect("it runs"));
        ran.answer().to_owned()
    }

    /// A call whose renewal the provider holds, and the process that renews.
    fn renewing(&self) -> (Child, Pid) {
        self.server.hold();
        let mut caller = self.keyfob(&["token"]).spawn().expect("it starts");
        let worker = worker_of(&mut caller).expect("a renewal");
        until("the request", || (self.server.held() == 1).then_some(()));
        (caller, worker)
    }

    #[track_caller]
    fn works(&self, token: &str) {
        let agent = ureq::Agent::config_builder().proxy(None).http_status_as_error(false).build().new_agent();
        let ask = agent.get(format!("{}/v1/whoami", self.server.base_url()));
        let status =
            ask.header("authorization", format!("Bearer {token}")).call().expect("an answer").status();
        assert_eq!(status, 200, "the provider does not take what was handed out");
    }
}

/// The clock is really another one: without that, the tests below would prove nothing.
#[test]
fn the_command_reads_the_clock_that_jumps() {
    let machine = Machine::new();
    let date = |seconds: i64| {
        machine.jump(seconds);
        let mut command = Command::new("date");
        command.env_clear().env("PATH", "/usr/bin:/bin").arg("+%Y");
        let named = machine.keyfob(&[]);
        command.envs(named.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Ran::from(command.output().expect("date of coreutils")).answer().to_owned()
    };
    assert_ne!(date(400 * 24 * HOUR), date(0));
    // And so does a renewal's own process: the login that has not ended by the true time has ended by this one.
    machine.jump(0);
    let old = machine.token();
    machine.jump(2 * HOUR);
    machine.server.advance(2 * HOUR);
    assert_ne!(machine.token(), old, "two hours later, by both clocks");
}

/// Forth and back, by hours and by weeks: what is handed out works, each jump costs one renewal at most, and nothing is
/// lost.
#[test]
fn a_clock_that_jumps_costs_one_renewal_at_most() {
    let machine = Machine::new();
    for jump in [2 * HOUR, 0, -2 * HOUR, 30 * 24 * HOUR, -30 * 24 * HOUR, 0, 400 * 24 * HOUR, 0] {
        machine.jump(jump);
        let before = machine.server.grants().refreshes;
        let token = machine.token();
        machine.works(&token);
        let after = machine.server.grants().refreshes;
        assert!(after - before <= 1, "{jump}: {} renewals", after - before);
        for _ in 0..3 {
            assert_eq!(machine.token(), token, "{jump}");
        }
        assert_eq!((machine.server.grants().refreshes, machine.server.grants().reuses), (after, 0), "{jump}");
    }
}

/// Between the request and its answer.
#[test]
fn a_clock_that_jumps_during_a_renewal_loses_nothing() {
    for jump in [3 * HOUR, -3 * HOUR, 30 * 24 * HOUR, -30 * 24 * HOUR] {
        let machine = Machine::new();
        machine.sandbox.expire();
        let (caller, _) = machine.renewing();
        machine.jump(jump);
        machine.server.release();
        let token = Ran::from(caller.wait_with_output().expect("it ends")).answer().to_owned();
        machine.works(&token);
        let grants = machine.server.grants();
        let next = machine.token();
        machine.works(&next);
        assert!(machine.server.grants().refreshes - grants.refreshes <= 1, "{jump}");
        machine.jump(0);
        machine.works(&machine.token());
        assert_eq!(machine.server.grants().reuses, 0, "{jump}");
    }
}

/// A laptop that is closed between the request and its answer: hours later the processes go on where they stood, and the
/// answer waits for them.
#[test]
fn a_machine_that_sleeps_during_a_renewal_loses_nothing() {
    let machine = Machine::new();
    machine.sandbox.expire();
    let (caller, worker) = machine.renewing();
    let both = [worker, Pid::from_child(&caller)];
    for process in both {
        kill_process(process, Signal::STOP).expect("it runs");
        stopped(process);
    }
    machine.server.release();
    until("the answer", || (machine.server.grants().refreshes == 1).then_some(()));
    machine.jump(8 * HOUR);
    machine.server.advance(8 * HOUR);
    for process in both {
        kill_process(process, Signal::CONT).expect("it sleeps");
    }
    // It had ended before anybody could use it: whatever this call makes of that, the login is whole.
    let ran = Ran::from(caller.wait_with_output().expect("it ends"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    machine.works(&machine.token());
    assert!(machine.server.grants().refreshes <= 2);
    assert_eq!(machine.server.grants().reuses, 0, "no refresh token was spent twice");
}

/// The same in the middle of signing in, with an existing token.
#[test]
fn a_machine_that_sleeps_during_a_sign_in_keeps_no_dead_token_for_a_fresh_one() {
    let machine = Machine::new();
    let minted = machine.server.mint("ada@example.com", "user:profile user:inference").expect("tokens");
    let token = machine.hand().with_file_name("token");
    fs::write(&token, minted.refresh_token).expect("ours");
    let before = machine.server.grants().refreshes;
    machine.server.hold();
    let mut command = machine.keyfob(&["login", "--with-token", "refresh"]);
    let signing_in = command.stdin(fs::File::open(&token).expect("ours")).spawn().expect("it starts");
    until("the request", || (machine.server.held() == 1).then_some(()));
    let process = Pid::from_child(&signing_in);
    kill_process(process, Signal::STOP).expect("it runs");
    stopped(process);
    machine.server.release();
    until("the answer", || (machine.server.grants().refreshes == before + 1).then_some(()));
    machine.jump(8 * HOUR);
    machine.server.advance(8 * HOUR);
    kill_process(process, Signal::CONT).expect("it sleeps");
    let ran = Ran::from(signing_in.wait_with_output().expect("it ends"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    machine.works(&machine.token());
    assert_eq!((machine.server.grants().refreshes, machine.server.grants().reuses), (before + 2, 0));
}

/// Waits until a process is stopped.
fn stopped(process: Pid) {
    let status = Path::new("/proc").join(process.as_raw_nonzero().to_string()).join("status");
    until("the process to stop", || {
        fs::read_to_string(&status).expect("it is there").contains("State:\tT").then_some(())
    });
}
