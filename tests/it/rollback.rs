//! A log that the client has seen grow does not shrink again.

use sealift_tests::sources::copy_tree;
use sealift_tests::workload::Profile;
use sealift_tests::world::World;

use crate::fixture::{PROGRAMS, Person, Project, assert_loud, assert_nearly_all_hit, new_folder, publish};

#[test]
fn a_rolled_back_service_is_refused_and_the_evidence_is_kept() {
    let folder = new_folder();
    let mut world = World::start(folder.path(), &PROGRAMS, 1).expect("a world");
    publish(&world, Project::Greeter, &[Profile::Dev]);
    world.kill_service();
    let old = folder.path().join("older");
    copy_tree(&world.service_data(), &old).expect("a backup");
    world.start_service().expect("a service");
    publish(&world, Project::Greeter, &[Profile::Check]);

    let person = Person::with(Project::Greeter);
    assert_nearly_all_hit(&person.sealift(&world.access(), ["check"]));

    world.kill_service();
    fs_err::remove_dir_all(world.service_data()).expect("removed");
    fs_err::rename(&old, world.service_data()).expect("restored");
    world.start_service().expect("a service");
    let built = person.sealift(&world.access(), ["run"]);
    assert!(built.cargo.stdout.starts_with("hello\n"));
    assert_eq!(built.units.fetched_hits(), 0, "{:#?}", built.units.units);
    assert_loud(&built);
    let evidence = person.user.store().join("v1/evidence");
    assert!(
        fs_err::read_dir(evidence)
            .expect("a folder for evidence")
            .next()
            .is_some(),
        "no evidence was kept"
    );
}
