//! What a compilation gave, as a manifest that means the same on every machine, or why it is not kept.
//!
//! Owns the translation between this machine's paths and the manifest's roots, and the search of outputs for paths of
//! this machine.
//! Must not know how the compilation was run or where the record goes.

use std::path::{Component, Path, PathBuf};

use memchr::memmem;
use sealift_policy::key::env_counts;
use sealift_policy::manifest::{EnvDep, Manifest, Output, Source, SourceRoot, glibc_version};
use sealift_policy::remap::{self, Places};
use sealift_policy::run::stdout::NotShared;

use crate::call::Call;
use crate::dep_info::DepInfo;
use crate::env;

/// Why a unit that was compiled is not kept for others.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum NotKept {
    #[error("it may bundle native libraries from folders outside of `OUT_DIR`")]
    ForeignLibraries,
    #[error("it needs `{0}` of the system, of which a build script made an archive")]
    SystemLibrary(String),
    #[error("its sources were changed while it was compiled")]
    Changed,
    #[error("what it asks the system has another answer since")]
    SystemChanged,
    #[error("it reads `{0}`, which is outside its package and `OUT_DIR`")]
    Outside(PathBuf),
    #[error("it reads `{0}` in `OUT_DIR`, which names folders of this machine")]
    LocalFile(PathBuf),
    #[error("its output `{output}` names `{path}`, a folder of this machine")]
    LocalPath { output: String, path: String },
    #[error("its diagnostics were asked for in a form that others do not use")]
    Presentation,
    #[error("the local store does not take it: {0}")]
    Store(String),
    #[error("its output cannot be read: {0}")]
    Unreadable(String),
    #[error("it is linked with `{0}`, which says where on this machine it was compiled")]
    Baked(String),
    #[error("`OUT_DIR` held something before the script ran")]
    NotEmpty,
    #[error(
        "the script writes into libraries where `OUT_DIR` lies, so that only a builder's sandbox makes what others can use"
    )]
    OutDirElsewhere,
    #[error("what was fetched for other circumstances stays")]
    Fetched,
    #[error("`{0}` is set, which the script may read without saying so")]
    Undeclared(String),
    #[error(transparent)]
    Run(#[from] NotShared),
}

/// How cargo asks for messages; diagnostics are kept in this form only.
pub const PRESENTATION: &[&str] = &["--json=diagnostic-rendered-ansi,artifacts,future-incompat"];

/// What native code in the outputs was made for.
#[derive(Debug, Default)]
pub struct Needs {
    /// What compiled it, where a C compiler did.
    pub baseline: Option<String>,
    /// The glibc that it needs.
    pub glibc: Option<String>,
}

/// The manifest of a compilation.
pub fn manifest(
    call: &Call,
    places: &Places,
    outputs: Vec<Output>,
    dep_info: &DepInfo,
    diagnostics: &[String],
    needs: Needs,
) -> Result<Manifest, NotKept> {
    if !diagnostics.is_empty() && !is_usual_presentation(call) {
        return Err(NotKept::Presentation);
    }
    let sources = dep_info
        .files
        .iter()
        .map(|file| source(call, file))
        .collect::<Result<_, _>>()?;
    let env_deps = (dep_info.env.iter())
        .map(|EnvDep { name, value }| EnvDep {
            name: name.clone(),
            value: value.as_ref().map(|value| remap::to_canonical_paths(value, places)),
        })
        .collect();
    Ok(Manifest {
        baseline: needs.baseline,
        diagnostics: diagnostics
            .iter()
            .map(|line| remap::to_canonical_paths(line, places))
            .collect(),
        env_deps,
        glibc: needs.glibc,
        outputs,
        sources,
        unit_key: call.key,
        version: 1,
    })
}

/// Whether nothing decided what was compiled but what the unit's key speaks of, and where it lies.
pub fn reads_only_its_own(call: &Call, dep_info: &DepInfo) -> bool {
    // Those that say where it lies, besides those in the key.
    let is_its_own = |name: &str| env_counts(name) || matches!(name, env::CARGO_MANIFEST_DIR | env::OUT_DIR);
    dep_info.files.iter().all(|file| source(call, file).is_ok())
        && dep_info.env.iter().all(|EnvDep { name, .. }| is_its_own(name))
}

