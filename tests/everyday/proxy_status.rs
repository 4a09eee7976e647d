//! What a proxy says of itself: to whoever may ask through it, to a collector, and to `keyfob doctor`.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    process::Command,
};

use keyfob_testkit::{
    Ran, Sandbox, until,
    upstream::{Asked, Conversation, Upstream},
};
use serde_json::{Value, json};

use crate::{
    metrics::Collector,
    proxy::{Proxy, may_go_to, nod, signed_in},
};

/// Answers as the path says, a number, and keeps one answer open at `/stream`.
fn statuses(asked: &Asked, talk: &mut Conversation) {
    talk.body(asked);
    match asked.path.trim_start_matches('/').parse() {
        Ok(status) => talk.answer(status, "", ""),
        Err(_) => {
            talk.say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nopen\r\n");
            talk.rest();
        }
    }
}

/// Begins an answer that does not end.
fn open(proxy: &Proxy) -> BufReader<std::net::TcpStream> {
    let mut stream = proxy.connect();
    let request = format!("GET /stream HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n", proxy.token);
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = BufReader::new(stream);
    let mut line = String::new();
    while !line.ends_with("open\r\n") {
        assert!(answer.read_line(&mut line).expect("a line") > 0, "{line}");
    }
    answer
}

fn status(s: &Sandbox, more: &[&str]) -> Command {
    let mut command = s.keyfob(["proxy", "status", "--info"]);
    command.arg(s.path().join("proxy.json")).args(more);
    command
}

#[test]
fn a_proxy_says_where_it_leads_and_how_much_it_was_asked() {
    let api = Upstream::start(statuses);
    let s = signed_in(&api);
    let proxy = Proxy::start(&s, &api, &["--allow", "/200", "--allow", "/404", "--allow", "/stream"]);
    for path in ["/200", "/200", "/404", "/500", "/500"] {
        proxy.get(path);
    }
    let stream = open(&proxy);
    let output = status(&s, &["--json"]).output().expect("it runs");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert_eq!((&told["pid"], &told["to"]), (&json!(proxy.child.id()), &json!(api.origin())));
    assert_eq!((&told["environment"], &told["profile"]), (&json!("local"), &json!("default")));
    assert_eq!(told["answered"], json!({"2xx": 3, "4xx": 1}), "{told}");
    assert_eq!(told["refused"], json!({"proxy-refused": 2}), "{told}");
    assert_eq!((&told["streams"], &told["source"]), (&json!(1), &json!("login")), "{told}");
    assert!(told["connections"].as_u64().is_some_and(|number| number >= 2), "{told}");
    assert_eq!(told["error"], Value::Null);
    for secret in [s.token(), proxy.token.clone(), "ada@example.com".into()] {
        assert!(!told.to_string().contains(&secret), "{told}");
    }
    let page = Ran::from(status(&s, &[]).output().expect("it runs"));
    let words = page.answer().split_whitespace().collect::<Vec<_>>().join(" ");
    for line in ["3 2xx, 1 4xx", "Refused: 2 proxy-refused.", "1 open stream now", "is valid until"] {
        assert!(words.contains(line), "{words}");
    }
    drop(stream);
    // It asks nobody, and nothing of it was forwarded.
    assert_eq!(api.asked().len(), 4);

    s.out(&["logout"]);
    let ended = Ran::from(status(&s, &["--json"]).output().expect("it runs"));
    assert!(ended.code == Some(4) && ended.out.contains("login-needed"), "{ended:?}");
    // Only who has the token of the run hears anything.
    let stranger = proxy.raw("GET /v1/status HTTP/1.1\r\nhost: keyfob\r\nkeyfob: 1\r\n\r\n");
    assert_eq!((stranger.status, &*stranger.id()), (401, "proxy-refused"));
    let head = format!("keyfob: 1\r\nauthorization: Bearer {}\r\nconnection: close\r\n", proxy.token);
    let other = proxy.raw(&format!("GET /v1/token HTTP/1.1\r\nhost: keyfob\r\n{head}\r\n"));
    assert_eq!((other.status, &*other.id()), (404, "proxy-refused"));
    drop(proxy);
    let gone = Ran::from(status(&s, &["--json"]).output().expect("it runs"));
    assert!(gone.code == Some(6) && gone.out.contains("does not answer"), "{gone:?}");
    let nowhere = Ran::from(s.keyfob(["proxy", "status"]).output().expect("it runs"));
    assert!(nowhere.code == Some(6) && nowhere.err.contains("start it: `keyfob proxy`"), "{nowhere:?}");
}

