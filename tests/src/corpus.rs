//! `./x corpus`: real programs, built by cargo's usual commands without Sealift and with the wrapper alone, and compared.
//!
//! Owns the order of the builds. All projects share one local store and no service is configured, so that a later project
//! also shows what it has from the earlier ones. Both turns of a project happen at the same path, so that cargo's messages
//! can be compared as they are.
//! Must not know what cargo's messages look like (`said`) nor what is held against a build (`findings`).

mod findings;
mod said;
mod turn;

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Result, bail};

use crate::env::temporary_folder;
use crate::programs::Programs;
use crate::progress::Progress;
use crate::sources::Downloads;
use crate::table::{Table, seconds};
use crate::user::{Through, User};
use crate::workload::Workload;
use findings::{Findings, Shared};
use turn::{Machine, Turn};

/// What to build.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Which programs, in this order.
    pub workloads: Vec<Workload>,
    /// With which commands, in this order and one target folder.
    pub commands: Vec<Command>,
    /// A local store to begin with, which is kept; otherwise an empty one, which is not.
    pub store: Option<PathBuf>,
}

/// One of cargo's usual commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Command {
    name: &'static str,
    args: &'static [&'static str],
}

/// All that are tried out.
const COMMANDS: [Command; 7] = [
    Command::new("build", &["build"]),
    Command::new("check", &["check"]),
    Command::new("test", &["test", "--no-run"]),
    Command::new("clippy", &["clippy"]),
    Command::new("doc", &["doc"]),
    Command::new("doc-own", &["doc", "--no-deps"]),
    Command::new("release", &["build", "--release"]),
];

/// How many of them are tried out unless somebody says which.
const USUAL: usize = 5;

impl Command {
    const fn new(name: &'static str, args: &'static [&'static str]) -> Self {
        Self { name, args }
    }

    /// `cargo build --release`.
    pub fn release() -> Self {
        COMMANDS[COMMANDS.len() - 1]
    }

    /// Those that are tried out unless somebody says which.
    pub fn usual() -> Vec<Self> {
        COMMANDS[..USUAL].to_vec()
    }
}

impl FromStr for Command {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        if let Some(command) = COMMANDS.into_iter().find(|command| command.name == name) {
            return Ok(command);
        }
        bail!("none of {}", COMMANDS.map(|command| command.name).join(", "))
    }
}

/// Builds all of it and prints what came of each project.
///
/// # Errors
/// If anything differed, or could not be built at all.
pub fn run_plan(plan: &Plan, programs: &Programs) -> Result<()> {
    let folder = tempfile::Builder::new()
        .prefix("corpus-")
        .tempdir_in(temporary_folder())?;
    let downloads = Downloads::of(programs)?;
    // Each command twice in two turns and once without the wrapper, and one after an edit.
    let steps = plan.workloads.len() * (plan.commands.len() * 5 + 1);
    let progress = Progress::of(steps as u64);
    let mut shared = Shared::default();
    let mut wrong = 0;
    for &workload in &plan.workloads {
        let corpus = Project {
            plan,
            workload,
            folder: folder.path().join(workload.name),
            home: folder.path().join("machine"),
        };
        let said = match corpus.compare(programs, &downloads, &progress, &mut shared) {
            Ok(findings) => {
                wrong += findings.wrong();
                findings.to_string()
            }
            Err(error) => {
                wrong += 1;
                format!("  WRONG  {error:#}\n")
            }
        };
        progress.say(&format!("\n{workload}\n{said}"));
        if corpus.folder.exists() {
            fs_err::remove_dir_all(&corpus.folder)?;
        }
    }
    if wrong > 0 {
        bail!("{wrong} things are not as without the wrapper");
    }
    progress.say("  all of it is as without the wrapper");
    Ok(())
}

struct Project<'a> {
    plan: &'a Plan,
    workload: Workload,
    /// Where it is built.
    folder: PathBuf,
    /// The one machine on which all projects are built.
    home: PathBuf,
}

impl Project<'_> {
    fn compare(
        &self,
        programs: &Programs,
        downloads: &Downloads,
        progress: &Progress,
        shared: &mut Shared,
    ) -> Result<Findings> {
        let sources = self.folder.join("sources");
        downloads.checkout(self.workload, &sources)?;
        let user = User::new(&self.home, programs, downloads, &sources)?;
        let user = match &self.plan.store {
            Some(store) => user.with_store(store.clone()),
            None => user,
        };
        let machine = Machine {
            workload: self.workload,
            user,
            sources,
            project: self.folder.join("project"),
            target: self.folder.join("target"),
            progress,
        };
        let plain = machine.turn(Through::Plain, &self.plan.commands)?;
        let wrapped = machine.turn(Through::Wrapper, &self.plan.commands)?;
        let findings = Findings::of(&self.workload, &plain, &wrapped, shared);
        Ok(findings.with_table(table(&plain, &wrapped)))
    }
}

fn table(plain: &Turn, wrapped: &Turn) -> Table {
    let mut table = Table::new(&[
        "command",
        "calls",
        "hit",
        "of earlier",
        "compiled",
        "passed",
        "plain",
        "first",
        "second",
        "without",
    ]);
    for (plain, wrapped) in plain.commands.iter().zip(&wrapped.commands) {
        let units = wrapped.first.units();
        table.row([
            wrapped.command.name.to_owned(),
            units.units.len().to_string(),
            units.hits().to_string(),
            wrapped.hits_of_earlier_projects.to_string(),
            units.compiled().to_string(),
            units.passed_through().to_string(),
            seconds(plain.first.wall()),
            seconds(wrapped.first.wall()),
            seconds(wrapped.second.wall()),
            wrapped
                .alone
                .as_ref()
                .map_or_else(|| "-".into(), |alone| seconds(alone.wall())),
        ]);
    }
    table
}

/// Writes the project's sources anew, as they were published.
fn lay_anew(sources: &Path, project: &Path, target: &Path) -> Result<()> {
    for folder in [project, target] {
        if folder.exists() {
            fs_err::remove_dir_all(folder)?;
        }
    }
    crate::sources::copy_tree(sources, project)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_known_by_name() {
        assert_eq!("release".parse::<Command>().expect("known"), Command::release());
        assert!("bench".parse::<Command>().is_err());
        assert!(!Command::usual().contains(&Command::release()));
    }
}
