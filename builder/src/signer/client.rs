//! The builder's side of the conversation with the signer's process. Must not know the key or the log's files.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use sealift_policy::digest::UnitKey;

use super::{Answer, Command, MAX_UNITS, UnitOutcome};
use crate::data::Data;

/// A running signer.
#[derive(Debug)]
pub struct Signer {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The process could not be started, or the connection to it broke.
    #[error("the signer stopped")]
    Stopped(#[source] std::io::Error),
    /// It refuses to sign, and says why.
    #[error("the signer refuses: {0}")]
    Refused(String),
    /// An answer that does not fit.
    #[error("the signer gave an unexpected answer")]
    Unexpected,
}

impl Signer {
    /// Starts the signer and shows it the head that is published, `None` if there is none.
    ///
    /// # Errors
    /// When it cannot be started or refuses.
    pub fn start(program: &Path, data: &Data, published: Option<String>) -> Result<Self, SignError> {
        let mut child = std::process::Command::new(program)
            .arg("sign")
            .arg("--data")
            .arg(data.root())
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(SignError::Stopped)?;
        let (Some(commands), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(SignError::Unexpected);
        };
        let mut signer = Self {
            child,
            commands,
            answers: BufReader::new(answers),
        };
        match signer.ask(&Command::Published { checkpoint: published })? {
            Answer::Consistent => Ok(signer),
            _ => Err(SignError::Unexpected),
        }
    }

    /// Has staged units signed as one batch; says what became of each.
    ///
    /// # Errors
    /// When the signer stops; what was signed then is known when it is started again.
    pub fn append(&mut self, units: &[UnitKey]) -> Result<Vec<UnitOutcome>, SignError> {
        if units.len() > MAX_UNITS {
            return Err(SignError::Unexpected);
        }
        match self.ask(&Command::Append { units: units.to_vec() })? {
            Answer::Appended { units: outcomes, .. } if outcomes.len() == units.len() => Ok(outcomes),
            _ => Err(SignError::Unexpected),
        }
    }

    /// Lets the signer end.
    ///
    /// # Errors
    /// When it did not end well.
    pub fn finish(self) -> Result<(), SignError> {
        let Self {
            mut child,
            commands,
            answers,
        } = self;
        drop((commands, answers));
        let status = child.wait().map_err(SignError::Stopped)?;
        if status.success() {
            Ok(())
        } else {
            Err(SignError::Unexpected)
        }
    }

    fn ask(&mut self, command: &Command) -> Result<Answer, SignError> {
        let mut line = serde_json::to_vec(command).map_err(|_| SignError::Unexpected)?;
        line.push(b'\n');
        // When the signer has stopped already, its last answer says why.
        let sent = self.commands.write_all(&line).and_then(|()| self.commands.flush());
        let mut answer = String::new();
        self.answers.read_line(&mut answer).map_err(SignError::Stopped)?;
        if answer.is_empty() {
            sent.map_err(SignError::Stopped)?;
            return Err(SignError::Stopped(std::io::ErrorKind::UnexpectedEof.into()));
        }
        match serde_json::from_str(&answer) {
            Ok(Answer::Failed { reason }) => Err(SignError::Refused(reason)),
            Ok(answer) => Ok(answer),
            Err(_) => Err(SignError::Unexpected),
        }
    }
}
