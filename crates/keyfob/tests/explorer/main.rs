//! The explorer: the real renewal code over the fake world, through *every* order in which the acts of two
//! processes can happen, with a crash possible at each act; and for three as far as a stated bound.
//!
//! An act is one call of `Files` or `Http`, or the drop of a lock, which is an act of its own. Looking at the
//! clock is none: time moves only when a process sleeps and nobody else can go on, or when it sleeps with a
//! lock in hand. A process dies before an act, in the middle of a write, or (before the next) after it; a
//! power cut keeps any part of the names and sectors that were not synced. Whoever comes when all is over must
//! get a token that works, at once and again two hours later. The laws are in `ledger.rs`.
//!
//! A process sees only what its acts return. So it is run again over what it has seen instead of being kept
//! waiting in a thread, and a state (the world and what each process has seen, told apart by 64-bit hashes) is
//! visited once, however many schedules lead to it: the schedules printed are the paths through those states.
//!
//! What the laws do not promise: containers that share one mounted record file and nothing else cannot see each
//! other's intents. One that dies between the provider's answer and the write in place leaves the others to
//! spend the token again.
//!
//! `KEYFOB_EXPLORER_BOUND` raises the bound where there is one: how often a process that could go on is
//! interrupted, or `none`. The figures: `cargo test -p keyfob --test explorer -- --nocapture`.
#![expect(clippy::unwrap_used, reason = "a test")]
#![expect(clippy::print_stdout, reason = "it says how much it has tried")]

mod ledger;
mod moves;
mod process;
#[path = "../saved/mod.rs"]
mod saved;
mod scenario;
mod search;
mod state;

use std::path::{Path, PathBuf};

use keyfob::{
    Timestamp,
    internals::{
        core::{
            Record,
            login::{identity::Identity, record::Generation, sealed::KeyStore},
        },
        store::{Found, Store as _, files::FileStore},
        world::simulated::{Disk, Fate, Machine, Odd, Shared},
    },
};
use process::{Actor, Broken, Job, seal};
use scenario::{Figures, Scenario, Sort, Violation};
use search::explore;

const NOW: i64 = 1_000_000;

/// A login of this family and of a known account, whose access token was issued at `issued`.
fn record(machine: &mut Machine, family: u8, issued: i64) -> Record {
    let account_uuid = Some("11111111-1111-4111-8111-111111111111".into());
    Record {
        identity: Identity { account_uuid, ..Identity::default() },
        ..saved::login(machine, family, issued)
    }
}

/// Two processes at a login whose token was issued so many seconds ago.
fn scenario(name: &'static str, age: i64, jobs: &[fn(&mut Machine) -> Job]) -> Scenario {
    let mut machine = Machine::new(Timestamp(NOW));
    machine.server.uneven = true;
    let path = PathBuf::from("/logins/default.json");
    let bytes = record(&mut machine, 1, NOW - age).encode();
    machine.disk.put(&path, &bytes);
    machine.disk.put(&path.with_extension("lock"), b"");
    let actors = jobs
        .iter()
        .map(|job| Actor {
            job: job(&mut machine),
            record: path.clone(),
            spare: vec!["/spare".into()],
            seals: false,
            ahead: 0,
        })
        .collect();
    Scenario {
        name,
        machine,
        actors,
        crashes: 1,
        power: false,
        fates: (0, &[]),
        failing: &[],
        interruptions: None,
        containers: false,
    }
}

/// How often a process that could go on is interrupted, where trying everything takes minutes.
#[expect(clippy::disallowed_methods, reason = "the bound of a test, not a setting")]
fn bound(usual: u8) -> Option<u8> {
    match std::env::var("KEYFOB_EXPLORER_BOUND").as_deref() {
        Ok("none") => None,
        Ok(number) => Some(number.parse().unwrap()),
        Err(_) => Some(usual),
    }
}

fn renew(_: &mut Machine) -> Job {
    Job::Renew(None)
}

const EXPIRED: i64 = 4000;

