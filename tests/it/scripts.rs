//! Build scripts: what they hand over is an input of what is compiled.

use sealift_policy::local::{CallKind, Outcome};
use sealift_tests::child::run;
use sealift_tests::env::clean_command;
use sealift_tests::registry::Published;
use sealift_tests::user::Through;

use crate::handmade::{Handmade, PROC_MACRO, assert_compiled, assert_hit, assert_passed_through, outcome};

/// A macro that reads a variable behind rustc's back, and a package whose script sets it.
fn told() -> [Published; 2] {
    let script = r#"fn main() {
        println!("cargo::rerun-if-env-changed=WORD");
        let word = std::env::var("WORD").unwrap_or_default();
        if !word.is_empty() {
            println!("cargo::rustc-env=TOLD={word} in {}", std::env::var("OUT_DIR").unwrap());
        }
    }"#;
    let teller = r#"#[proc_macro]
        pub fn told(_: proc_macro::TokenStream) -> proc_macro::TokenStream {
            let told = std::env::var("TOLD").unwrap_or_default();
            let word = told.split(' ').next().unwrap();
            format!("{word:?}").parse().unwrap()
        }"#;
    [
        Published::new("teller", "1.0.0", PROC_MACRO).file("src/lib.rs", teller),
        Published::new("told", "1.0.0", "build = \"build.rs\"")
            .file("build.rs", script)
            .file("src/lib.rs", "pub const WORD: &str = teller::told!();")
            .depends_on("teller", "1", "normal", &[]),
    ]
}

// K6, S1: what a script hands over counts, also where a macro reads it untracked.
#[test]
fn what_a_script_sets_for_rustc_counts_even_where_nobody_says_that_it_is_read() {
    let mut handmade = Handmade::new(&told(), "told = \"1\"", "fn main() { println!(\"{}\", told::WORD) }");
    for word in ["one", "two", ""] {
        let (printed, built) = handmade.run_anew(&[("WORD", word)]);
        assert_eq!(printed, format!("{word}\n"));
        assert_compiled(&built, "told");
    }
    // Where the folder lies does not count: paths in what is handed over are replaced.
    for word in ["two", "one"] {
        let (printed, built) = handmade.run_anew(&[("WORD", word)]);
        assert_eq!(printed, format!("{word}\n"));
        assert_hit(&built, "told");
    }
}

/// A package that bundles a static library, told to rustc by an attribute alone, or by a flag as well; where it is
/// looked for is the caller's business. `NATIVE` says what its script hands over.
fn bundling(attribute: &str) -> Published {
    let script = r#"fn main() {
        println!("cargo::rerun-if-env-changed=NATIVE");
        let out_dir = std::env::var("OUT_DIR").unwrap();
        for line in std::env::var("NATIVE").unwrap().split(';') {
            match line.split_once('<') {
                Some((name, content)) => std::fs::copy(content, format!("{out_dir}/{name}")).map(drop).unwrap(),
                None => println!("cargo::{}", line.replace("OUT_DIR", &out_dir)),
            }
        }
    }"#;
    let source = format!(
        "#[link(name = \"answer\"{attribute})] unsafe extern \"C\" {{ fn answer() -> i32; }}\n\
         pub fn the_answer() -> i32 {{ unsafe {{ answer() }} }}"
    );
    Published::new("bundling", "1.0.0", "build = \"build.rs\"")
        .file("build.rs", script)
        .file("src/lib.rs", source)
}

const SHOW_ANSWER: &str = "fn main() { println!(\"{}\", bundling::the_answer()) }";

/// A static library whose `answer` returns this number, in a folder of its own.
fn library(handmade: &Handmade, answer: i32) -> String {
    let folder = handmade.folder().join(format!("answers/{answer}"));
    fs_err::create_dir_all(&folder).expect("a folder");
    fs_err::write(
        folder.join("answer.c"),
        format!("int answer(void) {{ return {answer}; }}"),
    )
    .expect("written");
    for (program, args) in [
        ("cc", ["-c", "answer.c", "-o", "answer.o"].as_slice()),
        ("ar", ["rcsD", "libanswer.a", "answer.o"].as_slice()),
    ] {
        let mut command = clean_command(program);
        let made = run(command.args(args).current_dir(&folder)).expect("a C compiler");
        made.successful().expect("an archive");
    }
    folder.to_str().expect("UTF-8").to_owned()
}

