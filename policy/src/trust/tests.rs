//! Each [`Rejection`], forged; and what a policy refuses to be.
//!
//! Long because it is a table: one forgery for each variant, over one small world.

use base64::Engine as _;

use super::*;
use crate::key::KeyDocument;
use crate::key::{Compiler, Package};
use crate::log::cosignature::WitnessSigner;
use crate::log::{Checkpoint, LeafIndex, LogSigner, Origin, TreeHash, WitnessPolicy, tree::Tree};
use crate::manifest::{Output, Role};
use crate::provenance::Identity;

const NOW: u64 = 1_800_000_000;

/// An operator with a log of one leaf, and its proof of it.
struct Maker {
    name: OperatorName,
    signer: LogSigner,
}

impl Maker {
    fn new(name: &str) -> Self {
        let name: OperatorName = name.parse().unwrap();
        let signer = LogSigner::generate(Origin::of(&name, 1), &mut rand_core::OsRng);
        Self { name, signer }
    }

    fn proof(&self, leaf: &str, time: u64) -> OperatorProof {
        let leaves = ["another leaf", leaf].map(|leaf| TreeHash::of_leaf(leaf.as_bytes()));
        let tree = Tree::of(leaves).unwrap();
        let checkpoint = Checkpoint {
            origin: self.signer.verifier().origin().clone(),
            size: tree.size(),
            root: tree.root(),
            time,
        };
        let index = LeafIndex::try_from(1).unwrap();
        let proof = TlogProof {
            index,
            proof: tree.inclusion(index, tree.size()).unwrap(),
            checkpoint: checkpoint.sign(&self.signer).unwrap(),
        };
        OperatorProof {
            operator: self.name.clone(),
            epoch: 1,
            proof: String::from_utf8(proof.to_bytes()).unwrap(),
        }
    }
}

struct World {
    alpha: Maker,
    beta: Maker,
    document: UnitDocument,
    class: Class,
    policy: PolicyDocument,
}

impl World {
    fn new(class: Class) -> Self {
        let (alpha, beta) = (Maker::new("alpha"), Maker::new("beta"));
        let operator = |maker: &Maker| Operator {
            name: maker.name.clone(),
            logs: vec![OperatorLog {
                epoch: 1,
                vkey: maker.signer.verifier().clone(),
                frozen: None,
            }],
            provenance: None,
        };
        let policy = PolicyDocument {
            version: 1,
            operators: vec![operator(&alpha), operator(&beta)],
            quorum: Quorum {
                host_code: 2,
                library: 1,
            },
            witness_policy: WitnessPolicy::default(),
            max_checkpoint_age_seconds: 1000,
            revoked: Revocations::default(),
            trusted_root: None,
        };
        let (crate_type, emit) = match class {
            Class::HostCode => ("proc-macro", "dep-info,link"),
            Class::Library => ("lib", "dep-info,metadata,link"),
        };
        Self {
            alpha,
            beta,
            document: document(crate_type, emit),
            class,
            policy,
        }
    }

    fn key(&self) -> UnitKey {
        UnitKey::new(Digest::of(self.document.to_canonical().as_bytes()))
    }

    fn manifest(&self) -> Manifest {
        let output = |role: &Role| Output {
            name: role.file_name(self.document.crate_name(), self.key()),
            role: *role,
            sha256: Digest::of(b"content"),
            size: 7,
        };
        Manifest {
            baseline: None,
            diagnostics: vec![],
            env_deps: vec![],
            glibc: None,
            outputs: self.document.expected_roles().unwrap().iter().map(output).collect(),
            sources: vec![],
            unit_key: self.key(),
            version: 1,
        }
    }

    fn leaf(&self) -> String {
        Leaf::new(self.key(), Digest::of(self.manifest().to_canonical().as_bytes())).to_canonical()
    }

    fn proofs(&self) -> Vec<OperatorProof> {
        vec![self.alpha.proof(&self.leaf(), NOW), self.beta.proof(&self.leaf(), NOW)]
    }

    fn verify(&self, manifest: &str, proofs: &[OperatorProof]) -> Result<Verified<Manifest>, Rejection> {
        self.verify_at(manifest, proofs, Freshness::At(NOW))
    }

    fn verify_at(
        &self,
        manifest: &str,
        proofs: &[OperatorProof],
        freshness: Freshness,
    ) -> Result<Verified<Manifest>, Rejection> {
        let subject = Subject {
            unit_key: self.key(),
            document: &self.document,
            class: self.class,
        };
        self.policy().verify(&subject, manifest.as_bytes(), proofs, freshness)
    }

    fn policy(&self) -> TrustPolicy {
        self.policy.clone().try_into().unwrap()
    }

    fn inclusion(&self, maker: &Maker, leaf: &str) -> (OperatorName, u32, VerifiedInclusion) {
        let proof = TlogProof::parse(maker.proof(leaf, NOW).proof.as_bytes()).unwrap();
        (
            maker.name.clone(),
            1,
            proof.verify(leaf.as_bytes(), maker.signer.verifier()).unwrap(),
        )
    }
}

