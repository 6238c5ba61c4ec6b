//! In which fields two key documents differ, and which cause each field is.
//!
//! Owns what a field of the key means to a user. Must not know units, stores or builds: it compares two documents.

use std::collections::{BTreeMap, BTreeSet};

use sealift_policy::cause::Cause;
use serde::Serialize;
use serde_json::Value;

/// A field of the key document that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Difference {
    /// The field, with the names of options, variables and dependencies behind a dot.
    pub(super) field: String,
    /// Of the known unit.
    pub(super) known: Value,
    /// Of the unit of this build.
    pub(super) here: Value,
    /// What it comes from.
    pub(super) cause: Cause,
}

/// The fields that differ, those first that explain the others.
pub(super) fn differences(known: &Value, here: &Value) -> Vec<Difference> {
    let has_script = here.get("out_dir").is_some_and(|out_dir| !out_dir.is_null());
    let (known, here) = (fields(known), fields(here));
    let names: BTreeSet<&String> = known.keys().chain(here.keys()).collect();
    let value = |fields: &BTreeMap<String, Value>, name: &String| fields.get(name).cloned().unwrap_or_default();
    let mut found: Vec<_> = names
        .into_iter()
        .filter(|name| known.get(*name) != here.get(*name))
        .flat_map(|name| apart(name, value(&known, name), value(&here, name), has_script))
        .collect();
    found.sort_by_key(|difference| (rank(difference.cause), weight(&difference.field)));
    found
}

/// Of lists whose order means nothing only what was added or removed is shown.
fn apart(field: &str, known: Value, here: Value, has_script: bool) -> Vec<Difference> {
    let difference = |field: &str, known, here| Difference {
        field: field.to_owned(),
        cause: cause(field, has_script),
        known,
        here,
    };
    match (&known, &here) {
        (Value::Array(a), Value::Array(b)) => {
            let only = |these: &[Value], those: &[Value]| -> Vec<Value> {
                these.iter().filter(|value| !those.contains(value)).cloned().collect()
            };
            let (only_known, only_here) = (only(a, b), only(b, a));
            if only_known.is_empty() && only_here.is_empty() {
                return vec![difference(field, known, here)];
            }
            vec![difference(field, only_known.into(), only_here.into())]
        }
        _ => vec![difference(field, known, here)],
    }
}

/// The document as one level of names: `codegen` options, `env` variables, `externs` and the features among the `cfg`s
/// have names of their own.
fn fields(document: &Value) -> BTreeMap<String, Value> {
    let mut fields = BTreeMap::new();
    for (name, value) in document.as_object().into_iter().flatten() {
        match (name.as_str(), value) {
            ("codegen", Value::Array(options)) => {
                for option in options.iter().filter_map(Value::as_str) {
                    let (option, value) = option.split_once('=').unwrap_or((option, "on"));
                    fields.insert(format!("codegen.{option}"), value.into());
                }
            }
            ("cfg", Value::Array(cfgs)) => {
                let (features, others): (Vec<_>, Vec<_>) = cfgs.iter().partition(|cfg| feature(cfg).is_some());
                let features: Vec<_> = features.into_iter().filter_map(feature).map(Value::from).collect();
                fields.insert("features".into(), features.into());
                fields.insert("cfg".into(), others.into_iter().cloned().collect());
            }
            ("externs", Value::Array(externs)) => {
                for dependency in externs {
                    let name = dependency.get("name").and_then(Value::as_str).unwrap_or("?");
                    let content = dependency.get("content").cloned().unwrap_or_default();
                    fields.insert(format!("externs.{name}"), content);
                }
            }
            (_, Value::Object(members)) => {
                for (member, value) in members {
                    fields.insert(format!("{name}.{member}"), value.clone());
                }
            }
            (_, value) => drop(fields.insert(name.clone(), value.clone())),
        }
    }
    fields
}

fn feature(cfg: &Value) -> Option<&str> {
    cfg.as_str()?.strip_prefix("feature=\"")?.strip_suffix('"')
}

/// What a field comes from. A `--cfg` comes from the build script where there is one, or from `RUSTFLAGS`.
fn cause(field: &str, has_script: bool) -> Cause {
    let (name, member) = field.split_once('.').unwrap_or((field, ""));
    match name {
        "rules" | "version" => Cause::Rules,
        "compiler" => Cause::Toolchain,
        "target" => Cause::Target,
        "emit" => Cause::Mode,
        "features" => Cause::Features,
        "codegen" if PROFILE_SETTINGS.contains(&member) => Cause::Profile,
        "codegen" => Cause::Rustflags,
        "cfg" | "check_cfg" if has_script => Cause::Cfg,
        "cfg" | "check_cfg" => Cause::Rustflags,
        "cap_lints" | "lints" => Cause::Lints,
        "env" => Cause::Environment,
        // Of a build script's run.
        "run_env" if member == "TARGET" => Cause::Target,
        "run_env" if ["OPT_LEVEL", "DEBUG", "PROFILE"].contains(&member) => Cause::Profile,
        "run_env" if member.starts_with("CARGO_FEATURE_") => Cause::Features,
        "run_env" if member == "CARGO_ENCODED_RUSTFLAGS" => Cause::Rustflags,
        "run_env" => Cause::Environment,
        "system" => Cause::BuildScript,
        "script" => Cause::OtherInput,
        "out_dir" | "native_libs" | "native_search" => Cause::BuildScript,
        name if name.starts_with("script") => Cause::BuildScript,
        "externs" | "closure" => Cause::Dependency,
        _ => Cause::OtherInput,
    }
}

