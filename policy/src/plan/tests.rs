//! Rules of the plan document, on the unit graph of ripgrep 15.2.0 as cargo prints it.

use std::collections::BTreeSet;

use super::*;

const GRAPH: &str = include_str!("../../testdata/ripgrep-15.2.0.unit-graph.json");
const LOCK: &str = include_str!("../../testdata/ripgrep-15.2.0.lock");

fn toolchain() -> Toolchain {
    "1.95.0-x86_64-unknown-linux-gnu".parse().unwrap()
}

fn plans(graph: &str) -> Vec<Planned> {
    plan_ids(
        &UnitGraph::parse(graph).unwrap(),
        &Lockfile::parse(LOCK).unwrap(),
        &toolchain(),
    )
}

fn ids(graph: &str) -> BTreeSet<PlanId> {
    plans(graph).into_iter().map(|plan| plan.plan_id).collect()
}

/// The graph with one unit changed.
fn changed(package: &str, change: impl Fn(&mut Value)) -> String {
    let mut graph: Value = serde_json::from_str(GRAPH).unwrap();
    let units = graph["units"].as_array_mut().unwrap();
    let unit = units
        .iter_mut()
        .find(|unit| {
            unit["pkg_id"].as_str().unwrap().contains(&format!("#{package}@")) && unit["target"]["kind"][0] == "lib"
        })
        .unwrap();
    change(unit);
    graph.to_string()
}

/// How many plans differ from those of the unchanged graph.
fn differing(graph: &str) -> usize {
    ids(GRAPH).difference(&ids(graph)).count()
}

#[test]
fn every_compilation_of_a_crates_io_package_has_a_plan_of_its_own() {
    let graph = UnitGraph::parse(GRAPH).unwrap();
    let expected = graph
        .units()
        .iter()
        .filter(|unit| matches!(unit.package, PackageId::CratesIo(..)) && unit.mode == Mode::Build)
        .count();
    assert_eq!(plans(GRAPH).len(), expected);
    assert_eq!(ids(GRAPH).len(), expected);
}

#[test]
fn a_plan_keeps_its_golden_form() {
    let plan = plans(GRAPH)
        .into_iter()
        .find(|plan| plan.package.as_str() == "memchr")
        .unwrap();
    insta::assert_snapshot!(plan.plan_id, @"36f53a1b7cb5b70bd6b5b48e9a831045f8300b8d64e292e3bccaa3c1ebab54ce");
}

