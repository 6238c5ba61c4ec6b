//! The local store's records and relative paths, shared by the wrapper that writes them and by those who read
//! them: `cargo sealift` and the builder.
//!
//! Owns the on-disk shapes, version 1 each. A record that does not parse is as good as absent.
//! Must not know files: it names paths, others open them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::cause::Cause;
use crate::digest::{Digest, UnitKey};
use crate::name::{CrateName, CrateVersion, OperatorName};

/// The folder below the store's root that holds this version of everything.
pub const VERSION_DIR: &str = "v1";

/// Modification time (seconds since 1970) of every file in the content-addressed store: a fixed old time, so that a
/// hard link of a library is never newer than what was built from it, in any target folder.
pub const STORED_MTIME: i64 = 1_153_704_088;

/// `cas/<2>/<sha256>`: an output's content.
pub fn cas_path(digest: Digest) -> String {
    sharded("cas", &digest.to_string(), "")
}

/// `units/<2>/<key>.json`: a [`LocalUnit`].
pub fn unit_path(key: UnitKey) -> String {
    sharded("units", &key.to_string(), ".json")
}

/// `keys/<2>/<key>`: a canonical key document.
pub fn key_path(key: UnitKey) -> String {
    sharded("keys", &key.to_string(), "")
}

/// `outputs/<2>/<sha256>.json`: an [`OutputRecord`].
pub fn output_path(digest: Digest) -> String {
    sharded("outputs", &digest.to_string(), ".json")
}

/// `by-package/<name>-<version>/<key>`: an empty file for each key known of a package.
pub fn package_path(name: &CrateName, version: &CrateVersion) -> String {
    format!("by-package/{name}-{version}")
}

/// `heads/<operator>/<epoch>`: the newest checkpoint seen of a log (a signed note).
pub fn head_path(operator: &OperatorName, epoch: u32) -> String {
    format!("heads/{operator}/{epoch}")
}

/// `trust/<sha256 of a pinned TUF root>`: the folder of what was verified from it.
pub fn trust_path(root: Digest) -> String {
    format!("trust/{root}")
}

fn sharded(folder: &str, name: &str, suffix: &str) -> String {
    format!("{folder}/{}/{name}{suffix}", &name[..2])
}

/// A unit that is in the local store.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LocalUnit {
    /// Always 1.
    pub version: u32,
    /// The unit.
    pub unit_key: UnitKey,
    /// The manifest's canonical bytes.
    pub manifest: String,
    /// Where it comes from, which decides what makes it trusted.
    pub origin: UnitOrigin,
    /// How long it took to compile, here or elsewhere, in milliseconds.
    pub compile_ms: u64,
    /// What the call looked like; known once the unit was compiled or used here.
    pub call: Option<CallSummary>,
}

/// Where a stored unit comes from.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum UnitOrigin {
    /// Compiled by this user's own rustc.
    Compiled {
        /// The SHA-256 of each proc macro that took part, or of the build script that ran. Keys name them by their units,
        /// whose bytes may differ, and they may have done anything: when one of them is revoked, so is this.
        #[serde(default)]
        by: BTreeSet<Digest>,
    },
    /// Downloaded. Believed only while the trust policy says so, which is checked at each use.
    Fetched {
        /// The operators' proofs.
        proofs: Vec<OperatorProof>,
    },
}

/// That an operator's log contains the unit's leaf.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OperatorProof {
    /// Whose log.
    pub operator: OperatorName,
    /// Which of the operator's logs.
    pub epoch: u32,
    /// The C2SP tlog-proof text, with the checkpoint.
    pub proof: String,
}

/// What identifies a library or proc macro by its content, and what it was compiled against.
///
/// Written under the digest of the rmeta (of the shared object, for a proc macro), which is what an `--extern` names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputRecord {
    /// Always 1.
    pub version: u32,
    /// The unit.
    pub unit_key: UnitKey,
    /// Its crate name, as in file names.
    pub crate_name: String,
    /// Its outputs: rmeta and rlib, or proc macro.
    pub outputs: Vec<RecordedOutput>,
    /// The identities (digest of rmeta or of shared object) of its direct dependencies.
    pub deps: Vec<Digest>,
    /// Whether its code says where it was compiled, so that it is another on each machine.
    #[serde(default)]
    pub baked: bool,
    /// `-l` of its call: what a program that is linked with it may look for. `None` in records of before this was noted.
    #[serde(default)]
    pub native_libs: Option<Vec<String>>,
}

/// One output of an [`OutputRecord`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedOutput {
    /// What it is.
    pub role: crate::manifest::Role,
    /// SHA-256 of its content.
    pub sha256: Digest,
}

