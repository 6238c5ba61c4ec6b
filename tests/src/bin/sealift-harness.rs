//! The program behind `./x demo`, `./x world`, `./x bench`, `./x corpus` and the gate's check of the deployment files.
//!
//! Owns the command line only.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand, ValueEnum};
use sealift_tests::programs::Programs;
use sealift_tests::workload::{Profile, Workload};
use sealift_tests::{bench, corpus, demo, infra, world};

/// Worlds to try Sealift out in.
#[derive(Parser)]
#[command(name = "./x")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the main job on loopback and shows what is promised
    Demo {
        /// Only these besides dev, on which the promises are shown; may be given several times. All otherwise
        #[arg(long = "profile", value_enum, value_name = "PROFILE")]
        profiles: Vec<ProfileArg>,
    },
    /// Starts a service and operators on loopback, or lets the operators of a running world build and publish
    World {
        /// Where everything is kept
        dir: PathBuf,
        /// How many operators there are
        #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=16))]
        operators: u8,
        #[command(subcommand)]
        command: Option<WorldCommand>,
    },
    /// Measures plain cargo, Sealift and the limit; `wrapper` measures single processes of the wrapper
    Bench {
        /// Package name of the program to build, or `wrapper`
        #[arg(default_value = "ripgrep")]
        workload: String,
        /// What cargo is asked for
        #[arg(long, value_enum, default_value = "dev")]
        profile: ProfileArg,
        /// How often each build is made
        #[arg(long, default_value_t = 3)]
        runs: usize,
    },
    /// Builds real programs with and without the wrapper by cargo's usual commands, and compares
    Corpus {
        /// Package names of the programs, in this order; all of them otherwise
        names: Vec<String>,
        /// build, check, test (`--no-run`), clippy, doc, doc-own (`--no-deps`) or release; may be given several times.
        /// The first five otherwise
        #[arg(long = "command", value_name = "COMMAND")]
        commands: Vec<corpus::Command>,
        /// Builds the release programs, too
        #[arg(long)]
        release: bool,
        /// A local store that is used and kept, such as that of an earlier run
        #[arg(long, value_name = "DIR")]
        store: Option<PathBuf>,
    },
    /// Checks the deployment files
    CheckInfra {
        /// The folder with the deployment files
        dir: PathBuf,
    },
}

#[derive(Subcommand)]
enum WorldCommand {
    /// Lets every operator of the running world build and publish
    Build {
        /// What `sealift-builder build` understands: a SOURCE and `--profile`s
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        source: Vec<OsString>,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum ProfileArg {
    Check,
    Dev,
    Release,
}

impl From<ProfileArg> for Profile {
    fn from(profile: ProfileArg) -> Self {
        match profile {
            ProfileArg::Check => Self::Check,
            ProfileArg::Dev => Self::Dev,
            ProfileArg::Release => Self::Release,
        }
    }
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    let programs = Programs::beside_this_one()?;
    match command {
        Command::Demo { profiles } => {
            let chosen: Vec<Profile> = profiles.into_iter().map(Profile::from).collect();
            let shown = |profile: &Profile| chosen.is_empty() || *profile == Profile::Dev || chosen.contains(profile);
            demo::run(&programs, Profile::ALL.into_iter().filter(shown).collect())
        }
        Command::World {
            dir,
            command: Some(WorldCommand::Build { source }),
            ..
        } => world::publish_in(&dir, &programs, source),
        Command::World {
            dir,
            operators,
            command: None,
        } => run_world(&dir, &programs, operators.into()),
        Command::Bench { workload, .. } if workload == "wrapper" => {
            bench::wrapper::run(Workload::named("ripgrep")?, &programs)
        }
        Command::Bench {
            workload,
            profile,
            runs,
        } => {
            let plan = bench::Plan {
                workload: Workload::named(&workload)?,
                profile: profile.into(),
                runs: runs.max(1),
            };
            bench::run_plan(&plan, &programs)
        }
        Command::Corpus {
            names,
            mut commands,
            release,
            store,
        } => {
            if commands.is_empty() {
                commands = corpus::Command::usual();
            }
            if release {
                commands.push(corpus::Command::release());
            }
            let workloads = if names.is_empty() {
                Workload::all().collect()
            } else {
                names.iter().map(|name| Workload::named(name)).collect::<Result<_>>()?
            };
            let plan = corpus::Plan {
                workloads,
                commands,
                store: store.map(std::path::absolute).transpose()?,
            };
            corpus::run_plan(&plan, &programs)
        }
        Command::CheckInfra { dir } => infra::check(&dir, &programs),
    }
}

/// How often a running world signs its timestamp anew.
const RENEW: Duration = Duration::from_secs(6 * 3600);

fn run_world(dir: &std::path::Path, programs: &Programs, operators: usize) -> Result<()> {
    let (send, interrupted) = std::sync::mpsc::channel();
    ctrlc::set_handler(move || {
        let _ = send.send(());
    })
    .context("failed to listen for signals")?;
    let world = world::World::start(dir, programs, operators)?;
    world.write_env(&world.found_trust()?)?;
    let mut out = std::io::stdout();
    writeln!(
        out,
        "service {}\nenv {}\nready",
        world.access().url,
        world.folder().join("env").display()
    )?;
    out.flush()?;
    // The timestamp counts for two days: a world that is left running stays believable.
    while let Err(RecvTimeoutError::Timeout) = interrupted.recv_timeout(RENEW) {
        world.renew_trust()?;
    }
    drop(world);
    Ok(())
}