fn told(scenario: &Scenario) -> Result<Figures, Violation> {
    // As deep as a schedule is long.
    let thread = std::thread::Builder::new().stack_size(256 << 20);
    let found =
        std::thread::scope(|scope| thread.spawn_scoped(scope, || explore(scenario)).unwrap().join().unwrap());
    match &found {
        Ok(f) => println!(
            "{}, {}: {} schedules, {} states, {} moves, {} runs of the real code",
            scenario.name,
            limits(scenario),
            f.schedules,
            f.states,
            f.moves,
            f.runs
        ),
        Err(v) => println!("{}: {}\n  {}", scenario.name, v.law, v.schedule.join("\n  ")),
    }
    found
}

/// What may go wrong in a scenario, and how far it is tried, in words.
fn limits(scenario: &Scenario) -> String {
    let mut words = vec![format!("{} crashes", scenario.crashes)];
    if scenario.power {
        words.push("1 power cut".into());
    }
    words.push(match scenario.interruptions {
        None => "every order".into(),
        Some(most) => format!("at most {most} interruptions"),
    });
    words.join(", ")
}

fn holds(scenario: &Scenario) {
    if let Err(violation) = told(scenario) {
        panic!("{}: {}", scenario.name, violation.law);
    }
}

/// Somebody whose access token an API has just answered with 401.
fn rejected(_: &mut Machine) -> Job {
    Job::Renew(Some(Generation::new([1; 16], 0)))
}

fn logout(_: &mut Machine) -> Job {
    Job::Logout
}

/// A sign-in whose tokens have just been granted.
fn login(machine: &mut Machine) -> Job {
    Job::Login(record(machine, 2, NOW).encode().to_vec())
}

/// A sign-in of somebody known to be another person than the one signed in.
fn login_of_another(machine: &mut Machine) -> Job {
    let mut record = record(machine, 3, NOW);
    record.identity.account_uuid = Some("22222222-2222-4222-8222-222222222222".into());
    Job::Login(record.encode().to_vec())
}

/// Somebody who asks again, an hour after each failure.
fn persistent(_: &mut Machine) -> Job {
    Job::Persistent
}

fn without_worker(_: &mut Machine) -> Job {
    Job::WithoutWorker
}

/// The second process is a copy of the real code with one thing wrong.
fn broken(how: Broken, mut s: Scenario) -> Scenario {
    let bytes = record(&mut s.machine, 2, NOW).encode().to_vec();
    s.actors[1].job = Job::Broken(how, bytes);
    s
}

/// The token is still good for 100 s: inside the window of early renewal, whatever the jitter.
const NEAR_EXPIRY: i64 = 3500;

#[test]
fn two_renewals_at_an_expired_token() {
    holds(&Scenario { crashes: 0, ..scenario("two renewals", EXPIRED, &[renew, renew]) });
    holds(&scenario("two renewals", EXPIRED, &[renew, renew]));
    holds(&Scenario { crashes: 2, ..scenario("two renewals", EXPIRED, &[renew, renew]) });
}

#[test]
fn two_renewals_near_expiry() {
    holds(&scenario("two early renewals", NEAR_EXPIRY, &[renew, renew]));
}

#[test]
fn a_renewal_and_a_logout() {
    holds(&scenario("renewal and logout", EXPIRED, &[renew, logout]));
}

#[test]
fn a_logout_and_a_login() {
    holds(&scenario("logout and login", EXPIRED, &[logout, login]));
}

#[test]
fn explorer_two_processes_report_a_rejected_token() {
    holds(&scenario("two after a 401", 100, &[rejected, rejected]));
    holds(&scenario("one after a 401, one early", NEAR_EXPIRY, &[rejected, renew]));
}

#[test]
fn a_renewal_and_a_login() {
    holds(&scenario("renewal and login", EXPIRED, &[renew, login]));
}

const FATES: &[Fate] = &[Fate::AnswerLost, Fate::NotSent, Fate::Trouble, Fate::Ended];

