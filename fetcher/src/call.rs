//! A rustc call with everything around it that decides what it gives: the package, the compiler, the dependencies by
//! content, `OUT_DIR`; and so its key.
//!
//! Owns the order in which the inputs are found out. When one cannot be, the call is not handled: nothing is ever
//! looked up or stored under an incomplete key.
//! Must not know what is done for the call.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use sealift_policy::digest::{Digest, UnitKey};
use sealift_policy::impure::is_impure_macro;
use sealift_policy::invocation::{CrateType, Invocation, SearchPath, Unsupported};
use sealift_policy::key::{Class, ExternContent, ExternInput, Inputs, KeyDocument, NoKey, OutDir, Package};
use sealift_policy::local::{CallExtern, CallKind, CallSummary, OutputRecord};
use sealift_policy::manifest::Role;
use sealift_policy::remap::{self, CanonicalExtern, Places};

use crate::closure::{self, Closure};
use crate::env::{self, Env};
use crate::known::Known;
use crate::sources::{self, SourceProblem};
use crate::store::Store;
use crate::surroundings::{is_in_registry, out_dir, package, script_variables, source_places, spellings, variables};
use crate::toolchain::{self, Toolchain, ToolchainProblem};
use crate::{native_search, tree};

/// A call that is handled.
#[derive(Debug)]
pub struct Call {
    /// The compiler's program.
    pub rustc: PathBuf,
    /// Its arguments.
    pub invocation: Invocation,
    /// Where the package is unpacked; also the folder in which rustc runs.
    pub package_root: PathBuf,
    /// The compiler.
    pub toolchain: Toolchain,
    /// What each `--extern` is, in the order of the call.
    pub dependencies: Vec<Dependency>,
    /// All that they need.
    pub closure: Closure,
    /// `OUT_DIR`.
    pub out_dir: Option<OutDir>,
    /// Files in `OUT_DIR`, relative, that name folders of this machine.
    pub local_files: Vec<PathBuf>,
    /// Folders that are searched for native libraries, and of which it needs nothing.
    pub moot_search: BTreeSet<PathBuf>,
    /// What would change with its sources (see [`Call::is_as_it_was`]).
    stamps: Stamps,
    /// The key document.
    pub document: KeyDocument,
    /// Its canonical bytes.
    pub document_text: String,
    /// Their SHA-256.
    pub key: UnitKey,
}

/// What changes with the files that a key speaks of.
#[derive(Debug)]
struct Stamps {
    package: Digest,
    out_dir: Option<Digest>,
}

/// One `--extern`.
#[derive(Debug, Clone)]
pub struct Dependency {
    /// The name that the crate uses.
    pub name: String,
    /// What it is; `None` for the compiler's own `proc_macro`.
    pub library: Option<(OutputRecord, Role)>,
}

