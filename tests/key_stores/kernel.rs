//! The kernel's keyring of the user who runs the tests.

use std::process::Command;

use crate::{home::Home, journey};

fn home() -> Home {
    Home::new("kernel", None)
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
