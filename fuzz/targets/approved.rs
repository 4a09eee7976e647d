//! The approved list. The first line is an approved URL, the second a candidate.
//!
//! The oracle avoids the product's parser where it can: authority and path are also cut out of the text by hand.
#![no_main]

use keyfob_core::{
    Id,
    config::approved::{ApprovedList, RawEntry, RawList},
};
use libfuzzer_sys::fuzz_target;
use url::Url;

fuzz_target!(|text: &str| {
    let Some((entry, candidate)) = text.split_once('\n') else { return };
    let raw = RawList { approved: vec![RawEntry { url: entry.into(), ..RawEntry::default() }] };
    let list = match ApprovedList::parse(raw) {
        Ok(list) => list,
        Err(error) => {
            assert_eq!(error.id(), Id::ApprovedListMalformed);
            return keyfob_fuzz::assert_tellable(&error);
        }
    };
    match list.verdict(candidate) {
        Err(error) => {
            assert_eq!(error.id(), Id::UrlNotApproved);
            for part in [error.what(), error.why()] {
                keyfob_fuzz::assert_harmless(part);
            }
        }
        Ok(approval) => {
            let (entry, candidate_url) = (parse(entry), parse(candidate));
            assert_eq!(approval.origin(), entry.origin().ascii_serialization());
            assert_eq!(candidate_url.scheme(), "https");
            assert_eq!(candidate_url.host_str(), entry.host_str(), "another host");
            assert_eq!(candidate_url.port_or_known_default(), entry.port_or_known_default(), "another port");
            assert!(candidate_url.username().is_empty() && candidate_url.password().is_none());
            assert!(candidate_url.fragment().is_none());
            let below = |url: &Url| -> Vec<String> {
                let path = url.path().trim_end_matches('/').to_owned();
                path.split('/').map(str::to_owned).collect()
            };
            assert!(below(&candidate_url).starts_with(&below(&entry)), "another path");
            // By hand: nothing that another reader would read differently.
            assert!(!candidate.contains(['\\', '@', '#', '\t', '\n', '\r', ' ']) || by_query(candidate));
            let path = candidate.split('?').next().unwrap_or("").to_lowercase();
            assert!(!path.contains("%2e") && !path.contains("%2f") && !path.contains("%5c"));
        }
    }
});

fn parse(text: &str) -> Url {
    Url::parse(text).expect("what was accepted is a URL")
}

/// An `@` may occur in a path or a query.
fn by_query(text: &str) -> bool {
    let authority = text.split("://").nth(1).unwrap_or("").split(['/', '?']).next().unwrap_or("");
    !text.contains(['\\', '#', '\t', '\n', '\r', ' ']) && !authority.contains('@')
}
