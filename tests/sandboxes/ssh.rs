//! The agent's socket on another machine, as `ssh -R` puts it there: a server of the test's own, on no port and in no file of the machine's.

use std::{fs, path::Path};

use keyfob_testkit::{Ran, program};
use serde_json::Value;

use crate::{ROOT, STRANGER, Stage, as_user, curl};

fn key(at: &Path) {
    let mut command = std::process::Command::new("ssh-keygen");
    let ran =
        Ran::from(command.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(at).output().expect("OpenSSH"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

/// What docs/agent.md and SECURITY.md say of it: whoever reaches the socket there is the user of the ssh here.
#[test]
fn behind_ssh_the_agent_sees_the_local_ssh_and_not_who_asks() {
    let stage = Stage::new();
    let (host, user) = (stage.s.path().join("host"), stage.s.path().join("user"));
    key(&host);
    key(&user);
    let (config, known) = (stage.s.path().join("sshd_config"), stage.s.path().join("known"));
    let public = fs::read_to_string(host.with_extension("pub")).expect("a public key");
    fs::write(&known, format!("there {public}")).expect("ours");
    // Whoever is there may reach the socket, as its owner there could allow.
    let text = format!(
        "HostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nUseDNS no\nPidFile none\nLoginGraceTime 0\n\
         PermitRootLogin prohibit-password\nStreamLocalBindMask 0111\nAcceptEnv *\n",
        host.display(),
        user.with_extension("pub").display(),
    );
    fs::write(&config, text).expect("ours");
    // sshd wants this directory, also on a machine that has never started one.
    let server = format!(
        "ProxyCommand=unshare -m sh -c 'mount -t tmpfs none /run && mkdir -m 755 /run/sshd && exec /usr/sbin/sshd -i -e -f {}'",
        config.display()
    );
    let there = stage.in_doors("there.sock");
    let stranger = [as_user(STRANGER), curl(&there)].concat();
    let stranger: Vec<_> = stranger.iter().map(|word| format!("'{word}'")).collect();
    let mut command = stage.s.command("ssh");
    command.env("KEYFOB_AGENT", &there).env("KEYFOB_HOME", stage.s.path().join("none"));
    command.args([
        "-F",
        "none",
        "-o",
        "IdentitiesOnly=yes",
        "-o",
        "BatchMode=yes",
        "-o",
        "ExitOnForwardFailure=yes",
        "-i",
    ]);
    command.arg(&user).args(["-o", &format!("UserKnownHostsFile={}", known.display()), "-o", &server]);
    command.args(["-o", "SendEnv=KEYFOB_* CLAUDE_LOCAL_* USE_LOCAL_OAUTH"]);
    command.args(["-R", &format!("{there}:{}", stage.socket()), "root@there"]);
    command.arg(format!("cd / && '{}' token && {}", program(), stranger.join(" ")));
    let ran = Ran::from(command.output().expect("OpenSSH"));
    let (token, answer) = ran.out.split_once('\n').unwrap_or_else(|| panic!("{ran:?}"));
    assert_eq!(token, stage.s.token(), "{ran:?}");
    let answer: Value = serde_json::from_str(answer).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    assert_eq!(answer["token"], stage.s.token());
    assert_eq!(stage.log(), [(ROOT, 200), (ROOT, 200)]);
}
