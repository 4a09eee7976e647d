//! A full disk, and a read-only one.

use std::{fs, path::Path};

use keyfob_dev::DevServer;
use serde_json::{Value, json};

use keyfob_testkit::{
    Home, Ran, expired, namespace::Namespace, now, program, provider, read_record, token_requests,
    write_in_place,
};

/// A home on a separate, small disk.
struct Small {
    space: Namespace,
    sandbox: Home,
}

impl Small {
    fn new(server: &DevServer) -> Self {
        let sandbox = Home::signed_in(server);
        let space = Namespace::new();
        let home = sandbox.home();
        let (home, kept) = (home.display(), sandbox.home().with_extension("kept"));
        let kept = kept.display();
        space.shell(
            &sandbox,
            &format!(
                "mv {home} {kept}; mkdir {home}; mount -t tmpfs -o size=512k,mode=700 none {home}; cp -a {kept}/. {home}"
            ),
        );
        Self { space, sandbox }
    }

    fn token(&self) -> Ran {
        let program = program();
        self.space.run(&self.sandbox, &[program, "token", "--json"])
    }

    /// The record, from inside. The list of files is the same on both sides of the mount.
    fn edit(&self, change: impl FnOnce(&mut Value)) {
        let logins = self.space.path(&self.sandbox.logins());
        let path = fs::read_dir(logins).expect("the logins").map(|entry| entry.expect("an entry").path());
        let path =
            path.into_iter().find(|path| path.extension().is_some_and(|e| e == "json")).expect("a record");
        let mut record = read_record(&path);
        change(&mut record);
        // Within the page it already has: this needs no room.
        write_in_place(&path, &record);
    }

    /// Fills the disk, but for so many pages.
    fn fill(&self, but: u64) {
        let filler = self.space.path(&self.sandbox.home().join("filler"));
        let mut pages = 0_u64;
        let file = fs::File::create(&filler).expect("a file");
        while std::os::unix::fs::FileExt::write_all_at(&file, &[1; 4096], pages * 4096).is_ok() {
            pages += 1;
        }
        assert!(pages > 20, "the disk was never filled: {pages}");
        file.set_len((pages - but) * 4096).expect("a file");
    }

    fn make_room(&self) {
        fs::remove_file(self.space.path(&self.sandbox.home().join("filler"))).expect("our file");
    }

    fn remount(&self, how: &str) {
        self.space
            .shell(&self.sandbox, &format!("mount -o remount,bind,{how} {}", self.sandbox.home().display()));
    }
}

fn token_in(ran: &Ran) -> Value {
    let answer: Value = serde_json::from_str(ran.answer()).expect("JSON");
    answer["token"].clone()
}

fn worn(record: &mut Value) {
    record["issued_at"] = json!(now() - 3600);
    record["expires_at"] = json!(now() + 120);
}

/// Room is made before anything is spent. However often it is tried, and however much of the room there was: when
/// there is enough again, it renews.
#[test]
fn a_full_disk_spends_nothing() {
    for pages in [0, 1, 3] {
        let server = provider();
        let small = Small::new(&server);
        let old = token_in(&small.token());
        let before = token_requests(&server);
        small.edit(worn);
        small.fill(pages);
        for n in 0..3 {
            let told = small.token();
            assert_eq!(token_in(&told), old);
            assert!(told.err.contains("No space left"), "{pages} pages, try {n}: {told:?}");
        }
        small.edit(expired);
        for _ in 0..3 {
            small.token().failed(7, "store-failed").because("store-failed", "disk-full");
        }
        assert_eq!(token_requests(&server), before, "{pages} pages: nothing may be spent");
        small.make_room();
        assert_ne!(token_in(&small.token()), old, "{pages} pages");
        assert_eq!((server.grants().refreshes, server.grants().reuses), (1, 0));
    }
}

/// The same after an answer was lost: the one retry is still there when there is room for it.
#[test]
fn a_full_disk_does_not_use_up_the_retry() {
    for pages in [0, 1, 3] {
        let server = provider();
        let small = Small::new(&server);
        let old = token_in(&small.token());
        small.edit(|record| {
            expired(record);
            record["unknown"] =
                json!({ "generation": record["generation"], "since": now() - 60, "times": 1 });
        });
        small.fill(pages);
        for _ in 0..3 {
            small.token().failed(7, "store-failed");
        }
        small.make_room();
        assert_ne!(token_in(&small.token()), old, "{pages} pages");
        assert_eq!((server.grants().refreshes, server.grants().reuses), (1, 0));
    }
}

#[test]
fn a_read_only_store_spends_nothing() {
    let server = provider();
    let small = Small::new(&server);
    let old = token_in(&small.token());
    let before = token_requests(&server);
    small.edit(worn);
    small.remount("ro");
    let told = small.token();
    assert_eq!(token_in(&told), old);
    assert!(told.err.starts_with("warning:") && told.err.contains("ead-only"), "{told:?}");
    small.remount("rw");
    small.edit(expired);
    small.remount("ro");
    small.token().failed(7, "store-read-only").because("store-read-only", "read-only");
    assert_eq!(token_requests(&server), before);
    small.remount("rw");
    assert_ne!(token_in(&small.token()), old);
    assert_eq!((server.grants().refreshes, server.grants().reuses), (1, 0));
}

/// A directory that only another user could write: the same, by permissions. (Root may always write.)
#[test]
fn what_is_kept_is_kept_private() {
    let server = provider();
    let sandbox = Home::signed_in(&server);
    sandbox.expire();
    sandbox.token();
    let mode = |path: &Path| {
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path).expect("a file").permissions()) & 0o7777
    };
    assert_eq!(mode(&sandbox.home()), 0o700);
    assert_eq!(mode(&sandbox.logins()), 0o700);
    for extension in ["json", "lock"] {
        for file in sandbox.files(extension) {
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }
    }
}
