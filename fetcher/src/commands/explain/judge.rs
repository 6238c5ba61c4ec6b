//! Why one unit of a build was no hit: the first cause, and the way from it to the unit.
//!
//! Owns the order of evidence: what the wrapper met counts most, then what the prefetch met, then where the unit differs
//! from the closest one that is known; a difference of a dependency is followed to that dependency's own cause.
//! Must not know how explanations are shown.

use std::collections::{BTreeMap, BTreeSet};

use sealift_policy::cause::Cause;
use sealift_policy::digest::UnitKey;
use sealift_policy::local::{BuildEvent, Outcome, UnitEvent};
use serde_json::Value;

use super::difference::{Difference, differences};
use super::known::{Closest, Known};
use super::words;
use crate::report::verdict::{self, Verdicts, units};

/// Longest way from a unit to its first cause that is followed.
const MAX_STEPS: usize = 64;

/// Why a unit was no hit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Why {
    pub(super) cause: Cause,
    /// What the cause is about.
    pub(super) about: Option<String>,
    /// One sentence, as a fragment.
    pub(super) reason: String,
    pub(super) differs: Vec<Difference>,
    /// The known unit of which [`Self::differs`] speaks.
    pub(super) closest: Option<UnitKey>,
    /// The dependencies that led to it, that with the first cause first.
    pub(super) because: Vec<Step>,
}

/// A dependency on the way from the first cause to a unit.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(super) struct Step {
    #[serde(rename = "crate")]
    pub(super) crate_name: String,
    pub(super) package: Option<String>,
    pub(super) cause: Cause,
    pub(super) reason: String,
    /// Whether it was compiled in this build.
    #[serde(skip)]
    pub(super) compiled: bool,
}

/// Everything there is to judge by.
pub(super) struct Judge<'a> {
    known: Known<'a>,
    verdicts: Verdicts<'a>,
    by_key: BTreeMap<UnitKey, &'a UnitEvent>,
    by_crate: BTreeMap<&'a str, &'a UnitEvent>,
}

impl Why {
    fn new(cause: Cause, about: Option<String>, reason: String) -> Self {
        Self {
            cause,
            about,
            reason,
            differs: vec![],
            closest: None,
            because: vec![],
        }
    }

    /// The cause at the end of the way.
    pub(super) fn first_cause(&self) -> (Cause, Option<&str>) {
        match self.because.first() {
            Some(first) => (first.cause, None),
            None => (self.cause, self.about.as_deref()),
        }
    }
}

impl<'a> Judge<'a> {
    /// Of a build's events.
    pub(super) fn new(store: &'a crate::store::Store, events: &'a [BuildEvent]) -> Self {
        let built: BTreeSet<UnitKey> = units(events).filter_map(|unit| unit.unit_key).collect();
        Self {
            known: Known::of(store, built),
            verdicts: Verdicts::of(events),
            by_key: units(events).filter_map(|unit| Some((unit.unit_key?, unit))).collect(),
            by_crate: units(events)
                .filter(|unit| unit.outcome == Outcome::PassedThrough)
                .map(|unit| (unit.crate_name.as_str(), unit))
                .collect(),
        }
    }

    /// What was done for a unit.
    pub(super) fn outcome(&self, unit: &UnitEvent) -> Outcome {
        self.verdicts.outcome(unit)
    }

    /// What the unit's event says, for one that was a hit.
    pub(super) fn reason(&self, unit: &UnitEvent) -> String {
        self.verdicts.reason(unit)
    }

    /// Why a unit was no hit; `None` for a hit.
    pub(super) fn why(&self, unit: &UnitEvent) -> Option<Why> {
        match self.outcome(unit) {
            Outcome::HitCompiled | Outcome::HitFetched => None,
            Outcome::Compiled | Outcome::Rejected | Outcome::PassedThrough => Some(self.miss(unit, MAX_STEPS)),
        }
    }

