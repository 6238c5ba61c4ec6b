//! What a lookup offers for a unit, and whether it is believed.
//!
//! Owns the way from a [`UnitRecord`] of a stranger to something that may be downloaded. The decision itself is the
//! trust policy's. Must not know the network or the local store.

use std::collections::{BTreeMap, BTreeSet};

use sealift_policy::cause::Cause;
use sealift_policy::digest::{Digest, UnitKey};
use sealift_policy::document::UnitDocument;
use sealift_policy::evidence::{Evidence, LoggedLeaf, StatementPair};
use sealift_policy::key::MalformedKeyDocument;
use sealift_policy::leaf::Leaf;
use sealift_policy::local::OperatorProof;
use sealift_policy::log::proof::ProofError;
use sealift_policy::log::{
    InclusionProof, LeafIndex, SignatureMemory, SignedCheckpoint, TlogProof, TreeHash, VerifiedCheckpoint,
    VerifiedInclusion,
};
use sealift_policy::manifest::Manifest;
use sealift_policy::name::OperatorName;
use sealift_policy::trust::{Claim, Freshness, Rejection, Statement, Subject, TrustPolicy, Verified};
use sealift_policy::wire::{ManifestRecord, UnitRecord, Voucher};

use crate::cause::Caused;

/// Manifests of one unit that are looked at. Honest operators state one; a second one is a reason to believe none.
const MAX_MANIFESTS: usize = 16;

/// A day. Compile times are not signed, and are added up.
const LONGEST_COMPILATION_MS: u64 = 24 * 3600 * 1000;

/// The accepted heads of this lookup, by operator and epoch.
pub(crate) type AcceptedHeads = BTreeMap<(OperatorName, u32), VerifiedCheckpoint>;

/// A unit that a quorum vouches for, and what shows it.
#[derive(Debug)]
pub(crate) struct Offer {
    /// The unit.
    pub(crate) unit_key: UnitKey,
    /// The key document's canonical bytes.
    pub(crate) key_document: String,
    /// What is in them.
    pub(crate) document: UnitDocument,
    /// What the unit produced.
    pub(crate) manifest: Verified<Manifest>,
    /// The proofs, for checking again at each use.
    pub(crate) proofs: Vec<OperatorProof>,
    /// How long it took to compile somewhere. Not signed.
    pub(crate) compile_ms: u64,
}

