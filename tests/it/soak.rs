//! Larger real programs, built and compared with what would have been compiled here. Only `./x soak` has the time.

use sealift_tests::workload::Profile;
use sealift_tests::world::World;

use crate::fixture::{PROGRAMS, Person, Project, assert_nearly_all_hit, assert_nothing_done, new_folder, publish};

/// All of it: two operators, dev, and the program compared with the one that was compiled here.
fn built_by_a_new_user(name: &'static str) {
    let folder = new_folder();
    let world = World::start(folder.path(), &PROGRAMS, 2).expect("a world");
    let project = Project::Real(name);
    publish(&world, project, &[Profile::Dev]);
    let mut person = Person::with(project);
    assert_nearly_all_hit(&person.sealift(&world.access(), ["build"]));
    assert_nothing_done(&person.sealift(&world.access(), ["build", "-v"]));
    let fetched = person.program();
    assert!(
        fetched == person.local_program(),
        "the program differs from the one that was compiled here"
    );
}

#[test]
fn eza_is_built_by_a_new_user() {
    built_by_a_new_user("eza");
}

#[test]
fn just_is_built_by_a_new_user() {
    built_by_a_new_user("just");
}

#[test]
fn bottom_is_built_by_a_new_user() {
    built_by_a_new_user("bottom");
}
