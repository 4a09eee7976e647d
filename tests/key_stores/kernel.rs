//! The kernel's keyring of the user who runs the tests.

use std::process::Command;

use std::{
    fs,
    ops::Deref,
    os::unix::fs::chown,
    path::Path,
    sync::{PoisonError, RwLock, RwLockReadGuard},
};

use crate::{
    home::{Home, Ran},
    journey,
};

/// A user may have so many keys, of all tests together. The one that has too many is alone.
static ROOM: RwLock<()> = RwLock::new(());

struct Kernel {
    home: Home,
    _room: RwLockReadGuard<'static, ()>,
}

impl Deref for Kernel {
    type Target = Home;

    fn deref(&self) -> &Home {
        &self.home
    }
}

fn home() -> Kernel {
    Kernel { home: Home::new("kernel", None), _room: ROOM.read().unwrap_or_else(PoisonError::into_inner) }
}

#[test]
fn a_life_sealed_by_the_kernel() {
    journey::a_sealed_life(&home(), "kernel");
}

#[test]
fn sixteen_processes_renew_once_with_a_key_in_the_kernel() {
    journey::a_storm(&home());
}

#[test]
fn into_the_kernel_and_back() {
    journey::there_and_back(&home(), "kernel");
}

/// Simulates a restart of the machine.
#[test]
fn a_key_the_kernel_forgot() {
    journey::a_lost_key(&home(), "kernel-forgot", |id| {
        let found = Command::new("keyctl").args(["search", "@u", "user", &format!("keyfob:{id}")]).output();
        let found = found.expect("keyctl, from the package keyutils");
        let serial = String::from_utf8(found.stdout).expect("text");
        let unlinked = Command::new("keyctl").args(["unlink", serial.trim(), "@u"]).status().expect("keyctl");
        assert!(unlinked.success());
    });
}

/// Users who choose it are warned before the machine restarts.
#[test]
fn that_the_kernel_forgets_is_said_when_signing_in() {
    let home = home();
    let minted = home.server.mint("dev@example.com", "user:profile").expect("tokens");
    let mut command = home.keyfob(["login", "--with-token", "access"]);
    let mut child = command.stdin(std::process::Stdio::piped()).spawn().expect("the command starts");
    std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), minted.access_token.as_bytes())
        .expect("it reads");
    let said = crate::home::Ran::from(child.wait_with_output().expect("it ends"));
    assert!(said.err.contains("the kernel forgets when this machine restarts"), "{said:?}");
}

/// The worker does not read the configuration that `--home` leads to: its caller passes the setting on.
#[test]
fn a_home_named_on_the_command_line() {
    let home = home();
    home.login().answer();
    let (old, generation) = home.generation();
    let place = home.path();
    let mut command = home.keyfob(["token", "--rejected", &generation, "--home"]);
    let renewed = command.arg(place).env_remove("KEYFOB_HOME").env("HOME", "/nowhere").output();
    let renewed = crate::home::Ran::from(renewed.expect("the command runs"));
    assert_ne!(renewed.answer(), old);
    assert!(home.record().starts_with(r#"{"sealed":"kernel""#) && home.plain_tokens().is_empty());
}

/// A separate session keyring, as after `su` or in a service: the key belongs to this user, not to one session.
#[test]
fn another_session_of_the_same_user_opens_it() {
    let home = home();
    home.login().answer();
    let token = home.token();
    let mut command = Command::new("keyctl");
    let inner = home.keyfob(["token"]);
    command.args(["session", "-"]).arg(inner.get_program()).args(inner.get_args()).env_clear();
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?)))).current_dir("/");
    let ran = crate::home::Ran::from(command.output().expect("keyctl, from the package keyutils"));
    assert_eq!(ran.answer(), token, "{ran:?}");
}

/// A keyring whose keys are for those who possess it, and a session that does not: in a user namespace of its own, where
/// nobody else's keys are concerned.
#[test]
fn a_session_that_may_not_use_the_keys_of_its_user_is_an_error() {
    let home = home();
    let minted = home.server.mint("dev@example.com", "user:profile user:inference").expect("tokens");
    let token = home.path().join("token");
    fs::write(&token, &minted.refresh_token).expect("ours");
    let script = "keyctl show @u >/dev/null && keyctl setperm @u 0x3f000000 && exec keyctl session - \
                  \"$0\" login --with-token refresh --json";
    let mut command = home.command("unshare");
    command.args(["-Ur", "sh", "-c", script, keyfob_testkit::program()]);
    command.stdin(fs::File::open(&token).expect("ours"));
    let ran = Ran::from(command.output().expect("unshare of util-linux"));
    ran.because("key-store-unavailable", "key-store-session");
    assert!(home.files("json").is_empty() && home.plain_tokens().len() == 1, "but for what was brought");
}

/// keyrings(7): a user other than root may have 200 keys, and 20000 octets in them.
#[test]
fn a_user_with_as_many_keys_as_allowed_is_an_error() {
    const USER: u32 = 12_346;
    let _alone = ROOM.write().unwrap_or_else(PoisonError::into_inner);
    let home = Home::new("kernel", None);
    let top = home.home.path();
    // Where this was built need not be a place that the other user can enter.
    let (program, token) = (top.join("program"), top.join("token"));
    keyfob_testkit::copy_of_program(&program);
    let minted = home.server.mint("dev@example.com", "user:profile user:inference").expect("tokens");
    fs::write(&token, &minted.refresh_token).expect("ours");
    // The keys are the session's, and go away with it.
    let script = "n=0; for size in 9000 2000 500 100 20 1; do \
                  while head -c $size /dev/zero | tr '\\0' x | keyctl padd user full$n @s >/dev/null 2>&1; do n=$((n+1)); done; \
                  done; exec \"$0\" login --with-token refresh --json";
    let mut words: Vec<&str> = Vec::new();
    let number = USER.to_string();
    if rustix::process::geteuid().is_root() {
        for path in [top, &home.home.home(), &home.path().join("config.toml"), &program, &token] {
            chown(path, Some(USER), Some(USER)).expect("we are root");
        }
        words.extend(["setpriv", "--reuid", &number, "--regid", &number, "--clear-groups"]);
    }
    words.extend(["keyctl", "session", "-", "sh", "-c", script, program.to_str().expect("text")]);
    let mut command = home.command(Path::new(words[0]));
    command.args(&words[1..]).stdin(fs::File::open(&token).expect("ours"));
    let ran = Ran::from(command.output().expect("keyctl, from the package keyutils"));
    ran.because("key-store-unavailable", "key-store-full");
    assert!(ran.err.contains("this user has too many keys"), "{ran:?}");
}
