//! Ceremonies in folders of the tests' own, judged by crate `tough` as a client that is not ours.

use std::collections::BTreeSet;
use std::path::Path;

use tough::schema::{RoleType, Root, Signed};
use tough::{FilesystemTransport, Repository, RepositoryLoader};

use super::folder::Folder;
use super::key::KeyFile;
use super::publish::{self, Lifetimes, NewTargets, ONLINE};
use super::root::{self, Progress};
use super::status::Status;
use super::*;
use crate::key_file::KeyFileError;
use sealift_policy::tuf::TargetFile;

/// Long enough for any clock of these tests: `tough` asks the system's.
const LIFETIMES: Lifetimes = Lifetimes {
    targets: 400 * DAY,
    snapshot: 300 * DAY,
    timestamp: 200 * DAY,
};

const DAY: u64 = 86_400;
const NOW: u64 = 1_800_000_000;

const POLICY: &str =
    r#"{"version":1,"operators":[],"quorum":{"host_code":2,"library":1},"max_checkpoint_age_seconds":1}"#;

struct Ceremony {
    _temp: tempfile::TempDir,
    folder: Folder,
    served: PathBuf,
    root_keys: Vec<KeyFile>,
}

impl Ceremony {
    /// Three root keys of which two sign, a draft, nothing signed.
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let folder = Folder::at(&temp.path().join("keeper"));
        let root_keys: Vec<_> = (0..3).map(|_| folder.new_key(RoleType::Root).unwrap()).collect();
        let public: Vec<_> = root_keys.iter().map(|file| file.public().unwrap()).collect();
        let online = ONLINE.map(|role| (role, folder.new_key(role).unwrap().public().unwrap()));
        let first = root::first(&public, 2, &online, NOW + 365 * DAY).unwrap();
        folder.write_draft(&unsigned(first)).unwrap();
        Self {
            folder,
            served: temp.path().join("served"),
            root_keys,
            _temp: temp,
        }
    }

    /// With root 1 and a published policy.
    async fn published() -> Self {
        let ceremony = Self::new();
        ceremony.sign(0).await;
        ceremony.sign(2).await;
        assert_eq!(ceremony.folder.adopt_draft().unwrap(), Some(1));
        let policy = ceremony.file("policy.json", POLICY);
        let mut new = NewTargets::default();
        new.add(TargetFile::TrustPolicy, &policy).unwrap();
        ceremony.write(&new, NOW).await.unwrap();
        ceremony
    }

    async fn sign(&self, key: usize) {
        let mut draft = self.folder.draft().unwrap().unwrap();
        let old = self.folder.root().unwrap().map(|old| old.signed);
        root::sign(&mut draft, old.as_ref(), &self.root_keys[key])
            .await
            .unwrap();
        self.folder.write_draft(&draft).unwrap();
    }

    async fn write(&self, new: &NewTargets, now: u64) -> Result<publish::Published, TrustError> {
        publish::publish(&self.folder, new, LIFETIMES, now, Some(&self.served)).await
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs_err::create_dir_all(self.folder.path()).unwrap();
        fs_err::write(&path, text).unwrap();
        path
    }

    /// What a client that pinned root 1 makes of what is served.
    async fn followed(&self) -> Result<Repository, tough::error::Error> {
        let pinned = fs_err::read(self.folder.repository().join("metadata/1.root.json")).unwrap();
        let url = |part| url(&self.served.join("v1/tuf").join(part));
        RepositoryLoader::new(&pinned, url("metadata"), url("targets"))
            .transport(FilesystemTransport)
            .load()
            .await
    }
}

fn url(path: &Path) -> reqwest::Url {
    reqwest::Url::from_directory_path(path).unwrap()
}

fn unsigned(root: Root) -> Signed<Root> {
    Signed {
        signed: root,
        signatures: vec![],
    }
}

#[tokio::test]
async fn a_root_enters_the_repository_with_its_threshold_and_not_before() {
    let ceremony = Ceremony::new();
    assert_eq!(ceremony.folder.adopt_draft().unwrap(), None);
    ceremony.sign(1).await;
    // The same key again changes nothing.
    ceremony.sign(1).await;
    let progress = Progress::of(&ceremony.folder.draft().unwrap().unwrap(), None);
    assert_eq!(
        (progress.signed.len(), progress.open.len(), progress.missing_new),
        (1, 2, 1)
    );
    assert_eq!(ceremony.folder.adopt_draft().unwrap(), None);
    assert!(ceremony.folder.root().unwrap().is_none());
    ceremony.sign(0).await;
    assert_eq!(ceremony.folder.adopt_draft().unwrap(), Some(1));
    assert!(ceremony.folder.draft().unwrap().is_none());
}

#[tokio::test]
async fn a_key_that_has_no_part_in_it_signs_nothing() {
    let ceremony = Ceremony::new();
    let mut draft = ceremony.folder.draft().unwrap().unwrap();
    for role in ONLINE {
        let file = ceremony.folder.key_files(role).unwrap().pop().unwrap();
        let refused = root::sign(&mut draft, None, &file).await;
        assert!(matches!(refused, Err(TrustError::Stranger(_))), "{role}");
    }
}

