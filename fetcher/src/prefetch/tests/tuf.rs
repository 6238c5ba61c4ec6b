//! The trust policy by TUF: forged, old, mixed and endless repositories over real HTTP. Each ends without one artefact,
//! and the last good state stays.
//!
//! Long because it is a table: one forgery for each way in which a repository can lie.

use sealift_policy::digest::Digest;
use sealift_policy::local;
use sealift_policy::trust::RevokedCrate;
use sealift_policy::tuf::{MAX_METADATA, TargetFile, TufFile};

use super::repository::{LATER, PAST, Repository, key, signed};
use super::world::{NOW, World};
use super::*;
use crate::prefetch::trusted::RECENT;
use crate::trust_root::{FRESH, PinnedRoot, STATE_FILE, TrustRoot};

/// When what was followed at `NOW` is due again.
const DUE: u64 = NOW + FRESH + 1;

fn pinned(bytes: Vec<u8>) -> PinnedRoot {
    match crate::trust_root::parse(Path::new("/pinned/root.json"), bytes).unwrap() {
        TrustRoot::Tuf(root) => root,
        TrustRoot::Policy(_) => panic!("a policy"),
    }
}

/// A store with units and a repository, and a user who pins its root.
struct Scene {
    world: World,
    repository: Repository,
    root: PinnedRoot,
}

impl Scene {
    async fn new() -> Self {
        let world = World::with_units().await;
        let repository = Repository::new(&world.policy());
        let root = pinned(repository.pinned());
        let scene = Self {
            world,
            repository,
            root,
        };
        scene.serve();
        scene
    }

    fn serve(&self) {
        self.world.served.lock().unwrap().tuf = self.repository.files.clone();
    }

    async fn fetch(&self, now: u64) -> Fetched {
        let follow = Follow {
            store: self.world.user.path(),
            root: &self.root,
            now: now.cast_signed(),
        };
        self.world.fetch_trusting(Trust::Tuf(follow), now).await
    }

    fn state(&self) -> Option<Vec<u8>> {
        let folder = self
            .world
            .user
            .path()
            .join("v1")
            .join(local::trust_path(self.root.digest()));
        fs_err::read(folder.join(STATE_FILE)).ok()
    }

    /// Forgets the units, so that the next prefetch wants them again.
    fn forget_units(&self) {
        for folder in ["units", "plans", "cas"] {
            // Absent where the last prefetch brought nothing.
            let _ = fs_err::remove_dir_all(self.world.user.path().join("v1").join(folder));
        }
        self.world.served.lock().unwrap().fetched.clear();
    }

    fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.world.served.lock().unwrap().asked)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_by_tuf_is_followed_first_and_then_beside_the_lookup() {
    let scene = Scene::new().await;
    let first = scene.fetch(NOW).await;
    assert_eq!(
        (first.event.problems.len(), first.event.fetched),
        (0, 3),
        "{:?}",
        first.event
    );
    assert!(first.alarms.is_empty());
    // Twice the same within the hour: the repository is not asked.
    scene.forget_units();
    scene.requests();
    assert_eq!(scene.fetch(NOW + FRESH).await.event.fetched, 3);
    assert_eq!(scene.requests(), [""; 0]);
    // Later, with nothing new: the two questions that decide it, at once.
    scene.forget_units();
    assert_eq!(scene.fetch(DUE).await.event.fetched, 3);
    let mut asked = scene.requests();
    asked.sort_unstable();
    assert_eq!(asked, ["metadata/2.root.json", "metadata/timestamp.json"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_speaks_of_a_log_that_the_policy_does_not_name_has_it_followed_within_the_hour() {
    let mut scene = Scene::new().await;
    let both = scene.repository.policy.clone();
    let one = scene.world.policy_with(|policy| policy.operators.truncate(1));
    scene.repository.policy = serde_json::to_vec(&one).unwrap();
    scene.repository.publish();
    scene.serve();
    assert_eq!(
        scene.fetch(NOW).await.event.fetched,
        2,
        "the proc macro needs two operators"
    );
    scene.repository.policy = both;
    scene.repository.publish();
    scene.serve();
    // A minute must pass: the store may name strange logs for ever.
    scene.requests();
    assert_eq!(scene.fetch(NOW + RECENT).await.event.fetched, 0);
    assert_eq!(scene.requests(), [""; 0]);
    // Where the repository cannot be had, is endless or has expired, nothing is lost by asking.
    for what in ["absent", "endless", "expired"] {
        scene.forget_units();
        match what {
            "absent" => scene.world.served.lock().unwrap().tuf.clear(),
            "endless" => scene.world.served.lock().unwrap().endless = Some(TufFile::Timestamp.to_string()),
            _ => {
                scene.repository.publish_until(LATER, LATER, PAST);
                scene.serve();
            }
        }
        let without = scene.fetch(NOW + RECENT + 1).await;
        assert_eq!(
            (without.event.fetched, without.event.problems.len()),
            (2, 0),
            "{what}: {:?}",
            without.event
        );
        assert!(without.alarms.is_empty() && !scene.requests().is_empty(), "{what}");
        scene.world.served.lock().unwrap().endless = None;
        scene.serve();
    }
    scene.repository.publish();
    scene.serve();
    let later = scene.fetch(NOW + RECENT + 1).await;
    assert_eq!(later.event.fetched, 1, "{:?}", later.event);
    assert!(later.alarms.is_empty() && !scene.requests().is_empty());
}

/// What a forgery is met with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Met {
    /// A loud line, and evidence.
    Alarm,
    /// A plain line.
    Plain,
}

/// T22: one way to lie after the client has followed version 2 of everything under root 1.
type Forgery = (&'static str, Met, fn(&mut Repository));

const FORGERIES: [Forgery; 24] = [
    ("expired timestamp", Met::Plain, |it| {
        it.publish_until(LATER, LATER, PAST)
    }),
    ("expired snapshot", Met::Plain, |it| {
        it.publish_until(LATER, PAST, LATER)
    }),
    ("expired targets", Met::Plain, |it| it.publish_until(PAST, LATER, LATER)),
    ("expired root", Met::Plain, |it| {
        let mut root = it.root(2);
        root.expires = jiff::Timestamp::from_second(PAST).unwrap();
        let root = signed(root, &it.root_keys.iter().collect::<Vec<_>>());
        it.put(TufFile::Root(2), root);
    }),
    ("rolled back timestamp", Met::Alarm, |it| {
        let snapshot = it.file(TufFile::Snapshot(2));
        let timestamp = signed(Repository::timestamp(1, (2, &snapshot), LATER), &[&it.timestamp_key]);
        it.put(TufFile::Timestamp, timestamp);
    }),
    ("rolled back snapshot", Met::Alarm, |it| {
        let snapshot = it.file(TufFile::Snapshot(1));
        let timestamp = signed(Repository::timestamp(3, (1, &snapshot), LATER), &[&it.timestamp_key]);
        it.put(TufFile::Timestamp, timestamp);
    }),
    ("rolled back targets", Met::Alarm, |it| {
        let targets = it.file(TufFile::Targets(1));
        let snapshot = signed(Repository::snapshot(3, (1, &targets), LATER), &[&it.snapshot_key]);
        let timestamp = signed(Repository::timestamp(3, (3, &snapshot), LATER), &[&it.timestamp_key]);
        it.put(TufFile::Snapshot(3), snapshot);
        it.put(TufFile::Timestamp, timestamp);
    }),
    ("a root version left out", Met::Alarm, |it| {
        it.timestamp_key = key();
        let root = signed(it.root(3), &it.root_keys.iter().collect::<Vec<_>>());
        it.put(TufFile::Root(3), root);
        it.publish();
    }),
    ("root 3 served as root 2", Met::Alarm, |it| {
        let root = signed(it.root(3), &it.root_keys.iter().collect::<Vec<_>>());
        it.put(TufFile::Root(2), root);
    }),
    ("root 1 served as root 2", Met::Alarm, |it| {
        let root = it.pinned();
        it.put(TufFile::Root(2), root);
    }),
    ("the root's threshold met by one key id twice", Met::Alarm, |it| {
        let one = &it.root_keys[0];
        let root = signed(it.root(2), &[one, one]);
        it.put(TufFile::Root(2), root);
    }),
    ("a root with too few signatures", Met::Alarm, |it| {
        let root = signed(it.root(2), &[&it.root_keys[0]]);
        it.put(TufFile::Root(2), root);
    }),
    ("a root that only its own new keys sign", Met::Alarm, |it| {
        it.root_keys = vec![key(), key(), key()];
        let root = signed(it.root(2), &it.root_keys.iter().collect::<Vec<_>>());
        it.put(TufFile::Root(2), root);
    }),
    ("a root that its new keys do not sign", Met::Alarm, |it| {
        let old = std::mem::replace(&mut it.root_keys, vec![key(), key(), key()]);
        let root = signed(it.root(2), &old.iter().collect::<Vec<_>>());
        it.put(TufFile::Root(2), root);
    }),
    ("a timestamp by an unknown key", Met::Alarm, |it| {
        it.timestamp_key = key();
        it.publish();
    }),
    ("a snapshot by the timestamp's key", Met::Alarm, |it| {
        let targets = it.file(TufFile::Targets(2));
        let snapshot = signed(Repository::snapshot(3, (2, &targets), LATER), &[&it.timestamp_key]);
        let timestamp = signed(Repository::timestamp(3, (3, &snapshot), LATER), &[&it.timestamp_key]);
        it.put(TufFile::Snapshot(3), snapshot);
        it.put(TufFile::Timestamp, timestamp);
    }),
    ("a snapshot that the timestamp does not name", Met::Alarm, |it| {
        it.publish();
        let targets = it.file(TufFile::Targets(2));
        let other = signed(Repository::snapshot(3, (2, &targets), LATER), &[&it.snapshot_key]);
        it.put(TufFile::Snapshot(3), other);
    }),
    ("targets that the snapshot does not name", Met::Alarm, |it| {
        it.publish();
        let other = it.file(TufFile::Targets(1));
        it.put(TufFile::Targets(3), other);
    }),
    ("another policy under its name", Met::Alarm, |it| {
        it.policy.push(b'\n');
        it.publish();
        let path = TufFile::Target(Digest::of(&it.policy), TargetFile::TrustPolicy);
        it.put(path, b"{}".to_vec());
    }),
    ("metadata of gigabytes", Met::Plain, |it| {
        it.put(
            TufFile::Timestamp,
            vec![b' '; usize::try_from(MAX_METADATA).unwrap() + 1],
        );
    }),
    ("an unknown version of the specification", Met::Plain, |it| {
        let mut root = it.root(2);
        root.spec_version = "2.0.0".into();
        let root = signed(root, &it.root_keys.iter().collect::<Vec<_>>());
        it.put(TufFile::Root(2), root);
    }),
    ("not metadata", Met::Plain, |it| {
        it.put(TufFile::Timestamp, b"{}".to_vec())
    }),
    ("a signed policy that is none", Met::Plain, |it| {
        it.policy = b"{}".to_vec();
        it.publish();
    }),
    ("no timestamp", Met::Plain, |it| {
        it.files.remove("metadata/timestamp.json");
    }),
];

#[tokio::test(flavor = "multi_thread")]
async fn t22_no_forged_old_or_mixed_repository_brings_one_artefact() {
    for (what, met, forge) in FORGERIES {
        let mut scene = Scene::new().await;
        scene.repository.publish();
        scene.serve();
        assert_eq!(scene.fetch(NOW).await.event.fetched, 3, "{what}");
        let good = scene.state().unwrap();
        scene.forget_units();

        forge(&mut scene.repository);
        scene.serve();
        let refused = scene.fetch(DUE).await;
        assert_eq!(refused.event.fetched, 0, "{what}");
        assert_eq!(scene.world.served.lock().unwrap().fetched, [""; 0], "{what}");
        assert_eq!(scene.world.local(), [""; 0], "{what}");
        assert_eq!(scene.state(), Some(good), "{what}: the last good state stays");
        assert_eq!(refused.event.problems.len(), 1, "{what}: {:?}", refused.event.problems);
        let is_alarm = usize::from(met == Met::Alarm);
        assert_eq!(refused.alarms.len(), is_alarm, "{what}: {:?}", refused.event.problems);
        assert_eq!(scene.world.evidence(), is_alarm, "{what}");
        assert!(!refused.event.problems[0].contains('\n'), "{what}");
        let notices = std::mem::take(&mut *scene.world.notices.lock().unwrap());
        if what.starts_with("expired") {
            assert_eq!(notices, refused.event.problems, "{what}");
        } else if met == Met::Alarm {
            assert_eq!(notices, [""; 0], "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t22_a_root_that_was_seen_is_not_taken_back() {
    let mut scene = Scene::new().await;
    let old = scene.repository.files.clone();
    scene.repository.timestamp_key = key();
    let root = signed(
        scene.repository.root(2),
        &scene.repository.root_keys.iter().collect::<Vec<_>>(),
    );
    scene.repository.put(TufFile::Root(2), root);
    scene.repository.publish();
    scene.serve();
    assert_eq!(scene.fetch(NOW).await.event.fetched, 3);
    scene.forget_units();
    // The world before the rotation, which the pinned root alone would believe.
    scene.repository.files = old;
    scene.serve();
    let refused = scene.fetch(DUE).await;
    assert_eq!(
        (refused.event.fetched, refused.alarms.len()),
        (0, 1),
        "{:?}",
        refused.event
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn t22_a_repository_without_end_is_left_within_the_limits() {
    let mut scene = Scene::new().await;
    assert_eq!(scene.fetch(NOW).await.event.fetched, 3);
    for file in [
        TufFile::Root(2),
        TufFile::Timestamp,
        TufFile::Snapshot(2),
        TufFile::Targets(2),
    ] {
        scene.forget_units();
        scene.repository.publish();
        scene.serve();
        let file = file.to_string();
        scene.world.served.lock().unwrap().endless = Some(file.replace('2', &scene.repository.version.to_string()));
        if file.contains("root") {
            scene.world.served.lock().unwrap().endless = Some(file.clone());
        }
        let refused = scene.fetch(DUE).await;
        assert_eq!((refused.event.fetched, refused.alarms.len()), (0, 0), "{file}");
        assert!(
            refused.event.bytes < 4 * MAX_METADATA,
            "{file}: {}",
            refused.event.bytes
        );
        scene.world.served.lock().unwrap().endless = None;
        // Nothing of it is remembered: the next one is honest, and all is well.
        let fine = scene.fetch(DUE + FRESH).await;
        assert_eq!(fine.event.fetched, 3, "{file}: {:?}", fine.event);
        rewind(&scene);
    }
}

/// Makes the state due at `DUE` again.
fn rewind(scene: &Scene) {
    let folder = scene
        .world
        .user
        .path()
        .join("v1")
        .join(local::trust_path(scene.root.digest()));
    let text = fs_err::read_to_string(folder.join(STATE_FILE)).unwrap();
    let text = text.replace(&format!("\"updated\":{}", DUE + FRESH), &format!("\"updated\":{NOW}"));
    fs_err::write(folder.join(STATE_FILE), text).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_was_offline_throughout_follows_every_root_in_between() {
    let mut scene = Scene::new().await;
    for version in [2, 3] {
        // Every key is another one: old and new threshold sign.
        let old = std::mem::replace(&mut scene.repository.root_keys, vec![key(), key(), key()]);
        scene.repository.targets_key = key();
        scene.repository.snapshot_key = key();
        scene.repository.timestamp_key = key();
        let signers: Vec<_> = old.iter().take(2).chain(&scene.repository.root_keys).collect();
        let root = signed(scene.repository.root(version), &signers);
        scene.repository.put(TufFile::Root(version), root);
        scene.repository.publish();
    }
    scene.serve();
    let fetched = scene.fetch(NOW).await;
    assert_eq!(
        (fetched.event.fetched, fetched.alarms.len()),
        (3, 0),
        "{:?}",
        fetched.event
    );
    let state = Follow {
        store: scene.world.user.path(),
        root: &scene.root,
        now: NOW.cast_signed(),
    };
    assert_eq!(state.known().unwrap().root.version, 3);
}

// T21
#[tokio::test(flavor = "multi_thread")]
async fn t21_what_is_revoked_later_reaches_what_was_fetched_within_the_hour() {
    let mut scene = Scene::new().await;
    assert_eq!(scene.fetch(NOW).await.event.fetched, 3);
    scene.repository.revoked.crates.push(RevokedCrate {
        name: "memchr".parse().unwrap(),
        version: "1.0.0".parse().unwrap(),
    });
    scene.repository.publish();
    scene.serve();
    let within = scene.fetch(NOW + FRESH).await;
    assert_eq!(within.event.present, 3, "asked again only after the hour");
    // Nothing is missing, and the list is fetched nevertheless.
    let after = scene.fetch(DUE).await;
    assert_eq!(
        (after.event.problems.len(), after.alarms.len()),
        (0, 0),
        "{:?}",
        after.event
    );
    let again = scene.fetch(DUE).await;
    assert_eq!((again.event.present, again.event.fetched), (2, 0), "{:?}", again.event);
    assert!(
        again.event.refused[0].reason.contains("revoked: crate `memchr`"),
        "{:?}",
        again.event
    );
}

// T28
#[tokio::test(flavor = "multi_thread")]
async fn t28_a_root_of_another_deployment_brings_nothing() {
    let mut scene = Scene::new().await;
    scene.root = pinned(Repository::new(&scene.world.policy()).pinned());
    let refused = scene.fetch(NOW).await;
    assert_eq!(
        (refused.event.fetched, refused.alarms.len()),
        (0, 1),
        "{:?}",
        refused.event
    );
    assert_eq!(scene.state(), None);
}

// T26
#[tokio::test(flavor = "multi_thread")]
async fn what_is_remembered_and_damaged_is_fetched_again() {
    let scene = Scene::new().await;
    assert_eq!(scene.fetch(NOW).await.event.fetched, 3);
    let folder = scene
        .world
        .user
        .path()
        .join("v1")
        .join(local::trust_path(scene.root.digest()));
    let files: Vec<_> = walkdir::WalkDir::new(&folder)
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| entry.path().to_owned())
        .collect();
    assert!(files.len() >= 7, "{files:?}");
    for file in files {
        scene.forget_units();
        let good = fs_err::read(&file).unwrap();
        fs_err::write(&file, &good[..good.len() / 2]).unwrap();
        let fetched = scene.fetch(DUE).await;
        assert_eq!(
            (fetched.event.fetched, fetched.alarms.len()),
            (3, 0),
            "{}: {:?}",
            file.display(),
            fetched.event
        );
        rewind_to_now(&folder);
    }
}

fn rewind_to_now(folder: &Path) {
    let text = fs_err::read_to_string(folder.join(STATE_FILE)).unwrap();
    fs_err::write(
        folder.join(STATE_FILE),
        text.replace(&DUE.to_string(), &NOW.to_string()),
    )
    .unwrap();
}

// N8
#[tokio::test(flavor = "multi_thread")]
async fn n8_a_clock_in_another_year_brings_nothing_and_raises_no_alarm() {
    let scene = Scene::new().await;
    assert_eq!(scene.fetch(NOW).await.event.fetched, 3);
    for clock in [0, 4_070_908_800] {
        scene.forget_units();
        let fetched = scene.fetch(clock).await;
        assert_eq!(
            (fetched.event.fetched, fetched.alarms.len()),
            (0, 0),
            "{:?}",
            fetched.event
        );
        assert_eq!(fetched.event.problems.len(), 1);
    }
    scene.forget_units();
    assert_eq!(scene.fetch(DUE).await.event.fetched, 3, "and it is forgotten");
}
