//! What an operator is shown of a build script before anybody shares its runs.

use sealift_tests::child::run;
use sealift_tests::env::clean_command;
use sealift_tests::registry::{Published, Registry};
use serde_json::Value;

use crate::fixture::{PROGRAMS, new_folder};

/// Compiles one C file of its own and copies a text, and says what it reads. What it is told is named by two features
/// and a variable that it does not declare.
const CLEAN: &str = r#"use std::{env, fs, process::Command};
fn main() {
    let out = env::var("OUT_DIR").unwrap();
    println!("cargo:rerun-if-env-changed=CLEAN_DECLARED");
    println!("cargo:rerun-if-changed=src/x.c");
    println!("for people, at {:?}", std::time::Duration::from_secs(1));
    let level = env::var("CLEAN_SILENT").unwrap_or("-O1".into());
    let done = Command::new("cc").args([&level, "-c", "src/x.c", "-o", &format!("{out}/x.o")]).status().unwrap();
    assert!(done.success() && !cfg!(feature = "other-library"));
    fs::write(format!("{out}/text.rs"), fs::read("src/text.txt").unwrap()).unwrap();
    println!("cargo:rustc-link-search={out}");
}"#;

/// Does what makes runs differ from machine to machine.
const CURIOUS: &str = r#"use std::{env, fs, process::Command, time::SystemTime};
fn main() {
    let out = env::var("OUT_DIR").unwrap();
    println!("cargo:rustc-env=HOST_NAME={}", fs::read_to_string("/etc/hostname").unwrap_or_default().trim());
    fs::write(format!("{out}/time"), format!("{:?}", SystemTime::now())).unwrap();
    fs::write(format!("{out}/folder"), &out).unwrap();
    let found = Command::new("pkg-config").args(["--libs", "made-up"]).output();
    println!("cargo:rustc-cfg={}", if found.is_ok() { "asked" } else { "nobody_to_ask" });
    let _ = std::net::TcpStream::connect("192.0.2.1:9");
}"#;

/// The report on a package of ours, as text or as JSON.
fn review(package: &Published, name: &str, json: bool) -> String {
    let folder = new_folder();
    let registry = Registry::new(&folder.path().join("registry")).expect("a registry");
    registry.publish(std::slice::from_ref(package)).expect("published");
    let home = folder.path().join("cargo-home");
    registry.configure(&home).expect("configured");
    let mut command = clean_command(PROGRAMS.builder());
    command.args(["review", name, "--cargo-home"]).arg(&home);
    if json {
        command.arg("--json");
    }
    let reviewed = run(&mut command).expect("the builder");
    reviewed.successful().expect("a report").stdout
}

#[test]
fn a_script_whose_runs_are_alike_is_proposed_without_a_reason() {
    let package = Published::new("clean", "1.2.3", "build = \"build.rs\"")
        .feature("other-library")
        .file("build.rs", CLEAN)
        .file("src/x.c", "#include <stdint.h>\nint32_t x(void) { return 1; }\n")
        .file("src/text.txt", "pub const TEXT: u8 = 1;")
        .file("src/lib.rs", "");
    let report = review(&package, "clean@1.2.3", false);
    let (evidence, proposed) = report.split_once("\nPROPOSED").expect("a proposal");
    let (_, entry) = proposed.split_once("[[run]]\n").expect("an entry");
    let expected = [
        "package = \"clean\"",
        "versions = [\"1.2.3\"]",
        "why = \"\"",
        "compiles-c = true",
        "refused-features = [\"other-library\"]",
        "unset = [\"CLEAN_SILENT\"]",
    ];
    assert_eq!(entry.lines().collect::<Vec<_>>(), expected);
    for line in [
        "the script -> /usr/bin/cc: 5 calls",
        "cargo:rustc-link-search=/cargo/out-dir",
        "declared by rerun-if-env-changed: CLEAN_DECLARED",
        "OUT_DIR: text.rs, x.o",
    ] {
        assert!(evidence.contains(line), "{line}\n{evidence}");
    }
    assert!(!evidence.contains("DIFFERENCES"), "{evidence}");
}

// S6, S8, S12
#[test]
fn a_script_that_asks_the_machine_is_refused_for_each_of_its_questions() {
    let package = Published::new("curious", "1.0.0", "build = \"build.rs\"")
        .file("build.rs", CURIOUS)
        .file("src/lib.rs", "");
    let report: Value = serde_json::from_str(&review(&package, "curious", true)).expect("JSON");
    assert_eq!(report["proposed"], Value::Null);
    let reasons: Vec<_> = report["reasons"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    for reason in [
        "it gives something else in the run `again`",
        "it gives something else in the run `elsewhere`",
        "`folder` in OUT_DIR names the folder OUT_DIR of this machine",
        "`pkg-config`",
        "the script uses the network: connect",
        "it looks for what is not there, `/etc/hostname`",
        "it reads a time: `SystemTime::now` (build.rs:5)",
    ] {
        assert!(
            reasons.iter().any(|found| found.contains(reason)),
            "{reason}\n{reasons:#?}"
        );
    }
    let differences = report["differences"].as_array().expect("a list");
    assert!(
        differences
            .iter()
            .any(|one| one["run"] == "again" && one["place"] == "time"),
        "{differences:#?}"
    );
}
