//! Rules of requests, on the unit graph of ripgrep 15.2.0 as cargo prints it.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::unit_graph::UnitGraph;

const GRAPH: &str = include_str!("../../testdata/ripgrep-15.2.0.unit-graph.json");
const LOCK: &str = include_str!("../../testdata/ripgrep-15.2.0.lock");

fn request() -> Request {
    let asked = Asked {
        toolchain: "1.95.0-x86_64-unknown-linux-gnu".parse().unwrap(),
        target: None,
        profile: ProfileKind::Dev,
        profile_table: ProfileTable::default(),
    };
    Request::from_plan(
        &UnitGraph::parse(GRAPH).unwrap(),
        &Lockfile::parse(LOCK).unwrap(),
        asked,
    )
    .unwrap()
}

fn changed(change: impl Fn(&mut Value)) -> Result<Request, RefusedRequest> {
    let mut value: Value = serde_json::from_str(&request().to_json()).unwrap();
    change(&mut value);
    Request::parse(value.to_string().as_bytes())
}

#[test]
fn a_request_reads_back() {
    assert_eq!(Request::parse(request().to_json().as_bytes()).unwrap(), request());
}

#[test]
fn a_request_tells_nothing_of_the_project_itself() {
    let text = request().to_json();
    for own in ["\"ripgrep\"", "rg", "/home/user"] {
        assert!(
            !text.contains(&format!("\"{own}\"")) && !text.contains("/home/user"),
            "{own}"
        );
    }
    assert!(
        !request()
            .packages
            .iter()
            .any(|package| package.name.as_str() == "ripgrep")
    );
}

#[test]
fn every_planned_package_is_asked_for_with_its_features() {
    let request = request();
    let built: Vec<_> = request.packages.iter().filter(|package| package.is_built()).collect();
    assert_eq!(built.len(), 33);
    let regex = built.iter().find(|package| package.name.as_str() == "memchr").unwrap();
    let features: Vec<_> = regex
        .target_features
        .as_ref()
        .unwrap()
        .iter()
        .map(FeatureName::as_str)
        .collect();
    assert_eq!(features, ["alloc", "default", "std"]);
}

#[test]
fn requests_that_a_stranger_could_misuse_are_refused() {
    type Change = fn(&mut Value);
    let changes: [Change; 16] = [
        |r| r["version"] = json!(2),
        |r| r["extra"] = json!(1),
        |r| r["packages"] = json!([]),
        |r| r["packages"][0]["name"] = json!("name/../../"),
        |r| r["packages"][0]["name"] = json!("sеrde"),
        |r| r["packages"][0]["version"] = json!("^1"),
        |r| r["packages"][0]["version"] = json!("git+https://example.org/x"),
        |r| r["packages"][0]["checksum"] = json!("00"),
        |r| r["packages"][0]["target_features"] = json!(["--all"]),
        |r| r["packages"][0]["target_features"] = json!(vec!["x"; 100_000]),
        |r| r["packages"][0]["dependencies"] = json!(["nowhere@1.0.0"]),
        |r| r["packages"][1] = r["packages"][0].clone(),
        |r| r["packages"].as_array_mut().unwrap().reverse(),
        |r| r["target"] = json!("../evil.json"),
        |r| r["profile"] = json!("dev; rm"),
        |r| r["profile_table"]["settings"]["rustflags"] = json!(["-Clinker=x"]),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        assert!(changed(change).is_err(), "change {index}");
    }
    assert!(changed(|_| {}).is_ok());
}

#[test]
fn requests_of_unbounded_size_are_refused() {
    assert!(matches!(
        Request::parse(&vec![b' '; MAX_REQUEST + 1]),
        Err(RefusedRequest::TooLarge(_))
    ));
    let many = changed(|request| {
        let package = request["packages"][0].clone();
        request["packages"] = json!(vec![package; MAX_PACKAGES + 1]);
    });
    assert!(matches!(many, Err(RefusedRequest::TooLarge(_))));
}

#[test]
fn the_generated_project_pins_everything() {
    let request = request();
    let files = project::files(&request);
    let text = |path: &str| files.iter().find(|file| file.path == path).unwrap().text.clone();
    let manifest = text("Cargo.toml");
    insta::assert_snapshot!(manifest.lines().take(7).collect::<Vec<_>>().join("\n"), @r#"
    [build-dependencies]

    [dependencies.p0]
    default-features = false
    features = ["default", "perf-literal", "std"]
    package = "aho-corasick"
    version = "=1.1.4"
    "#);
    let lockfile = Lockfile::parse(&text("Cargo.lock")).unwrap();
    assert_eq!(lockfile, request.lockfile());
}

#[test]
fn two_feature_sets_on_one_side_are_no_request() {
    let mut graph: Value = serde_json::from_str(GRAPH).unwrap();
    let units = graph["units"].as_array_mut().unwrap();
    let index = units
        .iter()
        .position(|unit| unit["target"]["name"] == "memchr")
        .unwrap();
    let mut copy = units[index].clone();
    copy["features"] = json!([]);
    units.push(copy);
    let last = units.len() - 1;
    let root = usize::try_from(graph["roots"][0].as_u64().unwrap()).unwrap();
    graph["units"][root]["dependencies"]
        .as_array_mut()
        .unwrap()
        .push(json!({"index": last, "extern_crate_name": "m"}));
    let asked = Asked {
        toolchain: request().toolchain,
        target: None,
        profile: ProfileKind::Dev,
        profile_table: ProfileTable::default(),
    };
    let graph = UnitGraph::parse(&graph.to_string()).unwrap();
    let refused = Request::from_plan(&graph, &Lockfile::parse(LOCK).unwrap(), asked);
    assert!(matches!(refused, Err(NotRequestable::SeveralFeatureSets(_))));
}

proptest! {
    #[test]
    fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Request::parse(&bytes);
    }
}
