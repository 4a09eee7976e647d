//! Every answer of `--json` matches its description: docs/json/keyfob.schema.json.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufReader, Read},
    process::Output,
};

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::{Value, json};

use keyfob_testkit::Sandbox;

const FILE: &str = "file:///keyfob.schema.json";

/// The descriptions, and which of them were seen.
struct Described {
    text: Value,
    schemas: Schemas,
    compiled: Vec<(String, SchemaIndex)>,
    seen: BTreeSet<String>,
}

impl Described {
    fn read() -> Self {
        let text: Value =
            serde_json::from_str(include_str!("../../docs/json/keyfob.schema.json")).expect("JSON");
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.enable_format_assertions();
        compiler.add_resource(FILE, text.clone()).expect("a schema");
        let names = text["$defs"].as_object().expect("descriptions").keys().cloned();
        let compiled = names
            .map(|name| {
                let index = compiler.compile(&format!("{FILE}#/$defs/{name}"), &mut schemas);
                (name.clone(), index.unwrap_or_else(|error| panic!("{name}: {error}")))
            })
            .collect();
        Self { text, schemas, compiled, seen: BTreeSet::new() }
    }

    #[track_caller]
    fn check(&mut self, name: &str, answer: &Value) {
        let (_, index) = self.compiled.iter().find(|(known, _)| known == name).expect("a description");
        if let Err(error) = self.schemas.validate(answer, *index) {
            panic!("{name}: {error:#}\n{answer:#}");
        }
        self.all_described(&self.text["$defs"][name], answer, name);
        self.seen.insert(name.to_owned());
    }

    /// No member is undocumented.
    fn all_described(&self, schema: &Value, answer: &Value, at: &str) {
        if let Some(to) = schema["$ref"].as_str() {
            let name = to.strip_prefix("#/$defs/").expect("a description of this file");
            return self.all_described(&self.text["$defs"][name], answer, at);
        }
        let either = schema["anyOf"].as_array().and_then(|all| all.iter().find(|one| one["type"] != "null"));
        if let Some(described) = either {
            return self.all_described(described, answer, at);
        }
        if let (Some(described), Some(members)) = (schema["properties"].as_object(), answer.as_object()) {
            for (name, value) in members {
                let member =
                    described.get(name).unwrap_or_else(|| panic!("{at}.{name} is described nowhere"));
                self.all_described(member, value, &format!("{at}.{name}"));
            }
        }
        for one in answer.as_array().into_iter().flatten() {
            self.all_described(&schema["items"], one, &format!("{at}[]"));
        }
    }

    /// One document on standard output, and its type.
    #[track_caller]
    fn is(&mut self, name: &str, output: &Output) -> Value {
        let out = String::from_utf8(output.stdout.clone()).expect("text");
        let answer: Value = serde_json::from_str(&out).unwrap_or_else(|error| {
            panic!("{name}: {error}: {out:?} {}", String::from_utf8_lossy(&output.stderr))
        });
        self.check(name, &answer);
        answer
    }
}

/// A run that opens a page, or shows a code: its event is described too.
fn signs_in(s: &Sandbox, described: &mut Described, words: &[&str]) -> Output {
    let mut child = s.keyfob(words).spawn().expect("it starts");
    let mut messages = BufReader::new(child.stderr.take().expect("a pipe"));
    let (mut said, event) = keyfob_testkit::event(&mut messages);
    described.check_event(&event);
    if let Some(code) = event["user_code"].as_str() {
        // Unless this provider says yes to everybody.
        let _ = s.server.approve_device(code, "dev@example.com");
    } else {
        let agent = ureq::Agent::config_builder().proxy(None).build().new_agent();
        let _ = agent.get(event["url"].as_str().expect("an address")).call();
    }
    messages.read_to_string(&mut said).expect("text");
    Output { stderr: said.into(), ..child.wait_with_output().expect("it ends") }
}

impl Described {
    fn check_event(&mut self, event: &Value) {
        let (_, index) = self.compiled.iter().find(|(known, _)| known == "event").expect("a description");
        assert!(self.schemas.validate(event, *index).is_ok(), "{event}");
        self.seen.insert("event".into());
    }
}

