//! `keyfob export-metrics`: sends the metrics of a run, over OTLP, in a separate process. Internal.
//!
//! OpenTelemetry's exporter reads endpoint, headers and time-out from its own variables. Its requests use the same
//! proxy and certificates as all others.

use std::{
    io::{self, Read},
    path::Path,
    process::{ExitCode, Stdio},
    time::Duration,
};

use keyfob::{
    Error,
    internals::{
        core::Id,
        setup::{Choices, Setup},
        world::{
            failure,
            system::{env as environment, fd, files::Disk, http::Network},
        },
    },
};
use opentelemetry::{
    KeyValue,
    metrics::{Meter, MeterProvider as _},
};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{MetricExporter, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    metrics::{PeriodicReader, SdkMeterProvider, Temporality},
};

use crate::{
    internal::task::Task,
    output::report::Result,
    telemetry::{AtDoor, Batch, Run, ToOrigin},
};

/// The default of OTLP.
const TIMEOUT: Duration = Duration::from_secs(10);
/// A slower collector is not waited for, whatever the variables say.
const LONGEST: Duration = Duration::from_secs(60);
/// More than any run produces.
const LARGEST: u64 = 1024 * 1024;

/// The first process: starts the one that sends, with the same input, and ends. So a program that `exec` starts finds
/// no child that it did not start.
pub(super) fn detach() -> Result {
    leave();
    let mut command = Task::SendMetrics.command();
    command.stdin(Stdio::inherit()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map_err(|error| failure::failed(Id::SystemFailed, "the metrics are lost", error))?;
    Ok(ExitCode::SUCCESS)
}

/// The second process: no caller waits for it.
pub(super) fn send() -> Result {
    leave();
    let mut text = String::new();
    let lost = |why: String| Error::new(Id::Unreachable, "the metrics are lost", why);
    io::stdin().lock().take(LARGEST).read_to_string(&mut text).map_err(|error| lost(error.to_string()))?;
    let batch: Batch = serde_json::from_str(&text).map_err(|error| lost(error.to_string()))?;
    export(&batch).map_err(lost)?;
    Ok(ExitCode::SUCCESS)
}

fn leave() {
    let _ = fd::close_inherited();
    let _ = rustix::process::setsid();
}

fn export(batch: &Batch) -> Result<(), String> {
    let variables = environment::variables();
    let setup = Setup::read(variables, Choices::default(), &Disk, Some(Path::new("/")));
    let timeout = ["OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"]
        .iter()
        .find_map(|name| variables.text(name)?.parse().ok())
        .map_or(TIMEOUT, Duration::from_millis);
    let client = Client { network: Network::new(setup.routes), timeout: timeout.min(LONGEST) };
    // A run is over when its counts are sent: what counts up to a total here would begin at nothing there.
    let temporality = match variables.text("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE") {
        Some(word) if word.eq_ignore_ascii_case("cumulative") => Temporality::Cumulative,
        _ => Temporality::Delta,
    };
    let exporter =
        MetricExporter::builder().with_http().with_http_client(client).with_temporality(temporality);
    let exporter = exporter.build().map_err(|error| error.to_string())?;
    let named = |name: &str, within: &str| variables.text(name).is_some_and(|text| text.contains(within));
    let resource = Resource::builder();
    let is_named = named("OTEL_SERVICE_NAME", "") || named("OTEL_RESOURCE_ATTRIBUTES", "service.name=");
    let resource = if is_named { resource } else { resource.with_service_name("keyfob") };
    let resource = resource.with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    let provider = SdkMeterProvider::builder()
        .with_resource(resource.build())
        .with_reader(PeriodicReader::builder(exporter).build())
        .build();
    count(&provider, batch);
    provider.shutdown().map_err(|error| error.to_string())
}

/// Where metrics go, and the result of sending none: an empty request is valid.
pub(super) fn try_collector() -> (String, Result<(), String>) {
    let variables = environment::variables();
    let endpoint = variables.text("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT").map_or_else(
        || {
            let base = variables.text("OTEL_EXPORTER_OTLP_ENDPOINT").unwrap_or("http://localhost:4318");
            format!("{}/v1/metrics", base.trim_end_matches('/'))
        },
        str::to_owned,
    );
    let named = ["OTEL_EXPORTER_OTLP_METRICS_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"];
    let named = named.iter().find_map(|name| variables.text(name)).unwrap_or_default();
    let named = named.split(',').filter_map(|pair| pair.split_once('='));
    let headers = std::iter::once(("content-type", "application/x-protobuf"))
        .chain(named.map(|(name, value)| (name.trim(), value.trim())));
    let setup = Setup::read(variables, Choices::default(), &Disk, Some(Path::new("/")));
    let network = Network::new(setup.routes);
    let sent = network.report(&endpoint, &headers.collect::<Vec<_>>(), b"", TIMEOUT);
    let shown = url::Url::parse(&endpoint).map_or(endpoint.clone(), |mut url| {
        let _ = url.set_password(None);
        let _ = url.set_username("");
        url.set_query(None);
        url.into()
    });
    let outcome = match sent {
        Ok((200..=299, _)) => Ok(()),
        Ok((status, _)) => Err(format!("it answered {status}")),
        Err(no_answer) => Err(no_answer.why),
    };
    (keyfob::internals::core::error::escape(&shown), outcome)
}

fn count(provider: &SdkMeterProvider, batch: &Batch) {
    let meter = provider.meter("keyfob");
    let common: Vec<KeyValue> =
        batch.attributes.iter().map(|(name, value)| KeyValue::new(name.clone(), value.clone())).collect();
    let with = |more: &[KeyValue]| [&common, more].concat();
    let outcome = |failed: &Option<String>| match failed {
        None => vec![KeyValue::new("outcome", "done")],
        Some(id) => vec![KeyValue::new("outcome", "failed"), KeyValue::new("error.type", id.clone())],
    };
    let counter = |name: &'static str, unit: &'static str, about: &'static str| {
        meter.u64_counter(name).with_unit(unit).with_description(about).build()
    };
    let sign_ins = counter("keyfob.sign_ins", "{sign_in}", "Sign-ins, by method and outcome");
    for sign_in in &batch.sign_ins {
        let mut attributes = outcome(&sign_in.failed);
        attributes.push(KeyValue::new("method", sign_in.method.clone()));
        sign_ins.add(1, &with(&attributes));
    }
    let credentials =
        counter("keyfob.credentials", "{credential}", "Credentials handed out by runs that used the network");
    for source in &batch.credentials {
        credentials.add(1, &with(&[KeyValue::new("source", source.clone())]));
    }
    at_doors(&meter, &batch.doors);
    to_origins(&meter, &batch.origins);
    let timed = |runs: &[Run], number: &'static str, duration: &'static str, about: &'static str| {
        let counter = counter(number, "{run}", about);
        let histogram = meter
            .f64_histogram(duration)
            .with_unit("s")
            .with_description(about)
            .with_boundaries(vec![0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0])
            .build();
        for run in runs {
            let attributes = with(&outcome(&run.failed));
            counter.add(1, &attributes);
            histogram.record(run.seconds, &attributes);
        }
    };
    timed(
        &batch.renewals,
        "keyfob.renewals",
        "keyfob.renewal.duration",
        "Refresh tokens spent, until on the disk",
    );
    timed(
        &batch.helper_runs,
        "keyfob.helper.runs",
        "keyfob.helper.duration",
        "Runs of the configured helper",
    );
}

