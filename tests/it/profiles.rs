//! The ordinary kinds of build: whatever a profile asks of dependencies is compiled once and used again.
//!
//! Must not know which flags cargo makes of a profile.

use sealift_tests::registry::Published;
use sealift_tests::user::{Built, Through};

use crate::handmade::{Handmade, PROC_MACRO, assert_passed_through};

/// A library with a build script, a macro with a library, generic and inlined code, and something that panics.
fn packages() -> [Published; 3] {
    let derive = r#"#[proc_macro]
        pub fn twice(number: proc_macro::TokenStream) -> proc_macro::TokenStream {
            format!("({} * {number})", parts::two::<u32>()).parse().unwrap()
        }"#;
    let parts = r#"pub fn two<T: From<u8>>() -> T { T::from(2) }
        #[inline] pub fn add(a: u8, b: u8) -> u8 { a.wrapping_add(b) }
        pub fn checked(a: u8) -> bool { cfg!(debug_assertions) && a > 1 }"#;
    let whole =
        r#"pub fn number(a: u8) -> u32 { macros::twice!(20) + u32::from(parts::add(a, env!("ONE").len() as u8)) }"#;
    [
        Published::new("parts", "1.0.0", "").file("src/lib.rs", parts),
        Published::new("macros", "1.0.0", PROC_MACRO)
            .file("src/lib.rs", derive)
            .depends_on("parts", "1", "normal", &[]),
        Published::new("whole", "1.0.0", "build = \"build.rs\"")
            .file(
                "build.rs",
                "fn main() { println!(\"cargo::rustc-env=ONE={}\", parts::two::<u8>() - 1) }",
            )
            .file("src/lib.rs", whole)
            .depends_on("parts", "1", "normal", &[])
            .depends_on("macros", "1", "normal", &[])
            .depends_on("parts", "1", "build", &[]),
    ]
}

const MAIN: &str = r#"fn main() { println!("{}", whole::number(1)) }
    #[test] fn adds_up() { assert_eq!(whole::number(1), 42) }"#;

/// What is built, with which profile.
const KINDS: [(&[&str], &str); 7] = [
    (
        &["run"],
        "inherits = \"dev\"\ndebug = 1\nopt-level = 1\n[profile.mine.build-override]\ndebug = 2\nopt-level = 3",
    ),
    (
        &["run"],
        "inherits = \"dev\"\ndebug = \"line-tables-only\"\noverflow-checks = false\ndebug-assertions = false",
    ),
    (
        &["run"],
        "inherits = \"release\"\nlto = \"fat\"\npanic = \"abort\"\nstrip = \"symbols\"\ncodegen-units = 1",
    ),
    (
        &["run"],
        "inherits = \"release\"\nlto = \"thin\"\nrpath = true\ndebug = 2\nopt-level = \"s\"",
    ),
    (
        &["run"],
        "inherits = \"release\"\nlto = \"off\"\nopt-level = \"z\"\noverflow-checks = true",
    ),
    (&["test"], "inherits = \"test\""),
    (&["bench", "--no-run"], "inherits = \"bench\""),
];

fn build(handmade: &mut Handmade, args: &[&str]) -> Built {
    handmade.new_target();
    let build = handmade.command(Through::Wrapper, args.iter().copied());
    handmade.user.build(&build).expect("a build that succeeds")
}

#[track_caller]
fn assert_used_again(handmade: &mut Handmade, args: &[&str]) {
    let [first, second] = [(), ()].map(|()| build(handmade, args));
    assert!(first.units.compiled() > 0, "{args:?}: {:#?}", first.units.units);
    assert_eq!(
        first.cargo.stdout.contains("42"),
        args[0] == "run",
        "{}",
        first.cargo.stdout
    );
    assert_eq!(
        second.units.hits(),
        second.units.handled(),
        "{args:?}: {:#?}",
        second.units.misses()
    );
    // All that is not handled is the project's own.
    let own = first
        .units
        .units
        .iter()
        .filter(|unit| unit.crate_name == "shown")
        .count();
    assert_eq!(first.units.passed_through(), own, "{args:?}: {:#?}", first.units.units);
}

#[test]
fn every_ordinary_profile_is_handled_and_used_again() {
    let mut handmade = Handmade::new(&packages(), "whole = \"1\"", MAIN);
    let manifest = fs_err::read_to_string(handmade.project.join("Cargo.toml")).expect("a manifest");
    for (command, profile) in KINDS {
        handmade.write("Cargo.toml", &format!("{manifest}\n[profile.mine]\n{profile}\n"));
        assert_used_again(&mut handmade, &[command, &["--profile", "mine"]].concat());
    }
}

#[test]
fn a_target_that_is_named_is_used_again() {
    let mut handmade = Handmade::new(&packages(), "whole = \"1\"", MAIN);
    let host = crate::keys::host();
    assert_used_again(&mut handmade, &["run", "--target", &host]);
}

// Debug information beside the objects is tied to the folder that rustc writes into.
#[test]
fn split_debug_information_is_left_to_rustc() {
    let mut handmade = Handmade::new(&packages(), "whole = \"1\"", MAIN);
    let manifest = fs_err::read_to_string(handmade.project.join("Cargo.toml")).expect("a manifest");
    handmade.write(
        "Cargo.toml",
        &format!("{manifest}\n[profile.dev]\nsplit-debuginfo = \"packed\"\n"),
    );
    let built = build(&mut handmade, &["run"]);
    assert_eq!(built.cargo.stdout, "42\n");
    assert_passed_through(&built, "whole", "split-debuginfo");
}

#[test]
fn another_cargo_home_and_another_project_use_what_is_there() {
    for kind in [&[][..], &["--release"]] {
        let mut handmade = Handmade::new(&packages(), "whole = \"1\"", MAIN);
        build(&mut handmade, &[&["build"], kind].concat());
        handmade.move_home();
        handmade.write(
            "Cargo.toml",
            "[package]\nname = \"other\"\nversion = \"3.0.0\"\n[dependencies]\nwhole = \"1\"\n",
        );
        handmade.new_target();
        let run = handmade.command(Through::Wrapper, [&["run", "--quiet"], kind].concat());
        let built = handmade.user.build(&run.unlocked()).expect("a build that succeeds");
        assert_eq!(built.cargo.stdout, "42\n");
        assert_eq!(
            built.units.hits(),
            built.units.units.len() - 1,
            "{kind:?}: {:#?}",
            built.units.misses()
        );
    }
}