/// Whether the call asks for messages as cargo usually does.
pub fn is_usual_presentation(call: &Call) -> bool {
    call.invocation.presentation == PRESENTATION
}

/// What rustc's dep-info would say here.
pub fn dep_info(call: &Call, places: &Places, manifest: &Manifest) -> DepInfo {
    let file = |source: &Source| match (source.root, &call.out_dir) {
        (SourceRoot::OutDir, Some(out_dir)) => out_dir.path.join(&source.path),
        _ => call.package_root.join(&source.path),
    };
    DepInfo {
        files: manifest.sources.iter().map(file).collect(),
        env: (manifest.env_deps.iter())
            .map(|EnvDep { name, value }| EnvDep {
                name: name.clone(),
                value: value.as_ref().map(|value| remap::to_local_paths(value, places)),
            })
            .collect(),
    }
}

/// Searches an output for folders of this machine.
pub fn find_local_path(call: &Call, places: &Places, name: &str, content: &[u8]) -> Result<(), NotKept> {
    let folders = [&places.out, &places.deps, &call.invocation.out_dir];
    let sources = places.sources.iter().map(|(folder, _)| folder);
    for folder in sources.chain(&places.out_dir).chain(folders) {
        if memmem::find(content, folder.as_os_str().as_encoded_bytes()).is_some() {
            return Err(NotKept::LocalPath {
                output: name.to_owned(),
                path: folder.display().to_string(),
            });
        }
    }
    Ok(())
}

/// The newest glibc version that a program's symbols ask for.
pub fn needed_glibc(content: &[u8]) -> Option<String> {
    const PREFIX: &[u8] = b"GLIBC_";
    let versions = memmem::find_iter(content, PREFIX).filter_map(|place| {
        let text = &content[place + PREFIX.len()..];
        let end = text.iter().position(|byte| !(byte.is_ascii_digit() || *byte == b'.'))?;
        // A third part, as in 2.2.5, is below what is compared.
        let text = std::str::from_utf8(&text[..end.min(12)]).ok()?;
        let mut parts = text.split('.');
        glibc_version(&format!("{}.{}", parts.next()?, parts.next()?))
    });
    versions.max().map(|(major, minor)| format!("{major}.{minor}"))
}

fn source(call: &Call, file: &Path) -> Result<Source, NotKept> {
    let outside = || NotKept::Outside(file.to_owned());
    let file = lexically_normal(file).ok_or_else(outside)?;
    let (root, relative) = match &call.out_dir {
        Some(out_dir) if file.starts_with(&out_dir.path) => (SourceRoot::OutDir, file.strip_prefix(&out_dir.path)),
        _ => (SourceRoot::Package, file.strip_prefix(&call.package_root)),
    };
    let relative = relative.map_err(|_| outside())?;
    if root == SourceRoot::OutDir && call.local_files.iter().any(|local| local == relative) {
        return Err(NotKept::LocalFile(relative.to_owned()));
    }
    let path = relative
        .to_str()
        .filter(|path| !path.is_empty())
        .ok_or_else(outside)?
        .to_owned();
    Ok(Source { path, root })
}

/// Takes `.` and `..` out of an absolute path. Packages hold no links, so this names the same file.
fn lexically_normal(path: &Path) -> Option<PathBuf> {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                if !normal.pop() {
                    return None;
                }
            }
            other => normal.push(other),
        }
    }
    normal.is_absolute().then_some(normal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_glibc_symbol_version_is_found() {
        assert_eq!(
            needed_glibc(b"x\0GLIBC_2.2.5\0GLIBC_2.34\0GLIBC_2.4\0GLIBC_PRIVATE\0"),
            Some("2.34".into())
        );
        assert_eq!(needed_glibc(b"nothing"), None);
    }

    #[test]
    fn dots_are_taken_out_of_paths() {
        assert_eq!(
            lexically_normal(Path::new("/a/src/../README.md")),
            Some("/a/README.md".into())
        );
        assert_eq!(lexically_normal(Path::new("/../..")), None);
    }
}