/// What an agent has counted, by door.
fn at_doors(meter: &Meter, doors: &[AtDoor]) {
    let counter = |name: &'static str, unit: &'static str, about: &'static str| {
        meter.u64_counter(name).with_unit(unit).with_description(about).build()
    };
    let hand_outs =
        counter("keyfob.agent.hand_outs", "{hand_out}", "Tokens and headers handed out by an agent, by door");
    let refusals =
        counter("keyfob.agent.refusals", "{request}", "Requests that an agent refused, by door and id");
    let renewals =
        counter("keyfob.agent.renewals", "{renewal}", "Renewed logins that came to a door of an agent");
    for counted in doors {
        let door = KeyValue::new("door", counted.door.clone());
        for (counter, number) in [(&hand_outs, counted.handed_out), (&renewals, counted.renewed)] {
            if number > 0 {
                counter.add(number, std::slice::from_ref(&door));
            }
        }
        for (id, number) in &counted.refused {
            refusals.add(*number, &[door.clone(), KeyValue::new("error.type", id.clone())]);
        }
    }
}

/// What a proxy has counted, by origin. Of those there are as many as are configured.
fn to_origins(meter: &Meter, origins: &[ToOrigin]) {
    let counter = |name: &'static str, unit: &'static str, about: &'static str| {
        meter.u64_counter(name).with_unit(unit).with_description(about).build()
    };
    let requests = counter(
        "keyfob.proxy.requests",
        "{request}",
        "Requests that an origin answered through a proxy, by origin and class of status",
    );
    let refusals =
        counter("keyfob.proxy.refusals", "{request}", "Requests that a proxy refused, by origin and id");
    let renewals =
        counter("keyfob.proxy.renewals", "{renewal}", "Renewed credentials that came to a proxy, by origin");
    let streams = meter
        .u64_gauge("keyfob.proxy.streams")
        .with_unit("{stream}")
        .with_description("Answers that are coming through a proxy, and open WebSockets, by origin")
        .build();
    for counted in origins {
        let origin = KeyValue::new("origin", counted.origin.clone());
        for (class, number) in &counted.answered {
            requests.add(*number, &[origin.clone(), KeyValue::new("class", class.clone())]);
        }
        for (id, number) in &counted.refused {
            refusals.add(*number, &[origin.clone(), KeyValue::new("error.type", id.clone())]);
        }
        if counted.renewed > 0 {
            renewals.add(counted.renewed, std::slice::from_ref(&origin));
        }
        streams.record(counted.open, std::slice::from_ref(&origin));
    }
}

/// Sends the exporter's requests over the same network code as all others.
struct Client {
    network: Network,
    timeout: Duration,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

#[async_trait::async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let headers: Vec<_> = request
            .headers()
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
            .collect();
        let url = request.uri().to_string();
        let (status, body) = self
            .network
            .report(&url, &headers, request.body(), self.timeout)
            .map_err(|no_answer| no_answer.why)?;
        Ok(Response::builder().status(status).body(body.into())?)
    }
}