/// The `-C` options that cargo writes for a profile. Those that make cargo write others come first.
const PROFILE_SETTINGS: &[&str] = &[
    "opt-level",
    "debuginfo",
    "lto",
    "panic",
    "codegen-units",
    "debug-assertions",
    "embed-bitcode",
    "linker-plugin-lto",
    "overflow-checks",
    "rpath",
    "split-debuginfo",
    "strip",
];

/// Among settings of a profile, which one the others follow.
fn weight(field: &str) -> usize {
    let option = field.strip_prefix("codegen.");
    let place = option.and_then(|option| PROFILE_SETTINGS.iter().position(|known| *known == option));
    place.unwrap_or(PROFILE_SETTINGS.len())
}

/// Which cause explains the others: another compiler makes every dependency another one, too.
fn rank(cause: Cause) -> usize {
    const ORDER: [Cause; 12] = [
        Cause::Rules,
        Cause::Toolchain,
        Cause::Target,
        Cause::Mode,
        Cause::Rustflags,
        Cause::Profile,
        Cause::Features,
        Cause::Lints,
        Cause::Environment,
        Cause::Cfg,
        Cause::BuildScript,
        Cause::OtherInput,
    ];
    ORDER.iter().position(|known| *known == cause).unwrap_or(ORDER.len())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(known: &Value, here: &Value) -> Vec<(String, Value, Value, Cause)> {
        differences(known, here)
            .into_iter()
            .map(|d| (d.field, d.known, d.here, d.cause))
            .collect()
    }

    #[test]
    fn options_variables_and_features_are_named() {
        let known = json!({"codegen": ["opt-level=3", "debuginfo=0"], "env": {"A": "1", "B": "2"}, "cfg": ["feature=\"std\"", "x"]});
        let here = json!({"codegen": ["opt-level=3", "debuginfo=2", "target-cpu=v2"], "env": {"A": "1", "C": ""}, "cfg": ["feature=\"alloc\"", "x"]});
        assert_eq!(
            found(&known, &here),
            [
                ("codegen.target-cpu".into(), Value::Null, json!("v2"), Cause::Rustflags),
                ("codegen.debuginfo".into(), json!("0"), json!("2"), Cause::Profile),
                ("features".into(), json!(["std"]), json!(["alloc"]), Cause::Features),
                ("env.B".into(), json!("2"), Value::Null, Cause::Environment),
                ("env.C".into(), Value::Null, json!(""), Cause::Environment),
            ]
        );
    }

    #[test]
    fn what_decides_about_a_run_has_a_cause_of_its_own() {
        let run = |name: &str, member: &str, value: &str| json!({name: {member: value}});
        for (name, member, cause) in [
            ("run_env", "TARGET", Cause::Target),
            ("run_env", "OPT_LEVEL", Cause::Profile),
            ("run_env", "CARGO_FEATURE_STD", Cause::Features),
            ("run_env", "CARGO_ENCODED_RUSTFLAGS", Cause::Rustflags),
            ("run_env", "DEP_Z_INCLUDE", Cause::Environment),
            ("system", "c-compiler", Cause::BuildScript),
        ] {
            let found = found(&run(name, member, "a"), &run(name, member, "b"));
            assert_eq!(found[0].3, cause, "{member}");
        }
    }

    #[test]
    fn a_list_in_another_order_differs_as_a_whole() {
        let found = differences(&json!({"lints": [1, 2]}), &json!({"lints": [2, 1]}));
        assert_eq!(found[0].known, json!([1, 2]));
    }

    #[test]
    fn dependencies_come_after_what_makes_them_differ() {
        let known =
            json!({"externs": [{"name": "a", "content": {"rmeta": "1"}}], "compiler": {"verbose_version": "1"}});
        let here = json!({"externs": [{"name": "a", "content": {"rmeta": "2"}}], "compiler": {"verbose_version": "2"}});
        let causes: Vec<_> = found(&known, &here).into_iter().map(|found| found.3).collect();
        assert_eq!(causes, [Cause::Toolchain, Cause::Dependency]);
    }

    #[test]
    fn a_cfg_is_the_build_script_s_only_where_there_is_one() {
        let with = |out_dir: Value| json!({"cfg": ["extra"], "out_dir": out_dir});
        let known = |out_dir: Value| json!({"cfg": [], "out_dir": out_dir});
        assert_eq!(found(&known(Value::Null), &with(Value::Null))[0].3, Cause::Rustflags);
        assert_eq!(found(&known(json!("x")), &with(json!("x")))[0].3, Cause::Cfg);
    }

    #[test]
    fn every_field_of_a_key_document_that_is_not_known_here_is_an_input_all_the_same() {
        let found = found(&json!({"made_up": 1}), &json!({"made_up": 2}));
        assert_eq!(found[0].3, Cause::OtherInput);
    }
}