fn document(crate_type: &str, emit: &str) -> UnitDocument {
    KeyDocument {
        cap_lints: None,
        cfg: vec![],
        check_cfg: vec![],
        closure: None,
        codegen: vec![],
        compiler: Compiler {
            sysroot: vec![],
            verbose_version: "rustc 1.95.0\nrelease: 1.95.0\nhost: x86_64-unknown-linux-gnu".into(),
        },
        crate_name: "memchr".into(),
        crate_root: "src/lib.rs".into(),
        crate_type: crate_type.into(),
        edition: None,
        emit: emit.into(),
        env: BTreeMap::new(),
        externs: vec![],
        lints: vec![],
        native_libs: vec![],
        native_search: vec![],
        out_dir: None,
        package: Package {
            checksum: Digest::of(b"crate"),
            name: "memchr".parse().unwrap(),
            version: "2.7.4".parse().unwrap(),
        },
        rules: 1,
        target: None,
        version: 1,
    }
    .into()
}

#[test]
fn a_quorum_of_distinct_operators_is_believed() {
    for class in [Class::HostCode, Class::Library] {
        let world = World::new(class);
        let verified = world.verify(&world.manifest().to_canonical(), &world.proofs()).unwrap();
        assert_eq!(verified.value(), &world.manifest());
        assert_eq!(verified.operators().len(), 2);
    }
}

// What a memory knows is true for ever, and who is believed is not: it must never decide.
#[test]
fn a_memory_that_knows_every_signature_makes_nobody_believed() {
    let mut world = World::new(Class::Library);
    let manifest = world.manifest().to_canonical();
    let proofs = [world.alpha.proof(&world.leaf(), NOW)];
    let memory = Known::default();
    let verify = |world: &World, proofs: &[OperatorProof], freshness| {
        let subject = Subject {
            unit_key: world.key(),
            document: &world.document,
            class: world.class,
        };
        (world.policy()).verify_with(&memory, &subject, manifest.as_bytes(), proofs, freshness)
    };
    for _ in 0..2 {
        assert!(verify(&world, &proofs, Freshness::At(NOW)).is_ok());
    }
    assert_eq!(memory.0.borrow().len(), 1, "and it was asked");
    assert!(matches!(
        verify(&world, &proofs, Freshness::At(NOW + 10_000)),
        Err(Rejection::Stale { .. })
    ));
    let mut forged = proofs.to_vec();
    forged[0].proof = proofs[0].proof.replace("\nindex 1\n", "\nindex 0\n");
    assert!(matches!(
        verify(&world, &forged, Freshness::Any),
        Err(Rejection::NotLogged { .. })
    ));
    world.policy.revoked.leaves.push(Digest::of(manifest.as_bytes()));
    assert!(matches!(
        verify(&world, &proofs, Freshness::Any),
        Err(Rejection::Revoked(_))
    ));
    world.policy.revoked = Revocations::default();
    // Another key under the operator's name, and then no such operator.
    let other = Maker::new("alpha");
    world.policy.operators[0].logs[0].vkey = other.signer.verifier().clone();
    assert!(matches!(
        verify(&world, &proofs, Freshness::Any),
        Err(Rejection::NotLogged { .. })
    ));
    world.policy.operators.remove(0);
    assert!(matches!(
        verify(&world, &proofs, Freshness::Any),
        Err(Rejection::NoQuorum { found: 0, .. })
    ));
}

#[derive(Default)]
struct Known(std::cell::RefCell<BTreeSet<Digest>>);

impl SignatureMemory for Known {
    fn knows(&self, signature: Digest) -> bool {
        self.0.borrow().contains(&signature)
    }

    fn learn(&self, signature: Digest) {
        self.0.borrow_mut().insert(signature);
    }
}

#[test]
fn a_library_needs_one_operator_and_host_code_two() {
    let library = World::new(Class::Library);
    assert!(
        library
            .verify(&library.manifest().to_canonical(), &library.proofs()[..1])
            .is_ok()
    );
    let host = World::new(Class::HostCode);
    let refused = host.verify(&host.manifest().to_canonical(), &host.proofs()[..1]);
    assert!(matches!(refused, Err(Rejection::NoQuorum { found: 1, needed: 2 })));
}

#[test]
fn one_operator_twice_counts_once() {
    let world = World::new(Class::HostCode);
    let twice = [world.proofs()[0].clone(), world.alpha.proof(&world.leaf(), NOW - 1)];
    let refused = world.verify(&world.manifest().to_canonical(), &twice);
    assert!(matches!(refused, Err(Rejection::NoQuorum { found: 1, needed: 2 })));
}

#[test]
fn operators_that_are_not_configured_do_not_count() {
    let world = World::new(Class::HostCode);
    let stranger = Maker::new("gamma");
    let proofs = [world.proofs()[0].clone(), stranger.proof(&world.leaf(), NOW)];
    let refused = world.verify(&world.manifest().to_canonical(), &proofs);
    assert!(matches!(refused, Err(Rejection::NoQuorum { found: 1, needed: 2 })));
    assert!(matches!(
        world.verify(&world.manifest().to_canonical(), &[]),
        Err(Rejection::NoQuorum { found: 0, .. })
    ));
}

#[test]
fn a_malformed_manifest_is_rejected() {
    let world = World::new(Class::Library);
    let manifest = format!("{} ", world.manifest().to_canonical());
    let leaf = Leaf::new(world.key(), Digest::of(manifest.as_bytes())).to_canonical();
    let refused = world.verify(&manifest, &[world.alpha.proof(&leaf, NOW)]);
    assert!(matches!(refused, Err(Rejection::MalformedManifest(_))));
}

