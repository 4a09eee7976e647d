//! Requirements for every key store.

use std::process::Child;

use crate::home::{Home, Ran, unavailable};

/// Signing in, using, renewing by the worker, signing out; and never a token in a file.
pub(crate) fn a_sealed_life(home: &Home, store: &str) {
    home.login().answer();
    let sealed = home.record();
    assert!(sealed.starts_with(&format!(r#"{{"sealed":"{store}""#)), "{sealed}");
    assert_eq!(home.plain_tokens(), Vec::<std::path::PathBuf>::new());

    let (old, _) = home.generation();
    assert!(old.starts_with(crate::home::TOKEN));
    let status = home.json(&["status"]);
    assert_eq!((status["sealed_by"].as_str(), status["store"].as_str()), (Some(store), Some(store)));

    let before = home.server.grants();
    home.renew().answer();
    let (new, _) = home.generation();
    assert_ne!(old, new);
    assert_eq!(home.server.grants().refreshes - before.refreshes, 1);
    assert_ne!(home.record(), sealed);
    assert_eq!(home.plain_tokens(), Vec::<std::path::PathBuf>::new());
    let doctor = home.run(&["doctor"]);
    assert!(doctor.out.contains("sealed with a key in the "), "{doctor:?}");

    let ended = home.json(&["logout"]);
    assert_eq!(ended["logged_out"][0]["revocation"], "confirmed", "{ended}");
    assert!(home.files("json").is_empty());
    assert_eq!(home.run(&["token", "--json"]).code, Some(4));
}

/// Many processes, one expired login, one grant; and never a token in a file, while that goes on either.
pub(crate) fn a_storm(home: &Home) {
    home.login_expired();
    let before = home.server.grants();
    home.server.hold();
    let mut started: Vec<Child> = (0..16).map(|_| home.start(&["token"])).collect();
    // In the middle of the renewal, which waits for that, and then to its end.
    let held = (0..30_000).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(2));
        home.server.held() == 1
    });
    assert!(held, "nobody renews");
    for _ in 0..10 {
        assert!(home.plain_tokens().is_empty(), "{:?}", home.plain_tokens());
    }
    home.server.release();
    while started.iter_mut().any(|child| child.try_wait().expect("our child").is_none()) {
        assert!(home.plain_tokens().is_empty(), "{:?}", home.plain_tokens());
    }
    let ended = started.into_iter().map(|child| Ran::from(child.wait_with_output().expect("it ends")));
    let answers: Vec<String> = ended.map(|ran| ran.answer().to_owned()).collect();
    let after = home.server.grants();
    assert_eq!((after.refreshes - before.refreshes, after.reuses - before.reuses), (1, 0));
    let new = home.token();
    assert!(answers.iter().all(|answer| *answer == new), "not all got the new token");
}

/// A plain login becomes a sealed one at its next renewal, and vice versa; each is reported.
pub(crate) fn there_and_back(home: &Home, store: &str) {
    home.configure("file");
    home.login().answer();
    assert!(home.record().starts_with("{\n") && home.plain_tokens().len() == 1);

    home.configure(store);
    home.token();
    assert_eq!(home.plain_tokens().len(), 1, "reading alone changes nothing");
    let said = home.run(&["status"]);
    assert!(said.answer().contains("It is not sealed; from its next renewal on it is sealed"), "{said:?}");
    home.renew().answer();
    assert!(home.plain_tokens().is_empty());
    assert!(home.run(&["status", "--all"]).answer().contains("Stored         sealed with a key in the "));

    home.configure("file");
    let said = home.run(&["status"]);
    assert!(said.answer().contains("from its next renewal on it is not sealed"), "{said:?}");
    assert!(home.run(&["doctor"]).out.contains("a plain file from its next renewal on"));
    home.renew().answer();
    assert!(home.record().starts_with("{\n"));
    let status = home.json(&["status"]);
    assert_eq!((status["sealed_by"].as_str(), status["store"].as_str()), (None, Some("file")));
}

/// Without its key a login is an error that says what to do, whatever is asked; its file stays as it is; and signing
/// in again is a way out.
pub(crate) fn a_lost_key(home: &Home, cause: &str, lose: impl Fn(&str)) {
    home.login().answer();
    let sealed = home.record();
    let id = home.files("keyid");
    lose(std::fs::read_to_string(&id[0]).expect("a note").trim_end());
    let said = home.run(&["token", "--json"]);
    assert!(unavailable(&said).contains("its key is not in the "), "{said:?}");
    said.because("key-store-unavailable", cause);
    assert!(said.err.contains("sign in again"), "{said:?}");
    assert_eq!(home.run(&["status", "--json"]).code, Some(7));
    assert_eq!(home.record(), sealed);
    assert_eq!(home.files("json").len(), 1, "nothing was set aside");

    home.login().answer();
    home.token();
    home.renew().answer();
    assert!(home.plain_tokens().is_empty());

    // Signing out needs no key: what cannot be revoked is told, and nothing stays.
    let id = home.files("keyid");
    lose(std::fs::read_to_string(&id[0]).expect("a note").trim_end());
    let ended = home.json(&["logout"]);
    assert_eq!(ended["logged_out"][0]["revocation"], "failed", "{ended}");
    assert!(home.files("json").is_empty());
}

/// While the key store fails, nothing is lost, nothing is written unencrypted, and no user is asked to sign in
/// needlessly. `word` must occur in the error, and programs are told `cause`.
pub(crate) fn trouble(home: &Home, cause: &str, word: &str) {
    let (sealed, grants) = (home.record(), home.server.grants());
    let said = home.run(&["token", "--json"]);
    assert!(unavailable(&said).contains(word), "{said:?}");
    said.because("key-store-unavailable", cause);
    assert_eq!(home.record(), sealed);
    let said = home.login();
    assert!(unavailable(&said).contains(word), "{said:?}");
    assert_eq!(home.record(), sealed);
    assert_eq!(home.server.grants(), grants, "nothing was spent");
    assert!(home.plain_tokens().is_empty());
    let doctor = home.run(&["doctor"]);
    assert!(doctor.out.contains(word), "{doctor:?}");
}
