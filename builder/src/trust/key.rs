//! The keys of TUF roles: PKCS#8 PEM files that only their owner may read, and public keys beside them to hand around.
//!
//! Must not know which role a key has.

use std::path::{Path, PathBuf};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::Ed25519KeyPair;
use tough::async_trait;
use tough::key_source::KeySource;
use tough::schema::key::Key;
use tough::sign::Sign;

use super::{TrustError, hex};
use crate::{durable, key_file};

/// The label of a private key in PEM (RFC 7468).
const LABEL: &str = "PRIVATE KEY";

/// The ending of the file with the public key.
const PUBLIC: &str = "pub.json";

/// A key in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFile(PathBuf);

impl KeyFile {
    /// Makes a new key. One that is there is never replaced.
    ///
    /// # Errors
    /// When the file is there, or cannot be written.
    pub fn create(path: &Path) -> Result<Self, TrustError> {
        let unspecified = |_| TrustError::Sign("the system has no randomness".into());
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(unspecified)?;
        let text = pem::encode(&pem::Pem::new(LABEL, document.as_ref()));
        key_file::create_private(path, &text)?;
        let file = Self(path.to_owned());
        let public = serde_json::to_string_pretty(&file.public()?).expect("keys have string members only");
        durable::write(&path.with_extension(PUBLIC), format!("{public}\n").as_bytes())?;
        Ok(file)
    }

    /// The key in this file, which need not be there yet.
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Reads the key.
    ///
    /// # Errors
    /// When it is missing, could have been read by others, or is none.
    pub fn read(&self) -> Result<Ed25519KeyPair, TrustError> {
        let text = key_file::read_private(&self.0)?;
        let not_a_key = || TrustError::NotAKey(self.0.clone());
        let pem = pem::parse(text).ok().filter(|pem| pem.tag() == LABEL);
        let pem = pem.ok_or_else(not_a_key)?;
        Ed25519KeyPair::from_pkcs8(pem.contents()).map_err(|_| not_a_key())
    }

    /// Its public half.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn public(&self) -> Result<Key, TrustError> {
        Ok(self.read()?.tuf_key())
    }
}

/// Reads the public key that [`KeyFile::create`] wrote beside a private one.
///
/// # Errors
/// When the file cannot be read, or holds no Ed25519 key.
pub fn read_public(path: &Path) -> Result<Key, TrustError> {
    let text = fs_err::read(path)?;
    match serde_json::from_slice(&text) {
        Ok(key @ Key::Ed25519 { .. }) => Ok(key),
        _ => Err(TrustError::NotAKey(path.to_owned())),
    }
}

/// The id of a key, in hexadecimal digits.
///
/// # Errors
/// When it cannot be written as TUF does.
pub fn id(key: &Key) -> Result<String, TrustError> {
    Ok(hex(&key.key_id()?))
}

#[async_trait]
impl KeySource for KeyFile {
    async fn as_sign(&self) -> Result<Box<dyn Sign>, Box<dyn std::error::Error + Send + Sync + 'static>> {
        Ok(Box::new(self.read()?))
    }

    async fn write(&self, _: &str, _: &str) -> Result<(), Box<dyn std::error::Error + Send + Sync + 'static>> {
        Err("keys are written once, when they are made".into())
    }
}