#[test]
fn a_right_signature_over_another_unit_is_rejected() {
    let world = World::new(Class::Library);
    let other = UnitKey::new(Digest::of(b"another unit"));
    let mut manifest = world.manifest();
    for output in &mut manifest.outputs {
        output.name = output.role.file_name("memchr", other);
    }
    manifest.unit_key = other;
    let manifest = manifest.to_canonical();
    // Logged for the other unit, the proof does not hold for this one ...
    let leaf = Leaf::new(other, Digest::of(manifest.as_bytes())).to_canonical();
    let refused = world.verify(&manifest, &[world.alpha.proof(&leaf, NOW)]);
    assert!(matches!(refused, Err(Rejection::NotLogged { .. })));
    // ... and an operator that logs it for this one is caught by the manifest itself.
    let leaf = Leaf::new(world.key(), Digest::of(manifest.as_bytes())).to_canonical();
    let refused = world.verify(&manifest, &[world.alpha.proof(&leaf, NOW)]);
    assert!(matches!(refused, Err(Rejection::OtherUnit(key)) if key == other));
}

#[test]
fn outputs_of_another_crate_or_kind_are_rejected() {
    let world = World::new(Class::Library);
    let mut renamed = world.manifest();
    for output in &mut renamed.outputs {
        output.name = output.role.file_name("memchr2", world.key());
    }
    let mut without_rlib = world.manifest();
    without_rlib.outputs.truncate(1);
    let mut none = world.manifest();
    none.outputs.clear();
    for manifest in [renamed, without_rlib, none] {
        let text = manifest.to_canonical();
        let leaf = Leaf::new(world.key(), Digest::of(text.as_bytes())).to_canonical();
        let refused = world.verify(&text, &[world.alpha.proof(&leaf, NOW)]);
        assert!(matches!(refused, Err(Rejection::OtherCrate(_))), "{refused:?}");
    }
}

#[test]
fn a_malformed_proof_is_rejected() {
    let world = World::new(Class::Library);
    let mut proofs = world.proofs();
    proofs[1].proof = proofs[1].proof.replace("index 1", "index 01");
    let refused = world.verify(&world.manifest().to_canonical(), &proofs);
    assert!(matches!(refused, Err(Rejection::MalformedProof { operator, .. }) if operator == world.beta.name));
}

#[test]
fn a_manifest_other_than_the_logged_one_is_rejected() {
    let world = World::new(Class::Library);
    let mut manifest = world.manifest();
    manifest.outputs[0].sha256 = Digest::of(b"forged");
    let refused = world.verify(&manifest.to_canonical(), &world.proofs());
    assert!(matches!(refused, Err(Rejection::NotLogged { .. })));
}

#[test]
fn a_proof_signed_by_another_operators_key_is_rejected() {
    let world = World::new(Class::Library);
    let mut proofs = world.proofs();
    proofs[0].operator = world.beta.name.clone();
    let refused = world.verify(&world.manifest().to_canonical(), &proofs[..1]);
    assert!(matches!(refused, Err(Rejection::NotLogged { .. })));
    // The same name with a key of one's own is no better.
    let impostor = Maker::new("alpha");
    let refused = world.verify(&world.manifest().to_canonical(), &[impostor.proof(&world.leaf(), NOW)]);
    assert!(matches!(refused, Err(Rejection::NotLogged { .. })));
}

#[test]
fn a_stale_checkpoint_does_not_count() {
    let world = World::new(Class::Library);
    let (manifest, proofs) = (
        world.manifest().to_canonical(),
        [world.alpha.proof(&world.leaf(), NOW - 1001)],
    );
    assert!(matches!(
        world.verify(&manifest, &proofs),
        Err(Rejection::Stale { age: 1001, .. })
    ));
    assert!(world.verify_at(&manifest, &proofs, Freshness::Any).is_ok());
    assert!(
        world
            .verify(&manifest, &[world.alpha.proof(&world.leaf(), NOW - 1000)])
            .is_ok()
    );
}

#[test]
fn a_clock_in_1970_believes_nothing_new() {
    let world = World::new(Class::Library);
    let refused = world.verify_at(&world.manifest().to_canonical(), &world.proofs(), Freshness::At(0));
    assert!(matches!(refused, Err(Rejection::FromTheFuture { ahead: NOW, .. })));
    let refused = world.verify_at(
        &world.manifest().to_canonical(),
        &world.proofs(),
        Freshness::At(4_000_000_000),
    );
    assert!(matches!(refused, Err(Rejection::Stale { .. })));
}

#[test]
fn a_checkpoint_without_enough_witnesses_does_not_count() {
    let mut world = World::new(Class::Library);
    // A witness key is of another type than a log key, so one cannot stand for the other.
    let key = ed25519_dalek::SigningKey::generate(&mut rand_core::OsRng);
    let key = [&[4], key.verifying_key().as_bytes().as_slice()].concat();
    let id = signed_note::key_id("witness", &key);
    world.policy.witness_policy = asks_for(&format!(
        "witness+{id:08x}+{}",
        base64::prelude::BASE64_STANDARD.encode(&key)
    ));
    let refused = world.verify(&world.manifest().to_canonical(), &world.proofs());
    assert!(matches!(refused, Err(Rejection::NotWitnessed { found: 0, .. })));
}

/// A policy that asks for the cosignature of one witness.
fn asks_for(key: &str) -> WitnessPolicy {
    format!("witness w {key}\nquorum w\n").parse().unwrap()
}

