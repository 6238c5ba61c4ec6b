//! The keeper's side of trust: a TUF repository, its keys, and the ceremonies in which they sign.
//!
//! Owns the keeper's folder and the order in which its files are written and published. Metadata, canonical JSON and
//! signatures are crate `tough`'s. Must not know the command line, the network or what a trust policy is for.

pub mod folder;
pub mod key;
pub mod publish;
pub mod root;
pub mod status;

use std::io;
use std::path::PathBuf;

use tough::schema::RoleType;

use crate::key_file::KeyFileError;

/// Why a step of a ceremony is not done.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// A key file holds something else.
    #[error("`{0}` does not hold an Ed25519 key")]
    NotAKey(PathBuf),
    /// A file of the folder is not what it should be.
    #[error("`{path}` is not {what}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What it should be.
        what: &'static str,
        /// Why it is not.
        #[source]
        source: serde_json::Error,
    },
    /// There is no root yet, or none with enough signatures.
    #[error("`{0}` has no signed root yet")]
    NoRoot(PathBuf),
    /// There is one already.
    #[error("`{0}` has a root already")]
    Exists(PathBuf),
    /// There is nothing to sign.
    #[error("`{0}` has no draft of a root")]
    NoDraft(PathBuf),
    /// A draft waits for signatures; another would take its place.
    #[error("root {0} still waits for signatures")]
    Pending(u64),
    /// The key has no part in it.
    #[error("key {0} is neither one of the new root's keys nor of the old one's")]
    Stranger(String),
    /// A threshold that the keys cannot meet, or that one of them meets alone.
    #[error("a threshold of {threshold} with {keys} keys makes no sense")]
    Threshold {
        /// What was asked for.
        threshold: u64,
        /// How many keys there are.
        keys: usize,
    },
    /// One key twice.
    #[error("key {0} is named twice")]
    Twice(String),
    /// No key of the role begins like this, or more than one.
    #[error("`{0}` is not the beginning of exactly one key of this role")]
    NoSuchKey(String),
    /// The keys here are not those of the role.
    #[error("no key file here is a key of the role `{0}` by the root")]
    NoKey(RoleType),
    /// There is no policy to publish.
    #[error("there is no trust policy to publish yet")]
    NoPolicy,
    /// What is published is newer than what is here.
    #[error("`{0}` has timestamp {1}, which is newer than the keeper's folder: that folder is an older copy")]
    Older(PathBuf, u64),
    /// A file is no trusted root of a Sigstore instance.
    #[error("`{path}` is not a trusted root of Sigstore")]
    TrustedRoot {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<sealift_policy::provenance::keyless::KeylessRejection>,
    },
    /// What is published is not what is here.
    #[error("`{0}` is not what the keeper's folder has under this name: that folder is an older copy, or another one")]
    Other(PathBuf),
    /// Crate `tough` refuses.
    #[error("failed to make TUF metadata")]
    Tuf(#[source] Box<tough::error::Error>),
    /// The metadata cannot be read as such.
    #[error("failed to make TUF metadata")]
    Schema(#[source] Box<tough::schema::Error>),
    /// Signing failed.
    #[error("failed to sign")]
    Sign(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The file system failed.
    #[error("failed to read or write the keeper's folder")]
    Io(#[from] io::Error),
}

impl From<tough::error::Error> for TrustError {
    fn from(error: tough::error::Error) -> Self {
        Self::Tuf(Box::new(error))
    }
}

impl From<tough::schema::Error> for TrustError {
    fn from(error: tough::schema::Error) -> Self {
        Self::Schema(Box::new(error))
    }
}

/// The name of a role in file names and on the command line.
pub fn name(role: RoleType) -> &'static str {
    match role {
        RoleType::Root => "root",
        RoleType::Snapshot => "snapshot",
        RoleType::Targets => "targets",
        RoleType::Timestamp => "timestamp",
        RoleType::DelegatedTargets => "delegated-targets",
    }
}

/// Bytes in hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
