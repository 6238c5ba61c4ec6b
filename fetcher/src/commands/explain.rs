//! `cargo sealift explain [CRATE]`: why each unit of the last build was reused or compiled.
//!
//! Owns finding the key document that comes closest, and naming the fields that differ.
//! Must not know what a field means.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use sealift_policy::digest::UnitKey;
use sealift_policy::local::{self, BuildEvent, Outcome, UnitEvent};
use serde::Serialize;
use serde_json::Value;

use super::context::Context;
use super::{Exit, ExplainArgs};
use crate::events;
use crate::report::shell;
use crate::report::verdict::{self, Verdicts};
use crate::store::Store;

/// What is said about one unit.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Explanation {
    #[serde(rename = "crate")]
    crate_name: String,
    package: Option<String>,
    outcome: Outcome,
    reason: String,
    unit_key: Option<UnitKey>,
    /// The known unit of the same package that comes closest, for one that was compiled.
    closest: Option<Closest>,
}

/// A known unit and where the compiled one differs from it.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Closest {
    unit_key: UnitKey,
    differs: Vec<Difference>,
}

/// A field of the key document.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Difference {
    field: String,
    /// Of the known unit.
    known: Value,
    /// Of the unit of this build.
    here: Value,
}

/// Explains the last build.
pub(super) fn run(context: &Context, args: &ExplainArgs) -> anyhow::Result<Exit> {
    let root = context.store()?;
    let store = Store::open(root)?;
    let events = last_build_with_units(root)?;
    let verdicts = Verdicts::of(&events);
    let asked = |unit: &&UnitEvent| {
        args.name
            .as_ref()
            .is_none_or(|name| unit.package.as_ref() == Some(name) || unit.crate_name == name.replace('-', "_"))
    };
    // Another version with the same key was compiled by this very build, so it explains nothing.
    let built: BTreeSet<UnitKey> = verdict::units(&events).filter_map(|unit| unit.unit_key).collect();
    let units = verdict::units(&events).filter(asked);
    let explanations: Vec<_> = units.map(|unit| explain(&store, unit, &verdicts, &built)).collect();
    if args.format.json {
        let report = serde_json::json!({"version": 1, "units": explanations});
        shell::data(&format!("{}\n", serde_json::to_string_pretty(&report)?))?;
    } else if explanations.is_empty() {
        let what = args
            .name
            .as_ref()
            .map_or("unit".to_owned(), |name| format!("unit of `{name}`"));
        shell::data(&format!("the last build compiled no {what}\n"))?;
    } else {
        shell::data(&explanations.iter().map(text).collect::<String>())?;
    }
    Ok(Exit::Success)
}

/// The events of the newest build that compiled or reused anything: a build in which all was fresh explains nothing.
fn last_build_with_units(root: &Path) -> anyhow::Result<Vec<BuildEvent>> {
    for id in events::builds(root)?.into_iter().rev() {
        let build = events::read(root, id)?;
        if verdict::units(&build.events).next().is_some() {
            return Ok(build.events);
        }
    }
    Ok(Vec::new())
}

fn explain(store: &Store, unit: &UnitEvent, verdicts: &Verdicts<'_>, built: &BTreeSet<UnitKey>) -> Explanation {
    let outcome = verdicts.outcome(unit);
    let closest = match outcome {
        Outcome::Compiled | Outcome::Rejected => closest(store, unit, built),
        Outcome::HitCompiled | Outcome::HitFetched | Outcome::PassedThrough => None,
    };
    Explanation {
        crate_name: unit.crate_name.clone(),
        package: verdict::package(unit),
        outcome,
        reason: verdicts.reason(unit),
        unit_key: unit.unit_key,
        closest,
    }
}

/// Among the units that are known of the same version of the package, and of the same crate of it, the one with the
/// fewest differences.
fn closest(store: &Store, unit: &UnitEvent, built: &BTreeSet<UnitKey>) -> Option<Closest> {
    let here = document(store, unit.unit_key?)?;
    let name = unit.package.as_ref()?.parse().ok()?;
    let version = unit.package_version.as_ref()?.parse().ok()?;
    let folder = store.path(&local::package_path(&name, &version));
    let keys = fs_err::read_dir(folder)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    keys.filter(|key| !built.contains(key))
        .filter_map(|unit_key| {
            let known = document(store, unit_key)?;
            let same = |field: &str| known.get(field) == here.get(field);
            (same("crate_name") && same("crate_type")).then(|| Closest {
                unit_key,
                differs: differences(&known, &here),
            })
        })
        .filter(|closest| !closest.differs.is_empty())
        .min_by_key(|closest| (closest.differs.len(), closest.unit_key))
}

fn document(store: &Store, key: UnitKey) -> Option<Value> {
    store.read(&local::key_path(key))
}

/// The innermost members that differ; lists are compared as sets, so that only what was added or removed shows.
fn differences(known: &Value, here: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("", known, here, &mut found);
    found
}

