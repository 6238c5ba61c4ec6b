//! The signer: a process of its own, which alone reads the key and signs nothing that it has not hashed itself.
//!
//! Owns the protocol (one JSON document a line, a [`Command`] in, an [`Answer`] out) and what it refuses (B14).
//! Must not know cargo, rustc, the network, or why a unit is to be signed.

pub mod client;
mod staged;

use std::io::{BufRead, Read as _, Write};

use sealift_policy::digest::{Digest, UnitKey};
use sealift_policy::leaf::Leaf;
use serde::{Deserialize, Serialize};

use crate::data::Data;
use crate::key_file::{self, KeyFileError};
use crate::log_store::FolderStore;
use crate::sequencer::{Appended, Sequencer, SequencerError};

pub use staged::{KEY_DOCUMENT, MANIFEST, Refusal};

/// What the signer is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Command {
    /// Check that the log is not older than this published head. Comes before everything else.
    Published {
        /// The signed checkpoint that the world sees; `None` if there is none yet.
        checkpoint: Option<String>,
    },
    /// Check staged units, append a leaf for each, sign the head. Without units, sign it with the present time.
    Append {
        /// The units, by the names of their staging folders.
        units: Vec<UnitKey>,
    },
}

/// What the signer did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Answer {
    /// The published head is one of this log.
    Consistent,
    /// What became of each unit, in the order of the command.
    Appended {
        /// The outcomes.
        units: Vec<UnitOutcome>,
        /// The size of the log now.
        size: u64,
    },
    /// Nothing was signed, and nothing will be.
    Failed {
        /// Why, for people.
        reason: String,
    },
}

/// What became of a unit that was to be signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case", deny_unknown_fields)]
pub enum UnitOutcome {
    /// It has a new leaf.
    Signed,
    /// The same leaf was in the log already.
    Already,
    /// The log says something else about this unit.
    Conflict {
        /// The manifest that is logged.
        logged: Digest,
    },
    /// What is staged is not what it must be.
    Refused {
        /// Why, for people.
        reason: String,
    },
}

/// Why the signer stops.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// The key is missing, malformed or was readable by others.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// Another signer works on this log.
    #[error("another signer has locked `{0}`")]
    Locked(std::path::PathBuf),
    /// The log cannot be used, or must not grow.
    #[error(transparent)]
    Log(#[from] SequencerError),
    /// A command that cannot be read, is too long, or comes before the published head was checked.
    #[error("unexpected command")]
    Command,
    /// The connection to the builder broke.
    #[error("failed to talk to the builder")]
    Io(#[from] std::io::Error),
}

/// Most units of one command.
pub const MAX_UNITS: usize = 4096;

/// Longest command in bytes.
const MAX_COMMAND: u64 = 1 << 20;

/// The lock that lets one signer at a time work on a log (B10). Held while it lives; the system frees it after a crash.
#[derive(Debug)]
pub struct SignerLock(#[expect(dead_code, reason = "held, not used")] std::fs::File);

impl SignerLock {
    /// Takes the lock.
    ///
    /// # Errors
    /// When another signer has it.
    pub fn take(data: &Data) -> Result<Self, SignerError> {
        let path = data.signer_lock();
        let file = std::fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(_) => Err(SignerError::Locked(path)),
        }
    }
}

/// The log of a data folder, opened with its key.
///
/// # Errors
/// When the key or the log cannot be used.
pub fn open_log(data: &Data, _lock: &SignerLock) -> Result<Sequencer<FolderStore>, SignerError> {
    let signer = key_file::read(&data.key())?;
    Ok(Sequencer::open(FolderStore::new(&data.log(), &data.seen()), signer)?)
}

/// Answers commands until there are no more. Stops at the first failure, after saying so.
///
/// # Errors
/// When nothing more can or may be signed.
pub fn serve(
    data: &Data,
    commands: impl BufRead,
    mut answers: impl Write,
    now: impl Fn() -> u64,
) -> Result<(), SignerError> {
    let result = answer_all(data, commands, &mut answers, now);
    if let Err(error) = &result {
        let reason = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
        let reason: Vec<_> = reason.map(ToString::to_string).collect();
        write_line(
            &mut answers,
            &Answer::Failed {
                reason: reason.join(": "),
            },
        )?;
    }
    result
}

fn answer_all(
    data: &Data,
    mut commands: impl BufRead,
    answers: &mut impl Write,
    now: impl Fn() -> u64,
) -> Result<(), SignerError> {
    let lock = SignerLock::take(data)?;
    let mut log = open_log(data, &lock)?;
    let mut checked = false;
    while let Some(command) = read_command(&mut commands)? {
        let answer = match command {
            Command::Published { checkpoint } => {
                if let Some(checkpoint) = checkpoint {
                    log.check_published(checkpoint.as_bytes())?;
                }
                checked = true;
                Answer::Consistent
            }
            Command::Append { units } if checked && units.len() <= MAX_UNITS => append(data, &mut log, &units, now())?,
            Command::Append { .. } => return Err(SignerError::Command),
        };
        write_line(answers, &answer)?;
    }
    Ok(())
}

fn append(data: &Data, log: &mut Sequencer<FolderStore>, units: &[UnitKey], now: u64) -> Result<Answer, SignerError> {
    let checked: Vec<Result<Leaf, Refusal>> = units
        .iter()
        .map(|key| staged::check(&data.staging(*key), *key))
        .collect();
    let leaves: Vec<Leaf> = checked.iter().filter_map(|leaf| leaf.as_ref().ok()).copied().collect();
    let mut appended = log.append(&leaves, now)?.into_iter();
    let outcomes = checked.into_iter().map(|leaf| match leaf {
        Err(refusal) => UnitOutcome::Refused {
            reason: refusal.to_string(),
        },
        Ok(_) => match appended.next() {
            Some(Appended::New) => UnitOutcome::Signed,
            Some(Appended::Conflict { logged }) => UnitOutcome::Conflict { logged },
            Some(Appended::Already) | None => UnitOutcome::Already,
        },
    });
    Ok(Answer::Appended {
        units: outcomes.collect(),
        size: log.contents().head().size().value(),
    })
}

fn read_command(commands: &mut impl BufRead) -> Result<Option<Command>, SignerError> {
    let mut line = String::new();
    let length = commands.take(MAX_COMMAND).read_line(&mut line)?;
    match (length, line.strip_suffix('\n')) {
        (0, _) => Ok(None),
        (_, Some(command)) => serde_json::from_str(command)
            .map(Some)
            .map_err(|_| SignerError::Command),
        // Cut off: by its length, or because the builder died.
        (_, None) => Err(SignerError::Command),
    }
}

fn write_line(out: &mut impl Write, document: &impl Serialize) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(document)?;
    line.push(b'\n');
    out.write_all(&line)?;
    out.flush()
}

#[cfg(test)]
mod tests;
