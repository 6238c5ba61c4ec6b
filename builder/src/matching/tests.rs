//! Rules of matching, on the unit graph of ripgrep 15.2.0 as cargo prints it.

use sealift_policy::digest::Digest;
use sealift_policy::local::CallExtern;
use sealift_policy::lockfile::Lockfile;
use sealift_policy::plan::plan_ids;

use super::*;

const GRAPH: &str = include_str!("../../../policy/testdata/ripgrep-15.2.0.unit-graph.json");
const LOCK: &str = include_str!("../../../policy/testdata/ripgrep-15.2.0.lock");

struct Fixture {
    graph: UnitGraph,
    plans: Vec<Planned>,
}

fn fixture() -> Fixture {
    fixture_of(GRAPH, LOCK)
}

fn fixture_of(graph: &str, lock: &str) -> Fixture {
    let graph = UnitGraph::parse(graph).unwrap();
    let toolchain = "1.95.0-x86_64-unknown-linux-gnu".parse().unwrap();
    let plans = plan_ids(&graph, &Lockfile::parse(lock).unwrap(), &toolchain);
    Fixture { graph, plans }
}

fn key_of(node: usize) -> UnitKey {
    UnitKey::new(Digest::of(&node.to_be_bytes()))
}

impl Fixture {
    /// The calls that cargo would make, each with a key of its node.
    fn calls(&self) -> BTreeMap<UnitKey, CallSummary> {
        self.plans
            .iter()
            .map(|plan| (key_of(plan.node), self.call(plan)))
            .collect()
    }

    fn call(&self, plan: &Planned) -> CallSummary {
        let unit = &self.graph.units()[plan.node];
        let dependencies = unit.dependencies.iter();
        let compiled = dependencies.filter(|edge| self.graph.units()[edge.index].mode != Mode::RunCustomBuild);
        let externs = compiled.map(|e| CallExtern {
            name: e.extern_crate_name.clone(),
            unit_key: key_of(e.index),
        });
        let kind = if unit.is_build_script() {
            CallKind::BuildScript
        } else {
            CallKind::Lib
        };
        let debuginfo = unit.profile["debuginfo"].as_u64().unwrap();
        CallSummary {
            package: plan.package.clone(),
            package_version: plan.version.clone(),
            checksum: plan.checksum,
            crate_name: unit.crate_name(),
            kind,
            check: false,
            features: unit.features.clone(),
            target: None,
            codegen: if debuginfo > 0 {
                vec![format!("debuginfo={debuginfo}")]
            } else {
                vec![]
            },
            externs: externs.collect(),
        }
    }

    fn matched(&self, calls: &BTreeMap<UnitKey, CallSummary>) -> BTreeMap<UnitKey, BTreeSet<PlanId>> {
        plans_of_units(&self.graph, &self.plans, calls.iter().map(|(key, call)| (*key, call)))
    }

    fn node(&self, package: &str) -> usize {
        let is_it =
            |plan: &&Planned| plan.package.as_str() == package && !self.graph.units()[plan.node].is_build_script();
        self.plans.iter().find(is_it).unwrap().node
    }
}

#[test]
fn every_call_finds_its_one_plan() {
    let fixture = fixture();
    let matched = fixture.matched(&fixture.calls());
    assert_eq!(matched.len(), fixture.plans.len());
    for plan in &fixture.plans {
        assert_eq!(matched[&key_of(plan.node)], BTreeSet::from([plan.plan_id]));
    }
}

#[test]
fn a_call_that_differs_in_anything_that_is_planned_matches_nothing_and_neither_do_its_dependents() {
    type Change = fn(&mut CallSummary);
    let changes: [Change; 9] = [
        |call| call.features.push("x".into()),
        |call| call.check = true,
        |call| call.kind = CallKind::ProcMacro,
        |call| call.target = Some("x86_64-unknown-linux-musl".into()),
        |call| call.codegen.push("opt-level=3".into()),
        |call| call.codegen.clear(),
        |call| call.codegen.push("panic=abort".into()),
        |call| call.checksum = Digest::of(b"other"),
        |call| call.crate_name = "other".into(),
    ];
    let fixture = fixture();
    let memchr = fixture.node("memchr");
    for (index, change) in changes.into_iter().enumerate() {
        let mut calls = fixture.calls();
        change(calls.get_mut(&key_of(memchr)).unwrap());
        let matched = fixture.matched(&calls);
        assert!(!matched.contains_key(&key_of(memchr)), "change {index}");
        assert!(
            !matched.contains_key(&key_of(fixture.node("aho-corasick"))),
            "change {index}"
        );
    }
}

#[test]
fn a_call_with_other_externs_matches_nothing() {
    let fixture = fixture();
    let bstr = key_of(fixture.node("bstr"));
    type Change = fn(&mut Vec<CallExtern>);
    let changes: [Change; 3] = [
        |externs| externs[0].unit_key = UnitKey::new(Digest::of(b"other")),
        |externs| externs[0].name = "other".into(),
        |externs| externs.push(externs[0].clone()),
    ];
    for change in changes {
        let mut calls = fixture.calls();
        change(&mut calls.get_mut(&bstr).unwrap().externs);
        assert!(!fixture.matched(&calls).contains_key(&bstr));
    }
}

#[test]
fn what_cannot_be_told_apart_is_listed_under_each() {
    let fixture = fixture();
    let mut calls = fixture.calls();
    let (memchr, twin) = (key_of(fixture.node("memchr")), UnitKey::new(Digest::of(b"twin")));
    calls.insert(twin, calls[&memchr].clone());
    let matched = fixture.matched(&calls);
    assert_eq!(matched[&twin], matched[&memchr]);
}

/// The fixture with a package whose script's runs are shared, and the node of its run.
fn with_a_shared_run() -> (Fixture, usize) {
    let lock = LOCK.replace(
        "name = \"zmij\"\nversion = \"1.0.23\"",
        "name = \"ring\"\nversion = \"0.17.14\"",
    );
    let fixture = fixture_of(&GRAPH.replace("#zmij@1.0.23", "#ring@0.17.14"), &lock);
    let is_run = |plan: &&Planned| fixture.graph.units()[plan.node].mode == Mode::RunCustomBuild;
    let node = fixture.plans.iter().find(is_run).unwrap().node;
    (fixture, node)
}

#[test]
fn a_run_finds_its_plan_also_where_its_script_is_nobody_s() {
    let (fixture, node) = with_a_shared_run();
    let mut calls = fixture.calls();
    let run = calls.get_mut(&key_of(node)).unwrap();
    run.kind = CallKind::BuildScriptRun;
    run.crate_name = "build_script_run".into();
    run.target = Some("x86_64-unknown-linux-gnu".into());
    run.codegen = vec!["OPT_LEVEL=0".into(), "DEBUG=true".into()];
    assert!(fixture.matched(&calls).contains_key(&key_of(node)));
    let script = key_of(fixture.graph.units()[node].dependencies[0].index);
    let without_script: BTreeMap<_, _> = calls.clone().into_iter().filter(|(key, _)| *key != script).collect();
    assert!(fixture.matched(&without_script).contains_key(&key_of(node)));
    let changes: [fn(&mut CallSummary); 3] = [
        |run| run.codegen[0] = "OPT_LEVEL=3".into(),
        |run| run.features.push("x".into()),
        |run| run.externs[0].unit_key = UnitKey::new(Digest::of(b"other")),
    ];
    for change in changes {
        let mut calls = calls.clone();
        change(calls.get_mut(&key_of(node)).unwrap());
        assert!(!fixture.matched(&calls).contains_key(&key_of(node)));
    }
}
