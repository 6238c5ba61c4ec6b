//! The trust policy by TUF, end to end: the keeper's program, the service, users who pin a root, and the reference
//! implementation as a reader that is not ours.

use std::process::Command;

use sealift_tests::child::run;
use sealift_tests::env::clean_command;
use sealift_tests::world::World;
use serde_json::Value;

use crate::fixture::{PROGRAMS, new_folder};

#[test]
fn the_reference_implementation_follows_the_repository_from_the_first_root() {
    let folder = new_folder();
    let world = World::start(&folder.path().join("world"), &PROGRAMS, 1).expect("a world");
    let access = world.found_trust().expect("a TUF repository");
    let policy = fs_err::read_to_string(world.folder().join("trust-policy.json")).expect("a policy");
    let followed = |cache: &str, target: &str| {
        let cache = folder.path().join(cache);
        fs_err::create_dir_all(&cache).expect("a folder");
        let mut python = clean_command(PROGRAMS.target().join("tools/python/bin/python"));
        python
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/readers/tuf/follow.py"))
            .arg(&access.trust_policy)
            .arg(&access.url)
            .args([cache.as_os_str(), target.as_ref()]);
        run(&mut python)
            .expect("Python, which `./x test` sets up")
            .successful()
            .expect("a repository that it follows")
            .stdout
    };
    assert_eq!(followed("one", "trust-policy.json"), policy);

    // Every role gets another key, the root included, and both thresholds sign.
    for role in ["timestamp", "snapshot", "targets"] {
        keep(&world, &["rotate", role]);
        sign(&world, &["root-1", "root-3"]);
    }
    let root: Value =
        serde_json::from_slice(&fs_err::read(world.keeper().join("root.json")).expect("a root")).expect("JSON");
    let retired = root["signed"]["roles"]["root"]["keyids"][0].as_str().expect("an id");
    keep(&world, &["rotate", "root", "--retire", retired]);
    sign(&world, &["root-2", "root-3", "root-1", "root-4"]);
    let list = folder.path().join("revocations.json");
    fs_err::write(&list, r#"{"version":1,"revoked":{}}"#).expect("written");
    world.publish_trust("--revocations", &list).expect("published");
    // The one goes on from what it saw, the other was not there until now; both pinned root 1.
    for cache in ["one", "other"] {
        assert_eq!(followed(cache, "revocations.json"), r#"{"version":1,"revoked":{}}"#);
    }
    let status = keep(&world, &["status", "--json"]);
    let status: Value = serde_json::from_str(&status).expect("JSON");
    assert_eq!(
        (&status["roles"][0]["version"], &status["draft"]),
        (&5.into(), &Value::Null)
    );
}

fn sign(world: &World, keys: &[&str]) {
    for key in keys {
        let file = world.keeper().join(format!("keys/{key}.key"));
        keep(world, &["sign", "--key", file.to_str().expect("UTF-8")]);
        if !world.keeper().join("draft.root.json").exists() {
            return;
        }
    }
    panic!("these keys are not enough");
}

fn keep(world: &World, step: &[&str]) -> String {
    let mut command: Command = clean_command(PROGRAMS.builder());
    command.arg("trust").args(step).arg("--data").arg(world.keeper());
    let ended = run(&mut command).expect("started");
    ended.successful().expect("a step of the keeper's").stdout
}

#[test]
fn a_mirror_copies_what_follows_from_its_root_and_never_goes_back() {
    let folder = new_folder();
    let world = World::start(&folder.path().join("world"), &PROGRAMS, 1).expect("a world");
    let access = world.found_trust().expect("a TUF repository");
    let data = folder.path().join("mirror");
    fs_err::create_dir_all(&data).expect("a folder");
    fs_err::copy(&access.trust_policy, data.join("root.json")).expect("pinned");
    fs_err::write(data.join("service.toml"), "trust_root = \"root.json\"\n").expect("written");
    let mirror = |from: &str| {
        let mut command = clean_command(PROGRAMS.service());
        command.args(["mirror", "--from", from, "--data"]).arg(&data);
        run(&mut command).expect("started")
    };
    let timestamp = |root: &std::path::Path| fs_err::read(root.join("v1/tuf/metadata/timestamp.json")).ok();
    let served = world.service_data();
    let first = mirror(&access.url).successful().expect("a copy");
    assert!(
        first.stdout.contains("files of the TUF repository are new"),
        "{}",
        first.stdout
    );
    assert_eq!(timestamp(&data), timestamp(&served));
    assert!(data.join("v1/tuf/metadata/1.root.json").is_file());

    let old = timestamp(&served).expect("a timestamp");
    world.renew_trust().expect("renewed");
    mirror(&access.url).successful().expect("a copy");
    let newer = timestamp(&data);
    assert_ne!(newer.as_ref(), Some(&old));
    let place = served.join("v1/tuf/metadata/timestamp.json");
    // What the service has is put back to an older state, then forged: the copy stays.
    let forged = String::from_utf8(old.clone()).expect("JSON");
    let forged = forged.replacen("\"expires\": \"2", "\"expires\": \"3", 1).into_bytes();
    assert_ne!(forged, old);
    for bytes in [old, forged] {
        fs_err::write(&place, bytes).expect("written");
        let refused = mirror(&access.url);
        assert!(
            !refused.status.success() && refused.stderr.contains("TUF repository"),
            "{}",
            refused.stderr
        );
        assert_eq!(timestamp(&data), newer);
    }

    // Another key signs timestamps from now on. What it signed first is replayed later: rotation forgets nothing.
    fs_err::write(&place, newer.expect("a timestamp")).expect("written");
    keep(&world, &["rotate", "timestamp"]);
    sign(&world, &["root-1", "root-2"]);
    world.renew_trust().expect("renewed");
    mirror(&access.url).successful().expect("a copy");
    let replayed = timestamp(&served).expect("a timestamp");
    world.renew_trust().expect("renewed");
    mirror(&access.url).successful().expect("a copy");
    let newer = timestamp(&data).expect("a timestamp");
    assert_ne!(newer, replayed);
    fs_err::write(&place, replayed).expect("written");
    let refused = mirror(&access.url);
    assert!(!refused.status.success(), "{}", refused.stdout);
    assert_eq!(timestamp(&data).as_ref(), Some(&newer));

    // A copy that was damaged is mended by the next one.
    fs_err::write(&place, &newer).expect("written");
    fs_err::write(data.join("v1/tuf/metadata/timestamp.json"), "{").expect("written");
    mirror(&access.url).successful().expect("a copy");
    assert_eq!(timestamp(&data), Some(newer));
}
