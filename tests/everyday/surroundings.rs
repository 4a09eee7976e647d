//! Unusual machines, and what other users of one may try: variables that lead into a repository, directories that
//! others can change, files with odd modes and several names.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{PermissionsExt, chown, symlink},
    },
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use keyfob_testkit::{Ran, Sandbox, stderr};

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("ours");
}

fn dir(path: PathBuf) -> PathBuf {
    fs::create_dir_all(&path).expect("ours");
    path
}

fn every(path: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(path).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !path.is_symlink() {
            every(&path, found);
        }
        found.push(path);
    }
}

/// Signing in with this variable writes nothing into the current repository, and the user is informed.
#[test]
fn no_variable_leads_into_the_repository() {
    let s = Sandbox::new();
    let repo = dir(s.home.path().join("repo"));
    let inside = [".git", "sub", "run/keyfob"].map(|name| dir(repo.join(name)));
    chmod(&repo.join("run"), 0o700);
    chmod(&inside[2], 0o700);
    let linked = dir(s.home.path().join("linked"));
    fs::write(linked.join(".git"), format!("gitdir: {}\n", dir(repo.join(".git/worktrees/l")).display()))
        .expect("ours");
    fs::write(repo.join(".git/worktrees/l/commondir"), "../..\n").expect("ours");
    let mut before = Vec::new();
    every(&repo, &mut before);
    let minted = s.server.mint("ada@example.com", "user:profile user:inference").expect("tokens");
    let login = |here: &Path, name: &str, value: &str| {
        let value = value.replace("TOP", s.home.path().to_str().expect("text"));
        let mut command = s.keyfob(["login", "--with-token", "refresh", "--json"]);
        command.env_remove("KEYFOB_HOME").env(name, &value).current_dir(here);
        let token = s.home.path().join("token");
        fs::write(&token, &minted.refresh_token).expect("ours");
        command.stdin(fs::File::open(token).expect("ours")).output().expect("it runs")
    };
    for here in [&inside[1], &linked] {
        for name in ["KEYFOB_HOME", "HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"] {
            for value in ["TOP/repo/home", "TOP/new/../repo/home", "TOP/repo/.git/home"] {
                let output = login(here, name, value);
                let ran = Ran::from(output.clone());
                let climbs = value.contains("/new/");
                ran.because("home-unsafe", if climbs { "missing" } else { "in-repository" });
                assert_eq!(output.status.code(), Some(3), "{name}={value}: {}", stderr(&output));
                assert!(
                    stderr(&output).contains(name) && stderr(&output).contains("refused"),
                    "{}",
                    stderr(&output)
                );
            }
        }
    }
    // What need not last is kept elsewhere.
    let output = login(&inside[1], "XDG_RUNTIME_DIR", "TOP/repo/run");
    assert!(output.status.success(), "{}", stderr(&output));
    let mut after = Vec::new();
    every(&repo, &mut after);
    assert_eq!(after, before, "the repository is as it was");
}

