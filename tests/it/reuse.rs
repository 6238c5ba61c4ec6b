//! What was published is used, gives the same program, and leaves cargo nothing to do the next time.

use crate::fixture::{Person, Project, assert_nearly_all_hit, assert_nothing_done, assert_silent, shared_world};

#[test]
fn a_new_user_of_ripgrep_gets_the_program_that_would_have_been_compiled_here() {
    let access = shared_world().access();
    let mut person = Person::with(Project::Real("ripgrep"));
    let first = person.sealift(&access, ["build"]);
    assert_nearly_all_hit(&first);
    assert_silent(&first);
    assert!(first.units.bytes_fetched() > 0);

    assert_nothing_done(&person.sealift(&access, ["build", "-v"]));
    assert_nothing_done(&person.run(&person.command(sealift_tests::user::Through::Plain, ["build", "-v"])));

    let fetched = person.program();
    assert!(
        fetched == person.local_program(),
        "the program differs from the one that was compiled here"
    );
}

#[test]
fn a_check_hits_as_much() {
    let access = shared_world().access();
    let person = Person::with(Project::Real("ripgrep"));
    assert_nearly_all_hit(&person.sealift(&access, ["check"]));
    assert_nothing_done(&person.sealift(&access, ["check", "-v"]));
}

#[test]
fn a_check_and_then_a_build_share_a_target_folder() {
    let access = shared_world().access();
    let person = Person::with(Project::Greeter);
    assert_nearly_all_hit(&person.sealift(&access, ["check"]));
    assert_nearly_all_hit(&person.sealift(&access, ["build"]));
    assert_nothing_done(&person.sealift(&access, ["check", "-v"]));
    assert_nothing_done(&person.sealift(&access, ["build", "-v"]));
}

#[test]
fn a_second_checkout_hits_without_any_service() {
    let mut person = Person::with(Project::Greeter);
    let first = person.wrapped(["build"]);
    assert_eq!(first.units.hits(), 0, "an empty store has no hits");
    assert_nothing_done(&person.wrapped(["build", "-v"]));
    person.second_checkout();
    let second = person.wrapped(["build"]);
    assert_nearly_all_hit(&second);
    assert_nothing_done(&person.wrapped(["build", "-v"]));
}

#[test]
fn a_touched_library_disturbs_neither_the_store_nor_another_target_folder() {
    let access = shared_world().access();
    let mut person = Person::with(Project::Greeter);
    person.sealift(&access, ["build"]);
    let first_target = person.target.clone();
    person.second_checkout();
    person.sealift(&access, ["build"]);
    for entry in fs_err::read_dir(first_target.join("debug/deps")).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|kind| kind == "rlib") {
            // As an editor or a linker would: in a new file of the same name.
            let bytes = fs_err::read(&path).expect("a library");
            fs_err::remove_file(&path).expect("removed");
            fs_err::write(&path, bytes).expect("written");
        }
    }
    assert_nothing_done(&person.sealift(&access, ["build", "-v"]));
}
