//! An operator as the service sees one: a key, a log, and submissions that can be forged before they are sent.

use std::io::Write as _;

use rand_core::OsRng;
use sealift_policy::digest::{Digest, UnitKey};
use sealift_policy::leaf::Leaf;
use sealift_policy::log::{Checkpoint, EntryBundle, LogSigner, LogVerifier, Origin, Tree, tile};
use sealift_policy::manifest::{Manifest, Output, Role};
use sealift_policy::name::OperatorName;
use sealift_policy::run::RUN_RULES;
use sealift_policy::trust::TrustPolicy;
use sealift_policy::wire::{SubmissionHeader, SubmittedBlob, SubmittedPlan, SubmittedUnit};
use serde_json::json;

pub(crate) const TOOLCHAIN: &str = "1.95.0-x86_64-unknown-linux-gnu";

/// What an operator would do next.
#[derive(Clone)]
pub(crate) struct Operator {
    pub(crate) name: OperatorName,
    pub(crate) epoch: u32,
    pub(crate) signer: LogSigner,
    tree: Tree,
    last: EntryBundle,
    pub(crate) time: u64,
}

/// A unit as it was built.
#[derive(Clone)]
pub(crate) struct Unit {
    pub(crate) key_document: String,
    pub(crate) manifest: Manifest,
    pub(crate) contents: Vec<Vec<u8>>,
    pub(crate) plans: Vec<SubmittedPlan>,
    pub(crate) compile_ms: u64,
}

/// A submission before it becomes bytes.
#[derive(Clone)]
pub(crate) struct Submission {
    pub(crate) header: SubmissionHeader,
    pub(crate) blobs: Vec<Vec<u8>>,
}

impl Operator {
    pub(crate) fn new(name: &str) -> Self {
        let name: OperatorName = name.parse().unwrap();
        let signer = LogSigner::generate(Origin::of(&name, 1), &mut OsRng);
        Self {
            name,
            epoch: 1,
            signer,
            tree: Tree::default(),
            last: EntryBundle::default(),
            time: 1000,
        }
    }

    /// The same operator before its first leaf.
    pub(crate) fn with_empty_log(&self) -> Self {
        Self {
            signer: self.signer.clone(),
            ..Self::new(self.name.as_str())
        }
    }

    pub(crate) fn verifier(&self) -> &LogVerifier {
        self.signer.verifier()
    }

    pub(crate) fn size(&self) -> u64 {
        self.tree.size().value()
    }

    /// The log as it is now, signed.
    pub(crate) fn checkpoint(&self) -> String {
        let origin = self.verifier().origin().clone();
        let checkpoint = Checkpoint {
            origin,
            size: self.tree.size(),
            root: self.tree.root(),
            time: self.time,
        };
        String::from_utf8(checkpoint.sign(&self.signer).unwrap().as_bytes().to_vec()).unwrap()
    }

    /// Logs the units and makes the submission about them.
    pub(crate) fn submit(&mut self, units: &[Unit]) -> Submission {
        let leaves: Vec<String> = units.iter().map(Unit::leaf).collect();
        self.submit_leaves(units, leaves)
    }

