//! A build script's run with everything that decides what it gives: the script, the package, what cargo tells it; and so
//! its key.
//!
//! Owns the order in which the inputs are found out. When one cannot be, the run is made here and not recorded: nothing is
//! ever looked up or stored under an incomplete key.
//! Must not know what is done for the run.

pub mod archive;
pub mod c_compiler;
pub mod restore;
mod system;
pub(crate) mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;
use sealift_policy::digest::{Digest, UnitKey};
use sealift_policy::document::UnitDocument;
use sealift_policy::key::{Compiler, Package};
use sealift_policy::local::{CallKind, CallSummary};
use sealift_policy::manifest::{EnvDep, Manifest, Output, Role};
use sealift_policy::remap::{self, Places};
use sealift_policy::reviewed::{self, Reviewed};
use sealift_policy::run::stdout::{self, Instructions, NotShared};
use sealift_policy::run::{self, RunDocument};
use serde::{Deserialize, Serialize};

use crate::call::{Call, NotHandled};
use crate::env::{self, Env};
use crate::record::NotKept;
use crate::runner::{self, Compiles};
use crate::sources::stamp_of_tree;
use crate::store::{Mode, Store, digest_of_file};
use crate::surroundings::{package, source_places, spellings, variables};

/// What the wrapper knew of the script when it put the runner in front of it. Version 1.
#[derive(Debug, Serialize, Deserialize)]
pub struct Script {
    version: u32,
    /// The script's unit.
    key: UnitKey,
    /// What compiled it.
    compiler: Compiler,
    /// The compiler's folder.
    sysroot: PathBuf,
    /// How cargo asked for it.
    call: CallSummary,
    /// Whether it runs the C compiler.
    compiles_c: bool,
}

/// A run that may be shared.
#[derive(Debug)]
pub struct Run {
    /// What was found out about the script.
    pub reviewed: &'static Reviewed,
    /// The package.
    pub package: Package,
    /// The document behind the key.
    pub document: UnitDocument,
    /// Its canonical bytes.
    document_text: String,
    /// Their SHA-256.
    pub key: UnitKey,
    /// Where things lie here.
    pub places: Places,
    /// The script's output folder.
    pub out_dir: PathBuf,
    package_root: PathBuf,
    /// The script itself.
    program: PathBuf,
    stamp: Digest,
    /// What the system answered.
    system: BTreeMap<String, String>,
    call: CallSummary,
}