// K1, K3: which archive is bundled is an input, whoever names it.
#[test]
fn a_library_that_only_an_attribute_names_is_the_one_that_rustc_would_bundle() {
    let mut handmade = Handmade::new(&[bundling(", kind = \"static\"")], "bundling = \"1\"", SHOW_ANSWER);
    let [one, two] = [1, 2].map(|answer| library(&handmade, answer));
    let inside = |folder: &str| format!("libanswer.a<{folder}/libanswer.a;rustc-link-search=native=OUT_DIR");
    // In `OUT_DIR`: its content is in the key.
    for (folder, answer) in [(&one, "1\n"), (&two, "2\n")] {
        let (printed, built) = handmade.run_anew(&[("NATIVE", &inside(folder))]);
        assert_eq!(printed, answer);
        assert_compiled(&built, "bundling");
    }
    let (printed, built) = handmade.run_anew(&[("NATIVE", &inside(&one))]);
    assert_eq!(printed, "1\n");
    assert_hit(&built, "bundling");
    // Another folder is searched, too: as cargo alone would do it.
    let also_elsewhere = format!("rustc-link-search=native={two};{}", inside(&one));
    let (printed, _) = handmade.run_anew(&[("NATIVE", &also_elsewhere)]);
    handmade.new_target();
    let plain = handmade
        .command(Through::Plain, ["run", "--quiet"])
        .env("NATIVE", &also_elsewhere);
    assert_eq!(printed, handmade.user.build(&plain).expect("a build").cargo.stdout);
    // Nowhere but elsewhere: found, and kept for nobody.
    for (folder, answer) in [(&one, "1\n"), (&two, "2\n")] {
        let (printed, built) = handmade.run_anew(&[("NATIVE", &format!("rustc-link-search=native={folder}"))]);
        assert_eq!(printed, answer);
        let unit = outcome(&built, "bundling");
        assert!(
            unit.reason
                .as_deref()
                .unwrap_or_default()
                .contains("outside of `OUT_DIR`"),
            "{unit:?}"
        );
    }
}

// K11: what is no archive is rustc's to judge, and nothing is kept of it.
#[test]
fn a_static_library_that_is_no_archive_is_judged_by_rustc() {
    let mut handmade = Handmade::new(&[bundling("")], "bundling = \"1\"", SHOW_ANSWER);
    let text = handmade.folder().join("text");
    fs_err::write(&text, "no archive").expect("written");
    let native = format!(
        "libanswer.a<{};rustc-link-search=native=OUT_DIR;rustc-link-lib=static=answer",
        text.display()
    );
    let mut failures = vec![];
    for through in [Through::Wrapper, Through::Plain] {
        handmade.new_target();
        let build = handmade.command(through, ["build"]).env("NATIVE", &native);
        let built = handmade.user.run(&build).expect("cargo runs");
        assert!(!built.cargo.status.success(), "{}", built.cargo.stderr);
        let target = handmade.target();
        let said = built.cargo.stderr.replace(target.to_str().expect("UTF-8"), "target");
        let errors = said.lines().filter(|line| line.starts_with("error"));
        failures.push(errors.map(str::to_owned).collect::<Vec<_>>());
        if through == Through::Wrapper {
            assert_eq!(outcome(&built, "bundling").outcome, Outcome::PassedThrough);
        }
    }
    assert_eq!(failures[0], failures[1]);
}

// S3: a script that cargo always runs is always run.
#[test]
fn a_script_with_an_empty_declaration_runs_each_time() {
    let script = r#"fn main() {
        println!("cargo::rerun-if-changed=");
        println!("cargo::rerun-if-changed={}/never", std::env::var("OUT_DIR").unwrap());
        let file = std::env::var("RUNS").unwrap();
        let runs = std::fs::read_to_string(&file).unwrap_or_default();
        std::fs::write(file, runs + "x").unwrap();
    }"#;
    let package = Published::new("always", "1.0.0", "build = \"build.rs\"")
        .file("build.rs", script)
        .file("src/lib.rs", "pub const WORD: &str = \"always\";");
    let mut handmade = Handmade::new(
        &[package],
        "always = \"1\"",
        "fn main() { println!(\"{}\", always::WORD) }",
    );
    let runs = handmade.folder().join("runs");
    let env = [("RUNS", runs.to_str().expect("UTF-8"))];
    for count in 1..=3 {
        assert_eq!(handmade.run(&env).0, "always\n");
        assert_eq!(fs_err::read_to_string(&runs).expect("the script ran").len(), count);
    }
    handmade.run_anew(&env);
    assert_eq!(fs_err::read_to_string(&runs).expect("the script ran").len(), 4);
}

// S5: what a script writes into its own package is in no archive.
#[test]
fn a_script_that_writes_into_its_package_leaves_it_unhandled() {
    let script =
        "fn main() { std::fs::write(\"src/written.rs\", \"pub const WORD: &str = \\\"written\\\";\").unwrap() }";
    let package = Published::new("writes", "1.0.0", "build = \"build.rs\"")
        .file("build.rs", script)
        .file("src/lib.rs", "mod written; pub use written::WORD;");
    let mut handmade = Handmade::new(
        &[package],
        "writes = \"1\"",
        "fn main() { println!(\"{}\", writes::WORD) }",
    );
    let (printed, built) = handmade.run_anew(&[]);
    assert_eq!(printed, "written\n");
    assert_passed_through(&built, "writes", "differs from the published package");
}

