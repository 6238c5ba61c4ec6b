//! Keys: what decides what a unit is, tried out with packages of our own making.
//!
//! Must not know how a key is computed: only what was printed, and whether a unit was used again.
//! Long because it is a table: one package for each input that has been forgotten somewhere before.

use std::path::Path;

use sealift_policy::local::{Outcome, VERSION_DIR};
use sealift_tests::child::run;
use sealift_tests::env::clean_command;
use sealift_tests::registry::Published;
use sealift_tests::user::{Built, Through};
use walkdir::WalkDir;

use crate::handmade::{Handmade, PROC_MACRO, assert_compiled, assert_hit, assert_passed_through, outcome};

/// A package that reaches its files in every way that there is.
fn reaching() -> Published {
    let source = r#"#[path = "odd name.rs"] mod odd;
        mod nested { pub mod inner; }
        mod one; mod two;
        include!(concat!(env!("OUT_DIR"), "/made.rs"));
        pub fn words() -> String {
            let bytes = String::from_utf8_lossy(include_bytes!("../bytes"));
            [odd::WORD, nested::inner::WORD, one::WORD, two::WORD, MADE, include_str!("text.txt"), &bytes].join(" ")
        }"#;
    let word = |word: &str| format!("pub const WORD: &str = \"{word}\";");
    let script = r#"fn main() {
        println!("cargo::rerun-if-env-changed=MADE");
        let made = std::env::var("MADE").unwrap_or_default();
        let path = std::env::var("OUT_DIR").unwrap() + "/made.rs";
        std::fs::write(path, format!("pub const MADE: &str = {made:?};")).unwrap();
    }"#;
    Published::new("reaching", "1.0.0", "build = \"build.rs\"")
        .file("build.rs", script)
        .file("src/lib.rs", source)
        .file("src/odd name.rs", word("odd"))
        .file("src/nested/inner.rs", word("inner"))
        .file("src/one.rs", word("one"))
        .file("src/two.rs", word("two"))
        .file("src/text.txt", "text")
        .file("bytes", "bytes")
}

// K1, K2, K28: whatever file is changed, the program shows it, and nothing is used again; the right bytes hit again.
#[test]
fn sources_edited_by_hand_show_in_the_program_however_they_are_reached() {
    let main = "fn main() { println!(\"{}\", reaching::words()) }";
    let mut handmade = Handmade::new(&[reaching()], "reaching = \"1\"", main);
    let made = [("MADE", "made")];
    assert_eq!(handmade.run_anew(&made).0, "odd inner one two made text bytes\n");
    let (printed, built) = handmade.run_anew(&[("MADE", "new")]);
    assert_eq!(printed, "odd inner one two new text bytes\n");
    assert_compiled(&built, "reaching");

    let root = handmade.sources("reaching-1.0.0");
    let read = |path: &str| fs_err::read_to_string(root.join(path)).expect("a source");
    let files = [
        "src/odd name.rs",
        "src/nested/inner.rs",
        "src/one.rs",
        "src/two.rs",
        "src/text.txt",
        "bytes",
    ];
    let originals = files.map(|file| (file, read(file)));
    // All but two change; those two swap their contents.
    for (file, original) in &originals {
        let content = match *file {
            "src/one.rs" => originals[3].1.clone(),
            "src/two.rs" => originals[2].1.clone(),
            _ => original
                .to_uppercase()
                .replace("PUB CONST WORD: &STR", "pub const WORD: &str"),
        };
        fs_err::write(root.join(file), content).expect("written");
    }
    let (printed, built) = handmade.run_anew(&made);
    assert_eq!(printed, "ODD INNER two one made TEXT BYTES\n");
    assert_passed_through(&built, "reaching", "differs from the published package");

    for (file, original) in originals {
        fs_err::write(root.join(file), original).expect("written");
    }
    let (printed, built) = handmade.run_anew(&made);
    assert_eq!(printed, "odd inner one two made text bytes\n");
    assert_hit(&built, "reaching");
}

