//! Whether a bundle without a key of its own is believed: a certificate of ten minutes that a Sigstore instance gave to an
//! identity, in its logs.
//!
//! Owns what is asked of `sigstore-verify`, which does the rest: that the certificate's chain, its signed certificate
//! timestamp, the log entry with its inclusion proof and checkpoint, and the time by the timestamp authority hold under the
//! policy's trusted root, and that subject and issuer are exactly the policy's. Must not know what the statement is for.

use sigstore_verify::trust_root::TrustedRoot as SigstoreRoot;
use sigstore_verify::types::{Bundle, Sha256Hash, SignatureContent};
use sigstore_verify::{VerificationPolicy, Verifier};

use super::bundle::MalformedBundle;
use super::certified::CertifiedBundle;
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
    /// A part of it is not of its kind.
    #[error("a part of the bundle is malformed")]
    Part(#[source] sigstore_verify::types::Error),
    /// What was judged is not what was read.
    #[error("the bundle is about something else than its statement")]
    OtherContent,
    /// The certificate, its logs or its times do not hold, or it is somebody else's.
    #[error("the certificate, or what Sigstore's logs say of it, does not hold")]
    Refused(#[source] sigstore_verify::Error),
}

/// Whether a trusted root can be used.
pub fn check_root(root: &TrustedRoot) -> Result<(), KeylessRejection> {
    verifier(root).map(drop)
}

/// Reads a bundle with a certificate and checks it, for any of these identities.
pub(super) fn verify(root: &TrustedRoot, identities: &[Identity], bytes: &[u8]) -> Result<Statement, KeylessRejection> {
    let certified = CertifiedBundle::parse(bytes)?;
    let bundle = Bundle::from_json(certified.text()).map_err(KeylessRejection::Part)?;
    // Only an envelope is ever about a statement, and only the one whose payload was read.
    match &bundle.content {
        SignatureContent::DsseEnvelope(envelope) if envelope.payload.as_bytes() == certified.payload() => {}
        _ => return Err(KeylessRejection::OtherContent),
    }
    let verifier = verifier(root)?;
    // The library wants to know of one thing that the statement is about; the signature is over all of it.
    let manifest = certified.unverified().subjects().next();
    let (_, manifest) = manifest.ok_or(KeylessRejection::OtherContent)?;
    let artifact = Sha256Hash::new(*manifest.as_bytes());
    let mut rejection = KeylessRejection::OtherContent;
    for Identity { subject, issuer } in identities {
        let policy = VerificationPolicy::new(subject, issuer);
        match verifier.verify(artifact, &bundle, &policy) {
            Ok(found) if found.certificate_verified() && found.sct_verified() && found.tlog_verified() => {
                return Ok(certified.into_unverified());
            }
            Ok(_) => {}
            Err(error) => rejection = KeylessRejection::Refused(error),
        }
    }
    Err(rejection)
}

fn verifier(root: &TrustedRoot) -> Result<Verifier, KeylessRejection> {
    let root = SigstoreRoot::from_json(&root.0.to_string());
    let root = root.map_err(|error| KeylessRejection::TrustedRoot(error.into()))?;
    Verifier::new(&root).map_err(KeylessRejection::TrustedRoot)
}

#[cfg(test)]
mod tests;
