//! The sources of a script and of the packages compiled into it, read from where cargo unpacked them.
//!
//! Owns which files these are. Must not know what is looked for in them.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use super::recorded::{RecordError, RecordedCall};
use super::sources::Source;

/// Reads the script's own files, as its dep-info names them, and all Rust files of the packages `used`
/// (`NAME-VERSION`), which lie below `home`.
///
/// # Errors
/// When a file or folder cannot be read.
pub fn read(call: &RecordedCall, used: BTreeSet<String>, home: &Path) -> Result<Vec<Source>, RecordError> {
    let package = call.named_folder("CARGO_MANIFEST_DIR")?;
    let mut sources = vec![];
    for file in own_files(&call.program, &package)? {
        let name = file.strip_prefix(&package).unwrap_or(&file).display().to_string();
        sources.push(source(&file, name, true)?);
    }
    for registry in fs_err::read_dir(home.join("registry/src"))? {
        let registry = registry?.path();
        for package in &used {
            for entry in walkdir::WalkDir::new(registry.join(package)).into_iter().flatten() {
                let inside = entry.path().strip_prefix(&registry).unwrap_or(entry.path());
                let is_tried = inside.components().nth(1).is_some_and(|folder| {
                    ["tests", "benches", "examples"]
                        .iter()
                        .any(|name| folder.as_os_str() == *name)
                });
                if entry.file_type().is_file() && !is_tried && inside.extension().is_some_and(|end| end == "rs") {
                    sources.push(source(entry.path(), inside.display().to_string(), false)?);
                }
            }
        }
    }
    Ok(sources)
}

/// Every feature that a package has but `default`.
///
/// # Errors
/// When its manifest cannot be read.
pub fn features(package: &Path) -> io::Result<BTreeSet<String>> {
    let manifest = fs_err::read_to_string(package.join("Cargo.toml"))?;
    let manifest: toml::Table = manifest.parse().map_err(io::Error::other)?;
    Ok(features_of(&manifest))
}

fn features_of(manifest: &toml::Table) -> BTreeSet<String> {
    let named = manifest.get("features").and_then(toml::Value::as_table);
    let mut features: BTreeSet<String> = named.into_iter().flat_map(|table| table.keys().cloned()).collect();
    let switched = named
        .into_iter()
        .flat_map(|table| table.values())
        .filter_map(toml::Value::as_array)
        .flatten();
    let explicit: BTreeSet<&str> = switched.filter_map(|one| one.as_str()?.strip_prefix("dep:")).collect();
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let targets = targets
        .into_iter()
        .flat_map(|table| table.values())
        .filter_map(toml::Value::as_table);
    for table in targets.chain([manifest]) {
        for kind in ["dependencies", "build-dependencies"] {
            let dependencies = table.get(kind).and_then(toml::Value::as_table).into_iter().flatten();
            let optional =
                dependencies.filter(|(_, value)| value.get("optional").and_then(toml::Value::as_bool) == Some(true));
            features.extend(
                optional
                    .map(|(name, _)| name.clone())
                    .filter(|name| !explicit.contains(name.as_str())),
            );
        }
    }
    features.remove("default");
    features
}

fn source(file: &Path, name: String, is_own: bool) -> io::Result<Source> {
    let text = String::from_utf8_lossy(&fs_err::read(file)?).into_owned();
    Ok(Source { name, is_own, text })
}

/// The files of the package from which the script was compiled.
fn own_files(program: &Path, package: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let folder = program.parent().unwrap_or(Path::new("/"));
    let mut files = BTreeSet::new();
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "d") {
            let named = named_in(&fs_err::read_to_string(&path)?);
            files.extend(
                named
                    .into_iter()
                    .map(|file| package.join(file))
                    .filter(|file| file.starts_with(package) && file.is_file()),
            );
        }
    }
    if files.is_empty() {
        return Err(io::Error::other(format!(
            "no dep-info in `{}` names the script's sources",
            folder.display()
        )));
    }
    Ok(files)
}

/// The inputs in a dep-info file; blanks in names are escaped.
fn named_in(dep_info: &str) -> BTreeSet<PathBuf> {
    let rules = dep_info.lines().filter(|line| !line.starts_with('#'));
    let inputs = rules
        .filter_map(|line| line.split_once(": "))
        .map(|(_, inputs)| inputs.replace("\\ ", "\0"));
    let names: Vec<String> = inputs
        .flat_map(|inputs| inputs.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .collect();
    names
        .into_iter()
        .filter(|name| !name.is_empty())
        .map(|name| name.replace('\0', " ").into())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dep_info_names_the_sources() {
        let text = "/t/build.d: /p/build.rs /p/build/a\\ b.rs\n\n/p/build.rs:\n# env-dep:CARGO_MANIFEST_DIR=/p\n";
        let named: Vec<_> = named_in(text).into_iter().collect();
        assert_eq!(named, [Path::new("/p/build/a b.rs"), Path::new("/p/build.rs")]);
    }

    #[test]
    fn optional_dependencies_are_features_unless_features_name_them() {
        let manifest = "[features]\ndefault = [\"std\"]\nstd = []\nbindings = [\"dep:bindgen\"]\n\
            [build-dependencies.bindgen]\noptional = true\n[build-dependencies.cc]\nversion = \"1\"\n\
            [target.'cfg(unix)'.dependencies.libc]\noptional = true\n";
        let features: Vec<_> = features_of(&manifest.parse().unwrap()).into_iter().collect();
        assert_eq!(features, ["bindings", "libc", "std"]);
    }
}
