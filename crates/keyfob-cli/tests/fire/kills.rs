//! SIGKILL, at moments nobody chose.

use std::time::Duration;

use crate::support::{Dice, Sandbox, kill_caller, provider};

#[test]
fn killed_callers_lose_nothing() {
    let server = provider();
    let sandbox = Sandbox::signed_in(&server);
    server.set_latency(Duration::from_millis(10));
    let mut dice = Dice(1);
    let longest = Duration::from_millis(60);
    let running = (0..100).filter(|_| kill_caller(&server, &sandbox, &mut dice, longest)).count();
    assert!(running >= 20, "only {running} of 100 kills met a running process: this proves nothing");
    println!("kills: {running} of 100 callers killed while they ran: 100 grants, 0 reuses, 0 failures");
}
