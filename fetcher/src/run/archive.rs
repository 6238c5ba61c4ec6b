//! What a build script left in `OUT_DIR`, packed and unpacked.
//!
//! Owns the archive's one form (a tar of regular files, sorted by name, with nothing of this machine in its headers) and
//! the refusal of every other: an archive may come from a stranger and is refused whole, before anything is written.
//! Must not know who vouches for it.

mod same;

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path};

use fs_err as fs;
use tar::{Archive, Builder, EntryType, Header};

use self::same::Same;
use crate::record::NotKept;

/// Most bytes of all files.
const MAX_SIZE: u64 = 1 << 30;

/// Most files.
const MAX_FILES: usize = 50_000;

/// Longest path of a file.
const MAX_PATH: usize = 1024;

/// Longest name in such a path: what file systems take.
const MAX_NAME: usize = 255;

/// Why an archive is refused.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It cannot be read as an archive, or not be written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// An entry that is not a plain file below the folder.
    #[error("`{0}` is no file that may lie in `OUT_DIR`")]
    Entry(String),
    /// Out of order, twice, or the same but for upper and lower case.
    #[error("`{0}` is out of order or there twice")]
    Order(String),
    /// Owner, time or permissions that no packed file has.
    #[error("`{0}` has other properties than packed files have")]
    Properties(String),
    /// Cut short, or with bytes that packing these files does not give: a name of a user, something behind the end.
    #[error("it is not what packing its files gives")]
    Form,
    /// More or longer files than any run may leave.
    #[error("it is too large")]
    TooLarge,
}

/// Packs what lies below a folder, each file as `canonical` gives it. Says whether there is native code in it.
pub fn pack(
    folder: &Path,
    archive: &Path,
    canonical: impl Fn(&str, Vec<u8>) -> Result<Vec<u8>, NotKept>,
) -> Result<bool, NotKept> {
    let unreadable = |error: io::Error| NotKept::Unreadable(error.to_string());
    let mut builder = Builder::new(io::BufWriter::new(fs::File::create(archive).map_err(unreadable)?));
    let mut names = Names::default();
    let mut has_native_code = false;
    let mut files = vec![];
    for entry in walkdir::WalkDir::new(folder).min_depth(1) {
        let entry = entry.map_err(|error| unreadable(error.into()))?;
        if entry.file_type().is_dir() {
            continue;
        }
        let relative = entry.path().strip_prefix(folder).expect("a walk stays below its root");
        let name = relative.to_str().filter(|_| entry.file_type().is_file());
        let refused = || NotKept::Unreadable(Refused::Entry(relative.display().to_string()).to_string());
        files.push((name.ok_or_else(refused)?.to_owned(), entry.path().to_owned()));
    }
    files.sort();
    for (name, path) in files {
        let metadata = fs::symlink_metadata(&path).map_err(unreadable)?;
        names
            .add(&name, metadata.len())
            .map_err(|refused| NotKept::Unreadable(refused.to_string()))?;
        let content = canonical(&name, fs::read(&path).map_err(unreadable)?)?;
        has_native_code |= content.starts_with(b"\x7fELF") || content.starts_with(b"!<arch>\n");
        let mode = mode(metadata.permissions().mode());
        append(&mut builder, &name, mode, content.len() as u64, content.as_slice()).map_err(unreadable)?;
    }
    let file = builder.into_inner().map_err(unreadable)?;
    file.into_inner().map_err(|error| unreadable(error.into_error()))?;
    Ok(has_native_code)
}

/// Empties a folder and unpacks an archive there, each file as `local` gives it. All of it was looked at before.
pub fn unpack(archive: &Path, folder: &Path, local: impl Fn(Vec<u8>) -> Vec<u8>) -> Result<(), Refused> {
    let entries = check(archive)?;
    empty(folder)?;
    let mut files = Archive::new(io::BufReader::new(fs::File::open(archive)?));
    for (entry, (name, mode)) in files.entries()?.zip(entries) {
        let mut entry = entry?;
        let path = folder.join(&name);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        let mode = if mode == EXECUTABLE { 0o777 } else { 0o666 };
        fs_err::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
        let mut content = Vec::new();
        entry.read_to_end(&mut content)?;
        options.open(path)?.write_all(&local(content))?;
    }
    Ok(())
}

