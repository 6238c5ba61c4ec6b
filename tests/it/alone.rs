//! The wrapper with the local store alone: no service, no trust policy, any cargo command.

use sealift_tests::user::Through;

use crate::fixture::{Person, Project, assert_nearly_all_hit, assert_nothing_done, assert_silent};

#[test]
fn every_usual_command_works_with_the_wrapper_alone() {
    let mut person = Person::with(Project::Greeter);
    for command in ["check", "build", "test", "clippy", "doc"] {
        let built = person.wrapped([command]);
        assert_silent(&built);
    }
    let tests = person.wrapped(["test"]);
    assert!(tests.cargo.stdout.contains("1 passed"), "{}", tests.cargo.stdout);

    // The same machine, another checkout: what was compiled here once is not compiled again.
    person.second_checkout();
    for command in ["check", "build"] {
        assert_nearly_all_hit(&person.wrapped([command]));
    }
    assert_nothing_done(&person.wrapped(["build", "-v"]));
}

#[test]
fn a_target_folder_works_on_without_the_wrapper() {
    let person = Person::with(Project::Greeter);
    person.wrapped(["build"]);
    assert_nothing_done(&person.run(&person.command(Through::Plain, ["build", "-v"])));
    fs_err::write(
        person.project.join("src/main.rs"),
        "fn main() { println!(\"{}\", indoc::indoc!(\"changed\")) }\n",
    )
    .expect("written");
    let changed = person.run(&person.command(Through::Plain, ["run"]));
    assert_eq!(changed.cargo.stdout, "changed\n");
}

#[test]
fn a_compile_error_is_told_as_rustc_tells_it() {
    let person = Person::with(Project::Greeter);
    fs_err::write(
        person.project.join("src/main.rs"),
        "fn main() { let x: u8 = \"no\"; }\n",
    )
    .expect("written");
    let failed = person
        .user
        .run(&person.command(Through::Wrapper, ["build"]))
        .expect("a build that fails");
    assert!(!failed.cargo.status.success());
    assert!(failed.cargo.stderr.contains("error[E0308]"), "{}", failed.cargo.stderr);
    assert!(
        !failed.cargo.stderr.to_lowercase().contains("sealift-rustc: "),
        "{}",
        failed.cargo.stderr
    );
}
