//! The operator's data folder: where everything that outlives a command lies.
//!
//! Owns the layout:
//!
//! | path | what |
//! | --- | --- |
//! | `operator.json` | name, epoch and public key |
//! | `keys/<epoch>.key` | the log's signing key; mode 0600 in a folder of mode 0700; read by the signer only |
//! | `keys/<epoch>.seen` | the largest head that was ever signed, so that a restored backup is noticed |
//! | `keys/provenance.key` | the key that signs provenance, in cosign's encrypted format; absent until `attest init` |
//! | `keyless.json` | the Sigstore instance at which provenance is signed without a key; absent until `attest keyless` |
//! | `provenance/<epoch>/<from>-<to>.sigstore.json` | what was attested of the units of a batch, by the indexes of their leaves |
//! | `log/<epoch>/` | the log: `checkpoint`, `tile/...`, and `heads/<size>`, each batch's signed checkpoint |
//! | `objects/<2>/<sha256>` | what was signed, as it is submitted: one zstd frame each |
//! | `units/<2>/<unit key>.json` | what belongs to a signed unit besides: plans, compile time, prefixes |
//! | `staging/` | outputs on their way to the signer |
//! | `cargo-home/` | sources |
//! | `work/` | builds in progress |
//! | `witness-policy` | optional, written by the operator: the witnesses that are asked, as tlog-policy text |
//! | `nondeterminism/` | what differed between two passes |
//!
//! Must not know what the files contain.

use std::path::{Path, PathBuf};

use sealift_policy::digest::{Digest, UnitKey};
use sealift_policy::log::key::LogVerifier;
use sealift_policy::name::OperatorName;
use serde::{Deserialize, Serialize};

use crate::durable;

/// An existing data folder.
#[derive(Debug, Clone)]
pub struct Data {
    root: PathBuf,
    operator: Operator,
}

/// Whose data folder it is. Version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operator {
    /// Always 1.
    pub version: u32,
    /// The operator.
    pub name: OperatorName,
    /// Which of the operator's logs is written.
    pub epoch: u32,
    /// The key with which others verify that log.
    pub vkey: LogVerifier,
}

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// No operator was created there.
    #[error("`{0}` is no data folder of an operator")]
    Absent(PathBuf),
    /// There is an operator already.
    #[error("`{0}` is the data folder of `{1}` already")]
    Taken(PathBuf, OperatorName),
    /// `operator.json` is damaged or of another version.
    #[error("malformed `{0}`")]
    Malformed(PathBuf),
    /// The file system failed.
    #[error("failed to use the data folder")]
    Io(#[from] std::io::Error),
}

impl Data {
    /// Opens the data folder of an operator.
    ///
    /// # Errors
    /// When there is none.
    pub fn open(root: &Path) -> Result<Self, DataError> {
        let absent = |_| DataError::Absent(root.to_owned());
        let root = fs_err::canonicalize(root).map_err(absent)?;
        let file = root.join("operator.json");
        let text = fs_err::read_to_string(&file).map_err(|_| DataError::Absent(root.clone()))?;
        let operator: Operator = serde_json::from_str(&text).map_err(|_| DataError::Malformed(file.clone()))?;
        if operator.version != 1 {
            return Err(DataError::Malformed(file));
        }
        Ok(Self { root, operator })
    }

    /// Makes a folder the data folder of an operator.
    ///
    /// # Errors
    /// When it is one already, or cannot be written.
    pub fn create(root: &Path, operator: Operator) -> Result<Self, DataError> {
        match Self::open(root) {
            Ok(data) => return Err(DataError::Taken(data.root, data.operator.name)),
            Err(DataError::Absent(_)) => {}
            Err(other) => return Err(other),
        }
        durable::create_folder(root)?;
        let root = fs_err::canonicalize(root)?;
        Ok(Self { root, operator })
    }

