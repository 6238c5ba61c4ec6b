//! The fault table: every write of the log, lost or kept though it reported failure; recovery is opening the log.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

use sealift_policy::log::Origin;

use super::*;

/// A log in memory whose writes fail on demand.
#[derive(Debug, Clone, Default)]
struct Memory(Rc<State>);

#[derive(Debug, Default)]
struct State {
    files: RefCell<BTreeMap<String, Vec<u8>>>,
    head: RefCell<Option<Vec<u8>>>,
    seen: RefCell<Option<Vec<u8>>>,
    /// Every head that ever was the head.
    heads: RefCell<Vec<Vec<u8>>>,
    /// The write that fails, counted down.
    fails_at: Cell<Option<usize>>,
    fault: Cell<Fault>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Fault {
    /// Nothing was written.
    #[default]
    Lost,
    /// It was written, but reported as failed.
    Kept,
}

impl Memory {
    fn fail(&self, at: usize, fault: Fault) {
        self.0.fails_at.set(Some(at));
        self.0.fault.set(fault);
    }

    fn store(&self, write: impl FnOnce(&State)) -> io::Result<()> {
        match self.0.fails_at.get() {
            Some(0) => {
                self.0.fails_at.set(None);
                if self.0.fault.get() == Fault::Kept {
                    write(&self.0);
                }
                return Err(io::Error::other("fault"));
            }
            Some(left) => self.0.fails_at.set(Some(left - 1)),
            None => {}
        }
        write(&self.0);
        Ok(())
    }
}

impl LogStore for Memory {
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.files.borrow().get(path).cloned())
    }

    fn write(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.store(|state| {
            state.files.borrow_mut().insert(path.to_owned(), bytes.to_vec());
        })
    }

    fn head(&self) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.head.borrow().clone())
    }

    fn swap_head(&self, old: Option<&[u8]>, new: &[u8]) -> io::Result<()> {
        if self.0.head.borrow().as_deref() != old {
            return Err(io::Error::other("conflict"));
        }
        self.store(|state| {
            *state.head.borrow_mut() = Some(new.to_vec());
            state.heads.borrow_mut().push(new.to_vec());
        })
    }

    fn seen(&self) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.seen.borrow().clone())
    }

    fn set_seen(&self, head: &[u8]) -> io::Result<()> {
        self.store(|state| *state.seen.borrow_mut() = Some(head.to_vec()))
    }
}

fn signer() -> LogSigner {
    let origin = Origin::of(&"alpha".parse().unwrap(), 1);
    // One key for all opens of a test: generated once.
    thread_local!(static KEY: RefCell<Option<LogSigner>> = const { RefCell::new(None) });
    KEY.with_borrow_mut(|key| {
        key.get_or_insert_with(|| LogSigner::generate(origin, &mut rand_core::OsRng))
            .clone()
    })
}

fn leaf(number: usize) -> Leaf {
    Leaf::new(UnitKey::new(Digest::of(&number.to_be_bytes())), Digest::of(b"manifest"))
}

fn leaves(range: std::ops::Range<usize>) -> Vec<Leaf> {
    range.map(leaf).collect()
}

fn new_log() -> Memory {
    let store = Memory::default();
    Sequencer::create(store.clone(), signer(), 1).unwrap();
    store
}

fn reopen(store: &Memory) -> Sequencer<Memory> {
    Sequencer::open(store.clone(), signer()).unwrap()
}

#[test]
fn leaves_are_appended_in_order_across_bundles() {
    let store = new_log();
    for (from, to) in [(0, 5), (5, 300), (300, 301), (301, 512), (512, 700)] {
        let mut log = reopen(&store);
        let outcomes = log.append(&leaves(from..to), 2).unwrap();
        assert!(outcomes.iter().all(|outcome| *outcome == Appended::New));
        assert_eq!(reopen(&store).contents().leaves(), leaves(0..to));
        assert!(store.0.files.borrow().contains_key(&format!("heads/{to}")));
    }
}

#[test]
fn a_unit_never_gets_a_second_leaf() {
    let store = new_log();
    let mut log = reopen(&store);
    let other = Leaf::new(leaf(0).unit_key(), Digest::of(b"other"));
    let outcomes = log.append(&[leaf(0), leaf(0), other], 2).unwrap();
    let conflict = Appended::Conflict {
        logged: leaf(0).manifest(),
    };
    assert_eq!(outcomes, [Appended::New, Appended::Already, conflict]);
    assert_eq!(
        reopen(&store).append(&[other, leaf(0)], 3).unwrap(),
        [conflict, Appended::Already]
    );
    assert_eq!(reopen(&store).contents().leaves(), [leaf(0)]);
}