fn compare(field: &str, known: &Value, here: &Value, found: &mut Vec<Difference>) {
    match (known, here) {
        _ if known == here => {}
        (Value::Object(a), Value::Object(b)) => {
            let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for name in names {
                let field = if field.is_empty() {
                    name.clone()
                } else {
                    format!("{field}.{name}")
                };
                let member = |object: &serde_json::Map<String, Value>| object.get(name).cloned().unwrap_or_default();
                compare(&field, &member(a), &member(b), found);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.iter().any(|x| !b.contains(x)) || b.iter().any(|x| !a.contains(x)) => {
            let only = |these: &[Value], those: &[Value]| {
                Value::Array(these.iter().filter(|value| !those.contains(value)).cloned().collect())
            };
            found.push(Difference {
                field: field.into(),
                known: only(a, b),
                here: only(b, a),
            });
        }
        _ => found.push(Difference {
            field: field.into(),
            known: known.clone(),
            here: here.clone(),
        }),
    }
}

fn text(explanation: &Explanation) -> String {
    let outcome = match explanation.outcome {
        Outcome::HitCompiled | Outcome::HitFetched => "hit",
        Outcome::Compiled => "compiled",
        Outcome::Rejected => "rejected",
        Outcome::PassedThrough => "passed through",
    };
    let name = explanation.package.as_ref().unwrap_or(&explanation.crate_name);
    let mut text = format!(
        "{outcome:<15}{name} ({}): {}\n",
        explanation.crate_name, explanation.reason
    );
    if let Some(closest) = &explanation.closest {
        let mut line = |what: String| writeln!(text, "{:15}{what}", "").expect("a string takes everything");
        line(format!("differs from the known unit {} in", closest.unit_key.short()));
        for difference in &closest.differs {
            line(format!(
                "  {}: {} there, {} here",
                difference.field,
                brief(&difference.known),
                brief(&difference.here)
            ));
        }
    }
    text
}

fn brief(value: &Value) -> String {
    let text = match value {
        Value::Null => "nothing".into(),
        Value::Array(items) if items.is_empty() => "nothing".into(),
        Value::String(text) => format!("{text:?}"),
        other => other.to_string(),
    };
    match text.char_indices().nth(160) {
        Some((end, _)) => format!("{} ...", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use sealift_policy::digest::Digest;
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_innermost_fields_that_differ_are_named() {
        let known = json!({"codegen": ["opt-level=3", "debuginfo=0"], "env": {"A": "1", "B": "2"}, "edition": "2021"});
        let here = json!({"codegen": ["opt-level=3", "debuginfo=2"], "env": {"A": "1", "C": ""}, "edition": "2021"});
        let found: Vec<_> = differences(&known, &here)
            .into_iter()
            .map(|d| (d.field, d.known, d.here))
            .collect();
        assert_eq!(
            found,
            [
                ("codegen".into(), json!(["debuginfo=0"]), json!(["debuginfo=2"])),
                ("env.B".into(), json!("2"), Value::Null),
                ("env.C".into(), Value::Null, json!("")),
            ]
        );
    }

    #[test]
    fn a_list_in_another_order_differs_as_a_whole() {
        let found = differences(&json!({"a": [1, 2]}), &json!({"a": [2, 1]}));
        assert_eq!(found[0].known, json!([1, 2]));
    }

    fn event(name: &str, key: UnitKey) -> UnitEvent {
        UnitEvent {
            crate_name: name.into(),
            package: Some(name.into()),
            package_version: Some("1.0.0".into()),
            kind: None,
            outcome: Outcome::Compiled,
            unit_key: Some(key),
            reason: Some("not in the local store".into()),
            cause: None,
            about: None,
            wrapper_us: 0,
            compile_ms: 0,
            bytes: 0,
            shared_bytes: 0,
        }
    }

    #[test]
    fn a_miss_names_the_field_in_which_it_differs_from_the_closest_known_unit() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let write = |document: Value| {
            let text = document.to_string();
            let key = UnitKey::new(Digest::of(text.as_bytes()));
            store
                .write_key(key, &text, &"syn".parse().unwrap(), &"1.0.0".parse().unwrap())
                .unwrap();
            key
        };
        let unit = |codegen: &str, edition: &str| json!({"codegen": [codegen], "crate_name": "syn", "crate_type": "lib", "edition": edition});
        let here = write(unit("opt-level=3", "2021"));
        let near = write(unit("opt-level=2", "2021"));
        write(unit("opt-level=1", "2018"));
        write(json!({"codegen": [], "crate_name": "build_script_build", "crate_type": "bin", "edition": "2021"}));
        let explanation = explain(
            &store,
            &event("syn", here),
            &Verdicts::default(),
            &BTreeSet::from([here]),
        );
        assert_eq!(explanation.closest.as_ref().unwrap().unit_key, near);
        insta::assert_snapshot!(text(&explanation).replace(&near.short(), "<key>"), @r#"
        compiled       syn@1.0.0 (syn): not in the local store
                       differs from the known unit <key> in
                         codegen: ["opt-level=2"] there, ["opt-level=3"] here
        "#);
    }
}
