//! The call of a build script as cargo, the wrapper and its runner make it, written down where it would have been made.
//!
//! Owns the format (version 1, of this program for itself). Must not know what is done with it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::env;

/// One call of a build script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedCall {
    version: u32,
    /// The real script, not its runner.
    pub program: PathBuf,
    /// What follows; cargo gives nothing.
    pub arguments: Vec<String>,
    /// The working folder.
    pub folder: PathBuf,
    /// Whether its `OUT_DIR` lies at its canonical place.
    pub has_canonical_out_dir: bool,
    /// The whole environment, but for the builder's own settings.
    pub environment: BTreeMap<String, String>,
}

/// Why a call cannot be written down or read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// A name or value that is no text.
    #[error("`{0}` is not UTF-8")]
    NotUtf8(String),
    /// No program was given.
    #[error("there is no program to run")]
    NoProgram,
    /// A file or folder failed.
    #[error("failed to keep the script's call")]
    Io(#[from] std::io::Error),
    /// The file is not what this program writes.
    #[error("malformed record of the script's call")]
    Malformed(#[from] serde_json::Error),
    /// A variable that cargo always sets.
    #[error("cargo says no `{0}`")]
    Missing(&'static str),
}

impl RecordedCall {
    /// This call as this process would make it.
    ///
    /// # Errors
    /// When anything in it is not UTF-8.
    pub fn of_this_process(call: &[OsString], has_canonical_out_dir: bool) -> Result<Self, RecordError> {
        let text = |value: OsString| {
            value
                .into_string()
                .map_err(|value| RecordError::NotUtf8(value.to_string_lossy().into_owned()))
        };
        let (program, arguments) = call.split_first().ok_or(RecordError::NoProgram)?;
        let environment = env::all_but_ours().into_iter();
        Ok(Self {
            version: 1,
            program: program.into(),
            arguments: arguments.iter().cloned().map(text).collect::<Result<_, _>>()?,
            folder: std::env::current_dir()?,
            has_canonical_out_dir,
            environment: environment
                .map(|(name, value)| Ok::<_, RecordError>((text(name)?, text(value)?)))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Writes it, unless it is there: a runner that sees its script fail tries once more without flags of its own.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, file: &Path) -> Result<(), RecordError> {
        match fs_err::File::create_new(file) {
            Ok(mut made) => Ok(made.write_all(&serde_json::to_vec(self)?)?),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads what [`RecordedCall::write`] wrote; `None` when there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(file: &Path) -> Result<Option<Self>, RecordError> {
        match fs_err::read(file) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// A folder that cargo names.
    ///
    /// # Errors
    /// When it does not.
    pub fn named_folder(&self, variable: &'static str) -> Result<PathBuf, RecordError> {
        let value = self.environment.get(variable);
        value.map(PathBuf::from).ok_or(RecordError::Missing(variable))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_call_is_kept_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("call");
        assert!(RecordedCall::read(&file).unwrap().is_none());
        let call = RecordedCall::of_this_process(&["/script".into(), "one".into()], false).unwrap();
        call.write(&file).unwrap();
        RecordedCall::of_this_process(&["/other".into()], true)
            .unwrap()
            .write(&file)
            .unwrap();
        assert_eq!(RecordedCall::read(&file).unwrap(), Some(call));
    }
}
