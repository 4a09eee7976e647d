//! Strict parsers for the values of variables. Each returns the value, or a description of what was expected. None of
//! them repairs, trims or guesses, and none repeats its input in an error.

use alloc::{
    format,
    string::{String, ToString},
};

use url::{Host, Url};

/// What was expected.
pub type Expected = &'static str;

/// Exactly `1`, `true`, `0` or `false`.
///
/// # Errors
/// For anything else: `TRUE`, `yes` and ` 1` are mistakes, not opinions.
pub fn boolean(text: &str) -> Result<bool, Expected> {
    match text {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err("expected exactly 1, true, 0 or false"),
    }
}

/// ASCII digits and nothing else.
///
/// # Errors
/// For a sign, a blank, an exponent, a separator, or a number beyond 64 bits.
pub fn integer(text: &str) -> Result<u64, Expected> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err("expected digits only, without sign, blank, exponent or separator");
    }
    text.parse().map_err(|_| "expected a number that fits into 64 bits")
}

/// The number of a descriptor that can carry a credential: 0, or 3 and above.
///
/// # Errors
/// For 1 and 2, which are this program's own output, and for what is no descriptor number.
pub fn descriptor(text: &str) -> Result<i32, Expected> {
    match i32::try_from(integer(text)?) {
        Ok(1 | 2) => Err("expected 3 or above (or 0): 1 and 2 are this program's own output"),
        Ok(number) => Ok(number),
        Err(_) => Err("expected a descriptor number"),
    }
}

/// A UUID in the 8-4-4-4-12 form (RFC 9562 §4), in lower case.
///
/// # Errors
/// For braces, `urn:uuid:`, missing hyphens and the nil UUID.
pub fn uuid(text: &str) -> Result<String, Expected> {
    const EXPECTED: Expected = "expected a UUID like 550e8400-e29b-41d4-a716-446655440000";
    let groups = [8, 4, 4, 4, 12];
    let mut parts = text.split('-');
    for length in groups {
        let part = parts.next().ok_or(EXPECTED)?;
        if part.len() != length || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(EXPECTED);
        }
    }
    if parts.next().is_some() {
        return Err(EXPECTED);
    }
    if text.bytes().all(|b| b == b'0' || b == b'-') {
        return Err("expected a UUID that is not nil");
    }
    Ok(text.to_ascii_lowercase())
}

/// An e-mail address as people have them: a dot-atom, `@`, a domain (RFC 5321 §4.1.2, without its quoted and
/// literal forms), at most 254 characters. Letters beyond ASCII are allowed (RFC 6531).
///
/// # Errors
/// For anything that could not be an e-mail address, or could break a log line.
pub fn email(text: &str) -> Result<String, Expected> {
    const EXPECTED: Expected = "expected an e-mail address like user@company.com";
    let (local, domain) = text.split_once('@').ok_or(EXPECTED)?;
    let atom = |c: char| {
        c.is_ascii_alphanumeric()
            || "!#$%&'*+-/=?^_`{|}~".contains(c)
            || (!c.is_ascii() && c.is_alphanumeric())
    };
    let local_fits =
        local.len() <= 64 && local.split('.').all(|part| !part.is_empty() && part.chars().all(atom));
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || (!c.is_ascii() && c.is_alphanumeric()))
    };
    if text.len() > 254 || !local_fits || !domain.split('.').all(label) {
        return Err(EXPECTED);
    }
    Ok(text.to_string())
}

/// Text of an account tag: visible ASCII, at most 256 characters.
///
/// # Errors
/// For blanks, control characters and everything beyond ASCII.
pub fn tag(text: &str) -> Result<String, Expected> {
    if text.len() > 256 || !text.bytes().all(|b| (0x21..=0x7e).contains(&b)) {
        return Err("expected visible ASCII without blanks, at most 256 characters");
    }
    Ok(text.to_string())
}

/// An identifier that is sent as a member of a request: visible ASCII.
///
/// # Errors
/// For blanks, control characters, everything beyond ASCII, and more than 512 characters.
pub fn identifier(text: &str) -> Result<String, Expected> {
    if text.len() > 512 || !text.bytes().all(|b| (0x21..=0x7e).contains(&b)) {
        return Err("expected an identifier of visible ASCII, at most 512 characters");
    }
    Ok(text.to_string())
}

