//! `cargo sealift stats`: the last build in numbers, and all builds together.
//!
//! Owns which build is the last and how numbers look. Must not know what counts as what.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

use super::context::Context;
use super::{Exit, StatsArgs};
use crate::events::{self, Build};
use crate::report::shell::{self, bytes, count};
use crate::report::tally::{Tally, Units};
use crate::size::Size;

/// All builds whose events are still kept, together.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Totals {
    builds: u64,
    units: Units,
    bytes_fetched: u64,
    bytes_installed: u64,
    bytes_shared: u64,
    /// What compiling the reused units took where it was measured.
    saved_ms: u64,
}

/// Prints the numbers.
pub(super) fn run(context: &Context, args: StatsArgs) -> anyhow::Result<Exit> {
    let root = context.store()?;
    let build = last_build(root)?;
    let totals = totals(root)?;
    let tally = Tally::of(build.as_ref().map_or(&[], |build| &build.events));
    let warning = limit_warning(tally.bytes_installed, context.config.max_store_size);
    if args.format.json {
        let mut report = serde_json::to_value(&tally)?;
        report["build"] = build.map(|build| build.id.to_string()).into();
        report["totals"] = serde_json::to_value(&totals)?;
        report["warnings"] = warning.into_iter().collect::<Vec<_>>().into();
        shell::data(&format!("{}\n", serde_json::to_string_pretty(&report)?))?;
        return Ok(Exit::Success);
    }
    let mut text = match (&build, args.all) {
        (None, _) => "nothing was built with Sealift yet\n".to_owned(),
        (Some(_), true) => totals.text(),
        (Some(_), false) => text(&tally, &totals),
    };
    if let Some(warning) = warning {
        row(&mut text, "warning", warning);
    }
    shell::data(&text)?;
    Ok(Exit::Success)
}

/// A store that cannot hold one build is emptied by every sweep and filled by every build.
pub(super) fn limit_warning(bytes_of_a_build: u64, limit: Size) -> Option<String> {
    (bytes_of_a_build > limit.bytes()).then(|| {
        format!(
            "the last build reused {}, more than the local store may hold ({}): raise `max-store-size`",
            bytes(bytes_of_a_build),
            bytes(limit.bytes())
        )
    })
}

/// The build whose last event is the newest.
pub(super) fn last_build(store: &Path) -> anyhow::Result<Option<Build>> {
    let builds = events::builds(store).context("failed to list the builds")?;
    let Some(last) = builds.last() else { return Ok(None) };
    Ok(Some(
        events::read(store, *last).context("failed to read the last build's events")?,
    ))
}

/// All builds together.
pub(super) fn totals(store: &Path) -> anyhow::Result<Totals> {
    let mut totals = Totals::default();
    for id in events::builds(store)? {
        totals.add(&Tally::of(&events::read(store, id)?.events));
    }
    Ok(totals)
}

impl Totals {
    fn add(&mut self, tally: &Tally) {
        self.builds += 1;
        self.units.add(tally.units);
        self.bytes_fetched += tally.bytes_fetched;
        self.bytes_installed += tally.bytes_installed;
        self.bytes_shared += tally.bytes_shared;
        self.saved_ms += tally.time.saved_ms;
    }

    /// On one line.
    pub(super) fn line(&self) -> String {
        format!(
            "{}: {} of {} reused, {} fetched, {} of compiling saved",
            self.builds,
            self.units.hit,
            count(self.units.handled, "unit"),
            bytes(self.bytes_fetched),
            seconds(self.saved_ms)
        )
    }

    fn text(&self) -> String {
        let mut text = String::new();
        row(&mut text, "builds", self.builds.to_string());
        rows(
            &mut text,
            self.units,
            self.bytes_fetched,
            (self.bytes_installed, self.bytes_shared),
        );
        row(&mut text, "compiling saved", saved(self.saved_ms));
        text
    }
}

fn row(text: &mut String, name: &str, value: String) {
    writeln!(text, "{name:<16}{value}").expect("a string takes everything");
}

