//! The content-addressed objects: those that leaves speak of, and all others.
//!
//! Must not know logs beyond what they state.

use std::io;

use sealift_policy::digest::{Digest, UnitKey};
use sealift_policy::document::UnitDocument;
use sealift_policy::layout::{MAX_DOCUMENT, ObjectPath};
use sealift_policy::manifest::Manifest;

use super::{Check, FsckError};
use crate::admit::{self, StoredOutput};
use crate::frame::{self, Content, FrameError, MAX_PREFIX};
use crate::store::ObjectStore as _;

pub(super) fn check(check: &mut Check, files: &[String]) -> Result<(), FsckError> {
    let mut units = Vec::new();
    for (unit, stated) in &check.stated {
        for one in stated {
            units.push((*unit, one.manifest));
        }
    }
    units.sort();
    units.dedup();
    for (unit, manifest) in units {
        documents(check, unit, manifest)?;
    }
    for file in files.iter().filter(|file| file.starts_with("v1/cas/")) {
        match file.trim_start_matches("v1/cas/").parse::<Digest>() {
            Ok(sha256) => {
                check.report.objects += 1;
                if !check.referenced.contains(&sha256) {
                    check.note(file, "no leaf speaks of it, as an interrupted submission leaves it");
                }
            }
            Err(_) => check.finding(file, "does not belong here"),
        }
    }
    Ok(())
}

/// The documents of a leaf are what they are called, speak of the unit, and their outputs are in the store.
fn documents(check: &mut Check, unit: UnitKey, manifest: Digest) -> Result<(), FsckError> {
    if document(check, unit.digest())?.is_some_and(|bytes| UnitDocument::from_canonical(&bytes).is_err()) {
        check.finding(ObjectPath::Cas(unit.digest()), "is no key document");
    }
    let Some(bytes) = document(check, manifest)? else {
        return Ok(());
    };
    match Manifest::from_canonical(&bytes) {
        Ok(parsed) if parsed.unit_key == unit => {
            for stored in admit::outputs(&parsed) {
                output(check, stored)?;
            }
        }
        Ok(_) => check.finding(ObjectPath::Cas(manifest), "speaks of another unit than its leaf"),
        Err(error) => check.finding(ObjectPath::Cas(manifest), error.to_string()),
    }
    Ok(())
}

fn document(check: &mut Check, sha256: Digest) -> Result<Option<Vec<u8>>, FsckError> {
    check.referenced.insert(sha256);
    let path = ObjectPath::Cas(sha256);
    let Some(stored) = check.read(&path, 2 * MAX_DOCUMENT)? else {
        check.finding(path, "is missing or too long");
        return Ok(None);
    };
    match frame::decode_document(&stored, sha256, MAX_DOCUMENT) {
        Ok(content) => Ok(Some(content)),
        Err(error) => {
            check.finding(path, error.to_string());
            Ok(None)
        }
    }
}

fn output(check: &mut Check, output: StoredOutput) -> Result<(), FsckError> {
    let sha256 = output.content.sha256;
    check.referenced.insert(sha256);
    if !check
        .decoded
        .insert((sha256, output.prefix.map(|prefix| prefix.sha256)))
    {
        return Ok(());
    }
    let mut prefix = Vec::new();
    if let Some(content) = output.prefix {
        // If the prefix itself is wrong, that is a finding of its own.
        if content.size > MAX_PREFIX || decode(check, content, &[], &mut prefix)?.is_err() {
            return Ok(());
        }
    }
    if let Err(problem) = decode(check, output.content, &prefix, &mut io::sink())? {
        check.finding(ObjectPath::Cas(sha256), problem);
    }
    Ok(())
}

fn decode(
    check: &Check,
    content: Content,
    prefix: &[u8],
    out: &mut impl io::Write,
) -> Result<Result<(), String>, FsckError> {
    let Some(object) = check.store.open(&ObjectPath::Cas(content.sha256))? else {
        return Ok(Err("is missing".to_owned()));
    };
    match frame::decode(object.file, prefix, content, out) {
        Ok(()) => Ok(Ok(())),
        Err(FrameError::Read(source)) => Err(source.into()),
        Err(error) => Ok(Err(error.to_string())),
    }
}