/// An absolute path.
///
/// # Errors
/// For any other, and for control characters.
pub fn absolute(text: &str) -> Result<String, Expected> {
    if !text.starts_with('/') || text.chars().any(char::is_control) {
        return Err("expected an absolute path");
    }
    Ok(text.to_string())
}

/// An address, to the letter: what a lenient parser would silently repair is refused.
///
/// ```
/// use keyfob_core::contract::values::url;
///
/// assert!(url("https://id.example/authorize").is_ok());
/// assert!(url("https:/id.example/authorize").is_err(), "the parser would add a slash");
/// assert!(url("https://127.1/authorize").is_err(), "the parser would make it 127.0.0.1");
/// ```
///
/// # Errors
/// For blanks, control characters, backslashes, missing slashes, user info, fragments, hosts and ports that
/// the parser would rewrite, and characters that are none of a URL's (RFC 3986 §2).
pub fn url(text: &str) -> Result<Url, Expected> {
    if text.contains(['\\', '\u{7f}']) || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("expected a URL without blanks, control characters or backslashes");
    }
    let (scheme, rest) = text.split_once("://").ok_or("expected a URL like https://host/path")?;
    if !scheme.eq_ignore_ascii_case("https") && !scheme.eq_ignore_ascii_case("http") {
        return Err("expected a URL that begins with https:// (or http:// on loopback)");
    }
    let (authority, after) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if authority.is_empty() {
        return Err("expected a URL with a host right after the two slashes");
    }
    if authority.contains('@') {
        return Err("expected a URL without user name or password");
    }
    if authority.contains('%') {
        return Err("expected a host without percent-encoding");
    }
    if after.contains('#') {
        return Err("expected a URL without a fragment");
    }
    if !is_path_and_query(after) {
        return Err("expected a path and query in ASCII, everything else percent-encoded (RFC 3986)");
    }
    let url = Url::parse(text).map_err(|_| "expected a URL like https://host/path")?;
    host_as_written(authority, &url)?;
    Ok(url)
}

/// Only what may stand there unencoded, and whole percent-encodings (RFC 3986 §3.3, §3.4).
fn is_path_and_query(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?".contains(&b);
    let mut parts = text.split('%');
    parts.next().is_some_and(|first| first.bytes().all(plain))
        && parts.all(|part| {
            part.len() >= 2
                && part.bytes().take(2).all(|b| b.is_ascii_hexdigit())
                && part.bytes().skip(2).all(plain)
        })
}

