//! Targets, snapshot and timestamp: made anew where something changed or runs out, and copied to where they are served.
//!
//! Owns the order of writing. A reader who comes in between finds the old timestamp with everything that it names; a
//! crash in between costs nothing but the work, which the next call repeats. Must not know what the targets mean beyond
//! that clients will be able to read them.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::path::Path;

use aws_lc_rs::rand::SystemRandom;
use sealift_policy::digest::Digest;
use sealift_policy::provenance::TrustedRoot;
use sealift_policy::provenance::keyless::check_root;
use sealift_policy::trust::TrustPolicy;
use sealift_policy::tuf::{RevocationList, SPEC_VERSION, TargetFile, TufFile};
use serde::Serialize;
use tough::TargetName;
use tough::editor::signed::SignedRole;
use tough::key_source::KeySource;
use tough::schema::{Hashes, KeyHolder, Metafile, Role, RoleType, Root, Signed, Snapshot, Target, Targets, Timestamp};

use super::folder::Folder;
use super::{TrustError, root};
use crate::durable;

/// How long new metadata counts, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetimes {
    /// Of the list of targets.
    pub targets: u64,
    /// Of the snapshot.
    pub snapshot: u64,
    /// Of the timestamp.
    pub timestamp: u64,
}

/// What is new.
#[derive(Debug, Clone, Default)]
pub struct NewTargets(Vec<(TargetFile, Vec<u8>)>);

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Published {
    /// The root's version.
    pub root: u64,
    /// The version of the list of targets.
    pub targets: u64,
    /// The snapshot's version.
    pub snapshot: u64,
    /// The timestamp's version.
    pub timestamp: u64,
    /// What should have been made anew and could not, for people.
    pub problems: Vec<String>,
}

impl NewTargets {
    /// Takes a target from a file.
    ///
    /// # Errors
    /// When clients could not read it.
    pub fn add(&mut self, target: TargetFile, path: &Path) -> Result<(), TrustError> {
        let bytes = fs_err::read(path)?;
        let malformed = |what| {
            move |source| TrustError::Malformed {
                path: path.to_owned(),
                what,
                source,
            }
        };
        match target {
            TargetFile::TrustPolicy => {
                serde_json::from_slice::<TrustPolicy>(&bytes).map_err(malformed("a trust policy"))?;
            }
            TargetFile::Revocations => {
                serde_json::from_slice::<RevocationList>(&bytes).map_err(malformed("a list of revocations"))?;
            }
            TargetFile::TrustedRoot => {
                let root = serde_json::from_slice::<TrustedRoot>(&bytes).map_err(malformed("JSON"))?;
                check_root(&root).map_err(|source| TrustError::TrustedRoot {
                    path: path.to_owned(),
                    source: Box::new(source),
                })?;
            }
        }
        self.0.push((target, bytes));
        Ok(())
    }
}

/// Signs what has to be signed, and copies it to where it is served, if that is given. What is served there is looked at
/// before anything is signed.
///
/// # Errors
/// As [`sign`] and [`copy`].
pub async fn publish(
    folder: &Folder,
    new: &NewTargets,
    lifetimes: Lifetimes,
    now: u64,
    to: Option<&Path>,
) -> Result<Published, TrustError> {
    if let Some(to) = to {
        check(folder, to)?;
    }
    let published = sign(folder, new, lifetimes, now).await?;
    if let Some(to) = to {
        copy(folder, to)?;
    }
    Ok(published)
}

/// Signs what has to be signed, by the newest root with all signatures.
///
/// # Errors
/// When there is no root or no policy, or the timestamp cannot be signed.
pub async fn sign(folder: &Folder, new: &NewTargets, lifetimes: Lifetimes, now: u64) -> Result<Published, TrustError> {
    folder.adopt_draft()?;
    let root = folder
        .root()?
        .ok_or_else(|| TrustError::NoRoot(folder.path().to_owned()))?
        .signed;
    let mut problems = vec![];
    let signer = Signer {
        folder,
        root: &root,
        now,
    };

    // What targets name first: nothing names it yet.
    for (target, bytes) in &new.0 {
        folder.write(TufFile::Target(Digest::of(bytes), *target), bytes)?;
    }
    let targets = signer.targets(new, lifetimes.targets, &mut problems).await?;
    let snapshot = signer.snapshot(&targets, lifetimes.snapshot, &mut problems).await?;
    // The timestamp last: from here on clients take the new ones.
    let version = folder
        .timestamp()?
        .map_or(0, |timestamp| timestamp.signed.version.get());
    let mut timestamp = Timestamp::new(
        SPEC_VERSION.into(),
        after(version),
        root::time(now + lifetimes.timestamp),
    );
    timestamp.meta.insert("snapshot.json".into(), snapshot.meta.clone());
    let signed = signer.sign(timestamp).await?;
    folder.write(TufFile::Timestamp, signed.buffer())?;
    Ok(Published {
        root: root.version.get(),
        targets: targets.meta.version.get(),
        snapshot: snapshot.meta.version.get(),
        timestamp: version + 1,
        problems,
    })
}