/// A choice on the command line of `exec` also holds for a keyfob below it, even in a repository. A variable alone,
/// without the descriptor that `exec` opened as proof, is not trusted.
#[test]
fn a_choice_on_the_command_line_holds_below_exec() {
    let s = Sandbox::new();
    let repo = dir(s.home.path().join("repo"));
    dir(repo.join(".git"));
    let minted = s.server.mint("ada@example.com", "user:profile user:inference").expect("tokens");
    let token = s.home.path().join("token");
    fs::write(&token, &minted.refresh_token).expect("ours");
    let with = |words: &[&str], input: Stdio| {
        let mut command = s.keyfob(words);
        command.env_remove("KEYFOB_HOME").current_dir(&repo).stdin(input).output().expect("it runs")
    };
    let login = ["--home", "./h", "login", "--with-token", "refresh"];
    let output = with(&login, fs::File::open(&token).expect("ours").into());
    assert!(output.status.success(), "{}", stderr(&output));
    let keyfob = keyfob_testkit::program();
    let below = |script: &str| with(&["--home", "./h", "exec", "--", "/bin/sh", "-c", script], Stdio::null());
    // Renewed by the worker, and below a second `exec`, which chooses nothing itself.
    for script in [
        format!("{keyfob} token"),
        format!("{keyfob} token --min-valid 4000"),
        format!("cd / && {keyfob} exec -- /bin/sh -c 'cd \"$1\" && {keyfob} token' sh {}", repo.display()),
    ] {
        let output = below(&script);
        assert!(output.status.success() && !output.stdout.is_empty(), "{script}: {}", stderr(&output));
    }
    // What shows the choice is closed, or another directory than the variable says.
    for script in [
        format!("n=${{KEYFOB_CHOSEN_HOME%%:*}}; eval \"exec $n<&-\"; {keyfob} token"),
        format!(
            "mkdir evil; export KEYFOB_HOME=$PWD/evil KEYFOB_CHOSEN_HOME=${{KEYFOB_CHOSEN_HOME%%:*}}:$PWD/evil; {keyfob} token"
        ),
    ] {
        let output = below(&script);
        assert_eq!(output.status.code(), Some(3), "{script}: {}", stderr(&output));
        assert!(stderr(&output).contains("KEYFOB_HOME") && stderr(&output).contains("refused"));
    }
    // What a repository's own variables say, with a descriptor of its own that is open to read.
    let script = format!("exec 9<h; export KEYFOB_HOME=$PWD/h KEYFOB_CHOSEN_HOME=9:$PWD/h; {keyfob} token");
    let mut planted = s.command("/bin/sh");
    let output = planted.args(["-c", &script]).current_dir(&repo).output().expect("it runs");
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    // A command line below chooses anew.
    let elsewhere = s.home.path().join("elsewhere");
    let output = below(&format!("{keyfob} --home {} exec -- {keyfob} token", elsewhere.display()));
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
}

/// A path is octets: a home directory of another encoding holds a login that is renewed and ended as any other.
#[test]
fn a_home_that_is_not_utf_8() {
    let s = Sandbox::new();
    let odd = dir(s.home.path().join(OsStr::from_bytes(b"h\xf6me")));
    for (number, name) in ["KEYFOB_HOME", "HOME", "XDG_STATE_HOME"].into_iter().enumerate() {
        let minted = s.server.mint("ada@example.com", "user:profile user:inference").expect("tokens");
        let token = s.home.path().join("token");
        fs::write(&token, &minted.refresh_token).expect("ours");
        let with = |words: &[&str]| {
            let mut command = s.keyfob(words);
            let place = odd.join(number.to_string());
            command.env_remove("KEYFOB_HOME").env(name, &place).env("XDG_RUNTIME_DIR", &odd);
            command.stdin(fs::File::open(&token).expect("ours")).output().expect("it runs")
        };
        dir(odd.join(number.to_string()));
        let words: [&[&str]; 6] = [
            &["login", "--with-token", "refresh"],
            &["token"],
            &["token", "--min-valid", "4000"],
            &["status"],
            &["exec", "--", keyfob_testkit::program(), "token"],
            &["logout"],
        ];
        for words in words {
            let output = with(words);
            assert!(output.status.success(), "{name} {words:?}: {}", stderr(&output));
        }
        let mut made = Vec::new();
        every(&odd.join(number.to_string()), &mut made);
        assert!(!made.is_empty(), "{name}");
    }
}

/// A working directory that was removed: it cannot be determined which repository it was in.
#[test]
fn in_a_removed_directory_no_variable_is_believed() {
    let s = Sandbox::new();
    let gone = dir(s.home.path().join("repo/gone"));
    dir(s.home.path().join("repo/.git"));
    let script =
        format!("cd {0} && rmdir {0} && exec {1} token --json", gone.display(), keyfob_testkit::program());
    let mut command = s.command("/bin/sh");
    let output = command.args(["-c", &script]).current_dir("/").output().expect("it runs");
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(stderr(&output).contains("the working directory may have been removed"), "{}", stderr(&output));
    Ran::from(output).because("home-unsafe", "working-directory-gone");
}

