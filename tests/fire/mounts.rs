//! Two containers that share one record file and nothing else.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    process::Child,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use keyfob_dev::DevServer;

use keyfob_testkit::{
    Home, Ran, expired, namespace::Namespace, program, provider, read_record, token_requests, write_in_place,
};

/// A home in a separate mount namespace, with the shared record mounted over a file in it.
struct Container {
    space: Namespace,
    sandbox: Home,
}

impl Container {
    fn new(server: &DevServer, shared: &Home) -> Self {
        let (space, sandbox) = (Namespace::new(), Home::empty(server));
        let record = shared.record_path();
        let logins = sandbox.logins();
        let mount_point = logins.join(record.file_name().expect("a name"));
        fs::create_dir_all(&logins).expect("a directory");
        fs::write(&mount_point, "").expect("a file");
        for (path, mode) in [(sandbox.home(), 0o700), (logins, 0o700), (mount_point.clone(), 0o600)] {
            fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).expect("ours");
        }
        space.shell(&sandbox, &format!("mount --bind {} {}", record.display(), mount_point.display()));
        Self { space, sandbox }
    }

    fn start(&self) -> Child {
        let program = program();
        let words = [program, "token"];
        self.space.command(&self.sandbox, &words).spawn().expect("nsenter of util-linux")
    }

    fn token(&self) -> Ran {
        self.space.run(&self.sandbox, &[program(), "token", "--json"])
    }

    /// The record's own mount can be written, or not: `rw`, `ro`.
    fn remount(&self, shared: &Home, how: &str) {
        let record = self.sandbox.logins().join(shared.record_path().file_name().expect("a name"));
        self.space.shell(&self.sandbox, &format!("mount -o remount,bind,{how} {}", record.display()));
    }
}

#[test]
fn one_record_in_two_namespaces() {
    let server = provider();
    let shared = Home::signed_in(&server);
    let record = shared.record_path();
    let inode = fs::metadata(&record).expect("the record").ino();
    let containers = [Container::new(&server, &shared), Container::new(&server, &shared)];
    server.set_latency(Duration::from_millis(20));
    for round in 1..=20 {
        // Nobody renews now.
        let mut value = read_record(&record);
        expired(&mut value);
        write_in_place(&record, &value);
        let started: Vec<_> = (0..6).map(|n| containers[n % 2].start()).collect();
        let answers: Vec<_> =
            started.into_iter().map(|child| Ran::from(child.wait_with_output().expect("it ends"))).collect();
        let new = read_record(&record)["access_token"].clone();
        for answer in answers {
            assert_eq!(new, answer.answer(), "round {round}");
            assert_eq!(answer.err, "");
        }
        assert_eq!((server.grants().refreshes, server.grants().reuses), (round, 0));
    }
    assert_eq!(fs::metadata(&record).expect("the record").ino(), inode, "written in place");
    println!("mounts: 2 namespaces x 3 processes x 20 rounds: 20 grants, 0 reuses, 0 failures");
}

/// Readers look while the record is rewritten in place, and never take a torn one for a damaged one.
#[test]
fn nobody_takes_a_torn_record_for_a_damaged_one() {
    let server = provider();
    let shared = Home::signed_in(&server);
    let record = shared.record_path();
    let container = Container::new(&server, &shared);
    let done = AtomicBool::new(false);
    let reads = AtomicUsize::new(0);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                shared.run(&["status", "--json"]).answer();
                reads.fetch_add(1, Ordering::Relaxed);
            }
        });
        // So often, and until so many have looked.
        for round in 1.. {
            let mut value = read_record(&record);
            expired(&mut value);
            write_in_place(&record, &value);
            Ran::from(container.start().wait_with_output().expect("it ends")).answer();
            assert_eq!(server.grants().refreshes, round);
            if round >= 20 && (reads.load(Ordering::Relaxed) > 20 || reader.is_finished()) {
                break;
            }
        }
        done.store(true, Ordering::Relaxed);
        reader.join().expect("every look found a whole record");
    });
    assert!(reads.into_inner() > 20);
    let kept = fs::read_dir(shared.logins()).expect("the logins").count();
    assert_eq!(kept, shared.files("json").len() + shared.files("lock").len(), "nothing was set aside");
}

/// The record's own mount cannot be written: the renewed record is kept beside it and adopted, never spent again.
#[test]
fn a_commit_that_fails_is_recovered() {
    let server = provider();
    let shared = Home::signed_in(&server);
    let container = Container::new(&server, &shared);
    let record = container.sandbox.logins().join(shared.record_path().file_name().expect("a name"));
    let remount = |how: &str| {
        let line = format!("mount -o remount,bind,{how} {}", record.display());
        container.space.shell(&container.sandbox, &line);
    };
    let token = || Ran::from(container.start().wait_with_output().expect("it ends"));
    let old = token().answer().to_owned();
    shared.expire();
    remount("ro");
    let new = token().answer().to_owned();
    assert_ne!(new, old);
    let kept = || fs::read_dir(container.sandbox.logins()).expect("the logins").count();
    assert!(kept() > 2, "nothing besides the record and the lock");
    assert_eq!(read_record(&shared.record_path())["access_token"], old);
    for _ in 0..2 {
        assert_eq!(token().answer(), new, "adopted, not spent again");
    }
    remount("rw");
    assert_eq!(token().answer(), new);
    assert_eq!(read_record(&shared.record_path())["access_token"], new, "in its place at last");
    assert_eq!(kept(), 2, "what was kept has done its work");
    assert_eq!((server.grants().refreshes, server.grants().reuses), (1, 0));
}

/// A login that a person brought, and that such a mount does not take: its place is told, and its token is not lost.
#[test]
fn what_a_mount_did_not_take_is_told_with_the_place_it_is_in() {
    let server = provider();
    let shared = Home::signed_in(&server);
    let container = Container::new(&server, &shared);
    container.remount(&shared, "ro");
    let minted = server.mint("dev@example.com", "user:profile user:inference").expect("tokens");
    let brought = container.sandbox.path().join("brought");
    fs::write(&brought, &minted.refresh_token).expect("ours");
    let words = [program(), "login", "--with-token", "refresh", "--json"];
    let mut command = container.space.command(&container.sandbox, &words);
    let ran = Ran::from(command.stdin(fs::File::open(&brought).expect("ours")).output().expect("nsenter"));
    ran.failed(7, "store-failed").because("store-failed", "recovered-login");
    let kept = ran.err.split("until the next run it is in ").nth(1).and_then(|rest| rest.lines().next());
    let kept = fs::read_to_string(kept.expect("a place")).expect("it is there");
    assert!(!kept.contains(&minted.refresh_token) && kept.contains("refresh_token"), "its successor");
}

/// A file that was replaced on the other side: what is seen here is an old one, from which nothing may be spent.
#[test]
fn a_record_that_was_replaced_behind_its_mount_is_told_as_that() {
    let server = provider();
    let shared = Home::signed_in(&server);
    let container = Container::new(&server, &shared);
    shared.expire();
    shared.run(&["logout"]).answer();
    shared.login();
    let before = token_requests(&server);
    let ran = container.token();
    ran.failed(7, "store-failed").because("store-failed", "mounted-file");
    assert!(ran.err.contains("mount the directory instead"), "{ran:?}");
    assert_eq!(token_requests(&server), before, "nothing was spent");
}