/// Why an offered unit is not believed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RefusedOffer {
    /// The key document is of a kind that this program does not know.
    #[error("unknown key document")]
    UnknownDocument(#[source] MalformedKeyDocument),
    /// The key document is malformed, or not the one that the key is the digest of.
    #[error("the key document is not the one that its key names")]
    OtherDocument,
    /// The trust policy refuses it.
    #[error(transparent)]
    Rejected(#[from] Rejection),
}

impl RefusedOffer {
    /// Whether an honest service could have offered it.
    pub(crate) fn is_innocent(&self) -> bool {
        match self {
            Self::UnknownDocument(_) => true,
            Self::OtherDocument => false,
            Self::Rejected(rejection) => rejection.is_innocent(),
        }
    }

    /// The same in a word.
    pub(crate) fn cause(&self) -> Cause {
        match self {
            Self::UnknownDocument(_) => Cause::Rules,
            Self::OtherDocument => Cause::Untrusted,
            Self::Rejected(rejection) => Caused::from(rejection).cause,
        }
    }
}

/// Checks one offered unit. All of an answer stand on the same few heads, whose witnesses are checked once by the memory.
pub(crate) fn check(
    policy: &TrustPolicy,
    memory: &dyn SignatureMemory,
    heads: &AcceptedHeads,
    record: &UnitRecord,
    now: u64,
) -> Result<Offer, RefusedOffer> {
    let (unit_key, document) = match UnitDocument::from_canonical(record.key_document.as_bytes()) {
        Ok(parsed) => parsed,
        Err(error @ (MalformedKeyDocument::Version(_) | MalformedKeyDocument::CrateType(_))) => {
            return Err(RefusedOffer::UnknownDocument(error));
        }
        Err(MalformedKeyDocument::NotCanonical(_)) => return Err(RefusedOffer::OtherDocument),
    };
    if unit_key != record.unit_key {
        return Err(RefusedOffer::OtherDocument);
    }
    let class = document.class().map_err(RefusedOffer::UnknownDocument)?;
    let subject = Subject {
        unit_key,
        document: &document,
        class,
    };
    let mut claims = Vec::new();
    let mut proofs = Vec::new();
    // Saying a thing twice must not cost twice: each voucher becomes a proof of its own, with the whole checkpoint.
    let mut seen = BTreeSet::new();
    let manifests = record.manifests.iter().filter(|stated| seen.insert(&stated.manifest));
    for stated in manifests.take(MAX_MANIFESTS) {
        claims.push(claim(policy, heads, unit_key, stated, &mut proofs)?);
    }
    let manifest = policy.agreed(memory, &subject, &claims, Freshness::At(now))?;
    proofs.retain(|proof: &OperatorProof| manifest.operators().contains(&proof.operator));
    Ok(Offer {
        unit_key,
        key_document: record.key_document.clone(),
        document,
        manifest,
        proofs,
        compile_ms: record.compile_ms.min(LONGEST_COMPILATION_MS),
    })
}

/// The inclusions that hold, of operators that the policy names and whose head was accepted. One that does not hold
/// refuses the unit: an honest service has no reason to send it.
fn claim<'a>(
    policy: &TrustPolicy,
    heads: &AcceptedHeads,
    unit_key: UnitKey,
    stated: &'a ManifestRecord,
    proofs: &mut Vec<OperatorProof>,
) -> Result<Claim<'a>, Rejection> {
    let manifest = stated.manifest.as_bytes();
    let leaf = Leaf::new(unit_key, Digest::of(manifest)).to_canonical();
    let mut inclusions = Vec::new();
    let mut seen = BTreeSet::new();
    for voucher in &stated.vouchers {
        let log = (voucher.operator.clone(), voucher.epoch);
        let (Some(_), Some(head)) = (policy.log(&voucher.operator, voucher.epoch), heads.get(&log)) else {
            continue;
        };
        if !seen.insert(log) {
            continue;
        }
        let (index, proof) = parse(voucher).ok_or_else(|| Rejection::MalformedProof {
            operator: voucher.operator.clone(),
            source: ProofError::Malformed,
        })?;
        let inclusion = VerifiedInclusion::check(index, &proof, leaf.as_bytes(), head.clone()).map_err(|error| {
            Rejection::NotLogged {
                operator: voucher.operator.clone(),
                source: ProofError::Merkle(error),
            }
        })?;
        proofs.push(OperatorProof {
            operator: voucher.operator.clone(),
            epoch: voucher.epoch,
            proof: proof_text(index, proof, head),
        });
        inclusions.push((voucher.operator.clone(), voucher.epoch, inclusion));
    }
    Ok(Claim { manifest, inclusions })
}

/// What shows strangers that two logs differ about a unit: of each a leaf with its proof. `None` where a statement has no
/// proof in this record.
pub(crate) fn disagreement(
    policy: &TrustPolicy,
    heads: &AcceptedHeads,
    record: &UnitRecord,
    statements: &[Statement],
) -> Option<Evidence> {
    let first = statements.first()?;
    let second = statements.iter().find(|other| other.manifest != first.manifest)?;
    let logged = |statement: &Statement| {
        let log = (statement.operator.clone(), statement.epoch);
        let is_stated = |stated: &&ManifestRecord| Digest::of(stated.manifest.as_bytes()) == statement.manifest;
        let stated = record.manifests.iter().find(is_stated)?;
        let is_of_log = |voucher: &&Voucher| (&voucher.operator, voucher.epoch) == (&log.0, log.1);
        let (index, proof) = parse(stated.vouchers.iter().find(is_of_log)?)?;
        Some(LoggedLeaf {
            vkey: policy.log(&log.0, log.1)?.clone(),
            leaf: Leaf::new(record.unit_key, statement.manifest).to_canonical(),
            proof: proof_text(index, proof, heads.get(&log)?),
        })
    };
    let (first, second) = (logged(first)?, logged(second)?);
    Some(Evidence::Statements(StatementPair { first, second }))
}

fn parse(voucher: &Voucher) -> Option<(LeafIndex, InclusionProof)> {
    let index = LeafIndex::try_from(voucher.index).ok()?;
    let hashes: Vec<TreeHash> = voucher
        .proof
        .iter()
        .map(|hash| hash.parse().ok())
        .collect::<Option<_>>()?;
    Some((index, InclusionProof::try_from(hashes).ok()?))
}

fn proof_text(index: LeafIndex, proof: InclusionProof, head: &VerifiedCheckpoint) -> String {
    let checkpoint = SignedCheckpoint::parse(head.as_bytes()).expect("a verified checkpoint parses");
    let text = TlogProof {
        index,
        proof,
        checkpoint,
    }
    .to_bytes();
    String::from_utf8(text).expect("numbers, base64 and a signed note are UTF-8")
}