/// Whether the parser took host and port as they were written, upper case aside.
fn host_as_written(authority: &str, url: &Url) -> Result<(), Expected> {
    let digits = |port: &str| port.bytes().all(|b| b.is_ascii_digit());
    let (host, port) = match authority.rsplit_once(':').filter(|(_, port)| digits(port)) {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    if port.is_some_and(|port| port.is_empty() || port.starts_with('0')) {
        return Err("expected a port from 1 to 65535 after the colon, without leading zeros");
    }
    match url.host() {
        None => Err("expected a URL with a host"),
        // `127.1`, `0x7f000001` and `2130706433` become an address in the parser: such spellings hide one.
        Some(Host::Ipv4(address)) if address.to_string() != host => {
            Err("expected an IPv4 address as four decimal numbers")
        }
        Some(Host::Domain(name)) if name.ends_with('.') => Err("expected a host without a trailing dot"),
        Some(Host::Domain(name)) if name.starts_with('.') || name.contains("..") => {
            Err("expected a host without empty labels")
        }
        // Full-width letters, ideographic dots and invisible characters become ordinary ones, or nothing.
        Some(Host::Domain(name))
            if !host.eq_ignore_ascii_case(name)
                && (host.to_lowercase() != url::quirks::domain_to_unicode(name)
                    || host.chars().any(is_capital_of_another)) =>
        {
            Err("expected a host without characters that stand for others")
        }
        Some(_) => Ok(()),
    }
}

/// Whether a character is taken for the capital of one that has another: the Kelvin sign's small letter is an ASCII `k`.
fn is_capital_of_another(c: char) -> bool {
    let mut small = c.to_lowercase();
    let (first, rest) = (small.next(), small.next());
    first != Some(c) && (rest.is_some() || first.is_none_or(|small| !small.to_uppercase().eq([c])))
}

/// Whether a URL leads to this machine: `localhost`, 127.0.0.0/8 or `[::1]`.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The base of a local provider: on loopback, without a query. Its path is kept, without a final slash.
///
/// # Errors
/// As [`url()`], and for any host beyond this machine.
pub fn loopback_base(text: &str) -> Result<String, Expected> {
    let url = url(text)?;
    if !is_loopback(&url) {
        return Err("expected a URL on loopback: localhost, 127.0.0.0/8 or [::1]");
    }
    base(&url)
}

/// A configured endpoint: https, or http on loopback.
///
/// # Errors
/// As [`url()`], and for http elsewhere.
pub fn endpoint(text: &str) -> Result<String, Expected> {
    let url = url(text)?;
    if url.scheme() != "https" && !is_loopback(&url) {
        return Err("expected https (http is for loopback)");
    }
    Ok(url.into())
}

/// A configured issuer or base: as [`endpoint`], without a query, kept as it was written, because issuers are
/// compared character by character (RFC 8414 §3.3).
///
/// # Errors
/// As [`endpoint`].
pub fn issuer(text: &str) -> Result<String, Expected> {
    endpoint(text)?;
    if text.contains('?') {
        return Err("expected a URL without a query");
    }
    Ok(text.to_string())
}

/// A web origin and nothing else: scheme, host, and the port where it is not the scheme's.
///
/// # Errors
/// As [`endpoint`], and for a path or query behind it.
pub fn origin(text: &str) -> Result<String, Expected> {
    endpoint(text)?;
    let url = url(text)?;
    let is_pattern = url.host_str().is_some_and(|host| host.contains('*'));
    match (url.path(), url.query()) {
        ("/", None) if !is_pattern => Ok(url.origin().ascii_serialization()),
        _ => Err("expected scheme, host and perhaps a port, like https://git.company.com"),
    }
}

fn base(url: &Url) -> Result<String, Expected> {
    if url.query().is_some() {
        return Err("expected a URL without a query");
    }
    Ok(format!("{}{}", url.origin().ascii_serialization(), url.path().trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_nothing_but_an_origin() {
        for (text, is) in [
            ("https://git.company.example", "https://git.company.example"),
            ("https://GIT.company.example:443/", "https://git.company.example"),
            ("https://git.company.example:8443", "https://git.company.example:8443"),
            ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
        ] {
            assert_eq!(origin(text).as_deref(), Ok(is));
        }
        for wrong in [
            "git.company.example",
            "http://git.company.example",
            "https://git.company.example/group",
            "https://git.company.example/?a",
            "https://ada@git.company.example",
            "https://*.company.example/x",
            "ssh://git.company.example",
        ] {
            assert!(origin(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn booleans_and_integers_are_exact() {
        assert_eq!(
            (boolean("1"), boolean("true"), boolean("0"), boolean("false")),
            (Ok(true), Ok(true), Ok(false), Ok(false))
        );
        for wrong in ["TRUE", "yes", " 1", "1 ", "", "on", "01"] {
            assert!(boolean(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(integer("300000"), Ok(300_000));
        for wrong in ["", "+1", "-1", " 1", "1e3", "1_000", "1.0", "٣", "18446744073709551616"] {
            assert!(integer(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!((descriptor("0"), descriptor("3")), (Ok(0), Ok(3)));
        for wrong in ["1", "2", "-3", "2147483648", "3 ", "0x3"] {
            assert!(descriptor(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn uuids_have_one_form() {
        assert_eq!(
            uuid("550E8400-E29B-41D4-A716-446655440000").as_deref(),
            Ok("550e8400-e29b-41d4-a716-446655440000")
        );
        for wrong in [
            "{550e8400-e29b-41d4-a716-446655440000}",
            "urn:uuid:550e8400-e29b-41d4-a716-446655440000",
            "550e8400e29b41d4a716446655440000",
            "550e8400-e29b-41d4-a716-44665544000g",
            "550e8400-e29b-41d4-a716-446655440000-",
            "00000000-0000-0000-0000-000000000000",
        ] {
            assert!(uuid(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn email_values() {
        for right in ["user@company.com", "a.b+c@x-y.example", "o'hara@example.com", "jürgen@müller.example"]
        {
            assert!(email(right).is_ok(), "{right}");
        }
        for wrong in [
            "",
            "a",
            "@",
            "a@",
            "@b",
            "a@b@c",
            "a b@c",
            "a\n@c",
            "a..b@c",
            ".a@c",
            "a@-b",
            "a@b..c",
            "a@b.",
            "a<b@c",
            "a\u{202e}b@c",
            "a@b\u{202e}c",
        ] {
            assert!(email(wrong).is_err(), "{wrong:?}");
        }
    }

    /// What `url` would repair silently.
    #[test]
    fn lenient_urls_are_refused() {
        for wrong in [
            "",
            "x",
            "https:/x",
            "https:x",
            "//x",
            "https://",
            "https:///x",
            " https://x",
            "https://x ",
            "https://x\t/",
            "ht\ntps://x",
            "https://x\\y",
            "https://a@x/",
            "https://a:b@x/",
            "https://x/#f",
            "https://x:/",
            "https://127.1/",
            "https://0x7f000001/",
            "https://2130706433/",
            "https://0177.0.0.1/",
            "https://x./",
            "https://%6c/",
            "https://x:99999/",
            "ftp://x/",
            "https://[::1",
            "https://x\u{a0}/",
            "https://\u{ff11}27.0.0.1/",
            "https://x:00443/",
            "https://x:0/",
            "https://a..b/",
            "https://.b/",
            "https://\u{ff4f}auth.example/",
            "https://oauth\u{ff0e}example/",
            "https://oauth.\u{212a}eyfob.example/",
            "https://oauth.\u{212b}ngstrom.example/",
            "https://oauth.\u{2126}.example/",
            "https://oauth\u{3002}example/",
            "https://oa\u{ad}uth.example/",
            "https://oauth.\u{200b}example/",
            "https://x/\u{ff0e}\u{ff0e}/y",
            "https://x/\u{fc}",
            "https://x/?\u{fc}",
            "https://x/%",
            "https://x/%2",
            "https://x/%zz",
            "https://x/\"<>^`{|}",
        ] {
            assert!(url(wrong).is_err(), "{wrong:?}");
        }
        for right in [
            "https://x",
            "https://X:443/",
            "http://localhost:3000/apps",
            "https://[::1]:8/x?y=z",
            "https://127.0.0.1/",
            "https://B\u{dc}CHER.example/",
            "https://xn--bcher-kva.example/%C3%BC?a=%20",
        ] {
            assert!(url(right).is_ok(), "{right}");
        }
    }

    #[test]
    fn loopback_url_values() {
        assert_eq!(loopback_base("http://localhost:3001/apps/").as_deref(), Ok("http://localhost:3001/apps"));
        assert_eq!(loopback_base("http://127.9.9.9:1").as_deref(), Ok("http://127.9.9.9:1"));
        assert_eq!(loopback_base("http://[::1]:3000").as_deref(), Ok("http://[::1]:3000"));
        for wrong in [
            "http://localhost:3000@evil.com/",
            "http://localhost.evil.com",
            "http://0.0.0.0:3000",
            "http://10.0.0.1",
            "http://localhost?x",
            "http://[::]",
            "http://localhost.",
        ] {
            assert!(loopback_base(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn endpoints_are_https() {
        assert!(endpoint("https://id.example/token").is_ok());
        assert!(endpoint("http://127.0.0.1:3/token").is_ok());
        assert!(endpoint("http://id.example/token").is_err());
        assert_eq!(issuer("https://id.example").as_deref(), Ok("https://id.example"));
    }

    /// RFC 5321 §4.5.3.1, and what an attribute of a metric may be.
    #[test]
    fn lengths_end_where_they_are_said_to() {
        let address = |domain: usize| {
            let labels = ["d".repeat(63), "d".repeat(63), "d".repeat(domain - 128)];
            alloc::format!("{}@{}", "l".repeat(64), labels.join("."))
        };
        assert_eq!(address(189).len(), 254);
        assert!(email(&address(189)).is_ok() && email(&address(190)).is_err());
        assert!(tag(&"t".repeat(256)).is_ok() && tag(&"t".repeat(257)).is_err());
    }

    /// The message names the kinds of invisible characters, for a user who looks for one.
    #[test]
    fn a_character_that_does_not_show_is_named() {
        for wrong in
            ["https://x /", "https://x/\u{1}", "https://x/\u{7f}", "https://x\\y", "https://x/\u{a0}"]
        {
            assert_eq!(url(wrong), Err("expected a URL without blanks, control characters or backslashes"));
        }
    }
}