/// Looks at a whole archive; gives names and modes. It must be, byte for byte, what packing its files gives.
pub fn check(archive: &Path) -> Result<Vec<(String, u32)>, Refused> {
    let mut names = Names::default();
    let mut found = vec![];
    let mut files = Archive::new(io::BufReader::new(fs::File::open(archive)?));
    let mut packed = Builder::new(Same(io::BufReader::new(fs::File::open(archive)?)));
    for entry in files.entries()? {
        let mut entry = entry?;
        let shown = String::from_utf8_lossy(&entry.path_bytes())
            .chars()
            .take(120)
            .flat_map(char::escape_debug)
            .collect::<String>();
        let name = std::str::from_utf8(&entry.path_bytes())
            .map(str::to_owned)
            .map_err(|_| Refused::Entry(shown.clone()))?;
        let header = entry.header();
        if header.entry_type() != EntryType::Regular || entry.link_name_bytes().is_some() {
            return Err(Refused::Entry(shown));
        }
        let mode = header.mode()?;
        if header.mtime()? != 0 || header.uid()? != 0 || header.gid()? != 0 || ![PLAIN, EXECUTABLE].contains(&mode) {
            return Err(Refused::Properties(shown));
        }
        if entry.pax_extensions()?.is_some() {
            return Err(Refused::Properties(shown));
        }
        names.add(&name, entry.size())?;
        // What is cut short shows only when it is read.
        let size = entry.size();
        append(&mut packed, &name, mode, size, entry).map_err(|_| Refused::Form)?;
        found.push((name, mode));
    }
    match packed.into_inner().and_then(|mut same| same.is_at_end()) {
        Ok(true) => Ok(found),
        Ok(false) | Err(_) => Err(Refused::Form),
    }
}

/// Adds one file in the one form that files have.
fn append(builder: &mut Builder<impl Write>, name: &str, mode: u32, size: u64, content: impl Read) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_size(size);
    header.set_mode(mode);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    builder.append_data(&mut header, name, content)
}

const PLAIN: u32 = 0o644;
const EXECUTABLE: u32 = 0o755;

fn mode(mode: u32) -> u32 {
    if mode & 0o111 == 0 { PLAIN } else { EXECUTABLE }
}

