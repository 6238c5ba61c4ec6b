//! Worlds in which heads are published only when witnesses have cosigned them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;

use super::{Operator, Quorum, World, trust_policy, write_json};
use crate::child::{Finished, run};
use crate::env::clean_command;
use crate::programs::Programs;
use crate::witness::Witness;

impl World {
    /// Starts a world with witnesses, all of whom must have cosigned a head.
    ///
    /// # Errors
    /// If an operator or a witness cannot be made, or something does not start.
    pub fn start_witnessed(folder: &Path, programs: &Programs, operators: usize, witnesses: usize) -> Result<Self> {
        let quorum = Quorum::usual(operators);
        let mut world = Self::start_with(folder, programs, operators, quorum, vec![])?;
        let logs = world
            .operators
            .iter()
            .map(|operator| format!("log {}\n", operator.vkey));
        fs_err::write(world.logs_file(), logs.collect::<String>())?;
        let (folder, logs) = (world.folder.join("witnesses"), world.logs_file());
        world.witnesses = (1..=witnesses)
            .map(|number| Witness::start(&folder, programs, &format!("w{number}"), &logs))
            .collect::<Result<_>>()?;
        let lines: String = world.witnesses.iter().map(Witness::line).collect();
        let names: Vec<&str> = world.witnesses.iter().map(Witness::name).collect();
        let mut policy = trust_policy(&world.operators, quorum);
        policy["witness_policy"] = json!(format!(
            "{lines}group all-of-them all {}\nquorum all-of-them\n",
            names.join(" ")
        ));
        write_json(&world.folder.join("trust-policy.json"), &policy)?;
        world.kill_service();
        world.start_service()?;
        Ok(world)
    }

    fn logs_file(&self) -> PathBuf {
        self.folder.join("logs")
    }

    /// Its witnesses.
    pub fn witnesses_mut(&mut self) -> &mut [Witness] {
        &mut self.witnesses
    }

    /// Starts a witness that was stopped.
    ///
    /// # Errors
    /// If it does not listen in time.
    pub fn start_witness_again(&mut self, index: usize) -> Result<()> {
        let logs = self.logs_file();
        self.witnesses[index].start_again(&logs)
    }

    /// Lets an operator sign its head anew and submit it; however that ends.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn submit(&self, operator: &Operator) -> Result<Finished> {
        let mut command = clean_command(self.programs.builder());
        let data = operator.data.as_ref().context("an operator with a folder")?;
        command
            .arg("submit")
            .arg("--data")
            .arg(data)
            .args(["--service", &self.access().url]);
        run(command.args(self.witnessing()))
    }

    /// What an operator's commands are given so that its heads are cosigned.
    pub(super) fn witnessing(&self) -> Vec<OsString> {
        if self.witnesses.is_empty() {
            return vec![];
        }
        vec!["--trust-policy".into(), self.access().trust_policy.into()]
    }
}