// K3: without the archive to compare with, nothing is looked up and nothing is stored.
#[test]
fn inputs_that_cannot_all_be_found_out_leave_nothing_in_the_store() {
    let package = Published::new("plain", "1.0.0", "").file("src/lib.rs", "pub const WORD: &str = \"plain\";");
    let mut handmade = Handmade::new(
        &[package],
        "plain = \"1\"",
        "fn main() { println!(\"{}\", plain::WORD) }",
    );
    let archives = handmade.user.home().join("registry/cache");
    let archive = find(&archives, "plain-1.0.0.crate");
    let whole = fs_err::read(&archive).expect("an archive");
    fs_err::write(&archive, &whole[..whole.len() / 2]).expect("written");
    let (printed, built) = handmade.run_anew(&[]);
    assert_eq!(printed, "plain\n");
    assert_passed_through(&built, "plain", "cannot compare");
    assert!(!handmade.user.store().join(VERSION_DIR).join("units").exists());
}

fn find(folder: &Path, name: &str) -> std::path::PathBuf {
    let mut entries = WalkDir::new(folder).into_iter().map(|entry| entry.expect("an entry"));
    let found = entries.find(|entry| entry.file_name() == name).expect("it is there");
    found.into_path()
}

// K4: what a macro lists lies in its package, so another file is another package; also through a facade.
#[test]
fn a_file_more_in_a_folder_that_a_macro_lists_is_noticed() {
    let lists = r#"#[proc_macro]
        pub fn listed(_: proc_macro::TokenStream) -> proc_macro::TokenStream {
            let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap() + "/listed";
            std::fs::read_dir(folder).unwrap().count().to_string().parse().unwrap()
        }"#;
    let packages = [
        Published::new("lists", "1.0.0", PROC_MACRO).file("src/lib.rs", lists),
        Published::new("facade", "1.0.0", "")
            .file("src/lib.rs", "pub use lists::listed;")
            .depends_on("lists", "1", "normal", &[]),
        Published::new("lister", "1.0.0", "")
            .file("src/lib.rs", "pub const FILES: usize = facade::listed!();")
            .file("listed/a", "")
            .depends_on("facade", "1", "normal", &[]),
    ];
    let main = "fn main() { println!(\"{}\", lister::FILES) }";
    let mut handmade = Handmade::new(&packages, "lister = \"1\"", main);
    assert_eq!(handmade.run_anew(&[]).0, "1\n");
    fs_err::write(handmade.sources("lister-1.0.0").join("listed/b"), "").expect("written");
    let (printed, built) = handmade.run_anew(&[]);
    assert_eq!(printed, "2\n");
    assert_passed_through(&built, "lister", "differs from the published package");
    assert_hit(&built, "facade");
}

// K6, K7: what uses a macro that is known to read more than its input is left alone, and so are its dependents.
#[test]
fn what_uses_an_impure_macro_is_never_kept() {
    let impure = r#"#[proc_macro]
        pub fn dotenv(_: proc_macro::TokenStream) -> proc_macro::TokenStream {
            format!("{:?}", std::env::var("WORD").unwrap()).parse().unwrap()
        }"#;
    let packages = [
        Published::new("dotenvy_macro", "1.0.0", PROC_MACRO).file("src/lib.rs", impure),
        Published::new("impure-user", "1.0.0", "")
            .file("src/lib.rs", "pub const WORD: &str = dotenvy_macro::dotenv!();")
            .depends_on("dotenvy_macro", "1", "normal", &[]),
        Published::new("above", "1.0.0", "")
            .file("src/lib.rs", "pub const WORD: &str = impure_user::WORD;")
            .depends_on("impure-user", "1", "normal", &[]),
    ];
    let main = "fn main() { println!(\"{}\", above::WORD) }";
    let mut handmade = Handmade::new(&packages, "above = \"1\"", main);
    for word in ["one", "two"] {
        let (printed, built) = handmade.run_anew(&[("WORD", word)]);
        assert_eq!(printed, format!("{word}\n"));
        assert_passed_through(&built, "impure_user", "reads what rustc does not track");
        assert_passed_through(&built, "above", "impure_user");
    }
}

