//! A root on its way: drafted, carried from key to key, and whole when both the old and the new threshold have signed.
//!
//! Pure but for reading keys. Must not know where drafts lie.

use std::collections::HashMap;
use std::num::NonZeroU64;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use sealift_policy::tuf::SPEC_VERSION;
use tough::schema::decoded::{Decoded, Hex};
use tough::schema::key::Key;
use tough::schema::{Role as _, RoleKeys, RoleType, Root, Signature, Signed};
use tough::sign::Sign;

use super::key::{self, KeyFile};
use super::{TrustError, hex};

/// The roles of a root.
pub const ROLES: [RoleType; 4] = [
    RoleType::Root,
    RoleType::Targets,
    RoleType::Snapshot,
    RoleType::Timestamp,
];

/// The first root.
///
/// # Errors
/// When a key is there twice, or the threshold makes no sense.
pub fn first(root_keys: &[Key], threshold: u64, online: &[(RoleType, Key)], expires: u64) -> Result<Root, TrustError> {
    let mut root = Root {
        spec_version: SPEC_VERSION.into(),
        consistent_snapshot: true,
        version: NonZeroU64::MIN,
        expires: time(expires),
        keys: HashMap::new(),
        roles: HashMap::new(),
        _extra: HashMap::new(),
    };
    assign(&mut root, RoleType::Root, root_keys, threshold)?;
    for (role, key) in online {
        assign(&mut root, *role, std::slice::from_ref(key), 1)?;
    }
    Ok(root)
}

/// The root after this one, in which a role has these keys.
///
/// # Errors
/// As [`first`].
pub fn next(root: &Root, role: RoleType, keys: &[Key], threshold: u64, expires: u64) -> Result<Root, TrustError> {
    let mut next = root.clone();
    next.version = root.version.saturating_add(1);
    next.expires = time(expires);
    assign(&mut next, role, keys, threshold)?;
    Ok(next)
}

/// The keys of a role.
pub fn keys(root: &Root, role: RoleType) -> Vec<Key> {
    root.keys(role).cloned().collect()
}

/// How many keys of a role must sign.
pub fn threshold(root: &Root, role: RoleType) -> u64 {
    root.roles.get(&role).map_or(0, |role| role.threshold.get())
}

fn assign(root: &mut Root, role: RoleType, keys: &[Key], threshold: u64) -> Result<(), TrustError> {
    let no_sense = TrustError::Threshold {
        threshold,
        keys: keys.len(),
    };
    let Some(threshold) = NonZeroU64::new(threshold).filter(|threshold| threshold.get() <= keys.len() as u64) else {
        return Err(no_sense);
    };
    let mut keyids: Vec<Decoded<Hex>> = vec![];
    for one in keys {
        let id = one.key_id()?;
        if keyids.contains(&id) {
            return Err(TrustError::Twice(key::id(one)?));
        }
        keyids.push(id);
    }
    let role_keys = RoleKeys {
        keyids,
        threshold,
        _extra: HashMap::new(),
    };
    for one in keys {
        root.keys.insert(one.key_id()?, one.clone());
    }
    root.roles.insert(role, role_keys);
    let used: Vec<_> = root.roles.values().flat_map(|role| role.keyids.clone()).collect();
    root.keys.retain(|id, _| used.contains(id));
    Ok(())
}

/// Adds one signature to a draft; one that is there stays as it is. `false` when the key had signed already.
///
/// # Errors
/// When the key is neither the new root's nor the old one's.
pub async fn sign(draft: &mut Signed<Root>, old: Option<&Root>, file: &KeyFile) -> Result<bool, TrustError> {
    let pair = file.read()?;
    let id = pair.tuf_key().key_id()?;
    let is_of = |root: &Root| {
        let role = root.roles.get(&RoleType::Root);
        role.is_some_and(|role| role.keyids.contains(&id))
    };
    if !is_of(&draft.signed) && !old.is_some_and(is_of) {
        return Err(TrustError::Stranger(hex(&id)));
    }
    if draft.signatures.iter().any(|signature| signature.keyid == id) {
        return Ok(false);
    }
    let message = draft.signed.canonical_form()?;
    let sig = Sign::sign(&pair, &message, &SystemRandom::new()).await;
    draft.signatures.push(Signature {
        keyid: id,
        sig: sig.map_err(TrustError::Sign)?.into(),
    });
    Ok(true)
}

/// Who has signed a draft and who may still, by key id, and how many more are needed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Progress {
    /// The draft's version.
    pub version: u64,
    /// Keys that have signed.
    pub signed: Vec<String>,
    /// Keys that have not.
    pub open: Vec<String>,
    /// Signatures of the new root's keys that are missing.
    pub missing_new: u64,
    /// Signatures of the old root's keys that are missing.
    pub missing_old: u64,
}

impl Progress {
    /// Of this draft. A signature that does not hold is none.
    pub fn of(draft: &Signed<Root>, old: Option<&Root>) -> Self {
        let message = draft.signed.canonical_form().unwrap_or_default();
        let (mut signed, mut open) = (vec![], vec![]);
        let mut missing = |root: &Root| {
            let mut found = 0;
            for key in root.keys(RoleType::Root) {
                let Ok(id) = key.key_id() else { continue };
                let has_signed = (draft.signatures.iter())
                    .any(|signature| signature.keyid == id && holds(key, &message, &signature.sig));
                found += u64::from(has_signed);
                let list = if has_signed { &mut signed } else { &mut open };
                let id = hex(&id);
                if !list.contains(&id) {
                    list.push(id);
                }
            }
            threshold(root, RoleType::Root).saturating_sub(found)
        };
        let (missing_new, missing_old) = (missing(&draft.signed), old.map_or(0, &mut missing));
        Self {
            version: draft.signed.version.get(),
            signed,
            open,
            missing_new,
            missing_old,
        }
    }

    /// Whether clients will follow it.
    pub fn is_whole(&self) -> bool {
        self.missing_new == 0 && self.missing_old == 0
    }
}

/// Whether this is the key's signature. Other kinds of keys never get into a root here.
fn holds(key: &Key, message: &[u8], signature: &[u8]) -> bool {
    match key {
        Key::Ed25519 { keyval, .. } => UnparsedPublicKey::new(&ED25519, &keyval.public[..])
            .verify(message, signature)
            .is_ok(),
        _ => false,
    }
}

/// A time as TUF writes it, in whole seconds.
pub(super) fn time(seconds: u64) -> jiff::Timestamp {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX)
}