#[tokio::test]
async fn what_is_published_is_followed_from_the_first_root_through_every_rotation() {
    let ceremony = Ceremony::published().await;
    let repository = ceremony.followed().await.unwrap();
    assert_eq!(repository.timestamp().signed.version.get(), 1);

    // Another timestamp key, then two other root keys: old and new ones sign.
    let old = ceremony.folder.root().unwrap().unwrap().signed;
    let key = ceremony.folder.new_key(RoleType::Timestamp).unwrap().public().unwrap();
    let next = root::next(&old, RoleType::Timestamp, &[key], 1, NOW + 365 * DAY).unwrap();
    ceremony.folder.write_draft(&unsigned(next)).unwrap();
    ceremony.sign(1).await;
    ceremony.sign(2).await;
    // Publishing takes up a draft that is whole.
    let published = ceremony.write(&NewTargets::default(), NOW).await.unwrap();
    assert_eq!(
        (
            published.root,
            published.targets,
            published.snapshot,
            published.timestamp
        ),
        (2, 1, 1, 2)
    );

    let old = ceremony.folder.root().unwrap().unwrap().signed;
    let fresh: Vec<_> = (0..2)
        .map(|_| ceremony.folder.new_key(RoleType::Root).unwrap())
        .collect();
    let mut keys = vec![ceremony.root_keys[0].public().unwrap()];
    keys.extend(fresh.iter().map(|file| file.public().unwrap()));
    let next = root::next(&old, RoleType::Root, &keys, 2, NOW + 365 * DAY).unwrap();
    ceremony.folder.write_draft(&unsigned(next)).unwrap();
    let mut draft = ceremony.folder.draft().unwrap().unwrap();
    for file in &fresh {
        root::sign(&mut draft, Some(&old), file).await.unwrap();
    }
    let progress = Progress::of(&draft, Some(&old));
    assert_eq!(
        (progress.missing_new, progress.missing_old),
        (0, 2),
        "the old ones have to agree"
    );
    ceremony.folder.write_draft(&draft).unwrap();
    assert_eq!(ceremony.folder.adopt_draft().unwrap(), None);
    ceremony.sign(1).await;
    ceremony.sign(2).await;
    let published = ceremony.write(&NewTargets::default(), NOW).await.unwrap();
    assert_eq!((published.root, published.timestamp), (3, 3));
    let repository = ceremony.followed().await.unwrap();
    assert_eq!(
        (
            repository.root().signed.version.get(),
            repository.timestamp().signed.version.get()
        ),
        (3, 3)
    );
}

#[tokio::test]
async fn renewing_makes_anew_what_has_lived_half_its_time() {
    let ceremony = Ceremony::published().await;
    let nothing = NewTargets::default();
    let versions = |published: &publish::Published| (published.targets, published.snapshot, published.timestamp);
    let soon = ceremony.write(&nothing, NOW + DAY).await.unwrap();
    assert_eq!(versions(&soon), (1, 1, 2));
    let later = ceremony.write(&nothing, NOW + 160 * DAY).await.unwrap();
    assert_eq!(versions(&later), (1, 2, 3));
    let much_later = ceremony.write(&nothing, NOW + 210 * DAY).await.unwrap();
    assert_eq!(versions(&much_later), (2, 3, 4));
    ceremony.followed().await.unwrap();
}

