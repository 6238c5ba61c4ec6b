//! `./x demo`: the main job on loopback, and what becomes of the promises when somebody breaks something.
//!
//! Every claim that it prints is checked first; a promise that is not kept ends the demo with an error.

mod promises;
mod table;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::env::temporary_folder;
use crate::programs::Programs;
use crate::progress::Progress;
use crate::sources::Downloads;
use crate::table::seconds;
use crate::user::{Build, Built, Through, User};
use crate::workload::{Profile, Workload};
use crate::world::{Source, World};

/// The program that the demo builds.
const WORKLOAD: &str = "ripgrep";

/// Steps that the progress bar counts.
const STEPS: u64 = 16;

/// What all parts of the demo need.
struct Stage {
    programs: Programs,
    downloads: Downloads,
    folder: PathBuf,
    workload: Workload,
    /// Dev is among them.
    profiles: Vec<Profile>,
    progress: Progress,
}

/// The new user, and where the user's project is.
struct Newcomer {
    user: User,
    project: PathBuf,
    target: PathBuf,
}

/// One line of the table.
struct Compared {
    profile: Profile,
    plain: Built,
    sealift: Built,
}

/// Runs it for these profiles; dev, on which the promises are shown, must be one of them.
///
/// # Errors
/// If something does not work, or a promise is not kept.
pub fn run(programs: &Programs, profiles: Vec<Profile>) -> Result<()> {
    let folder = tempfile::Builder::new()
        .prefix("demo-")
        .tempdir_in(temporary_folder())?;
    let stage = Stage {
        programs: programs.clone(),
        downloads: Downloads::of(programs)?,
        folder: folder.path().to_owned(),
        workload: Workload::named(WORKLOAD)?,
        profiles,
        progress: Progress::of(STEPS),
    };
    stage.progress.say(&format!(
        "Sealift builds {} for somebody who has nothing but its sources.\nEverything happens on loopback, in `{}`.\n",
        stage.workload,
        folder.path().display()
    ));
    let mut world = stage.publish()?;
    let newcomer = stage.newcomer("newcomer/some/where/else")?;
    let compared = stage.compare(&newcomer, &world)?;
    let reference = stage.check_against_local(&newcomer, &compared)?;
    stage.progress.say(&table::explained(&compared));
    promises::keep(&stage, &newcomer, &mut world, &compared, &reference)?;
    stage.progress.say("\nEvery promise was kept.");
    Ok(())
}

impl Stage {
    /// The world, with the workload published by two operators.
    fn publish(&self) -> Result<World> {
        let step = self.progress.step(format!("fetch the sources of {}", self.workload));
        self.downloads.checkout(self.workload, &self.folder.join("sources"))?;
        step.done("once, by cargo");

        let step = self.progress.step("start a service and two operators");
        let world = World::start(&self.folder.join("world"), &self.programs, 2)?;
        step.done(&world.access().url);

        let step = self
            .progress
            .step("both build its crates.io closure twice, and publish");
        world.publish(&Source::Crate(self.workload), &self.profiles, |name, line| {
            step.detail(&format!("{name}: {line}"))
        })?;
        let profiles: Vec<_> = self.profiles.iter().map(ToString::to_string).collect();
        step.done(&format!("{}; bit for bit alike or not at all", profiles.join(", ")));
        Ok(world)
    }

    /// Somebody with an own home, store and project folder.
    fn newcomer(&self, place: &str) -> Result<Newcomer> {
        let step = self.progress.step("a new user comes along");
        let folder = self.folder.join(place);
        let project = folder.join("project");
        self.downloads.checkout(self.workload, &project)?;
        let user = User::new(&folder, &self.programs, &self.downloads, &project)?;
        step.done("own CARGO_HOME, empty store, other paths");
        Ok(Newcomer {
            user,
            project,
            target: folder.join("target"),
        })
    }