/// `su` keeps XDG_RUNTIME_DIR, a service manager may have removed it: its content need not last, and is not required.
#[test]
fn a_runtime_directory_of_somebody_else_is_done_without() {
    let s = Sandbox::new();
    let place = |name: &str| s.home.path().join(name);
    fs::write(place("file"), "").expect("ours");
    chmod(&dir(place("open")), 0o777);
    chmod(&dir(place("squatted")), 0o1777);
    chmod(&dir(place("squatted/keyfob")), 0o755);
    for name in ["file", "open", "squatted", "not-there"] {
        let with = |words: &[&str]| {
            let mut command = s.keyfob(words);
            command.env_remove("KEYFOB_HOME").env("XDG_RUNTIME_DIR", place(name)).stdin(Stdio::null());
            command.output().expect("it runs")
        };
        let minted = s.server.mint("ada@example.com", "user:profile user:inference").expect("tokens");
        let token = place("token");
        fs::write(&token, &minted.refresh_token).expect("ours");
        let mut login = s.keyfob(["login", "--with-token", "refresh"]);
        login.env_remove("KEYFOB_HOME").env("XDG_RUNTIME_DIR", place(name));
        let output = login.stdin(fs::File::open(token).expect("ours")).output().expect("it runs");
        assert!(output.status.success(), "{name}: {}", stderr(&output));
        for words in [&["token"][..], &["token", "--min-valid", "4000"], &["status"]] {
            assert!(with(words).status.success(), "{name}: {}", stderr(&with(words)));
        }
        let examined = with(&["doctor"]);
        assert_eq!(examined.status.code(), Some(3));
        assert!(String::from_utf8_lossy(&examined.stdout).contains("XDG_RUNTIME_DIR"), "{examined:?}");
        assert!(with(&["logout"]).status.success());
    }
}

/// Files below a directory that others can change are not trusted; `doctor --fix` repairs a directory of the user's
/// own.
#[test]
fn a_way_that_others_can_change_is_mended() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    chmod(s.home.path(), 0o777);
    let output = s.output(&["token"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("writable by others"), "{}", stderr(&output));
    assert_eq!(s.output(&["doctor"]).status.code(), Some(3));
    s.out(&["doctor", "--fix"]);
    s.out(&["token"]);
    assert_eq!(s.home.path().metadata().expect("ours").permissions().mode() & 0o777, 0o755);
}

/// An editor under umask 002 leaves the configuration to the group; a backup of hard links leaves every file two names.
#[test]
fn what_editors_and_backups_leave_is_mended() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let config = s.home.path().join("keyfob/config.toml");
    fs::write(&config, "prefer = \"oauth\"\n").expect("ours");
    chmod(&config, 0o666);
    assert_eq!(s.output(&["token"]).status.code(), Some(3));
    s.out(&["doctor", "--fix"]);
    s.out(&["token"]);
    assert_eq!(config.metadata().expect("ours").permissions().mode() & 0o777, 0o644);

    let backup = dir(s.home.path().join("backup"));
    for entry in fs::read_dir(s.logins()).expect("the store") {
        let entry = entry.expect("an entry");
        fs::hard_link(entry.path(), backup.join(entry.file_name())).expect("a link");
    }
    let output = s.output(&["token"]);
    assert_eq!(output.status.code(), Some(7));
    assert!(stderr(&output).contains("doctor --fix"), "{}", stderr(&output));
    s.out(&["doctor", "--fix"]);
    s.out(&["token", "--min-valid", "4000"]);
    s.out(&["logout"]);
    assert!(fs::read_dir(&backup).expect("ours").count() > 0, "the backup is untouched");
}

/// Whatever the umask, the files that are created can be used afterwards.
#[test]
fn any_umask_will_do() {
    for umask in ["0000", "0177", "0277", "0477", "0777"] {
        let s = Sandbox::new();
        let minted = s.server.mint("ada@example.com", "user:profile user:inference").expect("tokens");
        let script = format!("umask {umask}; exec {} login --with-token refresh", keyfob_testkit::program());
        let token = s.home.path().join("token");
        fs::write(&token, &minted.refresh_token).expect("ours");
        let mut command = s.command("/bin/sh");
        command.args(["-c", &script]).stdin(fs::File::open(&token).expect("ours"));
        let output = command.output().expect("it runs");
        assert!(output.status.success(), "{umask}: {}", stderr(&output));
        let mut made = Vec::new();
        every(&s.home.path().join("keyfob"), &mut made);
        for path in made {
            let mode = path.symlink_metadata().expect("ours").permissions().mode() & 0o777;
            assert_eq!(mode, if path.is_dir() { 0o700 } else { 0o600 }, "{umask}: {}", path.display());
        }
        s.out(&["token"]);
    }
}

