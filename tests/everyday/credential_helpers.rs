//! `keyfob credential-helper`: each tool in its own protocol, under the name by which the tool finds it, and for the hosts of
//! the environment alone.
#![expect(clippy::disallowed_methods, reason = "tests start real programs")]

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    os::unix::{ffi::OsStrExt as _, fs::symlink},
    path::PathBuf,
    process::{Command, Output, Stdio},
    sync::mpsc,
    thread,
};

use keyfob_testkit::{Sandbox, now, stderr, token_requests};
use serde_json::{Value, json};

const HOST: &str = "git.company.example";

/// Signed in, and the token may also go to `HOST` by https and to these.
fn signed_in(others: &[&str]) -> Sandbox {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let own = format!("https://{HOST}");
    let hosts: Vec<_> = others.iter().copied().chain([own.as_str()]).collect();
    let config = format!("[environments.local]\nhosts = {}\n", json!(hosts));
    fs::write(s.home.path().join("keyfob/config.toml"), config).expect("ours");
    s
}

/// The program under another name, in a directory of such.
fn link(s: &Sandbox, name: &str) -> PathBuf {
    let dir = s.home.path().join("names");
    fs::create_dir_all(&dir).expect("ours");
    let path = dir.join(name);
    if fs::symlink_metadata(&path).is_err() {
        symlink(keyfob_testkit::program(), &path).expect("ours");
    }
    path
}

fn feed(mut command: Command, input: &str) -> Output {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    // Whoever refuses the words alone reads nothing.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    child.wait_with_output().expect("it ends")
}

/// Under its name and as a command of keyfob: both say the same.
#[track_caller]
fn ask(s: &Sandbox, name: &str, tool: &str, words: &[&str], input: &str) -> Output {
    let mut named = s.command(link(s, name));
    named.args(words);
    let named = feed(named, input);
    let typed = s.feed(&[&["credential-helper", tool], words].concat(), input);
    assert_eq!(named, typed, "{words:?}");
    named
}