    fn miss(&self, unit: &UnitEvent, steps: usize) -> Why {
        let met = unit.cause.unwrap_or(Cause::Absent);
        let recorded = || {
            let reason = words::met(met, unit.about.as_deref()).unwrap_or_else(|| self.verdicts.reason(unit));
            Why::new(met, unit.about.clone(), reason)
        };
        match met {
            Cause::Absent => {}
            // The wrapper waits as long as it does not know what will come. What was never to come is not late.
            Cause::Late if !unit.unit_key.is_some_and(|key| self.known.is_published(key)) => {}
            Cause::UnknownDependency => return self.unknown_dependency(unit, recorded(), steps),
            _ => return recorded(),
        }
        if let Some(refused) = self.verdicts.refused(unit) {
            let cause = refused.cause.unwrap_or(Cause::Untrusted);
            return Why::new(cause, None, verdict::refusal(refused));
        }
        if self.verdicts.was_left_alone(unit) {
            return Why::new(Cause::LeftAlone, None, verdict::LEFT_ALONE.into());
        }
        let document = unit.unit_key.and_then(|key| self.known.document(key));
        let compared = document.as_ref().and_then(|document| self.compare(document, steps));
        let why = compared.unwrap_or_else(|| self.absent(unit, document.as_ref(), steps));
        self.with_obstacle(why)
    }

    /// A dependency that was not handled makes its dependents unhandled, too.
    fn unknown_dependency(&self, unit: &UnitEvent, recorded: Why, steps: usize) -> Why {
        let Some(name) = unit.about.clone() else {
            return recorded;
        };
        let dependency = self.by_crate.get(name.as_str()).filter(|other| ***other != *unit);
        match (dependency, steps) {
            (Some(dependency), 1..) => self.because_of(dependency, &name, steps - 1),
            _ => Why {
                reason: format!("dependency `{name}` was compiled earlier, without Sealift"),
                ..recorded
            },
        }
    }

    fn because_of(&self, dependency: &UnitEvent, name: &str, steps: usize) -> Why {
        let why = self.miss(dependency, steps);
        let step = Step {
            crate_name: dependency.crate_name.clone(),
            package: verdict::package(dependency),
            cause: why.cause,
            reason: why.reason.clone(),
            compiled: !self.is_hit(dependency),
        };
        let mut because = why.because;
        because.push(step);
        let cause = if dependency.outcome == Outcome::PassedThrough {
            Cause::UnknownDependency
        } else {
            Cause::Dependency
        };
        let mut why = Why::new(cause, Some(name.to_owned()), words::because(name, &because));
        why.because = because;
        why
    }

    fn is_hit(&self, unit: &UnitEvent) -> bool {
        matches!(self.outcome(unit), Outcome::HitCompiled | Outcome::HitFetched)
    }

    /// By the closest known unit: in what is the unit's own, else in a dependency.
    fn compare(&self, here: &Value, steps: usize) -> Option<Why> {
        self.compare_with(self.known.closest(here)?, here, steps)
    }

    fn compare_with(&self, closest: Closest, here: &Value, steps: usize) -> Option<Why> {
        let first = closest.differs.first()?;
        let mut why = if first.cause == Cause::Dependency {
            self.other_dependency(here, &closest.differs, steps)
        } else {
            Why::new(
                first.cause,
                Some(words::about(first)),
                words::differences(&closest.differs),
            )
        };
        why.differs = closest.differs;
        why.closest = Some(closest.unit_key);
        Some(why)
    }

    /// Only dependencies differ: the first of them with a cause of its own.
    fn other_dependency(&self, here: &Value, differs: &[Difference], steps: usize) -> Why {
        let externs = differs
            .iter()
            .filter_map(|found| Some((found.field.strip_prefix("externs.")?, found)));
        let mut found: Vec<Why> = vec![];
        for (name, difference) in externs {
            if let (Some(key), 1..) = (self.known.unit_of(&difference.here), steps) {
                found.push(self.dependency(name, key, &difference.known, steps - 1));
            } else if difference.here.is_null() {
                found.push(Why::new(
                    Cause::Dependency,
                    Some(name.to_owned()),
                    format!("it has no dependency `{name}` here"),
                ));
            }
        }
        if found.is_empty()
            && let Some(why) = self.missed_dependency(here, steps)
        {
            found.push(why);
        }
        // Others may differ because of the first one.
        found.sort_by_key(|why| why.because.len());
        found.into_iter().next().unwrap_or_else(|| {
            let reason = "the code of a dependency differs from what the closest known unit was compiled against";
            Why::new(Cause::Dependency, None, reason.into())
        })
    }

