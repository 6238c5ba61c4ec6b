//! Operators that build the same thing write the same leaf.

use std::collections::BTreeSet;

use sealift_policy::layout::ObjectPath;
use sealift_policy::local::Outcome;
use sealift_policy::wire::UnitHint;

use crate::fixture::{Person, Project, shared_world};

#[test]
fn every_unit_that_was_used_is_vouched_for_by_both_operators() {
    let access = shared_world().access();
    let person = Person::with(Project::Real("ripgrep"));
    let built = person.sealift(&access, ["build"]);
    let fetched = built
        .units
        .units
        .iter()
        .filter(|unit| unit.outcome == Outcome::HitFetched);
    let keys: BTreeSet<_> = fetched.filter_map(|unit| unit.unit_key).collect();
    assert!(!keys.is_empty());
    for key in keys {
        let url = format!("{}{}", access.url, ObjectPath::Unit(key));
        let answer = reqwest::blocking::get(&url)
            .and_then(reqwest::blocking::Response::error_for_status)
            .expect("a hint");
        let hint: UnitHint = serde_json::from_slice(&answer.bytes().expect("a body")).expect("a hint");
        assert_eq!(hint.manifests.len(), 1, "operators disagree on {key}");
        let operators: BTreeSet<_> = hint.manifests[0]
            .vouchers
            .iter()
            .map(|voucher| voucher.operator.clone())
            .collect();
        assert_eq!(operators.len(), 2, "{key} is not vouched for by both");
    }
}
