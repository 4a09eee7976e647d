//! Many processes, one expired login.

use std::time::Duration;

use keyfob_testkit::{Home, Ran, provider, rounds::storm, until};

#[test]
fn sixty_four_processes_renew_once() {
    let server = provider();
    // So long that all of them have started before the first is answered.
    server.set_latency(Duration::from_millis(150));
    let sandbox = Home::signed_in(&server);
    let times: Vec<_> = (0..5).map(|_| storm(&server, &sandbox, 64).as_millis()).collect();
    println!("storm: 64 processes x 5 expiries: 5 grants, 0 reuses, 0 failures; {times:?} ms");
}

/// Near expiry no process waits: one that finds another renewing uses the token that is still good.
#[test]
fn nobody_waits_while_the_old_token_is_good() {
    let server = provider();
    let sandbox = Home::signed_in(&server);
    let old = sandbox.token();
    sandbox.wear();
    server.hold();
    let first = sandbox.start_token();
    until("the request", || (server.held() == 1).then_some(()));
    let answers: Vec<_> = (0..6).map(|_| sandbox.token()).collect();
    assert!(sandbox.is_busy(), "the first one's request is held, and so is its lease");
    assert!(answers.iter().all(|answer| *answer == old));
    server.release();
    let new = Ran::from(first.wait_with_output().expect("it ends")).answer().to_owned();
    assert_ne!(new, old);
    assert_eq!(sandbox.token(), new);
    assert_eq!((server.grants().refreshes, server.grants().reuses), (1, 0));
}
