//! The unit key: which inputs of a rustc call make it the same unit.
//!
//! | input | in the key? | why |
//! | --- | --- | --- |
//! | `rustc -vV`, file names of libstd and librustc_driver | yes | the compiler; two builds with one version text differ in these names |
//! | package name, version, SHA-256 of the `.crate` | yes | all sources; the caller checked the files on disk against the archive |
//! | crate name, crate type, edition, emit kinds, crate root | yes | |
//! | `--target` | yes | `null` and the host's own triple differ: cargo's `RUSTFLAGS` rules and `cfg`s do |
//! | `-C` options that rustc tracks | yes | sorted; of an option given twice the last counts, as in rustc (`target-feature` adds up; `force-frame-pointers` given twice is not handled) |
//! | `-C strip` | when linking | acts at link time only |
//! | `-C rpath` | no | acts at link time only, and host programs link no Rust library dynamically: it would only tell them a folder of this machine |
//! | `--cfg`, `--check-cfg` | yes | as sets: their order cannot be observed |
//! | `--cap-lints`; lint flags | yes; unless `--cap-lints allow` | with it no lint can speak, but levels would still change the rmeta, so the canonical call drops them |
//! | `--extern` | name and content | SHA-256 of the rmeta, of the rlib when linking; of a proc macro its unit key, since its linked bytes vary with the host's linker and say nothing more; of a library that says where it was compiled, in a build script, too (see [`ExternContent::Baked`]). Sorted: rustc keeps them in a sorted map |
//! | the closure's rlibs | when linking | all their object code ends in the output |
//! | `CARGO_PKG_*`, `CARGO_CRATE_NAME`, `RUSTC_BOOTSTRAP` | yes | read by `env!`, by proc macros untracked, and by rustc |
//! | `CARGO_PRIMARY_PACKAGE`, `CARGO_BIN_*`, `CARGO_MANIFEST_*`, `CARGO` | no | how cargo was called, or paths: compared where rustc lists them as read, and an output that contains a path is not kept |
//! | what the build script set by `cargo::rustc-env` | name and value | a macro may read it untracked; paths are replaced. Of other packages' scripts nothing reaches this call |
//! | other variables | no | what rustc lists as read is compared with the manifest; known macros that read untracked are in [`crate::impure`] |
//! | `-l`; `-L` inside `OUT_DIR` | yes | native libraries that are bundled, with paths replaced |
//! | `OUT_DIR` | digest of the tree | generated sources and static libraries |
//! | `-C metadata`, `-C extra-filename` | no | the canonical call derives them from the key |
//! | `--out-dir`, `-L dependency`, target folder, `CARGO_HOME` | no | where things lie; the canonical call remaps them |
//! | `--error-format`, `--json`, `--color`, `--diagnostic-width` | no | presentation, untracked in rustc |
//! | linker and link arguments | no | moot where nothing is linked; host programs are linked by the canonical linker, and arguments that could change what they do make the call unsupported |
//! | foreign `-L native` | no | dropped where nothing is linked or bundled, or nothing of it would be (see [`Inputs::moot_search`]); unsupported where something may be |
//!
//! Owns the key document and its one spelling. Must not know where inputs come from, nor what is done with a key.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::canonical::{self, NotCanonical};
use crate::digest::{Digest, UnitKey};
use crate::invocation::{CrateType, Invocation};
use crate::manifest::Role;
use crate::name::{CrateName, CrateVersion, Toolchain};

/// Version of the canonical call (see [`crate::remap`]): units compiled by other rules are other units.
pub const CALL_RULES: u32 = 2;

/// Longest key document in bytes.
pub const MAX_KEY_DOCUMENT: usize = 4 << 20;

/// The compiler that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compiler {
    /// File names of libstd (of the target) and librustc_driver, sorted.
    pub sysroot: Vec<String>,
    /// What `rustc -vV` prints.
    pub verbose_version: String,
}

/// The package whose sources are compiled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// SHA-256 of its `.crate`.
    pub checksum: Digest,
    /// Its name.
    pub name: CrateName,
    /// Its version.
    pub version: CrateVersion,
}

/// One `--extern`, by name and content.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExternInput {
    /// What it is.
    pub content: ExternContent,
    /// The name that the crate uses.
    pub name: String,
}

/// What an `--extern` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExternContent {
    /// A library's metadata, by its SHA-256.
    Rmeta(Digest),
    /// A whole library, by its SHA-256.
    Rlib(Digest),
    /// A proc macro, by its unit key.
    ProcMacro(UnitKey),
    /// A library that says where it was compiled, by its unit key, since it is another on each machine. Only of a build
    /// script, which nobody keeps then: its key stands for it in that of its run, which is shared all the same.
    Baked(UnitKey),
    /// The compiler's own `proc_macro`.
    Sysroot,
}

/// The build script's output folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutDir {
    /// Where it lies.
    pub path: PathBuf,
    /// Digest of the tree below it.
    pub tree: Digest,
}

