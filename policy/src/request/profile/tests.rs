//! Rules of profiles.

use super::*;

fn resolved(manifest: &str, name: &str) -> (ProfileKind, String) {
    let (kind, table) = resolve(&[manifest.parse().unwrap()], name).unwrap();
    (kind, serde_json::to_string(&table).unwrap())
}

#[test]
fn a_custom_profile_comes_down_to_dev_or_release_with_all_it_inherits() {
    let manifest = r#"
        [profile.release]
        debug = 1
        [profile.release.build-override]
        opt-level = 3
        [profile.slow]
        inherits = "release"
        lto = "fat"
        incremental = true
        [profile.slower]
        inherits = "slow"
        debug = false
    "#;
    let (kind, table) = resolved(manifest, "slower");
    assert_eq!(kind, ProfileKind::Release);
    insta::assert_snapshot!(table, @r#"{"settings":{"debug":false,"lto":"fat"},"build_override":{"opt-level":3},"package":{}}"#);
    assert_eq!(resolved(manifest, "test").0, ProfileKind::Dev);
    assert_eq!(
        resolved("", "dev"),
        (
            ProfileKind::Dev,
            r#"{"settings":{},"build_override":{},"package":{}}"#.into()
        )
    );
}

#[test]
fn a_profile_that_inherits_from_nothing_or_itself_is_refused() {
    for manifest in [
        "",
        "[profile.x]\ndebug = 1",
        "[profile.x]\ninherits = \"y\"",
        "[profile.x]\ninherits = \"x\"",
    ] {
        let documents = [manifest.parse().unwrap()];
        assert!(
            matches!(resolve(&documents, "x"), Err(MalformedProfile::Inherits(_))),
            "{manifest}"
        );
    }
}

#[test]
fn configuration_overrules_the_manifest() {
    let documents = [
        "[profile.dev]\nopt-level = 1\ndebug = 0",
        "[profile.dev]\nopt-level = \"s\"",
    ]
    .map(|text| text.parse().unwrap());
    let (_, table) = resolve(&documents, "dev").unwrap();
    insta::assert_snapshot!(table.to_toml(), @r#"
    debug = 0
    opt-level = "s"
    "#);
}

#[test]
fn unknown_settings_and_odd_values_are_refused_from_strangers() {
    for settings in [
        r#"{"rustflags": ["-Clinker=/bin/sh"]}"#,
        r#"{"opt-level": "3\"\n[patch.crates-io]"}"#,
        r#"{"debug": {"x": 1}}"#,
        r#"{"debug": 1.5}"#,
        r#"{"codegen-units": 99999999}"#,
        r#"{"inherits": "x"}"#,
    ] {
        assert!(serde_json::from_str::<Settings>(settings).is_err(), "{settings}");
    }
    for spec in ["", "../x", "a b", "**", "*@1", "x@^1", "x@"] {
        assert!(PackageSpec::try_from(spec.to_owned()).is_err(), "{spec}");
    }
    assert!(PackageSpec::try_from("serde:1.0".to_owned()).is_ok());
}
