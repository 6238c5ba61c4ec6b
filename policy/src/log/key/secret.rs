//! A named Ed25519 secret key with the signature type that it is for: the common part of a log's and a witness's signer.
//!
//! Owns its text. Must not know what is signed.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use ed25519_dalek::{Signer as _, SigningKey};
use rand_core::CryptoRngCore;

use super::{KeyError, NamedKey, Origin, encoded, split};

/// How the text of a secret key begins, so that people and scanners know it for what it is.
const SECRET: &str = "PRIVATE+KEY+";

/// A secret key. It has no `Debug`: those around it show the public half.
#[derive(Clone)]
pub(in crate::log) struct NamedSecret {
    named: NamedKey,
    key: SigningKey,
}

impl NamedSecret {
    pub(in crate::log) fn generate(name: Origin, kind: u8, random: &mut impl CryptoRngCore) -> Self {
        let key = SigningKey::generate(random);
        let named = NamedKey::new(name, kind, key.verifying_key().to_bytes());
        Self {
            named: named.expect("a generated point is canonical and of large order"),
            key,
        }
    }

    /// Reads `PRIVATE+KEY+<name>+<id>+<base64>`, whose key must be of this type.
    pub(in crate::log) fn parse(text: &str, expected: u8) -> Result<Self, KeyError> {
        let (name, id, secret) = split(text.strip_prefix(SECRET).ok_or(KeyError::Malformed)?)?;
        let (&found, secret) = secret.split_first().ok_or(KeyError::Malformed)?;
        if found != expected {
            return Err(KeyError::Type { found, expected });
        }
        let key = SigningKey::from_bytes(secret.try_into().map_err(|_| KeyError::Malformed)?);
        let named = NamedKey::new(name, expected, key.verifying_key().to_bytes())?;
        if named.id == id {
            Ok(Self { named, key })
        } else {
            Err(KeyError::Id)
        }
    }

    pub(in crate::log) fn to_text(&self) -> String {
        let NamedKey { name, id, kind, .. } = &self.named;
        let key = BASE64_STANDARD.encode(encoded(*kind, self.key.as_bytes()));
        format!("{SECRET}{name}+{id:08x}+{key}")
    }

    /// The public half.
    pub(in crate::log) fn named(&self) -> &NamedKey {
        &self.named
    }

    pub(in crate::log) fn signature(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }
}