// K8: set, unset and empty are three things, also when they take turns.
#[test]
fn a_variable_that_is_set_unset_or_empty_gives_three_results_in_turns() {
    let package = Published::new("reads", "1.0.0", "")
        .file("src/lib.rs", "pub const WORD: Option<&str> = option_env!(\"WORD\");");
    let main = "fn main() { println!(\"{:?}\", reads::WORD) }";
    let mut handmade = Handmade::new(&[package], "reads = \"1\"", main);
    for _ in 0..2 {
        for (env, expected) in [
            (&[("WORD", "a")][..], "Some(\"a\")\n"),
            (&[], "None\n"),
            (&[("WORD", "")], "Some(\"\")\n"),
        ] {
            assert_eq!(handmade.run_anew(env).0, expected);
        }
    }
    let (_, built) = handmade.run_anew(&[("WORD", "")]);
    assert_hit(&built, "reads");
}

// K9, S16: a folder that is baked in is this machine's, and what contains it is not kept.
#[test]
fn a_folder_that_is_baked_in_is_the_one_of_this_build() {
    let script = "fn main() { assert!(std::path::Path::new(env!(\"CARGO_MANIFEST_DIR\")).is_dir()) }";
    let source = "pub const HERE: [&str; 2] = [env!(\"CARGO_MANIFEST_DIR\"), env!(\"OUT_DIR\")];";
    let package = Published::new("baked", "1.0.0", "build = \"build.rs\"")
        .file("build.rs", script)
        .file("src/lib.rs", source);
    let main = "fn main() { println!(\"{}\", baked::HERE.join(\"\\n\")) }";
    let mut handmade = Handmade::new(&[package], "baked = \"1\"", main);
    for _ in 0..2 {
        let (printed, built) = handmade.run_anew(&[]);
        let [manifest, out_dir] = printed.lines().collect::<Vec<_>>()[..] else {
            panic!("{printed}");
        };
        assert_eq!(Path::new(manifest), handmade.sources("baked-1.0.0"));
        assert!(Path::new(out_dir).starts_with(handmade.target()), "{out_dir}");
        for unit in ["baked", "build_script_build"] {
            assert_compiled(&built, unit);
            let reason = outcome(&built, unit).reason.as_deref().unwrap_or_default();
            assert!(reason.contains("not kept: its output"), "{reason}");
        }
    }
}

// K9: a library that says where it lies counts by its unit in the key of a build script, which is then this build's own.
#[test]
fn a_script_that_is_linked_with_a_baked_library_has_one_key_and_is_never_kept() {
    let library = "pub fn here() -> &'static str { env!(\"OUT_DIR\") }";
    let script = "fn main() { println!(\"cargo::rustc-env=HERE={}\", baked::here()) }";
    let packages = [
        Published::new("baked", "1.0.0", "build = \"build.rs\"")
            .file("build.rs", "fn main() {}")
            .file("src/lib.rs", library),
        Published::new("asks", "1.0.0", "build = \"build.rs\"")
            .file("build.rs", script)
            .file("src/lib.rs", "pub const HERE: &str = env!(\"HERE\");")
            .depends_on("baked", "1", "build", &[]),
    ];
    let main = "fn main() { println!(\"{}\", asks::HERE) }";
    let mut handmade = Handmade::new(&packages, "asks = \"1\"", main);
    let mut keys = vec![];
    for _ in 0..2 {
        let (printed, built) = handmade.run_anew(&[]);
        assert!(Path::new(printed.trim()).starts_with(handmade.target()), "{printed}");
        let of_asks = |unit: &&sealift_policy::local::UnitEvent| {
            let package = unit.package.as_ref().map(ToString::to_string);
            unit.crate_name == "build_script_build" && package.as_deref() == Some("asks")
        };
        let script = built.units.units.iter().find(of_asks).expect("a script");
        assert_eq!(script.outcome, Outcome::Compiled);
        let reason = script.reason.as_deref().unwrap_or_default();
        assert!(reason.contains("it is linked with `baked`"), "{reason}");
        keys.push(script.unit_key.expect("handled"));
    }
    assert_eq!(keys[0], keys[1]);
}

