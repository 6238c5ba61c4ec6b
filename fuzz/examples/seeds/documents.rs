//! Manifests, key documents, answers, policies. Must not know where seeds go.

use sealift_fuzz::world::WORLD;
use sealift_policy::digest::Digest;
use sealift_policy::provenance::bundle::assemble;
use sealift_policy::provenance::statement::{Invocation, Unit};
use sealift_policy::provenance::{ProvenanceKey, Signature, Statement};
use sealift_policy::run::RunDocument;
use sealift_policy::trust::{Revocations, RevokedCrate, RevokedRange};
use sealift_policy::wire::{
    KnownHead, LogState, LookupRequest, LookupResponse, ManifestHint, ManifestRecord, PlanHint, SubmittedPlan,
    UnitHint, UnitRecord, Voucher, VoucherHint,
};

use crate::seed;

pub(crate) fn documents() -> std::io::Result<()> {
    let manifest = WORLD.manifest.to_canonical();
    seed("manifest", "library", &manifest)?;
    seed("manifest", "leaf", WORLD.leaf())?;
    let mut host = WORLD.manifest.clone();
    host.glibc = Some("2.34".into());
    host.baseline = Some("gcc (Debian 12.2.0-14) 12.2.0".into());
    host.diagnostics = vec!["{\"$message_type\":\"diagnostic\"}".into()];
    host.outputs.truncate(1);
    seed("manifest", "baseline", host.to_canonical())?;
    let text = WORLD.document.to_canonical();
    seed("key_document", "call", &text)?;
    let (compiler, package) = (WORLD.document.compiler().clone(), WORLD.document.package().clone());
    let told = [
        ("HOST", "x86_64-unknown-linux-gnu"),
        ("TARGET", "x86_64-unknown-linux-gnu"),
    ];
    let told = told.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut run = RunDocument::new(WORLD.unit_key, compiler, package, told.into());
    seed("key_document", "run", run.key().1)?;
    run.system.insert("compiler".into(), "gcc".into());
    seed("key_document", "run-that-asks", run.key().1)?;
    // One document in another spelling each: a field that may be left out is there with the value that leaving it out means.
    seed(
        "manifest",
        "absent-spelt-out",
        format!("{{\"baseline\":null,{}", &manifest[1..]),
    )?;
    seed("manifest", "null-left-out", manifest.replace("\"glibc\":null,", ""))?;
    seed("key_document", "null-left-out", text.replace("\"target\":null,", ""))
}

pub(crate) fn lookup() -> std::io::Result<()> {
    let toolchain: sealift_policy::name::Toolchain = "1.95.0-x86_64-unknown-linux-gnu".parse().expect("a toolchain");
    let plan_id = sealift_policy::digest::PlanId::new(Digest::of(b"plan"));
    let manifest = WORLD.manifest.to_canonical();
    let proof = WORLD
        .tree
        .inclusion(WORLD.index, WORLD.tree.size())
        .expect("it is in the tree");
    let index = WORLD.index.value();
    let logs = WORLD.makers.iter().map(|maker| LogState {
        operator: maker.name.clone(),
        epoch: 1,
        checkpoint: String::from_utf8_lossy(WORLD.head(maker).as_bytes()).into_owned(),
        consistency: vec![],
    });
    let vouchers = WORLD.makers.iter().map(|maker| Voucher {
        operator: maker.name.clone(),
        epoch: 1,
        index,
        proof: proof.to_texts(),
    });
    let plan = PlanHint {
        version: 1,
        plan_id,
        unit_keys: vec![WORLD.unit_key],
    };
    seed("lookup", "plan", json(&plan))?;
    let mut answer = LookupResponse {
        version: 1,
        logs: logs.collect(),
        plans: vec![plan],
        units: vec![UnitRecord {
            unit_key: WORLD.unit_key,
            key_document: WORLD.document.to_canonical(),
            compile_ms: 1200,
            manifests: vec![ManifestRecord {
                manifest: manifest.clone(),
                vouchers: vouchers.collect(),
            }],
        }],
    };
    seed("lookup", "answer", json(&answer))?;
    let forged = answer.units[0].manifests[0]
        .manifest
        .replace("\"size\":7", "\"size\":8");
    answer.units[0].manifests[0].manifest = forged;
    seed("lookup", "forged", json(&answer))?;
    let unit = UnitHint {
        version: 1,
        unit_key: WORLD.unit_key,
        compile_ms: 1200,
        plans: vec![SubmittedPlan {
            toolchain: toolchain.clone(),
            plan_id,
        }],
        manifests: vec![ManifestHint {
            sha256: Digest::of(manifest.as_bytes()),
            vouchers: vec![VoucherHint {
                operator: WORLD.makers[0].name.clone(),
                epoch: 1,
                index,
            }],
        }],
    };
    seed("lookup", "unit", json(&unit))?;
    let asked = LookupRequest {
        version: 1,
        toolchain,
        plan_ids: vec![plan_id],
        unit_keys: vec![WORLD.unit_key],
        heads: vec![KnownHead {
            operator: WORLD.makers[0].name.clone(),
            epoch: 1,
            size: 4,
        }],
    };
    seed("lookup", "question", json(&asked))
}

pub(crate) fn trust() -> std::io::Result<()> {
    let mut policy = WORLD.policy().document().clone();
    seed("trust_policy", "two-operators", json(&policy))?;
    let package = WORLD.document.package();
    policy.revoked = Revocations {
        leaves: vec![Digest::of(WORLD.manifest.to_canonical().as_bytes())],
        unit_keys: vec![WORLD.unit_key],
        crates: vec![RevokedCrate {
            name: package.name.clone(),
            version: package.version.clone(),
        }],
        ranges: vec![RevokedRange {
            operator: WORLD.makers[0].name.clone(),
            epoch: 1,
            start: 2,
            end: 3,
        }],
        toolchains: WORLD.document.compiler().toolchain().into_iter().collect(),
    };
    seed("trust_policy", "all-revoked", json(&policy))?;
    policy.revoked = Revocations {
        ranges: policy.revoked.ranges,
        ..Revocations::default()
    };
    seed("trust_policy", "range-revoked", json(&policy))?;
    policy.quorum.library = 2;
    seed("trust_policy", "quorum-of-two", json(&policy))?;
    policy.operators[0].name = "beta".parse().expect("a name");
    seed("trust_policy", "one-operator-twice", json(&policy))
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("it is JSON")
}

pub(crate) fn provenance() -> std::io::Result<()> {
    let unit = Unit {
        key: WORLD.unit_key,
        manifest: Digest::of(WORLD.manifest.to_canonical().as_bytes()),
        document: &WORLD.document,
        sandboxed: false,
    };
    let operator = &WORLD.makers[0].name;
    let invocation = Invocation {
        operator,
        builder_version: "0.1.0",
        id: "1/0-1",
    };
    let statement = Statement::new(invocation, [unit]);
    let signature = [0x30, 6, 2, 1, 1, 2, 1, 1];
    let key: ProvenanceKey = KEY.parse().expect("a key");
    let read = Signature::from_der(&signature).expect("two numbers");
    seed("provenance", "statement", statement.to_bytes())?;
    seed("provenance", "bundle", assemble(&statement, &key, &read))?;
    seed("provenance", "signature", signature)?;
    seed("provenance", "key", KEY)
}

/// A key of cosign's kind.
const KEY: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt
6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==
-----END PUBLIC KEY-----
";
