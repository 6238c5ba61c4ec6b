//! Explanations of made-up builds: the store holds real records, the documents are as short as they can be.

use sealift_policy::digest::Digest;
use sealift_policy::local::{OutputRecord, PrefetchEvent, RecordedOutput, RefusedUnit};
use sealift_policy::manifest::Role;
use serde_json::{Value, json};

use super::*;

struct Machine {
    _folder: tempfile::TempDir,
    store: Store,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        Self { _folder: folder, store }
    }

    /// Keeps a key document; the members that are not given are those of any library.
    fn knows(&self, name: &str, members: Value) -> UnitKey {
        let mut document = json!({
            "cfg": [], "codegen": ["opt-level=3"], "crate_name": name, "crate_type": "lib", "externs": [], "out_dir": null,
            "package": {"name": name, "version": "1.0.0"},
        });
        for (member, value) in members.as_object().unwrap() {
            document[member] = value.clone();
        }
        let text = document.to_string();
        let key = UnitKey::new(Digest::of(text.as_bytes()));
        let version = document["package"]["version"].as_str().unwrap();
        let (name, version) = (name.parse().unwrap(), version.parse().unwrap());
        self.store.write_key(key, &text, &name, &version).unwrap();
        key
    }

    /// Keeps the record by which dependents know a library, and says how they name it.
    fn produced(&self, name: &str, key: UnitKey, content: &str) -> Value {
        let sha256 = Digest::of(content.as_bytes());
        let record = OutputRecord {
            version: 1,
            unit_key: key,
            crate_name: name.into(),
            outputs: vec![RecordedOutput {
                role: Role::Rmeta,
                sha256,
            }],
            deps: vec![],
            baked: false,
            native_libs: None,
        };
        self.store.write_output(&record).unwrap();
        json!({"name": name, "content": {"rmeta": sha256}})
    }

    fn explains(&self, events: &[BuildEvent]) -> Vec<Explanation> {
        let judge = Judge::new(&self.store, events);
        verdict::units(events).map(|unit| explain(&judge, unit)).collect()
    }
}

fn compiled(name: &str, key: UnitKey) -> UnitEvent {
    UnitEvent {
        crate_name: name.into(),
        package: Some(name.into()),
        package_version: Some("1.0.0".into()),
        kind: None,
        outcome: Outcome::Compiled,
        unit_key: Some(key),
        reason: Some("not in the local store".into()),
        cause: Some(Cause::Absent),
        about: None,
        waited_ms: 0,
        wrapper_us: 0,
        compile_ms: 0,
        bytes: 0,
        shared_bytes: 0,
    }
}

fn passed_through(name: &str, cause: Cause, about: &str, reason: &str) -> UnitEvent {
    UnitEvent {
        outcome: Outcome::PassedThrough,
        unit_key: None,
        reason: Some(reason.into()),
        cause: Some(cause),
        about: Some(about.into()),
        ..compiled(name, UnitKey::new(Digest::of(b"")))
    }
}

fn units<const N: usize>(units: [UnitEvent; N]) -> Vec<BuildEvent> {
    units.into_iter().map(BuildEvent::Unit).collect()
}

