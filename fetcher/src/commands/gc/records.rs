//! Small records that nobody will ask for again: events of old builds, memories, and what is known of units that are gone.
//!
//! Owns how long each kind is worth keeping. Losing one costs time or an explanation, never a right answer.
//! Must not know outputs or units that are there.

use std::path::{Path, PathBuf};

use sealift_policy::local;

use super::DAY;
use super::inventory::files;
use crate::in_use::last_used;
use crate::store::Store;

/// Folders of the store and for how many days what lies in them is kept. A key document without its unit still explains
/// misses; the record of an output without its bytes still lets a target folder's units be recognised.
const KEPT: [(&str, i64); 6] = [
    ("builds", 30),
    ("plans", 30),
    ("memo", 90),
    ("keys", 90),
    ("by-package", 90),
    ("outputs", 180),
];

/// Builds whose events stay, however old they are.
const NEWEST_BUILDS: usize = 10;

/// The records that go.
pub(super) fn old(store: &Store, now: i64) -> Vec<PathBuf> {
    let mut old = vec![];
    for (folder, days) in KEPT {
        let mut found: Vec<(i64, PathBuf)> = files(&store.path(folder))
            .filter_map(|path| Some((last_used(&path)?, path)))
            .filter(|(_, path)| !is_needed(store, folder, path))
            .collect();
        if folder == "builds" {
            found.sort();
            found.truncate(found.len().saturating_sub(NEWEST_BUILDS));
        }
        old.extend(
            found
                .into_iter()
                .filter(|(used, _)| *used < now - days * DAY)
                .map(|(_, path)| path),
        );
    }
    old
}

/// Whether a record speaks of something that is there.
fn is_needed(store: &Store, folder: &str, path: &Path) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return false;
    };
    match folder {
        "keys" | "by-package" => name
            .parse()
            .is_ok_and(|key| store.path(&local::unit_path(key)).exists()),
        "outputs" => {
            let digest = name.strip_suffix(".json").unwrap_or(name);
            digest
                .parse()
                .is_ok_and(|digest| store.path(&local::cas_path(digest)).exists())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use sealift_policy::digest::{Digest, UnitKey};

    use super::*;
    use crate::clock;

    #[test]
    fn records_of_what_is_there_and_the_newest_builds_stay() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let (gone, there) = (UnitKey::new(Digest::of(b"gone")), UnitKey::new(Digest::of(b"there")));
        for key in [gone, there] {
            store
                .write_key(key, "{}", &"syn".parse().unwrap(), &"1.0.0".parse().unwrap())
                .unwrap();
        }
        store.write(&local::unit_path(there), b"{}").unwrap();
        for number in 0..NEWEST_BUILDS + 2 {
            store.write(&format!("builds/{number}-1.jsonl"), b"").unwrap();
        }
        assert_eq!(old(&store, clock::seconds()), Vec::<PathBuf>::new());
        let found = old(&store, clock::seconds() + 1000 * DAY);
        let count = |part: &str| found.iter().filter(|path| path.starts_with(store.path(part))).count();
        assert_eq!((count("builds"), count("keys"), count("by-package")), (2, 1, 1));
        assert!(found.contains(&store.path(&local::key_path(gone))));
    }
}