    /// Why a dependency is another one than the known unit was compiled against.
    fn dependency(&self, name: &str, key: UnitKey, known: &Value, steps: usize) -> Why {
        let event = self.by_key.get(&key).copied();
        if let Some(event) = event
            && !self.is_hit(event)
        {
            if event
                .cause
                .is_none_or(|cause| matches!(cause, Cause::Absent | Cause::Late))
                && self.known.unit_of(known) == Some(key)
            {
                let reason = format!("dependency `{name}` was compiled here from equal inputs, and has other bytes");
                return Why::new(Cause::Irreproducible, Some(name.to_owned()), reason);
            }
            return self.because_of(event, name, steps);
        }
        // It was a hit, or was there already; it is another unit all the same.
        let document = self.known.document(key);
        let package = document.as_ref().and_then(words::package);
        let then = self.known.unit_of(known);
        let then = then.and_then(|key| Some((key, self.known.document(key)?)));
        let package_then = then.as_ref().and_then(|(_, then)| words::package(then));
        let compared = match (&document, then) {
            (Some(_), Some(_)) if package != package_then => None,
            (Some(here), Some((unit_key, then))) => {
                let differs = differences(&then, here);
                self.compare_with(Closest { unit_key, differs }, here, steps)
            }
            (Some(here), None) => self.compare(here, steps),
            (None, _) => None,
        };
        let reason = match (&compared, &package, &package_then) {
            (Some(why), ..) => why.reason.clone(),
            (None, Some(package), Some(then)) => format!("it is `{package}` here, and was `{then}`"),
            (None, Some(package), None) => format!("it is `{package}` here"),
            (None, None, _) => "it has another content".into(),
        };
        let (mut because, cause) = match compared {
            Some(why) => (why.because, why.cause),
            None => (vec![], Cause::Dependency),
        };
        because.push(Step {
            crate_name: name.to_owned(),
            package,
            cause,
            reason,
            compiled: false,
        });
        let mut why = Why::new(Cause::Dependency, Some(name.to_owned()), words::because(name, &because));
        why.because = because;
        why
    }

    /// A dependency that was compiled here for a reason of its own.
    fn missed_dependency(&self, here: &Value, steps: usize) -> Option<Why> {
        let steps = steps.checked_sub(1)?;
        let missed = |(name, key): (String, UnitKey)| {
            let event = self.by_key.get(&key).filter(|event| !self.is_hit(event))?;
            Some(self.because_of(event, &name, steps))
        };
        let missed = self.known.dependencies(here).into_iter().filter_map(missed);
        // That nobody has published a dependency says nothing more than that nobody has published the unit.
        missed
            .filter(|why| !says_nothing(why.first_cause().0))
            .min_by_key(|why| why.because.len())
    }

    /// Nothing like it is known here.
    fn absent(&self, unit: &UnitEvent, document: Option<&Value>, steps: usize) -> Why {
        if let Some(why) = document.and_then(|here| self.missed_dependency(here, steps)) {
            return why;
        }
        if let Some(obstacle) = self.verdicts.obstacle() {
            let problem = self.verdicts.problem().unwrap_or("the public store could not be asked");
            return Why::new(obstacle, None, format!("it was not fetched: {problem}"));
        }
        if self.verdicts.was_asked() {
            let others = self.known.other_versions(unit);
            let reason = words::not_published(unit, document, &others);
            return Why::new(Cause::NotPublished, None, reason);
        }
        let reason = "it is compiled for the first time here, and no public store was asked";
        Why::new(Cause::FirstTime, None, reason.into())
    }

    /// What is compared with this machine's units might have been published, had the public store been reached.
    fn with_obstacle(&self, mut why: Why) -> Why {
        let obstacle = self.verdicts.obstacle();
        if let Some(problem) = self.verdicts.problem()
            && obstacle != Some(why.cause)
            && obstacle != Some(Cause::NoService)
            && why.because.is_empty()
        {
            why.reason
                .push_str(&format!("; the public store was of no help: {problem}"));
        }
        why
    }
}

fn says_nothing(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::NotPublished | Cause::FirstTime | Cause::NoService | Cause::Offline | Cause::Unreachable
    )
}
