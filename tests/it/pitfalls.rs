//! Every pitfall has a test named after its rule, or a reason why it needs none; and what the
//! threat model says of tests is true.
//!
//! Owns the form of `pitfalls.tsv`: a line for each id, then the tests by module path and name, joined by `, `, or a
//! reason that begins with `cannot occur: ` or `not here: `. Must not know what the rules say.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

/// The ids of each chapter go from 1 to this.
const CHAPTERS: [(&str, u32); 9] = [
    ("K", 31),
    ("S", 20),
    ("F", 24),
    ("G", 11),
    ("W", 14),
    ("N", 9),
    ("T", 30),
    ("A", 8),
    ("B", 14),
];

/// How a reason begins.
const REASONS: [&str; 2] = ["cannot occur: ", "not here: "];

/// The crates whose tests may be named, that of the fuzz targets among them, which is no member of this workspace.
const CRATES: [&str; 6] = ["policy", "fetcher", "builder", "service", "tests", "fuzz"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Id and tests or reason of each line but comments.
fn table() -> Vec<(String, String)> {
    let text = fs_err::read_to_string(root().join("tests/pitfalls.tsv")).expect("a table");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (id, rest) = line.split_once('\t').unwrap_or_else(|| panic!("no tab in `{line}`"));
            (id.to_owned(), rest.to_owned())
        })
        .collect()
}

/// Every test function of the workspace, with the files that have one of this name.
fn tests() -> BTreeMap<String, Vec<PathBuf>> {
    let mut tests: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for folder in CRATES {
        for entry in WalkDir::new(root().join(folder)) {
            let path = entry.expect("a readable folder").into_path();
            if path.extension().is_some_and(|kind| kind == "rs") {
                let text = fs_err::read_to_string(&path).expect("sources");
                for name in test_functions(&text) {
                    tests.entry(name).or_default().push(path.clone());
                }
            }
        }
    }
    tests
}

/// Names of the functions that stand below a test's attribute.
fn test_functions(text: &str) -> Vec<String> {
    let mut names = vec![];
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[") {
            is_test |= line.contains("test]") || line.contains("test(");
        } else if let Some((before, name)) = line.split_once("fn ")
            && (before.is_empty() || before.ends_with("async "))
        {
            if is_test {
                names.extend(name.split_once('(').map(|(name, _)| name.to_owned()));
            }
            is_test = false;
        }
    }
    names
}

/// Whether a test of this module path may lie in this file.
fn lies_in(modules: &[&str], file: &Path) -> bool {
    let parts: Vec<_> = (file.iter())
        .map(|part| part.to_string_lossy().trim_end_matches(".rs").to_owned())
        .collect();
    let is_there = |module: &&str| parts.iter().any(|part| part == *module);
    let named = modules
        .iter()
        .filter(|module| **module != "tests" && !module.starts_with("sealift_"));
    named.into_iter().all(is_there)
}

#[test]
fn every_pitfall_is_in_the_table_once() {
    let mut expected = BTreeSet::new();
    for (chapter, last) in CHAPTERS {
        expected.extend((1..=last).map(|number| format!("{chapter}{number}")));
    }
    let mut found = BTreeSet::new();
    let mut wrong = vec![];
    for (id, _) in table() {
        if !expected.contains(&id) {
            wrong.push(format!("`{id}` is unknown"));
        }
        if !found.insert(id.clone()) {
            wrong.push(format!("`{id}` is there twice"));
        }
    }
    wrong.extend(expected.difference(&found).map(|id| format!("`{id}` is missing")));
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn every_pitfall_has_tests_that_exist_or_a_reason() {
    let tests = tests();
    let mut wrong = vec![];
    for (id, what) in table() {
        if let Some(reason) = REASONS.iter().find_map(|begin| what.strip_prefix(begin)) {
            if reason.trim().is_empty() {
                wrong.push(format!("{id}: an empty reason"));
            }
            continue;
        }
        for test in what.split(", ") {
            let path: Vec<_> = test.split("::").collect();
            let (name, modules) = path.split_last().expect("a split has a part");
            if !tests
                .get(*name)
                .is_some_and(|files| files.iter().any(|file| lies_in(modules, file)))
            {
                wrong.push(format!("{id}: no test `{test}`"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

// Tests are named by module path, files by their path below the root; both stand in backquotes.
#[test]
fn every_test_and_file_that_the_threat_model_names_exists() {
    let tests = tests();
    let text = fs_err::read_to_string(root().join("policy/THREATS.md")).expect("the threat model");
    let named: BTreeSet<_> = text
        .lines()
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .collect();
    let (mut found, mut wrong) = (0, vec![]);
    for name in named {
        let path: Vec<_> = name.split("::").collect();
        let (last, modules) = path.split_last().expect("a split has a part");
        let is_test = modules
            .first()
            .is_some_and(|first| CRATES.contains(first) || *first == "it");
        let is_file = name.contains('/') && name.ends_with(".rs");
        let exists = match (is_test, is_file) {
            (true, _) => {
                let files = tests.get(*last).map(Vec::as_slice).unwrap_or_default();
                files.iter().any(|file| lies_in(modules, file))
            }
            (false, true) => root().join(name).is_file(),
            (false, false) => continue,
        };
        found += 1;
        if !exists {
            wrong.push(name);
        }
    }
    assert_eq!(wrong, Vec::<&str>::new());
    assert!(found > 100, "the threat model names {found} tests and files");
}

#[test]
fn only_what_stands_below_a_test_s_attribute_is_one() {
    let text = "#[test]\nfn a() {}\nfn b() {}\n#[tokio::test]\n#[expect(x)]\nasync fn c() {}\n// fn d() {}\n";
    assert_eq!(test_functions(text), ["a", "c"]);
    assert!(lies_in(&["it", "crash"], Path::new("tests/it/crash.rs")));
    assert!(lies_in(
        &["sealift_fetcher", "install", "tests"],
        Path::new("fetcher/src/install.rs")
    ));
    assert!(!lies_in(&["it", "crash"], Path::new("tests/it/other.rs")));
}