/// In a user namespace without root, root's directories appear to belong to no user, but they do belong to root.
#[test]
fn a_sandbox_without_root() {
    const USER: u32 = 12_345;
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    // Where this was built need not be a place that the other user can enter.
    let program = s.home.path().join("program");
    keyfob_testkit::copy_of_program(&program);
    let mut words: Vec<&OsStr> = ["unshare", "-U", "--map-current-user"].map(OsStr::new).to_vec();
    let number = USER.to_string();
    if rustix::process::geteuid().is_root() {
        let mut ours = vec![s.home.path().to_path_buf()];
        every(s.home.path(), &mut ours);
        ours.iter().for_each(|path| chown(path, Some(USER), Some(USER)).expect("we are root"));
        let other = ["setpriv", "--reuid", &number, "--regid", &number, "--clear-groups"].map(OsStr::new);
        words.splice(0..0, other);
    }
    words.extend([program.as_os_str(), OsStr::new("token")]);
    let mut command = s.command(words[0]);
    let output = command.args(&words[1..]).output().expect("util-linux is there");
    assert!(output.status.success(), "{}", stderr(&output));
}

/// Completions and manual pages go where a variable says, but neither into the repository nor through links.
#[test]
fn nothing_is_installed_through_a_link() {
    let s = Sandbox::new();
    let install = |words: &[&str], data: &Path, here: &Path| -> Output {
        let mut command = s.keyfob(words);
        command.env("XDG_DATA_HOME", data).current_dir(here).output().expect("it runs")
    };
    let repo = dir(s.home.path().join("repo"));
    dir(repo.join(".git"));
    let mine = s.home.path().join(".bashrc");
    for (words, place) in [
        (&["completions", "bash", "--install"][..], "bash-completion/completions/keyfob"),
        (&["man", "--install"], "man/man1/keyfob.1"),
    ] {
        for (data, code) in [(repo.join("share"), 3), (s.home.path().join("share"), 2)] {
            fs::write(&mine, "MINE").expect("ours");
            dir(data.join(place).parent().expect("a directory").to_path_buf());
            symlink(&mine, data.join(place)).expect("a link");
            let output = install(words, &data, &repo);
            assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
            assert_eq!(fs::read_to_string(&mine).expect("ours"), "MINE");
            assert!(data.join(place).is_symlink(), "the link is somebody's own");
        }
    }
}

/// Control of the environment does not include the list of approved addresses, which no other user may write.
#[test]
fn the_approved_list_comes_through_no_variable() {
    const URL: &str = "https://login.company.test/authorize";
    let s = Sandbox::new();
    let list = format!("[[approved]]\nurl = \"{URL}\"\n");
    let top = s.home.path().to_path_buf();
    for place in [".config/keyfob", "xdg/keyfob", "keyfob", "."] {
        fs::write(dir(top.join(place)).join("approved.toml"), &list).expect("ours");
    }
    let ask = |words: &[&str]| -> Output {
        let mut command: Command = s.keyfob(words);
        command.env_remove("USE_LOCAL_OAUTH").env("CLAUDE_CODE_CUSTOM_OAUTH_URL", URL);
        command.env("XDG_CONFIG_HOME", top.join("xdg")).env("CLAUDE_CODE_OAUTH_CLIENT_ID", "agents");
        command.output().expect("it runs")
    };
    let told = ask(&["env"]);
    assert_eq!(told.status.code(), Some(3), "{}", stderr(&told));
    assert!(stderr(&told).contains("approved.toml"), "{}", stderr(&told));
    let file = top.join("approved.toml");
    let named = ["--approved", file.to_str().expect("text"), "env"];
    assert!(ask(&named).status.success(), "a person's own choice: {}", stderr(&ask(&named)));
    chmod(&file, 0o666);
    assert!(stderr(&ask(&named)).contains("writable by others"), "{}", stderr(&ask(&named)));
    chmod(&file, 0o644);
    chmod(&top, 0o777);
    assert!(stderr(&ask(&named)).contains("writable by others"), "whoever can put another one in its place");
    chmod(&top, 0o700);
    if rustix::process::geteuid().is_root() {
        chown(&file, Some(12_345), None).expect("we are root");
        assert!(stderr(&ask(&named)).contains("belongs to user 12345"), "{}", stderr(&ask(&named)));
    }
}