#[test]
fn where_the_project_lies_and_what_the_profile_is_called_never_change_a_plan() {
    let moved = GRAPH.replace("/home/user/", "/srv/build/some/where/else/");
    let renamed = GRAPH.replace(r#""name":"dev""#, r#""name":"my-profile""#);
    assert_ne!(moved, GRAPH);
    assert_ne!(renamed, GRAPH);
    assert_eq!(ids(&moved), ids(GRAPH));
    assert_eq!(ids(&renamed), ids(GRAPH));
}

#[test]
fn stripping_changes_the_plans_of_what_is_linked_only() {
    let stripped = changed("memchr", |unit| {
        unit["profile"]["strip"] = json!({"resolved": {"Named": "symbols"}})
    });
    assert_eq!(ids(&stripped), ids(GRAPH));
    let all = GRAPH.replace(
        r#""strip":{"deferred":"None"}"#,
        r#""strip":{"resolved":{"Named":"symbols"}}"#,
    );
    let scripts = plans(GRAPH)
        .into_iter()
        .filter(|plan| UnitGraph::parse(GRAPH).unwrap().units()[plan.node].is_build_script());
    assert_eq!(differing(&all), scripts.count());
}

#[test]
fn the_order_of_units_and_features_never_changes_a_plan() {
    let mut graph: Value = serde_json::from_str(GRAPH).unwrap();
    let count = graph["units"].as_array().unwrap().len();
    graph["units"].as_array_mut().unwrap().reverse();
    for unit in graph["units"].as_array_mut().unwrap() {
        unit["features"].as_array_mut().unwrap().reverse();
        for edge in unit["dependencies"].as_array_mut().unwrap() {
            edge["index"] = json!(count - 1 - usize::try_from(edge["index"].as_u64().unwrap()).unwrap());
        }
    }
    graph["roots"] = json!([]);
    assert_eq!(ids(&graph.to_string()), ids(GRAPH));
}

#[test]
fn every_input_of_a_leaf_of_the_graph_changes_its_plan_and_those_above_it() {
    let base = differing(&changed("memchr", |unit| unit["features"] = json!(["alloc"])));
    assert!(base > 1, "dependents differ too");
    type Change = fn(&mut Value);
    let changes: [Change; 7] = [
        |unit| unit["profile"]["opt_level"] = json!("2"),
        |unit| unit["profile"]["debuginfo"] = json!(1),
        |unit| unit["profile"]["one_day"] = json!("new"),
        |unit| unit["target"]["edition"] = json!("2015"),
        |unit| unit["target"]["crate_types"] = json!(["dylib"]),
        |unit| unit["platform"] = json!("x86_64-unknown-linux-musl"),
        |unit| unit["mode"] = json!("check"),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        assert_eq!(differing(&changed("memchr", change)), base, "change {index}");
    }
    let renamed = changed("regex-automata", |unit| {
        unit["dependencies"][0]["extern_crate_name"] = json!("other")
    });
    assert!(differing(&renamed) > 0);
    let other: Toolchain = "1.96.0-x86_64-unknown-linux-gnu".parse().unwrap();
    let (graph, lockfile) = (UnitGraph::parse(GRAPH).unwrap(), Lockfile::parse(LOCK).unwrap());
    assert!(
        plan_ids(&graph, &lockfile, &other)
            .iter()
            .all(|plan| !ids(GRAPH).contains(&plan.plan_id))
    );
}

#[test]
fn another_checksum_changes_the_plan() {
    let memchr = plans(GRAPH)
        .into_iter()
        .find(|plan| plan.package.as_str() == "memchr")
        .unwrap();
    let lock = LOCK.replace(&memchr.checksum.to_string(), &Digest::of(b"other").to_string());
    let plans = plan_ids(
        &UnitGraph::parse(GRAPH).unwrap(),
        &Lockfile::parse(&lock).unwrap(),
        &toolchain(),
    );
    assert!(plans.iter().all(|plan| plan.plan_id != memchr.plan_id));
}

#[test]
fn another_build_script_changes_no_plan_but_its_own() {
    let mut graph: Value = serde_json::from_str(GRAPH).unwrap();
    let unit = graph["units"]
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .find(|unit| {
            unit["pkg_id"].as_str().unwrap().contains("#anyhow@") && unit["target"]["kind"][0] == "custom-build"
        })
        .unwrap();
    unit["profile"]["opt_level"] = json!("3");
    assert_eq!(differing(&graph.to_string()), 1);
}

#[test]
fn what_is_compiled_against_a_package_of_another_source_has_no_plan() {
    let graph = changed("memchr", |unit| {
        unit["pkg_id"] = json!("git+https://example.org/memchr#memchr@2.7.4")
    });
    assert_eq!(plans(&graph).len() + differing(&graph), plans(GRAPH).len());
    assert!(differing(&graph) > 1);
}

#[test]
fn a_setting_that_canonical_json_cannot_hold_costs_only_the_plans_it_touches() {
    for odd in [json!(1.5), json!(-1), json!([1.5]), json!(u64::MAX)] {
        let graph = changed("memchr", |unit| unit["profile"]["odd"] = odd.clone());
        assert!(differing(&graph) > 1);
    }
}

#[test]
fn a_deep_graph_of_thousands_is_planned_in_bounded_time() {
    let count = 4_000_usize;
    let mut lock = String::new();
    let units: Vec<_> = (0..count)
        .map(|index| {
            let source = crate::package_id::CRATES_IO;
            let digest = Digest::of(b"crate");
            lock.push_str(&format!(
                "[[package]]\nname = \"p{index}\"\nversion = \"1.0.0\"\nsource = \"{source}\"\nchecksum = \"{digest}\"\n"
            ));
            // Two edges to the next unit: without a memo the walk would double at each step.
            let next = json!({"index": index + 1, "extern_crate_name": "x"});
            json!({
                "pkg_id": format!("{source}#p{index}@1.0.0"), "mode": "build",
                "target": {"kind": ["lib"], "crate_types": ["lib"], "name": "p", "edition": "2024"}, "profile": {},
                "dependencies": if index + 1 < count { vec![next.clone(), next] } else { vec![] },
            })
        })
        .collect();
    let graph = UnitGraph::parse(&json!({"version": 1, "units": units, "roots": [0]}).to_string()).unwrap();
    assert_eq!(
        plan_ids(&graph, &Lockfile::parse(&lock).unwrap(), &toolchain()).len(),
        count
    );
}

/// The same with a package whose script's runs are shared.
fn with_a_shared_run() -> (String, String) {
    let graph = GRAPH.replace("#zmij@1.0.23", "#ring@0.17.14");
    let lock = LOCK.replace(
        "name = \"zmij\"\nversion = \"1.0.23\"",
        "name = \"ring\"\nversion = \"0.17.14\"",
    );
    (graph, lock)
}

fn runs(graph: &str, lock: &str) -> Vec<Planned> {
    let graph = UnitGraph::parse(graph).unwrap();
    let plans = plan_ids(&graph, &Lockfile::parse(lock).unwrap(), &toolchain());
    let is_run = |plan: &Planned| graph.units()[plan.node].mode == Mode::RunCustomBuild;
    plans.into_iter().filter(is_run).collect()
}

#[test]
fn a_run_that_is_shared_has_a_plan_and_others_have_none() {
    assert!(runs(GRAPH, LOCK).is_empty());
    let (graph, lock) = with_a_shared_run();
    let planned = runs(&graph, &lock);
    assert_eq!(planned.len(), 1);
    assert_eq!(planned[0].package.as_str(), "ring");
    let node = planned[0].node;
    let changes: [fn(&mut Value); 3] = [
        |unit| unit["profile"]["opt_level"] = json!("3"),
        |unit| unit["features"] = json!(["std"]),
        |unit| unit["platform"] = json!("x86_64-unknown-linux-gnu"),
    ];
    for change in changes {
        let mut changed: Value = serde_json::from_str(&graph).unwrap();
        change(&mut changed["units"][node]);
        let changed = runs(&changed.to_string(), &lock);
        assert_ne!(changed[0].plan_id, planned[0].plan_id);
    }
}
