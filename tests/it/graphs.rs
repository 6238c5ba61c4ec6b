//! Graphs: units are used again only with the very dependencies that they were compiled against.

use sealift_policy::cause::Cause;
use sealift_policy::digest::Digest;
use sealift_policy::local::{VERSION_DIR, unit_path};
use sealift_tests::registry::Published;
use sealift_tests::user::{Built, Through};
use walkdir::WalkDir;

use crate::fixture::{Person, Project};
use crate::handmade::{Handmade, PROC_MACRO, assert_compiled, assert_hit, outcome};

/// Lets the local store lose the record of a unit.
fn forget(handmade: &Handmade, built: &Built, crate_name: &str) {
    let key = outcome(built, crate_name).unit_key.expect("it has a key");
    forget_unit(handmade.user.store(), key);
}

fn forget_unit(store: &std::path::Path, key: sealift_policy::digest::UnitKey) {
    fs_err::remove_file(store.join(VERSION_DIR).join(unit_path(key))).expect("it was there");
}

/// `below` uses a macro that gives what `DICE` says, or another number each time.
fn rolled() -> [Published; 3] {
    let dice = r#"#[proc_macro]
        pub fn dice(_: proc_macro::TokenStream) -> proc_macro::TokenStream {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
            let number = if STEADY { "7".to_owned() } else { now.to_string() };
            format!("pub fn number() -> u128 {{ {number} }} pub mod at_{number} {{ pub struct Sealed; }}").parse().unwrap()
        }"#;
    let steady = format!("const STEADY: bool = cfg!(feature = \"steady\");\n{dice}");
    [
        Published::new("dice", "1.0.0", PROC_MACRO)
            .file("src/lib.rs", steady)
            .feature("steady"),
        Published::new("below", "1.0.0", "")
            .file(
                "src/lib.rs",
                "dice::dice!();\n#[inline] pub fn low() -> u128 { number() }",
            )
            .depends_on("dice", "1", "normal", &[]),
        Published::new("above", "1.0.0", "")
            .file("src/lib.rs", "pub fn high() -> u128 { below::low() + 1 }")
            .depends_on("below", "1", "normal", &[]),
    ]
}

const SHOW_ROLLED: &str = "fn main() { assert_eq!(below::low() + 1, above::high()); println!(\"whole\") }";

// G1, G2, G3: where a dependency had to be compiled again and came out otherwise, its dependents do too.
#[test]
fn a_macro_that_gives_something_else_each_time_never_leaves_a_graph_in_pieces() {
    let mut handmade = Handmade::new(&rolled(), "below = \"1\"\nabove = \"1\"", SHOW_ROLLED);
    let (_, first) = handmade.run_anew(&[]);
    let (printed, again) = handmade.run_anew(&[]);
    assert_eq!(printed, "whole\n");
    assert_eq!(again.units.hits(), 3);
    forget(&handmade, &first, "below");
    let (printed, built) = handmade.run_anew(&[]);
    assert_eq!(printed, "whole\n");
    assert_hit(&built, "dice");
    assert_compiled(&built, "below");
    assert_compiled(&built, "above");
    // A check's metadata is another roll than a build's; in one target folder both fit together.
    for command in ["check", "build"] {
        let wrapped = handmade.command(Through::Wrapper, [command]);
        handmade.user.build(&wrapped).expect("no E0460 and no E0463");
    }
}

// G2, G3: where it came out the same, they are used again.
#[test]
fn dependents_are_used_again_where_a_dependency_was_compiled_to_equal_bytes() {
    let dependencies = "below = \"1\"\nabove = \"1\"\ndice = { version = \"1\", features = [\"steady\"] }";
    let mut handmade = Handmade::new(&rolled(), dependencies, SHOW_ROLLED);
    let (_, first) = handmade.run_anew(&[]);
    forget(&handmade, &first, "below");
    let (printed, built) = handmade.run_anew(&[]);
    assert_eq!(printed, "whole\n");
    assert_compiled(&built, "below");
    assert_hit(&built, "above");
    // The other way round: the dependency is there, the dependent is not.
    forget(&handmade, &first, "above");
    let (_, built) = handmade.run_anew(&[]);
    assert_hit(&built, "below");
    assert_compiled(&built, "above");
}

