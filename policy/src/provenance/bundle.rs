//! The Sigstore bundle v0.3 around a statement: a DSSE envelope with one signature, and which key made it.
//!
//! Owns the one kind of bundle that is read whole here: signed with a key that the trust policy names, and nothing else in
//! it. A log entry or a timestamp in such a bundle is refused, since nobody here would check what it claims
//! (CVE-2022-36056). One with a certificate is [`CertifiedBundle`]'s.
//! Must not know which keys are believed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::certified::CertifiedBundle;
use super::key::{MalformedSignature, ProvenanceKey, Signature};
use super::statement::{MalformedStatement, Statement};

/// What a bundle is called.
pub const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// What is in its envelope.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// Longest bundle in bytes. One of the largest batch that is submitted has some 30 000.
pub const MAX_BUNDLE: u64 = 4 << 20;

/// Longest name of a key.
const MAX_HINT: usize = 256;

/// A bundle that is read and not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    payload: Vec<u8>,
    signature: Signature,
    statement: Statement,
}

/// Why bytes are not a bundle.
#[derive(Debug, thiserror::Error)]
pub enum MalformedBundle {
    /// Longer than any bundle.
    #[error("the bundle is longer than {MAX_BUNDLE} bytes")]
    TooLong,
    /// Not JSON of this shape: something is missing, there twice, or unknown.
    #[error("the bundle is malformed")]
    Json(#[source] serde_json::Error),
    /// Another version of bundle, or no bundle.
    #[error("the bundle is of another kind: `{0}`")]
    MediaType(String),
    /// Something else than an in-toto statement is signed.
    #[error("the bundle is about something else: `{0}`")]
    PayloadType(String),
    /// None, or more than one.
    #[error("the bundle has {0} signatures, not one")]
    Signatures(usize),
    /// It claims that a log or a timestamp authority knows it, and has no certificate.
    #[error("the bundle has log entries or timestamps, which are not read here")]
    Unverifiable,
    /// It has a certificate, and not one entry of a log of version 2 and one timestamp.
    #[error("the bundle has not exactly one entry of a Rekor log of version 2 and one timestamp")]
    Evidence,
    /// Not base64.
    #[error("the bundle's {0} is not base64")]
    Base64(&'static str),
    /// The signature is not in its one spelling.
    #[error(transparent)]
    Signature(#[from] MalformedSignature),
    /// What is signed is no statement of ours.
    #[error(transparent)]
    Statement(#[from] MalformedStatement),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct BundleDocument {
    media_type: String,
    verification_material: Material,
    dsse_envelope: Envelope,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Material {
    public_key: KeyHint,
    #[serde(default)]
    tlog_entries: Vec<Claimed>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timestamp_verification_data: Option<Timestamps>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyHint {
    hint: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Timestamps {
    #[serde(default)]
    rfc3161_timestamps: Vec<Claimed>,
}

/// Anything, without its content.
#[derive(Serialize, Deserialize)]
struct Claimed {}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Envelope {
    pub(super) payload: String,
    pub(super) payload_type: String,
    pub(super) signatures: Vec<EnvelopeSignature>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EnvelopeSignature {
    pub(super) sig: String,
    #[serde(default)]
    pub(super) keyid: String,
}

impl Envelope {
    /// The one signature of a statement.
    pub(super) fn signature(&self) -> Result<&EnvelopeSignature, MalformedBundle> {
        if self.payload_type != PAYLOAD_TYPE {
            return Err(MalformedBundle::PayloadType(shown(&self.payload_type)));
        }
        match &self.signatures[..] {
            [signature] => Ok(signature),
            others => Err(MalformedBundle::Signatures(others.len())),
        }
    }
}

/// What is signed for a payload: DSSE's pre-authentication encoding.
fn encoded(payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

/// What is to be signed for a statement.
pub fn to_be_signed(statement: &Statement) -> Vec<u8> {
    encoded(&statement.to_bytes())
}

/// The bundle of a statement and its signature.
pub fn assemble(statement: &Statement, key: &ProvenanceKey, signature: &Signature) -> String {
    let document = BundleDocument {
        media_type: MEDIA_TYPE.into(),
        verification_material: Material {
            public_key: KeyHint { hint: key.hint() },
            tlog_entries: Vec::new(),
            timestamp_verification_data: None,
        },
        dsse_envelope: Envelope {
            payload: STANDARD.encode(statement.to_bytes()),
            payload_type: PAYLOAD_TYPE.into(),
            signatures: vec![EnvelopeSignature {
                sig: STANDARD.encode(signature.as_der()),
                keyid: key.hint(),
            }],
        },
    };
    serde_json::to_string(&document).expect("bundles have string keys only")
}

impl Bundle {
    /// Reads a bundle. Takes time and memory in the order of [`MAX_BUNDLE`] at most.
    pub fn parse(bytes: &[u8]) -> Result<Self, MalformedBundle> {
        check_kind(bytes)?;
        let document: BundleDocument = serde_json::from_slice(bytes).map_err(MalformedBundle::Json)?;
        let material = document.verification_material;
        let timestamps = material.timestamp_verification_data;
        if !material.tlog_entries.is_empty() || timestamps.is_some_and(|data| !data.rfc3161_timestamps.is_empty()) {
            return Err(MalformedBundle::Unverifiable);
        }
        let envelope = document.dsse_envelope;
        let signature = envelope.signature()?;
        // A hint helps to find a key; which one is asked is the policy's to say.
        if material.public_key.hint.len() > MAX_HINT || signature.keyid.len() > MAX_HINT {
            return Err(MalformedBundle::TooLong);
        }
        let decoded = |what, text: &str| STANDARD.decode(text).map_err(|_| MalformedBundle::Base64(what));
        let signature = Signature::from_der(&decoded("signature", &signature.sig)?)?;
        let payload = decoded("payload", &envelope.payload)?;
        let statement = Statement::parse(&payload)?;
        Ok(Self {
            payload,
            signature,
            statement,
        })
    }

    /// What was signed, byte for byte as it came.
    pub fn signed_bytes(&self) -> Vec<u8> {
        encoded(&self.payload)
    }

    /// The signature.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// What it says. Nobody has checked the signature.
    pub fn unverified(&self) -> &Statement {
        &self.statement
    }

    /// The same, without the rest.
    pub fn into_unverified(self) -> Statement {
        self.statement
    }
}

/// What every bundle says first.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind {
    media_type: String,
    #[serde(default)]
    verification_material: Signer,
}

/// Whether a certificate says who signed.
#[derive(Default, Deserialize)]
struct Signer {
    certificate: Option<IgnoredAny>,
}

/// Of a bundle of another kind nothing else is known, so that is asked first.
pub(super) fn check_kind(bytes: &[u8]) -> Result<(), MalformedBundle> {
    if bytes.len() as u64 > MAX_BUNDLE {
        return Err(MalformedBundle::TooLong);
    }
    let kind: Kind = serde_json::from_slice(bytes).map_err(MalformedBundle::Json)?;
    if kind.media_type == MEDIA_TYPE {
        Ok(())
    } else {
        Err(MalformedBundle::MediaType(shown(&kind.media_type)))
    }
}

/// Whether a bundle was signed without a key of its own. What is no bundle was not.
pub fn has_certificate(bytes: &[u8]) -> bool {
    bytes.len() as u64 <= MAX_BUNDLE
        && serde_json::from_slice(bytes).is_ok_and(|kind: Kind| kind.verification_material.certificate.is_some())
}

/// What a bundle of either kind says. Nobody has checked who says it.
pub fn unverified(bytes: &[u8]) -> Result<Statement, MalformedBundle> {
    if has_certificate(bytes) {
        CertifiedBundle::parse(bytes).map(CertifiedBundle::into_unverified)
    } else {
        Bundle::parse(bytes).map(Bundle::into_unverified)
    }
}

/// A stranger's word as it may be repeated.
fn shown(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_default).collect()
}

#[cfg(test)]
mod tests;