const ODD: &[Fate] = &[Fate::Odd(Odd::NoAccess), Fate::Odd(Odd::Type), Fate::Odd(Odd::Twice)];

/// One of each sort that the broken make something wrong of.
const ANSWERS: &[Fate] = &[Fate::AnswerLost, Fate::Odd(Odd::NoAccess)];

#[test]
fn explorer_renewals_with_lost_responses() {
    for age in [EXPIRED, NEAR_EXPIRY] {
        for (name, crashes, lost, grace) in [
            ("two requests meet their fate, strict", 0, 2, false),
            ("two requests meet their fate, grace", 0, 2, true),
            ("one request meets its fate, one crash, strict", 1, 1, false),
            ("one request meets its fate, one crash, grace", 1, 1, true),
        ] {
            let s = scenario(name, age, &[renew, renew]);
            let mut s = Scenario { crashes, fates: (lost, FATES), ..s };
            s.machine.server.grace = grace;
            holds(&s);
        }
    }
}

/// An answer that is wrong in any way, with a rotated token in it: that token is kept.
#[test]
fn odd_answers() {
    for age in [EXPIRED, NEAR_EXPIRY] {
        let s = scenario("an odd answer", age, &[renew, renew]);
        holds(&Scenario { crashes: 0, fates: (2, ODD), ..s.clone() });
        holds(&Scenario { crashes: 1, fates: (1, ODD), interruptions: bound(1), ..s });
    }
}

/// A page in the provider's place is no answer, however often it comes.
#[test]
fn a_page_instead_of_an_answer() {
    for age in [EXPIRED, NEAR_EXPIRY] {
        let s = scenario("a page instead of an answer", age, &[renew, renew]);
        holds(&Scenario { crashes: 0, fates: (2, &[Fate::Page]), ..s.clone() });
        holds(&Scenario { crashes: 1, fates: (1, &[Fate::Page]), ..s });
    }
    let s = scenario("a page for hours", EXPIRED, &[persistent]);
    holds(&Scenario { crashes: 0, fates: (6, &[Fate::Page]), ..s });
}

/// Only the provider's word ends a login: requests and answers are lost over and over, and it is asked again.
#[test]
fn answers_are_lost_many_times() {
    let s = Scenario { crashes: 0, ..scenario("lost over and over", EXPIRED, &[persistent]) };
    holds(&Scenario { fates: (8, &[Fate::RequestLost]), ..s.clone() });
    holds(&Scenario { fates: (2, &[Fate::RequestLost]), crashes: 1, ..s.clone() });
    for grace in [false, true] {
        let mut s =
            Scenario { fates: (3, &[Fate::RequestLost, Fate::AnswerLost, Fate::NotSent]), ..s.clone() };
        s.machine.server.grace = grace;
        holds(&s);
    }
}

/// Revoking a token of one login may end every login of that person and client.
#[test]
fn one_grant_for_a_person_and_a_client() {
    for (name, jobs) in [
        ("one grant, the same person", [renew as fn(&mut Machine) -> Job, login]),
        ("one grant, another person", [renew, login_of_another]),
        ("one grant, two sign-ins", [login, login_of_another]),
    ] {
        let mut s = scenario(name, EXPIRED, &jobs);
        s.machine.server.one_grant = true;
        s.machine.server.persons.insert(3, 3);
        holds(&s);
    }
}

/// Two machines share a store, and the clock of one is hours ahead. (One that is behind takes an expired token for a good
/// one until the provider has told it the time; that is not promised.)
#[test]
fn clocks_apart_by_hours() {
    for age in [EXPIRED, NEAR_EXPIRY] {
        let mut s = scenario("four hours ahead", age, &[renew, renew]);
        s.machine.server.dates = true;
        s.actors[1].ahead = 4 * 3600;
        holds(&s);
        holds(&Scenario { crashes: 0, fates: (1, FATES), ..s });
    }
}