#[test]
fn without_new_leaves_only_the_time_is_renewed() {
    let store = new_log();
    reopen(&store).append(&leaves(0..3), 10).unwrap();
    let mut log = reopen(&store);
    log.append(&[], 20).unwrap();
    assert_eq!(
        (log.contents().head().size().value(), log.contents().head().time()),
        (3, 20)
    );
    log.append(&[], 5).unwrap();
    assert_eq!(log.contents().head().time(), 20, "time never goes back");
}

#[test]
fn a_crash_or_fault_at_any_write_never_makes_two_heads_and_loses_nothing_that_was_acknowledged() {
    // Sizes around the end of a bundle, where full and partial tiles are written.
    for before in [0, 1, 254, 255, 256] {
        for fault in [Fault::Lost, Fault::Kept] {
            for at in 0.. {
                let store = new_log();
                reopen(&store).append(&leaves(0..before), 2).unwrap();
                store.fail(at, fault);
                let mut log = reopen(&store);
                let failed = log.append(&leaves(before..before + 3), 3).is_err();
                store.0.fails_at.set(None);
                if failed {
                    assert!(matches!(log.append(&[], 4), Err(SequencerError::Poisoned)));
                }
                let mut log = reopen(&store);
                assert_eq!(&log.contents().leaves()[..before], leaves(0..before));
                // Other leaves than those of the failed attempt: nothing of it may shine through.
                log.append(&leaves(1000..1002), 5).unwrap();
                let log = reopen(&store);
                let kept = log.contents().leaves().len() - 2;
                assert!(kept == before || kept == before + 3, "{before} {fault:?} {at}");
                one_history(&store);
                if !failed {
                    assert_eq!(kept, before + 3);
                    break;
                }
            }
        }
    }
}

/// Every head that ever was the head is a beginning of the log.
fn one_history(store: &Memory) {
    let log = reopen(store);
    for head in store.0.heads.borrow().iter() {
        log.check_published(head).unwrap();
    }
}

#[test]
fn a_log_restored_from_an_older_backup_refuses_to_sign() {
    let store = new_log();
    let backup = (store.0.files.borrow().clone(), store.0.head.borrow().clone());
    reopen(&store).append(&leaves(0..3), 2).unwrap();
    let published = store.0.head.borrow().clone().unwrap();
    store.0.files.replace(backup.0);
    store.0.head.replace(backup.1);
    let refused = Sequencer::open(store.clone(), signer());
    assert!(matches!(
        refused,
        Err(SequencerError::RolledBack {
            size: 0,
            newer: 3,
            what: "signed"
        })
    ));
    // Even when the memory beside the key was restored too, the published head tells.
    store.0.seen.replace(None);
    let log = reopen(&store);
    let refused = log.check_published(&published);
    assert!(matches!(
        refused,
        Err(SequencerError::RolledBack {
            size: 0,
            newer: 3,
            what: "published"
        })
    ));
}

#[test]
fn a_published_head_of_another_history_or_key_refuses_to_sign() {
    let (one, two) = (new_log(), new_log());
    reopen(&one).append(&leaves(0..3), 2).unwrap();
    reopen(&two).append(&leaves(5..9), 2).unwrap();
    let published = one.0.head.borrow().clone().unwrap();
    assert!(matches!(
        reopen(&two).check_published(&published),
        Err(SequencerError::Forked { .. })
    ));
    let stranger = LogSigner::generate(Origin::of(&"alpha".parse().unwrap(), 1), &mut rand_core::OsRng);
    assert!(matches!(Sequencer::open(one, stranger), Err(SequencerError::Head(_))));
    assert!(reopen(&two).check_published(b"junk").is_err());
}

#[test]
fn damage_is_noticed_before_anything_is_signed() {
    let store = new_log();
    reopen(&store).append(&leaves(0..3), 2).unwrap();
    let good = store.0.files.borrow().clone();
    let path = "tile/entries/000.p/3";
    for damage in [None, Some(Vec::new()), Some(vec![0; 10])] {
        store.0.files.replace(good.clone());
        match damage {
            Some(bytes) => store.0.files.borrow_mut().insert(path.to_owned(), bytes),
            None => store.0.files.borrow_mut().remove(path),
        };
        assert!(Sequencer::open(store.clone(), signer()).is_err());
    }
    let mut changed = good[path].clone();
    let last = changed.len() - 20;
    changed[last] ^= 1;
    store.0.files.borrow_mut().insert(path.to_owned(), changed);
    assert!(Sequencer::open(store, signer()).is_err());
}

#[test]
fn a_second_log_is_never_made_over_the_first() {
    let store = new_log();
    assert!(matches!(
        Sequencer::create(store, signer(), 1),
        Err(SequencerError::Exists)
    ));
}