fn answer(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

/// What real git gets or says, with `git-credential-keyfob` as its only helper.
fn git(s: &Sandbox, act: &str, question: &str) -> String {
    let link = link(s, "git-credential-keyfob");
    let mut git = s.command("git");
    let path = format!(
        "{}:{}",
        link.parent().expect("a directory").display(),
        std::env::var("PATH").expect("a path")
    );
    git.args(["-c", "credential.helper=", "-c", "credential.helper=keyfob", "credential", act])
        .current_dir(s.home.path())
        .env("PATH", path)
        .envs([
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ]);
    let output = feed(git, question);
    assert!(!stderr(&output).contains("error:"), "{}", stderr(&output));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn git_sends_the_token_as_the_host_wants_it() {
    let s = signed_in(&[]);
    let token = s.token();
    let asked = |more: &str| git(&s, "fill", &format!("{more}protocol=https\nhost={HOST}\n\n"));
    let basic = asked("");
    assert!(basic.contains(&format!("username=oauth2\npassword={token}\n")), "{basic}");
    for challenge in ["", "wwwauth[]=Bearer realm=\"git\"\n"] {
        let bearer = asked(&format!("capability[]=authtype\n{challenge}"));
        for line in ["authtype=Bearer\n", &format!("credential={token}\n"), "ephemeral=1\n"] {
            assert!(bearer.contains(line), "{line} in {bearer}");
        }
        assert!(!bearer.contains("password="), "{bearer}");
    }
    let basic = asked("capability[]=authtype\nwwwauth[]=Basic realm=\"git\"\n");
    assert!(basic.contains(&format!("password={token}\n")) && !basic.contains("authtype="), "{basic}");
    let other = git(&s, "fill", "capability[]=authtype\nprotocol=https\nhost=evil.example\n\n");
    assert!(!other.contains(&token), "{other}");
}

/// What the host refused is renewed once, whoever says so again, and only if it is what keyfob would hand out.
#[test]
fn git_says_that_a_token_was_refused() {
    let s = signed_in(&[]);
    let token = s.token();
    let before = token_requests(&s.server);
    let basic = |host: &str, token: &str| {
        format!("protocol=https\nhost={host}\nusername=oauth2\npassword={token}\n\n")
    };
    git(&s, "reject", &basic("evil.example", &token));
    git(&s, "reject", &basic(HOST, "kdev-at.invented"));
    git(&s, "approve", &basic(HOST, &token));
    assert_eq!((s.token(), token_requests(&s.server)), (token.clone(), before), "nothing was refused");
    git(&s, "reject", &basic(HOST, &token));
    let next = s.token();
    assert_ne!(next, token);
    git(&s, "reject", &basic(HOST, &token));
    assert_eq!((s.token(), token_requests(&s.server)), (next.clone(), before + 1), "it is not the newest");
    let bearer =
        format!("capability[]=authtype\nprotocol=https\nhost={HOST}\nauthtype=Bearer\ncredential={next}\n\n");
    git(&s, "reject", &bearer);
    assert_ne!(s.token(), next);
    assert_eq!(token_requests(&s.server), before + 2);
}

#[test]
fn bazel_gets_headers_for_an_address() {
    let s = signed_in(&[]);
    let ask = |action: &str, question: &str| ask(&s, "bazel-credential-keyfob", "bazel", &[action], question);
    let token = s.token();
    for uri in
        [format!("https://{HOST}/cache/a"), format!("grpcs://{HOST}/google.bytestream.ByteStream/Read")]
    {
        let answer = answer(&ask("get", &json!({ "uri": uri, "added": "later" }).to_string()));
        assert_eq!(answer["headers"]["Authorization"], json!([format!("Bearer {token}")]), "{answer}");
        assert_eq!(answer["expires"], s.json(&["token"])["expires_at"]);
    }
    for (action, question) in [
        ("get", r#"{"uri":"https://evil.example/a"}"#),
        ("get", r#"{"uri":"http://git.company.example/a"}"#),
        ("get", r#"{"uri":"https://git.company.example@evil.example/"}"#),
        ("get", r#"{"url":"https://git.company.example/a"}"#),
        ("get", ""),
        ("set", r#"{"uri":"https://git.company.example/a"}"#),
    ] {
        let refused = ask(action, question);
        assert_eq!(refused.status.code(), Some(2), "{question}: {refused:?}");
        assert!(refused.stdout.is_empty() && !stderr(&refused).is_empty(), "{refused:?}");
    }
}

#[test]
fn docker_gets_a_name_and_a_secret() {
    let s = signed_in(&[]);
    let ask =
        |action: &str, question: &str| ask(&s, "docker-credential-keyfob", "docker", &[action], question);
    let token = s.token();
    let own = s.server.base_url().replacen("http://", "", 1);
    for server in [HOST, &format!("https://{HOST}/v2/\n"), &own] {
        let is = json!({ "ServerURL": server.trim(), "Username": "oauth2", "Secret": token });
        assert_eq!(answer(&ask("get", server)), is);
    }
    for server in ["evil.example", "git.company.example.evil.example", "git.company.example:8443", ""] {
        let none = ask("get", server);
        assert_eq!(none.status.code(), Some(1));
        assert_eq!(none.stdout, b"credentials not found in native keychain\n", "{server}");
    }
    assert_eq!(answer(&ask("list", "")), json!({}));
    for action in ["store", "erase", "other"] {
        let refused = ask(action, HOST);
        assert_eq!(refused.status.code(), Some(2));
        assert!(stderr(&refused).contains(&format!("`{action}`")), "{refused:?}");
    }
    s.out(&["logout"]);
    let over = ask("get", HOST);
    assert_eq!(over.status.code(), Some(4));
    assert!(!over.stdout.is_empty(), "docker shows what is on standard output");
}

#[test]
fn terraform_gets_a_token_for_a_host() {
    let s = signed_in(&["https://tf.company.example:8443"]);
    let ask = |words: &[&str]| ask(&s, "terraform-credentials-keyfob", "terraform", words, "");
    let token = json!({ "token": s.token() });
    for words in
        [&["get", HOST][..], &["get", "tf.company.example:8443"], &["--profile", "default", "get", HOST]]
    {
        assert_eq!(answer(&ask(words)), token, "{words:?}");
    }
    for host in ["evil.example", "tf.company.example", "git.company.example@evil.example"] {
        let none = ask(&["get", host]);
        assert_eq!((answer(&none), none.status.code()), (json!({}), Some(0)), "{host}");
    }
    for words in [&["store", HOST][..], &["forget", HOST], &["other", HOST], &["get"]] {
        let refused = ask(words);
        assert_eq!((refused.status.code(), refused.stdout.is_empty()), (Some(2), true), "{words:?}");
    }
}

#[test]
fn cargo_speaks_in_lines() {
    let s = signed_in(&[]);
    let ask = |lines: &[Value]| -> Vec<Value> {
        let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let output = ask(&s, "cargo-credential-keyfob", "cargo", &["--cargo-plugin"], &lines);
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).expect("text");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    };
    let request = |v: u32, kind: &str, url: &str| {
        let registry = json!({ "index-url": url, "name": "company", "headers": ["WWW-Authenticate: x"] });
        json!({ "v": v, "kind": kind, "operation": "read", "registry": registry, "args": [] })
    };
    let url = format!("sparse+https://{HOST}/index/");
    let answers = ask(&[
        request(1, "get", &url),
        request(1, "get", "sparse+https://evil.example/index/"),
        request(1, "login", &url),
        request(2, "get", &url),
        json!("?"),
    ]);
    assert_eq!(answers[0], json!({ "v": [1] }));
    let now = now();
    let expiration = answers[1]["Ok"]["expiration"].as_i64().expect("it ends");
    assert!(expiration > now, "{expiration}");
    let is = json!({
        "kind": "get", "token": format!("Bearer {}", s.token()), "cache": "expires",
        "expiration": expiration, "operation_independent": true,
    });
    assert_eq!(answers[1], json!({ "Ok": is }));
    assert_eq!(answers[2], json!({ "Err": { "kind": "url-not-supported" } }));
    assert_eq!(answers[3], json!({ "Err": { "kind": "operation-not-supported" } }));
    assert_eq!((&answers[4]["Err"]["kind"], &answers[5]["Err"]["kind"]), (&json!("other"), &json!("other")));
    assert_eq!(answers.len(), 6);
    s.out(&["logout"]);
    let over = &ask(&[request(1, "get", &url)])[1]["Err"];
    assert_eq!(over["kind"], "other");
    assert!(over["caused-by"].to_string().contains("keyfob login"), "{over}");
}

/// A registry that wants a token for everything: the requests it gets, each with its header `Authorization`.
fn registry() -> (String, mpsc::Receiver<(String, Option<String>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("bound"));
    let (sender, requests) = mpsc::channel();
    let address = base.clone();
    let answer = move || {
        for stream in listener.incoming().flatten() {
            let _ = serve(stream, &address, &sender);
        }
    };
    thread::Builder::new().spawn(answer).expect("a thread");
    (base, requests)
}

fn serve(
    mut stream: TcpStream,
    base: &str,
    sender: &mpsc::Sender<(String, Option<String>)>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let target = lines.next().transpose()?.unwrap_or_default();
    let target = target.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut given = None;
    while let Some(line) = lines.next().transpose()?.filter(|line| !line.is_empty()) {
        if let Some((name, value)) = line.split_once(": ")
            && name.eq_ignore_ascii_case("authorization")
        {
            given = Some(value.to_owned());
        }
    }
    let (status, body) = match (target.as_str(), &given) {
        (_, None) => ("401 Unauthorized", json!({})),
        ("/index/config.json", _) => ("200 OK", json!({ "dl": base, "api": base, "auth-required": true })),
        _ => ("200 OK", json!({ "users": [{ "id": 1, "login": "ada", "name": "Ada" }] })),
    };
    let _ = sender.send((target, given));
    let body = body.to_string();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Real cargo asks a registry who owns a crate: with the token where it may go, and not at all where it may not.
#[test]
fn cargo_asks_for_its_registry() {
    for may in [true, false] {
        let (base, requests) = registry();
        let s = signed_in(&[base.as_str()][usize::from(!may)..]);
        let mut cargo = s.command(env!("CARGO"));
        cargo
            .args(["owner", "--list", "brooch", "--registry", "company"])
            .current_dir(s.home.path())
            .env("CARGO_HOME", s.home.path().join("cargo"))
            .env("CARGO_REGISTRIES_COMPANY_INDEX", format!("sparse+{base}/index/"))
            .env("CARGO_REGISTRIES_COMPANY_CREDENTIAL_PROVIDER", link(&s, "cargo-credential-keyfob"));
        let output = feed(cargo, "");
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.success(), may, "{output:?}");
        assert_eq!(told.contains("ada (Ada)"), may, "{output:?}");
        let given: Vec<_> = requests.try_iter().collect();
        let header = format!("Bearer {}", s.token());
        let last =
            given.iter().filter_map(|(target, given)| given.as_deref().map(|given| (&**target, given)));
        let wanted: &[_] = if may {
            &[("/index/config.json", &*header), ("/api/v1/crates/brooch/owners", &*header)]
        } else {
            &[]
        };
        assert_eq!(last.collect::<Vec<_>>(), wanted, "{given:?}");
    }
}

#[test]
fn a_server_of_claude_codes_gets_its_headers() {
    let s = signed_in(&[]);
    let headers = |server: &str| {
        let mut command = s.keyfob(["header", "--format", "headers-helper"]);
        let output = command.env("CLAUDE_CODE_MCP_SERVER_URL", server).output().expect("it runs");
        assert!(output.status.success(), "{output:?}");
        answer(&output)
    };
    let own = json!({ "Authorization": format!("Bearer {}", s.token()) });
    for server in [&*format!("https://{HOST}/mcp"), &format!("{}/mcp", s.server.base_url()), ""] {
        assert_eq!(headers(server), own, "{server}");
    }
    for server in ["https://evil.example/mcp", "http://git.company.example/mcp", "git.company.example"] {
        assert_eq!(headers(server), json!({}), "{server}");
    }
    let mut command = s.keyfob(["header", "--format", "headers-helper"]);
    command.env("CLAUDE_CODE_MCP_SERVER_URL", OsStr::from_bytes(b"https://git.company.example/\xff"));
    assert_eq!(answer(&command.output().expect("it runs")), json!({}), "what is no text is no host");
    assert_eq!(s.output(&["header", "--json", "--format", "headers-helper"]).status.code(), Some(2));
}

/// pnpm asks without a word: what it is told goes where its own configuration has it.
#[test]
fn pnpm_gets_the_token() {
    let s = signed_in(&[]);
    let got = ask(&s, "pnpm-credential-keyfob", "pnpm", &[], "");
    assert_eq!(String::from_utf8_lossy(&got.stdout), format!("{}\n", s.token()));
    s.out(&["logout"]);
    let over = ask(&s, "pnpm-credential-keyfob", "pnpm", &[], "");
    assert_eq!((over.status.code(), over.stdout.is_empty()), (Some(4), true));
}

#[test]
fn pip_and_uv_get_a_password_for_an_index() {
    let s = signed_in(&[]);
    let ask = |words: &[&str]| {
        let got = ask(&s, "keyring", "keyring", words, "");
        (got.status.code(), String::from_utf8(got.stdout).expect("text"))
    };
    let token = s.token();
    let index = format!("https://{HOST}/simple/");
    assert_eq!(ask(&["get", &index, "oauth2"]), (Some(0), format!("{token}\n")));
    assert_eq!(ask(&["--mode", "creds", "get", &index]), (Some(0), format!("oauth2\n{token}\n")));
    for words in [
        &["get", "https://evil.example/simple/", "oauth2"][..],
        &["get", "http://git.company.example/simple/", "oauth2"],
        // What pip and uv ask next, for that address too: they would send it by http.
        &["get", HOST, "oauth2"],
        &["--mode", "creds", "get", HOST],
        &["get", "https://git.company.example@evil.example/", "oauth2"],
        &["get", &index, "somebody"],
        &["--mode", "creds", "get", "https://evil.example/"],
    ] {
        assert_eq!(ask(words), (Some(1), String::new()), "{words:?}");
    }
    for words in [&["set", &index, "oauth2"][..], &["get", &index], &[]] {
        assert_eq!(ask(words), (Some(2), String::new()), "{words:?}");
    }
}

/// AIP-4117: what is wrong is said in the form too.
#[test]
fn google_gets_the_id_token() {
    let s = Sandbox::new();
    let config = "[environments.local]\nscopes = [\"openid\", \"offline_access\"]\n";
    fs::create_dir_all(s.home.home()).expect("ours");
    fs::write(s.home.home().join("config.toml"), config).expect("ours");
    let asked = |kind: Option<&str>| {
        let mut command = s.keyfob(["credential-helper", "google"]);
        command.envs(kind.map(|kind| ("GOOGLE_EXTERNAL_ACCOUNT_TOKEN_TYPE", kind)));
        let output = command.output().expect("it runs");
        assert!(output.status.success(), "{output:?}");
        answer(&output)
    };
    let nobody = asked(None);
    assert_eq!((&nobody["version"], &nobody["success"]), (&json!(1), &json!(false)));
    assert_eq!(nobody["code"], "login-needed");
    assert!(nobody["message"].as_str().is_some_and(|text| text.contains("keyfob login")), "{nobody}");
    s.login();
    let token = s.json(&["token", "--id-token"]);
    for kind in [None, Some("id_token"), Some("jwt")] {
        let kind = kind.map(|kind| format!("urn:ietf:params:oauth:token-type:{kind}"));
        let got = asked(kind.as_deref());
        let is = kind.unwrap_or("urn:ietf:params:oauth:token-type:id_token".into());
        assert_eq!((&got["success"], &got["token_type"]), (&json!(true), &json!(is)));
        assert_eq!(got["id_token"], token["token"]);
        assert!(got["expiration_time"].as_i64().is_some_and(|end| end > now()), "{got}");
    }
    let saml = asked(Some("urn:ietf:params:oauth:token-type:saml2"));
    assert_eq!((&saml["success"], &saml["code"]), (&json!(false), &json!("usage")));
}

/// For a tool that is told nothing of hosts: the address is said where it is set up.
#[test]
fn a_token_for_an_address_is_for_a_host_of_the_environment() {
    let s = signed_in(&[]);
    let url = format!("https://{HOST}/v1/items");
    assert_eq!(s.out(&["token", "--for", &url]), format!("{}\n", s.token()));
    assert_eq!(s.out(&["header", "--for", &url]), s.out(&["header"]));
    for other in ["https://evil.example/", "http://git.company.example/", "git.company.example", ""] {
        for command in ["token", "header"] {
            let ran = keyfob_testkit::Ran::from(s.output(&[command, "--for", other, "--json"]));
            ran.failed(2, "usage");
        }
    }
}

/// systemd connects to a socket for `LoadCredential=` and reads to its end; a unit with `StandardOutput=socket` answers.
#[test]
fn a_socket_is_answered_with_the_token() {
    let s = signed_in(&[]);
    let (mut reader, writer) = std::os::unix::net::UnixStream::pair().expect("a pair");
    let mut command = s.keyfob(["token"]);
    let mut child = command.stdout(std::os::fd::OwnedFd::from(writer)).spawn().expect("it starts");
    // It holds the other end.
    drop(command);
    let mut text = String::new();
    std::io::Read::read_to_string(&mut reader, &mut text).expect("it ends");
    assert!(child.wait().expect("it ends").success());
    assert_eq!(text.trim_end(), s.token());
}
