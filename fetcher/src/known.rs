//! Which content lies at a path of a target folder.
//!
//! Owns the memory of what was found where, believed only while the file's inode, size and times are what they were.
//! A file is remembered only once it is older than the clock's resolution, since until then it may change again and keep
//! its time, or where that cannot happen (see [`fine_times`]). Anything else is read and hashed.
//! Must not know what the content is.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fs_err as fs;
use memchr::memmem;
use sealift_policy::digest::Digest;

use crate::install::Written;
use crate::store::{self, Store};
use crate::{clock, fine_times};

/// The folder of the store with what is remembered, a file for each target folder.
const INSTALLED: &str = "memo/installed";

/// The kernel gives files the time of its last tick, at least a hundred of which make a second.
const TICK: Duration = Duration::from_millis(20);

/// The coarsest clock of a file system that has no parts of a second.
const WHOLE_SECONDS: Duration = Duration::from_secs(2);

/// File systems whose times are another machine's (`linux/magic.h`).
const OTHER_CLOCKS: &[u32] = &[
    0x6969,      // NFS
    0xFF53_4D42, // CIFS
    0xFE53_4D42, // SMB 2
    0x517B,      // SMB
    0x6573_5546, // FUSE
    0x0102_1997, // 9P
    0x00C3_6400, // Ceph
    0x5346_414F, // AFS
    0x0BD0_0BD0, // Lustre
];

/// Most bytes that are kept of one folder; more are forgotten, all at once.
const MAX_MEMORY: u64 = 4 << 20;

/// The files of target folders, with what is remembered of them.
#[derive(Debug)]
pub struct Known<'a> {
    store: &'a Store,
    memories: BTreeMap<PathBuf, String>,
}

impl<'a> Known<'a> {
    /// As the store remembers them.
    pub fn of(store: &'a Store) -> Self {
        Self {
            store,
            memories: BTreeMap::new(),
        }
    }

    /// The digest of the file at this path.
    pub fn digest_at(&mut self, path: &Path) -> io::Result<Digest> {
        let began = clock::now();
        let before = Stamp::from(&fs::metadata(path)?);
        if let Some(digest) = self.remembered(path, &before) {
            return Ok(digest);
        }
        let (digest, _) = store::digest_of_file(path)?;
        if before.is_final(self.store, path, began)
            && !has_another_clock(path)
            && let Some(folder) = path.parent()
        {
            let mut notes = Notes::default();
            notes.push(path, digest, &before);
            notes.write(self.store, folder);
        }
        Ok(digest)
    }

    /// What was noted last, if the file is still as it was then.
    fn remembered(&mut self, path: &Path, stamp: &Stamp) -> Option<Digest> {
        let folder = path.parent()?;
        if !self.memories.contains_key(folder) {
            let memory = fs::read_to_string(self.store.path(&memory_of(folder))).unwrap_or_default();
            self.memories.insert(folder.to_owned(), memory);
        }
        let note = newest_note(&self.memories[folder], name_of(path)?)?;
        note.strip_prefix(&stamp.text)?.strip_prefix('\t')?.parse().ok()
    }
}

/// What follows the last mention of a name, up to the end of its line.
fn newest_note<'a>(memory: &'a str, name: &str) -> Option<&'a str> {
    let begin = format!("{name}\t");
    let finder = memmem::FinderRev::new(&begin);
    let mut places = finder.rfind_iter(memory.as_bytes());
    let place = places.find(|&place| place == 0 || memory.as_bytes()[place - 1] == b'\n')?;
    memory[place + begin.len()..].lines().next()
}

/// What is to be remembered of one folder: written at once, and what is never written costs time only.
#[derive(Debug, Default)]
pub struct Notes(String);

impl Notes {
    /// Takes note of what was just installed at a path of the folder.
    pub fn add(&mut self, store: &Store, path: &Path, digest: Digest, installed: Written) {
        let began = clock::now();
        let Ok(metadata) = fs::metadata(path) else { return };
        let stamp = Stamp::from(&metadata);
        if installed == Written::of(&metadata) && stamp.is_final(store, path, began) && !has_another_clock(path) {
            self.push(path, digest, &stamp);
        }
    }

    fn push(&mut self, path: &Path, digest: Digest, stamp: &Stamp) {
        let name = name_of(path);
        let line = name.map(|name| format!("{name}\t{}\t{digest}\n", stamp.text));
        self.0.extend(line);
    }

    /// More lines in the memory of the folder: a file for each would cost more than what it saves.
    pub fn write(self, store: &Store, folder: &Path) {
        if !self.0.is_empty() {
            let _ = store.append(&memory_of(folder), self.0.as_bytes(), MAX_MEMORY);
        }
    }
}

/// Names of which the memory is sure where they end.
fn name_of(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?;
    (!name.contains(|c: char| c.is_control())).then_some(name)
}

