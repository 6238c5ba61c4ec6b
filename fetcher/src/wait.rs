//! Waiting for a unit that is on its way, while that is cheaper than compiling it.
//!
//! Owns how long. A build loses at most its patience (`SEALIFT_PATIENCE`, 2 s) to waiting for nothing, over all units
//! together; so long is waited for whatever is on its way, and longer only, while any of it is left, for a unit that
//! visibly arrives, without a pause, and takes less time in all than compiling it. (What downloads more slowly than it
//! compiles, the fetching process leaves alone.) Time in which this machine itself plans, verifies or decompresses does
//! not count: compiling would take more of it.
//! Whoever waits too long for that notes it, and no other unit of the build does the same.
//! Must not know the network: it looks at what the fetching process writes into the local store.

use std::thread;
use std::time::{Duration, Instant};

use sealift_policy::digest::UnitKey;
use sealift_policy::local;

use crate::flight::{Awaited, Flight, Prefetch, Stage, TELL};
use crate::store::Store;

/// How waiting ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// The unit is in the local store.
    Arrived,
    /// Nobody fetches it.
    NotComing,
    /// It did not come in time.
    InVain(Duration),
}

/// Waits for a unit that is not in the local store.
pub fn for_unit(store: &Store, prefetch: &Prefetch, patience: Duration, key: UnitKey) -> Waited {
    wait(store, prefetch, patience, LONGEST, key)
}

fn wait(store: &Store, prefetch: &Prefetch, patience: Duration, longest: Duration, key: UnitKey) -> Waited {
    let begin = Instant::now();
    let pause = (patience / 4).max(TELL * 4);
    let patience = patience.saturating_sub(prefetch.waited_in_vain());
    // Waiting for the network alone: what this machine has to do is not the network's fault.
    let mut waited = Duration::ZERO;
    let mut silence = Duration::ZERO;
    let mut seen = 0;
    let mut looked = begin;
    loop {
        // What is asked after is written before the flight's file goes, so the order of these questions matters.
        let on_its_way = OnItsWay::now(store, prefetch, key);
        if store.path(&local::unit_path(key)).exists() {
            return Waited::Arrived;
        }
        match on_its_way {
            OnItsWay::No => return Waited::NotComing,
            OnItsWay::Silent if prefetch.is_given_up(Awaited::FirstWord) => return Waited::NotComing,
            OnItsWay::Silent if begin.elapsed() > START => {
                prefetch.give_up(Awaited::FirstWord);
                return Waited::NotComing;
            }
            OnItsWay::Here if prefetch.is_given_up(Awaited::Work) => return Waited::NotComing,
            OnItsWay::Here if begin.elapsed() > longest => {
                prefetch.give_up(Awaited::Work);
                return Waited::NotComing;
            }
            OnItsWay::Silent | OnItsWay::Here => {}
            OnItsWay::InTheNetwork(arriving) => {
                waited += looked.elapsed();
                silence += looked.elapsed();
                if arriving.received != seen {
                    (seen, silence) = (arriving.received, Duration::ZERO);
                }
                // What was fast once may never come: beyond the patience only what goes on arriving is waited for.
                let goes_on = !patience.is_zero() && silence < pause && beats_compiling(&arriving, waited);
                if waited >= patience && !goes_on {
                    prefetch.add_waited_in_vain(waited);
                    return Waited::InVain(waited);
                }
            }
        }
        looked = Instant::now();
        thread::sleep(POLL);
    }
}

/// Waits until the fetching process knows whom to believe now, or has given that up.
pub fn for_trust(prefetch: &Prefetch, patience: Duration) {
    let begin = Instant::now();
    let patience = patience.saturating_sub(prefetch.waited_in_vain());
    let mut waited = Duration::ZERO;
    let mut looked = begin;
    while begin.elapsed() < LONGEST {
        match prefetch.state() {
            None if begin.elapsed() > START => return,
            None => {}
            Some(state) if !state.is_running() => return,
            Some(state) => match state.stage {
                Stage::Planning => {}
                Stage::Asking => {
                    waited += looked.elapsed();
                    if waited >= patience {
                        prefetch.add_waited_in_vain(waited);
                        return;
                    }
                }
                _ => return,
            },
        }
        looked = Instant::now();
        thread::sleep(POLL);
    }
}