// T17; and a head that was signed for days to come, cosigned today and shown then, is old by the witnesses' clocks.
#[test]
fn a_cosignature_from_the_future_does_not_count_nor_one_from_too_long_ago() {
    use ed25519_dalek::Signer as _;

    let mut world = World::new(Class::Library);
    let witness = ed25519_dalek::SigningKey::generate(&mut rand_core::OsRng);
    let key = [&[4], witness.verifying_key().as_bytes().as_slice()].concat();
    let id = signed_note::key_id("witness", &key);
    let encode = |bytes: &[u8]| base64::prelude::BASE64_STANDARD.encode(bytes);
    world.policy.witness_policy = asks_for(&format!("witness+{id:08x}+{}", encode(&key)));
    // The honest head of one log, of which both facts are learned.
    let memory = Known::default();
    let cosigned = |time: u64| {
        let mut proofs = vec![world.alpha.proof(&world.leaf(), NOW)];
        for proof in &mut proofs {
            let checkpoint = proof.proof.split("\n\n").nth(1).unwrap();
            let message = format!("cosignature/v1\ntime {time}\n{checkpoint}\n");
            let signature = witness.sign(message.as_bytes()).to_bytes();
            let signature = [&id.to_be_bytes()[..], &time.to_be_bytes(), &signature].concat();
            proof
                .proof
                .push_str(&format!("\u{2014} witness {}\n", encode(&signature)));
        }
        proofs
    };
    let verify = |world: &World, proofs: &[OperatorProof], now| {
        let manifest = world.manifest().to_canonical();
        let subject = Subject {
            unit_key: world.key(),
            document: &world.document,
            class: world.class,
        };
        let policy = world.policy();
        policy.verify_with(&memory, &subject, manifest.as_bytes(), proofs, Freshness::At(now))
    };
    let not_witnessed = |verified| matches!(verified, Err(Rejection::NotWitnessed { found: 0, .. }));
    let at_the_edge = cosigned(NOW + CLOCK_TOLERANCE);
    for _ in 0..2 {
        assert!(verify(&world, &at_the_edge, NOW).is_ok());
    }
    assert_eq!(memory.0.borrow().len(), 2, "a log's and a witness's");
    assert!(
        not_witnessed(verify(&world, &at_the_edge, NOW - 1)),
        "known, and from the future"
    );
    assert!(not_witnessed(verify(&world, &cosigned(NOW + CLOCK_TOLERANCE + 1), NOW)));
    let longest = world.policy.max_checkpoint_age_seconds;
    assert!(verify(&world, &cosigned(NOW - longest), NOW).is_ok());
    assert!(not_witnessed(verify(&world, &cosigned(NOW - longest - 1), NOW)));
    let another = WitnessSigner::generate("witness".parse().unwrap(), &mut rand_core::OsRng);
    world.policy.witness_policy = asks_for(&another.verifier().to_string());
    assert!(
        not_witnessed(verify(&world, &at_the_edge, NOW)),
        "known, and of nobody whom the policy asks"
    );
}

// A key that was stolen after its log was frozen proves nothing, and what was logged before goes on counting.
#[test]
fn of_a_frozen_log_one_head_counts_and_no_other() {
    let mut world = World::new(Class::Library);
    let (manifest, leaf) = (world.manifest().to_canonical(), world.leaf());
    let proof = world.alpha.proof(&leaf, NOW - 1_000_000);
    let head = TlogProof::parse(proof.proof.as_bytes())
        .unwrap()
        .checkpoint
        .unverified()
        .clone();
    world.policy.operators[0].logs[0].frozen = Some(FrozenHead {
        size: head.size,
        root: head.root,
    });
    // It is never too old.
    assert!(world.verify(&manifest, &[proof]).is_ok());
    // The same key over another tree, however fresh.
    let forged = Leaf::new(world.key(), Digest::of(b"forged")).to_canonical();
    let after = world.alpha.proof(&forged, NOW);
    assert!(world.verify(&manifest, &[after]).is_err());
    let tree = Tree::of([&leaf, &leaf, &leaf].map(|leaf| TreeHash::of_leaf(leaf.as_bytes()))).unwrap();
    let checkpoint = Checkpoint {
        origin: world.alpha.signer.verifier().origin().clone(),
        size: tree.size(),
        root: tree.root(),
        time: NOW,
    };
    let index = LeafIndex::try_from(1).unwrap();
    let larger = OperatorProof {
        operator: world.alpha.name.clone(),
        epoch: 1,
        proof: String::from_utf8(
            TlogProof {
                index,
                proof: tree.inclusion(index, tree.size()).unwrap(),
                checkpoint: checkpoint.sign(&world.alpha.signer).unwrap(),
            }
            .to_bytes(),
        )
        .unwrap(),
    };
    let refused = world.verify(&manifest, std::slice::from_ref(&larger));
    assert!(matches!(refused, Err(Rejection::Frozen { .. })), "{refused:?}");
    // Nor does it contradict what others state.
    let other = TlogProof::parse(larger.proof.as_bytes()).unwrap();
    let other = other.verify(leaf.as_bytes(), world.alpha.signer.verifier()).unwrap();
    let mut honest = world.manifest();
    honest.outputs[0].sha256 = Digest::of(b"honest");
    let honest = honest.to_canonical();
    let leaf = Leaf::new(world.key(), Digest::of(honest.as_bytes())).to_canonical();
    let claims = [
        Claim {
            manifest: manifest.as_bytes(),
            inclusions: vec![(world.alpha.name.clone(), 1, other)],
        },
        Claim {
            manifest: honest.as_bytes(),
            inclusions: vec![world.inclusion(&world.beta, &leaf)],
        },
    ];
    let subject = Subject {
        unit_key: world.key(),
        document: &world.document,
        class: world.class,
    };
    assert!(
        world
            .policy()
            .agreed(&Forgetful, &subject, &claims, Freshness::At(NOW))
            .is_ok()
    );
}

