//! What a pass left in its store: every handled unit with its key document, manifest and outputs, read with suspicion.
//!
//! Must not know the other pass.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use sealift_policy::digest::{Digest, UnitKey};
use sealift_policy::document::UnitDocument;
use sealift_policy::local::{self, CallSummary, LocalUnit, UnitOrigin, VERSION_DIR};
use sealift_policy::manifest::{MAX_OUTPUT, Manifest};
use walkdir::WalkDir;

/// A unit that one pass compiled.
#[derive(Debug, Clone)]
pub struct CapturedUnit {
    /// The unit.
    pub key: UnitKey,
    /// The key document's canonical bytes.
    pub key_document: String,
    /// What it says.
    pub document: UnitDocument,
    /// The manifest's canonical bytes.
    pub manifest_text: String,
    /// What it says.
    pub manifest: Manifest,
    /// How cargo asked for it.
    pub call: CallSummary,
    /// How long it took to compile, in milliseconds.
    pub compile_ms: u64,
}

/// The units of one pass.
#[derive(Debug)]
pub struct Captured {
    store: PathBuf,
    contents: PathBuf,
    /// By their keys.
    pub units: BTreeMap<UnitKey, CapturedUnit>,
    /// Records that could not be used, for people.
    pub damaged: Vec<String>,
}

impl Captured {
    /// Reads the store of a pass.
    ///
    /// # Errors
    /// When the folder cannot be read. A damaged record is left out and told about.
    pub fn read(store: &Path) -> io::Result<Self> {
        let contents = store.join(VERSION_DIR);
        let store = store.to_owned();
        let mut captured = Self {
            store,
            contents,
            units: BTreeMap::new(),
            damaged: Vec::new(),
        };
        let folder = captured.contents.join("units");
        if !folder.is_dir() {
            return Ok(captured);
        }
        for entry in WalkDir::new(&folder).sort_by_file_name() {
            let entry = entry?;
            if !entry.file_type().is_file() || entry.path().extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            match captured.unit(entry.path()) {
                Ok(Some(unit)) => {
                    captured.units.insert(unit.key, unit);
                }
                Ok(None) => {}
                Err(why) => captured.damaged.push(format!("{}: {why}", entry.path().display())),
            }
        }
        Ok(captured)
    }

    fn unit(&self, record: &Path) -> Result<Option<CapturedUnit>, String> {
        let text = fs_err::read(record).map_err(|error| error.to_string())?;
        let unit: LocalUnit = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
        let (UnitOrigin::Compiled { .. }, Some(call)) = (unit.origin, unit.call) else {
            return Ok(None);
        };
        let key_document = fs_err::read_to_string(self.contents.join(local::key_path(unit.unit_key)));
        let key_document = key_document.map_err(|error| error.to_string())?;
        let (key, document) = UnitDocument::from_canonical(key_document.as_bytes()).map_err(|e| e.to_string())?;
        let manifest = Manifest::from_canonical(unit.manifest.as_bytes()).map_err(|error| error.to_string())?;
        if key != unit.unit_key || manifest.unit_key != key {
            return Err("it is filed under another unit".to_owned());
        }
        Ok(Some(CapturedUnit {
            key,
            key_document,
            document,
            manifest_text: unit.manifest,
            manifest,
            call,
            compile_ms: unit.compile_ms,
        }))
    }

    /// The store itself.
    pub fn store(&self) -> &Path {
        &self.store
    }

    /// Where the content of an output lies.
    pub fn output_path(&self, sha256: Digest) -> PathBuf {
        self.contents.join(local::cas_path(sha256))
    }

    /// The content of an output, of at most `size` bytes.
    ///
    /// # Errors
    /// When it is missing, or is not what its name says.
    pub fn output(&self, sha256: Digest, size: u64) -> io::Result<Vec<u8>> {
        use std::io::Read as _;
        let mut bytes = Vec::new();
        let file = crate::no_follow::open(&self.output_path(sha256))?;
        file.take(size.min(MAX_OUTPUT) + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 == size && Digest::of(&bytes) == sha256 {
            Ok(bytes)
        } else {
            Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("output {sha256} is damaged"),
            ))
        }
    }
}