// S11: links in `OUT_DIR` are never followed, wherever they lead.
#[test]
fn links_in_out_dir_leave_the_package_unhandled() {
    let script = r#"fn main() {
        println!("cargo::rerun-if-env-changed=LINK");
        let link = std::env::var("OUT_DIR").unwrap() + "/link";
        let _ = std::fs::remove_file(&link);
        std::os::unix::fs::symlink(std::env::var("LINK").unwrap(), link).unwrap();
    }"#;
    let package = Published::new("links", "1.0.0", "build = \"build.rs\"")
        .file("build.rs", script)
        .file("src/lib.rs", "pub const WORD: &str = \"linked\";");
    let mut handmade = Handmade::new(
        &[package],
        "links = \"1\"",
        "fn main() { println!(\"{}\", links::WORD) }",
    );
    for link in ["/etc/passwd", "../output", "nowhere", "../../../../../x"] {
        let (printed, built) = handmade.run_anew(&[("LINK", link)]);
        assert_eq!(printed, "linked\n");
        assert_passed_through(&built, "links", "not a regular file");
    }
}

// S13, S19: a script behind a runner says what it says to the byte, and goes on working without us.
#[test]
fn a_script_behind_a_runner_is_heard_to_the_byte_and_works_on_without_us() {
    let script = r#"use std::io::Write;
    fn main() {
        let mut out = std::io::stdout();
        out.write_all(b"cargo:rerun-if-env-changed=WORD\ncargo:warning=\xff\xfe\ncargo::unheard-of\xff=1\n").unwrap();
        out.write_all(b"cargo:unheard-of=1\nplain words\r\n\0\n").unwrap();
        write!(out, "cargo:rustc-env=WORD_WITHOUT_END={}", cc::said(&std::env::var("WORD").unwrap())).unwrap();
    }"#;
    let packages = [
        Published::new("cc", "1.0.0", "").file("src/lib.rs", "pub fn said(word: &str) -> String { word.to_owned() }"),
        Published::new("says", "1.0.0", "build = \"build.rs\"")
            .file("build.rs", script)
            .file("src/lib.rs", "pub const WORD: &str = env!(\"WORD_WITHOUT_END\");")
            .depends_on("cc", "1", "build", &[]),
    ];
    let mut handmade = Handmade::new(&packages, "says = \"1\"", "fn main() { println!(\"{}\", says::WORD) }");
    let (printed, built) = handmade.run_anew(&[("WORD", "one")]);
    assert_eq!(printed, "one\n");
    assert_compiled(&built, "says");
    let heard = |handmade: &Handmade| {
        let folders = walkdir::WalkDir::new(handmade.target())
            .into_iter()
            .map(|entry| entry.expect("an entry"));
        let outputs = folders.filter(|entry| ["output", "stdout"].iter().any(|name| entry.file_name() == *name));
        outputs
            .map(|entry| fs_err::read(entry.path()).expect("what it said"))
            .find(|said| said.ends_with(b"=one"))
    };
    let wrapped = heard(&handmade).expect("cargo keeps what it said");
    // The same target folder without us: the script runs again when it must, and only then.
    for word in ["one", "two", "two"] {
        let plain = handmade.command(Through::Plain, ["run", "--quiet"]).env("WORD", word);
        assert_eq!(
            handmade.user.build(&plain).expect("a build").cargo.stdout,
            format!("{word}\n")
        );
    }
    handmade.new_target();
    let plain = handmade.command(Through::Plain, ["run", "--quiet"]).env("WORD", "one");
    handmade.user.build(&plain).expect("a build");
    assert_eq!(Some(wrapped), heard(&handmade));
}

// S14: what is a build script is told by how cargo compiles it, not by its name.
#[test]
fn build_scripts_and_what_is_only_called_so_are_told_apart() {
    let library = "[lib]\nname = \"build_script_build\"\npath = \"src/lib.rs\"\n[[bin]]\nname = \"build_script_main\"\npath = \"src/main.rs\"\n";
    let packages = [
        Published::new("called-so", "1.0.0", library)
            .file("src/lib.rs", "pub const WORD: &str = \"library\";")
            .file("src/main.rs", "fn main() {}"),
        Published::new("other-script", "1.0.0", "build = \"other.rs\"")
            .file("other.rs", "fn main() { println!(\"cargo::rustc-env=WORD=script\") }")
            .file("src/lib.rs", "pub const WORD: &str = env!(\"WORD\");"),
    ];
    let main = "fn main() { println!(\"{} {}\", build_script_build::WORD, other_script::WORD) }";
    let mut handmade = Handmade::new(&packages, "called-so = \"1\"\nother-script = \"1\"", main);
    let (printed, built) = handmade.run_anew(&[]);
    assert_eq!(printed, "library script\n");
    assert_compiled(&built, "build_script_build");
    let (printed, built) = handmade.run_anew(&[]);
    assert_eq!(printed, "library script\n");
    for (unit, kind) in [
        ("build_script_build", CallKind::Lib),
        ("build_script_other", CallKind::BuildScript),
        ("other_script", CallKind::Lib),
    ] {
        assert_hit(&built, unit);
        assert_eq!(outcome(&built, unit).kind, Some(kind));
    }
}
