//! A small world with fixed keys: two operators, two witnesses, and one unit that both operators logged.
//!
//! Owns what is genuine, so that everything else that is believed is a forgery. Must not know any property.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use sealift_policy::digest::{Digest, UnitKey};
use sealift_policy::document::UnitDocument;
use sealift_policy::key::{Class, Compiler, KeyDocument, Package};
use sealift_policy::leaf::Leaf;
use sealift_policy::local::OperatorProof;
use sealift_policy::log::{Checkpoint, LeafIndex, LogSigner, SignedCheckpoint, TlogProof, Tree, TreeHash};
use sealift_policy::manifest::{EnvDep, Manifest, Output, Role, Source, SourceRoot};
use sealift_policy::name::OperatorName;
use sealift_policy::trust::{Operator, OperatorLog, PolicyDocument, Quorum, Revocations, TrustPolicy};

/// The present of this world, in seconds since 1970.
pub const NOW: u64 = 1_800_000_000;

/// The secret keys of two logs. They guard nothing.
const SECRETS: [(&str, &str); 2] = [
    (
        "alpha",
        "PRIVATE+KEY+sealift/alpha/1+54023850+AfBfoIuuI510csb53ILZ6EjjQZvc0ALsr546ZeFgEMXT",
    ),
    (
        "beta",
        "PRIVATE+KEY+sealift/beta/1+be1c19cd+AXUwxw+fHZCh4swYyB7PgGzY0CyLTXU9MpDKiB7UozsT",
    ),
];

/// An operator with its key.
pub struct Maker {
    /// Its name.
    pub name: OperatorName,
    /// Its key.
    pub signer: LogSigner,
}

/// Everything that is genuine.
pub struct World {
    /// The operators.
    pub makers: Vec<Maker>,
    /// The key document of the unit.
    pub document: UnitDocument,
    /// Its key.
    pub unit_key: UnitKey,
    /// What it produced.
    pub manifest: Manifest,
    /// The tree that both logs have, of four leaves; the unit's is the third.
    pub tree: Tree,
    /// The position of the unit's leaf.
    pub index: LeafIndex,
}

/// The world, made once.
pub static WORLD: LazyLock<World> = LazyLock::new(World::new);

impl World {
    fn new() -> Self {
        let makers = SECRETS.map(|(name, secret)| Maker {
            name: name.parse().expect("a valid name"),
            signer: secret.parse().expect("a valid key"),
        });
        let document = document();
        let text = document.to_canonical();
        let unit_key = UnitKey::new(Digest::of(text.as_bytes()));
        let manifest = manifest(unit_key);
        let leaf = Leaf::new(unit_key, Digest::of(manifest.to_canonical().as_bytes())).to_canonical();
        let leaves = ["one", "two", &leaf, "four"].map(|leaf| TreeHash::of_leaf(leaf.as_bytes()));
        Self {
            makers: makers.into(),
            document,
            unit_key,
            manifest,
            tree: Tree::of(leaves).expect("four leaves fit"),
            index: LeafIndex::try_from(2).expect("a small index"),
        }
    }

    /// The leaf that both operators logged.
    pub fn leaf(&self) -> String {
        Leaf::new(self.unit_key, Digest::of(self.manifest.to_canonical().as_bytes())).to_canonical()
    }

    /// The head of an operator's log.
    pub fn head(&self, maker: &Maker) -> SignedCheckpoint {
        let checkpoint = Checkpoint {
            origin: maker.signer.verifier().origin().clone(),
            size: self.tree.size(),
            root: self.tree.root(),
            time: NOW,
        };
        checkpoint.sign(&maker.signer).expect("the origin is the key's")
    }

    /// Each operator's proof of the unit's leaf.
    pub fn proofs(&self) -> Vec<OperatorProof> {
        let proof = |maker: &Maker| TlogProof {
            index: self.index,
            proof: self
                .tree
                .inclusion(self.index, self.tree.size())
                .expect("it is in the tree"),
            checkpoint: self.head(maker),
        };
        let text = |maker| String::from_utf8(proof(maker).to_bytes()).expect("proofs are text");
        let proofs = self.makers.iter().map(|maker| OperatorProof {
            operator: maker.name.clone(),
            epoch: 1,
            proof: text(maker),
        });
        proofs.collect()
    }

    /// Trusts both operators, and asks for both where code runs on the build host.
    pub fn policy(&self) -> TrustPolicy {
        let operators = self.makers.iter().map(|maker| Operator {
            name: maker.name.clone(),
            logs: vec![OperatorLog {
                epoch: 1,
                vkey: maker.signer.verifier().clone(),
                frozen: None,
            }],
            provenance: None,
        });
        let document = PolicyDocument {
            version: 1,
            operators: operators.collect(),
            quorum: Quorum {
                host_code: 2,
                library: 1,
            },
            witness_policy: Default::default(),
            max_checkpoint_age_seconds: 1000,
            revoked: Revocations::default(),
            trusted_root: None,
        };
        document.try_into().expect("a valid policy")
    }

    /// The class of the unit.
    pub fn class(&self) -> Class {
        self.document.class().expect("a known crate type")
    }
}

fn document() -> UnitDocument {
    KeyDocument {
        cap_lints: Some("allow".into()),
        cfg: vec!["feature=\"std\"".into()],
        check_cfg: vec!["cfg(docsrs,test)".into()],
        closure: None,
        codegen: vec!["debuginfo=2".into(), "embed-bitcode=no".into()],
        compiler: Compiler {
            sysroot: vec!["librustc_driver-1.so".into(), "libstd-1.so".into()],
            verbose_version: "rustc 1.95.0\nrelease: 1.95.0\nhost: x86_64-unknown-linux-gnu".into(),
        },
        crate_name: "memchr".into(),
        crate_root: "src/lib.rs".into(),
        crate_type: "lib".into(),
        edition: Some("2021".into()),
        emit: "dep-info,metadata,link".into(),
        env: BTreeMap::from([("CARGO_PKG_NAME".into(), "memchr".into())]),
        externs: vec![],
        lints: vec![],
        native_libs: vec![],
        native_search: vec![],
        out_dir: None,
        package: Package {
            checksum: Digest::of(b"crate"),
            name: "memchr".parse().expect("a valid name"),
            version: "2.7.4".parse().expect("a valid version"),
        },
        rules: 2,
        target: None,
        version: 1,
    }
    .into()
}

fn manifest(unit_key: UnitKey) -> Manifest {
    let output = |role: Role| Output {
        name: role.file_name("memchr", unit_key),
        role,
        sha256: Digest::of(b"content"),
        size: 7,
    };
    Manifest {
        baseline: None,
        diagnostics: vec![],
        env_deps: vec![EnvDep {
            name: "CARGO_PKG_NAME".into(),
            value: Some("memchr".into()),
        }],
        glibc: None,
        outputs: vec![output(Role::Rmeta), output(Role::Rlib)],
        sources: vec![Source {
            path: "src/lib.rs".into(),
            root: SourceRoot::Package,
        }],
        unit_key,
        version: 1,
    }
}