#[test]
fn a_miss_names_the_field_in_which_it_differs_from_the_closest_known_unit() {
    let machine = Machine::new();
    let here = machine.knows("syn", json!({"codegen": ["opt-level=3"], "edition": "2021"}));
    let near = machine.knows("syn", json!({"codegen": ["opt-level=2"], "edition": "2021"}));
    machine.knows("syn", json!({"codegen": ["opt-level=1"], "edition": "2018"}));
    machine.knows(
        "syn",
        json!({"crate_name": "build_script_build", "crate_type": "bin", "codegen": []}),
    );
    let explained = machine.explains(&units([compiled("syn", here)]));
    assert_eq!(explained[0].closest, Some(near));
    assert_eq!(
        (explained[0].cause, explained[0].about.as_deref()),
        (Some(Cause::Profile), Some("opt-level"))
    );
    insta::assert_snapshot!(text(&explained[0], &mut BTreeSet::new()).replace(&near.short(), "<key>"), @r"
    compiled       syn@1.0.0 (syn): `opt-level` is `3` here, `2` for the closest known unit (profile or `RUSTFLAGS`)
                   differs from the known unit <key> in: codegen.opt-level
                   hint: without `opt-level` in `[profile]` or `RUSTFLAGS` more is published; `cargo sealift request` asks for it as it is
    ");
}

#[test]
fn a_dependency_is_followed_to_its_own_cause() {
    let machine = Machine::new();
    let content = |name: &str, key, what: &str| machine.produced(name, key, what);
    let root_known = machine.knows("root", json!({}));
    let root = machine.knows("root", json!({"cfg": ["feature=\"std\""]}));
    let (root_then, root_now) = (content("root", root_known, "1"), content("root", root, "2"));
    let middle_known = machine.knows("middle", json!({"externs": [root_then]}));
    let middle = machine.knows("middle", json!({"externs": [root_now]}));
    let (middle_then, middle_now) = (content("middle", middle_known, "3"), content("middle", middle, "4"));
    machine.knows("top", json!({"externs": [middle_then]}));
    let top = machine.knows("top", json!({"externs": [middle_now]}));
    let explained = machine.explains(&units([
        compiled("root", root),
        compiled("middle", middle),
        compiled("top", top),
    ]));
    let causes: Vec<_> = explained.iter().map(|explained| explained.cause.unwrap()).collect();
    assert_eq!(causes, [Cause::Features, Cause::Dependency, Cause::Dependency]);
    let way: Vec<_> = explained[2]
        .because
        .iter()
        .map(|step| step.crate_name.as_str())
        .collect();
    assert_eq!(way, ["root", "middle"], "the first cause comes first");
    insta::assert_snapshot!(explained[1].reason, @"dependency `root` was compiled locally because feature `std` is set here, not for the closest known unit");
    insta::assert_snapshot!(explained[2].reason, @"dependency `root` (by way of `middle`) was compiled locally because feature `std` is set here, not for the closest known unit");
}

#[test]
fn a_dependency_with_equal_inputs_and_other_bytes_is_said_to_be_irreproducible() {
    let machine = Machine::new();
    let odd = machine.knows("odd", json!({}));
    let (then, now) = (machine.produced("odd", odd, "1"), machine.produced("odd", odd, "2"));
    machine.knows("top", json!({"externs": [then]}));
    let top = machine.knows("top", json!({"externs": [now]}));
    let explained = machine.explains(&units([compiled("odd", odd), compiled("top", top)]));
    assert_eq!(explained[1].cause, Some(Cause::Irreproducible));
}

#[test]
fn a_dependency_of_another_version_is_named_with_it() {
    let machine = Machine::new();
    let old = machine.produced(
        "dep",
        machine.knows("dep", json!({"package": {"name": "dep", "version": "0.9.0"}})),
        "1",
    );
    let new = machine.produced("dep", machine.knows("dep", json!({})), "2");
    machine.knows("top", json!({"externs": [old]}));
    let top = machine.knows("top", json!({"externs": [new]}));
    let explained = machine.explains(&units([compiled("top", top)]));
    insta::assert_snapshot!(explained[0].reason, @"dependency `dep` is another one than the known unit was compiled against: it is `dep@1.0.0` here, and was `dep@0.9.0`");
}

#[test]
fn what_the_prefetch_met_explains_what_is_not_there() {
    let machine = Machine::new();
    let key = machine.knows("syn", json!({}));
    let asked = PrefetchEvent {
        planned: 1,
        ..PrefetchEvent::default()
    };
    let cause = |prefetch: PrefetchEvent| {
        let events = [BuildEvent::Prefetch(prefetch), BuildEvent::Unit(compiled("syn", key))];
        machine.explains(&events)[0].cause.unwrap()
    };
    assert_eq!(
        machine.explains(&units([compiled("syn", key)]))[0].cause,
        Some(Cause::FirstTime)
    );
    assert_eq!(cause(asked.clone()), Cause::NotPublished);
    let refused = vec![RefusedUnit {
        unit_key: key,
        reason: "1 of 2 operators vouch for it".into(),
        cause: Some(Cause::Quorum),
        alarming: false,
    }];
    assert_eq!(
        cause(PrefetchEvent {
            refused,
            ..asked.clone()
        }),
        Cause::Quorum
    );
    let down = PrefetchEvent {
        problems: vec!["failed to reach `http://x/v1/lookup`".into()],
        obstacle: Some(Cause::Unreachable),
        ..asked.clone()
    };
    assert_eq!(cause(down), Cause::Unreachable);
    // That another unit did not come says nothing of this one.
    let gone = |unit_key| PrefetchEvent {
        problems: vec!["an object is not there".into()],
        refused: vec![RefusedUnit {
            unit_key,
            reason: "an object is not there".into(),
            cause: Some(Cause::Unreachable),
            alarming: false,
        }],
        ..asked.clone()
    };
    assert_eq!(cause(gone(UnitKey::new(Digest::of(b"another")))), Cause::NotPublished);
    assert_eq!(cause(gone(key)), Cause::Unreachable);
    let offline = PrefetchEvent {
        problems: vec!["offline".into()],
        obstacle: Some(Cause::Offline),
        ..asked
    };
    assert_eq!(cause(offline), Cause::Offline);
}

#[test]
fn only_what_the_public_store_has_can_be_late() {
    let machine = Machine::new();
    machine.knows("syn", json!({"cfg": ["feature=\"full\""]}));
    let late = UnitEvent {
        cause: Some(Cause::Late),
        reason: Some("waited 1450 ms in vain for its download".into()),
        ..compiled("syn", machine.knows("syn", json!({})))
    };
    assert_eq!(machine.explains(&units([late.clone()]))[0].cause, Some(Cause::Features));
    let hint = json!({"version": 1, "plan_id": Digest::of(b"plan"), "unit_keys": [late.unit_key]});
    machine
        .store
        .write("plans/x.json", hint.to_string().as_bytes())
        .unwrap();
    assert_eq!(machine.explains(&units([late]))[0].cause, Some(Cause::Late));
}

#[test]
fn dependents_of_what_nobody_published_are_simply_not_published_either() {
    let machine = Machine::new();
    let dep = machine.knows("dep", json!({}));
    let top = machine.knows("top", json!({"externs": [machine.produced("dep", dep, "1")]}));
    let asked = PrefetchEvent {
        planned: 2,
        ..PrefetchEvent::default()
    };
    let mut events = vec![BuildEvent::Prefetch(asked)];
    events.extend(units([compiled("dep", dep), compiled("top", top)]));
    assert_eq!(machine.explains(&events)[1].cause, Some(Cause::NotPublished));
}

#[test]
fn what_is_not_handled_passes_its_cause_on() {
    let machine = Machine::new();
    let edited = passed_through(
        "dep",
        Cause::EditedSources,
        "/src/dep",
        "`/src/dep` differs from the published package",
    );
    let unknown = passed_through(
        "top",
        Cause::UnknownDependency,
        "dep",
        "dependency `dep` was not compiled by Sealift",
    );
    let explained = machine.explains(&units([edited, unknown.clone()]));
    assert_eq!(explained[0].cause, Some(Cause::EditedSources));
    assert_eq!(explained[1].cause, Some(Cause::UnknownDependency));
    assert_eq!(explained[1].because[0].cause, Cause::EditedSources);
    insta::assert_snapshot!(explained[1].reason, @"dependency `dep` was compiled locally because the sources in `/src/dep` differ from the published package");
    let alone = machine.explains(&units([unknown]));
    assert_eq!(
        alone[0].reason,
        "dependency `dep` was compiled earlier, without Sealift"
    );
}

#[test]
fn a_cycle_of_causes_ends() {
    let machine = Machine::new();
    let a = passed_through(
        "a",
        Cause::UnknownDependency,
        "b",
        "dependency `b` was not compiled by Sealift",
    );
    let b = passed_through(
        "b",
        Cause::UnknownDependency,
        "a",
        "dependency `a` was not compiled by Sealift",
    );
    assert_eq!(machine.explains(&units([a, b])).len(), 2);
}

#[test]
fn a_hint_is_given_once() {
    let machine = Machine::new();
    let key = machine.knows("syn", json!({}));
    let explained = machine.explains(&units([compiled("syn", key), compiled("syn", key)]));
    let mut hinted = BTreeSet::new();
    let said = explained.iter().map(|unit| text(unit, &mut hinted)).collect::<String>();
    assert_eq!(said.matches("hint:").count(), 1, "{said}");
}

#[test]
fn the_json_has_the_members_that_scripts_rely_on() {
    let machine = Machine::new();
    let here = machine.knows("syn", json!({"codegen": ["opt-level=3"]}));
    machine.knows("syn", json!({"codegen": ["opt-level=2"]}));
    let explained = machine.explains(&units([compiled("syn", here)]));
    let json = serde_json::to_value(&explained[0]).unwrap();
    for member in ["crate", "package", "outcome", "reason", "cause", "differs", "hint"] {
        assert!(json.get(member).is_some(), "{member}");
    }
    assert_eq!(json["cause"], "profile");
    assert_eq!(json["differs"][0]["field"], "codegen.opt-level");
}