// G7
#[test]
fn operators_that_disagree_are_both_refused() {
    let world = World::new(Class::Library);
    let honest = world.manifest();
    let mut forged = honest.clone();
    forged.outputs[0].sha256 = Digest::of(b"forged");
    let (honest, forged) = (honest.to_canonical(), forged.to_canonical());
    let leaf = |manifest: &str| Leaf::new(world.key(), Digest::of(manifest.as_bytes())).to_canonical();
    let claim = |maker: &Maker, manifest| Claim {
        manifest: str::as_bytes(manifest),
        inclusions: vec![world.inclusion(maker, &leaf(manifest))],
    };
    let subject = Subject {
        unit_key: world.key(),
        document: &world.document,
        class: world.class,
    };
    let policy = world.policy();
    let claims = [claim(&world.alpha, &honest), claim(&world.beta, &forged)];
    let refused = policy.agreed(&Forgetful, &subject, &claims, Freshness::At(NOW));
    assert!(matches!(refused, Err(Rejection::Disagreement(statements)) if statements.len() == 2));
    // A stranger's claim is nobody's disagreement, and a claim without a proof is none.
    let stranger = Maker::new("gamma");
    let claims = [
        claim(&world.alpha, &honest),
        claim(&stranger, &forged),
        Claim {
            manifest: forged.as_bytes(),
            inclusions: vec![world.inclusion(&world.beta, &leaf(&honest))],
        },
    ];
    assert!(policy.agreed(&Forgetful, &subject, &claims, Freshness::At(NOW)).is_ok());
}

#[test]
fn a_revoked_statement_contradicts_nobody() {
    let forgeries: [fn(&World, Digest) -> Revocations; 2] = [
        |_, forged| Revocations {
            leaves: vec![forged],
            ..Revocations::default()
        },
        |world, _| Revocations {
            ranges: vec![RevokedRange {
                operator: world.beta.name.clone(),
                epoch: 1,
                start: 1,
                end: 2,
            }],
            ..Revocations::default()
        },
    ];
    for revoke in forgeries {
        let mut world = World::new(Class::Library);
        let honest = world.manifest();
        let mut forged = honest.clone();
        forged.outputs[0].sha256 = Digest::of(b"forged");
        let (honest, forged) = (honest.to_canonical(), forged.to_canonical());
        world.policy.revoked = revoke(&world, Digest::of(forged.as_bytes()));
        let leaf = |manifest: &str| Leaf::new(world.key(), Digest::of(manifest.as_bytes())).to_canonical();
        let claim = |maker: &Maker, manifest| Claim {
            manifest: str::as_bytes(manifest),
            inclusions: vec![world.inclusion(maker, &leaf(manifest))],
        };
        let subject = Subject {
            unit_key: world.key(),
            document: &world.document,
            class: world.class,
        };
        let policy = world.policy();
        let both = [claim(&world.alpha, &honest), claim(&world.beta, &forged)];
        let verified = policy.agreed(&Forgetful, &subject, &both, Freshness::At(NOW)).unwrap();
        assert_eq!(verified.value().to_canonical(), honest);
        assert_eq!(verified.operators().iter().collect::<Vec<_>>(), [&world.alpha.name]);
        // Alone it is refused for what it is, and not for want of a quorum.
        let alone = policy.agreed(&Forgetful, &subject, &both[1..], Freshness::At(NOW));
        assert!(matches!(alone, Err(Rejection::Revoked(_))), "{alone:?}");
        // Host code still needs two whose statements stand.
        let host_code = Subject {
            class: Class::HostCode,
            ..subject
        };
        let refused = policy.agreed(&Forgetful, &host_code, &both, Freshness::At(NOW));
        assert!(refused.is_err(), "{refused:?}");
    }
}

#[test]
fn what_is_revoked_is_refused_at_every_use() {
    let revocations: [fn(&World) -> Revocations; 5] = [
        |world| Revocations {
            leaves: vec![Digest::of(world.manifest().to_canonical().as_bytes())],
            ..Revocations::default()
        },
        |world| Revocations {
            unit_keys: vec![world.key()],
            ..Revocations::default()
        },
        |_| Revocations {
            crates: vec![RevokedCrate {
                name: "memchr".parse().unwrap(),
                version: "2.7.4".parse().unwrap(),
            }],
            ..Revocations::default()
        },
        |world| Revocations {
            ranges: [&world.alpha, &world.beta]
                .map(|maker| RevokedRange {
                    operator: maker.name.clone(),
                    epoch: 1,
                    start: 1,
                    end: 2,
                })
                .to_vec(),
            ..Revocations::default()
        },
        |_| Revocations {
            toolchains: vec!["1.95.0-x86_64-unknown-linux-gnu".parse().unwrap()],
            ..Revocations::default()
        },
    ];
    for revoke in revocations {
        let mut world = World::new(Class::Library);
        world.policy.revoked = revoke(&world);
        let refused = world.verify_at(&world.manifest().to_canonical(), &world.proofs(), Freshness::Any);
        assert!(matches!(refused, Err(Rejection::Revoked(_))), "{refused:?}");
    }
}

