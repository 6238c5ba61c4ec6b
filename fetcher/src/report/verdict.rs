//! What was done for a unit and why, in the light of what the prefetch had found: the wrapper, which never uses the
//! network, only knows that a unit is not in the local store.
//!
//! Must not count.

use std::collections::{BTreeMap, BTreeSet};

use sealift_policy::cause::Cause;
use sealift_policy::digest::UnitKey;
use sealift_policy::local::{BuildEvent, Outcome, PrefetchEvent, RefusedUnit, UnitEvent};

/// What the prefetches of a build found.
#[derive(Debug, Default)]
pub(crate) struct Verdicts<'a> {
    refused: BTreeMap<UnitKey, &'a RefusedUnit>,
    left_alone: BTreeSet<UnitKey>,
    problem: Option<&'a str>,
    obstacle: Option<Cause>,
    asked: bool,
}

impl<'a> Verdicts<'a> {
    /// Of a build's events.
    pub(crate) fn of(events: &'a [BuildEvent]) -> Self {
        let mut verdicts = Self::default();
        for prefetch in prefetches(events) {
            verdicts.asked |= prefetch.planned > 0;
            verdicts.obstacle = verdicts.obstacle.or(prefetch.obstacle);
            // What went wrong with one unit says nothing of the others.
            let ended = prefetch.obstacle.and(prefetch.problems.last());
            verdicts.problem = verdicts.problem.or(ended.map(String::as_str));
            verdicts.left_alone.extend(&prefetch.left_alone);
            verdicts
                .refused
                .extend(prefetch.refused.iter().map(|refused| (refused.unit_key, refused)));
        }
        verdicts
    }

    /// What was done for a unit. One that was compiled because the prefetch refused a forgery was rejected.
    pub(crate) fn outcome(&self, unit: &UnitEvent) -> Outcome {
        match (unit.outcome, self.refused(unit)) {
            (Outcome::Compiled, Some(refused)) if refused.alarming => Outcome::Rejected,
            (outcome, _) => outcome,
        }
    }

    /// Why that was done.
    pub(crate) fn reason(&self, unit: &UnitEvent) -> String {
        let known = |otherwise: &str| unit.reason.clone().unwrap_or_else(|| otherwise.to_owned());
        match unit.outcome {
            Outcome::HitCompiled => "compiled on this machine before".into(),
            Outcome::HitFetched => "fetched and verified".into(),
            Outcome::PassedThrough => known("not handled"),
            Outcome::Rejected => known("not believed"),
            Outcome::Compiled => {
                let known = known(ABSENT);
                if known != ABSENT {
                    return known;
                }
                if self.was_left_alone(unit) {
                    return format!("{known}; {LEFT_ALONE}");
                }
                match (self.refused(unit), self.problem) {
                    (Some(refused), _) => format!("{known}; {}", refusal(refused)),
                    (None, Some(problem)) => format!("{known}; not fetched: {problem}"),
                    (None, None) if self.asked => format!("{known}; not published for what cargo planned"),
                    (None, None) => known,
                }
            }
        }
    }

    /// Whether a unit was published and not fetched because that would have taken longer than compiling it.
    pub(crate) fn was_left_alone(&self, unit: &UnitEvent) -> bool {
        unit.unit_key.is_some_and(|key| self.left_alone.contains(&key))
    }

    /// Why nothing, or not everything, could be fetched.
    pub(crate) fn problem(&self) -> Option<&'a str> {
        self.problem
    }

    /// The same in a word.
    pub(crate) fn obstacle(&self) -> Option<Cause> {
        self.obstacle
    }

    /// Whether a prefetch knew what cargo planned.
    pub(crate) fn was_asked(&self) -> bool {
        self.asked
    }

    /// What was found for a unit and not believed.
    pub(crate) fn refused(&self, unit: &UnitEvent) -> Option<&'a RefusedUnit> {
        unit.unit_key.and_then(|key| self.refused.get(&key).copied())
    }
}

