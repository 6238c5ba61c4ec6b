//! What a sweep of the local store has to leave alone, and what nobody will ever come back for.
//!
//! A build marks each unit before it looks at the outputs ([`Store::mark_used`]) and takes an output by one system call,
//! so a sweep that spares what was used since the oldest running build began takes nothing from any build. A build that
//! comes for a unit between a sweep's last look and its removal compiles it, as for any miss.
//! Must not know what is swept, or why.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use fs_err as fs;
use sealift_policy::digest::UnitKey;
use sealift_policy::local::BuildEvent;

use crate::events;
use crate::store::{SCRATCH, Store};

/// Processes in other namespaces cannot be seen, so what a dead process left is left alone for this long, in seconds.
const DEAD: i64 = 3600;

/// Ids are given to other processes in time, so what a living process seems to own is its own for this long, in seconds.
const ALIVE: i64 = 7 * 24 * 3600;

/// What running builds use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InUse {
    since: Option<i64>,
    units: BTreeSet<UnitKey>,
}

impl InUse {
    /// By the builds that run now and have used the store below this folder.
    pub fn now(store: &Path) -> io::Result<Self> {
        let mut in_use = Self::default();
        for build in events::builds(store)?.into_iter().filter(|build| build.is_running()) {
            // Without a time everything is in use.
            let began = build.began().unwrap_or(i64::MIN);
            in_use.since = Some(in_use.since.map_or(began, |since| since.min(began)));
            in_use
                .units
                .extend(events::read(store, build)?.events.iter().filter_map(unit));
        }
        Ok(in_use)
    }

    /// These units, and nothing else.
    #[cfg(test)]
    pub(crate) fn of(units: impl IntoIterator<Item = UnitKey>) -> Self {
        Self {
            since: None,
            units: units.into_iter().collect(),
        }
    }

    /// Whether a unit that was last used then, in seconds since 1970, has to stay.
    pub fn protects(&self, unit: UnitKey, used: i64) -> bool {
        self.units.contains(&unit) || self.since.is_some_and(|since| used >= since)
    }
}

/// When a file of the store was last used or written: the kernel's time of its last change, which linking it, marking
/// it and writing it set. `None` when it is gone.
pub fn last_used(path: &Path) -> Option<i64> {
    Some(fs::symlink_metadata(path).ok()?.ctime())
}

/// Files and folders that killed processes left behind.
pub fn leftovers(store: &Store, now: i64) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(store.path(SCRATCH)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => return Err(error),
    };
    let mut leftovers = vec![];
    for entry in entries {
        let path = entry?.path();
        let limit = if owner(&path).is_some_and(is_alive) {
            ALIVE
        } else {
            DEAD
        };
        if last_used(&path).is_some_and(|used| now - used > limit) {
            leftovers.push(path);
        }
    }
    Ok(leftovers)
}

fn unit(event: &BuildEvent) -> Option<UnitKey> {
    match event {
        BuildEvent::Unit(unit) => unit.unit_key,
        BuildEvent::Prefetch(_) => None,
    }
}

/// The process that a scratch name such as `f123-4` or `c123-Xy` speaks of.
fn owner(path: &Path) -> Option<u32> {
    let (letter_and_id, _) = path.file_name()?.to_str()?.split_once('-')?;
    letter_and_id.get(1..)?.parse().ok()
}

fn is_alive(process: u32) -> bool {
    Path::new("/proc").join(process.to_string()).exists()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use sealift_policy::digest::Digest;
    use sealift_policy::local::PrefetchEvent;

    use super::*;
    use crate::clock;
    use crate::events::BuildId;

    #[test]
    fn what_was_used_since_a_running_build_began_stays() {
        let folder = tempfile::tempdir().unwrap();
        let other = UnitKey::new(Digest::of(b"other"));
        assert!(!InUse::now(folder.path()).unwrap().protects(other, clock::seconds()));

        let this = BuildId::of_process(std::process::id()).unwrap();
        let event = BuildEvent::Prefetch(PrefetchEvent::default());
        events::append(folder.path(), this, &event).unwrap();
        let in_use = InUse::now(folder.path()).unwrap();
        assert!(in_use.protects(other, this.began().unwrap()));
        assert!(!in_use.protects(other, this.began().unwrap() - 1));
    }

    #[test]
    fn a_unit_that_is_looked_at_counts_as_used() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let key = UnitKey::new(Digest::of(b"key"));
        let path = sealift_policy::local::unit_path(key);
        store.write(&path, b"{}").unwrap();
        let time = std::time::SystemTime::UNIX_EPOCH;
        let record = fs::File::open(store.path(&path)).unwrap();
        record.file().set_modified(time).unwrap();
        store.mark_used(key);
        assert!(fs::metadata(store.path(&path)).unwrap().mtime() > 0);
        store.mark_used(UnitKey::new(Digest::of(b"a unit that is not there")));
    }

    #[test]
    fn what_a_killed_process_left_is_found_and_what_a_running_one_needs_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let ours = store.scratch_folder().unwrap();
        let mut child = Command::new("true").stdin(Stdio::null()).spawn().unwrap();
        let dead = child.id();
        child.wait().unwrap();
        let left = [format!("c{dead}-Xy"), format!("f{dead}-0"), "nobody's".to_owned()];
        for name in &left {
            fs::write(store.path(SCRATCH).join(name), "").unwrap();
        }
        let now = clock::seconds();
        assert_eq!(leftovers(&store, now).unwrap(), Vec::<PathBuf>::new(), "all are young");
        let mut found = leftovers(&store, now + DEAD + 2).unwrap();
        found.sort();
        assert_eq!(found, left.map(|name| store.path(SCRATCH).join(name)));
        assert!(
            leftovers(&store, now + ALIVE + 2)
                .unwrap()
                .contains(&ours.path().to_owned())
        );
    }
}
