//! `./x bench`: how long a build takes with plain cargo, through Sealift, and at the limit.
//!
//! Owns the phases and the order of the runs. The limit is what remains when all dependencies are fresh: the project's own
//! crates. Must not judge; it prints medians and keeps every number in a JSON file.

pub mod wrapper;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::child::run;
use crate::env::{clean_command, temporary_folder};
use crate::programs::Programs;
use crate::progress::Progress;
use crate::sources::Downloads;
use crate::table::{Table, megabytes, percent, seconds};
use crate::user::{Build, Built, Through, User};
use crate::workload::{Profile, Workload};
use crate::world::{Access, Source, World};

/// What to measure.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Which program.
    pub workload: Workload,
    /// In which profile.
    pub profile: Profile,
    /// How often.
    pub runs: usize,
}

/// Who builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Subject {
    Plain,
    Sealift,
    /// Sealift with a service to which nobody has published anything.
    SealiftEmpty,
}

const SUBJECTS: [Subject; 3] = [Subject::Plain, Subject::Sealift, Subject::SealiftEmpty];

/// When: on a machine that has nothing, in a second folder of a machine that has built it once, and once more without a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Phase {
    First,
    SecondCheckout,
    NoOp,
    /// The project's own crates, all dependencies fresh.
    Limit,
}

/// One build.
#[derive(Debug, Serialize)]
struct Sample {
    run: usize,
    subject: Subject,
    phase: Phase,
    wall_ms: u64,
    hit: usize,
    compiled: usize,
    passed_through: usize,
    bytes_fetched: u64,
    verify_us: u64,
    median_hit_us: Option<u64>,
}

/// Everything that was measured. Version 1.
#[derive(Debug, Serialize)]
struct Report {
    version: u32,
    workload: String,
    profile: String,
    runs: usize,
    processors: usize,
    rustc: String,
    samples: Vec<Sample>,
}

struct Bench<'a> {
    plan: &'a Plan,
    programs: &'a Programs,
    downloads: Downloads,
    folder: PathBuf,
    published: Access,
    empty: Access,
    progress: Progress,
}

/// Measures, prints a table, and writes the numbers beside the programs.
///
/// # Errors
/// If a build fails.
pub fn run_plan(plan: &Plan, programs: &Programs) -> Result<()> {
    let folder = tempfile::Builder::new()
        .prefix("bench-")
        .tempdir_in(temporary_folder())?;
    let progress = Progress::of(3 + plan.runs as u64 * 10);
    let downloads = Downloads::of(programs)?;

    let step = progress.step(format!("fetch {}", plan.workload));
    downloads.checkout(plan.workload, &folder.path().join("sources"))?;
    step.done("");
    let step = progress.step("start two services and two operators");
    let world = World::start(&folder.path().join("world"), programs, 2)?;
    let empty = World::start(&folder.path().join("empty-world"), programs, 2)?;
    step.done("");
    let step = progress.step("the operators publish");
    world.publish(&Source::Crate(plan.workload), &[plan.profile], |name, line| {
        step.detail(&format!("{name}: {line}"))
    })?;
    step.done("");

    let bench = Bench {
        plan,
        programs,
        downloads,
        folder: folder.path().to_owned(),
        published: world.access(),
        empty: empty.access(),
        progress,
    };
    let mut samples = Vec::new();
    for number in 0..plan.runs {
        // Each run begins with another subject, so that a machine that grows warmer or slower favours none.
        for turn in 0..SUBJECTS.len() {
            samples.extend(bench.measure(number, SUBJECTS[(number + turn) % SUBJECTS.len()])?);
        }
    }
    bench.progress.say(&table(&samples));
    let report = Report {
        version: 1,
        workload: plan.workload.to_string(),
        profile: plan.profile.to_string(),
        runs: plan.runs,
        processors: std::thread::available_parallelism().map_or(0, Into::into),
        rustc: run(clean_command("rustc").arg("-vV"))?.successful()?.stdout,
        samples,
    };
    let path = programs
        .target()
        .join("sealift-bench")
        .join(format!("{}-{}.json", plan.workload.name, plan.profile));
    fs_err::create_dir_all(path.parent().context("a folder")?)?;
    fs_err::write(&path, serde_json::to_string_pretty(&report)?)?;
    bench.progress.say(&format!("  every number: {}", path.display()));
    Ok(())
}

