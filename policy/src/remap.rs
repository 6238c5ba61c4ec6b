//! The canonical call: the one rustc call by which a handled unit is compiled, on a builder or a user's machine,
//! whatever cargo asked for around it.
//!
//! Owns the path rules and the order of arguments. The prefixes are those of cargo's `trim-paths`
//! (`src/cargo/core/compiler/trim_paths.rs`), so that debuggers configured for it find the sources:
//!
//! | from | to |
//! | --- | --- |
//! | the folder of unpacked registry packages | `/cargo/registry/<id of crates.io>` |
//! | the folder of a vendored package | `/cargo/registry/<id of crates.io>/<name>-<version>` |
//! | `OUT_DIR` | `/cargo/out-dir` |
//! | the private output folder | `/cargo/out` |
//! | `<sysroot>/lib/rustlib/src/rust` | `/rustc/<commit-hash>` |
//!
//! Must not know files or processes: it turns values into arguments.

use std::path::{Path, PathBuf};

use crate::digest::UnitKey;
use crate::invocation::Invocation;
use crate::key::KeyDocument;
use crate::manifest::Role;

/// What the folder of unpacked registry packages becomes. The last part is cargo's id of crates.io, whichever
/// registry folder, mirror or cargo version the sources came through: what they are is fixed by their checksum.
pub const REGISTRY: &str = "/cargo/registry/1949cf8c6b5b557f";

/// What the folder of one package becomes, wherever it lies: where it would lie among unpacked registry packages.
pub fn package_folder(name: impl std::fmt::Display, version: impl std::fmt::Display) -> String {
    format!("{REGISTRY}/{name}-{version}")
}

/// What `OUT_DIR` becomes.
pub const OUT_DIR: &str = "/cargo/out-dir";

/// What the private output folder becomes.
pub const OUT: &str = "/cargo/out";

/// Where things lie on this machine for one canonical call.
#[derive(Debug)]
pub struct Places {
    /// Folders of sources, each as cargo names it and as the file system resolves it, with what stands for it: that of
    /// all unpacked packages, or that of one vendored package.
    pub sources: Vec<(PathBuf, String)>,
    /// The build script's output folder, likewise; empty without one.
    pub out_dir: Vec<PathBuf>,
    /// The private output folder.
    pub out: PathBuf,
    /// The folder that holds exactly the dependency closure, under canonical names.
    pub deps: PathBuf,
    /// The compiler's sysroot.
    pub sysroot: PathBuf,
}

/// One `--extern` of a canonical call.
#[derive(Debug, Clone)]
pub struct CanonicalExtern {
    /// The name that the crate uses.
    pub name: String,
    /// The canonical file name; `None` for the compiler's own `proc_macro`.
    pub file: Option<String>,
}

/// The arguments of the canonical call (without the program).
///
/// `invocation` gives what is presentation only; all else comes from the key document, so that no input that is not
/// in the key can reach the compiler.
pub fn canonical_args(
    key: UnitKey,
    document: &KeyDocument,
    invocation: &Invocation,
    externs: &[CanonicalExtern],
    places: &Places,
) -> Vec<String> {
    let mut args = vec!["--crate-name".to_owned(), document.crate_name.clone()];
    args.extend(document.edition.iter().map(|edition| format!("--edition={edition}")));
    args.push(show(&invocation.input));
    args.push("--error-format=json".to_owned());
    args.extend(presentation(invocation));
    args.extend([
        "--crate-type".to_owned(),
        document.crate_type.clone(),
        format!("--emit={}", document.emit),
    ]);
    args.extend(pairs("-C", &document.codegen));
    args.extend(pairs("--cfg", &document.cfg));
    args.extend(pairs("--check-cfg", &document.check_cfg));
    args.extend(document.cap_lints.iter().map(|level| format!("--cap-lints={level}")));
    args.extend(document.lints.iter().cloned());
    let short = key.short();
    args.extend([
        "-C".to_owned(),
        format!("metadata={short}"),
        "-C".to_owned(),
        format!("extra-filename=-{short}"),
    ]);
    args.push(format!("--out-dir={}", show(&places.out)));
    args.extend(document.target.iter().map(|target| format!("--target={target}")));
    args.extend(["-L".to_owned(), format!("dependency={}", show(&places.deps))]);
    for dependency in externs {
        args.push("--extern".to_owned());
        args.push(match &dependency.file {
            Some(file) => format!("{}={}", dependency.name, show(&places.deps.join(file))),
            None => dependency.name.clone(),
        });
    }
    if let Some(out_dir) = places.out_dir.first() {
        for search in &document.native_search {
            let (kind, path) = search.split_once('=').unwrap_or(("all", search));
            args.extend(["-L".to_owned(), format!("{kind}={}", show(&out_dir.join(path)))]);
        }
    }
    args.extend(pairs("-l", &document.native_libs));
    args.extend(remaps(document, places));
    args
}

/// The canonical file name of an output, from its parts.
pub fn canonical_name(crate_name: &str, key: UnitKey, role: Role) -> String {
    role.file_name(crate_name, key)
}

/// Replaces this machine's folders in a text that a call produced or reads by their canonical names.
pub fn to_canonical_paths(text: &str, places: &Places) -> String {
    let mut text = text.to_owned();
    for (from, to) in prefixes(places) {
        text = text.replace(&show(from), to);
    }
    text
}

/// The reverse of [`to_canonical_paths`], for what is shown on this machine.
pub fn to_local_paths(text: &str, places: &Places) -> String {
    let mut text = text.to_owned();
    for (folder, canonical) in &places.sources {
        text = text.replace(canonical, &show(folder));
    }
    if let Some(out_dir) = places.out_dir.first() {
        text = text.replace(OUT_DIR, &show(out_dir));
    }
    text
}

/// Most specific last, since rustc lets the last match win.
fn prefixes(places: &Places) -> impl Iterator<Item = (&Path, &str)> {
    let sources = (places.sources.iter()).map(|(path, canonical)| (path.as_path(), canonical.as_str()));
    let out_dir = places.out_dir.iter().map(|path| (path.as_path(), OUT_DIR));
    let all = sources.chain(out_dir).chain([(places.out.as_path(), OUT)]);
    // Where there is no such folder there is nothing to replace.
    all.filter(|(path, _)| !path.as_os_str().is_empty())
}

fn remaps(document: &KeyDocument, places: &Places) -> Vec<String> {
    let sources = places.sysroot.join("lib/rustlib/src/rust");
    let commit = document
        .compiler
        .verbose_version
        .lines()
        .find_map(|line| line.strip_prefix("commit-hash: "));
    let mut remaps = vec![format!(
        "--remap-path-prefix={}=/rustc/{}",
        show(&sources),
        commit.unwrap_or("unknown")
    )];
    remaps.extend(prefixes(places).map(|(from, to)| format!("--remap-path-prefix={}={to}", show(from))));
    remaps
}

/// Artifact notifications are always asked for: they say when the metadata can be installed.
fn presentation(invocation: &Invocation) -> Vec<String> {
    let mut presentation = invocation.presentation.clone();
    if !invocation.announces_artifacts {
        presentation.push("--json=artifacts".to_owned());
    }
    presentation
}

fn pairs<'a>(flag: &'a str, values: &'a [String]) -> impl Iterator<Item = String> + 'a {
    values.iter().flat_map(move |value| [flag.to_owned(), value.clone()])
}

/// Paths were checked to be UTF-8 before a call was handled.
fn show(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
