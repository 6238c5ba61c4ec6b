//! A TUF repository whose every file a test may forge: real metadata, real Ed25519 keys, root 2 of 3.
//!
//! Must not know what a client makes of it.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU64;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::Ed25519KeyPair;
use sealift_policy::digest::Digest;
use sealift_policy::trust::{Revocations, TrustPolicy};
use sealift_policy::tuf::{RevocationList, SPEC_VERSION, TargetFile, TufFile};
use serde::Serialize;
use tough::TargetName;
use tough::schema::decoded::{Decoded, Hex};
use tough::schema::key::Key;
use tough::schema::{Hashes, Metafile, Role, RoleKeys, RoleType, Root, Signature, Signed, Snapshot, Target};
use tough::schema::{Targets, Timestamp};
use tough::sign::Sign;

/// Long after every clock of these tests.
pub(super) const LATER: i64 = 1_900_000_000;

/// Long before them.
pub(super) const PAST: i64 = 1_700_000_000;

/// The keys of the roles, and what is published.
pub(super) struct Repository {
    pub(super) root_keys: Vec<Ed25519KeyPair>,
    pub(super) targets_key: Ed25519KeyPair,
    pub(super) snapshot_key: Ed25519KeyPair,
    pub(super) timestamp_key: Ed25519KeyPair,
    pub(super) version: u64,
    pub(super) policy: Vec<u8>,
    pub(super) revoked: Revocations,
    pub(super) files: BTreeMap<String, Vec<u8>>,
}

/// A new key.
pub(super) fn key() -> Ed25519KeyPair {
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap()
}

fn id(key: &Ed25519KeyPair) -> Decoded<Hex> {
    key.tuf_key().key_id().unwrap()
}

fn number(version: u64) -> NonZeroU64 {
    NonZeroU64::new(version).unwrap()
}

fn time(seconds: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(seconds).unwrap()
}

fn hashes(bytes: &[u8]) -> Hashes {
    Hashes {
        sha256: Digest::of(bytes).as_bytes().to_vec().into(),
        _extra: HashMap::new(),
    }
}

fn meta(version: u64, bytes: &[u8]) -> Metafile {
    Metafile {
        length: Some(bytes.len() as u64),
        hashes: Some(hashes(bytes)),
        version: number(version),
        _extra: HashMap::new(),
    }
}

/// A role's metadata, signed once by each of these.
pub(super) fn signed<R: Role + Serialize>(role: R, keys: &[&Ed25519KeyPair]) -> Vec<u8> {
    let canonical = role.canonical_form().unwrap();
    let signature = |key: &&Ed25519KeyPair| Signature {
        keyid: id(key),
        sig: Ed25519KeyPair::sign(key, &canonical).as_ref().to_vec().into(),
    };
    let signatures = keys.iter().map(signature).collect();
    serde_json::to_vec(&Signed {
        signed: role,
        signatures,
    })
    .unwrap()
}

impl Repository {
    /// Of this policy, published once.
    pub(super) fn new(policy: &TrustPolicy) -> Self {
        let mut repository = Self {
            root_keys: vec![key(), key(), key()],
            targets_key: key(),
            snapshot_key: key(),
            timestamp_key: key(),
            version: 0,
            policy: serde_json::to_vec(policy).unwrap(),
            revoked: Revocations::default(),
            files: BTreeMap::new(),
        };
        let root = signed(repository.root(1), &repository.root_keys.iter().collect::<Vec<_>>());
        repository.put(TufFile::Root(1), root);
        repository.publish();
        repository
    }

    /// The first root, as it is pinned.
    pub(super) fn pinned(&self) -> Vec<u8> {
        self.files["metadata/1.root.json"].clone()
    }

    pub(super) fn put(&mut self, file: TufFile, bytes: Vec<u8>) {
        self.files.insert(file.to_string(), bytes);
    }

    /// A root with the keys of now.
    pub(super) fn root(&self, version: u64) -> Root {
        let mut keys: HashMap<Decoded<Hex>, Key> = HashMap::new();
        let mut role = |role: &[&Ed25519KeyPair], threshold| {
            for one in role {
                keys.insert(id(one), one.tuf_key());
            }
            RoleKeys {
                keyids: role.iter().map(|one| id(one)).collect(),
                threshold: number(threshold),
                _extra: HashMap::new(),
            }
        };
        let roles = HashMap::from([
            (RoleType::Root, role(&self.root_keys.iter().collect::<Vec<_>>(), 2)),
            (RoleType::Targets, role(&[&self.targets_key], 1)),
            (RoleType::Snapshot, role(&[&self.snapshot_key], 1)),
            (RoleType::Timestamp, role(&[&self.timestamp_key], 1)),
        ]);
        Root {
            spec_version: SPEC_VERSION.into(),
            consistent_snapshot: true,
            version: number(version),
            expires: time(LATER),
            keys,
            roles,
            _extra: HashMap::new(),
        }
    }

    /// The list of targets of now.
    pub(super) fn targets(&mut self, version: u64, expires: i64) -> Targets {
        let list = serde_json::to_vec(&RevocationList::new(self.revoked.clone())).unwrap();
        let mut targets = Targets::new(SPEC_VERSION.into(), number(version), time(expires));
        targets.delegations = None;
        for (file, bytes) in [
            (TargetFile::TrustPolicy, self.policy.clone()),
            (TargetFile::Revocations, list),
        ] {
            let target = Target {
                length: bytes.len() as u64,
                hashes: hashes(&bytes),
                custom: HashMap::new(),
                _extra: HashMap::new(),
            };
            targets.targets.insert(TargetName::new(file.name()).unwrap(), target);
            self.put(TufFile::Target(Digest::of(&bytes), file), bytes);
        }
        targets
    }

    /// A snapshot that names this list of targets.
    pub(super) fn snapshot(version: u64, (targets, bytes): (u64, &[u8]), expires: i64) -> Snapshot {
        let mut snapshot = Snapshot::new(SPEC_VERSION.into(), number(version), time(expires));
        snapshot.meta.insert("targets.json".into(), meta(targets, bytes));
        snapshot
    }

    /// A timestamp that names this snapshot.
    pub(super) fn timestamp(version: u64, (snapshot, bytes): (u64, &[u8]), expires: i64) -> Timestamp {
        let mut timestamp = Timestamp::new(SPEC_VERSION.into(), number(version), time(expires));
        timestamp.meta.insert("snapshot.json".into(), meta(snapshot, bytes));
        timestamp
    }

    /// Publishes the next version of everything but the root.
    pub(super) fn publish(&mut self) {
        self.publish_until(LATER, LATER, LATER);
    }

    /// The same, with these expiries of targets, snapshot and timestamp.
    pub(super) fn publish_until(&mut self, targets: i64, snapshot: i64, timestamp: i64) {
        self.version += 1;
        let version = self.version;
        let role = self.targets(version, targets);
        let bytes = signed(role, &[&self.targets_key]);
        self.put(TufFile::Targets(version), bytes.clone());
        let bytes = signed(
            Self::snapshot(version, (version, &bytes), snapshot),
            &[&self.snapshot_key],
        );
        self.put(TufFile::Snapshot(version), bytes.clone());
        let role = Self::timestamp(version, (version, &bytes), timestamp);
        let bytes = signed(role, &[&self.timestamp_key]);
        self.put(TufFile::Timestamp, bytes);
    }

    /// The served bytes of a file.
    pub(super) fn file(&self, file: TufFile) -> Vec<u8> {
        self.files[&file.to_string()].clone()
    }
}
