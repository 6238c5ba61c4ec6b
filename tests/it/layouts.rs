//! cargo's folder layouts: whatever a call says, its outputs go there.

use sealift_tests::user::{Build, Built, Through};

use crate::fixture::{Person, Project, assert_nearly_all_hit, assert_nothing_done};

/// Where Linux keeps files in memory: a file system of its own.
const ANOTHER_FILE_SYSTEM: &str = "/dev/shm";

/// With the newest cargo, which `./x test` installs.
fn nightly(build: Build) -> Build {
    build.env("RUSTUP_TOOLCHAIN", "nightly")
}

fn new_layout(build: Build) -> Build {
    nightly(build).arg("-Zbuild-dir-new-layout")
}

#[track_caller]
fn assert_greets(built: &Built) {
    assert!(built.cargo.stdout.starts_with("hello\n"), "{}", built.cargo.stdout);
}

#[test]
fn the_old_and_the_new_layout_share_what_was_compiled() {
    let mut person = Person::with(Project::Greeter);
    let run = new_layout(person.command(Through::Wrapper, ["run", "-v"]));
    let first = person.run(&run);
    assert!(first.units.hits() == 0 && first.units.compiled() > 0);
    assert_greets(&first);
    assert_nothing_done(&person.run(&run));
    assert_nothing_done(&person.run(&run.through(Through::Plain)));

    person.second_checkout();
    let run = nightly(person.command(Through::Wrapper, ["run", "-v"]));
    let old = person.run(&run);
    assert_nearly_all_hit(&old);
    assert_greets(&old);
    assert_nothing_done(&person.run(&run));

    // Once more the new one, of hits only, with its build folder elsewhere.
    person.clean();
    let elsewhere = person.folder().join("some/where/else");
    let run = new_layout(person.command(Through::Wrapper, ["run", "-v"])).env("CARGO_BUILD_BUILD_DIR", elsewhere);
    let new = person.run(&run);
    assert_nearly_all_hit(&new);
    assert_greets(&new);
    assert_nothing_done(&person.run(&run));
    assert_nothing_done(&person.run(&run.through(Through::Plain)));
}

#[test]
fn a_build_folder_on_another_file_system_apart_from_the_target_folder_works() {
    let mut person = Person::with(Project::Greeter);
    let elsewhere = tempfile::tempdir_in(ANOTHER_FILE_SYSTEM).expect("a folder in memory");
    let run = |person: &Person| {
        let run = person.command(Through::Wrapper, ["run", "-v"]);
        // Containers have little memory for files.
        let run = run.env("CARGO_INCREMENTAL", "0").env("CARGO_PROFILE_DEV_DEBUG", "0");
        run.env("CARGO_BUILD_BUILD_DIR", elsewhere.path())
    };
    let first = person.run(&run(&person));
    assert!(first.units.compiled() > 0);
    assert_nothing_done(&person.run(&run(&person)));
    // The target folder of another checkout lies beside the store again.
    person.second_checkout();
    let second = person
        .command(Through::Wrapper, ["run", "-v"])
        .env("CARGO_PROFILE_DEV_DEBUG", "0");
    let second = person.run(&second);
    assert_nearly_all_hit(&second);
    assert!(
        second.units.units.iter().any(|unit| unit.shared_bytes > 0),
        "one file system shares with itself"
    );
    // And back: the same folder is empty, so that all of it is installed anew.
    for entry in fs_err::read_dir(elsewhere.path()).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            fs_err::remove_dir_all(path).expect("removed");
        }
    }
    let third = person.run(&run(&person));
    assert_nearly_all_hit(&third);
    assert!(
        third.units.units.iter().all(|unit| unit.shared_bytes == 0),
        "two file systems share nothing"
    );
    assert_greets(&third);
    assert_nothing_done(&person.run(&run(&person)));
}