/// Why a run is made here and not recorded.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum NoRun {
    #[error("it is not known which script this is")]
    NoScript,
    #[error("nobody has found that everybody's run of this script gives the same")]
    NotReviewed,
    #[error("`{0}` names a folder whose content is not known")]
    Folder(String),
    #[error("cargo says no `{0}`")]
    Missing(&'static str),
    #[error(transparent)]
    NotHandled(#[from] NotHandled),
    #[error("what another script made cannot be read")]
    Other(#[source] io::Error),
    #[error("a header of the system cannot be read")]
    Unreadable(#[source] io::Error),
    #[error("the script may take {0} of this system")]
    System(String),
}

impl Script {
    /// What is known of the script that this call compiles, if its runs are shared.
    pub fn of(call: &Call) -> Option<Self> {
        let package = &call.document.package;
        let summary = call.summary();
        let has_feature = |feature: &str| summary.features.iter().any(|one| one == feature);
        let reviewed = reviewed::run(&package.name, &package.version, has_feature)?;
        Some(Self {
            version: 1,
            key: call.key,
            compiler: call.document.compiler.clone(),
            sysroot: call.toolchain.sysroot.clone(),
            call: summary,
            compiles_c: reviewed.compiles_c,
        })
    }

    /// What it runs compilers for.
    pub fn compiles(&self) -> Compiles {
        if self.compiles_c {
            Compiles::MaybeC
        } else {
            Compiles::Nothing
        }
    }

    /// Reads what [`Script::write`] wrote.
    pub fn read(path: &Path) -> Option<Self> {
        let script: Self = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        (script.version == 1).then_some(script)
    }

    /// Keeps it beside the script.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        fs::write(path, serde_json::to_vec(self)?)
    }
}

/// Whether this system answers as the one on which a run was made.
pub fn is_of_such_a_system(store: &Store, document: &RunDocument) -> bool {
    let target = document.run_env.get("TARGET").map(String::as_str);
    let answers = |reviewed| system::answers(store, reviewed, target).ok();
    document.reviewed().and_then(answers).as_ref() == Some(&document.system)
}

impl Run {
    /// Understands the run that cargo asks this process for, or says why it is not shared.
    pub fn understand(store: &Store, script: Script, program: &Path) -> Result<Self, NoRun> {
        let env = Env::process();
        let package_root = env
            .absolute_path(env::CARGO_MANIFEST_DIR)
            .ok_or(NoRun::Missing(env::CARGO_MANIFEST_DIR))?;
        let out_dir = env.absolute_path(env::OUT_DIR).ok_or(NoRun::Missing(env::OUT_DIR))?;
        for path in [&package_root, &out_dir] {
            path.to_str()
                .ok_or_else(|| NotHandled::NotUtf8(path.display().to_string()))?;
        }
        let (package, sources) = package(store, &package_root, &variables()?)?;
        let told = told::by_cargo(store, &package_root, &out_dir)?;
        let mut document = RunDocument::new(script.key, script.compiler, package.clone(), told);
        let reviewed = document.reviewed().ok_or(NoRun::NotReviewed)?;
        document.system = system::answers(store, reviewed, env.text("TARGET").as_deref())?;
        let places = Places {
            sources: source_places(&package_root, &package),
            out_dir: spellings(&out_dir),
            out: PathBuf::new(),
            deps: PathBuf::new(),
            sysroot: script.sysroot,
        };
        let call = CallSummary {
            kind: CallKind::BuildScriptRun,
            check: false,
            target: env.text("TARGET"),
            codegen: ["OPT_LEVEL", "DEBUG"]
                .into_iter()
                .filter_map(|name| Some(format!("{name}={}", env.text(name)?)))
                .collect(),
            externs: vec![sealift_policy::local::CallExtern {
                name: script.call.crate_name.clone(),
                unit_key: script.key,
            }],
            ..script.call
        };
        let (key, document_text) = document.key();
        Ok(Self {
            reviewed,
            system: document.system.clone(),
            package,
            document: document.into(),
            document_text,
            key,
            places,
            out_dir,
            package_root,
            program: program.to_owned(),
            stamp: sources.stamp,
            call,
        })
    }

    /// The package's canonical folder.
    pub fn canonical_package(&self) -> String {
        remap::package_folder(&self.package.name, &self.package.version)
    }

    /// Reads what the run printed, with canonical paths.
    pub fn instructions(&self, printed: &[u8]) -> Result<Instructions, NotShared> {
        stdout::check(printed, &self.canonical_package())
    }

    /// A variable that is set and that the script may have read, although it declares nothing of it.
    pub fn undeclared(&self, is_declared: impl Fn(&str) -> bool) -> Option<String> {
        let names = env::all().filter_map(|(name, _)| name.into_string().ok());
        let mut read = names.filter(|name| self.reviewed.may_read(name));
        read.find(|name| !is_declared(name))
    }

    /// Whether the script finds its output folder empty, as at its first run.
    pub fn starts_empty(&self) -> bool {
        fs::read_dir(&self.out_dir).is_ok_and(|mut entries| entries.next().is_none())
    }

    /// Gives a run in the canonical `OUT_DIR` this machine's paths: in the texts of its tree, and in what it printed.
    pub fn bring_home(&self, printed: Vec<u8>) -> io::Result<Vec<u8>> {
        if self.compiles() != Compiles::InCanonicalOutDir {
            return Ok(printed);
        }
        for entry in walkdir::WalkDir::new(&self.out_dir) {
            let entry = entry?;
            if !entry.file_type().is_file() {
                continue;
            }
            let content = fs::read(entry.path())?;
            let local = self.local_file(content.clone());
            if local != content {
                fs::write(entry.path(), local)?;
            }
        }
        let printed = String::from_utf8(printed).map_err(io::Error::other)?;
        Ok(remap::to_local_paths(&printed, &self.places).into_bytes())
    }

    /// Records what this run gave, or says why it is not kept. What lay in the output folder before it ran would be taken
    /// for the run's own: ask [`Run::starts_empty`] first.
    pub fn record(&self, store: &Store, printed: &[u8], run_ms: u64) -> Result<(), NotKept> {
        let not_stored = |error: io::Error| NotKept::Store(error.to_string());
        if self.reviewed.bakes_out_dir && self.compiles() != Compiles::InCanonicalOutDir {
            return Err(NotKept::OutDirElsewhere);
        }
        let text = std::str::from_utf8(printed).map_err(|_| NotKept::Run(NotShared::NotUtf8))?;
        let printed = remap::to_canonical_paths(&stdout::instructions_in(text), &self.places);
        let instructions = self.instructions(printed.as_bytes()).map_err(NotKept::Run)?;
        if let Some(name) = self.undeclared(|name| instructions.env.contains(name)) {
            return Err(NotKept::Undeclared(name));
        }
        self.find_local_path("stdout", printed.as_bytes())?;
        if stamp_of_tree(&self.package_root).ok() != Some(self.stamp) {
            return Err(NotKept::Changed);
        }
        // A library may have been installed meanwhile.
        let target = Env::process().text("TARGET");
        if system::answers(store, self.reviewed, target.as_deref()).ok().as_ref() != Some(&self.system) {
            return Err(NotKept::SystemChanged);
        }
        let scratch = store.scratch_folder().map_err(not_stored)?;
        let packed = scratch.path().join("out-dir");
        let has_native_code = archive::pack(&self.out_dir, &packed, |name, content| {
            self.canonical_file(name, content)
        })?;
        let (out_dir, out_dir_size) = digest_of_file(&packed).map_err(not_stored)?;
        store.adopt(&packed, out_dir, Mode::Data).map_err(not_stored)?;
        let stdout = Digest::of(printed.as_bytes());
        store
            .insert(printed.as_bytes(), stdout, Mode::Data)
            .map_err(not_stored)?;
        let output = |role: Role, sha256, size| Output {
            name: role.file_name(RunDocument::CRATE_NAME, self.key),
            role,
            sha256,
            size,
        };
        let manifest = Manifest {
            baseline: has_native_code.then(|| self.baseline(store)).flatten(),
            diagnostics: vec![],
            env_deps: self.env_deps(&instructions)?,
            glibc: has_native_code
                .then(|| crate::glibc::version(store, &self.rustc()))
                .flatten(),
            outputs: vec![
                output(Role::Stdout, stdout, printed.len() as u64),
                output(Role::OutDir, out_dir, out_dir_size),
            ],
            sources: vec![],
            unit_key: self.key,
            version: 1,
        };
        let unit = sealift_policy::local::LocalUnit {
            version: 1,
            unit_key: self.key,
            manifest: manifest.to_canonical(),
            origin: sealift_policy::local::UnitOrigin::Compiled { by: self.by(store) },
            compile_ms: run_ms,
            call: Some(self.call.clone()),
        };
        store
            .write_key(self.key, &self.document_text, &self.package.name, &self.package.version)
            .and_then(|()| store.write_unit(&unit))
            .map_err(not_stored)
    }

    /// A file of `OUT_DIR` as it is kept: a text that names `OUT_DIR` has the canonical one instead. A text that has that one
    /// already would be another when it is restored; in an object, where nothing is replaced, it is what C compilers are told
    /// to write.
    fn canonical_file(&self, name: &str, content: Vec<u8>) -> Result<Vec<u8>, NotKept> {
        let content = match text(content) {
            Ok(text) if self.compiles() != Compiles::InCanonicalOutDir && text.contains(remap::OUT_DIR) => {
                return Err(NotKept::LocalPath {
                    output: name.to_owned(),
                    path: remap::OUT_DIR.to_owned(),
                });
            }
            Ok(mut text) => {
                for folder in &self.places.out_dir {
                    text = text.replace(&folder.display().to_string(), remap::OUT_DIR);
                }
                text.into_bytes()
            }
            // Neither a text in which something can be replaced nor an object.
            Err(content)
                if !content.contains(&0) && memchr::memmem::find(&content, remap::OUT_DIR.as_bytes()).is_some() =>
            {
                return Err(NotKept::LocalPath {
                    output: name.to_owned(),
                    path: remap::OUT_DIR.to_owned(),
                });
            }
            Err(content) => content,
        };
        self.find_local_path(name, &content)?;
        Ok(content)
    }

    /// The reverse, for a file that is restored here.
    pub fn local_file(&self, content: Vec<u8>) -> Vec<u8> {
        match (text(content), self.places.out_dir.first()) {
            (Ok(text), Some(out_dir)) => text
                .replace(remap::OUT_DIR, &out_dir.display().to_string())
                .into_bytes(),
            (Ok(text), None) => text.into_bytes(),
            (Err(content), _) => content,
        }
    }

    /// What the script runs compilers for.
    pub fn compiles(&self) -> Compiles {
        if self.reviewed.bakes_out_dir && runner::sandbox().is_some() {
            Compiles::InCanonicalOutDir
        } else if self.reviewed.compiles_c {
            Compiles::MaybeC
        } else {
            Compiles::Nothing
        }
    }

    /// What compiles C here, where the script does.
    pub fn baseline(&self, store: &Store) -> Option<String> {
        self.reviewed
            .compiles_c
            .then(|| c_compiler::here(store, &Env::process()).map(|compiler| compiler.banner))
            .flatten()
    }

    /// The content of the script, where it is a unit of the store. One that nobody keeps is another in each project.
    pub fn by(&self, store: &Store) -> BTreeSet<Digest> {
        let script = digest_of_file(&self.program).ok().map(|(digest, _)| digest);
        let mut keys = self.call.externs.iter().map(|script| script.unit_key);
        let kept = script.filter(|digest| keys.any(|key| store.keeps(key, *digest)));
        kept.into_iter().collect()
    }

    /// The compiler, which runs with this machine's C library.
    pub fn rustc(&self) -> PathBuf {
        self.places.sysroot.join("bin/rustc")
    }

    /// What it declared to have read and is not in the key, each once.
    fn env_deps(&self, instructions: &Instructions) -> Result<Vec<EnvDep>, NotKept> {
        let names = instructions.env.iter().filter(|name| !run::env_counts(name));
        names
            .map(|name| {
                let value = Env::process().raw(name).map(|value| value.into_string()).transpose();
                let value = value.map_err(|_| NotKept::Unreadable(format!("`{name}` is not UTF-8")))?;
                Ok(EnvDep {
                    name: name.clone(),
                    value: value.map(|value| remap::to_canonical_paths(&value, &self.places)),
                })
            })
            .collect()
    }

    /// Folders that differ from machine to machine: where the package and `OUT_DIR` lie, and the homes.
    fn find_local_path(&self, output: &str, content: &[u8]) -> Result<(), NotKept> {
        let env = Env::process();
        let homes = [
            env.cargo_home(),
            env.absolute_path(env::HOME)
                .filter(|home| home.components().count() > 2),
        ];
        let build = told::build_folder(&self.out_dir).map(Path::to_owned);
        let sources = self.places.sources.iter().map(|(folder, _)| folder.clone());
        let all = sources
            .chain(self.places.out_dir.clone())
            .chain(homes.into_iter().flatten())
            .chain(build);
        for folder in all {
            if memchr::memmem::find(content, folder.as_os_str().as_encoded_bytes()).is_some() {
                return Err(NotKept::LocalPath {
                    output: output.to_owned(),
                    path: folder.display().to_string(),
                });
            }
        }
        Ok(())
    }
}

/// A file that is text, as opposed to objects and archives, in which nothing can be replaced.
fn text(content: Vec<u8>) -> Result<String, Vec<u8>> {
    if content.contains(&0) {
        return Err(content);
    }
    String::from_utf8(content).map_err(std::string::FromUtf8Error::into_bytes)
}
