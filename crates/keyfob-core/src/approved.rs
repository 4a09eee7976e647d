//! Which custom OAuth URLs are approved: a strict matcher, because whoever gets past it gets the login.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use serde::Deserialize;
use url::Url;

use crate::{Error, Id, Result, environment::Endpoints, error::escape, values};

/// A file of approvals as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawList {
    /// The `[[approved]]` entries.
    #[serde(default)]
    pub approved: Vec<RawEntry>,
}

/// One `[[approved]]` as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the keys are described in docs/configuration.md")]
pub struct RawEntry {
    pub url: String,
    pub issuer: Option<String>,
    pub token_url: Option<String>,
    pub revoke_url: Option<String>,
    pub introspect_url: Option<String>,
    pub device_url: Option<String>,
    pub profile_url: Option<String>,
    pub userinfo_url: Option<String>,
}

/// The approvals of this machine. An empty list approves nothing; there are no wildcards.
#[derive(Debug, Default)]
pub struct ApprovedList(Vec<Entry>);

/// One approval: an https origin and a path prefix.
#[derive(Debug)]
pub struct Entry {
    origin: String,
    prefix: String,
    /// The issuer that answers there; by default the origin.
    pub issuer: String,
    /// Endpoints it names itself.
    pub endpoints: Endpoints,
}

impl ApprovedList {
    /// Parses what was written.
    ///
    /// # Errors
    /// [`Id::ApprovedListMalformed`], saying which entry.
    pub fn parse(raw: RawList) -> Result<Self> {
        let entries = raw.approved.into_iter().enumerate();
        entries.map(|(at, raw)| Entry::parse(at + 1, raw)).collect::<Result<_>>().map(Self)
    }

    /// Adds the approvals of another file.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The approval of this URL.
    ///
    /// # Errors
    /// [`Id::UrlNotApproved`], naming the rule it breaks.
    pub fn verdict(&self, text: &str) -> Result<&Entry> {
        let refuse = |why: &str| {
            let what = format!(
                "{} names {}, which is not approved",
                crate::contract::names::CUSTOM_URL,
                escape(text)
            );
            Error::new(Id::UrlNotApproved, what, why)
        };
        let url = strict(text).map_err(refuse)?;
        if let Some(name) = preset(&url) {
            return Err(refuse(&format!("its query presets the OAuth parameter `{name}`")));
        }
        let origin = url.origin().ascii_serialization();
        let mut same_origin = self.0.iter().filter(|entry| entry.origin == origin).peekable();
        if same_origin.peek().is_none() {
            return Err(refuse(if self.0.is_empty() {
                "the approved list is empty"
            } else {
                "no entry has this host and port"
            }));
        }
        // The longest prefix knows best which endpoints belong to it.
        same_origin
            .filter(|entry| under(url.path(), &entry.prefix))
            .max_by_key(|entry| entry.prefix.len())
            .ok_or_else(|| refuse("its path is not under an approved one"))
    }
}

impl Entry {
    fn parse(at: usize, raw: RawEntry) -> Result<Self> {
        let wrong = |key: &str, why: &str| {
            Error::new(
                Id::ApprovedListMalformed,
                "the approved list is malformed",
                format!("entry {at}, `{key}`: {why}"),
            )
        };
        let url = strict(&raw.url).map_err(|why| wrong("url", why))?;
        if url.query().is_some() || raw.url.contains('*') {
            return Err(wrong("url", "expected an origin and a path, without query or wildcard"));
        }
        let endpoint = |key: &str, value: Option<String>| {
            value.map(|text| strict(&text).map(String::from).map_err(|why| wrong(key, why))).transpose()
        };
        let origin = url.origin().ascii_serialization();
        let issuer = match &raw.issuer {
            Some(issuer) => {
                strict(issuer).map_err(|why| wrong("issuer", why))?;
                values::issuer(issuer).map_err(|why| wrong("issuer", why))?
            }
            None => origin.clone(),
        };
        Ok(Self {
            prefix: url.path().trim_end_matches('/').to_string(),
            origin,
            issuer,
            endpoints: Endpoints {
                token_url: endpoint("token_url", raw.token_url)?,
                revoke_url: endpoint("revoke_url", raw.revoke_url)?,
                introspect_url: endpoint("introspect_url", raw.introspect_url)?,
                device_url: endpoint("device_url", raw.device_url)?,
                profile_url: endpoint("profile_url", raw.profile_url)?,
                userinfo_url: endpoint("userinfo_url", raw.userinfo_url)?,
                ..Endpoints::default()
            },
        })
    }

    /// The origin everything discovered must be on.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }
}