fn memory_of(folder: &Path) -> String {
    let name = Digest::of(folder.as_os_str().as_encoded_bytes()).to_string();
    format!("{INSTALLED}/{}/{name}", &name[..2])
}

/// What changes when a file does.
#[derive(Debug)]
struct Stamp {
    text: String,
    newest: Duration,
    has_parts_of_a_second: bool,
    /// So that the time of the last change, which nobody can set, is part of the text.
    has_one_name: bool,
}

impl From<&std::fs::Metadata> for Stamp {
    fn from(metadata: &std::fs::Metadata) -> Self {
        let mtime = (metadata.mtime(), metadata.mtime_nsec());
        // Another hard link changes this time, and leaves the content alone.
        let ctime = match metadata.nlink() {
            1 => (metadata.ctime(), metadata.ctime_nsec()),
            _ => (0, 0),
        };
        let newest = mtime.max(ctime);
        Self {
            text: format!(
                "{} {} {} {mtime:?} {ctime:?}",
                metadata.dev(),
                metadata.ino(),
                metadata.len()
            ),
            newest: Duration::new(
                newest.0.try_into().unwrap_or_default(),
                newest.1.try_into().unwrap_or_default(),
            ),
            has_parts_of_a_second: mtime.1 != 0 || ctime.1 != 0,
            has_one_name: metadata.nlink() == 1,
        }
    }
}

impl Stamp {
    /// Whether any change since the file was looked at, at this time or before, shows.
    fn is_final(&self, store: &Store, path: &Path, looked: Duration) -> bool {
        let is_fine = || {
            let folder = path.parent();
            folder.is_some_and(|folder| fine_times::are_given(store, folder))
        };
        self.is_older_than(looked) || (self.has_parts_of_a_second && self.has_one_name && is_fine())
    }

    fn is_older_than(&self, now: Duration) -> bool {
        let resolution = if self.has_parts_of_a_second {
            TICK
        } else {
            WHOLE_SECONDS
        };
        // A time to come is no age.
        now.checked_sub(self.newest).is_some_and(|age| age > resolution)
    }
}

