//! The key that signs provenance, in the encrypted format of cosign: `cosign` can use ours, and we can use its.
//!
//! Owns the one use of the `sigstore` crate: its key handling. It decides nothing about what is believed.
//! Must not know where the key lies or what is signed.

use sealift_policy::provenance::key::MalformedKey;
use sealift_policy::provenance::{ProvenanceKey, Signature};
use sigstore::crypto::SigningScheme;
use sigstore::crypto::signing_key::ecdsa::{ECDSAKeys, EllipticCurve};
use sigstore::crypto::signing_key::{SigStoreKeyPair, SigStoreSigner};
use sigstore::errors::SigstoreError;

/// How often a signature is made until it has the lower value of S; each has it with probability 1/2.
const ATTEMPTS: usize = 128;

/// Why there is no key, or no signature.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A key is kept under a password only.
    #[error("there is no password")]
    NoPassword,
    /// Not a key in cosign's format, or another password.
    #[error("not an encrypted key of cosign, or not its password")]
    Unreadable(#[source] SigstoreError),
    /// A key of another kind than cosign makes.
    #[error("not a key of ECDSA on P-256")]
    OtherKind(#[from] MalformedKey),
    /// The cryptographic library failed.
    #[error("failed to sign")]
    Failed(#[source] SigstoreError),
    /// Signatures come out wrong: the library or the machine is broken.
    #[error("no signature of {ATTEMPTS} is in its one spelling")]
    NoSignature,
}

/// A key, ready to sign.
pub struct AttestKey {
    signer: SigStoreSigner,
    public: ProvenanceKey,
}

impl std::fmt::Debug for AttestKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AttestKey({:?})", self.public)
    }
}

impl AttestKey {
    /// A new key: its encrypted text and the public part.
    ///
    /// # Errors
    /// Without a password, or when the library fails.
    pub fn generate(password: Option<&[u8]>) -> Result<(String, ProvenanceKey), KeyError> {
        let password = password.ok_or(KeyError::NoPassword)?;
        let pair = SigStoreKeyPair::ECDSA(ECDSAKeys::new(EllipticCurve::P256).map_err(KeyError::Failed)?);
        let public = ProvenanceKey::from_der(&pair.public_key_to_der().map_err(KeyError::Failed)?)?;
        let text = pair.private_key_to_encrypted_pem(password).map_err(KeyError::Failed)?;
        Ok((text.replace('\r', ""), public))
    }

    /// The key in this text.
    ///
    /// # Errors
    /// When it is no key of this kind, or the password is another.
    pub fn from_encrypted(text: &str, password: Option<&[u8]>) -> Result<Self, KeyError> {
        let password = password.ok_or(KeyError::NoPassword)?;
        let keys = ECDSAKeys::from_encrypted_pem(text.as_bytes(), password).map_err(KeyError::Unreadable)?;
        let pair = SigStoreKeyPair::ECDSA(keys);
        let public = ProvenanceKey::from_der(&pair.public_key_to_der().map_err(KeyError::Failed)?)?;
        let signer = pair.to_sigstore_signer(&SigningScheme::ECDSA_P256_SHA256_ASN1);
        Ok(Self {
            signer: signer.map_err(KeyError::Failed)?,
            public,
        })
    }

    /// The public part.
    pub fn public(&self) -> &ProvenanceKey {
        &self.public
    }

    /// Signs.
    ///
    /// # Errors
    /// When the library fails.
    pub fn sign(&self, message: &[u8]) -> Result<Signature, KeyError> {
        for _ in 0..ATTEMPTS {
            let signature = self.signer.sign(message).map_err(KeyError::Failed)?;
            if let Ok(signature) = Signature::from_der(&signature) {
                return Ok(signature);
            }
        }
        Err(KeyError::NoSignature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `cosign generate-key-pair` wrote, with an empty password: a test vector of sigstore-rs.
    const OF_COSIGN: &str = "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----
eyJrZGYiOnsibmFtZSI6InNjcnlwdCIsInBhcmFtcyI6eyJOIjo2NTUzNiwiciI6
OCwicCI6MX0sInNhbHQiOiJFY3pJR3Z0bnpFcCsxaEpudERnbGI1UnoxN3gwQVMy
YklvWGRNcDQrU1NJPSJ9LCJjaXBoZXIiOnsibmFtZSI6Im5hY2wvc2VjcmV0Ym94
Iiwibm9uY2UiOiJtSVVKbG1OMzNINExvZ0dhaG5MamdmK3R4SmJwci93MCJ9LCJj
aXBoZXJ0ZXh0IjoiM3FtS2FidXRuYm1WT1IvTkZGM2NDaUErTXp1WWQ5L0VERDVI
MVlUSGhQVzZsSzAvdjVqdDZCQzlsME12NGV5am9qZkl0d3B6a2JJOXQrZGx5VXZ3
VUgvMWZjbkFZT2dEdXRLQzkvSkNiOE02SVY2VHpVaDF5c0ZFWDFzeG9xb1FzeUpL
bjM0UVlldFNlaVdDaGtmUHUyZXByQjFEV0pwekdzTGZIakxNVTkzOEdmNk1xM1A0
N0ZSd2syZzY1cFZnSGMwVWV1L1N1OUs0Zmc9PSJ9
-----END ENCRYPTED SIGSTORE PRIVATE KEY-----
";

    #[test]
    fn a_key_of_cosign_signs() {
        let key = AttestKey::from_encrypted(OF_COSIGN, Some(b"")).unwrap();
        assert!(key.sign(b"message").is_ok());
    }

    #[test]
    fn a_new_key_reads_back_with_its_password_only() {
        let (text, public) = AttestKey::generate(Some(b"secret")).unwrap();
        assert!(text.starts_with("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n"));
        let key = AttestKey::from_encrypted(&text, Some(b"secret")).unwrap();
        assert_eq!(key.public(), &public);
        for wrong in [Some(b"Secret".as_slice()), None] {
            assert!(AttestKey::from_encrypted(&text, wrong).is_err());
        }
        assert!(matches!(AttestKey::generate(None), Err(KeyError::NoPassword)));
    }

    #[test]
    fn what_is_no_key_of_cosign_is_refused() {
        let damaged = OF_COSIGN.replace("eyJrZGYi", "eyJrZGYj");
        let unencrypted = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        for wrong in ["", damaged.as_str(), unencrypted] {
            assert!(AttestKey::from_encrypted(wrong, Some(b"")).is_err());
        }
    }
}
