//! Staging: what was found to be publishable goes to where the signer looks and to where submissions are made from.
//!
//! Order: objects and the unit's record are durable before the signer is asked, so that whatever is signed can be
//! submitted. What is staged but not signed is swept away at the next start.
//! Must not know the log or the network.

use std::io;
use std::path::Path;

use sealift_policy::digest::{Digest, UnitKey};
use sealift_policy::manifest::{Manifest, Role};
use sealift_policy::wire::SubmittedPlan;
use serde::{Deserialize, Serialize};

use crate::capture::CapturedUnit;
use crate::data::Data;
use crate::signer::{KEY_DOCUMENT, MANIFEST};
use crate::{durable, object};

/// What a submission says about a unit, kept beside the log. Version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitRecord {
    /// Always 1.
    pub version: u32,
    /// The unit.
    pub unit_key: UnitKey,
    /// The manifest's canonical bytes.
    pub manifest: String,
    /// The key document's canonical bytes.
    pub key_document: String,
    /// The plans for which it was seen.
    pub plans: Vec<SubmittedPlan>,
    /// How long it took to compile, in milliseconds.
    pub compile_ms: u64,
    /// Whether it was built in a sandbox.
    pub sandboxed: bool,
    /// What it adds to a submission at most: its documents and stored objects, in bytes.
    pub stored: u64,
}

impl UnitRecord {
    /// SHA-256 of the manifest.
    pub fn manifest_digest(&self) -> Digest {
        Digest::of(self.manifest.as_bytes())
    }

    /// Reads the record of a unit.
    ///
    /// # Errors
    /// When it is absent or damaged.
    pub fn read(data: &Data, key: UnitKey) -> io::Result<Self> {
        let record: Self = serde_json::from_slice(&fs_err::read(data.unit(key))?)?;
        if record.version == 1 && record.unit_key == key {
            Ok(record)
        } else {
            Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("the record of unit {key} is damaged"),
            ))
        }
    }
}

/// One output as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredOutput {
    /// SHA-256 of the content.
    pub sha256: Digest,
    /// Length of the content.
    pub size: u64,
    /// The rmeta that serves as prefix.
    pub prefix: Option<Digest>,
}

/// The outputs of a manifest as they are stored, in an order in which each prefix comes before what needs it.
pub fn stored_outputs(manifest: &Manifest) -> Vec<StoredOutput> {
    let rmeta = manifest.output(Role::Rmeta).map(|output| output.sha256);
    let outputs = manifest.outputs.iter();
    let stored = outputs.map(|output| StoredOutput {
        sha256: output.sha256,
        size: output.size,
        prefix: rmeta.filter(|_| output.role == Role::Rlib),
    });
    stored.collect()
}

/// Stages a unit; `outputs` are its contents in the order of the manifest.
///
/// # Errors
/// When the file system fails.
pub fn stage(
    data: &Data,
    unit: &CapturedUnit,
    outputs: &[Vec<u8>],
    plans: Vec<SubmittedPlan>,
    sandboxed: bool,
) -> io::Result<UnitRecord> {
    let rmeta = unit
        .manifest
        .outputs
        .iter()
        .position(|output| output.role == Role::Rmeta);
    let rmeta = rmeta.and_then(|index| outputs.get(index));
    let mut stored = (unit.manifest_text.len() + unit.key_document.len()) as u64;
    for (output, content) in stored_outputs(&unit.manifest).iter().zip(outputs) {
        let path = data.object(output.sha256);
        let length = match fs_err::metadata(&path) {
            Ok(meta) => meta.len(),
            Err(_) => {
                let prefix = output.prefix.and(rmeta).map(Vec::as_slice);
                let bytes = object::compress(content, prefix)?;
                durable::write(&path, &bytes)?;
                bytes.len() as u64
            }
        };
        stored += length;
    }
    let record = UnitRecord {
        version: 1,
        unit_key: unit.key,
        manifest: unit.manifest_text.clone(),
        key_document: unit.key_document.clone(),
        plans,
        compile_ms: unit.compile_ms,
        sandboxed,
        stored,
    };
    durable::write(&data.unit(unit.key), &serde_json::to_vec(&record)?)?;
    write_staging(&data.staging(unit.key), unit, outputs)?;
    Ok(record)
}

fn write_staging(folder: &Path, unit: &CapturedUnit, outputs: &[Vec<u8>]) -> io::Result<()> {
    if folder.exists() {
        fs_err::remove_dir_all(folder)?;
    }
    fs_err::create_dir_all(folder)?;
    fs_err::write(folder.join(KEY_DOCUMENT), &unit.key_document)?;
    fs_err::write(folder.join(MANIFEST), &unit.manifest_text)?;
    for (output, content) in unit.manifest.outputs.iter().zip(outputs) {
        fs_err::write(folder.join(&output.name), content)?;
    }
    Ok(())
}

/// Removes what is staged for a unit.
///
/// # Errors
/// When the file system fails.
pub fn unstage(data: &Data, key: UnitKey) -> io::Result<()> {
    match fs_err::remove_dir_all(data.staging(key)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