fn rows(text: &mut String, units: Units, fetched: u64, (installed, shared): (u64, u64)) {
    row(
        text,
        "units",
        format!("{} handled, {} passed through", units.handled, units.passed_through),
    );
    row(
        text,
        "  hit",
        format!(
            "{} ({} fetched, {} local)",
            units.hit, units.hit_fetched, units.hit_local
        ),
    );
    row(text, "  compiled", units.compiled.to_string());
    row(text, "  rejected", units.rejected.to_string());
    row(text, "fetched", bytes(fetched));
    row(
        text,
        "put in place",
        format!(
            "{}: {} shared with the local store, {} copied",
            bytes(installed),
            bytes(shared),
            bytes(installed.saturating_sub(shared))
        ),
    );
}

/// Not wall time: several units compile side by side, and other machines are faster or slower.
fn saved(milliseconds: u64) -> String {
    format!(
        "{} of one core, as compiling the reused units took where it was measured",
        seconds(milliseconds)
    )
}

fn text(tally: &Tally, totals: &Totals) -> String {
    let time = &tally.time;
    let mut text = String::new();
    rows(
        &mut text,
        tally.units,
        tally.bytes_fetched,
        (tally.bytes_installed, tally.bytes_shared),
    );
    row(
        &mut text,
        "prefetch",
        format!(
            "{} in {}",
            count(tally.prefetch.fetched, "unit"),
            seconds(time.prefetch_ms)
        ),
    );
    row(
        &mut text,
        "verification",
        format!(
            "{} of one core, {} of it hashing",
            milliseconds(time.verification_us),
            milliseconds(time.hashing_us)
        ),
    );
    row(
        &mut text,
        "wrapper",
        format!("{} median for a hit", milliseconds(time.wrapper_hit_median_us)),
    );
    row(&mut text, "compiling saved", saved(time.saved_ms));
    row(&mut text, "all builds", totals.line());
    for problem in &tally.prefetch.problems {
        row(&mut text, "problem", problem.clone());
    }
    for miss in &tally.misses {
        row(
            &mut text,
            "miss",
            format!("{}: {}", miss.package.as_ref().unwrap_or(&miss.crate_name), miss.reason),
        );
    }
    text
}

fn milliseconds(microseconds: u64) -> String {
    format!("{}.{} ms", microseconds / 1000, microseconds / 100 % 10)
}

fn seconds(milliseconds: u64) -> String {
    format!("{}.{} s", milliseconds / 1000, milliseconds / 100 % 10)
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
            hash_us: 4321,
            problems: vec!["nothing arrived for 2.0 s".into()],
            ..PrefetchEvent::default()
        });
        let tally = Tally::of(&[event]);
        let mut totals = Totals::default();
        totals.add(&tally);
        insta::assert_snapshot!(text(&tally, &totals), @r"
        units           0 handled, 0 passed through
          hit           0 (0 fetched, 0 local)
          compiled      0
          rejected      0
        fetched         4.8 KiB
        put in place    0 B: 0 B shared with the local store, 0 B copied
        prefetch        2 units in 1.2 s
        verification    5.6 ms of one core, 4.3 ms of it hashing
        wrapper         0.0 ms median for a hit
        compiling saved 0.0 s of one core, as compiling the reused units took where it was measured
        all builds      1: 0 of 0 units reused, 4.8 KiB fetched, 0.0 s of compiling saved
        problem         nothing arrived for 2.0 s
        ");
        insta::assert_snapshot!(totals.text(), @r"
        builds          1
        units           0 handled, 0 passed through
          hit           0 (0 fetched, 0 local)
          compiled      0
          rejected      0
        fetched         4.8 KiB
        put in place    0 B: 0 B shared with the local store, 0 B copied
        compiling saved 0.0 s of one core, as compiling the reused units took where it was measured
        ");
    }

    // F17
    #[test]
    fn a_size_limit_smaller_than_one_build_is_told() {
        assert_eq!(limit_warning(100, Size::new(100)), None);
        assert!(limit_warning(101, Size::new(100)).is_some_and(|warning| warning.contains("max-store-size")));
    }
}
