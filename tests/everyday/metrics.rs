//! Metrics over OTLP, as a collector sees them: decoded with OpenTelemetry's own definitions, from real requests.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Output, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use keyfob_dev::FaultKind;
use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::{KeyValue, any_value::Value as Any},
    metrics::v1::{NumberDataPoint, metric::Data, number_data_point::Value as Number},
};
use prost::Message as _;
use serde_json::json;

use keyfob_testkit::{Sandbox, stderr};

/// How long a report may take on a busy machine: reaching it is a failure.
const DEADLINE: Duration = Duration::from_secs(60);

/// One point: its metric, count or duration, and all attributes.
pub(crate) type Point = (String, f64, BTreeMap<String, String>);

/// One report: its path, its headers, its points.
pub(crate) struct Report {
    path: String,
    headers: BTreeMap<String, String>,
    resource: BTreeMap<String, String>,
    pub(crate) points: Vec<Point>,
}

impl Report {
    /// The points of a metric.
    fn of(&self, metric: &str) -> Vec<&Point> {
        self.points.iter().filter(|(name, ..)| name == metric).collect()
    }

    /// Whether a text occurs anywhere in it.
    pub(crate) fn says(&self, text: &str) -> bool {
        self.points.iter().any(|(_, _, said)| said.values().any(|value| value.contains(text)))
    }
}

pub(crate) struct Collector {
    pub(crate) endpoint: String,
    reports: Receiver<Report>,
}

impl Collector {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
        let (sender, reports) = channel();
        let collect = move || {
            for stream in listener.incoming().flatten() {
                if sender.send(receive(stream)).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().spawn(collect).expect("a thread");
        Self { endpoint, reports }
    }

    pub(crate) fn next(&self) -> Report {
        self.reports.recv_timeout(DEADLINE).expect("a report")
    }

    /// Runs the command with the standard variables that ask for metrics.
    fn run(&self, s: &Sandbox, words: &[&str], more: &[(&str, &str)]) -> Output {
        let mut command = s.keyfob(words);
        command.env("OTEL_METRICS_EXPORTER", "otlp").env("OTEL_EXPORTER_OTLP_ENDPOINT", &self.endpoint);
        command.envs(more.iter().copied()).output().expect("the command runs")
    }
}

/// Reads one request and answers it.
fn receive(stream: TcpStream) -> Report {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).expect("a request");
    let path = line.split(' ').nth(1).expect("a path").to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a header");
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers["content-length"].parse().expect("a length");
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("the whole body");
    let mut stream = reader.into_inner();
    stream
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        .expect("an answer");
    let said = ExportMetricsServiceRequest::decode(body.as_slice()).expect("protobuf of OTLP");
    let resource =
        said.resource_metrics[0].resource.as_ref().map(|r| texts(&r.attributes)).unwrap_or_default();
    Report { path, headers, resource, points: points(&said) }
}

fn points(said: &ExportMetricsServiceRequest) -> Vec<Point> {
    let scopes = said.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
    let mut points = Vec::new();
    for metric in scopes.flat_map(|scope| &scope.metrics) {
        match metric.data.as_ref().expect("data") {
            Data::Sum(sum) => {
                assert_eq!(sum.aggregation_temporality, 1, "delta: a run has no past");
                points.extend(sum.data_points.iter().map(|point| number(&metric.name, point)));
            }
            // What is so at the moment.
            Data::Gauge(gauge) => {
                points.extend(gauge.data_points.iter().map(|point| number(&metric.name, point)));
            }
            Data::Histogram(histogram) => points.extend(histogram.data_points.iter().map(|point| {
                assert_eq!(metric.unit, "s");
                (metric.name.clone(), point.sum.expect("a sum"), texts(&point.attributes))
            })),
            other => panic!("{other:?}"),
        }
    }
    points
}

fn number(name: &str, point: &NumberDataPoint) -> Point {
    let value = match point.value.expect("a value") {
        Number::AsInt(n) => n as f64,
        Number::AsDouble(x) => x,
    };
    (name.to_owned(), value, texts(&point.attributes))
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    attributes
        .iter()
        .filter_map(|attribute| match attribute.value.as_ref()?.value.as_ref()? {
            Any::StringValue(text) => Some((attribute.key.clone(), text.clone())),
            _ => None,
        })
        .collect()
}

/// A stored login whose access token has ended.
fn expire(s: &Sandbox) {
    let mut entries = fs::read_dir(s.logins()).expect("a store").flatten().map(|entry| entry.path());
    let path = entries.find(|path| path.extension().is_some_and(|e| e == "json")).expect("a record");
    let mut record: serde_json::Value =
        serde_json::from_slice(&fs::read(&path).expect("ours")).expect("JSON");
    record["issued_at"] = json!(1_000_000);
    record["expires_at"] = json!(1_003_600);
    fs::write(&path, record.to_string()).expect("ours");
}

