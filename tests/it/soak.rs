//! Larger real programs, built and compared with what would have been compiled here. Only `./x soak` has the time.

use sealift_policy::local::Outcome;
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

// openssl-src bakes its manifest folder in, and OpenSSL's libraries hold OUT_DIR: the run is shared all the same.
#[test]
fn an_openssl_that_a_script_compiles_is_fetched_by_a_new_user() {
    let folder = new_folder();
    let world = World::start(folder.path(), &PROGRAMS, 1).expect("a world");
    publish(&world, Project::Openssl, &[Profile::Dev]);
    let person = Person::with(Project::Openssl);
    let built = person.sealift(&world.access(), ["run"]);
    assert!(built.cargo.stdout.starts_with("OpenSSL 3."), "{}", built.cargo.stdout);
    let runs = built.units.units.iter().filter(|unit| {
        unit.crate_name == "build_script_run" && unit.package.as_deref().is_some_and(|package| package == "openssl-sys")
    });
    let outcomes: Vec<_> = runs.map(|run| run.outcome).collect();
    assert_eq!(outcomes, [Outcome::HitFetched]);
    assert_nothing_done(&person.sealift(&world.access(), ["build", "-v"]));
}
