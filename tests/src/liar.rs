//! An operator that lies: known to everyone, in possession of its key, and stating other bytes for a unit than the honest ones.
//!
//! It speaks to the service as every operator does. Must not reach into anyone's folders.

use anyhow::{Context, Result, ensure};
use rand_core::OsRng;
use sealift_policy::digest::{Digest, UnitKey};
use sealift_policy::layout::{COMPRESSION_LEVEL, MAX_DOCUMENT, ObjectPath};
use sealift_policy::leaf::Leaf;
use sealift_policy::log::{Checkpoint, LogSigner, Origin, Tree, TreeHash};
use sealift_policy::manifest::{Manifest, Role};
use sealift_policy::name::OperatorName;
use sealift_policy::wire::{SUBMISSION_CONTENT_TYPE, SubmissionHeader, SubmittedBlob, SubmittedUnit, UnitHint};

use crate::world::Operator;

/// The liar, with the key that the trust policy lists.
#[derive(Debug)]
pub struct Liar {
    name: OperatorName,
    signer: LogSigner,
}

impl Liar {
    /// Somebody new.
    ///
    /// # Errors
    /// If the name is none.
    pub fn new(name: &str) -> Result<Self> {
        let name: OperatorName = name.parse()?;
        let signer = LogSigner::generate(Origin::of(&name, 1), &mut OsRng);
        Ok(Self { name, signer })
    }

    /// How the world knows it.
    pub fn operator(&self) -> Operator {
        Operator {
            name: self.name.to_string(),
            data: None,
            vkey: self.signer.verifier().to_string(),
            password: None,
            identity_token: None,
        }
    }

    /// Takes what honest operators published for a unit, changes the output of this role, and publishes that in its own log.
    /// Returns the digest of the changed output.
    ///
    /// # Errors
    /// If nobody published the unit, or the service refuses the submission.
    pub fn lie_about(&self, url: &str, key: UnitKey, role: Role, now: u64) -> Result<Digest> {
        let hint: UnitHint = serde_json::from_slice(&get(url, &ObjectPath::Unit(key))?)?;
        let honest = hint.manifests.first().context("nobody published the unit")?;
        let mut manifest = Manifest::from_canonical(&document(url, honest.sha256)?)?;
        let key_document = String::from_utf8(document(url, key.digest())?)?;

        let output = manifest
            .outputs
            .iter_mut()
            .find(|output| output.role == role)
            .context("no output of that role")?;
        let mut changed = decompress(&get(url, &ObjectPath::Cas(output.sha256))?, output.size)?;
        // Bytes after the last section: the file works as before, which is the lie that is hardest to notice.
        changed.extend_from_slice(b"evil");
        output.sha256 = Digest::of(&changed);
        output.size = changed.len() as u64;
        let lie = output.sha256;
        let manifest = manifest.to_canonical();
        let stored = compress(&changed)?;

        let leaf = Leaf::new(key, Digest::of(manifest.as_bytes())).to_canonical();
        let tree = Tree::of([TreeHash::of_leaf(leaf.as_bytes())])?;
        let checkpoint = Checkpoint {
            origin: Origin::of(&self.name, 1),
            size: tree.size(),
            root: tree.root(),
            time: now,
        };
        let checkpoint = String::from_utf8(checkpoint.sign(&self.signer)?.as_bytes().to_vec())?;
        let header = SubmissionHeader {
            provenance: Vec::new(),
            version: 1,
            operator: self.name.clone(),
            epoch: 1,
            old_size: 0,
            checkpoint,
            units: vec![SubmittedUnit {
                leaf,
                manifest,
                key_document,
                plans: vec![],
                compile_ms: 1,
            }],
            blobs: vec![SubmittedBlob {
                sha256: lie,
                size: changed.len() as u64,
                stored: stored.len() as u64,
                prefix: None,
            }],
        };
        submit(url, &header, &stored)?;
        Ok(lie)
    }
}

/// Posts a submission, which must be admitted.
fn submit(url: &str, header: &SubmissionHeader, blobs: &[u8]) -> Result<()> {
    let header = serde_json::to_vec(header)?;
    let mut body = (header.len() as u64).to_be_bytes().to_vec();
    body.extend_from_slice(&header);
    body.extend_from_slice(blobs);
    let answer = reqwest::blocking::Client::new()
        .post(format!("{url}/v1/submit"))
        .header("content-type", SUBMISSION_CONTENT_TYPE)
        .body(body)
        .send()?;
    let status = answer.status();
    ensure!(
        status.is_success(),
        "the service refused the submission: {status} {}",
        answer.text()?
    );
    Ok(())
}

fn get(url: &str, path: &ObjectPath) -> Result<Vec<u8>> {
    let answer = reqwest::blocking::get(format!("{url}{path}"))?.error_for_status()?;
    Ok(answer.bytes()?.to_vec())
}

fn document(url: &str, digest: Digest) -> Result<Vec<u8>> {
    decompress(&get(url, &ObjectPath::Cas(digest))?, MAX_DOCUMENT)
}

fn decompress(stored: &[u8], limit: u64) -> Result<Vec<u8>> {
    Ok(zstd::bulk::decompress(stored, usize::try_from(limit)?)?)
}

fn compress(content: &[u8]) -> Result<Vec<u8>> {
    Ok(zstd::bulk::compress(content, COMPRESSION_LEVEL)?)
}
