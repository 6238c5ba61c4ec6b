//! Whether what a leaf states can be had, and is what it states: key document, manifest, outputs.
//!
//! Owns downloading under limits that are known before the first byte. Must not know logs or what is remembered.

use std::io::{self, BufReader, Seek as _};

use sealift_policy::digest::{Digest, UnitKey};
use sealift_policy::document::UnitDocument;
use sealift_policy::key::MalformedKeyDocument;
use sealift_policy::layout::{MAX_DOCUMENT, MAX_WINDOW_LOG, ObjectPath};
use sealift_policy::manifest::{MalformedManifest, Manifest, Output, Role};
use sealift_policy::trust::{Subject, TrustPolicy};

use super::because;
use super::finding::{Finding, LogName, ObjectKind};
use super::record::{Pair, Record};
use crate::object;
use crate::service::Service;

/// The longest rmeta that can be the prefix of an rlib.
const MAX_PREFIX: u64 = 1 << MAX_WINDOW_LOG;

/// A unit, and who states this manifest for it.
#[derive(Debug, Clone)]
pub(super) struct Stated {
    /// The unit.
    pub(super) unit_key: UnitKey,
    /// SHA-256 of the manifest.
    pub(super) manifest: Digest,
    /// Who states it.
    pub(super) by: Vec<LogName>,
    /// Whether the outputs are looked at, too.
    pub(super) outputs: bool,
}

impl Stated {
    /// What it is remembered as.
    pub(super) const fn pair(&self) -> Pair {
        (self.unit_key, self.manifest)
    }
}

/// How much was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Checked {
    /// Outputs.
    pub(super) outputs: u64,
    /// Their stored bytes.
    pub(super) bytes: u64,
}

/// The objects of a service.
#[derive(Debug, Clone, Copy)]
pub(super) struct Objects<'a> {
    pub(super) service: &'a Service,
    pub(super) policy: &'a TrustPolicy,
    pub(super) record: &'a Record,
}

/// Why an object is not as it should be.
enum Bad {
    Missing(String),
    Wrong(String),
    /// This machine failed, not the service.
    Here(io::Error),
}

impl Objects<'_> {
    /// Looks at the objects of one unit.
    ///
    /// # Errors
    /// When this machine's file system fails.
    pub(super) async fn check(self, stated: &Stated) -> io::Result<(Checked, Vec<Finding>)> {
        let mut findings = Vec::new();
        let mut checked = Checked::default();
        let mut note = |kind, object, bad| -> io::Result<()> {
            findings.push(finding(stated, kind, object, bad)?);
            Ok(())
        };
        let key_digest = stated.unit_key.digest();
        let document = match self.key_document(stated.unit_key).await {
            Ok(document) => Some(document),
            Err(bad) => {
                note(ObjectKind::KeyDocument, key_digest, bad)?;
                None
            }
        };
        match self.manifest(stated, document.as_ref()).await {
            Err(bad) => note(ObjectKind::Manifest, stated.manifest, bad)?,
            Ok(manifest) if stated.outputs => {
                let mut rmeta = Vec::new();
                for output in &manifest.outputs {
                    match self.output(output, &mut rmeta).await {
                        Ok(stored) => {
                            checked.outputs += 1;
                            checked.bytes += stored;
                        }
                        Err(bad) => note(ObjectKind::Output, output.sha256, bad)?,
                    }
                }
            }
            Ok(_) => {}
        }
        Ok((checked, findings))
    }

    async fn key_document(self, key: UnitKey) -> Result<UnitDocument, Bad> {
        let bytes = self.document(key.digest()).await?;
        match UnitDocument::from_canonical(&bytes) {
            Ok((_, document)) => Ok(document),
            Err(error @ MalformedKeyDocument::Version(_)) => Err(Bad::Missing(because(&error))),
            Err(error) => Err(Bad::Wrong(because(&error))),
        }
    }

    async fn manifest(self, stated: &Stated, document: Option<&UnitDocument>) -> Result<Manifest, Bad> {
        let bytes = self.document(stated.manifest).await?;
        let manifest = Manifest::from_canonical(&bytes).map_err(|error| match error {
            MalformedManifest::Version(_) => Bad::Missing(because(&error)),
            _ => Bad::Wrong(because(&error)),
        })?;
        if manifest.unit_key != stated.unit_key {
            return Err(Bad::Wrong(format!("it speaks of unit {}", manifest.unit_key)));
        }
        if let Some(document) = document {
            let class = document.class().map_err(|error| Bad::Wrong(because(&error)))?;
            let subject = Subject {
                unit_key: stated.unit_key,
                document,
                class,
            };
            let fits = self.policy.check_outputs(&subject, &manifest);
            fits.map_err(|error| Bad::Wrong(because(&error)))?;
        }
        Ok(manifest)
    }

    /// A document; one that was right is kept, and is not fetched again.
    async fn document(self, sha256: Digest) -> Result<Vec<u8>, Bad> {
        let read = |stored: &[u8]| {
            object::decode_document(stored, sha256, MAX_DOCUMENT).map_err(|error| Bad::Wrong(because(&error)))
        };
        if let Some(stored) = self.record.document(sha256).map_err(Bad::Here)?
            && let Ok(content) = read(&stored)
        {
            return Ok(content);
        }
        let limit = object::longest_stored(MAX_DOCUMENT);
        let stored = self.service.read(&ObjectPath::Cas(sha256), limit).await;
        let stored = stored.map_err(|error| Bad::Missing(because(&error)))?;
        let stored = stored.ok_or_else(|| Bad::Missing("there is none".to_owned()))?;
        let content = read(&stored)?;
        self.record.keep_document(sha256, &stored).map_err(Bad::Here)?;
        Ok(content)
    }

    /// An output; an rlib is read with the rmeta that came before it. Gives the length of the stored bytes.
    async fn output(self, output: &Output, rmeta: &mut Vec<u8>) -> Result<u64, Bad> {
        let mut file = tempfile::tempfile_in(self.record.root()).map_err(Bad::Here)?;
        let limit = object::longest_stored(output.size);
        let path = ObjectPath::Cas(output.sha256);
        let length = self.service.download(&path, limit, &mut file).await;
        let length = length.map_err(|error| Bad::Missing(because(&error)))?;
        let length = length.ok_or_else(|| Bad::Missing("there is none".to_owned()))?;
        file.rewind().map_err(Bad::Here)?;
        let stored = BufReader::with_capacity(128 << 10, file);
        let content = (output.sha256, output.size);
        let read = match output.role {
            Role::Rmeta if output.size <= MAX_PREFIX => {
                rmeta.clear();
                object::decode(stored, &[], content, rmeta)
            }
            Role::Rlib => object::decode(stored, rmeta, content, &mut io::sink()),
            _ => object::decode(stored, &[], content, &mut io::sink()),
        };
        read.map_err(|error| Bad::Wrong(because(&error)))?;
        Ok(length)
    }
}

fn finding(stated: &Stated, kind: ObjectKind, object: Digest, bad: Bad) -> io::Result<Finding> {
    let (unit_key, stated_by) = (stated.unit_key, stated.by.clone());
    match bad {
        Bad::Wrong(why) => Ok(Finding::ObjectWrong {
            unit_key,
            kind,
            object,
            stated_by,
            why,
        }),
        Bad::Missing(why) => Ok(Finding::ObjectMissing {
            unit_key,
            kind,
            object,
            stated_by,
            why,
        }),
        Bad::Here(error) => Err(error),
    }
}
