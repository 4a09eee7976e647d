//! Decides from OpenTelemetry's own variables whether metrics are exported.

use alloc::vec::Vec;

use super::{
    names,
    variables::{Variables, malformed},
};
use crate::{
    Error,
    contract::{settings::Metrics, values},
};

/// The protocol that is spoken: OTLP's default, and the only one here.
const PROTOCOL: &str = "http/protobuf";

/// `None`: metrics were not requested, and nothing is sent. Settings for other exporters or other signals do not
/// concern us and are not checked.
pub(super) fn read(variables: &Variables, problems: &mut Vec<Error>) -> Option<Metrics> {
    let account = match variables.text(names::INCLUDE_ACCOUNT) {
        None => true,
        Some(text) => values::boolean(text).unwrap_or_else(|expected| {
            problems.push(malformed(names::INCLUDE_ACCOUNT, expected, Some(text)));
            false
        }),
    };
    // The specification takes this one in any case, and every other value of it for "no".
    let disabled = variables.text(names::SDK_DISABLED).is_some_and(|text| text.eq_ignore_ascii_case("true"));
    let exporters = variables.text(names::METRICS_EXPORTER)?;
    if disabled || !exporters.split(',').any(|exporter| exporter.trim() == "otlp") {
        return None;
    }
    // The one for metrics outranks the one for everything.
    for name in [names::METRICS_PROTOCOL, names::OTLP_PROTOCOL] {
        match variables.text(name) {
            None => {}
            Some(PROTOCOL) => break,
            Some(other) => {
                problems.push(malformed(
                    name,
                    "expected http/protobuf, which is what keyfob speaks",
                    Some(other),
                ));
                return None;
            }
        }
    }
    Some(Metrics { account })
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use crate::contract::{self, Variables, settings::Metrics};

    fn read(pairs: &[(&str, &str)]) -> (Option<Metrics>, Vec<alloc::string::String>) {
        let variables: Variables =
            pairs.iter().map(|(name, value)| (name.to_string(), Some(value.to_string()))).collect();
        let reading = contract::read(&variables);
        (reading.settings.metrics, reading.problems.iter().map(|error| error.what().to_string()).collect())
    }

    use alloc::vec::Vec;

    #[test]
    fn metrics_export_is_off_by_default() {
        assert_eq!(read(&[]).0, None);
        for exporter in ["none", "prometheus", "console", "OTLP", ""] {
            assert_eq!(read(&[("OTEL_METRICS_EXPORTER", exporter)]), (None, Vec::new()), "{exporter}");
        }
        let asked = ("OTEL_METRICS_EXPORTER", "otlp");
        assert_eq!(read(&[asked]), (Some(Metrics { account: true }), Vec::new()));
        assert!(read(&[("OTEL_METRICS_EXPORTER", "console, otlp")]).0.is_some());
        assert_eq!(read(&[asked, ("OTEL_SDK_DISABLED", "TRUE")]).0, None);
        assert!(
            read(&[asked, ("OTEL_SDK_DISABLED", "1")]).0.is_some(),
            "the specification: only true is true"
        );
        let without = ("OTEL_METRICS_INCLUDE_ACCOUNT_UUID", "false");
        assert_eq!(read(&[asked, without]).0, Some(Metrics { account: false }));
    }

    /// The contract: another protocol is a clear error. But only of metrics that are asked of us.
    #[test]
    fn another_protocol_is_an_error() {
        let asked = ("OTEL_METRICS_EXPORTER", "otlp");
        let (metrics, problems) = read(&[asked, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
        assert_eq!(
            (metrics, problems),
            (None, Vec::from(["OTEL_EXPORTER_OTLP_PROTOCOL is malformed: `grpc`".into()]))
        );
        let for_metrics = ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/protobuf");
        assert!(read(&[asked, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), for_metrics]).0.is_some());
        assert_eq!(read(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]), (None, Vec::new()), "not for us");
        let (_, problems) = read(&[("OTEL_METRICS_INCLUDE_ACCOUNT_UUID", "no")]);
        assert_eq!(problems.len(), 1, "checked, used or not");
    }
}
