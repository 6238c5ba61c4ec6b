//! How many operators have to agree is counted over those who are configured.

use sealift_policy::local::CallKind;
use sealift_tests::workload::Profile;
use sealift_tests::world::{Source, World};

use crate::fixture::{PROGRAMS, Person, Project, new_folder};

#[test]
fn host_code_of_one_operator_alone_is_not_used_while_its_libraries_are() {
    let folder = new_folder();
    let world = World::start(&folder.path().join("world"), &PROGRAMS, 2).expect("a world");
    let sources = folder.path().join("sources");
    Project::Greeter.checkout(&sources);
    let alone = &world.operators()[0];
    world
        .publish_one(alone, &Source::Project(sources), &[Profile::Dev])
        .expect("published");

    let person = Person::with(Project::Greeter);
    let built = person.sealift(&world.access(), ["run"]);
    assert!(built.cargo.stdout.starts_with("hello\n"));
    let fetched = |kind| built.units.fetched_of(kind);
    assert_eq!(
        fetched(CallKind::ProcMacro) + fetched(CallKind::BuildScript),
        0,
        "{:#?}",
        built.units.units
    );
    assert!(fetched(CallKind::Lib) > 0, "{:#?}", built.units.units);
}
