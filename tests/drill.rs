//! The fire drill at full size: `cargo bench -p keyfob-tests --bench drill -- --processes 512 --rounds 20 --kills 10000`
//!
//! Prints its figures; fails when a login was lost where it must not be, or when any other promise was broken.
#![expect(clippy::disallowed_methods, reason = "it starts and kills real processes, and times them")]
#![expect(clippy::print_stdout, reason = "printing its figures is what it is for")]

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use keyfob_testkit::{
    Home, provider,
    rounds::{Dice, Fate, kill_caller, kill_worker, storm},
};

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let option = |name: &str, default: u64| {
        let at = words.iter().position(|word| word == name);
        at.and_then(|at| words.get(at + 1)).map_or(default, |word| word.parse().expect("a number"))
    };
    let (processes, rounds, kills) =
        (option("--processes", 512), option("--rounds", 20), option("--kills", 10_000));
    storms(usize::try_from(processes).expect("a number of processes"), rounds);
    let longest = longest();
    callers(kills, longest);
    renewals(kills / 10, longest);
}

/// All processes at one expired token.
fn storms(processes: usize, rounds: u64) {
    let server = provider();
    let sandbox = Home::signed_in(&server);
    server.set_latency(Duration::from_millis(20));
    let mut times: Vec<_> = (0..rounds).map(|_| storm(&server, &sandbox, processes)).collect();
    times.sort();
    let grants = server.grants();
    println!("storm      {processes} processes x {rounds} expiries");
    println!("           refresh grants {}, reuses {}, failures 0", grants.refreshes, grants.reuses);
    if let (Some(median), Some(slowest)) = (times.get(times.len() / 2), times.last()) {
        println!("           a round: median {} ms, slowest {} ms", median.as_millis(), slowest.as_millis());
    }
}

/// A little longer than a renewal takes here: so kills meet every moment of one.
fn longest() -> Duration {
    let server = provider();
    let sandbox = Home::signed_in(&server);
    server.set_latency(Duration::from_millis(3));
    let one = |_| {
        sandbox.expire();
        let began = Instant::now();
        sandbox.token();
        began.elapsed()
    };
    let mut times: Vec<_> = (0..9).map(one).collect();
    times.sort();
    times[4] * 5 / 4
}

/// SIGKILL of callers.
fn callers(kills: u64, longest: Duration) {
    let server = provider();
    let sandbox = Home::signed_in(&server);
    server.set_latency(Duration::from_millis(3));
    let mut dice = Dice(11);
    let met = (0..kills).filter(|_| kill_caller(&server, &sandbox, &mut dice, longest)).count();
    let grants = server.grants();
    println!(
        "callers    {kills} killed within {} us of their start, {met} of them still running",
        longest.as_micros()
    );
    println!("           refresh grants {}, reuses {}, logins lost 0", grants.refreshes, grants.reuses);
}

/// SIGKILL of the renewing process itself: what physics forbids, in numbers.
fn renewals(kills: u64, longest: Duration) {
    let server = provider();
    let sandbox = Home::signed_in(&server);
    server.set_latency(Duration::from_millis(3));
    let mut dice = Dice(12);
    let mut fates = BTreeMap::from([("before", 0_u64), ("adopted", 0), ("late", 0), ("lost", 0)]);
    for _ in 0..kills {
        let fate = match kill_worker(&server, &sandbox, &mut dice, longest) {
            Fate::Kept => "before",
            Fate::Adopted => "adopted",
            Fate::Renewed => "late",
            Fate::Lost => {
                sandbox.plant(&server);
                "lost"
            }
        };
        *fates.entry(fate).or_default() += 1;
    }
    let met = kills - fates["late"];
    println!(
        "renewals   {kills} kills of the renewing process, {met} in time, at a strict provider with 3 ms latency"
    );
    println!(
        "           nothing spent {}, adopted {}, lost in flight {}",
        fates["before"], fates["adopted"], fates["lost"]
    );
    println!(
        "           ({} of 100 kills fell between rotation and disk; nothing else was lost)",
        fates["lost"] * 100 / met.max(1)
    );
}
