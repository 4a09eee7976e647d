//! One round of the drill: many processes at once, or one process that is killed at some moment.

use std::{
    fs,
    path::Path,
    process::Child,
    thread,
    time::{Duration, Instant},
};

use keyfob_dev::{DevServer, Grants};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::{Home, Ran, until};

/// Ends processes at moments that differ from run to run; the moments asked for do not.
pub struct Dice(pub u64);

impl Dice {
    /// A number below `end` (SplitMix64).
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % end
    }

    /// Waits for a while below `longest`.
    pub fn pause(&mut self, longest: Duration) {
        let micros = u64::try_from(longest.as_micros()).expect("a short while");
        thread::sleep(Duration::from_micros(self.below(micros)));
    }
}

/// The process that renews for this caller, once there is one. `None`: the caller ended without one.
pub fn worker_of(caller: &mut Child) -> Option<Pid> {
    let list = format!("/proc/{0}/task/{0}/children", caller.id());
    until("the renewing process", || {
        let children = fs::read_to_string(&list).unwrap_or_default();
        if let Some(id) = children.split_whitespace().next() {
            return Some(Pid::from_raw(id.parse().expect("a process id")));
        }
        caller.try_wait().expect("our child").map(|_| None)
    })
}

/// Ends a process, if it is still there.
pub fn kill(process: Pid) {
    let _ = kill_process(process, Signal::KILL);
}

/// One storm: so many processes ask for the token of one expired login at once. Exactly one grant, the same new
/// token for all, and no failure.
pub fn storm(server: &DevServer, sandbox: &Home, processes: usize) -> Duration {
    let before = server.grants();
    let old = sandbox.record()["access_token"].as_str().expect("a token").to_owned();
    sandbox.expire();
    let began = Instant::now();
    let started: Vec<Child> = (0..processes).map(|_| sandbox.start_token()).collect();
    let ended = started.into_iter().map(|child| Ran::from(child.wait_with_output().expect("it ends")));
    let answers: Vec<String> = ended
        .map(|ran| {
            assert_eq!(ran.err, "", "a word of trouble");
            ran.answer().to_owned()
        })
        .collect();
    let took = began.elapsed();
    let after = server.grants();
    assert_eq!(after.refreshes - before.refreshes, 1, "one renewal for all");
    assert_eq!(after.reuses, 0, "a refresh token was spent twice");
    let new = sandbox.record()["access_token"].as_str().expect("a token").to_owned();
    assert_ne!(old, new);
    assert!(answers.iter().all(|answer| *answer == new), "not all got the new token");
    took
}

/// What became of a login whose renewing process was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The process was faster.
    Renewed,
    /// Nothing had been spent: the next call renewed.
    Kept,
    /// The answer was on the disk: the next call adopted it.
    Adopted,
    /// The answer was lost with the process: the one declared retry was refused.
    Lost,
}

/// One round in which the process that renews is itself killed at some moment. Whatever that moment was, the next
/// call renews, adopts, or says that the login has ended; it never crashes, hangs or asks twice.
pub fn kill_worker(server: &DevServer, sandbox: &Home, dice: &mut Dice, longest: Duration) -> Fate {
    let before = server.grants();
    let generation = sandbox.record()["generation"].clone();
    sandbox.expire();
    let mut caller = sandbox.keyfob(["token", "--json"]).spawn().expect("the command starts");
    if let Some(worker) = worker_of(&mut caller) {
        dice.pause(longest);
        kill(worker);
    }
    let first = Ran::from(caller.wait_with_output().expect("it ends"));
    // What had been sent is processed, even if nobody waits for the answer any more.
    settled(server);
    let spent = server.grants().refreshes - before.refreshes;
    if first.code == Some(0) {
        assert_eq!((spent, server.grants().reuses), (1, before.reuses), "{first:?}");
        return Fate::Renewed;
    }
    // Ended before it had asked, and told as that; or after it, and nobody can know.
    if first.err.contains("before it had asked") {
        first.failed(6, "renewal-ended");
        assert_eq!(spent, 0, "{first:?}");
    } else {
        first.failed(6, "outcome-unknown");
    }
    fate(server, sandbox, before, &generation)
}

/// What became of a login after its renewing process was killed: looks at the disk and the provider, and then holds
/// the next call to what was promised for that.
pub fn fate(server: &DevServer, sandbox: &Home, before: Grants, generation: &Value) -> Fate {
    let spent = server.grants().refreshes - before.refreshes;
    let written = sandbox.record()["generation"] != *generation
        || sandbox.files("next").first().is_some_and(|next| is_successor(next, generation));
    let next = sandbox.run(&["token", "--json"]);
    let after = server.grants();
    let (granted, reused) = (after.refreshes - before.refreshes, after.reuses - before.reuses);
    match (spent, written) {
        (0, false) => {
            next.answer();
            assert_eq!((granted, reused), (1, 0));
            Fate::Kept
        }
        (1, true) => {
            next.answer();
            assert_eq!((granted, reused), (1, 0));
            Fate::Adopted
        }
        (1, false) => {
            next.failed(4, "login-refused");
            assert_eq!((granted, reused), (1, 1));
            assert!(sandbox.record()["refresh_token"].is_string(), "a refused login is kept as it was");
            Fate::Lost
        }
        other => panic!("{other:?}: {next:?}"),
    }
}

/// Waits until the provider has processed what it was sent before: a request behind the others takes as long, and a
/// second one begins when the first has ended.
pub fn settled(server: &DevServer) {
    let agent = ureq::Agent::config_builder().proxy(None).build().new_agent();
    for _ in 0..2 {
        let url = format!("{}/.well-known/oauth-authorization-server", server.base_url());
        agent.get(url).call().expect("an answer");
    }
}

/// Whether a file holds a whole record of another generation: before it asks, a renewal may put the record itself
/// there, to save what it knows.
fn is_successor(path: &Path, generation: &Value) -> bool {
    let bytes = fs::read(path).unwrap_or_default();
    let record = serde_json::from_slice::<Value>(&bytes);
    record.is_ok_and(|record| record["refresh_token"].is_string() && record["generation"] != *generation)
}

/// One round in which the caller is killed at some moment. Whether it was still running. The login must be intact
/// afterwards: the next call succeeds, and there was exactly one grant, no matter who asked for it.
pub fn kill_caller(server: &DevServer, sandbox: &Home, dice: &mut Dice, longest: Duration) -> bool {
    let before = server.grants();
    sandbox.expire();
    let mut caller = sandbox.start_token();
    dice.pause(longest);
    let running = caller.try_wait().expect("our child").is_none();
    caller.kill().expect("our child");
    caller.wait().expect("our child");
    let token = sandbox.token();
    let after = server.grants();
    assert_eq!(after.refreshes - before.refreshes, 1, "one renewal a round");
    assert_eq!(after.reuses, 0, "a refresh token was spent twice");
    assert_eq!(sandbox.record()["access_token"], token);
    running
}
