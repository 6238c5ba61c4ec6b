//! Where the programs under test are: beside the program that asks.
//!
//! Must not build anything: `./x` does that first.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// A folder that holds Sealift's four programs.
#[derive(Debug, Clone)]
pub struct Programs {
    folder: PathBuf,
}

const NAMES: [&str; 4] = ["sealift-rustc", "cargo-sealift", "sealift-service", "sealift-builder"];

impl Programs {
    /// The programs of the build that this program comes from: beside it, or for a test one folder up.
    ///
    /// # Errors
    /// If one is missing.
    pub fn beside_this_one() -> Result<Self> {
        let this = std::env::current_exe().context("failed to find this program")?;
        let mut folder = this.parent().context("a program without a folder")?;
        if folder.ends_with("deps") {
            folder = folder.parent().context("a program without a folder")?;
        }
        for name in NAMES {
            ensure!(
                folder.join(name).is_file(),
                "`{name}` is missing from `{}`\nhint: `./x test` and `./x build` build the programs first",
                folder.display()
            );
        }
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// The folder, for `PATH`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder of cargo's outputs, which holds this build's folder.
    pub fn target(&self) -> &Path {
        self.folder.parent().unwrap_or(&self.folder)
    }

    /// The `RUSTC_WRAPPER`.
    pub fn rustc_wrapper(&self) -> PathBuf {
        self.folder.join("sealift-rustc")
    }

    /// `cargo sealift`.
    pub fn cargo_sealift(&self) -> PathBuf {
        self.folder.join("cargo-sealift")
    }

    /// The public store's server.
    pub fn service(&self) -> PathBuf {
        self.folder.join("sealift-service")
    }

    /// An operator's program.
    pub fn builder(&self) -> PathBuf {
        self.folder.join("sealift-builder")
    }
}
