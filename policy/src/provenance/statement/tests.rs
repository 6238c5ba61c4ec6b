//! The statement's golden form, and everything that is not one.

use serde_json::{Value, json};

use super::*;
use crate::key::Compiler;
use crate::run::RunDocument;

const VERSION: &str = "rustc 1.95.0 (000000000 2026-01-01)\nrelease: 1.95.0\nhost: x86_64-unknown-linux-gnu\n";

fn document(name: &str, version: &str) -> UnitDocument {
    let compiler = Compiler {
        sysroot: vec![],
        verbose_version: VERSION.into(),
    };
    let package = Package {
        checksum: Digest::of(name.as_bytes()),
        name: name.parse().unwrap(),
        version: version.parse().unwrap(),
    };
    let script = UnitKey::new(Digest::of(b"script"));
    RunDocument::new(script, compiler, package, BTreeMap::new()).into()
}

fn statement() -> Statement {
    let (serde, zstd) = (document("serde", "1.0.228"), document("zstd-sys", "2.0.16+zstd.1.5.7"));
    let unit = |name: &str, document, sandboxed| Unit {
        key: UnitKey::new(Digest::of(name.as_bytes())),
        manifest: Digest::of(b"manifest"),
        document,
        sandboxed,
    };
    let units = [
        unit("serde", &serde, true),
        unit("zstd", &zstd, false),
        unit("serde, check", &serde, true),
    ];
    let operator = "alpha".parse().unwrap();
    let invocation = Invocation {
        operator: &operator,
        builder_version: "0.1.0",
        id: "alpha/1/0-3",
    };
    let statement = Statement::new(invocation, units);
    assert_eq!(
        statement,
        Statement::new(invocation, units.into_iter().rev()),
        "the order does not matter"
    );
    statement
}

