//! The URLs of this server: loopback names, under three prefixes.

use std::net::Ipv4Addr;

/// The prefixes under which everything answers: the API, apps and console bases of an environment.
pub(crate) const PREFIXES: [&str; 3] = ["", "/apps", "/console"];

/// Host and port of an authority without user info. `None` = malformed.
pub(crate) fn split_authority(authority: &str) -> Option<(&str, Option<u16>)> {
    let end = if authority.starts_with('[') {
        authority.find(']')? + 1
    } else {
        authority.find(':').unwrap_or(authority.len())
    };
    let (host, rest) = authority.split_at(end);
    if host.is_empty() {
        return None;
    }
    match rest.strip_prefix(':') {
        None if rest.is_empty() => Some((host, None)),
        None => None,
        Some(digits) => {
            let plain = !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| digits.parse().ok()).flatten().map(|port| (host, Some(port)))
        }
    }
}

pub(crate) fn is_loopback(host: &str) -> bool {
    host == "localhost" || host == "[::1]" || host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
}
