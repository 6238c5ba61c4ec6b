//! What cargo tells a build script by its environment, with this machine's paths replaced.
//!
//! Owns the replacement of paths into what other packages' scripts made (`DEP_*`): by the digest of what lies there, so
//! that it is an input by content. Must not know keys.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sealift_policy::run::{OTHER_OUT_DIR, OTHER_PACKAGE, env_counts, rustflags_that_count};

use super::NoRun;
use crate::call::NotHandled;
use crate::env::{self, Env};
use crate::sources::{self, Unpacked};
use crate::store::Store;
use crate::surroundings::spellings;
use crate::tree;

/// The variables that are in the key.
pub(super) fn by_cargo(store: &Store, package_root: &Path, out_dir: &Path) -> Result<BTreeMap<String, String>, NoRun> {
    let mut told = BTreeMap::new();
    for (name, value) in env::all() {
        let Some(name) = name.to_str().filter(|name| env_counts(name)) else {
            continue;
        };
        let value = value.into_string().map_err(|_| NotHandled::NotUtf8(name.to_owned()))?;
        // cargo's own driver for lints, of which other packages' scripts see the name only.
        if name == env::RUSTC_WORKSPACE_WRAPPER && Path::new(&value).ends_with("clippy-driver") {
            continue;
        }
        let value = if name.starts_with("DEP_") {
            by_content(store, &value, package_root, out_dir).and_then(|value| match names_a_folder(&value) {
                true => Err(NoRun::Folder(name.to_owned())),
                false => Ok(value),
            })?
        } else if name == env::CARGO_ENCODED_RUSTFLAGS {
            rustflags_that_count(&value)
        } else {
            value
        };
        told.insert(name.to_owned(), value);
    }
    Ok(told)
}

/// The folder below which cargo keeps what build scripts made, in both of its layouts.
pub(crate) fn build_folder(out_dir: &Path) -> Option<&Path> {
    out_dir.ancestors().skip(1).find(|folder| folder.ends_with("build"))
}

/// The `OUT_DIR`s of other packages that a value names, each with its package's name.
pub(crate) fn out_dirs_in(value: &str, build: &Path) -> Vec<(PathBuf, String)> {
    let mut found = vec![];
    let Some(build) = build.to_str() else { return found };
    for (at, _) in value.match_indices(build) {
        let rest = &value[at + build.len()..];
        let Some(end) = end_of_out_dir(rest) else { continue };
        let below = rest[..end].trim_start_matches('/');
        // `<package>-<hash>/out`, or `<package>/<hash>/out`.
        let (first, after) = below.split_once('/').unwrap_or_default();
        let name = match (after, first.rsplit_once('-')) {
            ("out", Some((name, _))) => name,
            _ => first,
        };
        found.push((Path::new(build).join(below), name.to_owned()));
    }
    found
}

fn by_content(store: &Store, value: &str, package_root: &Path, out_dir: &Path) -> Result<String, NoRun> {
    let mut value = value.to_owned();
    if let Some(build) = build_folder(out_dir).and_then(Path::to_str) {
        value = replace(&value, build, |rest| {
            let end = end_of_out_dir(rest)?;
            let folder = Path::new(build).join(rest[..end].trim_start_matches('/'));
            let own = spellings(&folder).into_iter().map(|folder| (folder, OTHER_OUT_DIR));
            let folders: Vec<_> = own.collect();
            let digest = tree::digest(&folder, &folders).map(|tree| format!("{OTHER_OUT_DIR}/{}", tree.digest));
            Some((end, digest.map_err(NoRun::Other)))
        })?;
    }
    if let Some(packages) = package_root.parent().and_then(Path::to_str) {
        value = replace(&value, packages, |rest| {
            let name = rest.strip_prefix('/')?.split(['/', ';', ':', ' ', '"']).next()?;
            let root = Path::new(packages).join(name);
            let home = Env::process().cargo_home();
            let checked =
                Unpacked::find(&root, name, home.as_deref()).and_then(|unpacked| sources::check(store, &unpacked));
            let path = checked.map(|checked| format!("{OTHER_PACKAGE}/{}", checked.checksum));
            Some((1 + name.len(), path.map_err(|problem| NotHandled::from(problem).into())))
        })?;
    }
    Ok(value)
}

