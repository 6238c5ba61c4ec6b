//! Nobody has published anything: the build is plain cargo's, and silent.

use sealift_tests::world::World;

use crate::fixture::{
    PROGRAMS, Person, Project, assert_nearly_all_hit, assert_nothing_done, assert_silent, new_folder, shared_world,
};

#[test]
fn an_empty_service_changes_nothing() {
    let folder = new_folder();
    let world = World::start(folder.path(), &PROGRAMS, 2).expect("a world");
    let mut person = Person::with(Project::Greeter);
    let built = person.sealift(&world.access(), ["build"]);
    assert_eq!(built.units.hits(), 0);
    assert!(built.units.compiled() > 0);
    assert_silent(&built);
    assert_nothing_done(&person.sealift(&world.access(), ["build", "-v"]));
    let program = person.program();
    assert!(program == person.local_program());
}

#[test]
fn a_miss_is_mended_as_soon_as_somebody_publishes() {
    let folder = new_folder();
    let world = World::start(folder.path(), &PROGRAMS, 2).expect("a world");
    let mut person = Person::with(Project::Greeter);
    person.sealift(&world.access(), ["build"]);
    person.clean();
    person.empty_store("another-store");
    assert_nearly_all_hit(&person.sealift(&shared_world().access(), ["build"]));
}

#[test]
fn sealift_off_is_plain_cargo() {
    let access = shared_world().access();
    let person = Person::with(Project::Greeter);
    let build = person
        .command(sealift_tests::user::Through::Sealift, ["build"])
        .from_world(&access)
        .env("SEALIFT", "off");
    let built = person.run(&build);
    assert!(built.units.units.is_empty(), "nothing is recorded");
    assert_silent(&built);
}
