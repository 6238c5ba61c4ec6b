//! A witness on loopback: the real program, its folder, and starting and stopping it.
//!
//! Must not know which logs it looks at.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::child::{Background, run};
use crate::env::clean_command;
use crate::programs::Programs;

/// How long a witness may take to listen.
const START_LIMIT: Duration = Duration::from_secs(30);

/// A witness. It is killed when this is dropped.
#[derive(Debug)]
pub struct Witness {
    folder: PathBuf,
    programs: Programs,
    name: String,
    vkey: String,
    port: u16,
    process: Option<Background>,
}

impl Witness {
    /// Makes a witness of this name in a folder, and starts it for the logs in a file (`log <vkey>` lines).
    ///
    /// # Errors
    /// If it cannot be made or does not listen in time.
    pub fn start(folder: &Path, programs: &Programs, name: &str, logs: &Path) -> Result<Self> {
        let folder = folder.join(name);
        let mut command = clean_command(programs.builder());
        command.args([
            "witness",
            "init",
            "--name",
            &format!("witness.example/{name}"),
            "--data",
        ]);
        let made = run(command.arg(&folder))?.successful()?;
        let mut witness = Self {
            folder,
            programs: programs.clone(),
            name: name.to_owned(),
            vkey: made.stdout.trim().to_owned(),
            port: 0,
            process: None,
        };
        witness.start_again(logs)?;
        Ok(witness)
    }

    /// Starts it after [`Self::stop`], on the port that it had.
    ///
    /// # Errors
    /// If it does not listen in time.
    pub fn start_again(&mut self, logs: &Path) -> Result<()> {
        let mut command = clean_command(self.programs.builder());
        command.args(["witness", "--data"]).arg(&self.folder);
        command
            .args(["--listen", &format!("127.0.0.1:{}", self.port), "--logs"])
            .arg(logs);
        let listening = |line: &str| {
            let address = line.split_once("listening on http://")?.1;
            address.trim().rsplit(':').next()?.parse().ok()
        };
        let log = self.folder.with_extension("log");
        let (process, port) = Background::start(&mut command, &log, START_LIMIT, listening)
            .with_context(|| format!("witness `{}` does not start", self.name))?;
        self.process = Some(process);
        self.port = port;
        Ok(())
    }

    /// Kills it as a power failure would.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Its name in a witness policy.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its line in a witness policy.
    pub fn line(&self) -> String {
        format!("witness {} {} http://127.0.0.1:{}\n", self.name, self.vkey, self.port)
    }
}