/// Replaces each path below `folder` that `by` knows: it says how long the rest of it is that it replaces, and by what.
fn replace(
    value: &str,
    folder: &str,
    by: impl Fn(&str) -> Option<(usize, Result<String, NoRun>)>,
) -> Result<String, NoRun> {
    let mut replaced = String::new();
    let mut rest = value;
    while let Some(at) = rest.find(folder) {
        replaced.push_str(&rest[..at]);
        let after = &rest[at + folder.len()..];
        match by(after) {
            Some((length, path)) => {
                replaced.push_str(&path?);
                rest = &after[length..];
            }
            None => {
                replaced.push_str(folder);
                rest = after;
            }
        }
    }
    replaced.push_str(rest);
    Ok(replaced)
}

/// The length of `/<package>-<hash>/out` or `/<package>/<hash>/out`.
fn end_of_out_dir(rest: &str) -> Option<usize> {
    const OUT: &str = "/out";
    let mut from = 0;
    while let Some(at) = rest[from..].find(OUT) {
        let end = from + at + OUT.len();
        let parts = rest[..end].split('/').count() - 1;
        if !(2..=3).contains(&parts) {
            return None;
        }
        if rest[end..]
            .chars()
            .next()
            .is_none_or(|next| !(next.is_alphanumeric() || "-_.".contains(next)))
        {
            return Some(end);
        }
        from = end;
    }
    None
}

/// Where every C compiler looks in any case: what a script takes from there the reviewed list names.
const HEADERS: &str = "/usr/include";

/// Whether an absolute path is left that is not one of ours.
fn names_a_folder(value: &str) -> bool {
    value.match_indices('/').any(|(at, _)| {
        let before = value[..at].chars().next_back();
        let starts = before.is_none_or(|before| !(before.is_alphanumeric() || "._-~+@/".contains(before)));
        let after_flag = ["-I", "-L"].iter().any(|flag| value[..at].ends_with(flag));
        let after = value[at..].strip_prefix(HEADERS).map(|after| after.chars().next());
        let is_headers = after.is_some_and(|next| next.is_none_or(|next| ",;: ".contains(next)));
        (starts || after_flag)
            && !is_headers
            && ![OTHER_OUT_DIR, OTHER_PACKAGE]
                .iter()
                .any(|known| value[at..].starts_with(known))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        (folder, store)
    }

    // S1, S17: what another script made counts by its content, wherever it lies.
    #[test]
    fn what_another_script_made_counts_by_its_content() {
        let (folder, store) = scene();
        let value = |target: &str, package: &str, content: &str| {
            let build = folder.path().join(target).join("debug/build");
            let other = build.join(package).join("out");
            fs_err::create_dir_all(other.join("include")).unwrap();
            fs_err::write(other.join("include/z.h"), content).unwrap();
            let told = format!("{0}/include;-L{0}", other.display());
            by_content(&store, &told, Path::new("/p/own"), &build.join("own-1/out")).unwrap()
        };
        let first = value("a", "libz-sys-0123", "one");
        assert!(
            first.starts_with("/cargo/out-dir-of/") && first.contains("/include;-L/cargo/out-dir-of/"),
            "{first}"
        );
        assert!(!names_a_folder(&first));
        assert_eq!(first, value("longer", "libz-sys-4567", "one"));
        assert_eq!(first, value("layout-2", "libz-sys/4567", "one"));
        assert_ne!(first, value("b", "libz-sys-0123", "two"));
    }

    #[test]
    fn out_dirs_are_found_in_both_of_cargos_layouts() {
        let build = Path::new("/t/debug/build");
        let found = |value: &str| out_dirs_in(value, build);
        let one = |path: &str| vec![(PathBuf::from(path), "libz-sys".to_owned())];
        assert_eq!(
            found("/t/debug/build/libz-sys-0123/out/include,/usr/include"),
            one("/t/debug/build/libz-sys-0123/out")
        );
        assert_eq!(
            found("-I/t/debug/build/libz-sys/0123/out"),
            one("/t/debug/build/libz-sys/0123/out")
        );
        assert!(found("/usr/include").is_empty());
        assert!(found("/t/debug/build/libz-sys-0123/output").is_empty());
        assert_eq!(found("/t/debug/build/a-1/out /t/debug/build/b-2/out").len(), 2);
    }

    #[test]
    fn a_folder_whose_content_is_not_known_is_noticed() {
        for value in [
            "/usr/include/x",
            "-I/usr/local/include",
            "/usr/includes",
            "x;/usr",
            "a=/b",
            "-L /usr/lib",
        ] {
            assert!(names_a_folder(value), "{value}");
        }
        for value in [
            "",
            "1.2.3",
            "a/b",
            "https",
            "/cargo/out-dir-of/ab/include",
            "-I/cargo/package/ab",
            "/usr/include",
            "-I/usr/include,/usr/include",
        ] {
            assert!(!names_a_folder(value), "{value}");
        }
    }
}
