//! Keeping a compiled unit: what cargo reads about it, and the records by which later calls find it.
//!
//! Owns the order of records: content first, then what refers to it.
//! Must not know how the unit was compiled or installed.

use std::io;
use std::path::PathBuf;

use fs_err as fs;
use sealift_policy::digest::Digest;
use sealift_policy::local::{LocalUnit, OutputRecord, RecordedOutput, UnitOrigin};
use sealift_policy::manifest::{Output, Role};
use sealift_policy::remap::Places;

use crate::call::Call;
use crate::dep_info::DepInfo;
use crate::env::Env;
use crate::native_search;
use crate::record::{self, Needs, NotKept};
use crate::run::c_compiler;
use crate::store::Store;
use crate::{glibc, install};

/// What a compilation gave, besides the outputs' bytes.
#[derive(Debug)]
pub struct Gave<'a> {
    /// Its outputs, stored and installed.
    pub outputs: Vec<Output>,
    /// rustc's messages, without artifact notifications.
    pub diagnostics: &'a [String],
    /// rustc's wall time.
    pub compile_ms: u64,
    /// Where it looked for native libraries.
    pub searched: Searched,
}

/// Where a canonical call looks for native libraries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Searched {
    /// In the package's own `OUT_DIR`, whose content is in the key.
    OutDir,
    /// Elsewhere, too.
    Everywhere,
}

/// Writes the dep-info for cargo, and the records for later calls; says why the unit is not kept for others, if so.
pub fn keep(store: &Store, call: &Call, places: &Places, gave: Gave<'_>) -> io::Result<Option<NotKept>> {
    let Call { key, document, .. } = call;
    let outputs = gave.outputs;
    let dep_info = write_dep_info(call, places)?;
    if !call.is_as_it_was() {
        return Ok(Some(NotKept::Changed));
    }
    let mut needs = Needs::default();
    if document.bundles_native_code() {
        // What the objects ask of the C library shows when they are linked: the one they were compiled for is enough.
        let compiler = c_compiler::here(store, &Env::process());
        needs.baseline = compiler.map(|compiler| compiler.banner);
        needs.glibc = glibc::version(store, &call.rustc());
    }
    let mut named = None;
    for output in &outputs {
        let content = fs::read(places.out.join(&output.name))?;
        named = named.or(record::find_local_path(call, places, &output.name, &content).err());
        if output.role.is_host_code() {
            needs.glibc = record::needed_glibc(&content);
            let elsewhere = native_search::found_elsewhere(&places.out.join(&output.name), &call.moot_search);
            named = named.or(elsewhere.map(NotKept::SystemLibrary));
        }
    }
    let has = |role: Role| outputs.iter().any(|output| output.role == role);
    if has(Role::Rmeta) || has(Role::ProcMacro) {
        let baked = has(Role::Rmeta)
            && named.is_some()
            && gave.searched == Searched::OutDir
            && record::reads_only_its_own(call, &dep_info);
        let record = OutputRecord {
            baked,
            ..record_of(call, &outputs)
        };
        if let Err(error) = store.write_output(&record) {
            return Ok(Some(NotKept::Store(error.to_string())));
        }
    }
    if gave.searched == Searched::Everywhere {
        return Ok(Some(NotKept::ForeignLibraries));
    }
    if let Some(reason) = named.or(call.linked_with_baked().map(NotKept::Baked)) {
        return Ok(Some(reason));
    }
    let manifest = match record::manifest(call, places, outputs, &dep_info, gave.diagnostics, needs) {
        Ok(manifest) => manifest,
        Err(reason) => return Ok(Some(reason)),
    };
    let package = &document.package;
    let unit = LocalUnit {
        version: 1,
        unit_key: *key,
        manifest: manifest.to_canonical(),
        origin: UnitOrigin::Compiled {
            by: call.closure.proc_macros(store),
        },
        compile_ms: gave.compile_ms,
        call: Some(call.summary()),
    };
    let kept = store
        .write_key(*key, &call.document_text, &package.name, &package.version)
        .and_then(|()| store.write_unit(&unit));
    Ok(kept.err().map(|error| NotKept::Store(error.to_string())))
}

/// Writes for cargo what rustc says that the unit was made from, which rustc knows before it writes metadata.
pub fn write_dep_info(call: &Call, places: &Places) -> io::Result<DepInfo> {
    let name = format!("{}-{}.d", call.document.crate_name, call.key.short());
    let dep_info = DepInfo::parse(&fs::read_to_string(places.out.join(name))?);
    let roles = call.document.expected_roles().unwrap_or_default();
    let text = dep_info.to_text(&dep_info_targets(call, roles));
    install::write(&call.invocation.dep_info(), &text)?;
    Ok(dep_info)
}

/// The record by which dependents find a unit with these outputs.
pub fn record_of(call: &Call, outputs: &[Output]) -> OutputRecord {
    output_record(call, outputs.iter().map(|output| (output.role, output.sha256)))
}

/// The record by which dependents find a library or proc macro.
pub fn output_record(call: &Call, outputs: impl Iterator<Item = (Role, Digest)>) -> OutputRecord {
    OutputRecord {
        version: 1,
        unit_key: call.key,
        crate_name: call.document.crate_name.clone(),
        outputs: outputs.map(|(role, sha256)| RecordedOutput { role, sha256 }).collect(),
        deps: call.identities(),
        baked: false,
        native_libs: Some(call.document.native_libs.clone()),
    }
}

/// The files that rustc's dep-info speaks of, in its order.
pub fn dep_info_targets(call: &Call, roles: &[Role]) -> Vec<PathBuf> {
    let mut roles = roles.to_vec();
    roles.sort_by_key(|role| *role == Role::Rmeta);
    let mut targets = vec![call.invocation.dep_info()];
    targets.extend(roles.into_iter().map(|role| call.invocation.output(role)));
    targets
}