// K16, K18, K19: where a flag comes from does not count, and what asks for this very machine or other paths is left alone.
#[test]
fn equal_flags_have_equal_keys_wherever_they_are_set() {
    let package = Published::new("plain", "1.0.0", "").file("src/lib.rs", "pub const FILE: &str = file!();");
    let mut handmade = Handmade::new(
        &[package],
        "plain = \"1\"",
        "fn main() { println!(\"{}\", plain::FILE) }",
    );
    let flag = "-Ctarget-cpu=x86-64-v2";
    let (_, built) = handmade.run_anew(&[("RUSTFLAGS", flag)]);
    assert_compiled(&built, "plain");
    let (_, built) = handmade.run_anew(&[("CARGO_ENCODED_RUSTFLAGS", "-C\u{1f}target-cpu=x86-64-v2")]);
    assert_hit(&built, "plain");
    let host = host();
    // The file is found through a link.
    fs_err::create_dir(handmade.folder().join("elsewhere")).expect("a folder");
    fs_err::os::unix::fs::symlink("../elsewhere", handmade.project.join(".cargo")).expect("a link");
    for (table, flags, handled) in [
        ("build".to_owned(), flag.to_owned(), true),
        (format!("target.{host}"), flag.to_owned(), true),
        ("build".to_owned(), "-Ctarget-cpu=native".to_owned(), false),
        (format!("target.{host}"), "-Ctarget-feature=native".to_owned(), false),
        (
            "build".to_owned(),
            format!("--remap-path-prefix={}=/mine", handmade.user.home().display()),
            false,
        ),
    ] {
        handmade.write(".cargo/config.toml", &format!("[{table}]\nrustflags = [{flags:?}]\n"));
        handmade.new_target();
        let wrapped = handmade.command(Through::Wrapper, ["check"]);
        let built = handmade.user.run(&wrapped).expect("cargo runs");
        if handled {
            // A check is another unit than a build; the second of them is used again.
            let expected = if table == "build" {
                Outcome::Compiled
            } else {
                Outcome::HitCompiled
            };
            assert_eq!(outcome(&built, "plain").outcome, expected);
        } else {
            assert_eq!(outcome(&built, "plain").outcome, Outcome::PassedThrough, "{flags}");
        }
    }
    // The user's own map is the one that counts.
    let (printed, _) = handmade.run_anew(&[]);
    assert!(printed.starts_with("/mine/registry/src/"), "{printed}");
}

pub(crate) fn host() -> String {
    let version = run(clean_command("rustc").arg("-vV")).expect("rustc").stdout;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.expect("rustc names its host").to_owned()
}