#[test]
fn a_statement_is_revoked_by_its_manifest_its_unit_or_its_place_alone() {
    let world = World::new(Class::Library);
    let other = Digest::of(b"other");
    let statement = Statement {
        operator: world.alpha.name.clone(),
        epoch: 1,
        index: LeafIndex::try_from(1).unwrap(),
        manifest: Digest::of(b"manifest"),
    };
    assert_eq!(
        statement.to_string(),
        format!("entry 1 of log 1 of `alpha` states manifest {}", statement.manifest)
    );
    let revoked = |leaf: Digest, unit: UnitKey, start: u64| Revocations {
        leaves: vec![leaf],
        unit_keys: vec![unit],
        ranges: vec![RevokedRange {
            operator: world.alpha.name.clone(),
            epoch: 1,
            start,
            end: start + 1,
        }],
        ..Revocations::default()
    };
    for (revoked, expected) in [
        (revoked(other, UnitKey::new(other), 2), false),
        (revoked(statement.manifest, UnitKey::new(other), 2), true),
        (revoked(other, world.key(), 2), true),
        (revoked(other, UnitKey::new(other), 1), true),
    ] {
        let document = PolicyDocument {
            revoked,
            ..world.policy.clone()
        };
        let policy = TrustPolicy::try_from(document).unwrap();
        assert_eq!(policy.is_revoked(world.key(), &statement), expected);
    }
}

#[test]
fn a_revoked_version_is_that_version_of_that_crate() {
    for (name, version) in [("memchr", "2.7.3"), ("memchr2", "2.7.4")] {
        let mut world = World::new(Class::Library);
        world.policy.revoked.crates = vec![RevokedCrate {
            name: name.parse().unwrap(),
            version: version.parse().unwrap(),
        }];
        assert!(world.verify(&world.manifest().to_canonical(), &world.proofs()).is_ok());
    }
}

#[test]
fn a_revoked_range_takes_only_its_own_operator_log_and_entries() {
    // The proofs are of entry 1.
    for (epoch, start, end, is_hit) in [(1, 0, 100, true), (1, 1, 2, true), (1, 0, 1, false), (2, 0, 100, false)] {
        let mut world = World::new(Class::Library);
        let range = RevokedRange {
            operator: world.alpha.name.clone(),
            epoch,
            start,
            end,
        };
        world.policy.revoked.ranges = vec![range];
        let verified = world.verify(&world.manifest().to_canonical(), &world.proofs()).unwrap();
        assert!(verified.operators().contains(&world.beta.name));
        let counts = verified.operators().contains(&world.alpha.name);
        assert_eq!(counts, !is_hit, "epoch {epoch}, {start}..{end}");
    }
}

#[test]
fn a_list_of_revocations_adds_to_those_of_the_policy() {
    let mut world = World::new(Class::Library);
    let earlier = Digest::of(b"revoked earlier");
    world.policy.revoked.leaves = vec![earlier];
    let manifest = Digest::of(world.manifest().to_canonical().as_bytes());
    let more = Revocations {
        leaves: vec![manifest],
        ..Revocations::default()
    };
    let policy = world.policy().revoking(&more);
    assert_eq!(policy.document().revoked.leaves, [earlier, manifest]);
    assert!(world.verify(&world.manifest().to_canonical(), &world.proofs()).is_ok());
    world.policy = policy.document().clone();
    let refused = world.verify(&world.manifest().to_canonical(), &world.proofs());
    assert!(matches!(refused, Err(Rejection::Revoked(_))), "{refused:?}");
}

#[test]
fn an_inclusion_of_another_leaf_or_in_another_log_says_nothing() {
    let world = World::new(Class::Library);
    let subject = Subject {
        unit_key: world.key(),
        document: &world.document,
        class: world.class,
    };
    let manifest = world.manifest().to_canonical();
    let decide = |inclusion| {
        let inclusions = [inclusion];
        world.policy().decide(
            &Forgetful,
            &subject,
            manifest.as_bytes(),
            &inclusions,
            Freshness::At(NOW),
        )
    };
    let honest = world.inclusion(&world.alpha, &world.leaf());
    assert!(decide(honest.clone()).is_ok());
    let nothing = |verdict| matches!(verdict, Err(Rejection::NoQuorum { found: 0, needed: 1 }));
    assert!(nothing(decide(world.inclusion(&world.alpha, "another leaf"))));

    // A log that nobody configured, under the name of one that is.
    let stranger = Maker::new("stranger");
    let disguised = |leaf: &str| (world.alpha.name.clone(), 1, world.inclusion(&stranger, leaf).2);
    assert!(nothing(decide(disguised(&world.leaf()))));
    let other = Manifest {
        glibc: Some("2.34".into()),
        ..world.manifest()
    };
    let other = other.to_canonical();
    let leaf = Leaf::new(world.key(), Digest::of(other.as_bytes())).to_canonical();
    let claims = [(&manifest, honest), (&other, disguised(&leaf))].map(|(manifest, inclusion)| Claim {
        manifest: manifest.as_bytes(),
        inclusions: vec![inclusion],
    });
    let agreed = world.policy().agreed(&Forgetful, &subject, &claims, Freshness::At(NOW));
    assert!(agreed.is_ok(), "a stranger contradicts nobody: {agreed:?}");
}

