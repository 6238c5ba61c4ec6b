//! A service that is not there, says nothing, or says something else costs a bounded time and nothing more.

use sealift_tests::fault;
use sealift_tests::world::Access;

use crate::fixture::{Person, Project, shared_world};

/// The longest that a prefetch may take when nobody gives a useful answer, in milliseconds.
const BUDGET_MS: u64 = 8_000;

#[track_caller]
fn builds_without(url: String) {
    let access = Access {
        url,
        trust_policy: shared_world().access().trust_policy,
    };
    let person = Person::with(Project::Greeter);
    let built = person.sealift(&access, ["run"]);
    assert!(built.cargo.stdout.starts_with("hello\n"), "{}", built.cargo.stdout);
    assert_eq!(built.units.hits(), 0, "nothing can come from there");
    assert!(built.units.compiled() > 0);
    let waited: u64 = built.units.prefetch.iter().map(|event| event.wall_ms).sum();
    assert!(waited < BUDGET_MS, "waited {waited} ms");
}

#[test]
fn nobody_listens() {
    builds_without("http://127.0.0.1:9".into());
}

#[test]
fn the_name_does_not_resolve() {
    builds_without("http://sealift.invalid".into());
}

#[test]
fn the_service_accepts_and_is_silent() {
    builds_without(fault::silent_server().expect("a server"));
}

#[test]
fn a_sign_in_page_answers() {
    let page = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 25\r\n\r\n<html>please pay</html>\r\n";
    builds_without(fault::parrot_server(page).expect("a server"));
}

#[test]
fn the_service_is_overwhelmed() {
    let answer = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 3600\r\ncontent-length: 0\r\n\r\n";
    builds_without(fault::parrot_server(answer).expect("a server"));
}

#[test]
fn a_redirect_is_not_followed() {
    let elsewhere = fault::silent_server().expect("a server");
    let answer =
        format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: {elsewhere}/v1/lookup\r\ncontent-length: 0\r\n\r\n");
    builds_without(fault::parrot_server(answer.into_bytes().leak()).expect("a server"));
}

#[test]
fn a_missing_trust_policy_means_that_nobody_is_believed() {
    let person = Person::with(Project::Greeter);
    let access = Access {
        url: shared_world().access().url,
        trust_policy: person.folder().join("no-such-policy.json"),
    };
    let built = person.sealift(&access, ["run"]);
    assert!(built.cargo.stdout.starts_with("hello\n"));
    assert_eq!(built.units.fetched_hits(), 0);
}