/// Everything that decides what a call gives.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// The arguments.
    pub invocation: &'a Invocation,
    /// The compiler.
    pub compiler: &'a Compiler,
    /// The package.
    pub package: &'a Package,
    /// Where the package is unpacked.
    pub package_root: &'a Path,
    /// Variables that count (see [`env_counts`]) and those that the build script set, by name.
    pub env: &'a BTreeMap<String, String>,
    /// The content behind each `--extern`.
    pub externs: Vec<ExternInput>,
    /// Digest of the rlibs of the whole closure; of calls that link.
    pub closure: Option<Digest>,
    /// `OUT_DIR`, when the package has a build script.
    pub out_dir: Option<&'a OutDir>,
    /// Folders outside of it that are searched for native libraries, and hold none that this call would take.
    pub moot_search: &'a BTreeSet<PathBuf>,
}

/// The document whose SHA-256 is the unit key. Version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are the rows of the table above")]
pub struct KeyDocument {
    pub cap_lints: Option<String>,
    pub cfg: Vec<String>,
    pub check_cfg: Vec<String>,
    pub closure: Option<Digest>,
    pub codegen: Vec<String>,
    pub compiler: Compiler,
    pub crate_name: String,
    pub crate_root: String,
    pub crate_type: String,
    pub edition: Option<String>,
    pub emit: String,
    pub env: BTreeMap<String, String>,
    pub externs: Vec<ExternInput>,
    pub lints: Vec<String>,
    pub native_libs: Vec<String>,
    pub native_search: Vec<String>,
    pub out_dir: Option<Digest>,
    pub package: Package,
    pub rules: u32,
    pub target: Option<String>,
    pub version: u32,
}

/// Whether a unit runs on the build host, which asks for a larger quorum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Proc macros and build scripts.
    HostCode,
    /// Everything else.
    Library,
}

/// Why a call has no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoKey {
    /// A linker argument that may change what a host program does.
    #[error("`-C {0}` may change what is linked")]
    LinkArgument(String),
    /// A host program that is linked against libraries from a folder that is no input.
    #[error("links native libraries from `{0}`")]
    NativeSearch(String),
    /// A crate root outside the package.
    #[error("the crate root `{0}` is outside its package")]
    CrateRoot(String),
    /// A path that is not UTF-8.
    #[error("path `{0}` is not UTF-8")]
    NotUtf8(String),
}

/// Why bytes are not a key document.
#[derive(Debug, thiserror::Error)]
pub enum MalformedKeyDocument {
    /// Not canonical JSON of the right shape.
    #[error("malformed key document")]
    NotCanonical(#[from] NotCanonical),
    /// A version that this program does not know.
    #[error("key document version {0} is not known")]
    Version(u32),
    /// A crate type that no handled call has.
    #[error("crate type `{0}` is not known")]
    CrateType(String),
}

/// Whether a variable of the call's environment is in the key, whoever set it.
pub fn env_counts(name: &str) -> bool {
    name.starts_with("CARGO_PKG_") || matches!(name, "CARGO_CRATE_NAME" | "RUSTC_BOOTSTRAP")
}

impl Compiler {
    /// The toolchain as the public store names it: `<release>-<host>`.
    pub fn toolchain(&self) -> Option<Toolchain> {
        let line = |label: &str| self.verbose_version.lines().find_map(|line| line.strip_prefix(label));
        format!("{}-{}", line("release: ")?, line("host: ")?).parse().ok()
    }
}

impl Class {
    /// The class of what a call compiles.
    pub fn of(crate_type: CrateType) -> Self {
        match crate_type {
            CrateType::Lib => Self::Library,
            CrateType::ProcMacro | CrateType::Bin => Self::HostCode,
        }
    }
}

impl KeyDocument {
    /// Whether native libraries end in the output, as objects that a C compiler made for a certain C library.
    pub fn bundles_native_code(&self) -> bool {
        self.emit.ends_with("link") && self.native_libs.iter().any(|lib| lib.starts_with("static"))
    }

    /// The document of a call.
    pub fn new(inputs: &Inputs<'_>) -> Result<Self, NoKey> {
        let call = inputs.invocation;
        if call.links()
            && let Some(argument) = call
                .link_args
                .iter()
                .find(|argument| !is_harmless_link_argument(argument))
        {
            return Err(NoKey::LinkArgument(argument.clone()));
        }
        let crate_root = (call.input.strip_prefix(inputs.package_root).ok())
            .filter(|path| is_plain(path))
            .ok_or_else(|| NoKey::CrateRoot(call.input.display().to_string()))?;
        let moot_lints = call.cap_lints.as_deref() == Some("allow");
        let mut externs = inputs.externs.clone();
        externs.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self {
            cap_lints: call.cap_lints.clone(),
            cfg: as_set(&call.cfgs),
            check_cfg: as_set(&call.check_cfgs),
            closure: inputs.closure,
            codegen: codegen(&call.codegen, call.links()),
            compiler: inputs.compiler.clone(),
            crate_name: call.crate_name.clone(),
            crate_root: text(crate_root)?,
            crate_type: call.crate_type.as_str().to_owned(),
            edition: call.edition.clone(),
            emit: call.emit.as_str().to_owned(),
            env: inputs.env.clone(),
            externs,
            lints: if moot_lints { vec![] } else { lints(&call.lints) },
            native_libs: call.native_libs.clone(),
            native_search: native_search(inputs)?,
            out_dir: inputs.out_dir.map(|out_dir| out_dir.tree),
            package: inputs.package.clone(),
            rules: CALL_RULES,
            target: call.target.clone(),
            version: 1,
        })
    }

