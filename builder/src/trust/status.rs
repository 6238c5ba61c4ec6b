//! What runs out when, and what waits for signatures.
//!
//! Must not know how it is shown.

use sealift_policy::tuf::TufFile;
use serde::Serialize;
use tough::schema::{Role, RoleType, Signed, Snapshot, Targets};

use super::folder::Folder;
use super::root::Progress;
use super::{TrustError, name};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// The whole state of a keeper's folder. Version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Always 1.
    pub version: u32,
    /// The roles that there are.
    pub roles: Vec<RoleStatus>,
    /// A root that waits for signatures.
    pub draft: Option<Progress>,
}

/// One role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RoleStatus {
    /// Which.
    pub role: &'static str,
    /// Its version.
    pub version: u64,
    /// Its expiry, in seconds since 1970.
    pub expires: i64,
    /// Seconds until then; negative after it.
    pub left: i64,
    /// Whether it is time to do something about it.
    pub is_due: bool,
}

impl Status {
    /// Of this folder, at this time.
    ///
    /// # Errors
    /// When something cannot be read.
    pub fn of(folder: &Folder, now: u64) -> Result<Self, TrustError> {
        let root = folder.root()?;
        let mut roles = vec![];
        if let Some(root) = &root {
            roles.push(role(root, now));
        }
        let targets = folder.versions(|file| match file {
            TufFile::Targets(version) => Some(version),
            _ => None,
        })?;
        let snapshot = folder.versions(|file| match file {
            TufFile::Snapshot(version) => Some(version),
            _ => None,
        })?;
        if let (Some(targets), Some(snapshot), Some(timestamp)) = (targets, snapshot, folder.timestamp()?) {
            roles.push(role::<Targets>(
                &folder.read(TufFile::Targets(targets), "a list of targets")?,
                now,
            ));
            roles.push(role::<Snapshot>(
                &folder.read(TufFile::Snapshot(snapshot), "a snapshot")?,
                now,
            ));
            roles.push(role(&timestamp, now));
        }
        let draft = folder.draft()?;
        let old = root.as_ref().map(|root| &root.signed);
        Ok(Self {
            version: 1,
            roles,
            draft: draft.map(|draft| Progress::of(&draft, old)),
        })
    }

    /// Whether something is due.
    pub fn is_due(&self) -> bool {
        self.roles.iter().any(|role| role.is_due)
    }
}

fn role<R: Role>(signed: &Signed<R>, now: u64) -> RoleStatus {
    let expires = signed.signed.expires().as_second();
    let left = expires.saturating_sub(i64::try_from(now).unwrap_or(i64::MAX));
    RoleStatus {
        role: name(R::TYPE),
        version: signed.signed.version().get(),
        expires,
        left,
        is_due: left < margin(R::TYPE),
    }
}

/// How long before its expiry people have to act: longest where several of them must meet.
fn margin(role: RoleType) -> i64 {
    match role {
        RoleType::Root => 60 * DAY,
        RoleType::Targets | RoleType::DelegatedTargets => 14 * DAY,
        RoleType::Snapshot => 3 * DAY,
        RoleType::Timestamp => 12 * HOUR,
    }
}
