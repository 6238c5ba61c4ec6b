//! What `cargo sealift` says about the last build agrees with what happened.

use crate::fixture::{Person, Project, shared_world};

#[test]
fn stats_count_what_the_build_recorded() {
    let access = shared_world().access();
    let person = Person::with(Project::Greeter);
    let built = person.sealift(&access, ["build"]);
    let said = person
        .user
        .sealift(&person.project, &["stats", "--json"], Some(&access))
        .expect("started")
        .successful()
        .expect("stats");
    let stats: serde_json::Value = serde_json::from_str(&said.stdout).expect("JSON on standard output");
    let count = |name: &str| {
        stats["units"][name]
            .as_u64()
            .unwrap_or_else(|| panic!("no number `{name}` in {stats}"))
    };
    assert_eq!(count("hit"), built.units.hits() as u64);
    assert_eq!(count("handled"), built.units.handled() as u64);
    assert_eq!(count("passed_through"), built.units.passed_through() as u64);
    assert_eq!(count("rejected"), 0);
    assert_eq!(stats["bytes_fetched"].as_u64(), Some(built.units.bytes_fetched()));
    assert!(stats["misses"].is_array());
}

#[test]
fn explain_and_verify_speak_of_every_unit() {
    let access = shared_world().access();
    let person = Person::with(Project::Greeter);
    person.sealift(&access, ["build"]);
    let explained = person
        .user
        .sealift(&person.project, &["explain", "--json"], Some(&access))
        .expect("started");
    let explained = explained.successful().expect("an explanation").stdout;
    let _: serde_json::Value = serde_json::from_str(&explained).expect("JSON on standard output");
    for package in ["anyhow", "indoc", "itoa", "memchr"] {
        assert!(explained.contains(package), "{package} is missing:\n{explained}");
    }
    let target = person.target.to_str().expect("UTF-8");
    let verified = person.user.sealift(
        &person.project,
        &["verify", "--json", "--target-dir", target],
        Some(&access),
    );
    let verified = verified
        .expect("started")
        .successful()
        .expect("a sound target folder")
        .stdout;
    let _: serde_json::Value = serde_json::from_str(&verified).expect("JSON on standard output");
}