// K23, K24, G8: name and version count even where the sources are equal; so does the name by which a crate is used.
#[test]
fn equal_sources_under_other_names_and_versions_are_other_units() {
    let source = r#"pub const ME: &str = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"), " ",
            env!("CARGO_CRATE_NAME"));
        pub const PRIMARY: [Option<&str>; 2] = [option_env!("CARGO_PRIMARY_PACKAGE"), option_env!("CARGO_BIN_NAME")];"#;
    let twin = |name, version| Published::new(name, version, "").file("src/lib.rs", source);
    let both = Published::new("both", "1.0.0", "")
        .file("src/lib.rs", "pub use twin_a::ME;")
        .depends_on("twin-a", "2", "normal", &[]);
    let packages = [
        twin("twin-a", "1.0.0"),
        twin("twin-a", "2.0.0"),
        twin("twin-b", "1.0.0"),
        both,
    ];
    let dependencies =
        "twin-a = \"1\"\nnewer = { package = \"twin-a\", version = \"2\" }\ntwin-b = \"1\"\nboth = \"1\"";
    let main = r#"fn main() {
        println!("{}, {}, {}, {}", twin_a::ME, newer::ME, twin_b::ME, both::ME);
        println!("{:?}", twin_a::PRIMARY);
    }"#;
    let mut handmade = Handmade::new(&packages, dependencies, main);
    let expected = "twin-a 1.0.0 twin_a, twin-a 2.0.0 twin_a, twin-b 1.0.0 twin_b, twin-a 2.0.0 twin_a\n[None, None]\n";
    let (printed, built) = handmade.run_anew(&[]);
    assert_eq!((printed.as_str(), built.units.hits()), (expected, 0));
    let (printed, built) = handmade.run_anew(&[]);
    assert_eq!((printed.as_str(), built.units.hits()), (expected, 4));
    // The names change places.
    handmade.write(
        "src/main.rs",
        &main.replace("twin_a::ME, newer::ME", "newer::ME, twin_a::ME"),
    );
    let manifest = fs_err::read_to_string(handmade.project.join("Cargo.toml")).expect("a manifest");
    let swapped = manifest.replace("twin-a = \"1\"", "twin-a = \"2\"").replace(
        "package = \"twin-a\", version = \"2\"",
        "package = \"twin-a\", version = \"1\"",
    );
    handmade.write("Cargo.toml", &swapped);
    let built = unlocked(&mut handmade);
    assert_eq!((built.cargo.stdout.as_str(), built.units.hits()), (expected, 4));
}

// K25: what clippy compiles is nobody else's.
#[test]
fn a_unit_compiled_by_clippy_is_not_shared_with_rustc() {
    let package = Published::new("plain", "1.0.0", "").file("src/lib.rs", "pub const WORD: &str = \"plain\";");
    let mut handmade = Handmade::new(
        &[package],
        "plain = \"1\"",
        "fn main() { println!(\"{}\", plain::WORD) }",
    );
    let sysroot = run(clean_command("rustc").args(["--print", "sysroot"]))
        .expect("rustc")
        .stdout;
    let clippy = format!("{}/bin/clippy-driver", sysroot.trim_end());
    let build = handmade.command(Through::Wrapper, ["check"]).env("RUSTC", clippy);
    let built = handmade.user.build(&build).expect("clippy compiles");
    assert_passed_through(&built, "plain", "is not rustc");
    handmade.new_target();
    let built = handmade.user.build(&handmade.command(Through::Wrapper, ["check"]));
    assert_compiled(&built.expect("rustc compiles"), "plain");
}

// K27: a source that is saved while rustc runs on it belongs to no key.
#[test]
fn a_source_that_is_saved_during_its_compilation_is_recorded_under_no_content() {
    let saves = r#"#[proc_macro]
        pub fn saves(_: proc_macro::TokenStream) -> proc_macro::TokenStream {
            if let Ok(content) = std::env::var("SAVED") {
                std::fs::write(std::env::var("CARGO_MANIFEST_DIR").unwrap() + "/src/late.txt", content).unwrap();
            }
            proc_macro::TokenStream::new()
        }"#;
    let packages = [
        Published::new("saves", "1.0.0", PROC_MACRO).file("src/lib.rs", saves),
        Published::new("saved", "1.0.0", "")
            .file(
                "src/lib.rs",
                "saves::saves!();\npub const LATE: &str = include_str!(\"late.txt\");",
            )
            .file("src/late.txt", "published")
            .depends_on("saves", "1", "normal", &[]),
    ];
    let main = "fn main() { println!(\"{}\", saved::LATE) }";
    let mut handmade = Handmade::new(&packages, "saved = \"1\"", main);
    let (_, built) = handmade.run_anew(&[("SAVED", "tampered!")]);
    assert_compiled(&built, "saved");
    let reason = outcome(&built, "saved").reason.as_deref().unwrap_or_default();
    assert!(reason.contains("changed while it was compiled"), "{reason}");
    // Under the content that it had before.
    fs_err::write(handmade.sources("saved-1.0.0").join("src/late.txt"), "published").expect("written");
    let (printed, built) = handmade.run_anew(&[]);
    assert_eq!(printed, "published\n");
    assert_compiled(&built, "saved");
    // And under the one that it got.
    fs_err::write(handmade.sources("saved-1.0.0").join("src/late.txt"), "tampered!").expect("written");
    let (printed, built) = handmade.run_anew(&[]);
    assert_eq!(printed, "tampered!\n");
    assert_passed_through(&built, "saved", "differs from the published package");
}

