//! The Sigstore bundle v0.3 of a statement that a certificate signed.
//!
//! Owns its one shape: exactly these members, one envelope with one signature, one entry of a Rekor log of version 2 with its
//! proof, one timestamp, and no part longer than such parts are. What reads back is written anew and that is what is judged,
//! so that no two readers find different things in it. Must not know whose certificates are believed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::bundle::{Envelope, MalformedBundle, check_kind};
use super::statement::Statement;

/// Longest certificate in base64; one of Fulcio's has some 1200 bytes, one of a workflow's 2000.
const MAX_CERTIFICATE: usize = 8 << 10;
/// Longest timestamp in base64, with its certificates.
const MAX_TIMESTAMP: usize = 16 << 10;
/// Longest entry of a log in base64: it repeats the certificate.
const MAX_ENTRY: usize = 16 << 10;
/// Longest head of a log.
const MAX_CHECKPOINT: usize = 4 << 10;
/// Most hashes of a proof.
const MAX_HASHES: usize = 64;
/// Longest of everything else but the payload.
const MAX_WORD: usize = 256;

/// A bundle that is read and not judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertifiedBundle {
    text: String,
    payload: Vec<u8>,
    statement: Statement,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Document {
    media_type: String,
    verification_material: Material,
    dsse_envelope: Envelope,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Material {
    certificate: RawBytes,
    tlog_entries: Vec<Entry>,
    timestamp_verification_data: Timestamps,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawBytes {
    raw_bytes: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Timestamps {
    rfc3161_timestamps: Vec<Timestamp>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Timestamp {
    signed_timestamp: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Entry {
    log_index: String,
    log_id: LogId,
    kind_version: KindVersion,
    inclusion_proof: Proof,
    canonicalized_body: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct LogId {
    key_id: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KindVersion {
    kind: String,
    version: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Proof {
    log_index: String,
    root_hash: String,
    tree_size: String,
    hashes: Vec<String>,
    checkpoint: Checkpoint,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Checkpoint {
    envelope: String,
}

impl CertifiedBundle {
    /// Reads a bundle. Takes time and memory in the order of [`super::bundle::MAX_BUNDLE`] at most.
    pub fn parse(bytes: &[u8]) -> Result<Self, MalformedBundle> {
        check_kind(bytes)?;
        let document: Document = serde_json::from_slice(bytes).map_err(MalformedBundle::Json)?;
        let envelope = &document.dsse_envelope;
        let signature = envelope.signature()?;
        let material = &document.verification_material;
        let ([entry], [timestamp]) = (
            &material.tlog_entries[..],
            &material.timestamp_verification_data.rfc3161_timestamps[..],
        ) else {
            return Err(MalformedBundle::Evidence);
        };
        if (entry.kind_version.kind.as_str(), entry.kind_version.version.as_str()) != ("hashedrekord", "0.0.2") {
            return Err(MalformedBundle::Evidence);
        }
        let Proof { hashes, checkpoint, .. } = &entry.inclusion_proof;
        let words = [
            &signature.sig,
            &signature.keyid,
            &entry.log_index,
            &entry.log_id.key_id,
            &entry.inclusion_proof.log_index,
            &entry.inclusion_proof.root_hash,
            &entry.inclusion_proof.tree_size,
        ];
        let is_of_usual_length = material.certificate.raw_bytes.len() <= MAX_CERTIFICATE
            && timestamp.signed_timestamp.len() <= MAX_TIMESTAMP
            && entry.canonicalized_body.len() <= MAX_ENTRY
            && checkpoint.envelope.len() <= MAX_CHECKPOINT
            && hashes.len() <= MAX_HASHES
            && words.into_iter().chain(hashes).all(|word| word.len() <= MAX_WORD);
        if !is_of_usual_length {
            return Err(MalformedBundle::TooLong);
        }
        let payload = STANDARD.decode(&envelope.payload);
        let payload = payload.map_err(|_| MalformedBundle::Base64("payload"))?;
        Ok(Self {
            statement: Statement::parse(&payload)?,
            text: serde_json::to_string(&document).expect("bundles have string keys only"),
            payload,
        })
    }

    /// The bundle as it is judged.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What was signed.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// What it says. Nobody has checked who says it.
    pub fn unverified(&self) -> &Statement {
        &self.statement
    }

    /// The same, without the rest.
    pub fn into_unverified(self) -> Statement {
        self.statement
    }
}
