//! Whether a stored unit may be used for a call.
//!
//! Owns the order of the checks, and [`Reusable`], which only they make: installing takes nothing else. What was
//! downloaded is verified again at each use, against the policy of now.
//! Must not know how a unit is installed or compiled.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sealift_policy::digest::{Digest, UnitKey};
use sealift_policy::document::UnitDocument;
use sealift_policy::key::Class;
use sealift_policy::local::UnitOrigin;
use sealift_policy::manifest::{EnvDep, MalformedManifest, Manifest, Output, Role, glibc_version};
use sealift_policy::remap::{self, Places};
use sealift_policy::trust::{Freshness, Rejection, Subject, TrustPolicy, Verified};

use crate::call::Call;
use crate::config::Config;
use crate::env::Env;
use crate::host_program::{self, Unfit};
use crate::run::Run;
use crate::signatures::Signatures;
use crate::store::Store;
use crate::trust_root::{self, NoTrustRoot};
use crate::{clock, glibc, record};

/// What to do for a call.
#[derive(Debug)]
pub enum Decision {
    /// Install this.
    Reuse(Reusable),
    /// Run the canonical call.
    Compile(Miss),
}

/// A stored unit that passed every check for one call. Only [`decide`] makes one.
#[derive(Debug)]
pub struct Reusable {
    trusted: Trusted,
    trust_is_due: bool,
    blobs: Vec<(Role, PathBuf)>,
    compile_ms: u64,
}

#[derive(Debug)]
enum Trusted {
    /// The user's own compiler made it.
    Own(Manifest),
    /// A quorum of operators vouches for it.
    Quorum(Verified<Manifest>),
}

