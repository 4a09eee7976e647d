//! The Secret Service: a real one, and its failures.

use std::{
    os::unix::net::UnixListener,
    time::{Duration, Instant},
};

use crate::{
    desktop::Desktop,
    home::{Home, unavailable},
    journey,
};

/// A question may take four seconds; on a busy machine a run of the command takes its time too.
const PATIENCE: Duration = Duration::from_secs(60);

fn home(desktop: &Desktop) -> Home {
    Home::new("secret-service", Some(&desktop.address()))
}

#[test]
fn a_life_sealed_by_the_secret_service() {
    let desktop = Desktop::unlocked();
    journey::a_sealed_life(&home(&desktop), "secret-service");
}

#[test]
fn sixteen_processes_renew_once_with_a_key_in_the_secret_service() {
    let desktop = Desktop::unlocked();
    journey::a_storm(&home(&desktop));
}

#[test]
fn store_setting_moves_a_login_into_the_secret_service_and_back() {
    let desktop = Desktop::unlocked();
    journey::there_and_back(&home(&desktop), "secret-service");
}

#[test]
fn a_key_the_secret_service_lost() {
    let desktop = Desktop::unlocked();
    journey::a_lost_key(&home(&desktop), "key-missing", |id| {
        assert_eq!(desktop.find(id).len(), 32, "another program finds the key");
        desktop.forget(id);
    });
}

#[test]
fn secret_service_locked_keyring_is_an_error() {
    let desktop = Desktop::unlocked();
    let home = home(&desktop);
    home.login().answer();
    desktop.lock();
    journey::trouble(&home, "key-store-locked", "is locked");
}

/// It hangs, it ends, it comes back: the login is there again.
#[test]
fn a_keyring_that_hangs_ends_and_comes_back() {
    let mut desktop = Desktop::unlocked();
    let home = home(&desktop);
    home.login().answer();
    let token = home.token();

    desktop.hang();
    let began = Instant::now();
    let said = home.run(&["token", "--json"]);
    assert!(unavailable(&said).contains("has not answered in 4 s"), "{said:?}");
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    journey::trouble(&home, "key-store-silent", "has not answered in 4 s");
    desktop.wake();
    assert_eq!(home.token(), token);

    desktop.end_keyring();
    journey::trouble(&home, "key-store-missing", "is not there");
    desktop.start_keyring();
    assert_eq!(home.token(), token);
    home.renew().answer();
}

/// No login is requested that could not be sealed afterwards.
#[test]
fn a_renewal_that_could_not_be_sealed_is_not_begun() {
    let mut desktop = Desktop::unlocked();
    let home = home(&desktop);
    home.configure("file");
    home.login_expired();
    home.configure("secret-service");
    desktop.end_keyring();
    let before = home.server.grants();
    let said = home.run(&["token", "--json"]);
    assert!(unavailable(&said).contains("is not there"), "{said:?}");
    assert_eq!(home.server.grants(), before, "nothing was spent");
    desktop.start_keyring();
    home.token();
    assert!(home.plain_tokens().is_empty());
}

/// A socket that accepts connections and never answers.
#[test]
fn secret_service_that_does_not_respond_is_an_error_in_time() {
    let dir = tempfile::tempdir().expect("a directory");
    let socket = dir.path().join("bus");
    let _listener = UnixListener::bind(&socket).expect("a socket");
    let home = Home::new("secret-service", Some(&format!("unix:path={}", socket.display())));
    let began = Instant::now();
    assert!(unavailable(&home.login()).contains("has not answered in 4 s"));
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    assert!(home.files("json").is_empty() && home.plain_tokens().is_empty());
}

#[test]
fn secret_service_without_a_bus_is_an_error() {
    let home = Home::new("secret-service", None);
    let said = home.login();
    assert!(unavailable(&said).contains("is not there"), "{said:?}");
    assert!(said.err.contains("choose another `seal`"), "{said:?}");
    assert!(home.files("json").is_empty() && home.plain_tokens().is_empty());
    // A login in a plain file needs none.
    home.configure("file");
    home.login().answer();
    home.token();
}

/// A desktop to which nobody has logged in yet.
#[test]
fn a_secret_service_without_a_keyring_is_an_error() {
    let desktop = Desktop::without_keyring();
    let home = home(&desktop);
    let said = home.login();
    said.because("key-store-unavailable", "key-store-empty");
    assert!(said.err.contains("has no default keyring"), "{said:?}");
    assert!(home.files("json").is_empty() && home.plain_tokens().is_empty());
}

#[test]
fn something_else_in_the_place_of_the_key_is_an_error() {
    let desktop = Desktop::unlocked();
    let home = home(&desktop);
    home.login().answer();
    let id = std::fs::read_to_string(&home.files("keyid")[0]).expect("a note");
    desktop.replace(id.trim_end());
    journey::trouble(&home, "key-store-item", "something else in the place of the key");
}

/// It answers, and cannot keep anything.
#[test]
fn a_secret_service_whose_disk_is_full_is_an_error() {
    let desktop = Desktop::unlocked();
    let home = home(&desktop);
    desktop.fill_disk();
    let said = home.login();
    said.because("key-store-unavailable", "key-store-failed");
    assert!(said.err.contains("the Secret Service answers: org.freedesktop."), "{said:?}");
    assert!(home.files("json").is_empty() && home.plain_tokens().is_empty());
}
