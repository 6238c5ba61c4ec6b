//! What must hold for what a compiler or a build script is told and tells: arguments, dep-info, instructions to cargo.
//!
//! Must not know how inputs are found.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use sealift_fetcher::dep_info::DepInfo;
use sealift_policy::digest::{Digest, UnitKey};
use sealift_policy::invocation::Invocation;
use sealift_policy::key::{ExternContent, ExternInput, Inputs, KeyDocument, OutDir};
use sealift_policy::remap::{self, CanonicalExtern, Places};
use sealift_policy::run::stdout;

use crate::world::WORLD;

const PACKAGE_ROOT: &str = "/r";
const OUT_DIR: &str = "/o";

/// The arguments of a rustc call, one on each line. How a value is attached does not count, and the canonical call of a
/// call has the same key: nothing in a value can become an argument of its own.
pub fn invocation(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let args: Vec<_> = text.lines().map(str::to_owned).collect();
    let Ok(call) = Invocation::parse(&args) else { return };
    assert_eq!(Invocation::parse(&spelt_apart(&args)).as_ref(), Ok(&call));
    let Some(document) = document(&call) else { return };
    for search in &document.native_search {
        let path = search.split_once('=').map_or(search.as_str(), |(_, path)| path);
        assert!(is_plain(Path::new(path)), "`{path}` is outside of `OUT_DIR`");
    }
    assert!(is_plain(Path::new(&document.crate_root)));
    let key = UnitKey::new(Digest::of(document.to_canonical().as_bytes()));
    let canonical = remap::canonical_args(key, &document, &call, &externs(&call), &places());
    // Nothing that cargo calls has path rules: they are ours, and stand at the end.
    let (canonical, remaps) = canonical.split_at(canonical.len() - REMAPS);
    assert!(remaps.iter().all(|arg| arg.starts_with("--remap-path-prefix=")));
    let again = Invocation::parse(canonical).expect("the canonical call is a call");
    assert_eq!(
        self::document(&again),
        Some(document),
        "the canonical call is another unit"
    );
    assert_eq!(again.extra_filename, format!("-{}", key.short()));
}

/// Path rules of the places below: of the sysroot, the sources, `OUT_DIR` and the output folder.
const REMAPS: usize = 4;

fn document(call: &Invocation) -> Option<KeyDocument> {
    let UnitParts { compiler, package } = UnitParts::of_the_world();
    let content = |path: &Option<PathBuf>, name: &str| match path {
        Some(_) => ExternContent::Rmeta(Digest::of(name.as_bytes())),
        None => ExternContent::Sysroot,
    };
    let externs = call.externs.iter().map(|dependency| ExternInput {
        content: content(&dependency.path, &dependency.name),
        name: dependency.name.clone(),
    });
    let inputs = Inputs {
        invocation: call,
        compiler,
        package,
        package_root: Path::new(PACKAGE_ROOT),
        env: &BTreeMap::new(),
        externs: externs.collect(),
        closure: None,
        out_dir: Some(&OutDir {
            path: OUT_DIR.into(),
            tree: Digest::of(b"tree"),
        }),
        moot_search: &BTreeSet::new(),
    };
    KeyDocument::new(&inputs).ok()
}

struct UnitParts {
    compiler: &'static sealift_policy::key::Compiler,
    package: &'static sealift_policy::key::Package,
}

impl UnitParts {
    fn of_the_world() -> Self {
        Self {
            compiler: WORLD.document.compiler(),
            package: WORLD.document.package(),
        }
    }
}

fn externs(call: &Invocation) -> Vec<CanonicalExtern> {
    let externs = call.externs.iter().map(|dependency| CanonicalExtern {
        name: dependency.name.clone(),
        file: dependency.path.as_ref().map(|_| "libx-0.rmeta".to_owned()),
    });
    externs.collect()
}

fn places() -> Places {
    Places {
        sources: vec![(PACKAGE_ROOT.into(), remap::REGISTRY.to_owned())],
        out_dir: vec![OUT_DIR.into()],
        out: "/out".into(),
        deps: "/deps".into(),
        sysroot: "/sysroot".into(),
    }
}

/// Each value that is attached to its flag as an argument of its own.
fn spelt_apart(args: &[String]) -> Vec<String> {
    let mut apart = vec![];
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let letters = arg.strip_prefix('-').filter(|rest| !rest.starts_with('-'));
        match (arg.strip_prefix("--"), letters) {
            (Some(long), _) => match long.split_once('=') {
                Some((name, value)) => apart.extend([format!("--{name}"), value.to_owned()]),
                None => apart.extend([arg.clone()].into_iter().chain(args.next().cloned())),
            },
            (None, Some(letters)) => match letters.split_at_checked(1) {
                Some((flag, value)) if !value.is_empty() => apart.extend([format!("-{flag}"), value.to_owned()]),
                _ => apart.extend([arg.clone()].into_iter().chain(args.next().cloned())),
            },
            (None, None) => apart.push(arg.clone()),
        }
    }
    apart
}

fn is_plain(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_)))
}

/// What was read is written so that it reads back.
pub fn dep_info(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let read = DepInfo::parse(text);
    assert!(read.files.iter().all(|file| !file.as_os_str().is_empty()));
    let written = read.to_text(&["/t/deps/x.d".into(), "/t/deps/libx.rmeta".into()]);
    assert_eq!(DepInfo::parse(&written), read);
}

/// What a shared run may say: nothing for the linker, and no path but below its own `OUT_DIR` and package.
pub fn run_stdout(data: &[u8]) {
    let package = remap::package_folder("ring", "0.17.14");
    if let Ok(text) = str::from_utf8(data) {
        let kept = stdout::instructions_in(text);
        assert_eq!(stdout::instructions_in(&kept), kept);
    }
    let Ok(instructions) = stdout::check(data, &package) else {
        return;
    };
    let text = str::from_utf8(data).expect("it was accepted");
    let kept = stdout::instructions_in(text);
    if text.lines().all(|line| line.trim().starts_with("cargo:")) {
        let again = stdout::check(kept.as_bytes(), &package).expect("the same lines, in another order");
        assert_eq!(again, instructions);
    }
    for line in text.lines().map(str::trim).filter(|line| line.starts_with("cargo:")) {
        let instruction = line.strip_prefix("cargo::").unwrap_or(&line["cargo:".len()..]);
        let (name, value) = instruction.split_once('=').expect("an instruction has a value");
        let reaches_the_linker = ["rustc-cdylib-link-arg", "rustc-flags", "rustc-linker"].contains(&name);
        assert!(!reaches_the_linker && !name.starts_with("rustc-link-arg"), "{name}");
        if name == "rustc-link-search" {
            let path = value.split_once('=').map_or(value, |(_, path)| path);
            let below = path.strip_prefix(remap::OUT_DIR).expect("below `OUT_DIR`");
            assert!(below.is_empty() || below.starts_with('/'));
            assert!(!below.split('/').any(|part| part == ".."));
        } else if !["warning", "rerun-if-env-changed"].contains(&name) && value.starts_with('/') {
            assert!(
                value.starts_with(remap::OUT_DIR) || value.starts_with(&package),
                "{value}"
            );
        }
    }
}