#[test]
fn a_renewal_is_reported_by_whom_and_how_long() {
    let (s, collector) = (Sandbox::new(), Collector::new());
    s.sign_in("default", "ada@example.com");
    expire(&s);
    let ran = collector.run(&s, &["token", "--json"], &[("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=seven")]);
    assert!(ran.status.success(), "{}", stderr(&ran));
    let token: serde_json::Value = serde_json::from_slice(&ran.stdout).expect("JSON");

    // One of the process that renewed, one of the one that was asked: in any order.
    let reports = [collector.next(), collector.next()];
    for report in &reports {
        assert_eq!(report.path, "/v1/metrics");
        assert_eq!(report.headers["content-type"], "application/x-protobuf");
        assert_eq!(report.headers["x-tenant"], "seven");
        assert_eq!(report.resource["service.name"], "keyfob");
        assert!(!report.says(token["token"].as_str().expect("a token")), "no token is ever an attribute");
    }
    let whose = |said: &BTreeMap<String, String>| {
        assert_eq!(said["user.email"], "ada@example.com");
        assert!(said["user.account_id"].starts_with("acct_"), "{said:?}");
        assert_eq!(said["user.account_uuid"].len(), 36);
        assert_eq!(said["organization.id"].len(), 36);
    };
    let all = |metric: &str| reports.iter().flat_map(|report| report.of(metric)).cloned().collect::<Vec<_>>();
    let renewed = all("keyfob.renewals");
    let [(_, 1.0, renewed)] = renewed.as_slice() else { panic!("one") };
    assert_eq!(renewed["outcome"], "done");
    whose(renewed);
    let durations = all("keyfob.renewal.duration");
    let [(_, seconds, _)] = durations.as_slice() else { panic!() };
    assert!(*seconds > 0.0 && *seconds < 60.0, "{seconds}");
    let used = all("keyfob.credentials");
    let [(_, 1.0, used)] = used.as_slice() else { panic!("one") };
    assert_eq!(used["source"], "login");
    whose(used);
}

#[test]
fn what_fails_is_reported_by_its_id() {
    let (s, collector) = (Sandbox::new(), Collector::new());
    s.sign_in("default", "ada@example.com");
    expire(&s);
    s.server.inject(FaultKind::Status503, 1);
    let ran = collector.run(&s, &["token"], &[]);
    assert_eq!(ran.status.code(), Some(6), "{}", stderr(&ran));
    let report = collector.next();
    let [(_, 1.0, said)] = report.of("keyfob.renewals")[..] else { panic!("one renewal") };
    assert_eq!((said["outcome"].as_str(), said["error.type"].as_str()), ("failed", "unreachable"));
}

/// The contract: the account's two attributes and the address have an opt-out each.
#[test]
fn metrics_leave_out_attributes_that_are_switched_off() {
    let (s, collector) = (Sandbox::new(), Collector::new());
    fs::create_dir_all(s.home.path().join("keyfob")).expect("ours");
    fs::write(s.home.path().join("keyfob/config.toml"), "[telemetry]\nemail = false\n").expect("ours");
    s.sign_in("default", "ada@example.com");
    expire(&s);
    let ran = collector.run(&s, &["token"], &[("OTEL_METRICS_INCLUDE_ACCOUNT_UUID", "false")]);
    assert!(ran.status.success(), "{}", stderr(&ran));
    for report in [collector.next(), collector.next()] {
        assert!(!report.says("ada@example.com") && !report.says("acct_"));
        let (_, _, said) = &report.points[0];
        assert!(!said.contains_key("user.account_uuid") && said.contains_key("organization.id"), "{said:?}");
    }
}

#[test]
fn sign_ins_and_helper_runs_are_counted() {
    let (s, collector) = (Sandbox::new(), Collector::new());
    fs::create_dir_all(s.home.path().join("keyfob")).expect("ours");
    fs::write(s.home.path().join("keyfob/config.toml"), "api_key_helper = \"echo key-of-the-helper\"\n")
        .expect("ours");
    let ran = collector.run(&s, &["token"], &[("CLAUDE_CODE_ACCOUNT_TAGGED_ID", "acct_mine")]);
    assert!(ran.status.success(), "{}", stderr(&ran));
    let report = collector.next();
    let [(_, 1.0, said)] = report.of("keyfob.helper.runs")[..] else { panic!("one run") };
    assert_eq!((said["outcome"].as_str(), said["user.account_id"].as_str()), ("done", "acct_mine"));
    assert_eq!(report.of("keyfob.helper.duration").len(), 1);
    assert!(!report.says("key-of-the-helper"));

    let mut command = s.keyfob(["login", "--with-token", "refresh"]);
    command.env("OTEL_METRICS_EXPORTER", "otlp").env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    child.stdin.take().expect("a pipe").write_all(b"kdev-rt-invented\n").expect("it reads");
    assert_eq!(child.wait().expect("it ends").code(), Some(5));
    let report = collector.next();
    let [(_, 1.0, said)] = report.of("keyfob.sign_ins")[..] else { panic!("one sign-in") };
    assert_eq!((said["method"].as_str(), said["outcome"].as_str()), ("token", "failed"));
    assert_eq!(said["error.type"], "provider-refused");
}

