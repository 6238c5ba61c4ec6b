//! Which native library a name stands for, where folders outside of `OUT_DIR` are searched too.
//!
//! The canonical call of a library searches nothing but its own `OUT_DIR`. That is what cargo asked for as long as no
//! other folder holds a library of the same name: `#[link(kind = "static")]` in the source bundles the first that is
//! found, without any flag that tells of it.
//!
//! Cargo hands the folders in which a package's script put libraries on to all dependents, in whose calls they mean
//! nothing as a rule: rustc has bundled those libraries into the package's own long since.
//! Owns finding names that mean something. Must not know keys.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};

use fs_err as fs;
use sealift_policy::invocation::{Emit, Invocation};

use crate::closure::Closure;
use crate::host_program;

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

/// Folders outside of `OUT_DIR` that the canonical call does without, where it would look into them: they hold nothing
/// by a name that the call asks for; for a program nothing but archives, and none by a name that anything in it asks for.
/// (Whether something is asked for that no flag tells of shows when it is linked: see [`found_elsewhere`].)
pub fn moot(invocation: &Invocation, closure: &Closure) -> BTreeSet<PathBuf> {
    let looks = invocation.links() || invocation.bundles();
    if !looks || invocation.native_search.is_empty() {
        return BTreeSet::new();
    }
    let of_closure = if invocation.links() {
        closure.native_libs()
    } else {
        Some(vec![])
    };
    let Some(of_closure) = of_closure else {
        return BTreeSet::new();
    };
    let own = invocation.native_libs.iter().map(String::as_str);
    let asked: BTreeSet<_> = own.chain(of_closure).flat_map(file_names).collect();
    let counts = |name: OsString| {
        let name = name.to_string_lossy();
        let is_crate = name.ends_with(".rlib") || name.ends_with(".rmeta");
        let is_shared = name.ends_with(".so") || name.contains(".so.");
        is_crate || (is_shared && invocation.links()) || asked.contains(&*name)
    };
    let folders = invocation.native_search.iter().map(|search| &search.path);
    // Files in a folder that cannot be listed may be opened by name all the same.
    let is_hidden = |folder: &Path| fs::read_dir(folder).is_err_and(|error| error.kind() != io::ErrorKind::NotFound);
    folders
        .filter(|folder| !is_hidden(folder) && !names(folder).into_iter().any(counts))
        .cloned()
        .collect()
}

/// A library of the system that a linked program needs, and of which one of these folders has an archive: cargo's own
/// call may have taken that one.
pub fn found_elsewhere(program: &Path, moot: &BTreeSet<PathBuf>) -> Option<String> {
    if moot.is_empty() {
        return None;
    }
    let needed = host_program::libraries(program).unwrap_or_default();
    needed.into_iter().find(|library| {
        let stem = library.split(".so").next().unwrap_or_default();
        moot.iter().any(|folder| folder.join(format!("{stem}.a")).exists())
    })
}

/// The files that rustc or the linker looks for on `-l [KIND[:MODIFIERS]=]NAME[:RENAME]`.
fn file_names(lib: &str) -> Vec<String> {
    let (kind, name) = lib.split_once('=').unwrap_or(("", lib));
    let name = name.split(':').next().unwrap_or_default();
    if kind.contains("+verbatim") {
        vec![name.to_owned()]
    } else {
        vec![format!("lib{name}.a"), format!("lib{name}.so")]
    }
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
    // K1: what is bundled or linked from a folder outside of `OUT_DIR` is an input, and nothing else of it is.
    #[test]
    fn a_folder_without_anything_that_is_asked_for_is_moot() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::write(root.join("no-folder"), "").unwrap();
        for file in [
            "own/libssh2.a",
            "tls/libssl.a",
            "tls/x.o",
            "shared/libssl.so.3",
            "crates/libx.rlib",
        ] {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let found_with = |kind: &str, libs: &str, linked: &[&str]| {
            let mut args =
                format!("--crate-name a /a/src/lib.rs --error-format=json {kind} {libs} -C metadata=1 --out-dir /t");
            for searched in ["tls", "shared", "crates", "absent", "no-folder"] {
                args += &format!(" -L native={}", root.join(searched).display());
            }
            let args: Vec<_> = args.split_whitespace().map(str::to_owned).collect();
            let closure = Closure::of_libs(&[linked]);
            let folders = moot(&Invocation::parse(&args).unwrap(), &closure);
            let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
            folders.into_iter().map(name).collect::<Vec<_>>()
        };
        let found = |kind: &str, libs: &str| found_with(kind, libs, &["static=ssl"]);
        let lib = "--crate-type lib --emit=dep-info,metadata,link";
        assert_eq!(found(lib, "-l static=ssh2"), ["absent", "shared", "tls"]);
        assert_eq!(found(lib, "-l static=ssh2 -l ssl"), ["absent", "shared"]);
        assert_eq!(found(lib, "-l static:+whole-archive=ssl:tls"), ["absent", "shared"]);
        assert_eq!(found(lib, "-l static:+verbatim=libssl.so.3"), ["absent", "tls"]);
        assert!(found(lib, "").is_empty(), "nobody looks");
        let macros = "--crate-type proc-macro --emit=dep-info,link";
        assert_eq!(found(macros, ""), ["absent", "tls"]);
        assert_eq!(found(macros, "-l static=ssl"), ["absent"]);
        // What a library has bundled is in it; what it has not, the linker looks for.
        assert_eq!(
            found_with(macros, "", &["static:+whole-archive=ssl", "z"]),
            ["absent", "tls"]
        );
        for unbundled in ["ssl", "dylib=ssl", "static:-bundle=ssl"] {
            assert_eq!(found_with(macros, "", &[unbundled]), ["absent"], "{unbundled}");
            assert_eq!(
                found_with(lib, "-l static=ssh2", &[unbundled]),
                ["absent", "shared", "tls"]
            );
        }
    }

    #[test]
    fn a_program_that_takes_a_library_from_the_system_is_told_from_one_that_takes_none() {
        let folder = tempfile::tempdir().unwrap();
        let program = std::env::current_exe().unwrap();
        let moot = BTreeSet::from([folder.path().to_owned()]);
        assert_eq!(found_elsewhere(&program, &moot), None);
        fs::write(folder.path().join("libc.a"), "").unwrap();
        assert_eq!(found_elsewhere(&program, &moot), Some("libc.so.6".into()));
    }
}