#[tokio::test]
async fn while_the_key_of_targets_is_elsewhere_the_timestamp_is_renewed_and_a_problem_told() {
    let ceremony = Ceremony::published().await;
    for file in ceremony.folder.key_files(RoleType::Targets).unwrap() {
        fs_err::remove_file(file.path()).unwrap();
    }
    let published = ceremony.write(&NewTargets::default(), NOW + 210 * DAY).await.unwrap();
    assert_eq!(
        (published.targets, published.timestamp, published.problems.len()),
        (1, 2, 1)
    );
    let mut new = NewTargets::default();
    let list = ceremony.file("revocations.json", r#"{"version":1,"revoked":{}}"#);
    new.add(TargetFile::Revocations, &list).unwrap();
    assert!(matches!(
        ceremony.write(&new, NOW).await,
        Err(TrustError::NoKey(RoleType::Targets))
    ));
}

#[tokio::test]
async fn what_clients_could_not_read_is_not_published() {
    let ceremony = Ceremony::new();
    let mut new = NewTargets::default();
    for (target, text) in [
        (TargetFile::TrustPolicy, "{}"),
        (TargetFile::Revocations, r#"{"version":2,"revoked":{}}"#),
        (TargetFile::TrustedRoot, "<html>"),
    ] {
        let file = ceremony.file("wrong.json", text);
        assert!(
            matches!(new.add(target, &file), Err(TrustError::Malformed { .. })),
            "{text}"
        );
    }
    assert!(matches!(ceremony.write(&new, NOW).await, Err(TrustError::NoRoot(_))));
}

#[tokio::test]
async fn an_older_copy_of_the_keeper_s_folder_does_not_take_the_served_one_back() {
    let ceremony = Ceremony::published().await;
    let timestamp = ceremony.folder.repository().join("metadata/timestamp.json");
    let backup = fs_err::read(&timestamp).unwrap();
    ceremony.write(&NewTargets::default(), NOW).await.unwrap();
    ceremony.write(&NewTargets::default(), NOW).await.unwrap();
    fs_err::write(&timestamp, backup).unwrap();
    let refused = ceremony.write(&NewTargets::default(), NOW).await;
    assert!(matches!(refused, Err(TrustError::Older(_, 3))), "{refused:?}");
    assert_eq!(ceremony.followed().await.unwrap().timestamp().signed.version.get(), 3);
    assert_eq!(
        ceremony.folder.timestamp().unwrap().unwrap().signed.version.get(),
        1,
        "nothing was signed: it does not catch up by being called again"
    );
    // A damaged one gives no version away twice.
    fs_err::write(&timestamp, "{").unwrap();
    assert!(ceremony.write(&NewTargets::default(), NOW).await.is_err());
}

#[tokio::test]
async fn what_is_served_under_a_version_is_never_replaced_by_something_else() {
    let ceremony = Ceremony::published().await;
    for name in ["1.root.json", "1.targets.json", "1.snapshot.json", "timestamp.json"] {
        let ours = ceremony.folder.repository().join("metadata").join(name);
        let good = fs_err::read(&ours).unwrap();
        // The same JSON by other bytes, as another ceremony of the same version would give.
        fs_err::write(&ours, [&good[..], b"\n"].concat()).unwrap();
        let refused = ceremony.write(&NewTargets::default(), NOW).await;
        assert!(matches!(refused, Err(TrustError::Other(_))), "{name}: {refused:?}");
        let copied = publish::copy(&ceremony.folder, &ceremony.served);
        assert!(matches!(copied, Err(TrustError::Other(_))), "{name}");
        fs_err::write(&ours, good).unwrap();
    }
    // A crash after the copy of a snapshot and before that of its timestamp, then a backup from before both.
    let served = ceremony.served.join("v1/tuf/metadata");
    fs_err::copy(served.join("1.snapshot.json"), served.join("2.snapshot.json")).unwrap();
    let refused = ceremony.write(&NewTargets::default(), NOW).await;
    assert!(matches!(refused, Err(TrustError::Other(_))), "{refused:?}");
    fs_err::remove_file(served.join("2.snapshot.json")).unwrap();
    // One that was cut off is mended.
    let snapshot = served.join("1.snapshot.json");
    let good = fs_err::read(&snapshot).unwrap();
    fs_err::write(&snapshot, &good[..good.len() / 2]).unwrap();
    publish::copy(&ceremony.folder, &ceremony.served).unwrap();
    assert_eq!(fs_err::read(&snapshot).unwrap(), good);
    // A crash between signing and copying is healed by the next call.
    let nothing = NewTargets::default();
    publish::sign(&ceremony.folder, &nothing, LIFETIMES, NOW).await.unwrap();
    assert_eq!(ceremony.write(&nothing, NOW).await.unwrap().timestamp, 3);
    ceremony.followed().await.unwrap();
}

#[test]
fn keys_that_others_could_read_or_that_are_none_do_not_sign() {
    use std::os::unix::fs::PermissionsExt as _;
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("alice.key");
    let file = KeyFile::create(&path).unwrap();
    let public = key::read_public(&path.with_extension("pub.json")).unwrap();
    assert_eq!(file.public().unwrap(), public);
    assert!(matches!(
        KeyFile::create(&path),
        Err(TrustError::Key(KeyFileError::Exists(_)))
    ));
    fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(
        file.read(),
        Err(TrustError::Key(KeyFileError::Exposed { .. }))
    ));
    fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    fs_err::write(&path, "no key").unwrap();
    assert!(matches!(file.read(), Err(TrustError::NotAKey(_))));
}

#[test]
fn thresholds_that_make_no_sense_and_keys_that_are_there_twice_are_refused() {
    let ceremony = Ceremony::new();
    let keys: Vec<_> = ceremony.root_keys.iter().map(|file| file.public().unwrap()).collect();
    for threshold in [0, 4] {
        let refused = root::first(&keys, threshold, &[], NOW);
        assert!(matches!(refused, Err(TrustError::Threshold { .. })), "{threshold}");
    }
    let twice = [keys[0].clone(), keys[0].clone()];
    assert!(matches!(root::first(&twice, 2, &[], NOW), Err(TrustError::Twice(_))));
}

#[tokio::test]
async fn what_runs_out_is_due_in_time_for_people_to_meet() {
    let ceremony = Ceremony::published().await;
    let due = |now| {
        let status = Status::of(&ceremony.folder, now).unwrap();
        let due = status.roles.iter().filter(|role| role.is_due).map(|role| role.role);
        due.collect::<BTreeSet<_>>()
    };
    assert!(due(NOW).is_empty());
    assert_eq!(due(NOW + 200 * DAY - 3600), BTreeSet::from(["timestamp"]));
    assert_eq!(due(NOW + 310 * DAY), BTreeSet::from(["root", "snapshot", "timestamp"]));
}
