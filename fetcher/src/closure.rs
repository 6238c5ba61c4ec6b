//! The dependency closure of a unit: the libraries that its compiler may see, and nothing else.
//!
//! rustc looks for a dependency under the file name that its dependents' metadata records, and falls back to every file
//! that begins with the crate's name; what it tries on the way leaves traces in its output. So a unit is compiled
//! against a folder that holds exactly its closure, under the recorded names.
//! Must not know calls or keys.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use fs_err as fs;
use sealift_policy::canonical;
use sealift_policy::digest::Digest;
use sealift_policy::local::{OutputRecord, cas_path};
use sealift_policy::manifest::Role;

use crate::store::Store;

/// The closure of some dependencies, by the digest that identifies each (of its rmeta or proc macro).
#[derive(Debug, Clone, Default)]
pub struct Closure(BTreeMap<Digest, OutputRecord>);

/// A dependency of the closure is not known to the store.
#[derive(Debug, thiserror::Error)]
#[error("dependency with content {0} is not known to the local store")]
pub struct Unknown(Digest);

/// What a compiler needs of the libraries in a closure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Their metadata.
    Metadata,
    /// Their object code, with the metadata inside.
    Objects,
}

impl Closure {
    /// The closure of these dependencies. What a proc macro was built from is not part of it.
    pub fn of(store: &Store, direct: &[OutputRecord]) -> Result<Self, Unknown> {
        let mut closure: BTreeMap<Digest, OutputRecord> = (direct.iter())
            .filter_map(|record| Some((identity(record)?, record.clone())))
            .collect();
        let mut open: Vec<Digest> = closure.values().flat_map(|record| record.deps.clone()).collect();
        while let Some(dependency) = open.pop() {
            if closure.contains_key(&dependency) {
                continue;
            }
            let record = store.output(dependency).ok_or(Unknown(dependency))?;
            let Some(identity) = identity(&record) else { continue };
            open.extend(&record.deps);
            closure.insert(identity, record);
        }
        Ok(Self(closure))
    }

    /// Of libraries whose calls had these `-l`.
    #[cfg(test)]
    pub(crate) fn of_libs(libs: &[&[&str]]) -> Self {
        let record = |(place, libs): (usize, &&[&str])| {
            let digest = Digest::of(&place.to_le_bytes());
            let record = OutputRecord {
                version: 1,
                unit_key: sealift_policy::digest::UnitKey::new(digest),
                crate_name: "library".into(),
                outputs: vec![],
                deps: vec![],
                baked: false,
                native_libs: Some(libs.iter().map(|&lib| lib.to_owned()).collect()),
            };
            (digest, record)
        };
        Self(libs.iter().enumerate().map(record).collect())
    }

    /// Whether a library of this name is in it.
    pub fn contains_crate(&self, name: &str) -> bool {
        self.find(|record| record.crate_name == name).is_some()
    }

    /// A library of this kind.
    pub fn find(&self, is_wanted: impl Fn(&OutputRecord) -> bool) -> Option<&OutputRecord> {
        self.0.values().find(|record| is_wanted(record))
    }

    /// The contents of all proc macros in it that are units of the store: rustc may have loaded any of them. One that nobody
    /// keeps is another in each project.
    pub fn proc_macros(&self, store: &Store) -> BTreeSet<Digest> {
        let macros = (self.0.values()).filter_map(|record| Some((record.unit_key, role(record, Role::ProcMacro)?)));
        macros
            .filter(|(key, content)| store.keeps(*key, *content))
            .map(|(_, content)| content)
            .collect()
    }

    /// What the libraries in it may look for when a program is linked with them, besides what they bundle; `None` where that
    /// is not known.
    pub fn native_libs(&self) -> Option<Vec<&str>> {
        let mut all = vec![];
        for record in self.0.values() {
            let libs = record.native_libs.as_ref()?.iter().map(String::as_str);
            all.extend(libs.filter(|lib| !lib.starts_with("static") || lib.contains("-bundle")));
        }
        Some(all)
    }

    /// The digest of all object code in it: proc macros by their unit, since their linked bytes say nothing more, and so
    /// libraries of which the caller says it. `None` when a library's object code is not known.
    pub fn objects(&self, counts_by_unit: impl Fn(&OutputRecord) -> bool) -> Option<Digest> {
        let mut lines = vec![];
        for record in self.0.values() {
            let content = match role(record, Role::ProcMacro) {
                Some(_) => record.unit_key.digest(),
                None if counts_by_unit(record) => record.unit_key.digest(),
                None => role(record, Role::Rlib)?,
            };
            lines.push(format!("{} {content}", record.crate_name));
        }
        lines.sort();
        Some(Digest::of(canonical::to_string(&lines).as_bytes()))
    }

    /// Links the closure into a folder under canonical names.
    pub fn link_into(&self, store: &Store, folder: &Path, needs: Needs) -> io::Result<()> {
        for record in self.0.values() {
            for output in &record.outputs {
                let wanted = match output.role {
                    Role::ProcMacro => true,
                    Role::Rmeta => needs == Needs::Metadata,
                    Role::Rlib => needs == Needs::Objects,
                    Role::BuildScript | Role::Stdout | Role::OutDir => false,
                };
                if wanted {
                    let name = output.role.file_name(&record.crate_name, record.unit_key);
                    let size = fs::metadata(store.path(&cas_path(output.sha256)))?.len();
                    let stored = store.blob(output.sha256, size);
                    let stored = stored.ok_or_else(|| io::Error::other("a dependency in the store is damaged"))?;
                    link(&stored, &folder.join(name))?;
                }
            }
        }
        Ok(())
    }
}

/// What identifies a library or proc macro by content.
pub fn identity(record: &OutputRecord) -> Option<Digest> {
    role(record, Role::Rmeta).or_else(|| role(record, Role::ProcMacro))
}

/// The content of one of its outputs.
pub fn role(record: &OutputRecord, role: Role) -> Option<Digest> {
    record
        .outputs
        .iter()
        .find(|output| output.role == role)
        .map(|output| output.sha256)
}

fn link(stored: &Path, name: &Path) -> io::Result<()> {
    fs::hard_link(stored, name).or_else(|_| fs::copy(stored, name).map(drop))
}
