//! Putting a stored run where cargo expects it: its tree into `OUT_DIR`, its text to standard output.
//!
//! Owns looking at both before anything is written, at each use, whoever vouches for them.
//! Must not know why the run may be used.

use std::collections::BTreeSet;
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use fs_err as fs;
use sealift_policy::manifest::Role;
use sealift_policy::remap;
use sealift_policy::run::env_counts;
use sealift_policy::run::stdout::NotShared;

use super::Run;
use super::archive::{self, Refused};
use crate::decide::Reusable;

/// Longest text that a run may print, in bytes.
const MAX_STDOUT: u64 = 16 << 20;

/// Why a stored run is not used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum NotRestored {
    #[error("its tree is refused")]
    Tree(#[from] Refused),
    #[error("its text is refused")]
    Text(#[from] NotShared),
    #[error("its text declares to have read `{0}`, and its manifest does not say how that was set")]
    Undeclared(String),
    #[error("it prints too much")]
    TooLong,
    #[error("an output is missing")]
    Missing,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Restores a run. When it fails `OUT_DIR` may be empty, as the script itself finds it at its first run.
pub fn restore(run: &Run, unit: &Reusable) -> Result<(), NotRestored> {
    let blob = |role: Role| {
        let found = unit.blobs().iter().find(|(of, _)| *of == role);
        found.map(|(_, path)| path.as_path()).ok_or(NotRestored::Missing)
    };
    let printed = read(blob(Role::Stdout)?)?;
    let instructions = run.instructions(&printed)?;
    let said: BTreeSet<_> = unit.manifest().env_deps.iter().map(|dep| &dep.name).collect();
    if let Some(name) = (instructions.env.iter()).find(|name| !env_counts(name) && !said.contains(name)) {
        return Err(NotRestored::Undeclared(name.clone()));
    }
    archive::unpack(blob(Role::OutDir)?, &run.out_dir, |content| run.local_file(content))?;
    let printed = String::from_utf8(printed).map_err(|_| NotShared::NotUtf8)?;
    io::stdout()
        .lock()
        .write_all(remap::to_local_paths(&printed, &run.places).as_bytes())?;
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, NotRestored> {
    let mut printed = vec![];
    fs::File::open(path)?.take(MAX_STDOUT + 1).read_to_end(&mut printed)?;
    if printed.len() as u64 > MAX_STDOUT {
        return Err(NotRestored::TooLong);
    }
    Ok(printed)
}