    /// As [`Self::submit`], with any leaves.
    pub(crate) fn submit_leaves(&mut self, units: &[Unit], leaves: Vec<String>) -> Submission {
        let old_size = self.size();
        self.time += 1;
        let bytes = leaves.iter().map(|leaf| leaf.clone().into_bytes());
        tile::append(&mut self.tree, self.last.clone(), bytes.clone()).unwrap();
        self.last = self.last.clone().appended(bytes);
        let mut blobs = Vec::new();
        let mut stated: Vec<SubmittedBlob> = Vec::new();
        for unit in units {
            for (output, content) in unit.manifest.outputs.iter().zip(&unit.contents) {
                if stated.iter().any(|blob| blob.sha256 == output.sha256) {
                    continue;
                }
                let prefix = (output.role == Role::Rlib).then(|| &unit.contents[0]);
                let stored = compress(content, prefix.map_or(&[], Vec::as_slice));
                stated.push(SubmittedBlob {
                    sha256: output.sha256,
                    size: output.size,
                    stored: stored.len() as u64,
                    prefix: prefix.map(|prefix| Digest::of(prefix)),
                });
                blobs.push(stored);
            }
        }
        let submitted = |(unit, leaf): (&Unit, String)| SubmittedUnit {
            leaf,
            manifest: unit.manifest.to_canonical(),
            key_document: unit.key_document.clone(),
            plans: unit.plans.clone(),
            compile_ms: unit.compile_ms,
        };
        let header = SubmissionHeader {
            version: 1,
            operator: self.name.clone(),
            epoch: self.epoch,
            old_size,
            checkpoint: self.checkpoint(),
            units: units.iter().zip(leaves).map(submitted).collect(),
            blobs: stated,
            provenance: Vec::new(),
        };
        Submission { header, blobs }
    }
}

impl Submission {
    pub(crate) fn body(&self) -> Vec<u8> {
        frame(&serde_json::to_vec(&self.header).unwrap(), &self.blobs.concat())
    }

    /// Without the blobs of this unit's outputs.
    pub(crate) fn without_blobs(mut self) -> Self {
        self.header.blobs.clear();
        self.blobs.clear();
        self
    }
}

/// A body of these parts.
pub(crate) fn frame(header: &[u8], rest: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_be_bytes(), header, rest].concat()
}

impl Unit {
    pub(crate) fn key(&self) -> UnitKey {
        UnitKey::new(Digest::of(self.key_document.as_bytes()))
    }

    pub(crate) fn manifest_digest(&self) -> Digest {
        Digest::of(self.manifest.to_canonical().as_bytes())
    }

    pub(crate) fn leaf(&self) -> String {
        Leaf::new(self.key(), self.manifest_digest()).to_canonical()
    }

    /// The same inputs with another output: what a liar publishes.
    pub(crate) fn with_other_output(&self) -> Self {
        library_of(
            &self.key_document,
            self.manifest.crate_name().unwrap(),
            b"another output",
        )
    }
}

/// A library: an rmeta, and an rlib that contains it.
pub(crate) fn library(name: &str) -> Unit {
    library_of(
        &key_document(name, "lib", "dep-info,metadata,link"),
        name,
        name.as_bytes(),
    )
}

fn library_of(key_document: &str, name: &str, seed: &[u8]) -> Unit {
    let rmeta = noise(&[b"rmeta", seed].concat(), 3000);
    let rlib = [b"!<arch>\n".as_slice(), &rmeta, &noise(&[b"rlib", seed].concat(), 500)].concat();
    unit(
        key_document.to_owned(),
        name,
        vec![(Role::Rmeta, rmeta), (Role::Rlib, rlib)],
    )
}

/// A library of whose outputs this is the rlib, compressed with this rmeta.
pub(crate) fn library_with(name: &str, rmeta: &[u8], rlib: &[u8]) -> Unit {
    let document = key_document(name, "lib", "dep-info,metadata,link");
    unit(
        document,
        name,
        vec![(Role::Rmeta, rmeta.to_vec()), (Role::Rlib, rlib.to_vec())],
    )
}

/// A proc macro.
pub(crate) fn proc_macro(name: &str) -> Unit {
    let key_document = key_document(name, "proc-macro", "dep-info,link");
    unit(
        key_document,
        name,
        vec![(Role::ProcMacro, noise(name.as_bytes(), 4000))],
    )
}

/// The run of a package's build script.
pub(crate) fn run(package: &str, version: &str) -> Unit {
    run_by_rules(package, version, RUN_RULES)
}