/// Where a unit is, as far as can be seen.
#[derive(Debug, PartialEq, Eq)]
enum OnItsWay {
    /// Nobody fetches it, and nobody will.
    No,
    /// A process that was just begun has said nothing yet.
    Silent,
    /// This machine works on it, or still finds out whether it is to be fetched.
    Here,
    /// It, or the answer that says whether it is to be fetched, is to come over the network.
    InTheNetwork(Arriving),
}

/// What comes over the network.
#[derive(Debug, PartialEq, Eq)]
struct Arriving {
    received: u64,
    expected: u64,
    worth: Duration,
}

impl OnItsWay {
    fn now(store: &Store, prefetch: &Prefetch, key: UnitKey) -> Self {
        if let Some(flight) = Flight::of(store, key) {
            if flight.arrived {
                return Self::Here;
            }
            return Self::InTheNetwork(Arriving {
                received: flight.received,
                expected: flight.expected,
                worth: Duration::from_millis(flight.worth_ms),
            });
        }
        let Some(state) = prefetch.state() else {
            return Self::Silent;
        };
        match state.stage {
            Stage::Planning | Stage::Choosing if state.is_running() => Self::Here,
            Stage::Asking if state.is_running() => Self::InTheNetwork(Arriving {
                received: state.answer.0,
                expected: state.answer.1,
                worth: LONGEST_ANSWER,
            }),
            _ => Self::No,
        }
    }
}

/// Whether it comes sooner, at the rate so far and with a little more, than it is compiled.
fn beats_compiling(arriving: &Arriving, waited: Duration) -> bool {
    if arriving.received == 0 || arriving.expected == 0 {
        return false;
    }
    let rest = arriving.expected.saturating_sub(arriving.received);
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let remaining = waited.mul_f64(rest as f64 / arriving.received as f64);
    waited + remaining.mul_f64(1.25) + POLL * 30 < arriving.worth
}

/// Longest time that an answer which visibly arrives is waited for.
const LONGEST_ANSWER: Duration = Duration::from_secs(6);

/// Longest time that is waited for this machine itself: more means that something of ours is stuck.
const LONGEST: Duration = Duration::from_secs(20);

/// How often is looked.
const POLL: Duration = Duration::from_millis(3);

