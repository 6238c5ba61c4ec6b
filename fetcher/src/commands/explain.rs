//! `cargo sealift explain [CRATE]`: why each unit of the last build was reused or compiled.
//!
//! Owns which build and which units are explained, and how explanations are shown. Must not know how a cause is found.

mod difference;
mod judge;
mod known;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use sealift_policy::cause::Cause;
use sealift_policy::digest::UnitKey;
use sealift_policy::local::{BuildEvent, Outcome, UnitEvent};
use serde::Serialize;

use super::context::Context;
use super::{Exit, ExplainArgs};
use crate::events;
use crate::report::shell;
use crate::report::verdict;
use crate::store::Store;
use difference::Difference;
use judge::{Judge, Step};

/// What is said about one unit.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Explanation {
    #[serde(rename = "crate")]
    crate_name: String,
    package: Option<String>,
    outcome: Outcome,
    reason: String,
    /// Of a unit that was no hit, in a word.
    cause: Option<Cause>,
    /// What the cause is about: a flag, a variable, a dependency, a path.
    about: Option<String>,
    /// Where it differs from the closest unit that is known.
    differs: Vec<Difference>,
    /// What can be done about it.
    hint: Option<String>,
    /// The dependencies that led to it, that with the first cause first.
    because: Vec<Step>,
    unit_key: Option<UnitKey>,
    /// The unit of which `differs` speaks.
    closest: Option<UnitKey>,
}

/// Explains the last build.
pub(super) fn run(context: &Context, args: &ExplainArgs) -> anyhow::Result<Exit> {
    let root = context.store()?;
    let store = Store::open(root)?;
    let events = last_build_with_units(root)?;
    let judge = Judge::new(&store, &events);
    let asked = |unit: &&UnitEvent| {
        args.name
            .as_ref()
            .is_none_or(|name| unit.package.as_ref() == Some(name) || unit.crate_name == name.replace('-', "_"))
    };
    let units = verdict::units(&events).filter(asked);
    let explanations: Vec<_> = units.map(|unit| explain(&judge, unit)).collect();
    if args.format.json {
        let report = serde_json::json!({"version": 1, "units": explanations});
        shell::data(&format!("{}\n", serde_json::to_string_pretty(&report)?))?;
    } else if explanations.is_empty() {
        let what = args
            .name
            .as_ref()
            .map_or("unit".to_owned(), |name| format!("unit of `{name}`"));
        shell::data(&format!("the last build compiled no {what}\n"))?;
    } else {
        let mut hinted = BTreeSet::new();
        let all: String = explanations.iter().map(|unit| text(unit, &mut hinted)).collect();
        shell::data(&(all + &summary(&explanations)))?;
    }
    Ok(Exit::Success)
}

/// The events of the newest build that compiled or reused anything: a build in which all was fresh explains nothing.
fn last_build_with_units(root: &Path) -> anyhow::Result<Vec<BuildEvent>> {
    for id in events::builds(root)?.into_iter().rev() {
        let build = events::read(root, id)?;
        if verdict::units(&build.events).next().is_some() {
            return Ok(build.events);
        }
    }
    Ok(Vec::new())
}

fn explain(judge: &Judge<'_>, unit: &UnitEvent) -> Explanation {
    let why = judge.why(unit);
    let hint = why.as_ref().and_then(|why| {
        let (cause, about) = why.first_cause();
        words::hint(cause, about)
    });
    let reason = why
        .as_ref()
        .map_or_else(|| judge.reason(unit), |why| why.reason.clone());
    let mut explanation = Explanation {
        crate_name: unit.crate_name.clone(),
        package: verdict::package(unit),
        outcome: judge.outcome(unit),
        reason,
        cause: None,
        about: None,
        differs: vec![],
        hint,
        because: vec![],
        unit_key: unit.unit_key,
        closest: None,
    };
    if let Some(why) = why {
        explanation.cause = Some(why.cause);
        explanation.about = why.about;
        explanation.differs = why.differs;
        explanation.because = why.because;
        explanation.closest = why.closest;
    }
    explanation
}

/// A hint is given once: what many units have in common is mended once.
fn text<'a>(explanation: &'a Explanation, hinted: &mut BTreeSet<&'a str>) -> String {
    let name = explanation.package.as_ref().unwrap_or(&explanation.crate_name);
    let mut text = format!(
        "{:<15}{name} ({}): {}\n",
        outcome(explanation.outcome),
        explanation.crate_name,
        explanation.reason
    );
    let mut line = |what: String| writeln!(text, "{:15}{what}", "").expect("a string takes everything");
    if let Some(closest) = explanation.closest.filter(|_| !explanation.differs.is_empty()) {
        let fields: Vec<_> = explanation.differs.iter().map(|found| found.field.as_str()).collect();
        line(format!(
            "differs from the known unit {} in: {}",
            closest.short(),
            fields.join(", ")
        ));
    }
    if let Some(hint) = &explanation.hint
        && hinted.insert(hint)
    {
        line(format!("hint: {hint}"));
    }
    text
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::HitCompiled | Outcome::HitFetched => "hit",
        Outcome::Compiled => "compiled",
        Outcome::Rejected => "rejected",
        Outcome::PassedThrough => "passed through",
    }
}

/// How many units had which cause.
fn summary(explanations: &[Explanation]) -> String {
    let mut causes: BTreeMap<Cause, usize> = BTreeMap::new();
    for cause in explanations.iter().filter_map(|explanation| explanation.cause) {
        *causes.entry(cause).or_default() += 1;
    }
    let hits = explanations
        .iter()
        .filter(|explanation| explanation.cause.is_none())
        .count();
    let mut text = format!("\n{hits} of {} reused", shell::count(explanations.len() as u64, "unit"));
    for (position, (cause, number)) in causes.into_iter().enumerate() {
        let cause = serde_json::to_value(cause).unwrap_or_default();
        let separator = if position == 0 { "; not: " } else { ", " };
        text.push_str(&format!("{separator}{number} {}", cause.as_str().unwrap_or_default()));
    }
    text + "\n"
}

#[cfg(test)]
mod tests;