/// The process that was to renew cannot be started: whoever wanted it renews by itself.
#[test]
fn a_worker_that_cannot_start() {
    holds(&scenario("no worker", EXPIRED, &[without_worker, renew]));
    holds(&scenario("no worker, logout", EXPIRED, &[without_worker, logout]));
    let s = scenario("no worker, lost answers", EXPIRED, &[without_worker, without_worker]);
    holds(&Scenario { crashes: 0, fates: (1, FATES), ..s });
}

#[test]
fn explorer_renewals_on_a_failing_disk() {
    for (name, failing) in [
        ("writes fail", &[Sort::Write]),
        ("syncs fail", &[Sort::Sync]),
        ("renames fail", &[Sort::Rename]),
        ("directory syncs fail", &[Sort::SyncDir]),
        ("removals fail", &[Sort::Remove]),
    ] {
        let s = Scenario { failing, crashes: 0, ..scenario(name, EXPIRED, &[renew, renew]) };
        holds(&Scenario { interruptions: bound(2), ..s.clone() });
        holds(&Scenario { interruptions: bound(0), crashes: 1, ..s });
    }
}

#[test]
fn explorer_renewals_with_power_cuts() {
    holds(&Scenario { power: true, crashes: 0, ..scenario("power cut, renewals", EXPIRED, &[renew, renew]) });
    holds(&Scenario { power: true, crashes: 0, ..scenario("power cut, logout", EXPIRED, &[renew, logout]) });
    holds(&Scenario { power: true, crashes: 0, ..scenario("power cut, login", EXPIRED, &[renew, login]) });
    let s = scenario("power cut after a crash", EXPIRED, &[renew, renew]);
    holds(&Scenario { power: true, ..s });
    let s = scenario("power cut and lost answers", EXPIRED, &[renew, renew]);
    holds(&Scenario { power: true, crashes: 0, fates: (1, FATES), ..s });
}

/// The record is a mounted file, so that no name can take its place. With `own`, each process sees it from a
/// container of its own.
fn mounted(name: &'static str, own: bool, jobs: &[fn(&mut Machine) -> Job]) -> Scenario {
    let mut s = Scenario { containers: own, ..scenario(name, EXPIRED, jobs) };
    let bytes = s.machine.disk.bytes(&s.actors[0].record).unwrap().to_vec();
    s.machine.disk = Disk::default();
    let inode = s.machine.disk.put(Path::new("/host/file"), &bytes);
    for (actor, dir) in s.actors.iter_mut().zip(["/a", if own { "/b" } else { "/a" }]) {
        actor.record = Path::new(dir).join("default.json");
        actor.spare.clear();
        s.machine.disk.put(&actor.record.with_extension("lock"), b"");
        s.machine.disk.mount(&actor.record, inode);
    }
    s
}

#[test]
fn the_record_is_a_mount() {
    holds(&mounted("mounted record, renewals", false, &[renew, renew]));
    holds(&mounted("mounted record, logout", false, &[renew, logout]));
    holds(&mounted("mounted record, login", false, &[renew, login]));
    let mut s = mounted("mounted record, records of one length", false, &[renew, renew]);
    s.machine.server.uneven = false;
    holds(&s);
    let s = mounted("mounted record, power cut", false, &[renew, renew]);
    holds(&Scenario { crashes: 0, power: true, ..s });
}

#[test]
fn containers_share_the_record() {
    holds(&Scenario { crashes: 0, ..mounted("two containers", true, &[renew, renew]) });
    holds(&mounted("two containers", true, &[renew, renew]));
    holds(&mounted("two containers, logout", true, &[renew, logout]));
    holds(&mounted("two containers, login", true, &[renew, login]));
}

/// All processes seal what they write, and the record is sealed already, or becomes so with the next renewal.
fn sealed(already: bool, mut s: Scenario) -> Scenario {
    let shared = Shared::new(s.machine);
    let world = shared.process(99);
    let seal = seal().with(Some(KeyStore::Kernel));
    for actor in &mut s.actors {
        actor.seals = true;
        let store = FileStore::at(&world, &seal, &actor.record, &[]).unwrap();
        let lease = store.try_lease().unwrap().lease().unwrap();
        lease.prove().unwrap();
        if let (true, Found::Record(record)) = (already, lease.read().unwrap()) {
            lease.commit(&record).unwrap();
        }
    }
    s.machine = shared.look(|machine| machine.clone());
    s
}

