//! Fetching the files of one log, and when that is given up.
//!
//! Owns the limits. Must not know whether what comes is right.

use std::collections::BTreeMap;

use futures::{StreamExt as _, stream};
use sealift_policy::layout::ObjectPath;
use sealift_policy::log::TilePath;
use sealift_policy::log::tile::{TileKind, WIDTH};

use super::Reader;
use crate::audit::finding::{Finding, LogName};
use crate::audit::{AT_ONCE, because};

/// The longest entry bundle, and the longest tile of hashes.
const MAX_BUNDLE: u64 = WIDTH as u64 * (2 + 65_535);
const MAX_TILE: u64 = WIDTH as u64 * 32;

/// After how many files that cannot be had a log is given up: one that serves nothing would be asked for all of it.
pub(in crate::audit) const MAX_MISSING: usize = 64;

/// How many bytes of one log's entries are read that were not seen before, at most; 2^24 leaves have 2.9 GB.
pub(super) const MAX_READ: u64 = 4 << 30;

impl Reader<'_> {
    /// Fetches files of a log. Gives those that are missing, and says if there were so many that others were not asked for.
    pub(super) async fn fetch(
        self,
        log: &LogName,
        paths: Vec<TilePath>,
        limit: u64,
        served: &mut BTreeMap<TilePath, Vec<u8>>,
    ) -> Vec<Finding> {
        let (mut missing, mut read, mut waiting) = (vec![], 0, paths.len());
        let mut answers = stream::iter(paths)
            .map(async |path| (path, self.tile(log, path).await))
            .buffered(AT_ONCE);
        while let Some((path, answer)) = answers.next().await {
            match answer {
                Ok(bytes) => {
                    read += bytes.len() as u64;
                    served.insert(path, bytes);
                }
                Err(finding) => missing.push(finding),
            }
            waiting -= 1;
            let why = match waiting {
                0 => break,
                _ if missing.len() >= MAX_MISSING => format!("{MAX_MISSING} bundles of entries cannot be had"),
                _ if read > limit => "its entries are longer than one audit reads".to_owned(),
                _ => continue,
            };
            let log = log.clone();
            missing.push(Finding::GivenUp { log, why });
            break;
        }
        missing
    }

    pub(super) async fn tile(self, log: &LogName, path: TilePath) -> Result<Vec<u8>, Finding> {
        let limit = match path.kind() {
            TileKind::Entries => MAX_BUNDLE,
            TileKind::Hashes(_) => MAX_TILE,
        };
        let object = ObjectPath::Tile(log.operator.clone(), log.epoch, path.to_string());
        let why = match self.service.read(&object, limit).await {
            Ok(Some(bytes)) => return Ok(bytes),
            Ok(None) => "there is none".to_owned(),
            Err(error) => because(&error),
        };
        Err(Finding::TileMissing {
            log: log.clone(),
            tile: path,
            why,
        })
    }
}