// K28: a package is what its bytes are, whatever it is called and wherever it lies.
#[test]
fn a_patched_or_vendored_package_is_what_its_bytes_are() {
    let script = "fn main() { println!(\"cargo::rustc-env=SCRIPT={}\", env!(\"CARGO_CRATE_NAME\")) }";
    let source = "pub const WORDS: [&str; 3] = [\"published\", env!(\"SCRIPT\"), file!()];";
    let package = Published::new("plain", "1.0.0", "build = \"build.rs\"")
        .file("build.rs", script)
        .file("src/lib.rs", source)
        .file(".gitignore", "what cargo leaves out");
    let main = "fn main() { println!(\"{}\", plain::WORDS.join(\" \")) }";
    let mut handmade = Handmade::new(&[package], "plain = \"1\"", main);
    let (published, _) = handmade.run_anew(&[]);
    assert!(
        published.starts_with("published build_script_build /cargo/registry/"),
        "{published}"
    );
    let vendor = handmade.command(Through::Plain, ["vendor", "--quiet", "--respect-source-config"]);
    handmade.user.build(&vendor).expect("vendored");
    let manifest = fs_err::read_to_string(handmade.project.join("Cargo.toml")).expect("a manifest");

    let patch = "[patch.crates-io]\nplain = { path = \"patched\" }\n";
    handmade.write("Cargo.toml", &format!("{manifest}\n{patch}"));
    handmade.write(
        "patched/Cargo.toml",
        "[package]\nname = \"plain\"\nversion = \"1.0.0\"\nedition = \"2021\"\n",
    );
    handmade.write("patched/src/lib.rs", "pub const WORDS: [&str; 1] = [\"patched\"];");
    let built = unlocked(&mut handmade);
    assert_eq!(built.cargo.stdout, "patched\n");
    assert_passed_through(&built, "plain", "not an unpacked registry package");

    // An untouched copy is used again, under the published names.
    handmade.write("Cargo.toml", &manifest);
    let configuration =
        "[source.crates-io]\nreplace-with = \"vendored\"\n\n[source.vendored]\ndirectory = \"vendor\"\n";
    handmade.write(".cargo/config.toml", configuration);
    let built = unlocked(&mut handmade);
    assert_eq!(built.cargo.stdout, published);
    assert_hit(&built, "plain");
    assert_hit(&built, "build_script_build");

    // An edited one is not, whatever the note beside it says.
    handmade.write("vendor/plain/src/lib.rs", &source.replace("published", "edited!!!"));
    let note = handmade.project.join("vendor/plain/.cargo-checksum.json");
    let text = fs_err::read(&note).expect("cargo's note");
    let mut checksums: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
    checksums["files"] = serde_json::json!({});
    fs_err::write(&note, checksums.to_string()).expect("written");
    let built = unlocked(&mut handmade);
    assert!(built.cargo.stdout.starts_with("edited!!! "), "{}", built.cargo.stdout);
    assert_passed_through(&built, "plain", "differs from the published package");

    // Nor is one whose archive is not here.
    fs_err::remove_file(find(&handmade.user.home().join("registry/cache"), "plain-1.0.0.crate")).expect("removed");
    handmade.write("vendor/plain/src/lib.rs", source);
    let built = unlocked(&mut handmade);
    assert!(
        built.cargo.stdout.starts_with("published build_script_build "),
        "{}",
        built.cargo.stdout
    );
    assert_passed_through(&built, "plain", "its archive is not in cargo's home");
}

/// `cargo run` in a new target folder, where the lock file may change.
fn unlocked(handmade: &mut Handmade) -> Built {
    handmade.new_target();
    let build = handmade.command(Through::Wrapper, ["run", "--quiet"]).unlocked();
    handmade.user.build(&build).expect("a build")
}
