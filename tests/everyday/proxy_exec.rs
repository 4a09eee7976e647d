//! A program with a proxy beside it: what it has, what it has not, and how both end.

use std::process::Command;

use keyfob_testkit::{Ran, Sandbox, program, upstream::Upstream};

use crate::{
    agent_inherited::{ENDS_AT_A_SIGNAL, ends_as_it_is_told},
    proxy::{nod, signed_in},
};

/// A script with a proxy beside it.
fn command(s: &Sandbox, api: &Upstream, words: &[&str], script: &str) -> Command {
    let mut command = s.keyfob(["exec", "--proxy", "--to", &api.origin()]);
    command.args(words).args(["--", "bash", "-c", script]).env("KEYFOB", program());
    command
}

/// Asks once, by what bash alone can do.
const ASK: &str = "host=${ANTHROPIC_BASE_URL#http://}; host=${host%%/*}; exec 3<>/dev/tcp/${host%:*}/${host#*:}; \
     printf 'POST /v1/messages HTTP/1.1\\r\\nhost: x\\r\\nx-api-key: %s\\r\\ncontent-length: 0\\r\\nconnection: close\\r\\n\\r\\n' \
     \"$ANTHROPIC_AUTH_TOKEN\" >&3; cat <&3; ";

#[test]
fn a_program_has_an_address_and_a_token_of_this_run_alone() {
    let api = Upstream::start(nod);
    let s = signed_in(&api);
    let mut command = command(&s, &api, &[], &format!("{ASK} env; exit 7"));
    command.env("ANTHROPIC_API_KEY", "").env("CLAUDE_CODE_GATEWAY_TOKEN", "sesame-gateway");
    command.env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "sesame-github").env("NO_PROXY", "a.example");
    command.env_remove("no_proxy");
    let ran = Ran::from(command.output().expect("it runs"));
    assert!(ran.code == Some(7) && ran.out.starts_with("HTTP/1.1 200"), "{ran:?}");
    assert_eq!(api.asked()[0].one("authorization"), Some(format!("Bearer {}", s.token()).as_str()));
    assert!(!ran.out.contains(&s.token()) && !ran.out.contains("sesame"), "{ran:?}");
    let value = |name: &str| {
        let lines = ran.out.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(value("ANTHROPIC_BASE_URL")[0].starts_with("http://127.0.0.1:"), "{ran:?}");
    assert!(value("ANTHROPIC_AUTH_TOKEN")[0].starts_with("keyfob-run-"), "{ran:?}");
    for name in ["NO_PROXY", "no_proxy"] {
        assert_eq!(value(name), ["a.example,127.0.0.1"]);
    }
    for name in ["KEYFOB_HOME", "KEYFOB_PROFILE", "KEYFOB_AGENT", "KEYFOB_API_HEADERS", "KEYFOB_SEEDED_BY"] {
        assert!(value(name).is_empty(), "{name}: {ran:?}");
    }
}

#[test]
fn rules_and_a_path_hold_for_a_program_too() {
    let api = Upstream::start(nod);
    let s = signed_in(&api);
    let ran = Ran::from(command(&s, &api, &["--allow", "GET /v1/"], ASK).output().expect("it runs"));
    assert!(ran.out.starts_with("HTTP/1.1 403") && ran.out.contains("proxy-refused"), "{ran:?}");
    let mut below =
        s.keyfob(["exec", "--proxy", "--to", &format!("{}/api/", api.origin()), "--", "bash", "-c"]);
    let ran = Ran::from(below.arg("echo $ANTHROPIC_BASE_URL").output().expect("it runs"));
    assert!(ran.out.trim_end().ends_with("/api"), "{ran:?}");
    assert!(api.asked().is_empty());
}

/// An agent that keyfob could ask is none that its program could.
#[test]
fn an_inherited_agent_is_not_the_programs() {
    let api = Upstream::start(nod);
    let s = signed_in(&api);
    let below = "[ -e /proc/$$/fd/$N ] && echo open; echo \"agent=$KEYFOB_AGENT\"";
    let script = "export N=${KEYFOB_AGENT#fd:}; [ -e /proc/$$/fd/$N ] && echo inherited; \
                  \"$KEYFOB\" --home \"$H\" exec --proxy --to \"$TO\" -- sh -c \"$BELOW\"";
    let mut command = s.keyfob(["exec", "--agent", "--", "sh", "-c", script]);
    command.env("KEYFOB", program()).env("H", s.home.home()).env("TO", api.origin()).env("BELOW", below);
    let ran = Ran::from(command.output().expect("it runs"));
    assert_eq!(ran.out.trim_end(), "inherited\nagent=", "{ran:?}");
}

