//! What two runs gave, compared: what they told cargo, and `OUT_DIR` byte for byte.
//!
//! Owns what counts as a difference, and how it is told. Must not know why runs differ.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use object::{Object as _, ObjectSection as _};
use sealift_policy::remap::{self, Places as Folders};
use sealift_policy::run::stdout;
use serde::Serialize;

use super::circumstances::Circumstances;
use super::places::Places;
use super::running::Made;

/// In what a run differs from the first one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Difference {
    /// The run that differs.
    pub run: Circumstances,
    /// A file of `OUT_DIR`, or what was printed.
    pub place: String,
    /// How.
    pub how: String,
}

/// What a run told cargo, with canonical paths, and without the lines that are for people.
pub fn instructions(printed: &[u8], places: &Places) -> String {
    let folder = Path::new(&places.package);
    let registry = folder.parent().unwrap_or(folder);
    let folders = Folders {
        sources: vec![(registry.to_owned(), remap::REGISTRY.to_owned())],
        out_dir: vec![PathBuf::from(&places.out_dir)],
        out: PathBuf::new(),
        deps: PathBuf::new(),
        sysroot: PathBuf::new(),
    };
    remap::to_canonical_paths(&stdout::instructions_in(&String::from_utf8_lossy(printed)), &folders)
}

/// In what a run differs from the first.
///
/// # Errors
/// When what they left cannot be read.
pub fn compare(first: &Made, other: &Made) -> io::Result<Vec<Difference>> {
    let difference = |place: &str, how: String| Difference {
        run: other.run,
        place: place.to_owned(),
        how,
    };
    let mut differences = vec![];
    if first.ended != other.ended {
        let how = format!("{:?} instead of {:?}", other.ended, first.ended);
        differences.push(difference("its end", how));
    }
    let [here, there] = [first, other].map(|made| instructions(&made.stdout, &made.places));
    let lines = lines_that_differ(&here, &there).into_iter();
    differences.extend(lines.map(|how| difference("its instructions", how)));
    let [here, there] = [entries(&first.tree)?, entries(&other.tree)?];
    for name in here.keys().filter(|name| !there.contains_key(*name)) {
        differences.push(difference(name, format!("is only there in the run `{}`", first.run)));
    }
    for (name, entry) in &there {
        match here.get(name) {
            None => differences.push(difference(name, format!("is only there in the run `{}`", other.run))),
            Some(known) if known != entry => differences.push(difference(name, how_entries_differ(known, entry))),
            Some(Entry::File { .. }) => {
                let [known, content] = [&first.tree, &other.tree].map(|tree| fs_err::read(tree.join(name)));
                if let Some(how) = how_bytes_differ(&known?, &content?) {
                    differences.push(difference(name, how));
                }
            }
            Some(_) => {}
        }
    }
    Ok(differences)
}

/// Files of `OUT_DIR` that name a folder of the machine that made them, each with that folder.
///
/// # Errors
/// When they cannot be read.
pub fn local_paths(made: &Made) -> io::Result<Vec<(String, String)>> {
    let Places {
        out_dir, package, pass, ..
    } = &made.places;
    let known = [
        (out_dir.as_str(), "OUT_DIR"),
        (package.as_str(), "PACKAGE"),
        (pass.as_str(), "PASS"),
        (made.run.home(), "HOME"),
    ];
    let mut found = vec![];
    for (name, entry) in entries(&made.tree)? {
        if let Entry::File { .. } = entry {
            let content = fs_err::read(made.tree.join(&name))?;
            let named = known
                .iter()
                // Where a sandbox shows `OUT_DIR` at its canonical place its own one is below the pass's folder.
                .filter(|(folder, _)| *folder != remap::OUT_DIR)
                .find(|(folder, _)| memchr::memmem::find(&content, folder.as_bytes()).is_some());
            found.extend(named.map(|(_, what)| (name, (*what).to_owned())));
        }
    }
    Ok(found)
}

/// The names of everything in `OUT_DIR`, files with their sizes.
///
/// # Errors
/// When it cannot be read.
pub fn listing(tree: &Path) -> io::Result<BTreeMap<String, u64>> {
    let entries = entries(tree)?.into_iter();
    Ok(entries
        .filter_map(|(name, entry)| match entry {
            Entry::File { size, .. } => Some((name, size)),
            Entry::Folder => None,
            Entry::Link(_) | Entry::Other => Some((name, 0)),
        })
        .collect())
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    File { size: u64, executable: bool },
    Folder,
    Link(PathBuf),
    Other,
}

fn entries(tree: &Path) -> io::Result<BTreeMap<String, Entry>> {
    let mut entries = BTreeMap::new();
    for entry in walkdir::WalkDir::new(tree).min_depth(1) {
        let entry = entry?;
        let metadata = entry.metadata()?;
        let kind = if metadata.is_dir() {
            Entry::Folder
        } else if metadata.is_symlink() {
            Entry::Link(fs_err::read_link(entry.path())?)
        } else if metadata.is_file() {
            Entry::File {
                size: metadata.len(),
                executable: metadata.permissions().mode() & 0o111 != 0,
            }
        } else {
            Entry::Other
        };
        let name = entry.path().strip_prefix(tree).unwrap_or(entry.path());
        entries.insert(name.to_string_lossy().into_owned(), kind);
    }
    Ok(entries)
}

