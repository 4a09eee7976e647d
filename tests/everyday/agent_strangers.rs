//! Other users at the socket of an agent, and in the place of one. Real ones: this needs perl and the right to be another user.
#![expect(clippy::disallowed_methods, reason = "tests start real programs")]

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    process::{Child, Command},
};

use keyfob_testkit::{Home, Ran, program, until};

use crate::agent::{Agent, signed_in};

const STRANGER: u32 = 65534;

/// It ends with the test.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Strangers who say nothing: eight are listened to at a time, and the others are closed at once. Whoever may ask is answered
/// meanwhile.
#[test]
fn strangers_who_say_nothing_hold_eight_connections_and_no_more() {
    // Holds 24 connections, and makes a new one for each that is closed, until it is told to end.
    const SILENT: &str = "use Socket; use IO::Handle; my ($path, @lines) = shift; while (1) { for my $i (0 .. 23) { \
        my $line = $lines[$i]; if ($line) { my $in = ''; vec($in, fileno($line), 1) = 1; next unless select($in, undef, undef, 0); } \
        socket($line, AF_UNIX, SOCK_STREAM, 0) or die; connect($line, sockaddr_un($path)) or die; $lines[$i] = $line; } \
        select(undef, undef, undef, 0.05); }";
    let s = signed_in();
    let dir = tempfile::Builder::new().prefix("keyfob-doors-").tempdir_in("/tmp").expect("a directory");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("ours");
    let agent = Agent::begin(&s, &dir.path().join("for-all.sock"), &["--for-uid", "4711"]);
    let mut command = Command::new("perl");
    command.args(["-e", SILENT]).arg(&agent.socket).current_dir("/").uid(STRANGER).gid(STRANGER);
    let mut strangers = Ending(command.spawn().expect("perl, and the right to be another user"));
    let mut seen = 0;
    until("eight of them", || {
        assert!(strangers.0.try_wait().expect("ours").is_none(), "they go on");
        let told = s.json(&["agent", "status", "--socket", agent.socket.to_str().expect("text")]);
        let connections = told["connections"].as_u64().expect("a number");
        // One of them asks for this, and the one that asked before may not have been seen to go.
        assert!(connections <= 8 + 2, "{connections}");
        seen += u32::from(connections > 8);
        (seen >= 3).then_some(())
    });
    assert_eq!(agent.container(&s).token(), s.token());
}

/// unix(7): the credentials of a pair are those of its maker. A variable that names a descriptor of somebody else's is not
/// believed.
#[test]
fn a_pair_that_another_user_made_is_no_agent() {
    // Makes one as somebody else, and runs the command with an end of it.
    const MAKER: &str = "use Socket; use Fcntl; my $uid = shift; $> = $uid; \
        socketpair(my $ours, my $theirs, AF_UNIX, SOCK_STREAM, 0) or die; $> = 0; die if $uid && $> == $uid; \
        fcntl($theirs, F_SETFD, 0); $ENV{KEYFOB_AGENT} = 'fd:' . fileno($theirs); exec @ARGV";
    let s = signed_in();
    let container = Home::empty(&s.server);
    let by = |maker: u32| {
        let mut command = container.command("perl");
        command.args(["-e", MAKER, &maker.to_string(), program(), "token", "--json", "--wait", "1"]);
        Ran::from(command.output().expect("perl, and the right to be another user"))
    };
    let stranger = by(STRANGER);
    stranger.failed(3, "agent-unsafe");
    assert!(stranger.err.contains(&format!("user {STRANGER}")), "{stranger:?}");
    // One of its own is asked, and nobody has the other end.
    by(0).failed(6, "agent-absent");
}
