//! Waiting for a unit that is on its way, while that is cheaper than compiling it.
//!
//! Owns how long. A build loses at most its patience (`SEALIFT_PATIENCE`, 2 s) to waiting for nothing, over all units
//! together; a unit that visibly arrives is waited for longer, as long as the rest of it will take less time than
//! compiling it.
//! Must not know the network: it looks at what the fetching process writes into the local store.

use std::thread;
use std::time::{Duration, Instant};

use sealift_policy::digest::UnitKey;
use sealift_policy::local;

use crate::flight::{Flight, Prefetch, Stage};
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
    let begin = Instant::now();
    let mut limit = patience.saturating_sub(prefetch.waited_in_vain());
    let mut seen = 0;
    loop {
        // What is asked after is written before the flight's file goes, so the order of these questions matters.
        let flight = Flight::of(store, key);
        let choosing = flight.is_none() && may_still_be_found(prefetch, begin.elapsed());
        if store.path(&local::unit_path(key)).exists() {
            return Waited::Arrived;
        }
        if flight.is_none() && !choosing {
            return Waited::NotComing;
        }
        let waited = begin.elapsed();
        let worth = flight
            .as_ref()
            .map_or(Duration::MAX, |flight| Duration::from_millis(flight.worth_ms));
        if waited >= limit.min(worth) {
            let arriving = flight.filter(|flight| flight.received > seen && waited < worth);
            match arriving.and_then(|flight| Some((flight.received, remaining(&flight, waited)?))) {
                Some((received, remaining)) if waited + remaining < worth => {
                    (limit, seen) = (waited + remaining, received);
                }
                _ => {
                    prefetch.add_waited_in_vain(waited);
                    return Waited::InVain(waited);
                }
            }
        }
        thread::sleep(POLL);
    }
}

/// A prefetch that was just begun has said nothing yet.
fn may_still_be_found(prefetch: &Prefetch, waited: Duration) -> bool {
    match prefetch.state() {
        Some(state) => state.stage == Stage::Choosing && state.is_running(),
        None => waited < START,
    }
}

/// How long the rest will take at the rate so far, and a little more. `None` where nothing speaks for its arrival.
fn remaining(flight: &Flight, waited: Duration) -> Option<Duration> {
    if flight.received == 0 || flight.expected == 0 {
        return None;
    }
    let rest = flight.expected.saturating_sub(flight.received);
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let estimate = waited.mul_f64(rest as f64 / flight.received as f64);
    Some(estimate.mul_f64(1.25) + POLL * 30)
}

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
            alarm: None,
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
            let flight = Flight {
                version: 1,
                fetcher: self.prefetch.build().to_string(),
                worth_ms,
                received,
                expected,
            };
            flight.update(&self.store, self.key).unwrap();
        }

        fn wait(&self) -> Waited {
            for_unit(&self.store, &self.prefetch, PATIENCE, self.key)
        }
    }

    #[test]
    fn a_unit_that_nobody_fetches_is_not_waited_for() {
        assert_eq!(scene(Stage::Fetching).wait(), Waited::NotComing);
        assert_eq!(scene(Stage::Done).wait(), Waited::NotComing);
    }

    #[test]
    fn the_patience_is_for_the_whole_build() {
        let scene = scene(Stage::Choosing);
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
    fn no_unit_is_waited_for_longer_than_compiling_it_takes() {
        let scene = scene(Stage::Fetching);
        scene.flight(10, 0, 0);
        assert!(matches!(scene.wait(), Waited::InVain(waited) if waited < PATIENCE));
    }

    #[test]
    fn what_visibly_arrives_may_take_longer_and_what_drips_may_not() {
        let waited = Duration::from_secs(2);
        let flight = |received, expected| Flight {
            version: 1,
            fetcher: String::new(),
            worth_ms: 0,
            received,
            expected,
        };
        assert_eq!(remaining(&flight(0, 100), waited), None);
        assert_eq!(remaining(&flight(50, 0), waited), None);
        assert!(remaining(&flight(50, 100), waited).unwrap() < Duration::from_secs(3));
        assert!(remaining(&flight(1, 100), waited).unwrap() > Duration::from_secs(190));
    }
}