#[test]
fn the_statement_keeps_its_golden_form() {
    let statement = statement();
    let text = String::from_utf8(statement.to_bytes()).unwrap();
    insta::assert_snapshot!(text, @r##"{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"242daddb4ed79680ac790d9f9c01ca43c8fc3a16f1af137f7cb090c086988782","digest":{"sha256":"05b3abf2579a5eb66403cd78be557fd860633a1fe2103c7642030defe32c657f"}},{"name":"62f14fd221ea0f9857b102d636860b3668c3d0db7f40332c19dfb2011311ba48","digest":{"sha256":"05b3abf2579a5eb66403cd78be557fd860633a1fe2103c7642030defe32c657f"}},{"name":"8b917c4b6163bc82ef4aff025c6f5f4d54205232c4595f39b7b43008256a6cb7","digest":{"sha256":"05b3abf2579a5eb66403cd78be557fd860633a1fe2103c7642030defe32c657f"}}],"predicateType":"https://slsa.dev/provenance/v1","predicate":{"buildDefinition":{"buildType":"https://github.com/sealift/sealift/blob/main/policy/PROVENANCE.md#build-type-1","externalParameters":{"rules":[3],"toolchains":["1.95.0-x86_64-unknown-linux-gnu"]},"internalParameters":{"unsandboxed":["242daddb4ed79680ac790d9f9c01ca43c8fc3a16f1af137f7cb090c086988782"]},"resolvedDependencies":[{"uri":"pkg:cargo/serde@1.0.228","digest":{"sha256":"8b917c4b6163bc82ef4aff025c6f5f4d54205232c4595f39b7b43008256a6cb7"}},{"uri":"pkg:cargo/zstd-sys@2.0.16%2Bzstd.1.5.7","digest":{"sha256":"8cd9d278f03270aab073f396fc1c84f3239dab4be4f47c3f2062a58fcd6ad118"}}]},"runDetails":{"builder":{"id":"https://github.com/sealift/sealift/blob/main/policy/PROVENANCE.md#operator-alpha","version":{"sealift-builder":"0.1.0"}},"metadata":{"invocationId":"alpha/1/0-3"}}}}"##);
    assert_eq!(Statement::parse(&statement.to_bytes()).unwrap(), statement);
    assert!(statement.is_of(&"alpha".parse().unwrap()));
    assert!(!statement.is_of(&"al".parse().unwrap()));
}

#[test]
fn t25_another_kind_of_statement_predicate_or_build_is_refused() {
    let good: Value = serde_json::from_slice(&statement().to_bytes()).unwrap();
    for (pointer, other) in [
        ("/_type", "https://in-toto.io/Statement/v0.1"),
        ("/_type", "https://in-toto.io/Statement/v2"),
        ("/predicateType", "https://slsa.dev/provenance/v0.2"),
        ("/predicateType", "https://slsa.dev/verification_summary/v1"),
        ("/predicate/buildDefinition/buildType", "https://example.org/build"),
    ] {
        let mut wrong = good.clone();
        *wrong.pointer_mut(pointer).unwrap() = json!(other);
        let refused = Statement::parse(wrong.to_string().as_bytes());
        assert!(
            matches!(refused, Err(MalformedStatement::Unknown { .. })),
            "{pointer} {other}"
        );
    }
}

#[test]
fn what_a_statement_says_besides_is_refused() {
    let good: Value = serde_json::from_slice(&statement().to_bytes()).unwrap();
    for pointer in [
        "",
        "/subject/0",
        "/subject/0/digest",
        "/predicate",
        "/predicate/buildDefinition",
        "/predicate/buildDefinition/externalParameters",
        "/predicate/buildDefinition/internalParameters",
        "/predicate/buildDefinition/resolvedDependencies/0",
        "/predicate/runDetails",
        "/predicate/runDetails/builder",
        "/predicate/runDetails/metadata",
    ] {
        let mut wrong = good.clone();
        wrong.pointer_mut(pointer).unwrap()["more"] = json!(1);
        let refused = Statement::parse(wrong.to_string().as_bytes());
        assert!(matches!(refused, Err(MalformedStatement::Json(_))), "{pointer}");
    }
    let twice = good.to_string().replacen('{', "{\"_type\":\"x\",", 1);
    assert!(Statement::parse(twice.as_bytes()).is_err());
}

#[test]
fn a_statement_names_each_unit_once_and_at_least_one() {
    let good: Value = serde_json::from_slice(&statement().to_bytes()).unwrap();
    let mut none = good.clone();
    none["subject"] = json!([]);
    let mut twice = good;
    let first = twice["subject"][0].clone();
    twice["subject"].as_array_mut().unwrap().push(first);
    for wrong in [none, twice] {
        let refused = Statement::parse(wrong.to_string().as_bytes());
        assert!(matches!(refused, Err(MalformedStatement::Subjects)));
    }
}

#[test]
fn t25_a_hundred_thousand_subjects_are_refused_before_they_take_memory() {
    let mut value: Value = serde_json::from_slice(&statement().to_bytes()).unwrap();
    let subject = value["subject"][0].clone();
    value["subject"] = Value::Array(vec![subject; 100_000]);
    let error = Statement::parse(value.to_string().as_bytes()).unwrap_err();
    assert!(format!("{error:?}").contains("4097"), "{error:?}");
}

#[test]
fn overlong_texts_are_refused() {
    let good: Value = serde_json::from_slice(&statement().to_bytes()).unwrap();
    for pointer in [
        "/predicate/buildDefinition/resolvedDependencies/0/uri",
        "/predicate/runDetails/builder/id",
        "/predicate/runDetails/builder/version/sealift-builder",
        "/predicate/runDetails/metadata/invocationId",
    ] {
        let mut wrong = good.clone();
        *wrong.pointer_mut(pointer).unwrap() = json!("x".repeat(MAX_TEXT + 1));
        let refused = Statement::parse(wrong.to_string().as_bytes());
        assert!(matches!(refused, Err(MalformedStatement::TooLong)), "{pointer}");
    }
}
