//! The keys of a log: its [`Origin`], the verifier key that others configure, and the signing key.
//!
//! Owns the strict parsers of both key texts and the strict Ed25519 verification.
//! Must not know what is signed, or where keys are kept.

mod secret;

use std::fmt;
use std::str::FromStr;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use ed25519_dalek::{Signature, VerifyingKey};
use rand_core::CryptoRngCore;
use serde::{Deserialize, Serialize};

pub(super) use self::secret::NamedSecret;
use crate::name::OperatorName;

/// The identity of a log, which is also its key's name: at most 255 bytes, not empty, no white space,
/// no control character, no `+`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Origin(String);

/// Why a text is not an origin, a verifier key or a signing key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The name breaks the rules of C2SP signed-note or is too long.
    #[error("`{0}` is not a key name (no white space, no `+`, at most 255 bytes)")]
    Name(String),
    /// It does not read `<name>+<8 hexadecimal digits>+<base64>`.
    #[error("malformed key text")]
    Malformed,
    /// The signature type is not the one that is needed here.
    #[error("key of signature type {found:#04x}, expected {expected:#04x}")]
    Type {
        /// The type byte in the key.
        found: u8,
        /// The type byte that this kind of key must have.
        expected: u8,
    },
    /// The key id is not the hash of name and key.
    #[error("the key id does not belong to this name and key")]
    Id,
    /// Not the canonical encoding of a point of large order: anybody could sign for such a key.
    #[error("not a safe Ed25519 public key")]
    Weak,
}

impl Origin {
    /// The origin that a log has by default: `sealift/<operator>/<epoch>`.
    pub fn of(operator: &OperatorName, epoch: u32) -> Self {
        Self(format!("sealift/{operator}/{epoch}"))
    }

    /// The text of the origin.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let valid = text.len() <= 255 && signed_note::is_key_name_valid(text) && !text.chars().any(char::is_control);
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(KeyError::Name(
                text.chars().take(80).flat_map(char::escape_default).collect(),
            ))
        }
    }
}

impl TryFrom<String> for Origin {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Origin> for String {
    fn from(origin: Origin) -> Self {
        origin.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A named Ed25519 public key with the signature type that it is for. The common part of a log's and a
/// witness's verifier key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NamedKey {
    pub(super) name: Origin,
    pub(super) id: u32,
    kind: u8,
    pub(super) point: [u8; 32],
}

impl NamedKey {
    fn new(name: Origin, kind: u8, point: [u8; 32]) -> Result<Self, KeyError> {
        let key = VerifyingKey::from_bytes(&point).map_err(|_| KeyError::Weak)?;
        // `from_bytes` reduces y modulo p; only the one canonical encoding may name a key.
        if key.is_weak() || key.to_edwards().compress().to_bytes() != point {
            return Err(KeyError::Weak);
        }
        let id = signed_note::key_id(name.as_str(), &encoded(kind, &point));
        Ok(Self { name, id, kind, point })
    }

    pub(super) fn parse(text: &str, expected: u8) -> Result<Self, KeyError> {
        let (name, id, key) = split(text)?;
        let (&found, point) = key.split_first().ok_or(KeyError::Malformed)?;
        if found != expected {
            return Err(KeyError::Type { found, expected });
        }
        let key = Self::new(name, expected, point.try_into().map_err(|_| KeyError::Malformed)?)?;
        if key.id == id { Ok(key) } else { Err(KeyError::Id) }
    }

    /// RFC 8032 with the strict rules: no small-order point, no malleated signature.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let Ok(key) = VerifyingKey::from_bytes(&self.point) else {
            return false;
        };
        Signature::from_slice(signature).is_ok_and(|signature| key.verify_strict(message, &signature).is_ok())
    }
}

impl fmt::Display for NamedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = BASE64_STANDARD.encode(encoded(self.kind, &self.point));
        write!(f, "{}+{:08x}+{key}", self.name, self.id)
    }
}

fn encoded(kind: u8, point: &[u8; 32]) -> Vec<u8> {
    [&[kind], point.as_slice()].concat()
}

/// `<name>+<8 lower-case hexadecimal digits>+<base64>` into its parts.
fn split(text: &str) -> Result<(Origin, u32, Vec<u8>), KeyError> {
    let mut parts = text.splitn(3, '+');
    let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(KeyError::Malformed);
    };
    if id.len() != 8 || !id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(KeyError::Malformed);
    }
    let id = u32::from_str_radix(id, 16).map_err(|_| KeyError::Malformed)?;
    let key = BASE64_STANDARD.decode(key).map_err(|_| KeyError::Malformed)?;
    Ok((name.parse()?, id, key))
}

/// The signature type of Ed25519 in C2SP signed-note.
pub(super) const TYPE_ED25519: u8 = 0x01;

/// A log's public key, as a C2SP verifier key `<origin>+<id>+<base64>` of type 0x01.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LogVerifier(NamedKey);

impl LogVerifier {
    /// The log that this key speaks for.
    pub fn origin(&self) -> &Origin {
        &self.0.name
    }

    /// The Ed25519 public key alone, whatever it is called and used for.
    pub fn public_key(&self) -> &[u8; 32] {
        &self.0.point
    }
}

impl FromStr for LogVerifier {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        NamedKey::parse(text, TYPE_ED25519).map(Self)
    }
}

impl TryFrom<String> for LogVerifier {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<LogVerifier> for String {
    fn from(key: LogVerifier) -> Self {
        key.to_string()
    }
}

impl fmt::Display for LogVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl signed_note::Verifier for LogVerifier {
    fn name(&self) -> &str {
        self.0.name.as_str()
    }

    fn key_id(&self) -> u32 {
        self.0.id
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.0.verifies(message, signature)
    }
}

/// A log's secret key. Its text is `PRIVATE+KEY+<origin>+<id>+<base64>`; `Debug` shows only the public half.
#[derive(Clone)]
pub struct LogSigner {
    verifier: LogVerifier,
    secret: NamedSecret,
}

impl LogSigner {
    /// A new key for this log from the given randomness.
    pub fn generate(origin: Origin, random: &mut impl CryptoRngCore) -> Self {
        NamedSecret::generate(origin, TYPE_ED25519, random).into()
    }

    /// The public half.
    pub fn verifier(&self) -> &LogVerifier {
        &self.verifier
    }

    /// The secret text, for the file that only the operator's signer may read.
    pub fn to_secret_text(&self) -> String {
        self.secret.to_text()
    }

    pub(super) fn signature(&self, message: &[u8]) -> Vec<u8> {
        self.secret.signature(message).to_vec()
    }

    pub(super) fn key_id(&self) -> u32 {
        self.verifier.0.id
    }
}

impl From<NamedSecret> for LogSigner {
    fn from(secret: NamedSecret) -> Self {
        Self {
            verifier: LogVerifier(secret.named().clone()),
            secret,
        }
    }
}

impl FromStr for LogSigner {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        NamedSecret::parse(text, TYPE_ED25519).map(Self::from)
    }
}

impl fmt::Debug for LogSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogSigner")
            .field("verifier", &self.verifier.to_string())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