/// A file and how the next role names it.
struct Named {
    meta: Metafile,
}

struct Signer<'a> {
    folder: &'a Folder,
    root: &'a Root,
    now: u64,
}

impl Signer<'_> {
    async fn targets(&self, new: &NewTargets, lifetime: u64, problems: &mut Vec<String>) -> Result<Named, TrustError> {
        let newest = self.folder.versions(|file| match file {
            TufFile::Targets(version) => Some(version),
            _ => None,
        })?;
        let current = newest.map(|version| {
            self.folder
                .read::<Signed<Targets>>(TufFile::Targets(version), "a list of targets")
        });
        let current = current.transpose()?;
        let mut wanted = current
            .as_ref()
            .map_or_else(HashMap::new, |current| current.signed.targets.clone());
        for (target, bytes) in &new.0 {
            let name = TargetName::new(target.name())?;
            wanted.insert(name, described(bytes));
        }
        if !wanted.keys().any(|name| name.raw() == TargetFile::TrustPolicy.name()) {
            return Err(TrustError::NoPolicy);
        }
        let is_new = current.as_ref().is_none_or(|current| current.signed.targets != wanted);
        if let Some(current) = &current
            && !is_new
            && !self.runs_out(current, lifetime)
        {
            return self.named(TufFile::Targets(current.signed.version.get()), current.signed.version);
        }
        let version = after(newest.unwrap_or(0));
        let mut targets = Targets::new(SPEC_VERSION.into(), version, root::time(self.now + lifetime));
        targets.delegations = None;
        targets.targets = wanted;
        match self.sign(targets).await {
            Ok(signed) => {
                self.folder.write(TufFile::Targets(version.get()), signed.buffer())?;
                Ok(Named {
                    meta: meta(version, signed.buffer()),
                })
            }
            // What counts yet goes on counting, while its key is elsewhere.
            Err(error) => match &current {
                Some(current) if !is_new && self.holds(current) => {
                    problems.push(format!("the targets run out and are not made anew: {error}"));
                    self.named(TufFile::Targets(current.signed.version.get()), current.signed.version)
                }
                _ => Err(error),
            },
        }
    }

    async fn snapshot(&self, targets: &Named, lifetime: u64, problems: &mut Vec<String>) -> Result<Named, TrustError> {
        let newest = self.folder.versions(|file| match file {
            TufFile::Snapshot(version) => Some(version),
            _ => None,
        })?;
        let current = newest.map(|version| {
            self.folder
                .read::<Signed<Snapshot>>(TufFile::Snapshot(version), "a snapshot")
        });
        let current = current.transpose()?;
        let is_new =
            (current.as_ref()).is_none_or(|current| current.signed.meta.get("targets.json") != Some(&targets.meta));
        if let Some(current) = &current
            && !is_new
            && !self.runs_out(current, lifetime)
        {
            return self.named(TufFile::Snapshot(current.signed.version.get()), current.signed.version);
        }
        let version = after(newest.unwrap_or(0));
        let mut snapshot = Snapshot::new(SPEC_VERSION.into(), version, root::time(self.now + lifetime));
        snapshot.meta.insert("targets.json".into(), targets.meta.clone());
        match self.sign(snapshot).await {
            Ok(signed) => {
                self.folder.write(TufFile::Snapshot(version.get()), signed.buffer())?;
                Ok(Named {
                    meta: meta(version, signed.buffer()),
                })
            }
            Err(error) => match &current {
                Some(current) if !is_new && self.holds(current) => {
                    problems.push(format!("the snapshot runs out and is not made anew: {error}"));
                    self.named(TufFile::Snapshot(current.signed.version.get()), current.signed.version)
                }
                _ => Err(error),
            },
        }
    }

    /// Signs with every key of the role that is here.
    async fn sign<R: Role + Serialize>(&self, role: R) -> Result<SignedRole<R>, TrustError> {
        let mut keys: Vec<Box<dyn KeySource>> = vec![];
        let wanted = root::keys(self.root, R::TYPE);
        for file in self.folder.key_files(R::TYPE)? {
            if wanted.contains(&file.public()?) {
                keys.push(Box::new(file));
            }
        }
        if keys.is_empty() {
            return Err(TrustError::NoKey(R::TYPE));
        }
        let holder = KeyHolder::Root(self.root.clone());
        Ok(SignedRole::new(role, &holder, &keys, &SystemRandom::new()).await?)
    }

    /// Whether the keys of now signed it.
    fn holds<R: Role + Serialize>(&self, role: &Signed<R>) -> bool {
        self.root.verify_role(role).is_ok()
    }

    /// Whether it has to be made anew: other keys, or less than half of its time left.
    fn runs_out<R: Role + Serialize>(&self, role: &Signed<R>, lifetime: u64) -> bool {
        !self.holds(role) || role.signed.expires() < root::time(self.now + lifetime / 2)
    }

    fn named(&self, file: TufFile, version: NonZeroU64) -> Result<Named, TrustError> {
        let bytes = fs_err::read(self.folder.repository().join(file.to_string()))?;
        Ok(Named {
            meta: meta(version, &bytes),
        })
    }
}