/// Longest time until a process that was started says its first word.
const START: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use sealift_policy::digest::Digest;

    use super::*;
    use crate::events::BuildId;
    use crate::flight::State;

    struct Scene {
        _folder: tempfile::TempDir,
        store: Store,
        prefetch: Prefetch,
        key: UnitKey,
    }

    const PATIENCE: Duration = Duration::from_millis(500);

    fn scene(stage: Stage) -> Scene {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let this = BuildId::of_process(std::process::id()).unwrap();
        let prefetch = Prefetch::of(&store, this);
        prefetch.claim().unwrap();
        let state = State {
            version: 1,
            fetcher: this.to_string(),
            stage,
            answer: (0, 0),
            alarm: None,
            notice: None,
        };
        prefetch.set_state(&state).unwrap();
        Scene {
            _folder: folder,
            store,
            prefetch,
            key: UnitKey::new(Digest::of(b"unit")),
        }
    }

    impl Scene {
        fn flight(&self, worth_ms: u64, received: u64, expected: u64) {
            self.update(worth_ms, received, expected, false);
        }

        fn update(&self, worth_ms: u64, received: u64, expected: u64, arrived: bool) {
            let flight = Flight {
                version: 1,
                fetcher: self.prefetch.build().to_string(),
                worth_ms,
                received,
                expected,
                arrived,
            };
            flight.update(&self.store, self.key).unwrap();
        }

        fn wait(&self) -> Waited {
            for_unit(&self.store, &self.prefetch, PATIENCE, self.key)
        }

        fn costs_the_patience_and_no_more(&self) {
            match self.wait() {
                Waited::InVain(waited) => assert!(waited >= PATIENCE && waited < PATIENCE + TELL * 4, "{waited:?}"),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_unit_that_nobody_fetches_is_not_waited_for() {
        assert_eq!(scene(Stage::Fetching).wait(), Waited::NotComing);
        assert_eq!(scene(Stage::Done).wait(), Waited::NotComing);
    }

    #[test]
    fn the_patience_is_for_the_whole_build() {
        let scene = scene(Stage::Asking);
        assert!(matches!(scene.wait(), Waited::InVain(waited) if waited >= PATIENCE));
        assert!(scene.prefetch.waited_in_vain() >= PATIENCE);
        scene.flight(60_000, 0, 0);
        assert!(matches!(scene.wait(), Waited::InVain(waited) if waited < PATIENCE));
    }

    #[test]
    fn a_unit_that_arrives_is_taken() {
        let scene = scene(Stage::Fetching);
        scene.flight(60_000, 0, 0);
        scene.store.write(&local::unit_path(scene.key), b"{}").unwrap();
        assert_eq!(scene.wait(), Waited::Arrived);
    }

    #[test]
    fn what_this_machine_has_to_do_is_not_the_network_s_fault() {
        let scene = scene(Stage::Planning);
        let now = || OnItsWay::now(&scene.store, &scene.prefetch, scene.key);
        assert_eq!(now(), OnItsWay::Here);
        scene.flight(60_000, 7, 10);
        assert!(matches!(now(), OnItsWay::InTheNetwork(_)));
        scene.update(60_000, 10, 10, true);
        assert_eq!(now(), OnItsWay::Here);
    }

    /// How long the first and the second wrapper of a build wait for nothing.
    fn two_waits(scene: &Scene) -> [Duration; 2] {
        [(); 2].map(|()| {
            let begin = Instant::now();
            let waited = wait(&scene.store, &scene.prefetch, PATIENCE, PATIENCE, scene.key);
            assert_eq!(waited, Waited::NotComing);
            begin.elapsed()
        })
    }

    // N3: one budget for the whole build, and not one for each unit.
    #[test]
    fn a_prefetch_that_died_before_its_first_word_is_waited_for_once() {
        let scene = scene(Stage::Planning);
        fs_err::remove_file(
            scene
                .store
                .path(&format!("prefetch/{}/state.json", scene.prefetch.build())),
        )
        .unwrap();
        let [first, second] = two_waits(&scene);
        assert!(first >= START && second < START / 4, "{first:?} {second:?}");
    }

    #[test]
    fn a_prefetch_that_is_stuck_is_waited_for_once() {
        let scene = scene(Stage::Planning);
        let [first, second] = two_waits(&scene);
        assert!(first >= PATIENCE && second < PATIENCE / 4, "{first:?} {second:?}");
    }

    #[test]
    fn what_visibly_arrives_may_take_longer_while_that_beats_compiling_it() {
        let waited = Duration::from_secs(2);
        let flight = |received, expected, worth_ms| Arriving {
            received,
            expected,
            worth: Duration::from_millis(worth_ms),
        };
        assert!(!beats_compiling(&flight(0, 100, 60_000), waited));
        assert!(!beats_compiling(&flight(50, 0, 60_000), waited));
        // Half of it is there after 2 s.
        assert!(beats_compiling(&flight(50, 100, 5000), waited));
        assert!(!beats_compiling(&flight(50, 100, 3000), waited));
        // It drips.
        assert!(!beats_compiling(&flight(1, 100, 60_000), waited));
    }

    #[test]
    fn what_arrived_fast_and_then_falls_silent_costs_the_patience_and_no_more() {
        let scene = scene(Stage::Fetching);
        // By its rate it would come within a moment after the patience.
        scene.flight(60_000, 50, 100);
        scene.costs_the_patience_and_no_more();
    }

    // N3: one of a unit's outputs has come whole, and of the other not even its length.
    #[test]
    fn bytes_that_nobody_announced_are_the_network_s() {
        let scene = scene(Stage::Fetching);
        scene.flight(60_000, 100, 100);
        scene.costs_the_patience_and_no_more();
    }

    #[test]
    fn what_goes_on_arriving_is_waited_for_beyond_the_patience() {
        let scene = scene(Stage::Fetching);
        let path = local::unit_path(scene.key);
        scene.flight(60_000, 10, 50);
        thread::scope(|scope| {
            scope.spawn(|| {
                for received in 1..=30 {
                    scene.flight(60_000, 10 + received, 50);
                    thread::sleep(PATIENCE / 15);
                }
                scene.store.write(&path, b"{}").unwrap();
            });
            assert_eq!(scene.wait(), Waited::Arrived);
        });
    }
}