#[test]
fn explorer_renewals_of_sealed_logins() {
    for already in [true, false] {
        holds(&sealed(already, scenario("sealed, renewals", EXPIRED, &[renew, renew])));
        holds(&sealed(already, scenario("sealed, logout", EXPIRED, &[renew, logout])));
        holds(&sealed(already, scenario("sealed, login", EXPIRED, &[renew, login])));
        let s = sealed(already, scenario("sealed, lost answers", EXPIRED, &[renew, renew]));
        holds(&Scenario { crashes: 0, fates: (1, FATES), ..s });
        let s = sealed(already, scenario("sealed, power cut", EXPIRED, &[renew, renew]));
        holds(&Scenario { crashes: 0, power: true, ..s });
    }
    holds(&sealed(true, mounted("sealed, mounted record", false, &[renew, renew])));
}

#[test]
fn explorer_three_renewals_within_the_bound() {
    for (name, jobs) in [
        ("three renewals", [renew as fn(&mut Machine) -> Job, renew, renew]),
        ("two renewals and a logout", [renew, renew, logout]),
        ("renewal, logout and login", [renew, logout, login]),
    ] {
        let s = scenario(name, EXPIRED, &jobs);
        holds(&Scenario { crashes: 0, ..s.clone() });
        holds(&Scenario { crashes: 1, interruptions: bound(1), ..s });
    }
}

#[test]
fn explorer_finds_every_deliberately_broken_world() {
    let mut s = Scenario { crashes: 0, ..scenario("a lock that is none", EXPIRED, &[renew, renew]) };
    s.machine.disk.pretends_to_lock = true;
    let v = told(&s).unwrap_err();
    assert!(v.law.contains("spent twice"), "{}", v.law);
    let mut s =
        Scenario { power: true, crashes: 0, ..scenario("a sync that is none", EXPIRED, &[renew, renew]) };
    s.machine.disk.pretends_to_sync = true;
    let v = told(&s).unwrap_err();
    assert!(v.law.contains("lost"), "{}", v.law);
    for (name, how, law) in [
        ("no second look", Broken::Stale, "overwritten"),
        ("a request that is not noted", Broken::Unnoted, "before it is written down"),
        ("a note before the connection", Broken::NotedEarly, "before there is a connection"),
        ("an odd answer thrown away", Broken::Careless, "was in an answer, and is lost"),
        ("a lost answer taken for the end", Broken::GivesUp, "the provider never said so"),
        ("no pause after a lost answer", Broken::Impatient, "without a pause"),
        ("the old login is always revoked", Broken::Revokes, "just stored was revoked"),
    ] {
        let s = broken(how, scenario(name, EXPIRED, &[renew, renew]));
        let mut s = Scenario { crashes: 0, fates: (2, ANSWERS), ..s };
        s.machine.server.one_grant = true;
        match how {
            // The others would notice at once.
            Broken::Careless => drop(s.actors.remove(0)),
            // The first retry waits for nothing but the end of the access token.
            Broken::Impatient => s.actors.push(s.actors[1].clone()),
            _ => {}
        }
        let v = told(&s).unwrap_err();
        assert!(v.law.contains(law), "{name}: {}", v.law);
    }
    let s = scenario("revoked without the lease", EXPIRED, &[login, login_of_another]);
    let mut s = Scenario { crashes: 0, ..s };
    s.machine.server.one_grant = true;
    s.machine.server.persons.insert(3, 3);
    let Job::Login(bytes) = s.actors[1].job.clone() else { unreachable!() };
    s.actors[1].job = Job::Broken(Broken::RevokesLate, bytes);
    let v = told(&s).unwrap_err();
    assert!(v.law.contains("just stored was revoked"), "{}", v.law);
}
