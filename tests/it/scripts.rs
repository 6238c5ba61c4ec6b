//! Build scripts: what they hand over is an input of what is compiled.

use sealift_policy::local::Outcome;
use sealift_tests::child::run;
use sealift_tests::env::clean_command;
use sealift_tests::registry::Published;
use sealift_tests::user::Through;

use crate::handmade::{Handmade, assert_compiled, assert_hit, outcome};

const PROC_MACRO: &str = "[lib]\nproc-macro = true\n";

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
    // Nowhere but elsewhere.
    for (folder, answer) in [(&one, "1\n"), (&two, "2\n")] {
        let (printed, built) = handmade.run_anew(&[("NATIVE", &format!("rustc-link-search=native={folder}"))]);
        assert_eq!(printed, answer);
        assert_eq!(outcome(&built, "bundling").outcome, Outcome::PassedThrough);
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
