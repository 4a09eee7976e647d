//! Times on the command line: seconds, or a number with a unit.

use keyfob::internals::core::time::span;

/// What `--min-valid` takes: up to a year.
pub(super) fn min_valid(text: &str) -> Result<i64, String> {
    seconds(text, 0, 31_536_000).map(u64::cast_signed)
}

/// What `--timeout` takes: up to a day, and not nothing.
pub(super) fn timeout(text: &str) -> Result<u64, String> {
    seconds(text, 1, 86_400)
}

/// What `--wait` takes: up to a day.
pub(super) fn wait(text: &str) -> Result<u64, String> {
    seconds(text, 0, 86_400)
}

/// What `--lifetime` takes: up to a year, and not nothing.
#[cfg(feature = "serve")]
pub(super) fn lifetime(text: &str) -> Result<u64, String> {
    seconds(text, 1, 31_536_000)
}

fn seconds(text: &str, least: u64, most: u64) -> Result<u64, String> {
    span(text)
        .filter(|seconds| (least..=most).contains(seconds))
        .ok_or_else(|| format!("expected {least} to {most} seconds, also with a unit: 90s, 5m, 2h, 1d"))
}

/// What `--email` takes: something that can be an address.
pub(super) fn email(text: &str) -> Result<String, &'static str> {
    let fits = text.split_once('@').is_some_and(|(name, host)| {
        !name.is_empty() && !host.is_empty() && !host.contains('@') && !text.contains(char::is_whitespace)
    });
    if fits { Ok(text.to_owned()) } else { Err("expected an e-mail address: NAME@HOST") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_of_seconds_or_has_a_unit() {
        for (text, is) in
            [("0", 0), ("300", 300), ("90s", 90), ("5m", 300), ("5min", 300), ("2h", 7200), ("1d", 86_400)]
        {
            assert_eq!(min_valid(text), Ok(is), "{text}");
        }
        for wrong in
            ["", "m", "-1", "5 m", "5x", "1.5h", "٣", "99999999999999999999", "18446744073709551615d", "366d"]
        {
            let why = min_valid(wrong).expect_err(wrong);
            assert!(why.contains("also with a unit: 90s, 5m"), "{wrong}: {why}");
        }
        assert!(timeout("0").is_err_and(|why| why.starts_with("expected 1 to 86400 seconds")));
        assert_eq!((timeout("10m"), wait("0")), (Ok(600), Ok(0)));
    }

    #[test]
    fn an_address_has_a_name_and_a_host() {
        assert_eq!(email("ada@example.com").as_deref(), Ok("ada@example.com"));
        for wrong in ["", "notmail", "@host", "ada@", "a@b@c", "a b@c"] {
            assert!(email(wrong).is_err(), "{wrong}");
        }
    }
}
