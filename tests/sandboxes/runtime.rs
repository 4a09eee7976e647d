//! Anthropic's sandbox-runtime, which Claude Code's own sandbox is made of, from npm: in it no unix socket can be opened, and the network
//! is what a proxy of its own lets through. Needs npm, socat and ripgrep.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use keyfob_testkit::{
    Ran, Sandbox, program,
    upstream::{Asked, Conversation, Upstream},
};
use serde_json::json;

use crate::Stage;

/// What starts a sandbox: its node, and its command.
fn runtime() -> &'static (PathBuf, PathBuf) {
    static PLACE: OnceLock<(PathBuf, PathBuf)> = OnceLock::new();
    PLACE.get_or_init(|| {
        let install = |source: &str, name: &str| {
            let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
            keyfob_testkit::npm(&Path::new(env!("CARGO_MANIFEST_DIR")).join(source), &place);
            place
        };
        let node = keyfob_testkit::node(&install("providers/oidc-provider", "oidc-provider"));
        let place = install("sandboxes/sandbox-runtime", "sandbox-runtime");
        (node, place.join("node_modules/@anthropic-ai/sandbox-runtime/dist/cli.js"))
    })
}

/// These words in front of a command start it in a sandbox that cannot read what is keyfob's.
fn sandbox(s: &Sandbox, name: &str, network: &serde_json::Value) -> Vec<PathBuf> {
    let (node, command) = runtime();
    let settings = s.path().join(name);
    let files = json!({ "denyRead": [s.home.home()], "allowWrite": [], "denyWrite": [] });
    fs::write(&settings, json!({ "network": network, "filesystem": files }).to_string()).expect("ours");
    vec![node.clone(), command.clone(), "--settings".into(), settings, "--".into(), "sh".into(), "-c".into()]
}

/// A script in it, which finds keyfob in `$KEYFOB`, and no login.
fn within(mut command: Command, s: &Sandbox, sandbox: &[PathBuf], script: &str) -> Ran {
    let (node, _) = runtime();
    command.args(sandbox).arg(format!("export KEYFOB_HOME=\"$ELSEWHERE\"; {script}"));
    command.env("KEYFOB", program()).env("ELSEWHERE", s.path().join("elsewhere")).env("NODE", node);
    command.env("LOGINS", s.home.home()).output().expect("it runs").into()
}

/// The descriptor of `exec --agent` comes through all of it, node among them; the socket of an agent that runs can be seen and not opened.
#[test]
fn sandbox_runtime_hands_on_a_descriptor_and_opens_no_socket() {
    let stage = Stage::new();
    let s = &stage.s;
    let closed = json!({ "allowedDomains": [], "deniedDomains": [] });
    let mut command = s.keyfob(["exec", "--agent", "--"]);
    command.env("SOCKET", stage.socket());
    let script = "\"$KEYFOB\" token; echo; \
         \"$NODE\" -p 'require(\"child_process\").execFileSync(process.env.KEYFOB, [\"token\"]).toString()'; \
         ls -A \"$LOGINS\"; [ -S \"$SOCKET\" ] && echo there; \
         curl -sS --unix-socket \"$SOCKET\" -H 'Keyfob: 1' http://keyfob/v1/status; echo $?; \
         KEYFOB_AGENT=$SOCKET \"$KEYFOB\" token; echo $?; env";
    let ran = within(command, s, &sandbox(s, "closed.json", &closed), script);
    let mut lines = ran.out.lines().filter(|line| !line.is_empty());
    let mut next = || lines.next().unwrap_or_default();
    assert_eq!([next(), next()], [&*s.token(), &*s.token()], "{ran:?}");
    assert_eq!([next(), next(), next()], ["there", "7", "6"], "{ran:?}");
    assert!(ran.err.contains("Operation not permitted"), "{ran:?}");
    assert!(ran.err.contains("`keyfob exec --agent`, or let it open unix sockets"), "{ran:?}");
    assert!(!lines.any(|line| line.contains(&s.token())), "{ran:?}");
    assert_eq!(stage.log(), []);

    // Where all sockets may be opened, a path is enough.
    let open = json!({ "allowedDomains": [], "deniedDomains": [], "allowAllUnixSockets": true });
    let mut command = s.command("env");
    command.env("KEYFOB_AGENT", stage.socket());
    let ran = within(command, s, &sandbox(s, "open.json", &open), "\"$KEYFOB\" token");
    assert_eq!(ran.out.trim_end(), s.token(), "{ran:?}");
    assert_eq!(stage.log(), [(crate::ROOT, 200)]);
}

fn nod(asked: &Asked, talk: &mut Conversation) {
    talk.body(asked);
    talk.answer(200, "", "fetched");
}

/// keyfob's proxy behind the sandbox's: the one address that is let through. What adds the credential to it is not reached past it.
#[test]
fn sandbox_runtime_reaches_the_proxy_and_nothing_else() {
    let api = Upstream::start(nod);
    let s = Sandbox::new();
    fs::create_dir_all(s.home.home()).expect("a directory");
    let hosts = format!("[environments.local]\nhosts = [\"{}\"]\n", api.origin());
    fs::write(s.home.home().join("config.toml"), hosts).expect("ours");
    s.sign_in("default", "ada@example.com");
    // Its address is known when it runs.
    let mut words = sandbox(&s, "unused.json", &json!({}));
    words[3] = "srt.json".into();
    let network = json!({ "allowedDomains": ["HOST"], "deniedDomains": [] });
    let files = json!({ "denyRead": [s.home.home()], "allowWrite": [], "denyWrite": [] });
    let settings = json!({ "network": network, "filesystem": files }).to_string();
    let before = "host=${ANTHROPIC_BASE_URL#http://}; printf %s \"$SETTINGS\" | sed \"s/HOST/$host/\" > srt.json; exec \"$@\"";
    let mut command = s.keyfob(["exec", "--proxy", "--to", &api.origin(), "--", "sh", "-c", before, "sh"]);
    command.env("SETTINGS", settings).env("API", api.origin());
    let script = "export NO_PROXY= no_proxy=; \
         ask() { printf 'x-api-key: %s\\n' \"$ANTHROPIC_AUTH_TOKEN\" | curl -sS -H @- \"$@\"; echo; }; \
         ask \"$ANTHROPIC_BASE_URL/v1/messages\"; ask -o /dev/null -w '%{http_code}' \"$API/v1/messages\"; \
         ls -A \"$LOGINS\"; env";
    let ran = within(command, &s, &words, script);
    let mut lines = ran.out.lines();
    assert_eq!([lines.next(), lines.next()], [Some("fetched"), Some("403")], "{ran:?}");
    assert!(lines.next().is_some_and(|line| line.contains('=')), "{ran:?}");
    assert!(!ran.out.contains(&s.token()), "{ran:?}");
    let asked = api.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].one("authorization"), Some(format!("Bearer {}", s.token()).as_str()));
}