    /// Writes `operator.json`: the last step of creating an operator, after key and log.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(&self) -> Result<(), DataError> {
        let text = serde_json::to_string_pretty(&self.operator).expect("plain fields");
        Ok(durable::write(
            &self.root.join("operator.json"),
            format!("{text}\n").as_bytes(),
        )?)
    }

    /// Whose it is.
    pub fn operator(&self) -> &Operator {
        &self.operator
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of keys, which nothing but the signer may read.
    pub fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    /// The signing key.
    pub fn key(&self) -> PathBuf {
        self.keys().join(format!("{}.key", self.operator.epoch))
    }

    /// The key that signs provenance.
    pub fn provenance_key(&self) -> PathBuf {
        self.keys().join("provenance.key")
    }

    /// The Sigstore instance at which provenance is signed without a key.
    pub fn keyless(&self) -> PathBuf {
        self.root.join("keyless.json")
    }

    /// The bundle about the units of a batch.
    pub fn provenance(&self, from: u64, to: u64) -> PathBuf {
        let folder = self.root.join("provenance").join(self.operator.epoch.to_string());
        folder.join(format!("{from}-{to}.sigstore.json"))
    }

    /// The largest head that was ever signed.
    pub fn seen(&self) -> PathBuf {
        self.keys().join(format!("{}.seen", self.operator.epoch))
    }

    /// The log.
    pub fn log(&self) -> PathBuf {
        self.root.join("log").join(self.operator.epoch.to_string())
    }

    /// What only one signer may hold at a time.
    pub fn signer_lock(&self) -> PathBuf {
        self.root.join("signer.lock")
    }

    /// What only one build may hold at a time.
    pub fn build_lock(&self) -> PathBuf {
        self.root.join("build.lock")
    }

    /// A stored object.
    pub fn object(&self, digest: Digest) -> PathBuf {
        sharded(&self.root.join("objects"), &digest.to_string(), "")
    }

    /// What belongs to a unit besides its manifest.
    pub fn unit(&self, key: UnitKey) -> PathBuf {
        sharded(&self.root.join("units"), &key.to_string(), ".json")
    }

    /// Outputs on their way to the signer: one folder for each unit.
    pub fn staging(&self, key: UnitKey) -> PathBuf {
        self.root.join("staging").join(key.to_string())
    }

    /// Cargo's home for downloads.
    pub fn cargo_home(&self) -> PathBuf {
        self.root.join("cargo-home")
    }

    /// Builds in progress.
    pub fn work(&self) -> PathBuf {
        self.root.join("work")
    }

    /// Which witnesses the operator wants to be asked, besides those of a trust policy.
    pub fn witness_policy(&self) -> PathBuf {
        self.root.join("witness-policy")
    }

    /// What differed between two passes.
    pub fn nondeterminism(&self) -> PathBuf {
        self.root.join("nondeterminism")
    }
}

fn sharded(folder: &Path, name: &str, suffix: &str) -> PathBuf {
    folder.join(&name[..2]).join(format!("{name}{suffix}"))
}

#[cfg(test)]
mod tests {
    use rand_core::OsRng;
    use sealift_policy::log::Origin;
    use sealift_policy::log::key::LogSigner;

    use super::*;

    fn operator(name: &str) -> Operator {
        let name: OperatorName = name.parse().unwrap();
        thread_local!(static KEY: LogSigner = LogSigner::generate(Origin::of(&"x".parse().unwrap(), 1), &mut OsRng));
        Operator {
            version: 1,
            name,
            epoch: 1,
            vkey: KEY.with(|key| key.verifier().clone()),
        }
    }

    #[test]
    fn an_operator_is_created_once() {
        let folder = tempfile::tempdir().unwrap();
        let data = Data::create(folder.path(), operator("alpha")).unwrap();
        assert!(
            matches!(Data::open(folder.path()), Err(DataError::Absent(_))),
            "not before it is finished"
        );
        data.finish().unwrap();
        assert_eq!(Data::open(folder.path()).unwrap().operator(), &operator("alpha"));
        assert!(matches!(
            Data::create(folder.path(), operator("beta")),
            Err(DataError::Taken(..))
        ));
    }

    #[test]
    fn a_damaged_operator_file_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("operator.json"), "{}").unwrap();
        assert!(matches!(
            Data::create(folder.path(), operator("alpha")),
            Err(DataError::Malformed(_))
        ));
    }
}