/// Nothing is sent unless asked for, and a fresh token is no occasion. That nothing came is known when the report of
/// a later run has come.
#[test]
fn metrics_are_not_sent_unless_configured() {
    let (s, collector) = (Sandbox::new(), Collector::new());
    s.sign_in("default", "ada@example.com");
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.as_str());
    for exporter in ["", "none", "prometheus"] {
        expire(&s);
        let mut command = s.keyfob(["token"]);
        command.envs([endpoint, ("OTEL_METRICS_EXPORTER", exporter)]);
        assert!(command.output().expect("it runs").status.success());
    }
    assert!(collector.run(&s, &["token"], &[]).status.success(), "a fresh one");
    assert!(collector.run(&s, &["status"], &[]).status.success(), "no network");
    assert!(collector.run(&s, &["status", "--verify"], &[("OTEL_SERVICE_NAME", "last")]).status.success());
    // It counts nothing itself, so a renewal is the mark.
    expire(&s);
    assert!(collector.run(&s, &["token"], &[("OTEL_SERVICE_NAME", "last")]).status.success());
    for _ in 0..2 {
        assert_eq!(collector.next().resource["service.name"], "last", "nothing came before");
    }
}

/// A collector that never answers delays no caller: the command has ended while the collector still has its request.
#[test]
fn metrics_collector_that_does_not_respond_delays_no_command() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    expire(&s);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
    let mut command = s.keyfob(["token"]);
    command.env("OTEL_METRICS_EXPORTER", "otlp").env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
    command.env("OTEL_EXPORTER_OTLP_TIMEOUT", "60000");
    let ran = command.output().expect("it ends, and so do its streams");
    assert!(ran.status.success(), "{}", stderr(&ran));
    let (mut request, _) = listener.accept().expect("the exporter's request");
    let mut first = [0; 4];
    request.read_exact(&mut first).expect("its first octets");
    assert_eq!(&first, b"POST");
}

/// The contract: another protocol is a clear error, before any network use.
#[test]
fn another_protocol_is_an_error() {
    let (s, collector) = (Sandbox::new(), Collector::new());
    let ran = collector.run(&s, &["token"], &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
    assert_eq!(ran.status.code(), Some(3));
    let said = stderr(&ran);
    assert!(said.contains("OTEL_EXPORTER_OTLP_PROTOCOL is malformed: `grpc`"), "{said}");
    assert!(said.contains("http/protobuf"), "{said}");
}

/// An agent goes on, so it tells of what it does from time to time, and of the rest when it ends.
#[test]
fn an_agent_sends_what_it_has_counted_by_door_and_no_secret() {
    let s = Sandbox::new();
    s.sign_in("default", "ada@example.com");
    let collector = Collector::new();
    let socket = s.path().join("doors/job.sock");
    let mut command = s.keyfob(["agent", "--no-rejected", "--socket"]);
    command.arg(&socket).env("OTEL_METRICS_EXPORTER", "otlp");
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint).env("OTEL_METRIC_EXPORT_INTERVAL", "200");
    let mut agent = command.spawn().expect("it starts");
    let mut line = String::new();
    BufReader::new(agent.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    assert!(line.ends_with("job.sock\n"), "{line}");
    let mut container = keyfob_testkit::Home::empty(&s.server);
    container.set("KEYFOB_AGENT", socket.to_str().expect("text"));
    let handle = container.json(&["token"])["handle"].as_str().expect("a handle").to_owned();
    assert_eq!(container.run(&["token", "--rejected", &handle]).code, Some(5));
    // Somebody else renews it, and it comes to the door.
    let renewed = s.out(&["token", "--rejected", &handle]);
    assert_eq!(container.token(), renewed.trim_end());
    let (mut hand_outs, mut refusals, mut renewals) = (0.0, 0.0, 0.0);
    while (hand_outs, refusals, renewals) != (2.0, 1.0, 1.0) {
        let report = collector.next();
        assert!(!report.says(renewed.trim_end()) && !report.says("@example.com"));
        for (name, number, attributes) in &report.points {
            let of_door = attributes.get("door").map(String::as_str);
            let (sum, kind) = match name.as_str() {
                "keyfob.agent.hand_outs" => (&mut hand_outs, None),
                "keyfob.agent.refusals" => (&mut refusals, Some("agent-refused")),
                "keyfob.agent.renewals" => (&mut renewals, None),
                _ => continue,
            };
            assert_eq!((of_door, attributes.get("error.type").map(String::as_str)), (Some("job"), kind));
            *sum += number;
        }
        assert!(hand_outs <= 2.0 && refusals <= 1.0 && renewals <= 1.0, "{hand_outs} {refusals} {renewals}");
    }
    agent.kill().and_then(|()| agent.wait()).expect("ours");
}
