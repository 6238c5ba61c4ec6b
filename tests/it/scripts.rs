//! Build scripts: what they hand over is an input of what is compiled.

use sealift_tests::registry::Published;

use crate::handmade::{Handmade, assert_compiled, assert_hit};

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
