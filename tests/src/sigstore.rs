//! A Sigstore instance on loopback: stand-ins of its services that speak the real protocols (`tests/sigstore/standins.py`).
//!
//! Owns starting and stopping them. Must not know what is signed there.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::child::Background;
use crate::env::clean_command;
use crate::programs::Programs;

/// How long it may take to make its keys and to listen.
const START_LIMIT: Duration = Duration::from_secs(60);

/// An instance. It is stopped when this is dropped.
#[derive(Debug)]
pub struct Sigstore {
    folder: PathBuf,
    services: Services,
    _process: Background,
}

/// Where its services are, and to whom it gives certificates.
#[derive(Debug, Clone, Deserialize)]
pub struct Services {
    /// The certificate authority.
    pub fulcio: String,
    /// The log.
    pub rekor: String,
    /// The timestamp authority.
    pub tsa: String,
    /// Where identity tokens are handed out to jobs of CI.
    pub tokens: String,
    /// Who vouches for identities.
    pub issuer: String,
    /// The identity of the first token.
    pub subject: String,
}

impl Sigstore {
    /// Starts an instance with new keys.
    ///
    /// # Errors
    /// If Python's environment is not there, or the services do not listen in time.
    pub fn start(folder: &Path, programs: &Programs) -> Result<Self> {
        fs_err::create_dir_all(folder)?;
        let python = programs.target().join("tools/python/bin/python");
        ensure!(python.exists(), "`./x test` installs Python's packages");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("sigstore/standins.py");
        let mut command = clean_command(&python);
        command.arg(script).arg(folder);
        let ready = |line: &str| serde_json::from_str::<Services>(line).ok();
        let (process, services) = Background::start(&mut command, &folder.join("log"), START_LIMIT, ready)
            .context("the stand-ins of Sigstore do not start")?;
        Ok(Self {
            folder: folder.to_owned(),
            services,
            _process: process,
        })
    }

    /// Its addresses.
    pub fn services(&self) -> &Services {
        &self.services
    }

    /// What verifiers believe.
    pub fn trusted_root(&self) -> PathBuf {
        self.folder.join("trusted_root.json")
    }

    /// A token of the identity that is named in [`Services`].
    pub fn token(&self) -> PathBuf {
        self.folder.join("token")
    }

    /// A token of somebody else that was good until a minute ago.
    pub fn expired_token(&self) -> PathBuf {
        self.folder.join("expired-token")
    }

    /// A token of somebody else.
    pub fn other_token(&self) -> PathBuf {
        self.folder.join("other-token")
    }
}