/// What a call was for, in cargo's words: enough to find its node in a unit graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallSummary {
    /// Package name.
    pub package: CrateName,
    /// Package version.
    pub package_version: CrateVersion,
    /// SHA-256 of the package's `.crate`.
    pub checksum: Digest,
    /// Crate name as rustc knows it.
    pub crate_name: String,
    /// What is compiled.
    pub kind: CallKind,
    /// Whether only metadata was asked for (`cargo check`).
    pub check: bool,
    /// Activated features, sorted.
    pub features: Vec<String>,
    /// `--target`, when given.
    pub target: Option<String>,
    /// The `-C` options of the call as `name` or `name=value`, in cargo's order.
    pub codegen: Vec<String>,
    /// Each `--extern`: the name that the unit uses and the unit it is.
    pub externs: Vec<CallExtern>,
}

/// What a call compiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallKind {
    /// A library.
    Lib,
    /// A procedural macro.
    ProcMacro,
    /// A build script.
    BuildScript,
    /// A build script's run.
    BuildScriptRun,
}

/// One `--extern` of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallExtern {
    /// The name that the unit uses.
    pub name: String,
    /// The unit behind it.
    pub unit_key: UnitKey,
}

/// One line of `builds/<pid>-<start>.jsonl`: what happened to one call of the wrapper, or to a prefetch.
///
/// `<pid>` is the `cargo sealift` process, or the cargo process where there is none, `<start>` its start time in clock
/// ticks since boot: together they name one build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum BuildEvent {
    /// A call that compiles something.
    Unit(UnitEvent),
    /// What a prefetch did for this build.
    Prefetch(PrefetchEvent),
}

/// What happened to one compilation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitEvent {
    /// Crate name as rustc knows it.
    pub crate_name: String,
    /// Package name, when known.
    pub package: Option<String>,
    /// Package version, when known.
    pub package_version: Option<String>,
    /// What is compiled, when it was understood.
    pub kind: Option<CallKind>,
    /// What was done.
    pub outcome: Outcome,
    /// The unit, once its key was known.
    pub unit_key: Option<UnitKey>,
    /// Why it was not a hit, for people.
    pub reason: Option<String>,
    /// The same in a word.
    #[serde(default)]
    pub cause: Option<Cause>,
    /// What the cause is about: a flag, a variable, a dependency, a path.
    #[serde(default)]
    pub about: Option<String>,
    /// Time spent waiting for a download, in milliseconds.
    #[serde(default)]
    pub waited_ms: u64,
    /// Time of the wrapper without the compiler's and without waiting, in microseconds.
    pub wrapper_us: u64,
    /// Time of the compiler: spent (not a hit) or saved (a hit), in milliseconds.
    pub compile_ms: u64,
    /// Bytes of the outputs put in place.
    pub bytes: u64,
    /// Those of them that take no room of their own, since they are shared with the local store. Absent in records of
    /// older programs.
    #[serde(default)]
    pub shared_bytes: u64,
}

/// What was done for a compilation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Installed from the local store, where an earlier local compilation put it.
    HitCompiled,
    /// Installed from the local store, where a download put it.
    HitFetched,
    /// Compiled by the canonical call.
    Compiled,
    /// Found, but not believed or damaged; compiled by the canonical call.
    Rejected,
    /// Not handled: run as cargo asked.
    PassedThrough,
}

/// What a prefetch did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrefetchEvent {
    /// Compile units of crates.io packages in the plan.
    pub planned: u64,
    /// Units that were in the local store already.
    pub present: u64,
    /// Units fetched and verified.
    pub fetched: u64,
    /// Units for which something was found that was not believed.
    pub rejected: u64,
    /// Bytes received.
    pub bytes: u64,
    /// Wall time in milliseconds.
    pub wall_ms: u64,
    /// Time of a processor spent on signatures, proofs and hashing, in microseconds.
    pub verify_us: u64,
    /// How much of it was hashing what was downloaded.
    #[serde(default)]
    pub hash_us: u64,
    /// What went wrong, in the order in which it did.
    pub problems: Vec<String>,
    /// Why the prefetch ended early, in a word; the last problem says it.
    #[serde(default)]
    pub obstacle: Option<Cause>,
    /// What was found for units and not believed, or could not be had ([`Cause::Unreachable`]).
    #[serde(default)]
    pub refused: Vec<RefusedUnit>,
    /// Units that would have taken longer to download than to compile.
    #[serde(default)]
    pub left_alone: Vec<UnitKey>,
}

/// A unit for which something was found that was not believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedUnit {
    /// The unit.
    pub unit_key: UnitKey,
    /// Why, for people.
    pub reason: String,
    /// The same in a word.
    #[serde(default)]
    pub cause: Option<Cause>,
    /// Whether it looks like an attack: no honest service, network or clock leads to it.
    pub alarming: bool,
}