#[test]
fn a_policy_that_would_count_somebody_twice_is_refused() {
    let world = World::new(Class::Library);
    let changes: [fn(&mut PolicyDocument); 5] = [
        |policy| policy.version = 2,
        |policy| policy.quorum.library = 0,
        |policy| policy.quorum.host_code = 0,
        |policy| policy.operators[1].name = policy.operators[0].name.clone(),
        |policy| policy.operators[1].logs = policy.operators[0].logs.clone(),
    ];
    for change in changes {
        let mut document = world.policy.clone();
        change(&mut document);
        assert!(TrustPolicy::try_from(document).is_err());
    }
}

// Either alone would let one count as two: a key under another name, and another key under a name that is taken.
#[test]
fn a_key_an_origin_and_an_epoch_are_each_there_once() {
    let key = |kind: u8, name: &str, point: &[u8; 32]| {
        let encoded = [&[kind], point.as_slice()].concat();
        let id = signed_note::key_id(name, &encoded);
        format!("{name}+{id:08x}+{}", base64::prelude::BASE64_STANDARD.encode(&encoded))
    };
    let (alpha, beta, stranger) = (Maker::new("alpha"), Maker::new("beta"), Maker::new("stranger"));
    let point = |maker: &Maker| *maker.signer.verifier().public_key();
    let refused = |change: &dyn Fn(&mut PolicyDocument)| {
        let mut document = World::new(Class::Library).policy;
        document.operators[0].logs[0].vkey = alpha.signer.verifier().clone();
        document.operators[1].logs[0].vkey = beta.signer.verifier().clone();
        change(&mut document);
        matches!(TrustPolicy::try_from(document), Err(MalformedPolicy::Twice(_)))
    };
    let log = |name: &str, maker: &Maker| key(1, name, &point(maker)).parse::<LogVerifier>().unwrap();
    let witness = |name: &str, maker: &Maker| key(4, name, &point(maker));
    assert!(!refused(&|_| ()));
    assert!(refused(
        &|policy| policy.operators[1].logs[0].vkey = log("other", &alpha)
    ));
    assert!(refused(
        &|policy| policy.operators[1].logs[0].vkey = log("sealift/alpha/1", &stranger)
    ));
    let epoch = |epoch| OperatorLog {
        epoch,
        vkey: stranger.signer.verifier().clone(),
        frozen: None,
    };
    assert!(refused(&|policy| policy.operators[0].logs.push(epoch(1))));
    assert!(!refused(&|policy| policy.operators[0].logs.push(epoch(2))));
    let witnessed = |key: String| move |policy: &mut PolicyDocument| policy.witness_policy = asks_for(&key);
    assert!(refused(&witnessed(witness("w", &alpha))));
    assert!(refused(&witnessed(witness("sealift/alpha/1", &stranger))));
    assert!(!refused(&witnessed(witness("w", &stranger))));
}

#[test]
fn every_configured_log_is_named_with_its_key() {
    let world = World::new(Class::Library);
    let policy = world.policy();
    let expected = [&world.alpha, &world.beta].map(|maker| (&maker.name, 1, maker.signer.verifier()));
    assert_eq!(policy.logs().collect::<Vec<_>>(), expected);
}

// What an honest service, network and clock lead to raises no alarm, and nothing else is passed over in silence.
#[test]
fn what_looks_like_an_attack_is_told_from_what_does_not() {
    let world = World::new(Class::HostCode);
    let manifest = world.manifest().to_canonical();
    let innocent = |proofs: &[OperatorProof]| world.verify(&manifest, proofs).unwrap_err().is_innocent();
    assert!(innocent(&[]));
    assert!(innocent(&[world.alpha.proof(&world.leaf(), NOW - 1001)]));
    assert!(innocent(&[world.alpha.proof(&world.leaf(), NOW + CLOCK_TOLERANCE + 1)]));
    let ahead = [&world.alpha, &world.beta].map(|maker| maker.proof(&world.leaf(), NOW + CLOCK_TOLERANCE));
    assert!(world.verify(&manifest, &ahead).is_ok(), "clocks are not exact");
    assert!(!innocent(&[world.alpha.proof("another leaf", NOW)]));
    let mut malformed = world.proofs();
    malformed[0].proof.push('x');
    assert!(!innocent(&malformed));
    assert!(!world.verify("{}", &world.proofs()).unwrap_err().is_innocent());
}

