//! Larger real programs. The gate checks two of them; `soak` builds more, and compares the programs.

use sealift_tests::workload::Profile;
use sealift_tests::world::World;

use crate::fixture::{PROGRAMS, Person, Project, assert_nearly_all_hit, assert_nothing_done, new_folder, publish};

/// One operator's word is enough in such a world: what several operators agree on is the shared world's subject.
fn checked_by_a_new_user(name: &'static str) {
    let folder = new_folder();
    let world = World::start(folder.path(), &PROGRAMS, 1).expect("a world");
    let project = Project::Real(name);
    publish(&world, project, &[Profile::Check]);
    let person = Person::with(project);
    assert_nearly_all_hit(&person.sealift(&world.access(), ["check"]));
    assert_nothing_done(&person.sealift(&world.access(), ["check", "-v"]));
}

#[test]
fn eza_is_checked_by_a_new_user() {
    checked_by_a_new_user("eza");
}

#[test]
fn just_is_checked_by_a_new_user() {
    checked_by_a_new_user("just");
}