fn empty(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// The names so far: plain, in order, none of them twice, none the folder of another.
#[derive(Default)]
struct Names {
    last: String,
    folded: BTreeSet<String>,
    folders: BTreeSet<String>,
    size: u64,
}

impl Names {
    fn add(&mut self, name: &str, size: u64) -> Result<(), Refused> {
        let shown = || name.chars().take(120).flat_map(char::escape_debug).collect::<String>();
        let is_plain = !name.is_empty()
            && name.len() <= MAX_PATH
            && !name.contains(['\\', '\0', '\n', '\r', ':'])
            && !name.split('/').any(|part| part.is_empty() || part.len() > MAX_NAME)
            && Path::new(name)
                .components()
                .all(|part| matches!(part, Component::Normal(_)))
            && name.split('/').all(|part| part != ".");
        if !is_plain {
            return Err(Refused::Entry(shown()));
        }
        let folded = name.to_lowercase();
        let is_in_order = self.folded.is_empty() || name > self.last.as_str();
        let parents = Path::new(&folded).ancestors().skip(1).filter_map(Path::to_str);
        let parents: Vec<_> = parents.filter(|parent| !parent.is_empty()).map(str::to_owned).collect();
        let is_below_a_file = parents.iter().any(|parent| self.folded.contains(parent));
        if !is_in_order || is_below_a_file || self.folders.contains(&folded) || !self.folded.insert(folded) {
            return Err(Refused::Order(shown()));
        }
        self.folders.extend(parents);
        self.last = name.to_owned();
        self.size = self.size.saturating_add(size);
        if self.size > MAX_SIZE || self.folded.len() > MAX_FILES {
            return Err(Refused::TooLarge);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn as_it_is(_: &str, content: Vec<u8>) -> Result<Vec<u8>, NotKept> {
        Ok(content)
    }

    /// A folder with an empty `out` and whatever `make` puts into an archive.
    fn archive(make: impl FnOnce(&mut Builder<fs::File>)) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let mut builder = Builder::new(fs::File::create(folder.path().join("archive")).unwrap());
        make(&mut builder);
        builder.finish().unwrap();
        fs::create_dir(folder.path().join("out")).unwrap();
        folder
    }

    fn header(size: usize) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_size(size as u64);
        header.set_mode(PLAIN);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        header
    }

    /// Writes a name that the library itself would refuse.
    fn raw(builder: &mut Builder<fs::File>, name: &str) {
        let mut header = header(1);
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        builder.append(&header, &b"x"[..]).unwrap();
    }

    fn refusal(make: impl FnOnce(&mut Builder<fs::File>)) -> Refused {
        let folder = archive(make);
        let out = folder.path().join("out");
        fs::write(out.join("was-here"), "").unwrap();
        let refused = unpack(&folder.path().join("archive"), &out, |content| content).unwrap_err();
        assert!(
            out.join("was-here").exists(),
            "something was written before all was looked at"
        );
        refused
    }

    #[test]
    fn what_is_packed_is_unpacked_alike_and_packs_to_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::create_dir_all(from.join("lib/deep")).unwrap();
        fs::create_dir(&to).unwrap();
        fs::write(to.join("left-over"), "").unwrap();
        fs::write(from.join("lib/deep/x.h"), "int x;").unwrap();
        fs::write(from.join("tool"), "#!/bin/sh").unwrap();
        fs::set_permissions(from.join("tool"), PermissionsExt::from_mode(0o700)).unwrap();
        fs::write(from.join("lib").join("n".repeat(200)), "!<arch>\n").unwrap();
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        assert!(pack(&from, &one, as_it_is).unwrap());
        unpack(&one, &to, |content| content).unwrap();
        assert!(!to.join("left-over").exists());
        assert_eq!(fs::read_to_string(to.join("lib/deep/x.h")).unwrap(), "int x;");
        assert_ne!(fs::metadata(to.join("tool")).unwrap().permissions().mode() & 0o100, 0);
        pack(&to, &other, as_it_is).unwrap();
        assert_eq!(fs::read(one).unwrap(), fs::read(other).unwrap());
    }

    // S11
    #[test]
    fn links_are_refused_when_packed_and_when_unpacked() {
        for target in ["/etc/passwd", "x", "nowhere", "../../x"] {
            let folder = tempfile::tempdir().unwrap();
            let out = folder.path().join("out");
            fs::create_dir(&out).unwrap();
            fs_err::os::unix::fs::symlink(target, out.join("link")).unwrap();
            assert!(
                pack(&out, &folder.path().join("archive"), as_it_is).is_err(),
                "{target}"
            );
            for kind in [EntryType::Symlink, EntryType::Link] {
                let refused = refusal(|builder| {
                    let mut header = header(0);
                    header.set_entry_type(kind);
                    builder.append_link(&mut header, "link", target).unwrap();
                });
                assert!(matches!(refused, Refused::Entry(_)), "{target}: {refused}");
            }
        }
    }

    // T5, T6
    #[test]
    fn names_that_leave_the_folder_and_special_files_are_refused() {
        for name in ["../x", "/etc/x", "a/../../x", "a//x", "./x", "a\\x", "a:x", "a\nx"] {
            assert!(
                matches!(refusal(|builder| raw(builder, name)), Refused::Entry(_)),
                "{name}"
            );
        }
        for kind in [EntryType::Fifo, EntryType::Char, EntryType::Block, EntryType::Directory] {
            let refused = refusal(|builder| {
                let mut header = header(0);
                header.set_entry_type(kind);
                builder.append_data(&mut header, "x", &b""[..]).unwrap();
            });
            assert!(matches!(refused, Refused::Entry(_)), "{kind:?}: {refused}");
        }
    }

    #[test]
    fn twice_the_same_or_a_file_that_is_a_folder_is_refused() {
        for (a, b) in [("x", "x"), ("X", "x"), ("b", "a"), ("a", "a/x"), ("A", "a/x")] {
            let refused = refusal(|builder| {
                raw(builder, a);
                raw(builder, b);
            });
            assert!(matches!(refused, Refused::Order(_)), "{a} {b}: {refused}");
        }
    }

    #[test]
    fn other_owners_times_and_permissions_are_refused() {
        let changes: [fn(&mut Header); 4] = [
            |header| header.set_mode(0o4755),
            |header| header.set_mtime(1),
            |header| header.set_uid(1),
            |header| header.set_gid(1),
        ];
        for change in changes {
            let refused = refusal(|builder| {
                let mut header = header(1);
                change(&mut header);
                builder.append_data(&mut header, "x", &b"x"[..]).unwrap();
            });
            assert!(matches!(refused, Refused::Properties(_)), "{refused}");
        }
    }

    #[test]
    fn what_is_larger_than_any_run_may_leave_or_cut_short_is_refused() {
        let mut names = Names::default();
        assert!(names.add("a", MAX_SIZE).is_ok());
        assert!(matches!(names.add("b", 1), Err(Refused::TooLarge)));
        let folder = archive(|builder| raw(builder, "x"));
        let path = folder.path().join("archive");
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..512]).unwrap();
        assert!(unpack(&path, &folder.path().join("out"), |content| content).is_err());
        let (mut names, long) = (Names::default(), "n".repeat(MAX_NAME));
        assert!(names.add(&format!("c/{long}"), 0).is_ok());
        assert!(matches!(names.add(&format!("d/{long}n"), 0), Err(Refused::Entry(_))));
    }

    #[test]
    fn the_same_files_in_another_form_are_refused() {
        let folder = archive(|builder| raw(builder, "x"));
        let (path, out) = (folder.path().join("archive"), folder.path().join("out"));
        let good = fs::read(&path).unwrap();
        assert!(check(&path).is_ok());
        let named = archive(|builder| {
            let mut header = header(1);
            header.set_username("user").unwrap();
            builder.append_data(&mut header, "x", &b"x"[..]).unwrap();
        });
        let mut padded = good.clone();
        padded[512 + 1] = b'x';
        for wrong in [
            fs::read(named.path().join("archive")).unwrap(),
            padded,
            [good.as_slice(), &[0; 512]].concat(),
            good[..good.len() - 512].to_vec(),
        ] {
            fs::write(&path, wrong).unwrap();
            assert!(matches!(unpack(&path, &out, |content| content), Err(Refused::Form)));
        }
    }
}
