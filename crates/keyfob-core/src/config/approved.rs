//! Matches custom OAuth URLs against the approved list. The matcher is strict, because a URL that passes it receives
//! the login.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use percent_encoding::percent_decode_str;
use serde::Deserialize;
use url::{Url, form_urlencoded};

use super::endpoints::with_endpoints;
use crate::{
    Error, Id, Result,
    contract::{names, values},
    error::escape,
    provider::Endpoints,
};

/// A file of approvals as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawList {
    /// The `[[approved]]` entries.
    #[serde(default)]
    pub approved: Vec<RawEntry>,
}

with_endpoints! {
/// One `[[approved]]` as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the keys are described in docs/configuration.md")]
pub struct RawEntry {
    pub url: String,
    pub issuer: Option<String>,
}
}

/// The approvals of this machine. An empty list approves nothing; there are no wildcards.
///
/// ```
/// use keyfob_core::{
///     Id,
///     config::approved::{ApprovedList, RawEntry, RawList},
/// };
///
/// let entry = RawEntry { url: "https://oauth.company.com/authorize".into(), ..RawEntry::default() };
/// let list = ApprovedList::parse(RawList { approved: vec![entry] })?;
///
/// assert!(list.verdict("https://oauth.company.com/authorize/tenant").is_ok());
/// let refused = list.verdict("https://oauth.company.com/authorizex").expect_err("another segment");
/// assert_eq!((refused.id(), refused.why()), (Id::UrlNotApproved, "its path is not under an approved one"));
/// # Ok::<(), keyfob_core::Error>(())
/// ```
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
        entries.map(|(at, raw)| Entry::parse(at + 1, &raw)).collect::<Result<_>>().map(Self)
    }

    /// Adds the approvals of another file.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Whether an entry has this origin, as [`url::Origin`] writes it.
    #[must_use]
    pub fn has_origin(&self, origin: &str) -> bool {
        self.0.iter().any(|entry| entry.origin == origin)
    }

    /// The approval of this URL.
    ///
    /// # Errors
    /// [`Id::UrlNotApproved`], naming the rule it breaks.
    pub fn verdict(&self, text: &str) -> Result<&Entry> {
        let refuse = |why: &str| {
            let what = format!("{} names {}, which is not approved", names::CUSTOM_URL, shown(text));
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
    fn parse(at: usize, raw: &RawEntry) -> Result<Self> {
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
        if url.path().contains("//") {
            return Err(wrong("url", "expected a path without empty segments"));
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
            endpoints: raw.endpoints(endpoint)?,
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
    let path = text.split_once("://").map_or("", |(_, rest)| rest).split('?').next().unwrap_or("");
    // Also where it takes a second decoding (`%252f`): servers behind servers do that.
    let mut path = path.to_ascii_lowercase();
    while path.contains("%25") {
        path = path.replace("%25", "%");
    }
    // Whatever else stands encoded there some server decodes into what it steers by: `%3b` and `%00` into the end of a dot
    // segment, `%c0%ae` and a full-width dot into a dot.
    let octets: Vec<u8> = percent_decode_str(&path).collect();
    let decoded = core::str::from_utf8(&octets).map_err(|_| "expected a path whose encoding is UTF-8")?;
    let hidden = |c: char| !c.is_ascii() && !c.is_alphanumeric();
    let wide = |c: char| ('\u{ff00}'..='\u{ffef}').contains(&c);
    if decoded.chars().any(|c| hidden(c) || wide(c)) {
        return Err("expected a path without encoded characters that stand for others");
    }
    let encoded = path.split('%').skip(1).filter_map(|part| u8::from_str_radix(part.get(..2)?, 16).ok());
    if encoded.into_iter().any(|octet| octet.is_ascii() && octet != b' ') {
        return Err("expected a path without encoded slashes, dots or other signs");
    }
    // `..;x` is a dot segment for servers that know path parameters (RFC 3986 §3.3), and none for the parser.
    if path.split('/').any(|segment| matches!(segment.split_once(';'), Some(("." | "..", _)))) {
        return Err("expected a path without parameters on dot segments");
    }
    Ok(url)
}

/// Whether a path is the prefix or below it, segment by segment. Both are without dot segments.
fn under(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The OAuth request parameter that a query sets in advance, if it does (RFC 6749 §3.1: no parameter twice).
/// In any case, and after `;` too: some servers are that lenient, and ours would come second.
fn preset(url: &Url) -> Option<&'static str> {
    let pairs = url.query().unwrap_or("").split(['&', ';']);
    pairs.flat_map(|pair| form_urlencoded::parse(pair.as_bytes())).find_map(|(name, _)| {
        let name = name.split(['[', '\0']).next().unwrap_or("").trim();
        PARAMETERS.iter().find(|ours| name.eq_ignore_ascii_case(ours)).copied()
    })
}

/// What an authorization request can carry (the IANA registry "OAuth Parameters"), and what a token request
/// can that must not lie in a URL.
const PARAMETERS: &[&str] = &[
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
    "id_token_hint",
    "max_age",
    "display",
    "ui_locales",
    "claims_locales",
    "acr_values",
    "claims",
    "registration",
    "resource",
    "authorization_details",
    "dpop_jkt",
    "issuer_state",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "grant_type",
    "code",
    "code_verifier",
];

/// A refused URL for people: without its query and without what may be a password.
fn shown(text: &str) -> String {
    let bare = text.split(['?', '#']).next().unwrap_or("");
    if bare.contains('@') { "a URL".into() } else { format!("`{}`", escape(bare)) }
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
    fn approved_list_accepts_these_urls() {
        let list = list(&["https://oauth.company.com/authorize", "https://b\u{fc}cher.example:8443/oauth"]);
        for url in [
            "https://oauth.company.com/authorize",
            "https://OAUTH.Company.COM/authorize",
            "https://oauth.company.com:443/authorize",
            "https://oauth.company.com/authorize/",
            "https://oauth.company.com/authorize/tenant",
            "https://oauth.company.com/x/../authorize",
            "https://oauth.company.com/authorize?tenant=7",
            "https://oauth.company.com/authorize/b%C3%BCcher%20und%20mehr",
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
    fn approved_list_rejects_these_urls() {
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
            "https://oauth.company.com//authorize",
            "https://oauth.company.com/x/authorize",
            "https://oauth.company.com/authorize/./../token",
            "https://oauth.company.com/authorize/%252e%252e/token",
            "https://oauth.company.com/authorize%25252ftoken",
            "https://oauth.company.com/authorize/..;/token",
            "https://oauth.company.com/authorize/..;x=y/token",
            "https://oauth.company.com/authorize/.;/token",
            "https://oauth.company.com/authorize/..%3b/token",
            "https://oauth.company.com/authorize/..%253b/token",
            "https://oauth.company.com/authorize/%c0%ae%c0%ae/token",
            "https://oauth.company.com/authorize/%ef%bc%8e%ef%bc%8e/token",
            "https://oauth.company.com/authorize/..%ef%bc%8ftoken",
            "https://oauth.company.com/authorize/%e2%80%a4%e2%80%a4/token",
            "https://oauth.company.com/authorize/..%00/token",
            "https://oauth.company.com/authorize/..%09/token",
            "https://oauth.company.com/authorize/..%23",
            "https://oauth.company.com/authorize%3ftoken",
            "https://\u{212a}.company.com/authorize",
            "https://oauth.company.com/authorize/\u{ff0e}\u{ff0e}/token",
            "https://oauth.company.com/authorize\u{2215}token",
            "https://oauth\u{ff0e}company.com/authorize",
            "https://oauth\u{3002}company.com/authorize",
            "https://oauth.com\u{ad}pany.com/authorize",
            "https://\u{ff4f}auth.company.com/authorize",
            "https://oauth.company.com\u{2215}.evil.example/authorize",
            "https://xn--oauth.company.com/authorize",
            "https://oauth.company.com%2eevil.example/authorize",
            "https://oauth.company.com:0443/authorize",
            "https://oauth.company.com:/authorize",
            "https://oauth.company.com:443@evil.example/authorize",
            "https://oauth.company.com/authorize?a=1;redirect_uri=https://evil.example",
            "https://oauth.company.com/authorize?redirect_uri[]=https://evil.example",
            "https://oauth.company.com/authorize?redirect_uri%5B%5D=https://evil.example",
            "https://oauth.company.com/authorize?+state=x",
            "https://oauth.company.com/authorize?request_uri%00=x",
            "https://oauth.company.com/authorize?authorization_details=x",
            "https://oauth.company.com/authorize?client_id",
            "javascript://oauth.company.com/authorize",
            "wss://oauth.company.com/authorize",
            "https://",
            "",
        ] {
            assert_eq!(list.verdict(url).err().map(|e| e.id()), Some(Id::UrlNotApproved), "{url:?}");
        }
        assert!(ApprovedList::default().verdict("https://oauth.company.com/authorize").is_err());
    }

    /// The error names the rule, and repeats neither a password nor a query.
    #[test]
    fn a_refusal_names_the_rule() {
        let list = list(&["https://oauth.company.com/authorize"]);
        for (url, why) in [
            ("http://oauth.company.com/authorize", "https://"),
            ("https://evil.example/authorize", "no entry has this host and port"),
            ("https://oauth.company.com:8443/authorize", "no entry has this host and port"),
            ("https://oauth.company.com/token", "not under an approved one"),
            ("https://oauth.company.com./authorize", "trailing dot"),
            ("https://u:MARKED@oauth.company.com/authorize", "user name or password"),
            ("https://oauth.company.com/authorize#MARKED", "fragment"),
            ("https://oauth.company.com/authorize/%2e%2e/", "encoded"),
            ("https://oauth.company.com/authorize?client_secret=MARKED", "`client_secret`"),
        ] {
            let error = list.verdict(url).expect_err(url);
            assert!(error.why().contains(why), "{url}: {}", error.why());
            assert!(!error.to_string().contains("MARKED"), "{error}");
        }
        let empty = ApprovedList::default().verdict("https://oauth.company.com/").expect_err("empty");
        assert_eq!(empty.why(), "the approved list is empty");
    }

    /// Whatever is put between an approved origin and what follows, only the prefix's own segments pass.
    #[test]
    fn a_prefix_ends_where_its_segment_ends() {
        let list = list(&["https://a.example/oauth"]);
        for byte in 0x21..=0x7e_u8 {
            let url = format!("https://a.example/oauth{}x", char::from(byte));
            assert_eq!(list.verdict(&url).is_ok(), matches!(byte, b'/' | b'?'), "{url}");
        }
    }

    #[test]
    fn the_longest_prefix_decides() {
        let entry = |url: &str, issuer: &str| RawEntry {
            url: url.into(),
            issuer: Some(issuer.into()),
            ..RawEntry::default()
        };
        let entries = [
            entry("https://a.example/tenant", "https://tenant.example"),
            entry("https://a.example", "https://a.example"),
        ];
        let list = ApprovedList::parse(RawList { approved: Vec::from(entries) }).unwrap();
        let issuer = |url: &str| list.verdict(url).unwrap().issuer.clone();
        assert_eq!(issuer("https://a.example/tenant/authorize"), "https://tenant.example");
        assert_eq!(issuer("https://a.example/tenants"), "https://a.example");
    }

    #[test]
    fn approved_list_rejects_malformed_entries() {
        for url in [
            "http://a.example/",
            "https://*.example/",
            "https://a.example/?x",
            "https://a@b.example/",
            "https://a.example//",
            "https://a.example/a//b",
            "https://a.example/%2e%2e",
            "https://a.example./",
            "x",
        ] {
            let approved = Vec::from([RawEntry { url: url.to_string(), ..RawEntry::default() }]);
            let error = ApprovedList::parse(RawList { approved }).expect_err(url);
            assert!(error.why().contains("entry 1"), "{}", error.why());
        }
        assert!(
            list(&["https://a.example"]).verdict("https://a.example/anything").is_ok(),
            "an origin alone"
        );
    }

    /// A sign-in page is one of the approved origins or it is none; another file adds to the list.
    #[test]
    fn the_list_knows_its_origins() {
        let mut all = list(&["https://a.example/authorize"]);
        all.extend(list(&["https://b.example:8443/"]));
        assert!(all.has_origin("https://a.example") && all.has_origin("https://b.example:8443"));
        assert!(!all.has_origin("https://c.example") && !all.has_origin("https://b.example"));
    }

    #[test]
    fn a_refusal_shows_the_url_without_what_may_be_secret() {
        let what = |url: &str| list(&[]).verdict(url).expect_err("none is approved").what().to_string();
        assert!(what("https://evil.example/x?token=t").contains("`https://evil.example/x`"));
        let named = what("https://ada:pass@evil.example/x");
        assert!(!named.contains("pass") && named.contains("a URL"), "{named}");
    }
}
