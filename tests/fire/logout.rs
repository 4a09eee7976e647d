//! Signing out while a renewal runs: whichever is first, no login remains afterwards.

use std::time::Duration;

use keyfob_dev::DevServer;

use keyfob_testkit::{Home, Ran, provider, rounds::Dice};

/// Whether the provider accepts a token.
fn works(server: &DevServer, token: &str) -> bool {
    let agent = ureq::Agent::config_builder().proxy(None).http_status_as_error(false).build().new_agent();
    let ask = agent.get(format!("{}/v1/whoami", server.base_url()));
    ask.header("authorization", format!("Bearer {token}")).call().expect("an answer").status() == 200
}

fn is_gone(server: &DevServer, sandbox: &Home, tokens: &[&str]) {
    for extension in ["json", "next", "recovery"] {
        assert_eq!(sandbox.files(extension), Vec::<std::path::PathBuf>::new());
    }
    sandbox.run(&["token", "--json"]).failed(4, "login-needed");
    for token in tokens {
        assert!(!works(server, token), "a token outlived its login");
    }
}

#[test]
fn a_renewal_in_flight_cannot_bring_a_login_back() {
    let server = provider();
    let sandbox = Home::signed_in(&server);
    let old = sandbox.token();
    assert!(works(&server, &old));
    server.set_latency(Duration::from_millis(200));
    sandbox.expire();
    let renewing = sandbox.start_token();
    sandbox.intended();
    let told = sandbox.run(&["logout", "--json"]);
    assert!(told.answer().contains("\"revocation\":\"confirmed\""), "{told:?}");
    let renewed = Ran::from(renewing.wait_with_output().expect("it ends"));
    server.set_latency(Duration::ZERO);
    // Whoever looks for what was renewed only after the logout has had its turn finds nothing, and says so.
    if renewed.code == Some(0) {
        is_gone(&server, &sandbox, &[&old, renewed.answer()]);
    } else {
        assert_eq!(renewed.code, Some(4), "{renewed:?}");
        is_gone(&server, &sandbox, &[&old]);
    }
    assert_eq!((server.grants().refreshes, server.grants().reuses), (1, 0));
}

#[test]
fn signing_out_at_any_moment() {
    let server = provider();
    let mut dice = Dice(5);
    let (mut renewed, mut refused) = (0, 0);
    for _ in 0..16 {
        let sandbox = Home::signed_in(&server);
        let old = sandbox.token();
        server.set_latency(Duration::from_millis(20));
        sandbox.expire();
        let tokens = || -> Vec<_> {
            (0..4).map(|_| sandbox.keyfob(["token", "--json"]).spawn().expect("it starts")).collect()
        };
        // Either may be first, by more or less.
        let (logout, renewing) = if dice.below(2) == 0 {
            let renewing = tokens();
            dice.pause(Duration::from_millis(30));
            (sandbox.keyfob(["logout"]).spawn(), renewing)
        } else {
            let logout = sandbox.keyfob(["logout"]).spawn();
            dice.pause(Duration::from_millis(30));
            (logout, tokens())
        };
        Ran::from(logout.expect("it starts").wait_with_output().expect("it ends")).answer();
        for child in renewing {
            let ran = Ran::from(child.wait_with_output().expect("it ends"));
            if ran.code == Some(0) {
                renewed += 1;
            } else {
                ran.failed(4, "login-needed");
                refused += 1;
            }
        }
        server.set_latency(Duration::ZERO);
        is_gone(&server, &sandbox, &[&old]);
    }
    assert_eq!(server.grants().reuses, 0);
    println!("logout: 16 races, {renewed} calls were faster, {refused} came too late, nothing came back");
}

/// Signing in over a login that is being renewed: the newer login stays.
#[test]
fn a_renewal_cannot_overwrite_a_newer_login() {
    let server = provider();
    let sandbox = Home::signed_in(&server);
    let first = sandbox.record()["login"].clone();
    server.set_latency(Duration::from_millis(100));
    sandbox.expire();
    let renewing = sandbox.start_token();
    sandbox.intended();
    sandbox.login();
    Ran::from(renewing.wait_with_output().expect("it ends")).answer();
    server.set_latency(Duration::ZERO);
    let record = sandbox.record();
    assert_ne!(record["login"], first);
    let token = sandbox.token();
    assert_eq!(record["access_token"], token);
    assert!(works(&server, &token));
    assert_eq!(server.grants().reuses, 0);
}
