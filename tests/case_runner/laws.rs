//! Laws about the cases themselves: every promise of the contract is covered by a case.

use std::collections::BTreeSet;

use keyfob::internals::core::{
    contract::VARIABLES,
    source::{Prefer, Purpose, order},
};

use crate::case::{self, Pair};

/// Every row of the table works in one case and is refused in another.
#[test]
fn every_variable_has_a_working_and_a_malformed_case() {
    let cases = case::all();
    let known: BTreeSet<_> = VARIABLES.iter().map(|variable| variable.name).collect();
    for (malformed, word) in [(false, "working"), (true, "malformed")] {
        let covered: BTreeSet<_> = cases
            .iter()
            .filter(|case| case.malformed == malformed)
            .flat_map(|case| case.covers.iter().map(String::as_str))
            .collect();
        let missing: Vec<_> = known.difference(&covered).collect();
        assert!(missing.is_empty(), "without a {word} case: {missing:?}");
    }
}

/// A case sets every variable that it claims to cover.
#[test]
fn a_case_sets_what_it_covers() {
    for case in case::all() {
        for name in &case.covers {
            let set = case.env.contains_key(name) || case.run.iter().any(|run| run.env.contains_key(name));
            assert!(set, "{} covers {name} and never sets it", case.name);
        }
    }
}

/// Every two neighbours of every order are in one case together.
#[test]
fn every_step_of_every_order_has_a_case() {
    let orders = [
        ("api", order(Purpose::Api, Prefer::ApiKey)),
        ("api-oauth", order(Purpose::Api, Prefer::OAuth)),
        ("remote", order(Purpose::Remote, Prefer::ApiKey)),
    ];
    let steps = orders.into_iter().flat_map(|(name, sources)| {
        sources.windows(2).map(move |step| Pair {
            order: name.into(),
            wins: step[0].name().into(),
            over: step[1].name().into(),
        })
    });
    let steps: BTreeSet<_> = steps.collect();
    let shown: BTreeSet<_> = case::all().into_iter().filter_map(|case| case.pair).collect();
    assert_eq!(shown, steps);
}