// G4: one package for the host and for the target, with the features that each resolver gives it.
#[test]
fn host_and_target_copies_are_the_units_that_each_resolver_asks_for() {
    let shared = "pub const WORD: &str = if cfg!(feature = \"loud\") { \"LOUD\" } else { \"quiet\" };";
    let says = r#"#[proc_macro]
        pub fn says(_: proc_macro::TokenStream) -> proc_macro::TokenStream {
            format!("{:?}", shared::WORD).parse().unwrap()
        }"#;
    let packages = [
        Published::new("shared", "1.0.0", "")
            .file("src/lib.rs", shared)
            .feature("loud"),
        Published::new("says", "1.0.0", PROC_MACRO)
            .file("src/lib.rs", says)
            .depends_on("shared", "1", "normal", &["loud"]),
    ];
    let main = "fn main() { println!(\"{} {}\", says::says!(), shared::WORD) }";
    let mut handmade = Handmade::new(&packages, "shared = \"1\"\nsays = \"1\"", main);
    let manifest = fs_err::read_to_string(handmade.project.join("Cargo.toml")).expect("a manifest");
    for (resolver, expected) in [("1", "LOUD LOUD\n"), ("2", "LOUD quiet\n"), ("3", "LOUD quiet\n")] {
        let with = format!("edition = \"2021\"\nresolver = \"{resolver}\"");
        handmade.write("Cargo.toml", &manifest.replace("edition = \"2021\"", &with));
        for _ in 0..2 {
            let (printed, built) = handmade.run_anew(&[]);
            assert_eq!(printed, expected, "resolver {resolver}");
            assert_eq!(
                built.units.handled(),
                built.units.units.len() - 1,
                "{:#?}",
                built.units.units
            );
        }
        let (_, built) = handmade.run_anew(&[]);
        assert_eq!(built.units.hits(), built.units.handled());
    }
}

// T21: a macro may have done anything to what it took part in, and its unit's key says nothing of its bytes. When it is
// made anew, as after a revocation, so is all of that; also through a facade.
#[test]
fn what_a_macro_took_part_in_is_made_again_when_the_macro_is_another_program() {
    let says = r#"#[proc_macro]
        pub fn says(_: proc_macro::TokenStream) -> proc_macro::TokenStream {
            "42".parse().unwrap()
        }"#;
    let packages = [
        Published::new("says", "1.0.0", PROC_MACRO).file("src/lib.rs", says),
        Published::new("facade", "1.0.0", "")
            .file("src/lib.rs", "pub use says::says;")
            .depends_on("says", "1", "normal", &[]),
        Published::new("speaker", "1.0.0", "")
            .file("src/lib.rs", "pub const NUMBER: u32 = facade::says!();")
            .depends_on("facade", "1", "normal", &[]),
        Published::new("apart", "1.0.0", "").file("src/lib.rs", "pub const ONE: u32 = 1;"),
    ];
    let main = "fn main() { println!(\"{}\", speaker::NUMBER + apart::ONE) }";
    let mut handmade = Handmade::new(&packages, "speaker = \"1\"\napart = \"1\"", main);
    handmade.run_anew(&[]);
    let made = WalkDir::new(handmade.target())
        .into_iter()
        .map(|entry| entry.expect("an entry").into_path());
    let is_macro = |path: &std::path::PathBuf| path.extension().is_some_and(|extension| extension == "so");
    let mut other = fs_err::read(made.into_iter().find(is_macro).expect("the macro")).expect("read");
    // What lies behind the end of a program means nothing to it.
    other.push(0);
    handmade.change_output("says", 0, &other);
    for round in 0..2 {
        let (printed, built) = handmade.run_anew(&[]);
        assert_eq!(printed, "43\n");
        for hit in ["says", "apart"] {
            assert_hit(&built, hit);
        }
        for user in ["facade", "speaker"] {
            if round > 0 {
                assert_hit(&built, user);
            } else {
                assert_compiled(&built, user);
                assert_eq!(outcome(&built, user).cause, Some(Cause::OtherHostCode));
            }
        }
    }
}

// G11: axum changed with the strangers beside its dependencies; libtokio is a prefix of libtokio_rustls.
#[test]
fn a_unit_is_the_same_alone_and_among_strangers() {
    let mut person = Person::with(Project::Strangers);
    let metadata = |person: &mut Person, package: &str| {
        let built = person.wrapped(["check", "--package", package]);
        let axum = built
            .units
            .units
            .iter()
            .find(|unit| unit.crate_name == "axum")
            .expect("axum is checked");
        forget_unit(person.user.store(), axum.unit_key.expect("axum has a key"));
        let mut files = WalkDir::new(&person.target)
            .into_iter()
            .map(|entry| entry.expect("an entry").into_path());
        let is_axum = |path: &std::path::PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.starts_with("libaxum-") && name.ends_with(".rmeta")
        };
        let rmeta = files.find(is_axum).expect("axum's metadata");
        person.second_checkout();
        Digest::of(&fs_err::read(rmeta).expect("read"))
    };
    let alone = metadata(&mut person, "alone");
    let among = metadata(&mut person, "among");
    assert_eq!(alone, among);
}
