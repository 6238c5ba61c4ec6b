//! Somebody who builds packages that nobody should publish, from a registry of our own making.
//!
//! Owns the project around them. Must not know which rule is tried out.

use std::path::{Path, PathBuf};

use sealift_policy::digest::Digest;
use sealift_policy::local::{LocalUnit, Outcome, UnitEvent, VERSION_DIR, cas_path};
use sealift_policy::manifest::Manifest;
use sealift_tests::registry::{Published, Registry};
use sealift_tests::sources::copy_tree;
use sealift_tests::user::{Build, Built, Through, User};
use tempfile::TempDir;

use crate::fixture::{PROGRAMS, new_folder};

/// What makes a package a procedural macro.
pub(crate) const PROC_MACRO: &str = "[lib]\nproc-macro = true\n";

/// A project with dependencies from our registry.
pub(crate) struct Handmade {
    folder: TempDir,
    pub(crate) user: User,
    pub(crate) project: PathBuf,
    targets: u32,
}

impl Handmade {
    /// A program that consists of this `main.rs` and depends on these packages, by the lines of its manifest.
    pub(crate) fn new(packages: &[Published], dependencies: &str, main: &str) -> Self {
        let folder = new_folder();
        let registry = Registry::new(&folder.path().join("registry")).expect("a registry");
        registry.publish(packages).expect("published");
        let user = User::of_registry(folder.path(), &PROGRAMS, &registry).expect("a user");
        let project = folder.path().join("project");
        let handmade = Self {
            folder,
            user,
            project,
            targets: 0,
        };
        let head = "[package]\nname = \"shown\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[workspace]\n\n";
        handmade.write("Cargo.toml", &format!("{head}[dependencies]\n{dependencies}\n"));
        handmade.write("src/main.rs", main);
        handmade.lock();
        handmade
    }

    /// Writes a file of the project.
    pub(crate) fn write(&self, path: &str, content: &str) {
        let path = self.project.join(path);
        fs_err::create_dir_all(path.parent().expect("a file lies in a folder")).expect("a folder");
        fs_err::write(path, content).expect("written");
    }

    /// The unpacked sources of a package.
    pub(crate) fn sources(&self, package: &str) -> PathBuf {
        let registries = fs_err::read_dir(self.user.home().join("registry/src")).expect("unpacked sources");
        let mut found = registries.map(|registry| registry.expect("a folder").path().join(package));
        found.find(|path| path.is_dir()).expect("the package is unpacked")
    }

    /// A new target folder for the builds that follow, of another length than the last.
    pub(crate) fn new_target(&mut self) {
        self.targets += 1;
    }

    /// The target folder.
    pub(crate) fn target(&self) -> PathBuf {
        let name = format!("target{}", "-again".repeat(self.targets as usize));
        self.folder.path().join(name)
    }

    /// A cargo command in the project.
    pub(crate) fn command<'a>(&self, through: Through, args: impl IntoIterator<Item = &'a str>) -> Build {
        Build::new(&self.project, &self.target(), through, args)
    }

    /// `cargo run` with the wrapper and some variables: what the program printed, and what happened.
    pub(crate) fn run(&self, env: &[(&str, &str)]) -> (String, Built) {
        let mut build = self.command(Through::Wrapper, ["run", "--quiet"]);
        for (name, value) in env {
            build = build.env(name, *value);
        }
        let built = self.user.build(&build).expect("a build that succeeds");
        (built.cargo.stdout.clone(), built)
    }

    /// `cargo run` in a new target folder.
    pub(crate) fn run_anew(&mut self, env: &[(&str, &str)]) -> (String, Built) {
        self.new_target();
        self.run(env)
    }

    /// Gives a stored unit another output than it had.
    pub(crate) fn change_output(&self, crate_name: &str, index: usize, content: &[u8]) {
        let store = self.user.store().join(VERSION_DIR);
        let records = walkdir::WalkDir::new(store.join("units"));
        let records = records.into_iter().map(|entry| entry.expect("an entry").into_path());
        for record in records.filter(|path| path.is_file()) {
            let mut unit: LocalUnit = serde_json::from_slice(&fs_err::read(&record).expect("read")).expect("a record");
            let mut manifest = Manifest::from_canonical(unit.manifest.as_bytes()).expect("a manifest");
            if manifest.crate_name() != Some(crate_name) {
                continue;
            }
            let digest = Digest::of(content);
            let path = store.join(cas_path(digest));
            fs_err::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs_err::write(path, content).expect("written");
            manifest.outputs[index].sha256 = digest;
            manifest.outputs[index].size = content.len() as u64;
            unit.manifest = manifest.to_canonical();
            fs_err::write(record, serde_json::to_vec(&unit).expect("JSON")).expect("written");
            return;
        }
        panic!("`{crate_name}` is not stored");
    }

    /// Gives the user another `CARGO_HOME` with the same downloads.
    pub(crate) fn move_home(&mut self) {
        let home = self.folder.path().join("another/cargo-home");
        copy_tree(self.user.home(), &home).expect("a copy");
        self.user = self.user.with_home(home);
    }

    /// The folder of everything.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn lock(&self) {
        let fetch = self.command(Through::Plain, ["fetch", "--quiet"]).unlocked();
        self.user.build(&fetch).expect("a lock file, and the sources");
    }
}

/// What happened to the compilation of a crate; there must be exactly one.
#[track_caller]
pub(crate) fn outcome<'a>(built: &'a Built, crate_name: &str) -> &'a UnitEvent {
    let units: Vec<_> = (built.units.units.iter())
        .filter(|unit| unit.crate_name == crate_name)
        .collect();
    assert_eq!(units.len(), 1, "{crate_name}: {:#?}", built.units.units);
    units[0]
}

/// The crate was installed from the local store.
#[track_caller]
pub(crate) fn assert_hit(built: &Built, crate_name: &str) {
    let unit = outcome(built, crate_name);
    assert_eq!(unit.outcome, Outcome::HitCompiled, "{unit:?}");
}

/// The crate was compiled by the canonical call.
#[track_caller]
pub(crate) fn assert_compiled(built: &Built, crate_name: &str) {
    let unit = outcome(built, crate_name);
    assert_eq!(unit.outcome, Outcome::Compiled, "{unit:?}");
}

/// The crate was left to rustc, for a reason that says this.
#[track_caller]
pub(crate) fn assert_passed_through(built: &Built, crate_name: &str, reason: &str) {
    let unit = outcome(built, crate_name);
    assert_eq!(unit.outcome, Outcome::PassedThrough, "{unit:?}");
    let said = unit.reason.as_deref().unwrap_or_default();
    assert!(said.contains(reason), "{said}");
}