/// https, and a path in which nothing hides.
fn strict(text: &str) -> Result<Url, &'static str> {
    let url = values::url(text)?;
    if url.scheme() != "https" {
        return Err("expected a URL that begins with https://");
    }
    let path = text
        .split_once("://")
        .map_or("", |(_, rest)| rest)
        .split('?')
        .next()
        .unwrap_or("")
        .to_ascii_lowercase();
    if ["%2f", "%5c", "%2e"].iter().any(|hidden| path.contains(hidden)) {
        return Err("expected a path without encoded slashes, backslashes or dots");
    }
    Ok(url)
}

/// Whether a path is the prefix or lies below it, segment by segment. Both are without dot segments.
fn under(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The OAuth request parameter that a query sets in advance, if it does (RFC 6749 §3.1: no parameter twice).
fn preset(url: &Url) -> Option<&'static str> {
    const OURS: [&str; 24] = [
        "response_type",
        "client_id",
        "redirect_uri",
        "scope",
        "state",
        "code_challenge",
        "code_challenge_method",
        "nonce",
        "response_mode",
        "prompt",
        "request",
        "request_uri",
        "login_hint",
        "code",
        "code_verifier",
        "grant_type",
        "id_token_hint",
        "max_age",
        "display",
        "acr_values",
        "claims",
        "resource",
        "client_secret",
        "dpop_jkt",
    ];
    url.query_pairs().find_map(|(name, _)| OURS.into_iter().find(|ours| name.eq_ignore_ascii_case(ours)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(urls: &[&str]) -> ApprovedList {
        let approved =
            urls.iter().map(|url| RawEntry { url: url.to_string(), ..RawEntry::default() }).collect();
        ApprovedList::parse(RawList { approved }).unwrap()
    }

    #[test]
    fn what_is_approved() {
        let list = list(&["https://oauth.company.com/authorize", "https://b\u{fc}cher.example:8443/oauth"]);
        for url in [
            "https://oauth.company.com/authorize",
            "https://OAUTH.Company.COM/authorize",
            "https://oauth.company.com:443/authorize",
            "https://oauth.company.com/authorize/",
            "https://oauth.company.com/authorize/tenant",
            "https://oauth.company.com/x/../authorize",
            "https://oauth.company.com/authorize?tenant=7",
            "https://xn--bcher-kva.example:8443/oauth/x",
            "https://B\u{dc}CHER.example:8443/oauth",
        ] {
            assert!(list.verdict(url).is_ok(), "{url}: {:?}", list.verdict(url));
        }
        assert_eq!(
            list.verdict("https://oauth.company.com/authorize").unwrap().issuer,
            "https://oauth.company.com"
        );
    }

    #[test]
    fn what_is_not() {
        let list = list(&["https://oauth.company.com/authorize"]);
        for url in [
            "http://oauth.company.com/authorize",
            "https://oauth.company.com/",
            "https://oauth.company.com/authorizex",
            "https://oauth.company.com/Authorize",
            "https://oauth.company.com/authorize/../token",
            "https://oauth.company.com/authorize%2f..%2ftoken",
            "https://oauth.company.com/authorize/%2e%2e/token",
            "https://oauth.company.com/authorize/%2E%2e/token",
            "https://oauth.company.com/authorize%5ctoken",
            "https://oauth.company.com./authorize",
            "https://oauth.company.com:8443/authorize",
            "https://oauth.company.com@evil.example/authorize",
            "https://user@oauth.company.com/authorize",
            "https://oauth.company.com.evil.example/authorize",
            "https://evil-oauth.company.com/authorize",
            "https://oauth\u{ff0e}company.com.evil.example/authorize",
            "https://oauth.company.com\\@evil.example/authorize",
            "https://oauth.c\u{43e}mpany.com/authorize",
            "https://oauth.company.com/authorize#x",
            "https://oauth.company.com/authorize?redirect_uri=https://evil.example",
            "https://oauth.company.com/authorize?%72edirect_uri=x",
            "https://oauth.company.com/authorize?STATE=x",
            " https://oauth.company.com/authorize",
            "https:/oauth.company.com/authorize",
            "https:\\\\oauth.company.com/authorize",
            "https://oauth.company.com\t/authorize",
            "//oauth.company.com/authorize",
            "https://*.company.com/authorize",
            "",
        ] {
            assert_eq!(list.verdict(url).err().map(|e| e.id()), Some(Id::UrlNotApproved), "{url:?}");
        }
        assert!(ApprovedList::default().verdict("https://oauth.company.com/authorize").is_err());
    }

    #[test]
    fn entries_are_strict_too() {
        for url in
            ["http://a.example/", "https://*.example/", "https://a.example/?x", "https://a@b.example/", "x"]
        {
            let approved = Vec::from([RawEntry { url: url.to_string(), ..RawEntry::default() }]);
            let error = ApprovedList::parse(RawList { approved }).expect_err(url);
            assert!(error.why().contains("entry 1"), "{}", error.why());
        }
        assert!(
            list(&["https://a.example"]).verdict("https://a.example/anything").is_ok(),
            "an origin alone"
        );
    }
}
