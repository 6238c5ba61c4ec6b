//! Provenance that is signed without a key: by a certificate of a Sigstore instance, whose services speak their real protocols
//! on loopback. The service, the client and Sigstore's own verifier judge the same bundles.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as STANDARD;
use sealift_tests::child::{Finished, run};
use sealift_tests::env::clean_command;
use sealift_tests::sigstore::Sigstore;
use sealift_tests::workload::Profile;
use sealift_tests::world::{Access, Source, World};
use serde_json::Value;

use crate::fixture::{PROGRAMS, Person, Project, new_folder, publish};

/// What `cargo sealift fetch --require-sigstore` says to somebody new.
fn fetch(access: &Access) -> (Person, Value) {
    let person = Person::with(Project::Greeter);
    let args = ["fetch", "--json", "--require-sigstore"];
    let said = person
        .user
        .sealift(&person.project, &args, Some(access))
        .expect("started");
    let event = serde_json::from_str(&said.stdout).unwrap_or_else(|_| panic!("{}", said.stderr));
    (person, event)
}

/// The same user's `cargo sealift verify --provenance`.
fn verify(person: &Person, access: &Access) -> Value {
    let args = ["verify", "--provenance", "--json"];
    let said = person
        .user
        .sealift(&person.project, &args, Some(access))
        .expect("started");
    let report: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|_| panic!("{}", said.stderr));
    report["provenance"].clone()
}

/// What the npm package `@sigstore/verify` says about a bundle.
fn sigstore_js(bundle: &Path, root: &Path, subject: &str, issuer: &str) -> Finished {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("sigstore/verify.cjs");
    let modules = PROGRAMS.target().join("tools/npm");
    let mut command = Command::new("node");
    command.arg(script).arg(modules).arg(bundle).arg(root);
    run(command.args([subject, issuer])).expect("node runs")
}

/// What makes a policy another one.
type Change = Box<dyn FnOnce(&mut Value)>;

/// The policy of a world with another member, in a file of its own.
fn changed_policy(world: &World, folder: &Path, change: impl FnOnce(&mut Value)) -> Access {
    let access = world.access();
    let mut policy: Value =
        serde_json::from_slice(&fs_err::read(&access.trust_policy).expect("a policy")).expect("JSON");
    change(&mut policy);
    let trust_policy = folder.join("changed-policy.json");
    fs_err::write(&trust_policy, policy.to_string()).expect("written");
    Access { trust_policy, ..access }
}

/// What an operator is told about who it is, with a token that has expired, in a job of GitHub Actions or outside of one.
fn identity_in(data: &Path, sigstore: &Sigstore, is_job: bool) -> Finished {
    let services = sigstore.services();
    let mut command = clean_command(PROGRAMS.builder());
    command
        .args(["attest", "keyless", "--json"])
        .args(["--fulcio", &services.fulcio, "--rekor", &services.rekor])
        .args(["--timestamps", &services.tsa, "--data"])
        .arg(data)
        .env("SEALIFT_IDENTITY_TOKEN_FILE", sigstore.expired_token())
        .env("GITHUB_ACTIONS", is_job.to_string())
        .env(
            "ACTIONS_ID_TOKEN_REQUEST_URL",
            format!("{}/token?job=1", services.tokens),
        )
        .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "secret");
    for variable in ["GITLAB_CI", "BUILDKITE", "CIRCLECI"] {
        command.env_remove(variable);
    }
    run(&mut command).expect("started")
}

/// The bundles in a store, by their names.
fn bundles(store: &Path) -> BTreeMap<OsString, Vec<u8>> {
    let files = fs_err::read_dir(store.join("v1/provenance")).expect("bundles");
    let files = files.map(|entry| entry.expect("readable"));
    files
        .map(|file| (file.file_name(), fs_err::read(file.path()).expect("a bundle")))
        .collect()
}

/// Lets the service, or a mirror, take its trust policy from the TUF repository that follows from this root.
fn pin(config: &Path, root: &Path) {
    fs_err::write(config, format!("trust_root = {root:?}\n")).expect("written");
}

