//! What lies around a call on this machine: its package, its variables, its `OUT_DIR`, and the folders that must not
//! show in what it gives.
//!
//! Owns reading them, each whole or not at all. Must not know keys.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fs_err as fs;
use sealift_policy::key::{OutDir, Package, env_counts};
use sealift_policy::name::{CrateName, CrateVersion};
use sealift_policy::remap::{self, Places};

use crate::call::NotHandled;
use crate::env::{self, Env};
use crate::sources::{self, Unpacked};
use crate::store::Store;
use crate::{script_output, tree};

/// A quick look at the path; the files are compared with their archive later.
pub fn is_in_registry(root: &Path) -> bool {
    let parent = |path: &Path| path.parent().map(Path::to_owned);
    parent(root)
        .and_then(|id| parent(&id))
        .is_some_and(|src| src.ends_with("registry/src"))
}

/// The package, after its files were compared with its archive.
pub fn package(
    store: &Store,
    root: &Path,
    variables: &BTreeMap<String, String>,
) -> Result<(Package, sources::Checked), NotHandled> {
    let variable = |name: &str| variables.get(name).ok_or(NotHandled::NoPackage);
    let name: CrateName = variable("CARGO_PKG_NAME")?.parse().map_err(|_| NotHandled::NoPackage)?;
    let version: CrateVersion = (variable("CARGO_PKG_VERSION")?.parse()).map_err(|_| NotHandled::NoPackage)?;
    let home = Env::process().cargo_home();
    let unpacked = Unpacked::find(root, &format!("{name}-{version}"), home.as_deref())?;
    let checked = sources::check(store, &unpacked)?;
    let package = Package {
        checksum: checked.checksum,
        name,
        version,
    };
    Ok((package, checked))
}

/// The variables that count, whoever set them.
pub fn variables() -> Result<BTreeMap<String, String>, NotHandled> {
    let mut counted = BTreeMap::new();
    for (name, value) in env::all() {
        let Some(name) = name.to_str().filter(|name| env_counts(name)) else {
            continue;
        };
        let value = value.into_string().map_err(|_| NotHandled::NotUtf8(name.to_owned()))?;
        counted.insert(name.to_owned(), value);
    }
    Ok(counted)
}

/// What the build script set for this call, with paths replaced.
pub fn script_variables(env: &Env, out_dir: &OutDir, places: &Places) -> Result<BTreeMap<String, String>, NotHandled> {
    let names = script_output::variables(&out_dir.path).map_err(NotHandled::ScriptOutput)?;
    let mut variables = BTreeMap::new();
    for name in names {
        let Some(value) = env.raw(&name) else { continue };
        let value = value.into_string().map_err(|_| NotHandled::NotUtf8(name.clone()))?;
        variables.insert(name, remap::to_canonical_paths(&value, places));
    }
    Ok(variables)
}

/// The build script's output folder and what is in it, if the package has one.
pub fn out_dir(env: &Env, sources: &[(PathBuf, String)]) -> Result<Option<(PathBuf, tree::Tree)>, NotHandled> {
    let Some(path) = env.absolute_path(env::OUT_DIR) else {
        return Ok(None);
    };
    path.to_str()
        .ok_or_else(|| NotHandled::NotUtf8(path.display().to_string()))?;
    // cargo hands on an `OUT_DIR` of the user's own to packages without a build script. That one may be anything, so it is
    // told by what is not beside it before all of it is read.
    script_output::variables(&path).map_err(NotHandled::ScriptOutput)?;
    let out_dirs = spellings(&path).into_iter().map(|folder| (folder, remap::OUT_DIR));
    let sources = (sources.iter()).map(|(folder, canonical)| (folder.clone(), canonical.as_str()));
    let folders: Vec<_> = out_dirs.chain(sources).collect();
    let tree = tree::digest(&path, &folders).map_err(NotHandled::OutDir)?;
    Ok(Some((path, tree)))
}

/// Where the sources lie, and what stands for it.
pub fn source_places(package_root: &Path, package: &Package) -> Vec<(PathBuf, String)> {
    let (folder, canonical) = match package_root.parent() {
        Some(registry) if is_in_registry(package_root) => (registry, remap::REGISTRY.to_owned()),
        _ => (package_root, remap::package_folder(&package.name, &package.version)),
    };
    let spellings = spellings(folder).into_iter();
    spellings.map(|folder| (folder, canonical.clone())).collect()
}

/// A folder as it was named and as the file system resolves it, which is how rustc sees the folder it runs in.
pub fn spellings(folder: &Path) -> Vec<PathBuf> {
    let mut spellings = vec![folder.to_owned()];
    if let Ok(resolved) = fs::canonicalize(folder)
        && resolved != folder
    {
        spellings.push(resolved);
    }
    spellings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_out_dir_that_is_not_cargo_s_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        fs::create_dir(&path).unwrap();
        // Whoever reads the folder meets this first.
        fs_err::os::unix::fs::symlink("/", path.join("link")).unwrap();
        let env = Env::made_up([(env::OUT_DIR, path.as_os_str())]);
        assert!(matches!(out_dir(&env, &[]), Err(NotHandled::ScriptOutput(_))));
        fs::write(folder.path().join("output"), "").unwrap();
        assert!(matches!(out_dir(&env, &[]), Err(NotHandled::OutDir(_))));
    }
}