/// Two runs do not open each other's door.
#[test]
fn a_token_is_good_for_its_own_run() {
    let api = Upstream::start(nod);
    let s = signed_in(&api);
    let inner = format!(
        "\"$KEYFOB\" --home {} exec --proxy --to {} -- bash -c ",
        s.home.home().display(),
        api.origin()
    );
    let script = format!(
        "export OUTER=$ANTHROPIC_AUTH_TOKEN; unset ANTHROPIC_AUTH_TOKEN; {inner} 'ANTHROPIC_AUTH_TOKEN=$OUTER; {ASK}'"
    );
    let script = script.replace("'POST", "'\\''POST").replace("\\r\\n\\r\\n'", "\\r\\n\\r\\n'\\''");
    let mut command = command(&s, &api, &[], &script);
    let ran = Ran::from(command.output().expect("it runs"));
    assert!(ran.out.starts_with("HTTP/1.1 401"), "{ran:?}");
    assert!(api.asked().is_empty());
}

#[test]
fn it_ends_as_its_program_does() {
    let api = Upstream::start(nod);
    let s = signed_in(&api);
    let run = |script: &str| Ran::from(command(&s, &api, &[], script).output().expect("it runs"));
    assert_eq!(run("kill -KILL $$").code, Some(128 + 9));
    let absent = ["exec", "--proxy", "--to", &api.origin(), "--", "no-such-program"];
    assert_eq!(s.run(&absent).code, Some(127));
    ends_as_it_is_told(&mut command(&s, &api, &[], ENDS_AT_A_SIGNAL));
}

#[test]
fn nothing_is_started_without_a_login() {
    let api = Upstream::start(nod);
    let s = signed_in(&api);
    let refused = |command: &mut Command| {
        let ran = Ran::from(command.output().expect("it runs"));
        assert!(ran.out.is_empty(), "{ran:?}");
        (ran.code, ran.err)
    };
    let (code, err) = refused(command(&s, &api, &[], "echo started").env("ANTHROPIC_API_KEY", "kdev-ak-x"));
    assert!(code == Some(5) && err.contains("is no login"), "{err}");
    let (code, err) = refused(s.keyfob(["exec", "--allow", "/v1", "--", "echo", "started"]).env("X", "x"));
    assert!(code == Some(2) && err.contains("--proxy"), "{err}");
    s.out(&["logout"]);
    assert_eq!(refused(&mut command(&s, &api, &[], "echo started")).0, Some(4));
}

/// Two APIs, each with its own variables and rules.
#[test]
fn a_program_has_what_the_configuration_names() {
    let (one, two) = (Upstream::start(nod), Upstream::start(nod));
    let s = signed_in(&one);
    let text = format!(
        "[environments.local]\nhosts = [\"{0}\", \"{1}\"]\n[proxy.one]\nto = \"{0}\"\nallow = [\"POST /v1/messages\"]\n\
         [proxy.two]\nto = \"{1}/v1\"\nbase_url_variable = \"OTHER_URL\"\ntoken_variable = \"OTHER_KEY\"\n",
        one.origin(),
        two.origin()
    );
    std::fs::write(s.home.home().join("config.toml"), text).expect("ours");
    let script = format!(
        "{ASK} ANTHROPIC_BASE_URL=$OTHER_URL; ANTHROPIC_AUTH_TOKEN=$OTHER_KEY; {ASK} echo $OTHER_URL"
    );
    let mut command = s.keyfob(["exec", "--proxy", "--", "bash", "-c", &script]);
    let ran = Ran::from(command.output().expect("it runs"));
    assert_eq!(ran.out.matches("HTTP/1.1 200").count(), 2, "{ran:?}");
    assert!(ran.out.trim_end().ends_with("/v1"), "{ran:?}");
    assert_eq!((one.asked().len(), two.asked().len()), (1, 1));
    // One process is a proxy for one of them.
    let ran = s.run(&["proxy"]);
    assert!(ran.code == Some(2) && ran.err.contains("one, two"), "{ran:?}");
    let ran = s.run(&["proxy", "--to", "three"]);
    assert!(ran.code == Some(2) && ran.err.contains("three"), "{ran:?}");
}