fn has_another_clock(path: &Path) -> bool {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the kernel's magic numbers have 32 bits, its field has the width of a word"
    )]
    rustix::fs::statfs(path).map_or(true, |found| OTHER_CLOCKS.contains(&(found.f_type as u32)))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use sealift_policy::manifest::Role;

    use super::*;
    use crate::install::Installer;

    fn stamp(newest: Duration) -> Stamp {
        Stamp {
            text: String::new(),
            newest,
            has_parts_of_a_second: newest.subsec_nanos() != 0,
            has_one_name: true,
        }
    }

    struct Target {
        _folder: tempfile::TempDir,
        store: Store,
        file: PathBuf,
    }

    impl Target {
        /// A file that was written this long ago.
        fn with(content: &str, age: Duration) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let store = Store::open(&folder.path().join("store")).unwrap();
            let file = folder.path().join("liba.rmeta");
            fs::write(&file, content).unwrap();
            let target = Self {
                _folder: folder,
                store,
                file,
            };
            target.written(age);
            target
        }

        fn remember(&self, digest: Digest, written: Written) {
            let mut notes = Notes::default();
            notes.add(&self.store, &self.file, digest, written);
            notes.write(&self.store, self.file.parent().unwrap());
        }

        fn note(&self, path: &Path, digest: Digest, stamp: &Stamp) {
            let mut notes = Notes::default();
            notes.push(path, digest, stamp);
            notes.write(&self.store, path.parent().unwrap());
        }

        fn digest(&self) -> io::Result<Digest> {
            Known::of(&self.store).digest_at(&self.file)
        }

        /// A second name keeps the time of the last change, which no program can set, out of the stamp.
        fn written(&self, age: Duration) {
            let _ = fs::hard_link(&self.file, self.file.with_extension("second"));
            let time = SystemTime::UNIX_EPOCH + clock::now() - age;
            fs::File::open(&self.file).unwrap().file().set_modified(time).unwrap();
        }
    }

    #[test]
    fn a_file_younger_than_the_clock_s_resolution_is_not_remembered() {
        let written = Duration::new(1_800_000_000, 5);
        let later = |millis| written + Duration::from_millis(millis);
        assert!(!stamp(written).is_older_than(written));
        assert!(!stamp(written).is_older_than(later(20)));
        assert!(stamp(written).is_older_than(later(21)));
        assert!(!stamp(written).is_older_than(written - TICK), "it is of the future");
        // Where there are no parts of a second, one second may be the next.
        let written = Duration::from_secs(1_800_000_000);
        assert!(!stamp(written).is_older_than(written + WHOLE_SECONDS));
        assert!(stamp(written).is_older_than(written + WHOLE_SECONDS + TICK));
    }

    #[test]
    fn an_edit_of_equal_length_within_one_tick_is_noticed() {
        let target = Target::with("before", Duration::ZERO);
        let time = fs::metadata(&target.file).unwrap().modified().unwrap();
        assert_eq!(target.digest().unwrap(), Digest::of(b"before"), "the content is read");
        fs::write(&target.file, "behind").unwrap();
        fs::File::open(&target.file).unwrap().file().set_modified(time).unwrap();
        assert_eq!(
            target.digest().unwrap(),
            Digest::of(b"behind"),
            "the same inode, size and time"
        );
    }

    #[test]
    fn an_old_file_is_remembered_until_anything_about_it_changes() {
        let target = Target::with("before", Duration::from_secs(10));
        let remembered = Digest::of(b"what is remembered");
        let written = Written::of(&fs::metadata(&target.file).unwrap());
        target.remember(remembered, written);
        assert_eq!(target.digest().unwrap(), remembered);
        target.written(Duration::from_secs(9));
        assert_eq!(target.digest().unwrap(), Digest::of(b"before"));
    }

    #[test]
    fn what_was_just_installed_is_remembered_until_it_is_written_to_however_soon() {
        let target = Target::with("unused", Duration::ZERO);
        let stored = target.file.with_extension("stored");
        fs::write(&stored, "before").unwrap();
        for _ in 0..50 {
            let mut installer = Installer::new(&target.store, target.file.parent().unwrap());
            let time = installer.install(&stored, Role::Rmeta, &target.file).unwrap();
            let remembered = Digest::of(b"what is remembered");
            target.remember(remembered, time);
            // Where times are not fine, it is read.
            let known = target.digest().unwrap();
            assert!([remembered, Digest::of(b"before")].contains(&known));
            fs::write(&target.file, "behind").unwrap();
            assert_eq!(target.digest().unwrap(), Digest::of(b"behind"));
        }
    }

    // Even its time of writing may be set back.
    #[test]
    fn an_edit_that_hides_its_time_is_noticed() {
        let target = Target::with("unused", Duration::ZERO);
        let stored = target.file.with_extension("stored");
        fs::write(&stored, "before").unwrap();
        let mut installer = Installer::new(&target.store, target.file.parent().unwrap());
        for _ in 0..50 {
            let time = installer.install(&stored, Role::Rmeta, &target.file).unwrap();
            target.remember(Digest::of(b"before"), time);
            let modified = fs::metadata(&target.file).unwrap().modified().unwrap();
            fs::write(&target.file, "behind").unwrap();
            fs::File::open(&target.file)
                .unwrap()
                .file()
                .set_modified(modified)
                .unwrap();
            assert_eq!(target.digest().unwrap(), Digest::of(b"behind"));
        }
    }

    #[test]
    fn what_was_written_to_before_it_is_remembered_is_read() {
        let target = Target::with("unused", Duration::ZERO);
        let stored = target.file.with_extension("stored");
        fs::write(&stored, "before").unwrap();
        let mut installer = Installer::new(&target.store, target.file.parent().unwrap());
        let time = installer.install(&stored, Role::Rmeta, &target.file).unwrap();
        fs::write(&target.file, "behind").unwrap();
        target.remember(Digest::of(b"before"), time);
        assert_eq!(target.digest().unwrap(), Digest::of(b"behind"));
    }

    #[test]
    fn files_of_a_folder_are_told_apart_and_the_newest_note_counts() {
        let target = Target::with("x", Duration::from_secs(10));
        let stamp = Stamp::from(&fs::metadata(&target.file).unwrap());
        let [first, last, other] = [b"1", b"2", b"3"].map(|content| Digest::of(content));
        for digest in [first, last] {
            target.note(&target.file, digest, &stamp);
        }
        // Names that begin or end like it, and a line that ends too soon.
        target.note(&target.file.with_file_name("a.rmeta"), other, &stamp);
        target.note(&target.file.with_file_name("xliba.rmeta"), other, &stamp);
        target.note(&target.file.with_extension("rmeta\t"), other, &stamp);
        target.note(&target.file.with_extension("rmeta2"), other, &stamp);
        let memory = memory_of(target.file.parent().unwrap());
        let line = format!("liba.rmeta\t{}", stamp.text);
        target.store.append(&memory, b"x\n", MAX_MEMORY).unwrap();
        assert_eq!(target.digest().unwrap(), last);
        target.store.append(&memory, line.as_bytes(), MAX_MEMORY).unwrap();
        assert_eq!(target.digest().unwrap(), Digest::of(b"x"), "what is damaged is read");
    }

    #[test]
    fn a_memory_that_is_full_begins_anew() {
        let target = Target::with("x", Duration::from_secs(10));
        let memory = "memo/trial";
        for _ in 0..5 {
            target.store.append(memory, b"line\n", 10).unwrap();
        }
        assert_eq!(fs::read(target.store.path(memory)).unwrap(), b"line\n");
    }
}
