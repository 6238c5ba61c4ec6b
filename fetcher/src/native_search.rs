//! Which native library a name stands for, where folders outside of `OUT_DIR` are searched too.
//!
//! The canonical call of a library searches nothing but its own `OUT_DIR`. That is what cargo asked for as long as no
//! other folder holds a library of the same name: `#[link(kind = "static")]` in the source bundles the first that is
//! found, without any flag that tells of it.
//! Owns finding such names. Must not know keys.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use fs_err as fs;
use sealift_policy::invocation::{Emit, Invocation};

/// A file outside of `OUT_DIR` that would be bundled instead of one inside, since rustc looks there first.
///
/// Newer cargos put a package's own folders first; older ones keep the script's order.
pub fn shadowing(invocation: &Invocation, out_dir: &Path) -> Option<PathBuf> {
    if invocation.emit != Emit::MetadataAndLink {
        return None;
    }
    let folders: Vec<_> = invocation.native_search.iter().map(|search| &search.path).collect();
    // A folder that climbs out again by `..` is not inside.
    let is_own = |folder: &Path| {
        let below = folder.strip_prefix(out_dir).ok();
        below.is_some_and(|path| path.components().all(|part| matches!(part, Component::Normal(_))))
    };
    let last = folders.iter().rposition(|folder| is_own(folder))?;
    let (foreign, own) = (folders[..=last].iter()).partition::<Vec<&&PathBuf>, _>(|folder| !is_own(folder));
    let names: BTreeSet<_> = own.into_iter().flat_map(|folder| names(folder)).collect();
    let mut candidates = foreign
        .into_iter()
        .flat_map(|folder| names.iter().map(|name| folder.join(name)));
    candidates.find(|path| path.exists())
}

/// The files in a folder; none where it cannot be read, for then rustc finds none there either.
fn names(folder: &Path) -> Vec<OsString> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // K1: which archive is bundled is an input, whoever names it.
    #[test]
    fn a_library_of_the_same_name_counts_only_where_rustc_would_find_it_first() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_str().unwrap();
        for file in ["out/lib/libz.a", "foreign/libz.a", "other/liby.a"] {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let shadowing = |emit: &str, order: [&str; 3]| {
            let args = format!(
                "--crate-name a /a/src/lib.rs --error-format=json --crate-type lib --emit={emit} -C metadata=1 --out-dir /t \
                 -L native={root}/{} -L native={root}/{} -L native={root}/{}",
                order[0], order[1], order[2]
            );
            let args: Vec<_> = args.split_whitespace().map(str::to_owned).collect();
            shadowing(&Invocation::parse(&args).unwrap(), &folder.path().join("out"))
        };
        let link = "dep-info,metadata,link";
        let found = Some(folder.path().join("foreign/libz.a"));
        assert_eq!(shadowing(link, ["foreign", "out/lib", "other"]), found);
        assert_eq!(shadowing(link, ["out/lib", "foreign", "other"]), None);
        assert_eq!(shadowing(link, ["other", "absent", "out/lib"]), None);
        // What climbs out of `OUT_DIR` is a folder like any other.
        let climbed = Some(folder.path().join("out/../foreign/libz.a"));
        assert_eq!(shadowing(link, ["out/../foreign", "out/lib", "other"]), climbed);
        // Nothing is bundled into metadata.
        assert_eq!(shadowing("dep-info,metadata", ["foreign", "out/lib", "other"]), None);
    }
}
