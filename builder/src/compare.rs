//! The comparison: which units both passes made alike, and which of these may be published.
//!
//! Pure: what was captured comes in as values. Must not know how passes are run or what is signed.

use std::collections::BTreeMap;

use memchr::memmem;
use object::read::archive::ArchiveFile;
use sealift_policy::digest::UnitKey;
use sealift_policy::local::{CallKind, CallSummary};
use sealift_policy::manifest::{Manifest, Role};
use serde::Serialize;
use serde_json::Value;

use crate::capture::CapturedUnit;

/// What became of a unit of the first pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "comparison", rename_all = "kebab-case")]
pub enum Comparison {
    /// Both passes made the same, and it may be published.
    Reproduced,
    /// The passes differ.
    Diverged {
        /// Which fields of the key document or manifest, or which outputs.
        what: Vec<String>,
    },
    /// Both passes may have made the same, but nobody else can use it.
    Unpublishable {
        /// Why, for people.
        why: String,
    },
}

/// Compares a unit of the first pass with the second pass. Outputs are looked at separately, by [`publishable`].
pub fn compare(unit: &CapturedUnit, other: &BTreeMap<UnitKey, CapturedUnit>) -> Comparison {
    let what = match other.get(&unit.key) {
        Some(same) if same.manifest_text == unit.manifest_text => return Comparison::Reproduced,
        Some(same) => differing_manifest(&unit.manifest, &same.manifest),
        None => match other
            .values()
            .find(|candidate| is_same_call(&unit.call, &candidate.call))
        {
            Some(sibling) => differing_keys(&unit.key_document, &sibling.key_document),
            None => vec!["the second pass has no such unit".to_owned()],
        },
    };
    Comparison::Diverged { what }
}

/// Whether two calls are for the same node of cargo's plan, as far as one can tell without keys.
fn is_same_call(a: &CallSummary, b: &CallSummary) -> bool {
    let without_externs = |call: &CallSummary| CallSummary {
        externs: vec![],
        ..call.clone()
    };
    without_externs(a) == without_externs(b)
}

/// Which parts of two manifests of one unit differ.
pub fn differing_manifest(a: &Manifest, b: &Manifest) -> Vec<String> {
    let mut what = Vec::new();
    for output in &a.outputs {
        if b.output(output.role).is_none_or(|other| other.sha256 != output.sha256) {
            what.push(format!("output {}", role_name(output.role)));
        }
    }
    let mut differs = |name: &str, differs: bool| {
        if differs {
            what.push(name.to_owned());
        }
    };
    differs("baseline", a.baseline != b.baseline);
    differs("outputs", a.outputs.len() != b.outputs.len());
    differs("diagnostics", a.diagnostics != b.diagnostics);
    differs("env_deps", a.env_deps != b.env_deps);
    differs("glibc", a.glibc != b.glibc);
    differs("sources", a.sources != b.sources);
    what
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Rmeta => "rmeta",
        Role::Rlib => "rlib",
        Role::ProcMacro => "proc-macro",
        Role::BuildScript => "build-script",
        Role::Stdout => "stdout",
        Role::OutDir => "out-dir",
    }
}

fn differing_keys(a: &str, b: &str) -> Vec<String> {
    let fields = |text: &str| match serde_json::from_str(text) {
        Ok(Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let (a, b) = (fields(a), fields(b));
    let names = a.keys().chain(b.keys().filter(|name| !a.contains_key(*name)));
    let differing = names.filter(|name| a.get(*name) != b.get(*name));
    differing.map(|name| format!("key {name}")).collect()
}

/// Whether a unit may be published: no output, manifest or key document speaks of this machine, and the metadata inside
/// the rlib is that of the `.rmeta`.
///
/// `outputs` are the contents in the order of the manifest; `needles` the texts that name this machine.
pub fn publishable(unit: &CapturedUnit, outputs: &[Vec<u8>], needles: &[String]) -> Comparison {
    let unpublishable = |why: String| Comparison::Unpublishable { why };
    let texts = [
        ("manifest", unit.manifest_text.as_bytes()),
        ("key document", unit.key_document.as_bytes()),
    ];
    let contents = unit.manifest.outputs.iter().zip(outputs);
    let contents = contents.map(|(output, content)| (role_name(output.role), content.as_slice()));
    for (what, content) in texts.into_iter().chain(contents) {
        let found = needles
            .iter()
            .find(|needle| memmem::find(content, needle.as_bytes()).is_some());
        if let Some(needle) = found {
            return unpublishable(format!("the {what} holds the path `{needle}`"));
        }
    }
    let content = |role: Role| {
        let index = unit.manifest.outputs.iter().position(|output| output.role == role)?;
        outputs.get(index)
    };
    if let (Some(rmeta), Some(rlib)) = (content(Role::Rmeta), content(Role::Rlib)) {
        match metadata_of(rlib) {
            Some(inside) if inside == rmeta.as_slice() => {}
            Some(_) => return unpublishable("the metadata inside the rlib is not that of the rmeta".to_owned()),
            None => return unpublishable("the rlib is no archive with metadata".to_owned()),
        }
    }
    if unit.call.kind == CallKind::Lib && unit.manifest.outputs.is_empty() {
        return unpublishable("it has no outputs".to_owned());
    }
    Comparison::Reproduced
}

/// The member of an rlib in which rustc keeps the crate's metadata.
const METADATA: &[u8] = b"lib.rmeta";

/// The section of that member that holds the metadata when it is wrapped in an object file.
const SECTION: &str = ".rmeta";

fn metadata_of(rlib: &[u8]) -> Option<Vec<u8>> {
    use object::{Object as _, ObjectSection as _};
    let archive = ArchiveFile::parse(rlib).ok()?;
    for member in archive.members() {
        let member = member.ok()?;
        if member.name() != METADATA {
            continue;
        }
        let data = member.data(rlib).ok()?;
        // The `.rmeta` file beside is the bare metadata; inside the archive it is a section of an object file.
        return match object::File::parse(data) {
            Ok(file) => Some(file.section_by_name(SECTION)?.data().ok()?.to_vec()),
            Err(_) => Some(data.to_vec()),
        };
    }
    None
}

#[cfg(test)]
mod tests;