impl Bench<'_> {
    /// All phases of one subject, on a new machine.
    fn measure(&self, number: usize, subject: Subject) -> Result<Vec<Sample>> {
        let machine = tempfile::Builder::new().prefix("machine-").tempdir_in(&self.folder)?;
        let checkout = |name: &str| -> Result<(PathBuf, PathBuf)> {
            let project = machine.path().join(name).join("project");
            self.downloads.checkout(self.plan.workload, &project)?;
            Ok((project, machine.path().join(name).join("target")))
        };
        let (project, target) = checkout("first")?;
        let (second, second_target) = checkout("the-second")?;
        let user = User::new(machine.path(), self.programs, &self.downloads, &project)?;
        let sample = |phase, project: &Path, target: &Path| -> Result<Sample> {
            let step = self
                .progress
                .step(format!("run {}: {subject:?}, {phase:?}", number + 1));
            let built = user.build(&self.build(subject, project, target))?;
            step.done("");
            Ok(Sample::of(number, subject, phase, &built))
        };
        let mut samples = vec![
            sample(Phase::First, &project, &target)?,
            sample(Phase::NoOp, &project, &target)?,
        ];
        if subject == Subject::Plain {
            self.forget_own_crates(&user, &project, &target)?;
            samples.push(sample(Phase::Limit, &project, &target)?);
        }
        if subject != Subject::SealiftEmpty {
            samples.push(sample(Phase::SecondCheckout, &second, &second_target)?);
        }
        Ok(samples)
    }

    fn build(&self, subject: Subject, project: &Path, target: &Path) -> Build {
        let build = |through| Build::new(project, target, through, self.plan.profile.cargo_args().iter().copied());
        match subject {
            Subject::Plain => build(Through::Plain),
            Subject::Sealift => build(Through::Sealift).from_world(&self.published),
            Subject::SealiftEmpty => build(Through::Sealift).from_world(&self.empty),
        }
    }

    /// Removes what was built from the project's own packages, so that the next build makes only them.
    fn forget_own_crates(&self, user: &User, project: &Path, target: &Path) -> Result<()> {
        let build = Build::new(
            project,
            target,
            Through::Plain,
            ["clean", "--offline", "-p", self.plan.workload.name],
        );
        let release = if self.plan.profile == Profile::Release {
            build.arg("--release")
        } else {
            build
        };
        let cleaned = user.build(&release)?;
        ensure!(
            !cleaned.cargo.stderr.contains("Removed 0 files"),
            "nothing was removed:\n{}",
            cleaned.cargo.stderr
        );
        Ok(())
    }
}

impl Sample {
    fn of(run: usize, subject: Subject, phase: Phase, built: &Built) -> Self {
        Self {
            run,
            subject,
            phase,
            wall_ms: u64::try_from(built.wall().as_millis()).unwrap_or(u64::MAX),
            hit: built.units.hits(),
            compiled: built.units.compiled(),
            passed_through: built.units.passed_through(),
            bytes_fetched: built.units.bytes_fetched(),
            verify_us: built.units.verify_us(),
            median_hit_us: built.units.median_hit_us(),
        }
    }
}

fn table(samples: &[Sample]) -> String {
    let mut table = Table::new(&[
        "phase",
        "plain",
        "Sealift",
        "of plain",
        "limit",
        "nothing published",
        "of plain",
        "fetched",
        "per hit",
    ]);
    let wall = |subject, phase| {
        median(
            samples
                .iter()
                .filter(|one| one.subject == subject && one.phase == phase)
                .map(|one| one.wall_ms),
        )
    };
    let limit = wall(Subject::Plain, Phase::Limit);
    for (phase, name) in [
        (Phase::First, "first"),
        (Phase::SecondCheckout, "second checkout"),
        (Phase::NoOp, "no-op"),
    ] {
        let (plain, sealift, empty) = (
            wall(Subject::Plain, phase),
            wall(Subject::Sealift, phase),
            wall(Subject::SealiftEmpty, phase),
        );
        let of_sealift = || {
            samples
                .iter()
                .filter(|one| one.subject == Subject::Sealift && one.phase == phase)
        };
        let fetched = median(of_sealift().map(|one| one.bytes_fetched)).filter(|&bytes| bytes > 0);
        let hit = median(of_sealift().filter_map(|one| one.median_hit_us));
        table.row([
            name.to_owned(),
            shown(plain),
            shown(sealift),
            ratio(sealift, plain),
            if phase == Phase::NoOp { "-".into() } else { shown(limit) },
            shown(empty),
            ratio(empty, plain),
            fetched.map_or_else(|| "-".into(), megabytes),
            hit.map_or_else(|| "-".into(), |us| format!("{}.{} ms", us / 1000, us % 1000 / 100)),
        ]);
    }
    format!(
        "\n{table}\n  medians of {} runs; limit: the project's own crates, all dependencies fresh\n",
        samples.iter().map(|one| one.run + 1).max().unwrap_or(0)
    )
}

fn shown(milliseconds: Option<u64>) -> String {
    milliseconds.map_or_else(|| "-".into(), |ms| seconds(Duration::from_millis(ms)))
}

fn ratio(part: Option<u64>, whole: Option<u64>) -> String {
    match (part, whole) {
        (Some(part), Some(whole)) => percent(Duration::from_millis(part), Duration::from_millis(whole)),
        _ => "-".into(),
    }
}

fn median(values: impl Iterator<Item = u64>) -> Option<u64> {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one() {
        assert_eq!(median([9, 1, 5].into_iter()), Some(5));
        assert_eq!(median(std::iter::empty()), None);
    }
}
