//! A world whose trust policy is distributed by TUF.
//!
//! Owns the keeper of the root of trust, with all keys in one folder. Must not know what the policy says.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::{Access, World};
use crate::child::run;
use crate::env::clean_command;

impl World {
    /// Makes a TUF repository that distributes the world's trust policy, with few keys, all of them here, and gives what
    /// a user needs to know who pins its root.
    ///
    /// # Errors
    /// If the keeper's program fails.
    pub fn found_trust(&self) -> Result<Access> {
        let keeper = self.keeper();
        if !keeper.join("root.json").exists() {
            self.keep(["init", "--root-keys", "3", "--threshold", "2"])?;
            for key in ["root-1.key", "root-2.key"] {
                self.keep([
                    OsStr::new("sign"),
                    "--key".as_ref(),
                    keeper.join("keys").join(key).as_ref(),
                ])?;
            }
        }
        self.publish_trust("--policy", &self.folder.join("trust-policy.json"))?;
        let trust_policy = self.folder.join("root.json");
        fs_err::copy(keeper.join("root.json"), &trust_policy)?;
        Ok(Access {
            trust_policy,
            ..self.access()
        })
    }

    /// Publishes a document by TUF, as this option of the keeper's program.
    ///
    /// # Errors
    /// If the keeper's program fails.
    pub fn publish_trust(&self, option: &str, file: &Path) -> Result<()> {
        let data = self.service_data();
        self.keep([
            "publish".as_ref(),
            "--to".as_ref(),
            data.as_os_str(),
            option.as_ref(),
            file.as_ref(),
        ])
    }

    /// Signs a new timestamp, which users ask for before the old one expires.
    ///
    /// # Errors
    /// If the keeper's program fails.
    pub fn renew_trust(&self) -> Result<()> {
        self.keep(["renew".as_ref(), "--to".as_ref(), self.service_data().as_os_str()])
    }

    /// The folder of who keeps the root of trust.
    pub fn keeper(&self) -> PathBuf {
        self.folder.join("trust")
    }

    /// Runs a step of the keeper's.
    fn keep<A: AsRef<OsStr>>(&self, step: impl IntoIterator<Item = A>) -> Result<()> {
        let mut command = clean_command(self.programs.builder());
        command.arg("trust").args(step).arg("--data").arg(self.keeper());
        run(&mut command)?.successful().map(drop)
    }
}