/// The same, made by these rules.
pub(crate) fn run_by_rules(package: &str, version: &str, rules: u32) -> Unit {
    let document = sealift_policy::canonical::to_string(&json!({
        "compiler": {"sysroot": ["libstd-1.so"], "verbose_version": "rustc 1.95.0"},
        "package": {"checksum": Digest::of(package.as_bytes()), "name": package, "version": version},
        "rules": rules,
        "run_env": {"HOST": "x86_64-unknown-linux-gnu", "TARGET": "x86_64-unknown-linux-gnu"}, "script": Digest::of(b"script"), "system": {"c-compiler": "gcc"}, "version": 1
    }));
    let outputs = vec![
        (Role::Stdout, b"cargo:x=1\n".to_vec()),
        (Role::OutDir, noise(package.as_bytes(), 2048)),
    ];
    unit(document, "build_script_run", outputs)
}

fn unit(key_document: String, name: &str, outputs: Vec<(Role, Vec<u8>)>) -> Unit {
    let unit_key = UnitKey::new(Digest::of(key_document.as_bytes()));
    let output = |(role, content): &(Role, Vec<u8>)| Output {
        name: role.file_name(name, unit_key),
        role: *role,
        sha256: Digest::of(content),
        size: content.len() as u64,
    };
    let manifest = Manifest {
        baseline: None,
        diagnostics: vec![],
        env_deps: vec![],
        glibc: None,
        outputs: outputs.iter().map(output).collect(),
        sources: vec![],
        unit_key,
        version: 1,
    };
    let plans = vec![plan(name)];
    let contents = outputs.into_iter().map(|(_, content)| content).collect();
    Unit {
        key_document,
        manifest,
        contents,
        plans,
        compile_ms: 700,
    }
}

/// The plan for which the unit of this name is seen.
pub(crate) fn plan(name: &str) -> SubmittedPlan {
    let plan_id = Digest::of(format!("plan of {name}").as_bytes())
        .to_string()
        .parse()
        .unwrap();
    SubmittedPlan {
        toolchain: TOOLCHAIN.parse().unwrap(),
        plan_id,
    }
}

fn key_document(name: &str, crate_type: &str, emit: &str) -> String {
    sealift_policy::canonical::to_string(&json!({
        "cap_lints": "allow", "cfg": [], "check_cfg": [], "closure": null, "codegen": [],
        "compiler": {"sysroot": ["libstd-1.so"], "verbose_version": "rustc 1.95.0"},
        "crate_name": name, "crate_root": "src/lib.rs", "crate_type": crate_type, "edition": "2021", "emit": emit,
        "env": {}, "externs": [], "lints": [], "native_libs": [], "native_search": [], "out_dir": null,
        "package": {"checksum": Digest::of(name.as_bytes()), "name": name, "version": "1.0.0"},
        "rules": 2, "target": null, "version": 1
    }))
}

/// A policy in which these operators count.
pub(crate) fn policy(operators: &[&Operator]) -> TrustPolicy {
    serde_json::from_value(policy_document(operators)).unwrap()
}

pub(crate) fn policy_document(operators: &[&Operator]) -> serde_json::Value {
    let operator = |operator: &&Operator| json!({"name": operator.name, "logs": [{"epoch": 1, "vkey": operator.verifier().to_string()}]});
    json!({
        "version": 1,
        "operators": operators.iter().map(operator).collect::<Vec<_>>(),
        "quorum": {"host_code": 2, "library": 1},
        "max_checkpoint_age_seconds": 604_800
    })
}

pub(crate) fn compress(content: &[u8], prefix: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::stream::write::Encoder::with_ref_prefix(Vec::new(), 3, prefix).unwrap();
    encoder.set_pledged_src_size(Some(content.len() as u64)).unwrap();
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// Bytes that do not compress.
pub(crate) fn noise(seed: &[u8], length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut digest = Digest::of(seed);
    while bytes.len() < length {
        bytes.extend_from_slice(digest.as_bytes());
        digest = Digest::of(digest.as_bytes());
    }
    bytes.truncate(length);
    bytes
}