#[test]
fn an_operator_without_a_key_is_known_by_its_certificates_and_by_nothing_else() {
    let folder = new_folder();
    let sigstore = Sigstore::start(&folder.path().join("sigstore"), &PROGRAMS).expect("an instance");
    let services = sigstore.services().clone();
    let mut world = World::start(&folder.path().join("world"), &PROGRAMS, 1).expect("a world");
    world.attest_at("alpha", &sigstore).expect("an instance is named");
    publish(&world, Project::Greeter, &[Profile::Dev]);

    // A token that has expired hides none that CI hands out, and is none.
    let data = world.operators()[0].data.clone().expect("a folder");
    let job = identity_in(&data, &sigstore, true).successful().expect("a token");
    let said: Value = serde_json::from_str(&job.stdout).expect("JSON");
    assert_eq!(
        said["provenance"]["identities"][0]["subject"], services.subject,
        "{said:#}"
    );
    assert!(job.stderr.contains("has expired"), "{}", job.stderr);
    let outside = identity_in(&data, &sigstore, false).successful().expect("a choice");
    let said: Value = serde_json::from_str(&outside.stdout).expect("JSON");
    assert_eq!(said["provenance"], Value::Null, "{said:#}");

    // Sigstore's own verifier: certificate, its log, Rekor's log and the timestamp, each once at least.
    let (name, _) = bundles(&world.service_data()).pop_first().expect("one");
    let bundle = world.service_data().join("v1/provenance").join(name);
    let js = |root: &Path, subject: &str, issuer: &str| sigstore_js(&bundle, root, subject, issuer);
    let accepted = js(&sigstore.trusted_root(), &services.subject, &services.issuer);
    assert!(accepted.status.success(), "{}", accepted.stderr);
    let refused = js(&sigstore.trusted_root(), "somebody@else.invalid", &services.issuer);
    assert_eq!(refused.status.code(), Some(1), "{}", refused.stdout);

    // A user, by a plain policy, and by a TUF repository that distributes the trusted root by itself.
    let (person, event) = fetch(&world.access());
    let fetched = event["fetched"].as_u64().expect("a number");
    assert!(
        fetched > 0 && event["refused"].as_array().is_some_and(Vec::is_empty),
        "{event:#}"
    );
    let report = verify(&person, &world.access());
    assert_eq!(report["checked"], fetched, "{report:#}");
    let pinned = world.found_trust().expect("a repository");
    let bare = changed_policy(&world, folder.path(), |policy| {
        policy.as_object_mut().expect("an object").remove("trusted_root");
    });
    world.publish_trust("--policy", &bare.trust_policy).expect("published");
    let (_, event) = fetch(&pinned);
    assert_eq!(
        event["fetched"], 0,
        "nobody says whose certificates are believed: {event:#}"
    );
    world
        .publish_trust("--trusted-root", &sigstore.trusted_root())
        .expect("published");
    let (_, event) = fetch(&pinned);
    assert_eq!(event["fetched"], fetched, "{event:#}");

    // A mirror that knows nothing but the root of trust.
    let copy = folder.path().join("copy");
    fs_err::create_dir_all(&copy).expect("a folder");
    pin(&copy.join("service.toml"), &pinned.trust_policy);
    let mut mirror = clean_command(PROGRAMS.service());
    mirror.args(["mirror", "--from", &pinned.url, "--data"]).arg(&copy);
    run(&mut mirror).expect("started").successful().expect("a copy");
    assert_eq!(bundles(&copy), bundles(&world.service_data()));

    // Another instance, which gives certificates in the same name; another issuer; another subject.
    let other = Sigstore::start(&folder.path().join("other"), &PROGRAMS).expect("an instance");
    let root: Value = serde_json::from_slice(&fs_err::read(other.trusted_root()).expect("a root")).expect("JSON");
    let identity = |name: &'static str| {
        move |policy: &mut Value| {
            policy["operators"][0]["provenance"]["identities"][0][name] = "https://elsewhere.invalid".into();
        }
    };
    let changes: [Change; 3] = [
        Box::new(|policy| policy["trusted_root"] = root),
        Box::new(identity("issuer")),
        Box::new(identity("subject")),
    ];
    for change in changes {
        let (_, event) = fetch(&changed_policy(&world, folder.path(), change));
        assert_eq!(event["fetched"], 0, "{event:#}");
        let refused = event["refused"].as_array().expect("a list");
        assert!(
            !refused.is_empty() && refused.iter().all(|unit| unit["alarming"] == true),
            "{event:#}"
        );
    }

    // Somebody else with a token of the same instance signs for the operator: the service admits nothing. It, too, knows
    // nothing but the root of trust by now.
    world.kill_service();
    pin(&world.folder().join("service.toml"), &pinned.trust_policy);
    world.start_service().expect("a service");
    world
        .show_token("alpha", &sigstore.other_token())
        .expect("another token");
    let sources = folder.path().join("sources");
    Project::Greeter.checkout(&sources);
    let refused = world.publish(&Source::Project(sources.clone()), &[Profile::Check], |_, _| {});
    let refused = format!("{:#}", refused.expect_err("it is not the operator"));
    assert!(
        refused.contains("not signed by an identity of operator `alpha`"),
        "{refused}"
    );
    world
        .show_token("alpha", &sigstore.expired_token())
        .expect("another token");
    let refused = world.publish(&Source::Project(sources), &[Profile::Check], |_, _| {});
    let refused = format!("{:#}", refused.expect_err("it has expired"));
    assert!(refused.contains("the identity token has expired"), "{refused}");
    let admitted = bundles(&world.service_data()).len();
    world.show_token("alpha", &sigstore.token()).expect("its own token");
    publish(&world, Project::Greeter, &[Profile::Check]);
    assert!(bundles(&world.service_data()).len() > admitted);

    // What was signed is changed in the service's folder: by a space, so that all of it still reads the same.
    let text = fs_err::read_to_string(&bundle).expect("a bundle");
    let mut document: Value = serde_json::from_str(&text).expect("JSON");
    let payload = document["dsseEnvelope"]["payload"].as_str().expect("base64").to_owned();
    let payload = String::from_utf8(STANDARD.decode(payload).expect("base64")).expect("JSON");
    let changed = payload.replace("\"unsandboxed\":[]", "\"unsandboxed\": []");
    assert_ne!(changed, payload);
    document["dsseEnvelope"]["payload"] = STANDARD.encode(changed).into();
    // All names of the bundle are one file.
    fs_err::write(&bundle, document.to_string()).expect("written");
    let (_, event) = fetch(&world.access());
    assert_eq!(event["fetched"], 0, "{event:#}");
    let refused = event["refused"].as_array().expect("a list");
    let says = |unit: &Value| {
        unit["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("does not hold"))
    };
    assert!(!refused.is_empty() && refused.iter().all(says), "{event:#}");
}
