//! What the builder staged for one unit, checked as if a stranger had put it there (B5, B14).
//!
//! A staging folder holds exactly the key document, the manifest and the outputs that the manifest names: plain files
//! with one name each, of the stated size and content. Must not know the log.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use sealift_policy::digest::{Digest, Hasher, UnitKey};
use sealift_policy::document::UnitDocument;
use sealift_policy::key::MAX_KEY_DOCUMENT;
use sealift_policy::leaf::Leaf;
use sealift_policy::manifest::{MAX_MANIFEST, Manifest, Output, Role};

use crate::no_follow;

/// Name of the key document in a staging folder. No output can be called so: outputs end in the unit's key.
pub const KEY_DOCUMENT: &str = "key.json";

/// Name of the manifest in a staging folder.
pub const MANIFEST: &str = "manifest.json";

/// Why a unit is not signed.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// A file that no manifest names, or a name that is not text.
    #[error("unexpected file `{0}`")]
    UnexpectedFile(String),
    /// A file that is missing.
    #[error("`{0}` is missing")]
    Missing(String),
    /// A link, folder, device, or a file with a second name or special mode.
    #[error("`{0}` is not a plain file of its own")]
    NotPlain(String),
    /// Longer or shorter than stated, or than allowed.
    #[error("`{0}` has an unexpected size")]
    Size(String),
    /// Another content than stated.
    #[error("`{0}` has another content than the manifest says")]
    Content(String),
    /// The key document is not this unit's.
    #[error("the key document is not that of the unit")]
    KeyDocument,
    /// The manifest is malformed or not this unit's.
    #[error("the manifest is not that of the unit")]
    Manifest,
    /// Outputs that such a call does not have, or of another crate.
    #[error("the outputs are not those of such a call")]
    Outputs,
    /// The file system failed.
    #[error("failed to read what is staged: {0}")]
    Io(io::Error),
}

/// Checks everything that is staged for a unit and gives the leaf that may be signed.
pub(super) fn check(folder: &Path, key: UnitKey) -> Result<Leaf, Refusal> {
    let document = read_small(folder, KEY_DOCUMENT, MAX_KEY_DOCUMENT)?;
    let (found, document) = UnitDocument::from_canonical(&document).map_err(|_| Refusal::KeyDocument)?;
    if found != key {
        return Err(Refusal::KeyDocument);
    }
    let bytes = read_small(folder, MANIFEST, MAX_MANIFEST)?;
    let manifest = Manifest::from_canonical(&bytes).map_err(|_| Refusal::Manifest)?;
    if manifest.unit_key != key {
        return Err(Refusal::Manifest);
    }
    let roles: Vec<Role> = manifest.outputs.iter().map(|output| output.role).collect();
    if document.expected_roles() != Some(&roles[..]) || manifest.crate_name() != Some(document.crate_name()) {
        return Err(Refusal::Outputs);
    }
    only_expected_files(folder, &manifest)?;
    for output in &manifest.outputs {
        check_output(folder, output)?;
    }
    Ok(Leaf::new(key, Digest::of(&bytes)))
}

fn only_expected_files(folder: &Path, manifest: &Manifest) -> Result<(), Refusal> {
    let mut expected: BTreeSet<&str> = manifest.outputs.iter().map(|output| output.name.as_str()).collect();
    expected.extend([KEY_DOCUMENT, MANIFEST]);
    for entry in fs_err::read_dir(folder).map_err(Refusal::Io)? {
        let name = entry.map_err(Refusal::Io)?.file_name();
        if !name.to_str().is_some_and(|name| expected.contains(name)) {
            let shown = name
                .to_string_lossy()
                .chars()
                .take(200)
                .flat_map(char::escape_default)
                .collect();
            return Err(Refusal::UnexpectedFile(shown));
        }
    }
    Ok(())
}

fn check_output(folder: &Path, output: &Output) -> Result<(), Refusal> {
    let (file, size) = open_plain(folder, &output.name)?;
    if size != output.size {
        return Err(Refusal::Size(output.name.clone()));
    }
    let mut file = file.take(output.size + 1);
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; 1 << 16];
    let mut total = 0;
    loop {
        let length = file.read(&mut buffer).map_err(Refusal::Io)?;
        if length == 0 {
            break;
        }
        total += length as u64;
        hasher.update(&buffer[..length]);
    }
    if total != output.size {
        return Err(Refusal::Size(output.name.clone()));
    }
    if hasher.finish() == output.sha256 {
        Ok(())
    } else {
        Err(Refusal::Content(output.name.clone()))
    }
}

fn read_small(folder: &Path, name: &str, limit: usize) -> Result<Vec<u8>, Refusal> {
    let (file, size) = open_plain(folder, name)?;
    if size > limit as u64 {
        return Err(Refusal::Size(name.to_owned()));
    }
    let mut bytes = Vec::new();
    file.take(limit as u64).read_to_end(&mut bytes).map_err(Refusal::Io)?;
    Ok(bytes)
}

/// Opens without following a link, and looks at what was opened, not at what the name says a moment later.
fn open_plain(folder: &Path, name: &str) -> Result<(File, u64), Refusal> {
    let file = no_follow::open(&folder.join(name)).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Refusal::Missing(name.to_owned()),
        _ if no_follow::is_link(&error) => Refusal::NotPlain(name.to_owned()),
        _ => Refusal::Io(error),
    })?;
    let meta = file.metadata().map_err(Refusal::Io)?;
    if meta.is_file() && meta.nlink() == 1 && meta.mode() & 0o7000 == 0 {
        Ok((file, meta.len()))
    } else {
        Err(Refusal::NotPlain(name.to_owned()))
    }
}
