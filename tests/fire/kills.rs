//! SIGKILL at random moments.

use std::time::Duration;

use keyfob_testkit::{
    Home, provider,
    rounds::{Dice, Fate, kill_caller, kill_worker},
};

#[test]
fn killed_callers_lose_nothing() {
    let server = provider();
    let sandbox = Home::signed_in(&server);
    server.set_latency(Duration::from_millis(10));
    let mut dice = Dice(1);
    let longest = Duration::from_millis(60);
    let running = (0..100).filter(|_| kill_caller(&server, &sandbox, &mut dice, longest)).count();
    assert!(running >= 20, "only {running} of 100 kills met a running process: this proves nothing");
    println!("kills: {running} of 100 callers killed while they ran: 100 grants, 0 reuses, 0 failures");
}

/// What a random SIGKILL of the renewing process itself costs. The provider here is as strict and as slow as real ones
/// are, so some logins must end: those whose answer was on its way. No other may.
#[test]
fn a_killed_renewal_ends_as_promised() {
    let server = provider();
    let sandbox = Home::signed_in(&server);
    server.set_latency(Duration::from_millis(10));
    let mut dice = Dice(2);
    let mut fates = Vec::new();
    // How long a renewal takes depends on the machine: half of the kills shall come before the request, and half after.
    let mut longest = Duration::from_millis(60);
    let has_met_both = |fates: &[Fate]| {
        fates.contains(&Fate::Kept) && (fates.contains(&Fate::Renewed) || fates.contains(&Fate::Adopted))
    };
    while fates.len() < 80 || fates.len() < 800 && !has_met_both(&fates) {
        let fate = kill_worker(&server, &sandbox, &mut dice, longest);
        longest = if fate == Fate::Kept { longest * 5 / 4 } else { longest * 4 / 5 };
        longest = longest.max(Duration::from_micros(100));
        if fate == Fate::Lost {
            sandbox.plant(&server);
        }
        fates.push(fate);
    }
    let count = |fate| fates.iter().filter(|found| **found == fate).count();
    let [renewed, kept, adopted, lost] = [Fate::Renewed, Fate::Kept, Fate::Adopted, Fate::Lost].map(count);
    assert!(has_met_both(&fates), "{fates:?}: the kills met only one moment");
    println!(
        "kills of the worker: {}: {kept} before the request, {lost} in flight (lost), {adopted} adopted, {renewed} too late",
        fates.len()
    );
}
