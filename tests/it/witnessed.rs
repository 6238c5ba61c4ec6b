//! Witnesses as processes of their own: what they have cosigned is what users get, and nothing else.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use sealift_policy::log::{LogVerifier, SignedCheckpoint};
use sealift_tests::child::run;
use sealift_tests::env::clean_command;
use sealift_tests::sources::copy_tree;
use sealift_tests::workload::Profile;
use sealift_tests::world::World;

use crate::fixture::{PROGRAMS, Person, Project, assert_nearly_all_hit, assert_silent, new_folder, publish};

/// The head of an operator's log that the service serves, and when it was signed.
fn head(world: &World, operator: usize) -> (u64, u64) {
    let operator = &world.operators()[operator];
    let path = world
        .service_data()
        .join(format!("v1/log/{}/1/checkpoint", operator.name));
    let Ok(bytes) = fs_err::read(path) else { return (0, 0) };
    let key: LogVerifier = operator.vkey.parse().expect("a key");
    let head = SignedCheckpoint::parse(&bytes)
        .and_then(|head| head.verify(&key))
        .expect("a head");
    (head.size().value(), head.time())
}

#[test]
fn b12_users_get_what_a_quorum_of_witnesses_has_seen_and_nothing_else_is_published() {
    let folder = new_folder();
    let mut world = World::start_witnessed(&folder.path().join("world"), &PROGRAMS, 2, 2).expect("a world");
    let alpha = world.operators()[0].clone();
    let data = alpha.data.clone().expect("a folder");
    let (keys, backup) = (data.join("keys"), folder.path().join("backup"));
    copy_tree(&data, &backup).expect("a backup");
    publish(&world, Project::Greeter, &[Profile::Dev]);
    let published = head(&world, 0);
    let built = Person::with(Project::Greeter).sealift(&world.access(), ["run"]);
    assert_nearly_all_hit(&built);
    assert_silent(&built);

    // One of two is gone: nothing is published that it has not seen, and users go on with what it has.
    world.witnesses_mut()[1].stop();
    let withheld = world.submit(&alpha).expect("it runs");
    assert_eq!(withheld.status.code(), Some(2), "{}", withheld.stderr);
    assert!(
        withheld.stderr.contains("is withheld: too few witnesses cosigned it"),
        "{}",
        withheld.stderr
    );
    assert!(
        withheld
            .stderr
            .contains("witness `witness.example/w2`: it cannot be reached"),
        "{}",
        withheld.stderr
    );
    assert_eq!(head(&world, 0), published);
    let built = Person::with(Project::Greeter).sealift(&world.access(), ["run"]);
    assert_nearly_all_hit(&built);
    assert_silent(&built);

    // It comes back.
    world.start_witness_again(1).expect("a witness");
    let submitted = world.submit(&alpha).expect("it runs");
    assert_eq!(submitted.status.code(), Some(0), "{}", submitted.stderr);
    assert_eq!(head(&world, 0).0, published.0);
    assert!(head(&world, 0).1 >= published.1);

    // The operator goes back to its first backup, and nobody but the witnesses remembers.
    world.kill_service();
    for (path, instead) in [(world.service_data(), None), (data, Some(&backup))] {
        fs_err::remove_dir_all(&path).expect("removed");
        match instead {
            Some(backup) => copy_tree(backup, &path).expect("restored"),
            None => fs_err::create_dir_all(&path).expect("a folder"),
        }
    }
    let private = std::fs::Permissions::from_mode(0o700);
    fs_err::set_permissions(keys, private).expect("a folder of keys");
    world.start_service().expect("a service");
    let refused = world.submit(&alpha).expect("it runs");
    assert_eq!(refused.status.code(), Some(2), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("was the log restored from an older backup?"),
        "{}",
        refused.stderr
    );
    assert_eq!(head(&world, 0), (0, 0));
}

fn evidence(file: &Path) -> Command {
    let mut command = clean_command(PROGRAMS.builder());
    command.arg("evidence").arg(file);
    command
}

#[test]
fn t15_a_stranger_judges_evidence_with_the_log_s_key_alone() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policy/testdata/evidence-heads-1.json");
    let key = "sealift/alpha/1+d8b43093+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c";
    let judged = run(evidence(&file).args(["--vkey", key])).expect("it runs");
    assert_eq!(judged.status.code(), Some(0), "{}", judged.stderr);
    assert_eq!(
        judged.stdout,
        "proof: log `sealift/alpha/1` signed a tree of 9 entries that does not begin with the tree of 3 entries that it \
         also signed: it was forked or rewritten\n"
    );
    // The key that the file itself names is not believed.
    let other = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    let refused = run(evidence(&file).args(["--vkey", other])).expect("it runs");
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        refused.stderr.contains("no key was given for log `sealift/alpha/1`"),
        "{}",
        refused.stderr
    );
    assert!(!run(&mut evidence(&file)).expect("it runs").status.success());
    // A changed byte of a head.
    let folder = new_folder();
    let changed = folder.path().join("changed.json");
    let text = fs_err::read_to_string(&file)
        .expect("a file")
        .replace("time 200", "time 201");
    fs_err::write(&changed, text).expect("written");
    let refused = run(evidence(&changed).args(["--vkey", key, "--json"])).expect("it runs");
    assert_eq!((refused.status.code(), refused.stdout.as_str()), (Some(1), ""));
    assert!(
        refused.stderr.contains("is not signed by its key"),
        "{}",
        refused.stderr
    );
}