    /// Builds plainly and through Sealift, in each profile.
    fn compare(&self, newcomer: &Newcomer, world: &World) -> Result<Vec<Compared>> {
        let mut compared = Vec::new();
        for &profile in &self.profiles {
            let args = || profile.cargo_args().iter().copied();
            let target = newcomer.target.with_file_name("target-plain");
            let step = self
                .progress
                .step(format!("plain `cargo {}`", profile.cargo_args().join(" ")));
            let plain = newcomer
                .user
                .build(&Build::new(&newcomer.project, &target, Through::Plain, args()))?;
            step.done("");

            let step = self
                .progress
                .step(format!("`cargo sealift {}`", profile.cargo_args().join(" ")));
            // Each profile is the first build of a machine.
            let user = newcomer.user.with_store(self.folder.join(format!("store-{profile}")));
            let build =
                Build::new(&newcomer.project, &newcomer.target, Through::Sealift, args()).from_world(&world.access());
            let sealift = user.build(&build)?;
            step.done(&format!(
                "{} of {} units hit",
                sealift.units.hits(),
                sealift.units.handled()
            ));
            let units = &sealift.units;
            ensure!(
                units.hits() * 100 >= units.handled() * 95,
                "what both had built alike was compiled here: {:#?}",
                units.misses()
            );
            compared.push(Compared {
                profile,
                plain,
                sealift,
            });
        }
        self.behave_alike(newcomer)?;
        Ok(compared)
    }

    /// Runs the plain program and Sealift's on the same input.
    fn behave_alike(&self, newcomer: &Newcomer) -> Result<()> {
        for &profile in self.profiles.iter().filter(|profile| profile.folder().is_some()) {
            let outputs = ["target-plain", "target"].map(|target| {
                let program = newcomer.program(&newcomer.target.with_file_name(target), profile, self.workload);
                let version = crate::child::run(crate::env::clean_command(&program).arg(self.workload.probe))?
                    .successful()?
                    .stdout;
                let mut search = crate::env::clean_command(&program);
                search
                    .args(["--count-matches", "--sort", "path", r"fn \w+\("])
                    .current_dir(&newcomer.project)
                    .arg("crates");
                anyhow::Ok((version, crate::child::run(&mut search)?.successful()?.stdout))
            });
            let [plain, sealift] = outputs;
            let (plain, sealift) = (plain?, sealift?);
            ensure!(
                !plain.1.is_empty() && plain == sealift,
                "the {profile} programs behave differently"
            );
        }
        Ok(())
    }

    /// Builds once more at the same paths, with an empty store and no service: every unit is compiled here, by the same
    /// canonical call. The programs must be equal to the last bit.
    fn check_against_local(&self, newcomer: &Newcomer, compared: &[Compared]) -> Result<Vec<(Profile, Vec<u8>)>> {
        let mut programs = Vec::new();
        let kept = newcomer.target.with_file_name("target-sealift");
        fs_err::rename(&newcomer.target, &kept)?;
        let user = newcomer.user.with_store(self.folder.join("store-local"));
        for Compared { profile, .. } in compared.iter().filter(|one| one.profile.folder().is_some()) {
            let step = self.progress.step(format!(
                "{profile}: the same, all units compiled here by the canonical call"
            ));
            let args = profile.cargo_args().iter().copied();
            let built = user.build(&Build::new(&newcomer.project, &newcomer.target, Through::Wrapper, args))?;
            ensure!(built.units.fetched_hits() == 0, "a unit came from elsewhere");
            let local = fs_err::read(newcomer.program(&newcomer.target, *profile, self.workload))?;
            let fetched = fs_err::read(newcomer.program(&kept, *profile, self.workload))?;
            ensure!(
                local == fetched,
                "the {profile} program differs from one that was compiled here entirely"
            );
            step.done("byte-identical program");
            programs.push((*profile, local));
        }
        fs_err::remove_dir_all(&newcomer.target)?;
        fs_err::rename(&kept, &newcomer.target)?;
        Ok(programs)
    }
}

impl Newcomer {
    fn program(&self, target: &Path, profile: Profile, workload: Workload) -> PathBuf {
        target.join(profile.folder().unwrap_or_default()).join(workload.program)
    }

    /// Builds the dev profile from nothing: new store, new target folder at the same path.
    fn build_anew(&self, stage: &Stage, store: &str, world: &World) -> Result<(User, Built)> {
        if self.target.exists() {
            fs_err::remove_dir_all(&self.target)?;
        }
        let user = self.user.with_store(stage.folder.join(store));
        let build = Build::new(&self.project, &self.target, Through::Sealift, ["build"]).from_world(&world.access());
        let built = user.build(&build)?;
        Ok((user, built))
    }
}

/// The program of this profile in a list.
fn program_of(programs: &[(Profile, Vec<u8>)], wanted: Profile) -> Result<&[u8]> {
    let found = programs.iter().find(|(profile, _)| *profile == wanted);
    Ok(&found.with_context(|| format!("no {wanted} program"))?.1)
}

/// `3.21 s, plain cargo took 18.70 s`.
fn against_plain(built: &Built, plain: &Built) -> String {
    format!("{}; plain cargo took {}", seconds(built.wall()), seconds(plain.wall()))
}
