//! Whatever is killed, the next start continues and the next build is right.

use std::process::Stdio;
use std::time::Duration;

use sealift_tests::child::run;
use sealift_tests::env::{clean_command, path_with};
use sealift_tests::workload::Profile;
use sealift_tests::world::World;

use crate::fixture::{PROGRAMS, Person, Project, assert_nearly_all_hit, new_folder, publish};

#[test]
fn a_service_that_is_killed_while_operators_publish_loses_nothing_that_it_acknowledged() {
    let folder = new_folder();
    let mut world = World::start(&folder.path().join("world"), &PROGRAMS, 1).expect("a world");
    publish(&world, Project::Greeter, &[Profile::Check]);
    let sources = folder.path().join("sources");
    Project::Greeter.checkout(&sources);

    // The service goes away while the operator is at work: it fails, and what it has logged is not lost.
    let data = world.operators()[0].data.clone().expect("a real operator");
    let mut publishing = clean_command(PROGRAMS.builder())
        .args(["build", "--service", &world.access().url, "--profile", "dev", "--data"])
        .arg(data)
        .arg("--project")
        .arg(&sources)
        .env("PATH", path_with(PROGRAMS.folder()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a builder");
    world.kill_service();
    assert!(!publishing.wait().expect("an end").success(), "it published to nobody");

    world.start_service().expect("a service");
    publish(&world, Project::Greeter, &[Profile::Dev]);
    let person = Person::with(Project::Greeter);
    assert_nearly_all_hit(&person.sealift(&world.access(), ["check"]));
    assert_nearly_all_hit(&person.sealift(&world.access(), ["build"]));
    world.kill_service();
    let mut fsck = clean_command(PROGRAMS.service());
    run(fsck.args(["fsck", "--data"]).arg(world.service_data()))
        .expect("started")
        .successful()
        .expect("a sound store");
}

#[test]
fn a_build_that_is_killed_is_right_the_next_time() {
    let mut person = Person::with(Project::Greeter);
    let right = person.local_program();
    person.clean();
    // Killed at several moments of its work. Not a wait for anything: the moments are the point.
    for milliseconds in [50, 200, 600, 1200] {
        let mut cargo = clean_command("cargo")
            .args(["build", "--locked"])
            .current_dir(&person.project)
            .env("CARGO_HOME", person.user.home())
            .env("CARGO_TARGET_DIR", &person.target)
            .env("SEALIFT_STORE", person.user.store())
            .env("RUSTC_WRAPPER", PROGRAMS.rustc_wrapper())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("cargo");
        std::thread::park_timeout(Duration::from_millis(milliseconds));
        cargo.kill().expect("killed");
        cargo.wait().expect("gone");
    }
    person.wrapped(["build"]);
    assert!(person.program() == right, "the program is another one");
}