fn how_entries_differ(first: &Entry, other: &Entry) -> String {
    match (first, other) {
        (Entry::File { size, .. }, Entry::File { size: other_size, .. }) if size != other_size => {
            format!("has {other_size} bytes instead of {size}")
        }
        (Entry::File { .. }, Entry::File { executable, .. }) => match executable {
            true => "is executable".to_owned(),
            false => "is not executable".to_owned(),
        },
        _ => format!("is {other:?} instead of {first:?}"),
    }
}

/// Both of one length; `None` when they are equal.
fn how_bytes_differ(first: &[u8], other: &[u8]) -> Option<String> {
    let at = first.iter().zip(other).position(|(one, other)| one != other)?;
    let section = section_at(first, at)
        .map(|name| format!(" (section {name})"))
        .unwrap_or_default();
    let around = |bytes: &[u8]| {
        let part = &bytes[at.saturating_sub(12)..bytes.len().min(at + 24)];
        part.escape_ascii().to_string()
    };
    Some(format!(
        "differs from byte {at} on{section}: \"{}\" instead of \"{}\"",
        around(other),
        around(first)
    ))
}

/// The section of an object file that a byte belongs to.
fn section_at(content: &[u8], at: usize) -> Option<String> {
    let file = object::File::parse(content).ok()?;
    let mut sections = file.sections();
    let section = sections.find(|section| {
        let range = section.file_range();
        range.is_some_and(|(start, size)| (start..start + size).contains(&(at as u64)))
    })?;
    section.name().ok().map(str::to_owned)
}

/// Lines that only one of two texts has; where both have the same ones, that their order differs. The order of
/// `rerun-if-*` does not count.
fn lines_that_differ(first: &str, other: &str) -> Vec<String> {
    let is_watched = |line: &&str| line.contains("rerun-if-");
    let [(mut first_set, first), (mut other_set, other)] =
        [first, other].map(|text| text.lines().partition::<Vec<_>, _>(is_watched));
    first_set.sort_unstable();
    other_set.sort_unstable();
    if first_set == other_set && first == other {
        return vec![];
    }
    let all = |set: &[&str], rest: &[&str]| [set, rest].concat().join("\n");
    let [first, other] = [all(&first_set, &first), all(&other_set, &other)];
    let only_in = |one: &str, two: &str, what: &str| -> Vec<String> {
        let two: Vec<_> = two.lines().collect();
        let only = one.lines().filter(|line| !two.contains(line));
        only.map(|line| format!("{what} `{line}`")).collect()
    };
    let mut how = only_in(&other, &first, "also");
    how.extend(only_in(&first, &other, "without"));
    if how.is_empty() {
        how.push("the same lines in another order or number".to_owned());
    }
    how
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_what_is_watched_does_not_count_and_other_order_does() {
        let one = "cargo:rerun-if-env-changed=A\ncargo:rustc-cfg=x\ncargo:rerun-if-env-changed=B\n";
        let two = "cargo:rerun-if-env-changed=B\ncargo:rerun-if-env-changed=A\ncargo:rustc-cfg=x\n";
        assert!(lines_that_differ(one, two).is_empty());
        assert_eq!(
            lines_that_differ("cargo:rustc-cfg=x\n", "cargo:rustc-cfg=y\n"),
            ["also `cargo:rustc-cfg=y`", "without `cargo:rustc-cfg=x`"]
        );
        assert_eq!(
            lines_that_differ("cargo:a=1\ncargo:b=1\n", "cargo:b=1\ncargo:a=1\n").len(),
            1
        );
        assert_eq!(lines_that_differ("cargo:a=1\n", "cargo:a=1\ncargo:a=1\n").len(), 1);
    }

    #[test]
    fn instructions_name_no_folder_of_the_run() {
        let places = Places {
            package: "/p/registry/src/id/x-1.0.0".to_owned(),
            out_dir: "/t/out".to_owned(),
            ..Places::default()
        };
        let printed = b"OUT_DIR = Some(/t/out)\ncargo:rustc-link-search=/t/out/lib\ncargo:include=/p/registry/src/id/x-1.0.0/include\n";
        assert_eq!(
            instructions(printed, &places),
            "cargo:rustc-link-search=/cargo/out-dir/lib\n\
             cargo:include=/cargo/registry/1949cf8c6b5b557f/x-1.0.0/include\n"
        );
    }

    #[test]
    fn bytes_that_differ_are_shown_with_what_is_around() {
        assert_eq!(how_bytes_differ(b"same", b"same"), None);
        let how = how_bytes_differ(b"built on Monday", b"built on Friday").unwrap();
        assert_eq!(
            how,
            "differs from byte 9 on: \"built on Friday\" instead of \"built on Monday\""
        );
    }

    #[test]
    fn names_kinds_and_modes_of_files_count() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::create_dir(folder.path().join("empty")).unwrap();
        fs_err::write(folder.path().join("file"), "x").unwrap();
        std::os::unix::fs::symlink("file", folder.path().join("link")).unwrap();
        let entries = entries(folder.path()).unwrap();
        assert_eq!(entries["empty"], Entry::Folder);
        assert_eq!(entries["link"], Entry::Link("file".into()));
        let plain = Entry::File {
            size: 1,
            executable: false,
        };
        assert_eq!(entries["file"], plain);
        assert_eq!(
            how_entries_differ(
                &plain,
                &Entry::File {
                    size: 1,
                    executable: true
                }
            ),
            "is executable"
        );
        assert_eq!(
            how_entries_differ(
                &plain,
                &Entry::File {
                    size: 2,
                    executable: true
                }
            ),
            "has 2 bytes instead of 1"
        );
    }
}
