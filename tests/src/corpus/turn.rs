//! One project built by each command, without Sealift or with the wrapper.
//!
//! Owns what is asked of cargo and of the programs. Must not judge.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use anyhow::{Context, Result};
use sealift_policy::digest::{Digest, UnitKey};
use sealift_policy::local::VERSION_DIR;
use walkdir::WalkDir;

use super::said::Said;
use super::{Command, lay_anew};
use crate::child::{Finished, run};
use crate::env::clean_command;
use crate::outcome::Outcomes;
use crate::progress::Progress;
use crate::user::{Build, Built, Through, User};
use crate::workload::Workload;

/// Where a project is built.
pub(super) struct Machine<'a> {
    pub(super) workload: Workload,
    pub(super) user: User,
    /// As they were published.
    pub(super) sources: PathBuf,
    /// The copy that is built.
    pub(super) project: PathBuf,
    pub(super) target: PathBuf,
    pub(super) progress: &'a Progress,
}

/// All builds of one project, one way.
pub(super) struct Turn {
    pub(super) commands: Vec<Commanded>,
    /// Without the wrapper in the same target folder, after an edit.
    pub(super) edited: Option<Answer>,
}

/// One command, asked three times.
pub(super) struct Commanded {
    pub(super) command: Command,
    /// What was in the local store before.
    pub(super) stored: BTreeSet<UnitKey>,
    pub(super) first: Answer,
    pub(super) second: Answer,
    /// Once more without the wrapper that was there before, when all commands had their turn.
    pub(super) alone: Option<Answer>,
    /// What was in it after the first time.
    pub(super) stored_afterwards: BTreeSet<UnitKey>,
    /// The program that it made.
    pub(super) program: Option<Program>,
    /// Units that were in the local store before this project.
    pub(super) hits_of_earlier_projects: usize,
}

/// What came of one cargo process.
pub(super) struct Answer {
    pub(super) succeeded: bool,
    pub(super) said: Said,
    built: Built,
}

/// A program and what it does.
pub(super) struct Program {
    pub(super) digest: Digest,
    pub(super) deeds: Vec<Deed>,
}

/// What a program does with some arguments.
#[derive(PartialEq, Eq)]
pub(super) struct Deed {
    pub(super) args: &'static str,
    pub(super) status: ExitStatus,
    pub(super) stdout: String,
    stderr: String,
}

impl Answer {
    /// How long it took.
    pub(super) fn wall(&self) -> std::time::Duration {
        self.built.wall()
    }

    /// What happened to each unit.
    pub(super) fn units(&self) -> &Outcomes {
        &self.built.units
    }

    /// Sealift's own words.
    pub(super) fn loud(&self) -> Vec<&str> {
        self.built.loud_lines()
    }

    /// cargo's standard error.
    pub(super) fn stderr(&self) -> &str {
        &self.built.cargo.stderr
    }
}

impl Machine<'_> {
    /// All commands, one way, from the beginning.
    pub(super) fn turn(&self, through: Through, commands: &[Command]) -> Result<Turn> {
        lay_anew(&self.sources, &self.project, &self.target)?;
        let before = stored(self.user.store())?;
        let mut turn = Turn {
            commands: vec![],
            edited: None,
        };
        for &command in commands {
            let stored_before = stored(self.user.store())?;
            let first = self.ask(command, through, "first")?;
            let of_earlier = |key: &UnitKey| before.contains(key);
            turn.commands.push(Commanded {
                command,
                stored: stored_before,
                stored_afterwards: stored(self.user.store())?,
                second: self.ask(command, through, "second")?,
                alone: None,
                program: self.program(&first.said)?,
                hits_of_earlier_projects: first.units().hit_keys().filter(of_earlier).count(),
                first,
            });
        }
        if through == Through::Plain {
            return Ok(turn);
        }
        for commanded in &mut turn.commands {
            commanded.alone = Some(self.ask(commanded.command, Through::Plain, "without it")?);
        }
        if let Some(commanded) = turn.commands.first() {
            self.edit(&commanded.first.said)?;
            turn.edited = Some(self.ask(commanded.command, Through::Plain, "without it, edited")?);
        }
        Ok(turn)
    }

    fn ask(&self, command: Command, through: Through, which: &str) -> Result<Answer> {
        let who = match through {
            Through::Plain => "plain",
            Through::Wrapper | Through::Sealift => "wrapper",
        };
        let step = self
            .progress
            .step(format!("{}: {}, {who}, {which}", self.workload.name, command.name));
        let build =
            Build::new(&self.project, &self.target, through, command.args.iter().copied()).arg("--message-format=json");
        let built = self.user.run(&build)?;
        step.done("");
        Ok(Answer {
            succeeded: built.cargo.status.success(),
            said: Said::parse(&built.cargo.stdout, &built.cargo.stderr)?,
            built,
        })
    }

    /// Runs the workload's program, where the command has made it.
    fn program(&self, said: &Said) -> Result<Option<Program>> {
        let Some(program) = said.program(self.workload.program) else {
            return Ok(None);
        };
        let mut deeds = vec![];
        for args in [self.workload.probe, "--help", self.workload.work] {
            let mut command = clean_command(&program);
            command
                .args(args.split(' '))
                .current_dir(&self.project)
                .env("HOME", self.user.home())
                .env("COLUMNS", "100");
            let Finished {
                status, stdout, stderr, ..
            } = run(&mut command)?;
            deeds.push(Deed {
                args,
                status,
                stdout,
                stderr,
            });
        }
        let digest = Digest::of(&fs_err::read(&program)?);
        Ok(Some(Program { digest, deeds }))
    }

    /// Adds a line to the program's source.
    fn edit(&self, said: &Said) -> Result<()> {
        let source = said.source(self.workload.program).context("no program was named")?;
        let mut text = fs_err::read_to_string(&source)?;
        text.push_str("\n// One line more.\n");
        Ok(fs_err::write(source, text)?)
    }
}

/// The units that a local store holds.
fn stored(store: &Path) -> Result<BTreeSet<UnitKey>> {
    let mut keys = BTreeSet::new();
    let folder = store.join(VERSION_DIR).join("units");
    if !folder.is_dir() {
        return Ok(keys);
    }
    for entry in WalkDir::new(folder) {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy();
        if let Some(key) = name.strip_suffix(".json").and_then(|key| key.parse().ok()) {
            keys.insert(key);
        }
    }
    Ok(keys)
}
