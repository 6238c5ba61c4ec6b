//! How a target folder can share bytes with the store: by clones, by hard links, or not at all.
//!
//! Owns the trial, once for each pair of devices, and its memory in the store. The answer is a hint: devices change
//! their numbers, so whoever goes by it must be ready to be refused.
//! Must not know what is shared.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use fs_err as fs;

use crate::install;
use crate::store::Store;

/// What is possible between a store and a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// A file of its own with the same blocks (reflink).
    Clone,
    /// A second name of the same file.
    Link,
    /// Neither.
    Copy,
}

impl Sharing {
    /// Between the store and this folder. Finding out costs a few system calls, remembering it one small file.
    pub fn between(store: &Store, folder: &Path) -> Self {
        let Ok(memo) = memo_path(store, folder) else {
            return Self::Copy;
        };
        let remembered = fs::read_to_string(store.path(&memo)).ok();
        if let Some(remembered) = remembered.and_then(|text| Self::parse(&text)) {
            return remembered;
        }
        let found = Self::find_out(store, folder).unwrap_or(Self::Copy);
        // That one device shares nothing with itself may be the fault of the moment.
        if found != Self::Copy || !is_one_device(store, folder) {
            let _ = store.write(&memo, found.text().as_bytes());
        }
        found
    }

    fn find_out(store: &Store, folder: &Path) -> io::Result<Self> {
        let scratch = store.scratch_folder()?;
        let from = scratch.path().join("trial");
        fs::write(&from, "trial")?;
        let name = scratch.path().file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let to = folder.join(format!(".sealift-{}", name.display()));
        let found = if install::clone(&from, &to, 0o600).is_ok() {
            Self::Clone
        } else if fs::hard_link(&from, &to).is_ok() {
            Self::Link
        } else {
            Self::Copy
        };
        let _ = fs::remove_file(&to);
        Ok(found)
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Clone, Self::Link, Self::Copy]
            .into_iter()
            .find(|sharing| sharing.text() == text)
    }

    fn text(self) -> &'static str {
        match self {
            Self::Clone => "clone",
            Self::Link => "link",
            Self::Copy => "copy",
        }
    }
}

fn devices(store: &Store, folder: &Path) -> io::Result<(u64, u64)> {
    Ok((fs::metadata(store.root())?.dev(), fs::metadata(folder)?.dev()))
}

fn is_one_device(store: &Store, folder: &Path) -> bool {
    devices(store, folder).is_ok_and(|(store, folder)| store == folder)
}

fn memo_path(store: &Store, folder: &Path) -> io::Result<String> {
    let (store, folder) = devices(store, folder)?;
    Ok(format!("memo/sharing/{store:x}-{folder:x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_out_is_remembered_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        fs::create_dir_all(store.root()).unwrap();
        let target = folder.path().join("target");
        fs::create_dir(&target).unwrap();
        let found = Sharing::between(&store, &target);
        assert_ne!(found, Sharing::Copy, "one device shares with itself");
        assert_eq!(fs::read_dir(&target).unwrap().count(), 0);

        let memo = store.path(&memo_path(&store, &target).unwrap());
        assert_eq!(fs::read_to_string(&memo).unwrap(), found.text());
        let other = [Sharing::Clone, Sharing::Link]
            .into_iter()
            .find(|one| *one != found)
            .unwrap();
        fs::write(&memo, other.text()).unwrap();
        assert_eq!(Sharing::between(&store, &target), other, "the memory is believed");
        fs::write(&memo, "nonsense").unwrap();
        assert_eq!(Sharing::between(&store, &target), found);
    }
}
