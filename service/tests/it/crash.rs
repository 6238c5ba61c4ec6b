//! The fault table: every write of the store is lost, or kept though it is reported as failed, and the service goes on
//! in the same process or in a new one. Whatever was acknowledged stays, and sending the same again ends well.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::http::StatusCode;
use sealift_policy::digest::Digest;
use sealift_policy::layout::ObjectPath;
use sealift_service::store::fs::FsStore;
use sealift_service::store::{
    HeadStore, Journal, LogName, NewObject, Object, ObjectStore, RequestStore, Staging, SwapError,
};

use crate::operator::{Operator, Submission, library, policy, proc_macro};
use crate::world::{World, folder};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Lost,
    KeptThoughReportedFailed,
    KeptInPart,
}

/// Fails one write, counted from when it is armed.
#[derive(Clone)]
struct Faulty {
    inner: Arc<FsStore>,
    countdown: Arc<AtomicI64>,
    fault: Fault,
}

impl Faulty {
    fn write<T, E: From<io::Error>>(&self, write: impl FnOnce(&FsStore) -> Result<T, E>) -> Result<T, E> {
        if self.countdown.fetch_sub(1, Ordering::SeqCst) != 0 {
            return write(&self.inner);
        }
        if self.fault == Fault::KeptThoughReportedFailed {
            write(&self.inner)?;
        }
        Err(io::Error::other("injected").into())
    }
}

impl ObjectStore for Faulty {
    fn open(&self, path: &ObjectPath) -> io::Result<Option<Object>> {
        self.inner.open(path)
    }
    fn stage(&self) -> io::Result<Staging> {
        self.write(FsStore::stage)
    }
    fn put(&self, objects: Vec<(ObjectPath, NewObject)>) -> io::Result<()> {
        if self.fault == Fault::KeptInPart && objects.len() > 1 && self.countdown.load(Ordering::SeqCst) == 0 {
            self.countdown.fetch_sub(1, Ordering::SeqCst);
            let half = objects.len() / 2;
            self.inner.put(objects.into_iter().take(half).collect())?;
            return Err(io::Error::other("injected"));
        }
        self.write(|store| store.put(objects))
    }
    fn put_same(&self, mut paths: Vec<ObjectPath>, bytes: Vec<u8>) -> io::Result<()> {
        if self.fault == Fault::KeptInPart && paths.len() > 1 && self.countdown.load(Ordering::SeqCst) == 0 {
            self.countdown.fetch_sub(1, Ordering::SeqCst);
            paths.truncate(paths.len() / 2);
            self.inner.put_same(paths, bytes)?;
            return Err(io::Error::other("injected"));
        }
        self.write(|store| store.put_same(paths, bytes))
    }
}

impl HeadStore for Faulty {
    fn head(&self, log: &LogName) -> io::Result<Option<Vec<u8>>> {
        self.inner.head(log)
    }
    fn swap(&self, log: &LogName, expected: Option<&[u8]>, new: &[u8]) -> Result<(), SwapError> {
        self.write(|store| store.swap(log, expected, new))
    }
}

impl Journal for Faulty {
    fn note(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.write(|store| store.note(name, bytes))
    }
    fn notes(&self) -> io::Result<Vec<(String, Vec<u8>)>> {
        self.inner.notes()
    }
    fn strike(&self, name: &str) -> io::Result<()> {
        self.write(|store| store.strike(name))
    }
}

impl RequestStore for Faulty {
    fn requests(&self) -> io::Result<(usize, u64)> {
        self.inner.requests()
    }
    fn keep_request(&self, name: Digest, bytes: &[u8]) -> io::Result<()> {
        self.write(|store| store.keep_request(name, bytes))
    }
}

struct Story {
    alpha: Operator,
    first: Submission,
    second: Submission,
}

impl Story {
    fn new() -> Self {
        let mut alpha = Operator::new("alpha");
        let first = alpha.submit(&[library("first")]);
        let second = alpha.submit(&[library("second"), proc_macro("third")]);
        Self { alpha, first, second }
    }

    /// A service with the first submission whose `nth` write from now on fails, and the switch that tells if it did.
    async fn world(&self, nth: i64, fault: Fault) -> (World, Arc<AtomicI64>) {
        let folder = Arc::new(folder());
        let countdown = Arc::new(AtomicI64::new(-1));
        let inner = Arc::new(FsStore::open(folder.path()).unwrap());
        let store = Faulty {
            inner,
            countdown: Arc::clone(&countdown),
            fault,
        };
        let world = World::with_store(folder, policy(&[&self.alpha]), Box::new(store));
        world.admit(&self.first).await;
        countdown.store(nth, Ordering::SeqCst);
        (world, countdown)
    }
}

