//! The second half of the demo: things go wrong, and the build does not.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use sealift_policy::local::{CallKind, Outcome};
use sealift_policy::manifest::Role;

use super::{Compared, Newcomer, Stage, against_plain, program_of};
use crate::fault;
use crate::liar::Liar;
use crate::sources::own_project;
use crate::user::{Build, Built, Through, User};
use crate::workload::Profile;
use crate::world::{Quorum, Source, World};

/// What an absent service may cost a build, on top of what plain cargo takes.
const OUTAGE_BUDGET: Duration = Duration::from_secs(10);

/// Breaks one thing after the other.
///
/// # Errors
/// If a promise is not kept.
pub(super) fn keep(
    stage: &Stage,
    newcomer: &Newcomer,
    world: &mut World,
    compared: &[Compared],
    reference: &[(Profile, Vec<u8>)],
) -> Result<()> {
    let plain = compared
        .iter()
        .find(|one| one.profile == Profile::Dev)
        .map(|one| &one.plain)
        .context("no dev build")?;
    let right = program_of(reference, Profile::Dev)?;
    stage.progress.say("Promises:");
    no_op(stage, newcomer, world)?;
    tampered(stage, newcomer, world, plain, right)?;
    outage(stage, newcomer, world, plain, right)?;
    liar(stage)
}

fn no_op(stage: &Stage, newcomer: &Newcomer, world: &World) -> Result<()> {
    let step = stage.progress.step("an identical second build");
    let user = newcomer.user.with_store(stage.folder.join("store-dev"));
    let build =
        Build::new(&newcomer.project, &newcomer.target, Through::Sealift, ["build", "-v"]).from_world(&world.access());
    let again = user.build(&build)?;
    ensure!(
        again.units.units.is_empty() && !again.cargo.stderr.contains("Compiling"),
        "cargo had something to do:\n{}",
        again.cargo.stderr
    );
    let fresh = again
        .cargo
        .stderr
        .lines()
        .filter(|line| line.trim_start().starts_with("Fresh"))
        .count();
    step.done(&format!("cargo finds {fresh} packages fresh and does nothing"));
    Ok(())
}

fn tampered(stage: &Stage, newcomer: &Newcomer, world: &World, plain: &Built, right: &[u8]) -> Result<()> {
    let step = stage.progress.step("one bit flipped in every published blob");
    let blobs = fault::published_blobs(&world.service_data())?;
    fault::flip_a_bit_in_each(&blobs)?;
    let (_, built) = newcomer.build_anew(stage, "store-tampered", world)?;
    fault::flip_a_bit_in_each(&blobs)?;
    ensure!(
        built.units.hits() == 0,
        "{} units came out of tampered blobs",
        built.units.hits()
    );
    ensure!(
        !built.loud_lines().is_empty(),
        "nobody said a word:\n{}",
        built.cargo.stderr
    );
    ensure!(built.units.rejected_on_arrival() > 0, "nothing was counted as rejected");
    same_program(stage, newcomer, right)?;
    step.done(&format!(
        "{} blobs; all compiled here, right program; {}",
        blobs.len(),
        against_plain(&built, plain)
    ));
    for line in built.loud_lines().iter().take(2) {
        stage.progress.say(&format!("      > {line}"));
    }
    Ok(())
}

fn outage(stage: &Stage, newcomer: &Newcomer, world: &mut World, plain: &Built, right: &[u8]) -> Result<()> {
    let step = stage.progress.step("the service stopped");
    world.kill_service();
    let (_, built) = newcomer.build_anew(stage, "store-outage", world)?;
    world.start_service()?;
    ensure!(built.units.hits() == 0, "units came from nowhere");
    ensure!(
        built.wall() < plain.wall() + OUTAGE_BUDGET,
        "the build took {}",
        against_plain(&built, plain)
    );
    same_program(stage, newcomer, right)?;
    step.done(&format!("all compiled here; {}", against_plain(&built, plain)));
    Ok(())
}

fn same_program(stage: &Stage, newcomer: &Newcomer, right: &[u8]) -> Result<()> {
    let program = fs_err::read(newcomer.program(&newcomer.target, Profile::Dev, stage.workload))?;
    ensure!(program == right, "the program is another one than it should be");
    Ok(())
}

/// A world of its own: an honest operator, and one that states other bytes for a proc macro.
fn liar(stage: &Stage) -> Result<()> {
    let step = stage.progress.step("one of two operators lies about a proc macro");
    let folder = stage.folder.join("liar");
    let project = folder.join("project");
    own_project("greeter", &project)?;
    stage.downloads.fetch(&project)?;
    let liar = Liar::new("mallory")?;
    let quorum = Quorum {
        host_code: 2,
        library: 1,
    };
    let world = World::start_with(&folder.join("world"), &stage.programs, 1, quorum, vec![liar.operator()])?;
    world.publish(&Source::Project(project.clone()), &[Profile::Dev], |_, line| {
        step.detail(line)
    })?;

    let build = |name: &str| -> Result<Built> {
        let user = User::new(&folder.join(name), &stage.programs, &stage.downloads, &project)?;
        let target = folder.join(name).join("target");
        user.build(&Build::new(&project, &target, Through::Sealift, ["run"]).from_world(&world.access()))
    };
    let before = build("before")?;
    let macros = |built: &Built| {
        let found = built
            .units
            .units
            .iter()
            .find(|unit| unit.kind == Some(CallKind::ProcMacro));
        found.cloned().context("no proc macro was compiled")
    };
    let key = macros(&before)?.unit_key.context("a proc macro without a key")?;
    #[expect(clippy::disallowed_methods, reason = "the liar's clock; a program's edge")]
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    liar.lie_about(&world.access().url, key, Role::ProcMacro, now)?;
    let after = build("after")?;
    let outcome = macros(&after)?.outcome;
    ensure!(
        matches!(outcome, Outcome::Compiled | Outcome::Rejected),
        "the lie was believed: {outcome:?}"
    );
    ensure!(
        after.cargo.stdout == before.cargo.stdout,
        "the program says something else"
    );
    ensure!(after.units.hits() > 0, "the honest operator's libraries were not used");
    step.done(&format!(
        "no quorum: compiled here; {} honest libraries hit",
        after.units.hits()
    ));
    if let Some(reason) = macros(&after)?.reason {
        stage.progress.say(&format!("      > {reason}"));
    }
    Ok(())
}