/// Whether what is served below this folder came from here: no newer timestamp, no other one of the same version, and no
/// version of another role that is not here. Asked before anything is signed: a folder that was restored from a backup
/// would otherwise catch up by as many calls.
fn check(folder: &Folder, to: &Path) -> Result<(), TrustError> {
    let (from, to) = (folder.repository(), to.join("v1/tuf"));
    let path = TufFile::Timestamp.to_string();
    // One that is damaged is as good as none.
    let served = durable::read(&to.join(&path))?
        .and_then(|bytes| Some((serde_json::from_slice::<Signed<Timestamp>>(&bytes).ok()?, bytes)));
    if let Some((served, bytes)) = served {
        let version = served.signed.version.get();
        let ours = folder.timestamp()?.map_or(0, |ours| ours.signed.version.get());
        if version > ours {
            return Err(TrustError::Older(to, version));
        }
        if version == ours && durable::read(&from.join(&path))? != Some(bytes) {
            return Err(TrustError::Other(to.join(path)));
        }
    }
    if !to.join("metadata").is_dir() {
        return Ok(());
    }
    for entry in fs_err::read_dir(to.join("metadata"))? {
        let name = entry?.file_name().into_string().ok();
        let file = name.and_then(|name| format!("metadata/{name}").parse::<TufFile>().ok());
        let Some(file @ (TufFile::Root(_) | TufFile::Targets(_) | TufFile::Snapshot(_))) = file else {
            continue;
        };
        let path = file.to_string();
        let served = durable::read(&to.join(&path))?.filter(|bytes| is_json(bytes));
        if served.is_some() && served != durable::read(&from.join(&path))? {
            return Err(TrustError::Other(to.join(path)));
        }
    }
    Ok(())
}

/// What is cut off or overwritten is none, and is replaced.
fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok()
}

/// Copies the repository to where it is served: below `v1/tuf` of the folder of a service or web server.
///
/// # Errors
/// When the file system fails, or what is served did not come from here.
pub fn copy(folder: &Folder, to: &Path) -> Result<(), TrustError> {
    check(folder, to)?;
    let (from, to) = (folder.repository(), to.join("v1/tuf"));
    let mut files: Vec<TufFile> = vec![];
    for part in ["metadata", "targets"] {
        for entry in fs_err::read_dir(from.join(part))? {
            let name = entry?.file_name().into_string().ok();
            files.extend(name.and_then(|name| format!("{part}/{name}").parse::<TufFile>().ok()));
        }
    }
    // Roots, then what is named before what names it.
    files.sort_by_key(|file| match *file {
        TufFile::Root(version) => (0, version),
        TufFile::Target(..) => (1, 0),
        TufFile::Targets(version) => (2, version),
        TufFile::Snapshot(version) => (3, version),
        TufFile::Timestamp => (4, 0),
    });
    for file in files {
        let bytes = fs_err::read(from.join(file.to_string()))?;
        let path = to.join(file.to_string());
        if fs_err::read(&path).ok().as_ref() != Some(&bytes) {
            durable::write(&path, &bytes)?;
        }
    }
    Ok(())
}

fn after(version: u64) -> NonZeroU64 {
    NonZeroU64::MIN.saturating_add(version)
}

fn described(bytes: &[u8]) -> Target {
    Target {
        length: bytes.len() as u64,
        hashes: hashes(bytes),
        custom: HashMap::new(),
        _extra: HashMap::new(),
    }
}

fn meta(version: NonZeroU64, bytes: &[u8]) -> Metafile {
    Metafile {
        length: Some(bytes.len() as u64),
        hashes: Some(hashes(bytes)),
        version,
        _extra: HashMap::new(),
    }
}

fn hashes(bytes: &[u8]) -> Hashes {
    Hashes {
        sha256: Digest::of(bytes).as_bytes().to_vec().into(),
        _extra: HashMap::new(),
    }
}

/// The roles that [`sign`] makes.
pub const ONLINE: [RoleType; 3] = [RoleType::Targets, RoleType::Snapshot, RoleType::Timestamp];
