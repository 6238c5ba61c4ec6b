//! `cargo sealift stats`: the last build in numbers.
//!
//! Owns which build is the last and how numbers look. Must not know what counts as what.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

use super::context::Context;
use super::{Exit, Format};
use crate::events::{self, Build};
use crate::report::shell::{self, bytes, count};
use crate::report::tally::{Tally, Units};

/// All builds whose events are still kept, together.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Totals {
    builds: u64,
    units: Units,
    bytes_fetched: u64,
    saved_ms: u64,
}

/// Prints the last build's numbers.
pub(super) fn run(context: &Context, format: Format) -> anyhow::Result<Exit> {
    let root = context.store()?;
    let build = last_build(root)?;
    let totals = totals(root)?;
    let tally = Tally::of(build.as_ref().map_or(&[], |build| &build.events));
    if format.json {
        let mut report = serde_json::to_value(&tally)?;
        report["build"] = build.map(|build| build.id.to_string()).into();
        report["totals"] = serde_json::to_value(&totals)?;
        shell::data(&format!("{}\n", serde_json::to_string_pretty(&report)?))?;
    } else {
        shell::data(&text(build.as_ref(), &tally, &totals))?;
    }
    Ok(Exit::Success)
}

/// The build whose last event is the newest.
pub(super) fn last_build(store: &Path) -> anyhow::Result<Option<Build>> {
    let builds = events::builds(store).context("failed to list the builds")?;
    let Some(last) = builds.last() else { return Ok(None) };
    Ok(Some(
        events::read(store, *last).context("failed to read the last build's events")?,
    ))
}

fn totals(store: &Path) -> anyhow::Result<Totals> {
    let mut totals = Totals::default();
    for id in events::builds(store)? {
        let tally = Tally::of(&events::read(store, id)?.events);
        totals.builds += 1;
        totals.units.add(tally.units);
        totals.bytes_fetched += tally.bytes_fetched;
        totals.saved_ms += tally.time.saved_ms;
    }
    Ok(totals)
}

fn text(build: Option<&Build>, tally: &Tally, totals: &Totals) -> String {
    if build.is_none() {
        return "nothing was built with Sealift yet\n".into();
    }
    let (units, time) = (&tally.units, &tally.time);
    let mut text = String::new();
    let mut row = |name: &str, value: String| writeln!(text, "{name:<16}{value}").expect("a string takes everything");
    row(
        "units",
        format!("{} handled, {} passed through", units.handled, units.passed_through),
    );
    row(
        "  hit",
        format!(
            "{} ({} fetched, {} local)",
            units.hit, units.hit_fetched, units.hit_local
        ),
    );
    row("  compiled", units.compiled.to_string());
    row("  rejected", units.rejected.to_string());
    row("fetched", bytes(tally.bytes_fetched));
    row(
        "prefetch",
        format!(
            "{} in {}",
            count(tally.prefetch.fetched, "unit"),
            milliseconds(time.prefetch_ms)
        ),
    );
    row(
        "verification",
        format!("{}.{} ms", time.verification_us / 1000, time.verification_us / 100 % 10),
    );
    row(
        "wrapper",
        format!(
            "{}.{} ms median for a hit",
            time.wrapper_hit_median_us / 1000,
            time.wrapper_hit_median_us / 100 % 10
        ),
    );
    row(
        "compiling saved",
        format!("{} of one core", milliseconds(time.saved_ms)),
    );
    row(
        "all builds",
        format!(
            "{}: {} of {} reused, {} fetched, {} of compiling saved",
            totals.builds,
            totals.units.hit,
            count(totals.units.handled, "unit"),
            bytes(totals.bytes_fetched),
            milliseconds(totals.saved_ms)
        ),
    );
    for problem in &tally.prefetch.problems {
        row("problem", problem.clone());
    }
    for miss in &tally.misses {
        row(
            "miss",
            format!("{}: {}", miss.package.as_ref().unwrap_or(&miss.crate_name), miss.reason),
        );
    }
    text
}

fn milliseconds(time: u64) -> String {
    format!("{}.{} s", time / 1000, time / 100 % 10)
}

#[cfg(test)]
mod tests {
    use sealift_policy::local::{BuildEvent, PrefetchEvent};

    use super::*;

    #[test]
    fn numbers_are_a_table() {
        let event = BuildEvent::Prefetch(PrefetchEvent {
            planned: 3,
            fetched: 2,
            bytes: 5000,
            wall_ms: 1234,
            verify_us: 5678,
            problems: vec!["nothing arrived for 2.0 s".into()],
            ..PrefetchEvent::default()
        });
        let build = Build {
            id: "1-2".parse().unwrap(),
            written: std::time::SystemTime::UNIX_EPOCH,
            events: vec![event],
        };
        let tally = Tally::of(&build.events);
        let totals = Totals {
            builds: 7,
            bytes_fetched: 5000,
            ..Totals::default()
        };
        insta::assert_snapshot!(text(Some(&build), &tally, &totals), @r"
        units           0 handled, 0 passed through
          hit           0 (0 fetched, 0 local)
          compiled      0
          rejected      0
        fetched         4.8 KiB
        prefetch        2 units in 1.2 s
        verification    5.6 ms
        wrapper         0.0 ms median for a hit
        compiling saved 0.0 s of one core
        all builds      7: 0 of 0 units reused, 4.8 KiB fetched, 0.0 s of compiling saved
        problem         nothing arrived for 2.0 s
        ");
        assert_eq!(
            text(None, &Tally::of(&[]), &Totals::default()),
            "nothing was built with Sealift yet\n"
        );
    }
}
