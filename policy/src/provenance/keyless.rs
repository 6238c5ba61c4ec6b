//! Whether a bundle without a key of its own is believed: a certificate of ten minutes that a Sigstore instance gave to an
//! identity, in its logs.
//!
//! Owns what is asked of `sigstore-verify`, which does the rest: that the certificate's chain, its signed certificate
//! timestamp, the log entry with its inclusion proof and checkpoint, and the time by the timestamp authority hold under the
//! policy's trusted root, and that subject and issuer are exactly the policy's. Must not know what the statement is for.

use sigstore_verify::trust_root::TrustedRoot as SigstoreRoot;
use sigstore_verify::types::{Bundle, Sha256Hash};
use sigstore_verify::{VerificationPolicy, Verifier};

use super::bundle::{self, MalformedBundle};
use super::identity::{Identity, TrustedRoot};
use super::statement::Statement;

/// Why a bundle with a certificate is not believed.
#[derive(Debug, thiserror::Error)]
pub enum KeylessRejection {
    /// The bytes are not such a bundle.
    #[error(transparent)]
    Malformed(#[from] MalformedBundle),
    /// The policy's trusted root is none.
    #[error("the trusted root of the policy cannot be used")]
    TrustedRoot(#[source] sigstore_verify::Error),
    /// The certificate, its logs or its times do not hold, or it is somebody else's.
    #[error("the certificate, or what Sigstore's logs say of it, does not hold")]
    Refused(#[source] sigstore_verify::Error),
}

/// Reads a bundle with a certificate and checks it, for any of these identities.
pub(super) fn verify(root: &TrustedRoot, identities: &[Identity], bytes: &[u8]) -> Result<Statement, KeylessRejection> {
    let statement = bundle::statement_of(bytes)?;
    let malformed = |_| MalformedBundle::Unverifiable;
    let text = std::str::from_utf8(bytes).map_err(|_| MalformedBundle::Unverifiable)?;
    let bundle = Bundle::from_json(text).map_err(malformed)?;
    let unusable = KeylessRejection::TrustedRoot;
    let root = SigstoreRoot::from_json(&root.0.to_string()).map_err(|error| unusable(error.into()))?;
    let verifier = Verifier::new(&root).map_err(unusable)?;
    // The signature is over the whole statement; what it is about is asked by our own reading of it.
    let (_, manifest) = (statement.subjects().next()).ok_or(MalformedBundle::Unverifiable)?;
    let artifact = Sha256Hash::new(*manifest.as_bytes());
    let mut refused = None;
    for Identity { subject, issuer } in identities {
        let policy = VerificationPolicy::new(subject, issuer);
        match verifier.verify(artifact, &bundle, &policy) {
            Ok(found) if found.certificate_verified() && found.sct_verified() && found.tlog_verified() => {
                return Ok(statement);
            }
            Ok(_) => {}
            Err(error) => refused = Some(error),
        }
    }
    Err(refused.map_or_else(|| MalformedBundle::Unverifiable.into(), KeylessRejection::Refused))
}