#[test]
fn every_answer_in_json_is_what_its_description_says() {
    let mut d = Described::read();
    let s = Sandbox::new();
    let run = |words: &[&str], variables: &[(&str, &str)]| {
        let words: Vec<_> = words.iter().copied().chain(["--json"]).collect();
        s.keyfob(words).envs(variables.iter().copied()).output().expect("it runs")
    };
    // Before anybody has signed in, and mistakes of every kind.
    d.is("failure", &run(&["token"], &[]));
    d.is("failure", &run(&["logn"], &[]));
    d.is("failure", &run(&["token", "--min-valid", "5m"], &[]));
    d.is("failure", &run(&["switch", "nope"], &[]));
    d.is("status", &run(&["status"], &[]));
    d.is("whoami", &run(&["whoami"], &[]));
    d.is("profiles", &run(&["profiles"], &[]));

    let login = signs_in(&s, &mut d, &["login", "--no-browser", "--json"]);
    assert_eq!(d.is("login", &login)["identity"]["email"], "dev@example.com");
    let login = signs_in(&s, &mut d, &["login", "--device", "--json"]);
    assert_eq!(d.is("login", &login)["identity"]["email"], "dev@example.com");
    // What they do is not theirs to describe; that they could not is.
    let fails = |words: &[&str]| s.keyfob(["--json"].iter().chain(words)).output().expect("it runs");
    d.is("failure", &fails(&["exec", "--", "no-such-program"]));
    d.is("failure", &fails(&["connect", "wss://elsewhere.example/"]));
    let mut warned = s.keyfob(["switch", "default", "--json"]);
    let warned = d.is("switch", &warned.env("KEYFOB_PROFILE", "other").output().expect("it runs"));
    assert_eq!(warned["warnings"][0]["id"], "usage", "{warned}");
    for words in [&["status"][..], &["status", "--all", "--verify"], &["status", "--remote"]] {
        d.is("status", &run(words, &[]));
    }
    d.is("status", &run(&["status"], &[("CLAUDE_CODE_ACCOUNT_UUID", "7")]));
    d.is("status", &run(&["status"], &[("ANTHROPIC_API_KEY", "kdev-ak-invented")]));
    d.is("whoami", &run(&["whoami"], &[]));
    d.is("whoami", &run(&["whoami"], &[("ANTHROPIC_API_KEY", "kdev-ak-invented")]));
    d.is("profiles", &run(&["profiles"], &[]));

    let inspect = |token: &str| s.feed(&["inspect", "--json"], token);
    d.is("inspect", &inspect("opaque"));
    d.is("inspect", &inspect("eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UiLCJleHAiOjEzMDA4MTkzODB9."));
    for words in [
        &["setup", "kubernetes", "--dry-run"][..],
        &["setup", "kubernetes"],
        &["setup", "kubernetes", "--undo"],
        &["setup", "terraform"],
        &["setup", "terraform", "--undo"],
    ] {
        d.is("setup", &run(words, &[]));
    }

    // One answer of both, and its handle is taken back.
    let (token, header) =
        (d.is("credential", &run(&["token"], &[])), d.is("credential", &run(&["header"], &[])));
    for same in
        ["token", "headers", "handle", "source", "login", "generation", "expires_at", "shadows", "considered"]
    {
        assert_eq!(token[same], header[same], "{same}");
    }
    assert_eq!(token["headers"][0]["name"], "Authorization");
    assert!(token["expires_in"].as_i64().is_some_and(|left| (3000..=3600).contains(&left)), "{token}");
    let handle = header["handle"].as_str().expect("a handle");
    let renewed = d.is("credential", &run(&["header", "--rejected", handle], &[]));
    assert_ne!(renewed["token"], token["token"]);
    let key = d.is("credential", &run(&["token"], &[("ANTHROPIC_API_KEY", "kdev-ak-invented")]));
    assert_eq!((&key["handle"], &key["headers"][0]["name"]), (&Value::Null, &json!("X-Api-Key")));

    d.is("env", &run(&["env"], &[]));
    d.is("env", &run(&["env"], &[("USE_LOCAL_OAUTH", "yes")]));
    d.is("doctor", &run(&["doctor"], &[]));
    d.is("device", &run(&["device", "status"], &[]));
    d.is("device-enroll", &run(&["device", "enroll", "--name", "desk"], &[]));
    d.is("device", &run(&["device", "status"], &[]));
    d.is("device-forget", &run(&["device", "forget"], &[]));

    let file = s.path().join("minted");
    let path = file.to_str().expect("text");
    let words = ["setup-token", "--no-browser", "--name", "ci", "--out", path, "--json"];
    let minted = signs_in(&s, &mut d, &words);
    assert_eq!(d.is("setup-token", &minted)["token"], Value::Null);
    let words = ["setup-token", "--no-browser", "--name", "job", "--json"];
    let minted = signs_in(&s, &mut d, &words);
    assert!(d.is("setup-token", &minted)["token"].is_string());
    assert_eq!(d.is("setup-token-list", &run(&["setup-token", "list"], &[]))["tokens"][0]["name"], "ci");
    let mut revoke = s.keyfob(["setup-token", "revoke", "ci", "--json"]);
    revoke.stdin(fs::File::open(&file).expect("the token"));
    d.is("setup-token-revoke", &revoke.output().expect("it runs"));

    d.is("rename", &run(&["profiles", "rename", "default", "ada"], &[]));
    d.is("switch", &run(&["switch", "ada"], &[]));
    d.is("logout", &run(&["profiles", "remove", "ada"], &[]));
    d.is("logout", &run(&["logout"], &[]));

    for words in [
        &["man"][..],
        &["man", "config"],
        &["man", "--install"],
        &["man", "--uninstall"],
        &["man", "--uninstall"],
        &["completions", "bash"],
        &["completions", "fish", "--install"],
        &["completions", "fish", "--uninstall"],
        &["completions", "fish", "--uninstall"],
        &["env", "--markdown"],
        &["help"],
        &["help", "login"],
        &["version"],
        &[],
    ] {
        d.is("text", &run(words, &[]));
    }
    d.is("demo", &run(&["demo", "--yes"], &[]));
    let issuer = s.server.base_url();
    let words = ["init", "--no-login", "--issuer", &issuer, "--client-id", "keyfob-local", "mine"];
    let plain = s.keyfob(words.iter().copied().chain(["--json"])).env_remove("USE_LOCAL_OAUTH").output();
    d.is("init", &plain.expect("it runs"));
    d.is("init-seal", &run(&["init", "--seal", "kernel"], &[]));

    let mut server = s.keyfob(["dev-server", "--port", "0", "--json"]).spawn().expect("it starts");
    let mut line = String::new();
    let mut stdout = BufReader::new(server.stdout.take().expect("a pipe"));
    std::io::BufRead::read_line(&mut stdout, &mut line).expect("a line");
    server.kill().and_then(|()| server.wait()).expect("ours");
    d.check("dev-server", &serde_json::from_str(&line).expect("JSON"));

    let socket = s.path().join("doors/agent.sock");
    let mut agent = s.keyfob(["agent", "--json", "--socket"]).arg(&socket).spawn().expect("it starts");
    let mut line = String::new();
    let mut stdout = BufReader::new(agent.stdout.take().expect("a pipe"));
    std::io::BufRead::read_line(&mut stdout, &mut line).expect("a line");
    d.check("agent", &serde_json::from_str(&line).expect("JSON"));
    let named = [("KEYFOB_AGENT", socket.to_str().expect("text"))];
    // Nobody is signed in any more: the agent says so, and then lends what there is.
    d.is("agent-status", &run(&["agent", "status"], &named));
    d.is("status", &run(&["status"], &named));
    s.sign_in("default", "ada@example.com");
    d.is("agent-status", &run(&["agent", "status"], &named));
    let container = keyfob_testkit::Home::empty(&s.server);
    for (name, words) in [
        ("status", ["status", "--json"]),
        ("whoami", ["whoami", "--json"]),
        ("credential", ["token", "--json"]),
    ] {
        d.is(name, &container.keyfob(words).envs(named).output().expect("it runs"));
    }
    agent.kill().and_then(|()| agent.wait()).expect("ours");

    // The same with doors in the configuration; then nobody listens there any more.
    let config = s.path().join("keyfob/config.toml");
    let written = std::fs::read_to_string(&config).unwrap_or_default();
    std::fs::write(&config, format!("{written}\n[agent.doors.job]\nsocket = {socket:?}\n")).expect("ours");
    let mut agent = s.keyfob(["agent", "--json"]).spawn().expect("it starts");
    let mut line = String::new();
    let mut stdout = BufReader::new(agent.stdout.take().expect("a pipe"));
    std::io::BufRead::read_line(&mut stdout, &mut line).expect("a line");
    d.check("agent-doors", &serde_json::from_str(&line).expect("JSON"));
    d.is("agent-doors-status", &run(&["agent", "status"], &[]));
    agent.kill().and_then(|()| agent.wait()).expect("ours");
    d.is("agent-doors-status", &run(&["agent", "status"], &[]));
    let socket = format!("unix:{}", s.path().join("doors/proxy.sock").display());
    let mut proxy = s.keyfob(["proxy", "--json", "--listen", &socket]).spawn().expect("it starts");
    let mut line = String::new();
    let mut stdout = BufReader::new(proxy.stdout.take().expect("a pipe"));
    std::io::BufRead::read_line(&mut stdout, &mut line).expect("a line");
    d.check("proxy", &serde_json::from_str(&line).expect("JSON"));
    d.is("proxy-status", &run(&["proxy", "status", "--socket", &socket["unix:".len()..]], &[]));
    proxy.kill().and_then(|()| proxy.wait()).expect("ours");

    // The rest are parts of these.
    let parts = ["considered", "error", "note", "source", "state", "variable", "warnings", "winner"];
    let described = d.compiled.iter().map(|(name, _)| name.as_str());
    let unseen: Vec<_> = described.filter(|name| !d.seen.contains(*name) && !parts.contains(name)).collect();
    assert!(unseen.is_empty(), "described, and answered by nothing here: {unseen:?}");
}
