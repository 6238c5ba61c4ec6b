//! What was changed on the way is not used, is spoken of, and does not change the program.

use std::path::PathBuf;

use sealift_tests::fault;
use sealift_tests::user::Through;
use sealift_tests::workload::Profile;
use sealift_tests::world::World;

use crate::fixture::{PROGRAMS, Person, Project, assert_loud, assert_nearly_all_hit, new_folder, publish};

/// Harms every published blob, builds, and expects the right program without a single hit.
fn expect_no_harm(harm: impl Fn(&[PathBuf])) {
    let folder = new_folder();
    let world = World::start(folder.path(), &PROGRAMS, 1).expect("a world");
    publish(&world, Project::Greeter, &[Profile::Dev]);
    let mut person = Person::with(Project::Greeter);
    let right = person.local_program();
    person.clean();

    harm(&fault::published_blobs(&world.service_data()).expect("blobs"));
    let built = person.sealift(&world.access(), ["build"]);
    assert_eq!(built.units.hits(), 0, "{:#?}", built.units.units);
    assert!(built.units.rejected_on_arrival() > 0, "{:#?}", built.units.prefetch);
    assert_loud(&built);
    assert!(person.program() == right, "the program is another one");
    said_once_by_the_wrapper_alone(&world);
}

/// Plain cargo with the wrapper says it once, and with strictness ends there.
fn said_once_by_the_wrapper_alone(world: &World) {
    let wrapped = |person: &Person| person.command(Through::Wrapper, ["run"]).from_world(&world.access());
    let person = Person::with(Project::Greeter);
    let built = person.run(&wrapped(&person));
    assert!(built.cargo.stdout.starts_with("hello\n"));
    assert_eq!(built.units.fetched_hits(), 0);
    assert_eq!(built.loud_lines().len(), 1, "{:?}", built.loud_lines());

    let person = Person::with(Project::Greeter);
    let strict = wrapped(&person).env("SEALIFT_STRICT", "1");
    let failed = person.user.run(&strict).expect("a build");
    assert!(!failed.cargo.status.success());
    assert!(failed.cargo.stderr.contains("evidence: "), "{}", failed.cargo.stderr);
}

#[test]
fn a_flipped_bit_in_every_blob_is_rejected_aloud() {
    expect_no_harm(|blobs| fault::flip_a_bit_in_each(blobs).expect("flipped"));
}

#[test]
fn a_damaged_local_store_costs_a_compilation_and_nothing_else() {
    let world = crate::fixture::shared_world();
    let mut person = Person::with(Project::Greeter);
    assert_nearly_all_hit(&person.sealift(&world.access(), ["build"]));
    let right = person.program();
    let stored = fault::published_blobs(person.user.store()).expect("a store with blobs");
    person.second_checkout();
    for blob in &stored {
        // A new file: the first target folder holds links of the old ones.
        let mut bytes = fs_err::read(blob).expect("a blob");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs_err::remove_file(blob).expect("removed");
        fs_err::write(blob, bytes).expect("written");
    }
    let built = person.sealift(&world.access(), ["run"]);
    assert!(built.cargo.stdout.starts_with("hello\n"), "{}", built.cargo.stdout);
    assert!(!right.is_empty());
}