/// Why what the public store has of a unit is not here.
pub(crate) fn refusal(refused: &RefusedUnit) -> String {
    match refused.cause {
        Some(Cause::Unreachable) => format!("it was not fetched: {}", refused.reason),
        _ => format!("what the public store has was not believed: {}", refused.reason),
    }
}

/// The wrapper's word for a unit that it did not find.
const ABSENT: &str = "not in the local store";

/// Why a published unit was not fetched.
pub(crate) const LEFT_ALONE: &str = "it compiles faster here than it would have come";

/// Package and version of a unit, when known.
pub(crate) fn package(unit: &UnitEvent) -> Option<String> {
    let name = unit.package.as_ref()?;
    Some(match &unit.package_version {
        Some(version) => format!("{name}@{version}"),
        None => name.clone(),
    })
}

/// The compilations among the events.
pub(crate) fn units(events: &[BuildEvent]) -> impl Iterator<Item = &UnitEvent> {
    events.iter().filter_map(|event| match event {
        BuildEvent::Unit(unit) => Some(unit),
        BuildEvent::Prefetch(_) => None,
    })
}

/// The prefetches among the events.
pub(crate) fn prefetches(events: &[BuildEvent]) -> impl Iterator<Item = &PrefetchEvent> {
    events.iter().filter_map(|event| match event {
        BuildEvent::Prefetch(prefetch) => Some(prefetch),
        BuildEvent::Unit(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use sealift_policy::digest::Digest;

    use super::*;

    fn unit(reason: Option<&str>) -> UnitEvent {
        UnitEvent {
            crate_name: "syn".into(),
            package: Some("syn".into()),
            package_version: Some("2.0.1".into()),
            kind: None,
            outcome: Outcome::Compiled,
            unit_key: Some(UnitKey::new(Digest::of(b"syn"))),
            reason: reason.map(str::to_owned),
            cause: None,
            about: None,
            waited_ms: 0,
            wrapper_us: 0,
            compile_ms: 0,
            bytes: 0,
            shared_bytes: 0,
        }
    }

    fn reason(prefetch: PrefetchEvent, unit: &UnitEvent) -> String {
        Verdicts::of(&[BuildEvent::Prefetch(prefetch)]).reason(unit)
    }

    #[test]
    fn an_absent_unit_is_explained_by_what_the_prefetch_met() {
        let absent = unit(None);
        let asked = PrefetchEvent {
            planned: 1,
            ..PrefetchEvent::default()
        };
        assert_eq!(Verdicts::default().reason(&absent), "not in the local store");
        assert_eq!(
            reason(asked.clone(), &absent),
            "not in the local store; not published for what cargo planned"
        );
        let problems = vec!["`http://x/v1/lookup` answers 503".to_owned()];
        let problem = PrefetchEvent {
            problems,
            obstacle: Some(Cause::Unreachable),
            ..asked.clone()
        };
        assert_eq!(
            reason(problem.clone(), &absent),
            "not in the local store; not fetched: `http://x/v1/lookup` answers 503"
        );
        let of_another_unit = PrefetchEvent {
            obstacle: None,
            ..problem
        };
        assert_eq!(
            reason(of_another_unit, &absent),
            "not in the local store; not published for what cargo planned"
        );
        let unit_key = UnitKey::new(Digest::of(b"syn"));
        let refused = vec![RefusedUnit {
            unit_key,
            reason: "forged".into(),
            cause: None,
            alarming: true,
        }];
        assert_eq!(
            reason(PrefetchEvent { refused, ..asked }, &absent),
            "not in the local store; what the public store has was not believed: forged"
        );
    }

    #[test]
    fn a_unit_that_is_there_but_of_no_use_keeps_the_wrapper_s_reason() {
        let asked = PrefetchEvent {
            planned: 1,
            ..PrefetchEvent::default()
        };
        let unit = unit(Some("it was compiled with another value of `FOO`"));
        assert_eq!(reason(asked, &unit), "it was compiled with another value of `FOO`");
    }
}
