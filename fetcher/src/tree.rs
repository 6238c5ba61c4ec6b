//! The digest of a build script's `OUT_DIR`.
//!
//! Owns what counts of the tree: relative names, contents with this machine's folders replaced, executable bits. A
//! file that names a folder of this machine is listed, so that nothing that reads it is shared. Metadata that rustc
//! wrote counts by its name only, and is listed too: scripts that try whether something compiles leave it behind
//! (rustix does), and its hash of the working folder differs from machine to machine. What autocfg up to 1.4 leaves
//! behind has a random number in its name and does not count at all.
//! Must not know who reads the tree.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use fs_err as fs;
use memchr::memmem;
use sealift_policy::digest::{Digest, Hasher};

use crate::sources::add_to_stamp;

/// A build script's output.
#[derive(Debug, Clone)]
pub struct Tree {
    /// The digest of all of it.
    pub digest: Digest,
    /// What changes when one of its files does (see [`crate::sources::stamp_of_tree`]).
    pub stamp: Digest,
    /// Files, relative, whose content is of this machine: it names one of its folders, or is metadata.
    pub local: Vec<PathBuf>,
}

/// Digests the tree below `root`. `folders` are this machine's folders with what stands for each, longest first.
///
/// Links and special files are errors: they are never followed.
pub fn digest(root: &Path, folders: &[(PathBuf, &str)]) -> io::Result<Tree> {
    let mut hasher = Hasher::default();
    let mut stamps = Hasher::default();
    let mut local = vec![];
    for entry in walkdir::WalkDir::new(root).min_depth(1).sort_by_file_name() {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            continue;
        }
        let relative = entry.path().strip_prefix(root).expect("a walk stays below its root");
        if !metadata.is_file() {
            return Err(io::Error::other(format!(
                "`{}` in `OUT_DIR` is not a regular file",
                relative.display()
            )));
        }
        let name = relative
            .to_str()
            .ok_or_else(|| io::Error::other(format!("`{}` in `OUT_DIR` is not UTF-8", relative.display())))?;
        add_to_stamp(&mut stamps, relative, &metadata);
        if is_autocfg_probe(name) {
            local.push(relative.to_owned());
            continue;
        }
        let content = fs::read(entry.path())?;
        let is_metadata = content.starts_with(METADATA);
        let content = if is_metadata { vec![] } else { content };
        let (content, is_local) = replace(content, folders);
        if is_local || is_metadata {
            local.push(relative.to_owned());
        }
        let executable = metadata.permissions().mode() & 0o111 != 0;
        let head = format!("{}:{name} {executable} {} ", name.len(), content.len());
        hasher.update(head.as_bytes());
        hasher.update(&content);
    }
    Ok(Tree {
        digest: hasher.finish(),
        stamp: stamps.finish(),
        local,
    })
}

/// How every file with rustc's metadata begins; the version of the format follows.
const METADATA: &[u8] = b"rust\0\0\0";

/// `autocfg_<random>_<number>.ll`: the code of an attempt to compile something.
fn is_autocfg_probe(name: &str) -> bool {
    let stem = name.strip_prefix("autocfg_").and_then(|name| name.strip_suffix(".ll"));
    stem.and_then(|stem| stem.split_once('_'))
        .is_some_and(|(random, number)| {
            random.len() == 16
                && random.bytes().all(|b| b.is_ascii_hexdigit())
                && !number.is_empty()
                && number.bytes().all(|b| b.is_ascii_digit())
        })
}

fn replace(mut content: Vec<u8>, folders: &[(PathBuf, &str)]) -> (Vec<u8>, bool) {
    let mut is_local = false;
    for (folder, canonical) in folders {
        let folder = folder.as_os_str().as_encoded_bytes();
        let mut places = memmem::find_iter(&content, folder).peekable();
        if places.peek().is_none() {
            continue;
        }
        is_local = true;
        let mut replaced = Vec::with_capacity(content.len());
        let mut end = 0;
        for place in places {
            replaced.extend_from_slice(&content[end..place]);
            replaced.extend_from_slice(canonical.as_bytes());
            end = place + folder.len();
        }
        replaced.extend_from_slice(&content[end..]);
        content = replaced;
    }
    (content, is_local)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, String)]) -> (tempfile::TempDir, Tree) {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content.replace("@", &folder.path().display().to_string())).unwrap();
        }
        let digest = digest(folder.path(), &[(folder.path().to_owned(), "/cargo/out-dir")]).unwrap();
        (folder, digest)
    }

    // S8
    #[test]
    fn where_the_tree_lies_does_not_count_but_is_noted() {
        let files = [("lib/z.pc", "prefix=@".to_owned()), ("gen.rs", "fn a() {}".to_owned())];
        let ((_a, one), (_b, other)) = (tree(&files), tree(&files));
        assert_eq!(one.digest, other.digest);
        assert_eq!(one.local, [Path::new("lib/z.pc")]);
    }

    #[test]
    fn metadata_that_a_probe_left_counts_by_its_name_only_and_is_noted() {
        let probe = |name: &str, text: &str| tree(&[(name, format!("rust\0\0\0\n{text}"))]).1;
        assert_eq!(
            probe("can_compile", "one").digest,
            probe("can_compile", "the other").digest
        );
        assert_ne!(
            probe("can_compile", "one").digest,
            probe("cannot_compile", "one").digest
        );
        assert_eq!(probe("can_compile", "one").local, [Path::new("can_compile")]);
    }

    #[test]
    fn what_autocfg_left_behind_does_not_count_and_is_noted() {
        let name = "autocfg_3bc6ac64c35bef6d_0.ll";
        let (_a, one) = tree(&[(name, "; ModuleID = 1".into()), ("gen.rs", "fn a() {}".into())]);
        let (_b, other) = tree(&[
            ("autocfg_cef8a47600c1c2c5_0.ll", "2".into()),
            ("gen.rs", "fn a() {}".into()),
        ]);
        let (_c, none) = tree(&[("gen.rs", "fn a() {}".into())]);
        assert_eq!((one.digest, other.digest), (none.digest, none.digest));
        assert_eq!(one.local, [Path::new(name)]);
        let (_d, similar) = tree(&[("autocfg_x_0.ll", "1".into()), ("gen.rs", "fn a() {}".into())]);
        assert_ne!(similar.digest, none.digest);
    }

    // K2
    #[test]
    fn names_and_contents_count_as_pairs() {
        let swapped = |a: &str, b: &str| tree(&[("a.rs", a.into()), ("b.rs", b.into())]).1.digest;
        assert_ne!(swapped("x", "y"), swapped("y", "x"));
        assert_ne!(swapped("x", "yz"), swapped("xy", "z"));
    }

    // S11
    #[test]
    fn links_are_refused_wherever_they_lead() {
        for target in ["/etc/passwd", "file", "nowhere", "../../x"] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("file"), "").unwrap();
            fs_err::os::unix::fs::symlink(target, folder.path().join("x")).unwrap();
            assert!(digest(folder.path(), &[]).is_err(), "{target}");
        }
    }
}