    /// The bytes that are hashed.
    pub fn to_canonical(&self) -> String {
        canonical::to_string(self)
    }

    pub(crate) fn check(&self) -> Result<(), MalformedKeyDocument> {
        if self.version != 1 {
            return Err(MalformedKeyDocument::Version(self.version));
        }
        self.class().map(drop)
    }

    /// The roles of the outputs that such a call gives, in the order of a manifest; `None` for an unknown combination.
    pub fn expected_roles(&self) -> Option<&'static [Role]> {
        match (self.crate_type.as_str(), self.emit.as_str()) {
            ("lib", "dep-info,metadata") => Some(&[Role::Rmeta]),
            ("lib", "dep-info,metadata,link") => Some(&[Role::Rmeta, Role::Rlib]),
            ("proc-macro", "dep-info,link") => Some(&[Role::ProcMacro]),
            ("bin", "dep-info,link") => Some(&[Role::BuildScript]),
            _ => None,
        }
    }

    /// The class of the unit. Of a document that was downloaded this is a plan for what to fetch; when a unit is
    /// installed its class comes from the call.
    pub fn class(&self) -> Result<Class, MalformedKeyDocument> {
        match self.crate_type.as_str() {
            "lib" => Ok(Class::Library),
            "proc-macro" | "bin" => Ok(Class::HostCode),
            other => Err(MalformedKeyDocument::CrateType(other.to_owned())),
        }
    }
}

fn is_plain(path: &Path) -> bool {
    path.components()
        .all(|part| matches!(part, std::path::Component::Normal(_)))
}

fn as_set(values: &[String]) -> Vec<String> {
    let mut values = values.to_vec();
    values.sort_unstable();
    values.dedup();
    values
}

/// The options that count, one of each name, sorted by name; `target-feature`s one after the other.
fn codegen(options: &[String], links: bool) -> Vec<String> {
    let mut last: BTreeMap<&str, String> = BTreeMap::new();
    for option in options {
        let name = option.split_once('=').map_or(option.as_str(), |(name, _)| name);
        if name == "strip" && !links {
            continue;
        }
        match last.get_mut(name) {
            Some(features) if name == "target-feature" => {
                features.push(',');
                features.push_str(option.split_once('=').map_or("", |(_, value)| value));
            }
            _ => {
                last.insert(name, option.clone());
            }
        }
    }
    last.into_values().collect()
}

fn lints(lints: &[(String, String)]) -> Vec<String> {
    lints
        .iter()
        .flat_map(|(flag, lint)| [flag.clone(), lint.clone()])
        .collect()
}

fn native_search(inputs: &Inputs<'_>) -> Result<Vec<String>, NoKey> {
    let mut search = vec![];
    for entry in &inputs.invocation.native_search {
        // A path that climbs out again is not inside: what lies there is not in the digest of the tree.
        let inside = inputs
            .out_dir
            .and_then(|out_dir| entry.path.strip_prefix(&out_dir.path).ok())
            .filter(|path| is_plain(path));
        match inside {
            Some(path) => search.push(format!("{}={}", entry.kind, text(path)?)),
            None if (inputs.invocation.links() || inputs.invocation.bundles())
                && !inputs.moot_search.contains(&entry.path) =>
            {
                return Err(NoKey::NativeSearch(entry.path.display().to_string()));
            }
            None => {}
        }
    }
    Ok(search)
}

/// Arguments that choose or tune the linker of a host program without changing what the program does; the canonical
/// call drops them. Others may add objects or libraries, so such a call is left alone.
fn is_harmless_link_argument(argument: &str) -> bool {
    const HARMLESS: [&str; 9] = [
        "rpath",
        "linker=",
        "link-arg=-fuse-ld=",
        "link-arg=-Wl,-O",
        "link-arg=-Wl,--build-id",
        "link-arg=-Wl,--no-keep-memory",
        "link-arg=-Wl,--threads",
        "link-arg=-Wl,--thread-count",
        "link-arg=--ld-path=",
    ];
    HARMLESS.iter().any(|prefix| argument.starts_with(prefix)) && argument.matches(',').count() <= 1
}

fn text(path: &Path) -> Result<String, NoKey> {
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| NoKey::NotUtf8(path.display().to_string()))
}

#[cfg(test)]
mod tests;