/// Why a call is not handled.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum NotHandled {
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    #[error(transparent)]
    NoKey(#[from] NoKey),
    #[error(transparent)]
    Source(#[from] SourceProblem),
    #[error(transparent)]
    Toolchain(#[from] ToolchainProblem),
    #[error("`{0}` is not rustc")]
    NotRustc(PathBuf),
    #[error("not compiled by cargo for a package")]
    NoPackage,
    #[error("a program, not a build script")]
    Program,
    #[error("`{0}` is not UTF-8")]
    NotUtf8(String),
    #[error("dependency `{0}` was not compiled or installed by Sealift")]
    UnknownDependency(String),
    #[error("proc macro `{0}` reads what rustc does not track")]
    ImpureMacro(String),
    #[error("dependency `{name}` cannot be read: {problem}")]
    Dependency { name: String, problem: String },
    #[error("`{0}` would be bundled instead of the library of that name in `OUT_DIR`")]
    ForeignLibrary(PathBuf),
    #[error("`OUT_DIR` cannot be used: {0}")]
    OutDir(io::Error),
    #[error("what the build script printed cannot be read: {0}")]
    ScriptOutput(io::Error),
}

impl Call {
    /// Understands a call, or says why it is not handled.
    pub fn understand(store: &Store, rustc: &Path, args: &[String]) -> Result<Self, NotHandled> {
        let env = Env::process();
        let package_root = env
            .absolute_path(env::CARGO_MANIFEST_DIR)
            .ok_or(NotHandled::NoPackage)?;
        if !is_in_registry(&package_root) && !sources::is_vendored(&package_root) {
            return Err(SourceProblem::NotRegistry(package_root).into());
        }
        if rustc.file_name().is_none_or(|name| name != "rustc") {
            return Err(NotHandled::NotRustc(rustc.to_owned()));
        }
        let invocation = Invocation::parse(args)?;
        if invocation.crate_type == CrateType::Bin && env.raw(env::CARGO_BIN_NAME).is_some() {
            return Err(NotHandled::Program);
        }
        for path in [&package_root, &invocation.out_dir, &store.root().to_owned()] {
            path.to_str()
                .ok_or_else(|| NotHandled::NotUtf8(path.display().to_string()))?;
        }
        let mut variables = variables()?;
        let (package, sources) = package(store, &package_root, &variables)?;
        let toolchain = toolchain::identify(store, rustc, invocation.target.as_deref())?;
        let dependencies = dependencies(store, &invocation)?;
        let (closure, objects) = closure(store, &invocation, &dependencies)?;
        let tree = out_dir(&env, &source_places(&package_root, &package))?;
        let stamps = Stamps {
            package: sources.stamp,
            out_dir: tree.as_ref().map(|(_, tree)| tree.stamp),
        };
        let (out_dir, local_files) = match tree {
            Some((path, tree::Tree { digest, local, .. })) => (Some(OutDir { path, tree: digest }), local),
            None => (None, vec![]),
        };
        if let Some(out_dir) = &out_dir {
            if let Some(library) = native_search::shadowing(&invocation, &out_dir.path) {
                return Err(NotHandled::ForeignLibrary(library));
            }
            let places = places(&package_root, &package, Some(out_dir), &toolchain);
            variables.extend(script_variables(&env, out_dir, &places)?);
        }
        let moot_search = native_search::moot(&invocation, &closure);
        let document = KeyDocument::new(&Inputs {
            invocation: &invocation,
            compiler: &toolchain.compiler,
            package: &package,
            package_root: &package_root,
            env: &variables,
            externs: (dependencies.iter())
                .map(|dependency| dependency.input(invocation.crate_type))
                .collect(),
            closure: objects,
            out_dir: out_dir.as_ref(),
            moot_search: &moot_search,
        })?;
        let document_text = document.to_canonical();
        let key = UnitKey::new(Digest::of(document_text.as_bytes()));
        Ok(Self {
            rustc: rustc.to_owned(),
            invocation,
            package_root,
            toolchain,
            dependencies,
            closure,
            out_dir,
            local_files,
            moot_search,
            stamps,
            document,
            document_text,
            key,
        })
    }

    /// Whether the files that the key speaks of are those that were there when it was computed. Asked after a
    /// compilation: what was saved meanwhile may or may not have been read.
    pub fn is_as_it_was(&self) -> bool {
        let is_same = |folder: &Path, stamp| sources::stamp_of_tree(folder).is_ok_and(|now| Some(now) == stamp);
        is_same(&self.package_root, Some(self.stamps.package))
            && (self.out_dir.as_ref()).is_none_or(|out_dir| is_same(&out_dir.path, self.stamps.out_dir))
    }

    /// The compiler, which runs with this machine's C library.
    pub fn rustc(&self) -> PathBuf {
        self.toolchain.sysroot.join("bin/rustc")
    }

    /// The class of the unit, which only the call decides.
    pub fn class(&self) -> Class {
        Class::of(self.invocation.crate_type)
    }

    /// Where things lie for its canonical call, with these private folders.
    pub fn places(&self, out: &Path, deps: &Path) -> Places {
        Places {
            out: out.to_owned(),
            deps: deps.to_owned(),
            ..places(
                &self.package_root,
                &self.document.package,
                self.out_dir.as_ref(),
                &self.toolchain,
            )
        }
    }

    /// Folders in which cargo lets rustc look for native libraries and the canonical call does not.
    pub fn foreign_search(&self) -> impl Iterator<Item = &SearchPath> {
        let own = self.out_dir.as_ref().map(|out_dir| out_dir.path.as_path());
        let is_own = move |search: &&SearchPath| own.is_some_and(|own| search.path.starts_with(own));
        self.invocation
            .native_search
            .iter()
            .filter(move |search| !is_own(search))
    }

    /// A library that counts in the key by its unit, since its content is another on each machine, if one does.
    pub fn linked_with_baked(&self) -> Option<String> {
        let crate_type = self.invocation.crate_type;
        self.closure
            .find(|library| counts_as_baked(library, crate_type))
            .map(|library| library.crate_name.clone())
    }

    /// Its externs under canonical names.
    pub fn canonical_externs(&self) -> Vec<CanonicalExtern> {
        let mut externs: Vec<_> = (self.dependencies.iter())
            .map(|dependency| CanonicalExtern {
                name: dependency.name.clone(),
                file: dependency
                    .library
                    .as_ref()
                    .map(|(record, role)| remap::canonical_name(&record.crate_name, record.unit_key, *role)),
            })
            .collect();
        externs.sort_by(|a, b| a.name.cmp(&b.name));
        externs
    }

    /// The identities of its direct dependencies.
    pub fn identities(&self) -> Vec<Digest> {
        let records = self
            .dependencies
            .iter()
            .filter_map(|dependency| dependency.library.as_ref());
        records.filter_map(|(record, _)| closure::identity(record)).collect()
    }

    /// What it was for, in cargo's words.
    pub fn summary(&self) -> CallSummary {
        let Self {
            invocation, document, ..
        } = self;
        let feature = |cfg: &String| cfg.strip_prefix("feature=\"")?.strip_suffix('"').map(str::to_owned);
        CallSummary {
            package: document.package.name.clone(),
            package_version: document.package.version.clone(),
            checksum: document.package.checksum,
            crate_name: document.crate_name.clone(),
            kind: kind(invocation.crate_type),
            check: invocation.emit == sealift_policy::invocation::Emit::Metadata,
            features: document.cfg.iter().filter_map(feature).collect(),
            target: document.target.clone(),
            codegen: document.codegen.clone(),
            externs: (self.dependencies.iter())
                .filter_map(|dependency| {
                    let (record, _) = dependency.library.as_ref()?;
                    Some(CallExtern {
                        name: dependency.name.clone(),
                        unit_key: record.unit_key,
                    })
                })
                .collect(),
        }
    }
}

impl Dependency {
    fn input(&self, dependent: CrateType) -> ExternInput {
        let content = match &self.library {
            None => ExternContent::Sysroot,
            Some((record, Role::ProcMacro)) => ExternContent::ProcMacro(record.unit_key),
            Some((record, Role::Rlib)) if counts_as_baked(record, dependent) => ExternContent::Baked(record.unit_key),
            Some((record, role)) => {
                let digest = closure::role(record, *role).expect("a dependency was found by this output");
                if *role == Role::Rlib {
                    ExternContent::Rlib(digest)
                } else {
                    ExternContent::Rmeta(digest)
                }
            }
        };
        ExternInput {
            content,
            name: self.name.clone(),
        }
    }
}

/// Whether a library counts by its unit's key, since its content is another on each machine. Only in a build script, which
/// is never kept then: its key stands for it in its run's.
fn counts_as_baked(record: &OutputRecord, dependent: CrateType) -> bool {
    record.baked && dependent == CrateType::Bin
}

/// In cargo's words.
pub fn kind(crate_type: CrateType) -> CallKind {
    match crate_type {
        CrateType::Lib => CallKind::Lib,
        CrateType::ProcMacro => CallKind::ProcMacro,
        CrateType::Bin => CallKind::BuildScript,
    }
}

/// Where things lie around a call, without private folders.
fn places(package_root: &Path, package: &Package, out_dir: Option<&OutDir>, toolchain: &Toolchain) -> Places {
    Places {
        sources: source_places(package_root, package),
        out_dir: out_dir.iter().flat_map(|out_dir| spellings(&out_dir.path)).collect(),
        out: PathBuf::new(),
        deps: PathBuf::new(),
        sysroot: toolchain.sysroot.clone(),
    }
}

fn dependencies(store: &Store, invocation: &Invocation) -> Result<Vec<Dependency>, NotHandled> {
    let mut dependencies = vec![];
    let mut known = Known::of(store);
    for dependency in &invocation.externs {
        let name = dependency.name.clone();
        let Some(path) = &dependency.path else {
            dependencies.push(Dependency { name, library: None });
            continue;
        };
        let digest = known.digest_at(path).map_err(|error| NotHandled::Dependency {
            name: name.clone(),
            problem: error.to_string(),
        })?;
        let record = store
            .output(digest)
            .ok_or_else(|| NotHandled::UnknownDependency(crate_name(path).unwrap_or_else(|| name.clone())))?;
        let role = record
            .outputs
            .iter()
            .find(|output| output.sha256 == digest)
            .map(|output| output.role);
        let role = role.ok_or_else(|| NotHandled::UnknownDependency(name.clone()))?;
        if role == Role::ProcMacro && is_impure_macro(&record.crate_name) {
            return Err(NotHandled::ImpureMacro(record.crate_name));
        }
        dependencies.push(Dependency {
            name,
            library: Some((record, role)),
        });
    }
    Ok(dependencies)
}

/// The name of the crate in `lib<name>-<hash>.rmeta`, under which its own call is known: dependents may give it another.
fn crate_name(library: &Path) -> Option<String> {
    let stem = library.file_stem()?.to_str()?.strip_prefix("lib")?;
    Some(stem.split('-').next()?.to_owned())
}

fn closure(
    store: &Store,
    invocation: &Invocation,
    dependencies: &[Dependency],
) -> Result<(Closure, Option<Digest>), NotHandled> {
    let direct: Vec<_> = dependencies
        .iter()
        .filter_map(|dependency| Some(dependency.library.as_ref()?.0.clone()))
        .collect();
    let closure = Closure::of(store, &direct).map_err(|error| NotHandled::UnknownDependency(error.to_string()))?;
    if !invocation.links() || direct.is_empty() {
        return Ok((closure, None));
    }
    let objects = closure
        .objects(|library| counts_as_baked(library, invocation.crate_type))
        .ok_or_else(|| NotHandled::UnknownDependency("a library's object code".into()))?;
    Ok((closure, Some(objects)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_is_known_by_its_file_whatever_its_dependent_calls_it() {
        let name = |path: &str| crate_name(Path::new(path));
        assert_eq!(name("/t/deps/libhttp_body-0123.rmeta").as_deref(), Some("http_body"));
        assert_eq!(name("/t/deps/libindoc-0123.so").as_deref(), Some("indoc"));
        assert_eq!(name("/t/x/libsyn.rlib").as_deref(), Some("syn"));
        assert_eq!(name("/t/x/other.rlib"), None);
    }
}
