//! The service's configuration file and the trust policy that it names.
//!
//! Whatever is wrong with either stops the program: a service that silently admits nobody, or the wrong ones, is worse.
//! Must not know how the policy is used.

use std::io;
use std::path::{Path, PathBuf};

use sealift_policy::layout::ObjectPath;
use sealift_policy::trust::TrustPolicy;
use sealift_policy::tuf::TufFile;
use serde::Deserialize;

use crate::store::fs::{FsStore, file_of};
use crate::tuf::{self, TufError};

/// The file that is read without `--config`, below the data folder.
const DEFAULT: &str = "service.toml";

/// The configuration file (TOML).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceConfig {
    /// The trust policy whose operators are admitted; relative to the configuration file.
    pub trust_policy: Option<PathBuf>,
    /// The TUF root from which the repository in the data folder must follow; relative to the configuration file. A
    /// mirror copies only what follows from it. Without a `trust_policy` the repository's own policy is used.
    pub trust_root: Option<PathBuf>,
}

/// What the configuration leads to.
#[derive(Debug, Default)]
pub struct Trust {
    /// Who is admitted; nobody without it.
    pub policy: Option<TrustPolicy>,
    /// The pinned TUF root.
    pub root: Option<Vec<u8>>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("failed to read the configuration")]
    Read(#[from] io::Error),
    /// The configuration file is malformed.
    #[error("`{path}` is malformed")]
    Config {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: toml::de::Error,
    },
    /// The trust policy is malformed.
    #[error("trust policy `{path}` is malformed")]
    Policy {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The repository in the data folder does not lead to a policy.
    #[error("failed to read the trust policy from the TUF repository")]
    Tuf(#[from] TufError),
}

/// Reads what the configuration names. Nothing if there is no configuration, or it names nothing.
pub async fn trust(config: Option<&Path>, data: &Path) -> Result<Trust, ConfigError> {
    let named = named(config, data)?;
    let root = named.trust_root.map(fs_err::read).transpose()?;
    let policy = match (named.trust_policy, &root) {
        (Some(path), _) => {
            let text = fs_err::read(&path)?;
            Some(serde_json::from_slice(&text).map_err(|source| ConfigError::Policy { path, source })?)
        }
        // A mirror has nothing before its first copy.
        (None, Some(_)) if !has_repository(data) => None,
        (None, Some(root)) => Some(tuf::policy(FsStore::inspect(data)?, root).await?),
        (None, None) => None,
    };
    Ok(Trust { policy, root })
}

/// The pinned TUF root alone. What the repository in the data folder is like does not matter: a copy mends it.
pub fn root(config: Option<&Path>, data: &Path) -> Result<Option<Vec<u8>>, ConfigError> {
    Ok(named(config, data)?.trust_root.map(fs_err::read).transpose()?)
}

/// The configuration, with the paths of the files that it names. Empty if there is none.
fn named(config: Option<&Path>, data: &Path) -> Result<ServiceConfig, ConfigError> {
    let path = match config {
        Some(path) => path.to_owned(),
        None => data.join(DEFAULT),
    };
    let text = match fs_err::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if config.is_none() && error.kind() == io::ErrorKind::NotFound => {
            return Ok(ServiceConfig::default());
        }
        Err(error) => return Err(error.into()),
    };
    let parsed: ServiceConfig = toml::from_str(&text).map_err(|source| ConfigError::Config {
        path: path.clone(),
        source,
    })?;
    let beside = |file: PathBuf| path.parent().unwrap_or(Path::new("")).join(file);
    Ok(ServiceConfig {
        trust_policy: parsed.trust_policy.map(beside),
        trust_root: parsed.trust_root.map(beside),
    })
}

fn has_repository(data: &Path) -> bool {
    file_of(data, &ObjectPath::Tuf(TufFile::Timestamp)).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = r#"{"version":1,"operators":[],"quorum":{"host_code":2,"library":1},
        "max_checkpoint_age_seconds":604800}"#;

    fn read(config: Option<&Path>, data: &Path) -> Result<Option<TrustPolicy>, ConfigError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(trust(config, data)).map(|trust| trust.policy)
    }

    fn folder(config: &str, policy: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join(DEFAULT), config).unwrap();
        fs_err::write(folder.path().join("policy.json"), policy).unwrap();
        folder
    }

    #[test]
    fn without_a_configuration_nobody_is_admitted() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read(None, folder.path()).unwrap().is_none());
    }

    #[test]
    fn the_policy_lies_beside_the_configuration() {
        let folder = folder("trust_policy = \"policy.json\"", POLICY);
        assert!(read(None, folder.path()).unwrap().is_some());
        let elsewhere = tempfile::tempdir().unwrap();
        assert!(
            read(Some(&folder.path().join(DEFAULT)), elsewhere.path())
                .unwrap()
                .is_some()
        );
    }

    #[test]
    fn a8_an_unreadable_configuration_or_policy_stops_the_program() {
        for (config, policy) in [
            ("trust_policy = \"absent.json\"", POLICY),
            ("trust_policy = \"policy.json\"", "{}"),
            ("trust_policy = \"policy.json\"", ""),
            ("trust_policy = 1", POLICY),
            ("trust_polcy = \"policy.json\"", POLICY),
            ("trust_root = \"absent.json\"", POLICY),
            ("trust_policy", POLICY),
        ] {
            let folder = folder(config, policy);
            assert!(read(None, folder.path()).is_err(), "{config}");
        }
        let folder = tempfile::tempdir().unwrap();
        assert!(read(Some(&folder.path().join("absent.toml")), folder.path()).is_err());
    }
}
