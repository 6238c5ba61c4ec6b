//! Whether the static proof files prove what they are called.
//!
//! Must not know how leaves were read.

use sealift_policy::layout::ObjectPath;
use sealift_policy::leaf::Leaf;
use sealift_policy::log::proof::MAX_BYTES;
use sealift_policy::log::{LogVerifier, TlogProof};

use super::because;
use super::finding::Finding;
use super::log::LogAudit;
use crate::service::Service;

/// Fetches the proof file of a leaf and checks it against the log's key, and its head against the log's tree.
pub(super) async fn check(service: &Service, log: &LogAudit, verifier: &LogVerifier, leaf: &Leaf) -> Option<Finding> {
    let name = log.name.clone();
    let unit_key = leaf.unit_key();
    let path = ObjectPath::Proof(name.operator.clone(), name.epoch, unit_key);
    let missing = |why: String| {
        Some(Finding::ProofMissing {
            log: name.clone(),
            unit_key,
            why,
        })
    };
    let bytes = match service.read(&path, MAX_BYTES as u64).await {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return missing("there is none".to_owned()),
        Err(error) => return missing(because(&error)),
    };
    let proven = TlogProof::parse(&bytes).and_then(|proof| proof.verify(leaf.to_canonical().as_bytes(), verifier));
    let why = match proven {
        Err(error) => because(&error),
        // A head that the log has signed once, and that is no beginning of its tree, is a fork.
        Ok(inclusion) => match log.tree.root_at(inclusion.checkpoint().size()) {
            Ok(root) if root == inclusion.checkpoint().root() => return None,
            Ok(_) => "its signed head is not one of this tree".to_owned(),
            // Of a head that is newer than what was read nothing can be said yet.
            Err(_) => return None,
        },
    };
    Some(Finding::ProofWrong {
        log: log.name.clone(),
        unit_key,
        why,
    })
}
