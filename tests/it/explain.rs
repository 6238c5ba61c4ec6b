//! Each miss is explained by its own cause, however many causes there are in one build.

use std::collections::BTreeMap;
use std::path::Path;

use sealift_policy::local::{self, LocalUnit, VERSION_DIR};
use sealift_policy::manifest::Manifest;
use sealift_tests::user::Through;
use sealift_tests::world::Access;
use serde_json::Value;

use crate::fixture::{Person, Project, shared_world};

/// What is provoked: package, crate and the cause that must be named.
const PROVOKED: [(&str, &str, &str); 12] = [
    ("anyhow", "anyhow", "profile"),
    ("const-random", "const_random", "impure-macro"),
    ("const-random-macro", "const_random_macro", "environment"),
    ("fnv", "fnv", "not-published"),
    ("hex", "hex", "damaged"),
    ("indoc", "indoc", "quorum"),
    ("itoa", "itoa", "revoked"),
    ("lock_api", "lock_api", "dependency"),
    ("many_causes", "many_causes", "own-package"),
    ("same-file", "same_file", "edited-sources"),
    ("scopeguard", "scopeguard", "features"),
    ("walkdir", "walkdir", "unknown-dependency"),
];

// W13
#[test]
fn explain_names_ten_causes() {
    let access = shared_world().access();
    let person = Person::with(Project::ManyCauses);
    person.sealift(&access, ["build"]);
    person.clean();

    append(
        &sources(person.user.home(), "same-file-1.0.6").join("src/lib.rs"),
        "// edited\n",
    );
    damage(person.user.store(), "hex", "0.4.3");
    let stricter = Access {
        trust_policy: stricter(&access, person.folder()),
        ..access.clone()
    };
    let build = person
        .command(Through::Sealift, ["build", "--features", "more"])
        .from_world(&stricter)
        .env("CONST_RANDOM_SEED", "another")
        .arg("--config=profile.dev.package.anyhow.opt-level=1");
    person.run(&build);

    let explained = explain(&person);
    for (package, crate_name, cause) in PROVOKED {
        let unit = explained
            .get(&(package.to_owned(), crate_name.to_owned()))
            .unwrap_or_else(|| panic!("`{package}` is not explained"));
        assert_eq!(unit["cause"], cause, "{unit:#}");
        assert!(
            unit["reason"].as_str().is_some_and(|reason| !reason.is_empty()),
            "{unit:#}"
        );
    }
    let of = |package: &str, crate_name: &str| &explained[&(package.to_owned(), crate_name.to_owned())];
    assert_eq!(of("anyhow", "anyhow")["differs"][0]["field"], "codegen.opt-level");
    assert_eq!(
        of("scopeguard", "scopeguard")["differs"][0]["here"],
        serde_json::json!(["use_std"])
    );
    assert_eq!(of("lock_api", "lock_api")["because"][0]["cause"], "features");
    assert_eq!(of("walkdir", "walkdir")["because"][0]["cause"], "edited-sources");
    assert_eq!(
        of("const-random-macro", "const_random_macro")["about"],
        "CONST_RANDOM_SEED"
    );
    assert_eq!(
        of("memchr", "memchr")["cause"],
        Value::Null,
        "what nothing was done to is a hit"
    );
}

#[test]
fn flags_that_change_code_are_named() {
    let access = shared_world().access();
    let person = Person::with(Project::Greeter);
    let with = |flags: &str| {
        person.clean();
        person.run(
            &person
                .command(Through::Sealift, ["build"])
                .from_world(&access)
                .env("RUSTFLAGS", flags),
        );
        explain(&person)[&("memchr".to_owned(), "memchr".to_owned())].clone()
    };
    let flag = with("-C target-cpu=x86-64-v2");
    assert_eq!(
        (&flag["cause"], &flag["about"]),
        (&"rustflags".into(), &"target-cpu".into()),
        "{flag:#}"
    );
    assert_eq!(with("-C target-cpu=native")["cause"], "native-processor");
    assert_eq!(with("--cfg extra")["cause"], "rustflags");
}

/// By package and crate.
fn explain(person: &Person) -> BTreeMap<(String, String), Value> {
    let said = person.user.sealift(&person.project, &["explain", "--json"], None);
    let said = said.expect("started").successful().expect("an explanation").stdout;
    let report: Value = serde_json::from_str(&said).expect("JSON on standard output");
    let units = report["units"].as_array().expect("a list of units");
    let text = |unit: &Value, member: &str| unit[member].as_str().unwrap_or_default().to_owned();
    units
        .iter()
        .map(|unit| {
            let package = text(unit, "package");
            let name = package.split('@').next().unwrap_or_default().to_owned();
            ((name, text(unit, "crate")), unit.clone())
        })
        .collect()
}

/// A trust policy that asks for one operator more than there are, and revokes a crate.
fn stricter(access: &Access, folder: &Path) -> std::path::PathBuf {
    let text = fs_err::read_to_string(&access.trust_policy).expect("a trust policy");
    let mut policy: Value = serde_json::from_str(&text).expect("JSON");
    policy["quorum"]["host_code"] = 3.into();
    policy["revoked"]["crates"] = serde_json::json!([{"name": "itoa", "version": "1.0.15"}]);
    let path = folder.join("stricter-policy.json");
    fs_err::write(&path, policy.to_string()).expect("written");
    path
}

/// Where cargo has unpacked a package.
fn sources(home: &Path, package: &str) -> std::path::PathBuf {
    let registries = fs_err::read_dir(home.join("registry/src")).expect("sources");
    registries
        .map(|registry| registry.expect("an entry").path().join(package))
        .find(|path| path.is_dir())
        .expect("the package is unpacked")
}

fn append(file: &Path, text: &str) {
    let before = fs_err::read_to_string(file).expect("a source");
    fs_err::write(file, before + text).expect("written");
}

/// Writes something else into the stored outputs of a package.
fn damage(store: &Path, name: &str, version: &str) {
    let root = store.join(VERSION_DIR);
    let (name, version) = (name.parse().expect("a name"), version.parse().expect("a version"));
    for entry in fs_err::read_dir(root.join(local::package_path(&name, &version))).expect("known units") {
        let key = entry.expect("an entry").file_name();
        let key = key.to_str().and_then(|key| key.parse().ok()).expect("a key");
        let record = fs_err::read(root.join(local::unit_path(key))).expect("a record");
        let unit: LocalUnit = serde_json::from_slice(&record).expect("JSON");
        let manifest = Manifest::from_canonical(unit.manifest.as_bytes()).expect("a manifest");
        for output in manifest.outputs {
            let path = root.join(local::cas_path(output.sha256));
            fs_err::remove_file(&path).expect("a stored output");
            fs_err::write(&path, "something else").expect("written");
        }
    }
}
