//! What was fetched is compiled once more and compared: honest operators are confirmed, a forger whom the user trusts is
//! found out. An auditor who reads all logs names both sides.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use sealift_policy::local::CallKind;
use sealift_policy::manifest::Role;
use sealift_tests::child;
use sealift_tests::env::clean_command;
use sealift_tests::liar::Liar;
use sealift_tests::workload::Profile;
use sealift_tests::world::{Access, Quorum, World};
use serde_json::Value;

use crate::fixture::{PROGRAMS, Person, Project, new_folder, publish};

#[test]
fn an_audit_confirms_what_is_honest_and_names_what_a_trusted_operator_forged() {
    let folder = new_folder();
    let liar = Liar::new("liar").expect("a name");
    let one = Quorum {
        host_code: 1,
        library: 1,
    };
    let world =
        World::start_with(&folder.path().join("world"), &PROGRAMS, 1, one, vec![liar.operator()]).expect("a world");
    publish(&world, Project::Greeter, &[Profile::Dev]);
    let honest = only(&world.access(), "alpha", folder.path());
    let person = Person::with(Project::Greeter);
    let built = person.sealift(&honest, ["build"]);
    assert!(built.units.fetched_hits() > 3, "{:#?}", built.units);
    let auditor = folder.path().join("auditor");
    let all = audit_logs(&honest, &auditor, "2", 0);
    assert_eq!(all["verdict"], "fine", "{all:#}");
    for unit in all["rebuilt"].as_array().expect("a list") {
        assert_eq!(unit["outcome"]["outcome"], "reproduced", "{all:#}");
    }
    assert_eq!(all["rebuilt"].as_array().map(Vec::len), Some(2), "{all:#}");
    let report = audit(&person, &honest, 0);
    assert_eq!(report["reproduced"], built.units.fetched_hits(), "{report:#}");

    let is_macro = |kind: Option<CallKind>| kind == Some(CallKind::ProcMacro);
    let indoc = built
        .units
        .units
        .iter()
        .find(|unit| is_macro(unit.kind))
        .expect("a proc macro");
    #[expect(clippy::disallowed_methods, reason = "the liar's clock")]
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    let key = indoc.unit_key.expect("it was handled");
    liar.lie_about(&world.access().url, key, Role::ProcMacro, now)
        .expect("a lie");

    let all = audit_logs(&world.access(), &auditor, "0", 3);
    let found = &all["findings"][0]["detail"];
    assert_eq!(
        (&all["logs"][0]["known"], &found["finding"], &found["unit_key"]),
        (&all["logs"][0]["size"], &"disagreement".into(), &key.to_string().into()),
        "what was read before is not read again, and the lie is found: {all:#}"
    );
    for (index, operator) in ["alpha", "liar"].into_iter().enumerate() {
        assert_eq!(found["statements"][index]["log"]["operator"], operator, "{all:#}");
    }

    // Where nobody contradicts the liar, building it again does.
    let trusting = only(&world.access(), "liar", folder.path());
    let all = audit_logs(&trusting, &folder.path().join("another-auditor"), "1", 3);
    let found = &all["rebuilt"][0];
    assert_eq!(
        (
            &found["unit_key"],
            &found["outcome"]["outcome"],
            &found["outcome"]["what"][0]
        ),
        (&key.to_string().into(), &"diverged".into(), &"output proc-macro".into()),
        "{all:#}"
    );

    let mut deceived = Person::with(Project::Greeter);
    deceived.empty_store("another-store");
    let built = deceived.sealift(&trusting, ["build"]);
    assert_eq!(
        built.units.fetched_hits(),
        1,
        "the forged macro works as before: {:#?}",
        built.units
    );
    let report = audit(&deceived, &trusting, 1);
    let found = &report["units"][0];
    assert_eq!(
        (&report["diverged"], &found["crate"]),
        (&1.into(), &"indoc".into()),
        "{report:#}"
    );
    let evidence = found["comparison"]["evidence"].as_str().expect("it is kept");
    for name in [
        "unit.json",
        "key.json",
        "fetched/manifest.json",
        "compiled/manifest.json",
    ] {
        assert!(Path::new(evidence).join(name).is_file(), "{name}");
    }
}

/// The world with one operator trusted and no other.
fn only(access: &Access, name: &str, folder: &Path) -> Access {
    let text = fs_err::read_to_string(&access.trust_policy).expect("a trust policy");
    let mut policy: Value = serde_json::from_str(&text).expect("JSON");
    let operators = policy["operators"].as_array_mut().expect("a list");
    operators.retain(|operator| operator["name"] == name);
    let path = folder.join(format!("{name}.json"));
    fs_err::write(&path, policy.to_string()).expect("written");
    Access {
        trust_policy: path,
        ..access.clone()
    }
}

/// The report of an auditor who reads all logs and builds a sample again, and ends with this code.
fn audit_logs(access: &Access, data: &Path, sample: &str, code: i32) -> Value {
    let mut command = clean_command(PROGRAMS.builder());
    command.args([
        "audit",
        "--json",
        "--sample",
        sample,
        "--service",
        &access.url,
        "--trust-policy",
    ]);
    command.arg(&access.trust_policy).arg("--data").arg(data);
    let said = child::run(&mut command).expect("started");
    assert_eq!(said.status.code(), Some(code), "{}\n{}", said.stdout, said.stderr);
    serde_json::from_str(&said.stdout).expect("JSON on standard output")
}

/// The report of an audit of one project that ends with this code.
fn audit(person: &Person, access: &Access, code: i32) -> Value {
    let args = ["audit", "--sample", "100", "--json", "--", "build", "--locked"];
    let said = person
        .user
        .sealift(&person.project, &args, Some(access))
        .expect("started");
    assert_eq!(said.status.code(), Some(code), "{}\n{}", said.stdout, said.stderr);
    serde_json::from_str(&said.stdout).expect("JSON on standard output")
}