#[tokio::test]
async fn b9_whatever_write_fails_the_same_submission_ends_well_and_leaves_the_same_store() {
    let story = Story::new();
    let (reference, _) = story.world(i64::MAX, Fault::Lost).await;
    reference.admit(&story.second).await;
    assert!(reference.fsck().is_sound(), "{}", reference.fsck());
    let expected = reference.disk();
    for fault in [Fault::Lost, Fault::KeptThoughReportedFailed, Fault::KeptInPart] {
        for nth in 0.. {
            assert!(nth < 200, "the table ends");
            let (world, countdown) = story.world(nth, fault).await;
            let status = world.submit(&story.second).await.status;
            if countdown.load(Ordering::SeqCst) >= 0 {
                assert_eq!(status, StatusCode::OK);
                assert!(nth > 8, "the table has a row for each write");
                break;
            }
            let settled = status == StatusCode::OK || status == StatusCode::INTERNAL_SERVER_ERROR;
            assert!(settled, "{fault:?} {nth}: {status}");
            // What the operator does about an error: the same again, to the same process.
            world.admit(&story.second).await;
            assert_eq!(world.disk(), expected, "{fault:?} {nth}");
            assert!(world.fsck().notes().is_empty(), "{fault:?} {nth}: {}", world.fsck());
        }
    }
}

#[tokio::test]
async fn b9_whatever_write_fails_the_next_start_has_one_whole_head_and_goes_on() {
    let story = Story::new();
    let (reference, _) = story.world(i64::MAX, Fault::Lost).await;
    reference.admit(&story.second).await;
    let expected = reference.disk();
    for fault in [Fault::Lost, Fault::KeptThoughReportedFailed, Fault::KeptInPart] {
        for nth in 0.. {
            let (world, countdown) = story.world(nth, fault).await;
            let acknowledged = world.submit(&story.second).await.status == StatusCode::OK;
            let done = countdown.load(Ordering::SeqCst) >= 0;
            let world = world.restart();
            assert!(world.fsck().is_sound(), "{fault:?} {nth}: {}", world.fsck());
            let size = world.app.logs().next().unwrap().state().tree.size().value();
            assert!(
                size == 3 || (size == 1 && !acknowledged),
                "{fault:?} {nth}: what was acknowledged stays"
            );
            if size == 3 {
                assert_eq!(
                    world.disk(),
                    expected,
                    "{fault:?} {nth}: an admitted submission is complete after a start"
                );
            }
            world.admit(&story.second).await;
            assert_eq!(world.disk(), expected, "{fault:?} {nth}");
            if done {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_crash_before_the_head_lets_the_operator_submit_something_else() {
    let story = Story::new();
    for nth in 0..12 {
        let (world, _) = story.world(nth, Fault::Lost).await;
        _ = world.submit(&story.second).await;
        let world = world.restart();
        if world.app.logs().next().unwrap().state().tree.size().value() == 3 {
            continue;
        }
        // The operator's log as it was before the second submission: nobody has seen its second head.
        let mut other = story.alpha.with_empty_log();
        _ = other.submit(&[library("first")]);
        other.time += 10;
        world.admit(&other.submit(&[library("fourth"), library("fifth")])).await;
        assert!(world.fsck().is_sound(), "{nth}: {}", world.fsck());
        let hint = world.get(&format!("/v1/unit/{}.json", library("second").key())).await;
        assert_eq!(
            hint.status,
            StatusCode::NOT_FOUND,
            "{nth}: what was never admitted has no hint"
        );
    }
}

#[tokio::test]
async fn a_lost_or_damaged_catalogue_is_built_again_from_the_files() {
    let story = Story::new();
    let (world, _) = story.world(i64::MAX, Fault::Lost).await;
    world.admit(&story.second).await;
    let expected = world.disk();
    let (folder, policy) = (Arc::clone(&world.folder), world.policy.clone());
    drop(world);
    for damage in ["remove", "garbage", "empty"] {
        let file = folder.path().join("catalogue.sqlite");
        match damage {
            "remove" => fs_err::remove_file(&file).unwrap(),
            "garbage" => fs_err::write(&file, b"not a database at all").unwrap(),
            _ => fs_err::write(&file, b"").unwrap(),
        }
        let world = World::over(Arc::clone(&folder), policy.clone());
        let plan = crate::operator::plan("second");
        let units = world.app.catalogue().units_of(&plan.toolchain, plan.plan_id).unwrap();
        assert_eq!(units, [library("second").key()], "{damage}");
        let known = world.app.catalogue().unit(library("second").key()).unwrap();
        assert_eq!((known.stated.len(), known.compile_ms), (1, 700), "{damage}");
        assert_eq!(world.disk(), expected, "{damage}");
    }
}

#[tokio::test]
async fn a_log_that_is_not_the_one_that_was_signed_stops_the_start() {
    let story = Story::new();
    let (world, _) = story.world(i64::MAX, Fault::Lost).await;
    let (folder, policy) = (Arc::clone(&world.folder), world.policy.clone());
    drop(world);
    let entries = folder.path().join("v1/log/alpha/1/tile/entries/000.p/1");
    let good = fs_err::read(&entries).unwrap();
    let mut bad = good.clone();
    bad[20] ^= 1;
    let open = || {
        let store = Box::new(FsStore::open(folder.path()).unwrap());
        sealift_service::app::App::open(store, &folder.path().join("catalogue.sqlite"), Some(&policy)).map(drop)
    };
    for damaged in [bad.as_slice(), &good[..10], b""] {
        fs_err::write(&entries, damaged).unwrap();
        assert!(open().is_err());
    }
    fs_err::write(&entries, good).unwrap();
    open().unwrap();
}