/// Why a stored unit is not used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Miss {
    #[error("not in the local store")]
    NotStored,
    #[error("not in the local store; waited {} ms in vain for its download", .0.as_millis())]
    Late(Duration),
    #[error("the local record is damaged")]
    DamagedRecord(#[source] MalformedManifest),
    #[error("its {0:?} output is missing from the local store or damaged")]
    DamagedOutput(Role),
    #[error("a proc macro or build script that took part in making it is another program here")]
    OtherHostCode,
    #[error("it was compiled with another value of `{0}`")]
    Env(String),
    #[error("it needs glibc {needed}, here is {}", .found.as_deref().unwrap_or("none that is known"))]
    Glibc { needed: String, found: Option<String> },
    #[error("it was compiled by {then}, here is {}", .here.as_deref().unwrap_or("none that is known"))]
    Baseline { then: String, here: Option<String> },
    #[error("it cannot run here")]
    Unfit(#[source] Unfit),
    #[error("messages are asked for in another form than its diagnostics have")]
    Presentation,
    #[error("there is no trust policy to believe it by: {0}")]
    NoTrustPolicy(String),
    #[error("there is no trust policy to believe it by now")]
    NotFollowed(#[source] NoTrustRoot),
    #[error("it is not believed")]
    Rejected(#[source] Rejection),
}

impl Miss {
    /// Whether this looks like an attack.
    pub fn is_suspicious(&self) -> bool {
        matches!(self, Self::Rejected(rejection) if !rejection.is_innocent())
    }

    /// Whether something was there but refused.
    pub fn is_rejection(&self) -> bool {
        matches!(
            self,
            Self::Rejected(_) | Self::DamagedRecord(_) | Self::DamagedOutput(_)
        )
    }
}

impl Reusable {
    /// What it consists of.
    pub fn manifest(&self) -> &Manifest {
        match &self.trusted {
            Trusted::Own(manifest) => manifest,
            Trusted::Quorum(verified) => verified.value(),
        }
    }

    /// Its outputs in the store.
    pub fn blobs(&self) -> &[(Role, PathBuf)] {
        &self.blobs
    }

    /// Whether it was downloaded.
    pub fn was_fetched(&self) -> bool {
        matches!(self.trusted, Trusted::Quorum(_))
    }

    /// Whether it is time to ask whether those who vouch for it are still believed.
    pub fn trust_is_due(&self) -> bool {
        self.trust_is_due
    }

    /// How long it took to compile.
    pub fn compile_ms(&self) -> u64 {
        self.compile_ms
    }
}

/// Decides about a call.
pub fn decide(store: &Store, config: &Config, call: &Call, places: &Places) -> Decision {
    match check(store, config, call, places) {
        Ok(reusable) => Decision::Reuse(reusable),
        Err(miss) => Decision::Compile(miss),
    }
}

/// Decides about a build script's run.
pub fn decide_run(store: &Store, config: &Config, run: &Run) -> Decision {
    match check_run(store, config, run) {
        Ok(reusable) => Decision::Reuse(reusable),
        Err(miss) => Decision::Compile(miss),
    }
}

/// What is stored under a key, if it is believed.
fn stored(
    store: &Store,
    config: &Config,
    (key, class): (UnitKey, Class),
    document: impl FnOnce() -> UnitDocument,
    roles: Option<&[Role]>,
    by: impl FnOnce() -> BTreeSet<Digest>,
) -> Result<Reusable, Miss> {
    let unit = store.unit(key).ok_or(Miss::NotStored)?;
    store.mark_used(key);
    let mut trust_is_due = false;
    let trusted = match &unit.origin {
        // Whoever made it is not asked for here, but those who took part may have been revoked, and made anew, since.
        UnitOrigin::Compiled { by: then } if *then != by() => return Err(Miss::OtherHostCode),
        UnitOrigin::Compiled { .. } => {
            Trusted::Own(Manifest::from_canonical(unit.manifest.as_bytes()).map_err(Miss::DamagedRecord)?)
        }
        UnitOrigin::Fetched { proofs } => {
            let (policy, is_due) = trust_policy(config, clock::seconds())?;
            trust_is_due = is_due;
            let subject = Subject {
                unit_key: key,
                document: &document(),
                class,
            };
            // It was fresh when it was fetched; who vouches for it is checked against the policy of now.
            let verified = policy.verify_with(
                &Signatures(store),
                &subject,
                unit.manifest.as_bytes(),
                proofs,
                Freshness::Any,
            );
            Trusted::Quorum(verified.map_err(Miss::Rejected)?)
        }
    };
    let reusable = Reusable {
        trusted,
        trust_is_due,
        blobs: vec![],
        compile_ms: unit.compile_ms,
    };
    let manifest = reusable.manifest();
    if manifest.unit_key != key || roles != Some(&self::roles(manifest)[..]) {
        return Err(Miss::Rejected(Rejection::OtherUnit(manifest.unit_key)));
    }
    Ok(reusable)
}

fn blobs(store: &Store, manifest: &Manifest) -> Result<Vec<(Role, PathBuf)>, Miss> {
    let blob = |output: &Output| {
        let blob = store.blob(output.sha256, output.size);
        Ok((output.role, blob.ok_or(Miss::DamagedOutput(output.role))?))
    };
    manifest.outputs.iter().map(blob).collect()
}

fn check_run(store: &Store, config: &Config, run: &Run) -> Result<Reusable, Miss> {
    let document = || run.document.clone();
    let subject = (run.key, Class::HostCode);
    let mut reusable = stored(store, config, subject, document, run.document.expected_roles(), || {
        run.by(store)
    })?;
    let manifest = reusable.manifest();
    check_env(manifest, &run.places)?;
    if let Some(name) = run.undeclared(|name| manifest.env_deps.iter().any(|declared| declared.name == name)) {
        return Err(Miss::Env(name));
    }
    check_glibc(store, &run.rustc(), manifest.glibc.as_deref())?;
    // What this machine's own C compiler made is of that compiler; what was fetched is of the operators'.
    if let Some(then) = &manifest.baseline
        && !reusable.was_fetched()
    {
        let here = run.baseline(store);
        if here.as_ref() != Some(then) {
            let then = then.clone();
            return Err(Miss::Baseline { then, here });
        }
    }
    reusable.blobs = blobs(store, manifest)?;
    Ok(reusable)
}

fn check(store: &Store, config: &Config, call: &Call, places: &Places) -> Result<Reusable, Miss> {
    let document = || call.document.clone().into();
    let subject = (call.key, call.class());
    let by = || call.closure.proc_macros(store);
    let mut reusable = stored(store, config, subject, document, call.document.expected_roles(), by)?;
    let manifest = reusable.manifest();
    check_env(manifest, places)?;
    if reusable.was_fetched() {
        check_glibc(store, &call.rustc(), manifest.glibc.as_deref())?;
    }
    if !manifest.diagnostics.is_empty() && !record::is_usual_presentation(call) {
        return Err(Miss::Presentation);
    }
    let blobs = blobs(store, manifest)?;
    if reusable.was_fetched() && call.class() == Class::HostCode {
        for (_, blob) in &blobs {
            check_host_program(call, blob)?;
        }
    }
    reusable.blobs = blobs;
    Ok(reusable)
}

fn roles(manifest: &Manifest) -> Vec<Role> {
    manifest.outputs.iter().map(|output| output.role).collect()
}

/// Reads the trust policy of this time, in seconds since 1970, and whether it is time to look for a newer one.
fn trust_policy(config: &Config, now: i64) -> Result<(TrustPolicy, bool), Miss> {
    // cargo runs the wrapper in the package's folder: what lies there is a stranger's.
    if let Some(path) = config.trust_policy.as_deref().filter(|path| path.is_relative()) {
        return Err(Miss::NoTrustPolicy(format!(
            "`{}` is not an absolute path",
            path.display()
        )));
    }
    trust_root::load_with_age(config, now).map_err(|error| match error {
        NoTrustRoot::NotConfigured => Miss::NoTrustPolicy("none is configured".into()),
        NoTrustRoot::Unreadable(source) => Miss::NoTrustPolicy(source.to_string()),
        NoTrustRoot::Malformed { path, source } => Miss::NoTrustPolicy(format!("`{}`: {source}", path.display())),
        error => Miss::NotFollowed(error),
    })
}

/// Set, unset and empty are three things.
fn check_env(manifest: &Manifest, places: &Places) -> Result<(), Miss> {
    for EnvDep { name, value } in &manifest.env_deps {
        let here = match Env::process().raw(name) {
            None => None,
            Some(here) => match here.into_string() {
                Ok(here) => Some(remap::to_canonical_paths(&here, places)),
                Err(_) => return Err(Miss::Env(name.clone())),
            },
        };
        if here != *value {
            return Err(Miss::Env(name.clone()));
        }
    }
    Ok(())
}

/// The compiler that is about to use it runs here.
fn check_host_program(call: &Call, program: &Path) -> Result<(), Miss> {
    host_program::check(program, &call.rustc(), &call.toolchain.compiler.sysroot).map_err(Miss::Unfit)
}

fn check_glibc(store: &Store, rustc: &Path, needed: Option<&str>) -> Result<(), Miss> {
    let Some(needed) = needed else { return Ok(()) };
    let found = glibc::version(store, rustc);
    let new_enough = found.as_deref().and_then(glibc_version) >= glibc_version(needed);
    if found.is_some() && new_enough {
        Ok(())
    } else {
        Err(Miss::Glibc {
            needed: needed.to_owned(),
            found,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_package_brings_its_own_trust_policy() {
        let policy = |path: &str| {
            let env = Env::made_up([(crate::env::TRUST_ROOT, path)]);
            trust_policy(&Config::from_env(&env), 0).unwrap_err().to_string()
        };
        // This very package has a file of that name.
        assert!(policy("Cargo.toml").ends_with(": `Cargo.toml` is not an absolute path"));
        assert!(policy(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).contains("Cargo.toml`: expected"));
    }

    // S15: a program made on a newer system is a miss, and says what it needs.
    #[test]
    fn a_program_that_needs_a_newer_glibc_is_a_miss() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let program = std::env::current_exe().unwrap();
        let check = |needed| check_glibc(&store, &program, needed);
        assert!(check(None).is_ok());
        assert!(check(Some("2.0")).is_ok());
        let here = glibc::version(&store, &program).unwrap();
        assert!(check(Some(&here)).is_ok());
        let miss = check(Some("9999.0")).unwrap_err();
        assert_eq!(miss.to_string(), format!("it needs glibc 9999.0, here is {here}"));
    }
}