#[test]
fn the_policy_file_keeps_its_golden_form() {
    let text =
        r#"{"version":1,"operators":[],"quorum":{"host_code":2,"library":1},"max_checkpoint_age_seconds":604800}"#;
    let policy: TrustPolicy = serde_json::from_str(text).unwrap();
    insta::assert_snapshot!(serde_json::to_string(&policy).unwrap(), @r#"{"version":1,"operators":[],"quorum":{"host_code":2,"library":1},"witness_policy":"quorum none\n","max_checkpoint_age_seconds":604800,"revoked":{"leaves":[],"unit_keys":[],"crates":[],"ranges":[],"toolchains":[]}}"#);
    assert!(serde_json::from_str::<TrustPolicy>(&text.replace("version\":1", "version\":1,\"extra\":1")).is_err());
}

const KEY: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt
6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==
-----END PUBLIC KEY-----
";

#[test]
fn the_provenance_key_of_an_operator_keeps_its_golden_form() {
    let mut world = World::new(Class::Library);
    let without = serde_json::to_string(&world.policy.operators[0]).unwrap();
    assert!(
        without.ends_with("}]}"),
        "an operator without keeps its bytes: {without}"
    );
    let public_key = KEY.parse().unwrap();
    world.policy.operators[0].provenance = Some(Provenance::new(public_key));
    let with = serde_json::to_value(&world.policy.operators[0]).unwrap();
    insta::assert_snapshot!(with["provenance"], @r#"{"public_key":"-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt\n6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\n-----END PUBLIC KEY-----\n"}"#);
    let policy = world.policy();
    assert_eq!(policy.provenance(&world.alpha.name), Some(&Provenance::new(public_key)));
    assert_eq!(policy.provenance(&world.beta.name), None);
}

#[test]
fn provenance_is_asked_for_from_an_entry_on_through_all_later_epochs() {
    let mut world = World::new(Class::Library);
    let needs = |world: &World, epoch, index| {
        let at = LogPosition { epoch, index };
        world.policy().needs_provenance(&world.alpha.name, at)
    };
    assert!(!needs(&world, 9, 9), "no key, no question");
    let mut provenance = Provenance::new(KEY.parse().unwrap());
    world.policy.operators[0].provenance = Some(provenance.clone());
    assert!(needs(&world, 1, 0));
    provenance.since = Some(LogPosition { epoch: 2, index: 5 });
    world.policy.operators[0].provenance = Some(provenance);
    let (before, from) = ([(1, 1000), (2, 0), (2, 4)], [(2, 5), (2, 6), (3, 0)]);
    assert!(before.iter().all(|&(epoch, index)| !needs(&world, epoch, index)));
    assert!(from.iter().all(|&(epoch, index)| needs(&world, epoch, index)));
}

#[test]
fn two_operators_with_one_provenance_key_are_no_policy() {
    let mut document = World::new(Class::Library).policy;
    for operator in &mut document.operators {
        operator.provenance = Some(Provenance::new(KEY.parse().unwrap()));
    }
    assert!(matches!(
        TrustPolicy::try_from(document),
        Err(MalformedPolicy::Twice(_))
    ));
}

#[test]
fn provenance_without_a_key_names_identities_of_one_operator_each() {
    let identity = |subject: &str| Identity {
        subject: subject.into(),
        issuer: "https://issuer.example".into(),
    };
    let provenance = |identities| Provenance {
        public_key: None,
        former_keys: vec![],
        identities,
        since: None,
    };
    let mut world = World::new(Class::Library);
    world.policy.operators[0].provenance = Some(provenance(vec![identity("one"), identity("two")]));
    let text = serde_json::to_string(&world.policy.operators[0].provenance).unwrap();
    insta::assert_snapshot!(text, @r#"{"identities":[{"subject":"one","issuer":"https://issuer.example"},{"subject":"two","issuer":"https://issuer.example"}]}"#);
    world.policy();
    for (identities, twice) in [(vec![], false), (vec![identity("one")], true)] {
        let mut document = world.policy.clone();
        document.operators[1].provenance = Some(provenance(identities));
        let refused = TrustPolicy::try_from(document).unwrap_err();
        assert_eq!(matches!(refused, MalformedPolicy::Twice(_)), twice, "{refused}");
        assert_eq!(matches!(refused, MalformedPolicy::NoSigner(_)), !twice, "{refused}");
    }
}

// A rotation at the Sigstore instance reaches policies that were written before.
#[test]
fn a_trusted_root_that_is_distributed_by_itself_counts() {
    let root = |name: &str| TrustedRoot(serde_json::json!({"mediaType": name}));
    let mut world = World::new(Class::Library);
    let joined = world.policy().trusting(root("distributed"));
    assert_eq!(joined.document().trusted_root, Some(root("distributed")));
    world.policy.trusted_root = Some(root("own"));
    let joined = world.policy().trusting(root("distributed"));
    assert_eq!(joined.document().trusted_root, Some(root("distributed")));
}

/// Base64 may end in a `+`: what follows the last one is not the key.
#[test]
fn different_keys_whose_texts_end_alike_are_two_keys() {
    let ending_in_plus = |name: &str| {
        let makers = std::iter::repeat_with(|| LogSigner::generate(name.parse().unwrap(), &mut rand_core::OsRng));
        let mut keys = makers.map(|signer| signer.verifier().clone());
        keys.find(|key| key.to_string().ends_with('+')).unwrap()
    };
    let mut document = World::new(Class::Library).policy;
    document.operators[0].logs[0].vkey = ending_in_plus("one");
    document.operators[1].logs[0].vkey = ending_in_plus("two");
    assert!(TrustPolicy::try_from(document).is_ok());
}

#[test]
fn t18_the_key_of_a_log_is_no_witness_under_another_name() {
    let mut document = World::new(Class::Library).policy;
    let key = *document.operators[0].logs[0].vkey.public_key();
    let encoded = [&[0x04], key.as_slice()].concat();
    let text = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, &encoded);
    document.witness_policy = asks_for(&format!(
        "witness+{:08x}+{text}",
        signed_note::key_id("witness", &encoded)
    ));
    assert!(matches!(
        TrustPolicy::try_from(document),
        Err(MalformedPolicy::Twice(_))
    ));
}
