//! How certain providers say that a refresh token is dead.

/// What a provider is known to say, in place of RFC 6749's `invalid_grant`, when a refresh token is dead: Slack, Atlassian,
/// and Dex, which every operator runs at a different host, by convention below `/dex`.
pub(crate) fn dead_refresh_words(issuer: &str) -> &'static [&'static str] {
    match issuer.trim_end_matches('/') {
        "https://slack.com" => &["invalid_refresh_token"],
        "https://auth.atlassian.com" => &["403 unauthorized_client"],
        issuer if issuer.ends_with("/dex") => &["400 invalid_request"],
        _ => &[],
    }
}
