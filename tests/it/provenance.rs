//! What an operator attests of its builds: others' verifiers accept it, and who asks for it gets nothing else.

use std::path::{Path, PathBuf};
use std::process::Command;

use sealift_tests::child::{Finished, run};
use serde_json::Value;

use crate::fixture::{ATTESTED, PROGRAMS, Person, Project, new_folder, shared_world};

/// A key of nobody here.
const OTHER_KEY: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt
6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==
-----END PUBLIC KEY-----
";

/// The bundles of the shared world, by the digest of the manifest for which they are kept.
fn bundles() -> Vec<(String, PathBuf)> {
    let folder = shared_world().service_data().join("v1/provenance");
    let files = fs_err::read_dir(folder)
        .expect("an operator attests")
        .map(|entry| entry.expect("readable").path());
    let named = files.map(|path| {
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        let (manifest, rest) = name.split_once('.').expect("a digest and an operator");
        assert_eq!(rest, format!("{ATTESTED}.sigstore.json"), "nobody else attests here");
        (manifest.to_owned(), path)
    });
    named.collect()
}

fn public_key() -> String {
    let policy = fs_err::read(shared_world().access().trust_policy).expect("a trust policy");
    let policy: Value = serde_json::from_slice(&policy).expect("JSON");
    let operators = policy["operators"].as_array().expect("a list");
    let operator = operators
        .iter()
        .find(|operator| operator["name"] == ATTESTED)
        .expect("it is configured");
    operator["provenance"]["public_key"].as_str().expect("PEM").to_owned()
}

/// What the npm package `@sigstore/verify` says about a bundle.
fn sigstore_js(bundle: &Path, key: &Path) -> Finished {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("sigstore/verify.cjs");
    let modules = PROGRAMS.target().join("tools/npm");
    assert!(modules.join("node_modules").is_dir(), "`./x test` installs it");
    run(Command::new("node").arg(script).arg(modules).arg(bundle).arg(key)).expect("node runs")
}

#[test]
fn sigstores_own_verifier_accepts_what_was_attested_and_refuses_what_was_changed() {
    let bundles = bundles();
    assert!(bundles.len() > 20, "every unit has one");
    let folder = new_folder();
    let key = folder.path().join("key.pub");
    fs_err::write(&key, public_key()).expect("written");
    let (manifest, bundle) = &bundles[0];
    let accepted = sigstore_js(bundle, &key);
    assert!(accepted.status.success(), "{}", accepted.stderr);
    assert!(accepted.stdout.contains(manifest.as_str()), "{}", accepted.stdout);

    let changed = folder.path().join("changed.json");
    let mut document: Value = serde_json::from_slice(&fs_err::read(bundle).expect("a bundle")).expect("JSON");
    let payload = document["dsseEnvelope"]["payload"].as_str().expect("base64").to_owned();
    let (at, instead) = (
        payload.len() / 2,
        if payload.as_bytes()[payload.len() / 2] == b'A' {
            "B"
        } else {
            "A"
        },
    );
    let other = format!("{}{instead}{}", &payload[..at], &payload[at + 1..]);
    document["dsseEnvelope"]["payload"] = other.into();
    fs_err::write(&changed, document.to_string()).expect("written");
    let refused = sigstore_js(&changed, &key);
    assert_eq!(refused.status.code(), Some(1), "{}", refused.stdout);
    assert!(
        refused.stderr.contains("signature verification failed"),
        "{}",
        refused.stderr
    );

    let other_key = folder.path().join("other.pub");
    fs_err::write(&other_key, OTHER_KEY).expect("written");
    let refused = sigstore_js(bundle, &other_key);
    assert_eq!(refused.status.code(), Some(1), "{}", refused.stdout);
}

#[test]
fn who_requires_provenance_gets_only_what_is_attested_and_verify_shows_it() {
    let access = shared_world().access();
    let mut person = Person::with(Project::Greeter);
    let verify = |person: &Person| {
        let args = ["verify", "--provenance", "--json"];
        let said = person
            .user
            .sealift(&person.project, &args, Some(&access))
            .expect("started");
        let report: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|_| panic!("{}", said.stderr));
        (said.status.code(), report["provenance"].clone())
    };
    let fetch = |person: &Person, more: &[&str]| {
        let args = [&["fetch", "--json"], more].concat();
        let said = person
            .user
            .sealift(&person.project, &args, Some(&access))
            .expect("started");
        serde_json::from_str::<Value>(&said.stdout).unwrap_or_else(|_| panic!("{}", said.stderr))
    };

    let event = fetch(&person, &["--require-sigstore"]);
    let fetched = event["fetched"].as_u64().expect("a number");
    assert!(fetched > 0, "{event:#}");
    let refused = event["refused"].as_array().expect("a list");
    assert!(
        !refused.is_empty(),
        "host code needs two operators, and one attests: {event:#}"
    );
    assert!(refused.iter().all(|unit| unit["alarming"] != true), "{event:#}");
    let (code, report) = verify(&person);
    assert_eq!((code, &report["checked"]), (Some(0), &fetched.into()), "{report:#}");

    // Without: both operators count, and what one of them did is not shown.
    person.empty_store("another-store");
    let all = fetch(&person, &[])["fetched"].as_u64().expect("a number");
    assert!(all > fetched);
    let (code, report) = verify(&person);
    assert_eq!(code, Some(1), "{report:#}");
    let unproven = report["unproven"].as_array().expect("a list");
    assert!(
        !unproven.is_empty() && unproven.iter().all(|unit| unit["operator"] == "beta"),
        "{report:#}"
    );
}