/// The usual socket needs no name.
#[test]
fn the_proxy_at_the_usual_socket_is_found() {
    let api = Upstream::start(nod);
    let s = signed_in(&api);
    let mut command = s.keyfob(["proxy", "--to", &api.origin()]);
    let mut proxy = command.spawn().expect("it starts");
    let mut line = String::new();
    BufReader::new(proxy.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    let told = s.json(&["proxy", "status"]);
    assert_eq!((&told["address"], &told["pid"]), (&json!(line.trim_end()), &json!(proxy.id())));
    proxy.kill().and_then(|()| proxy.wait()).expect("ours");
}

/// A proxy goes on, so it tells of what it does from time to time.
#[test]
fn a_proxy_sends_what_it_has_counted_by_origin_and_no_secret() {
    let api = Upstream::start(statuses);
    let s = signed_in(&api);
    let collector = Collector::new();
    let info = s.path().join("proxy.json");
    let mut command = s.keyfob(["proxy", "--to", &api.origin(), "--listen", "127.0.0.1:0", "--info"]);
    command.arg(&info).args(["--allow", "/200", "--allow", "/302", "--allow", "/404", "--allow", "/stream"]);
    command.env("OTEL_METRICS_EXPORTER", "otlp").env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint);
    command.env("OTEL_METRIC_EXPORT_INTERVAL", "200");
    let proxy = Proxy::listening(command, &info);
    for path in ["/200", "/404", "/other?secret", "/200"] {
        proxy.get(path);
    }
    s.expire();
    // Until nobody takes what was asked for a moment ago for new.
    until("a renewed credential", || {
        proxy.get("/302");
        let output = status(&s, &["--json"]).output().expect("it runs");
        let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        (told["renewed"] == 1).then_some(())
    });
    let stream = open(&proxy);
    let (mut sums, wanted) = ([0.0; 4], [3.0, 1.0, 1.0, 1.0]);
    let (mut is_open, mut reports) = (false, 0);
    while sums != wanted || !is_open {
        let report = collector.next();
        reports += 1;
        assert!(reports < 1000, "{sums:?}");
        assert!(!report.says(&s.token()) && !report.says(&proxy.token));
        for (name, number, attributes) in &report.points {
            // The renewal itself is counted with its account, as everywhere.
            if !name.starts_with("keyfob.proxy.") {
                continue;
            }
            let of = |name: &str| attributes.get(name).map(String::as_str);
            let at = match (name.as_str(), of("class"), of("error.type")) {
                ("keyfob.proxy.requests", Some("2xx"), None) => 0,
                ("keyfob.proxy.requests", Some("4xx"), None) => 1,
                ("keyfob.proxy.refusals", None, Some("proxy-refused")) => 2,
                ("keyfob.proxy.renewals", None, None) => 3,
                ("keyfob.proxy.requests", Some("3xx"), None) => continue,
                ("keyfob.proxy.streams", None, None) => {
                    is_open |= *number > 0.0;
                    continue;
                }
                _ => panic!("{name} {attributes:?}"),
            };
            // The path and its query are not among them.
            assert_eq!((of("origin"), attributes.len()), (Some(&*api.origin()), if at == 3 { 1 } else { 2 }));
            sums[at] += number;
        }
        assert!(sums.iter().zip(wanted).all(|(sum, wanted)| *sum <= wanted), "{sums:?}");
    }
    // That nothing is open any more is told too.
    drop(stream);
    until("no open stream", || {
        let report = collector.next();
        let mut streams = report.points.iter().filter(|(name, ..)| name == "keyfob.proxy.streams");
        streams.any(|(_, number, _)| *number == 0.0).then_some(())
    });
}

/// What the configuration says of proxies is tried before one is started.
#[test]
fn doctor_says_where_configured_proxies_could_not_go() {
    let api = Upstream::start(nod);
    let s = Sandbox::new();
    may_go_to(&s, &api);
    let config = s.home.home().join("config.toml");
    let more = format!(
        "[proxy.good]\nto = \"{}/v1\"\n[proxy.stray]\nto = \"https://evil.example\"\nbase_url_variable = \"STRAY\"\n\
         [proxy.odd]\nto = \"{}\"\nallow = [\"/a/../b\"]\nbase_url_variable = \"ODD\"\n",
        api.origin(),
        api.origin()
    );
    let text = fs::read_to_string(&config).expect("the configuration") + &more;
    fs::write(&config, text).expect("ours");
    let found = |s: &Sandbox| -> Vec<Value> {
        let output = s.keyfob(["doctor", "--json"]).output().expect("it runs");
        let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        let all = said["findings"].as_array().expect("a list").clone();
        let is_ours = |finding: &Value| finding["subject"].as_str().unwrap_or_default().starts_with("proxy ");
        all.into_iter().filter(is_ours).collect()
    };
    let before = found(&s);
    let names: Vec<_> = before.iter().map(|finding| finding["subject"].clone()).collect();
    assert_eq!(names, ["proxy good", "proxy odd", "proxy stray"]);
    assert_eq!(before[0]["state"], "note", "{before:?}");
    assert!(before[0].to_string().contains("nobody has signed in"), "{before:?}");
    assert_eq!(before[1]["error"]["id"], "config-malformed", "{before:?}");
    assert_eq!(before[2]["error"]["id"], "origin-refused", "{before:?}");
    s.sign_in("default", "ada@example.com");
    let after = found(&s);
    assert_eq!(after[0]["state"], "ok", "{after:?}");
    assert!(after[0].to_string().contains(&format!("{}/v1", api.origin())), "{after:?}");
}
