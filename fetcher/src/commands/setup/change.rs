//! Changes of files that are shown, written, remembered and undone.
//!
//! Owns the journal (`setup-journal.json`). Must not know what the files mean.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::report::shell::Shell;

const JOURNAL: &str = "setup-journal.json";

/// What a file held and is to hold; `None` is no file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Change {
    pub(super) path: PathBuf,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
}

/// Everything that set-ups have changed since the last undo, in the order in which it was written.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Journal {
    version: u32,
    changes: Vec<Change>,
}

impl Change {
    /// Whether writing it would make a difference.
    pub(super) fn changes_anything(&self) -> bool {
        self.before != self.after
    }

    /// Says what will be written: the lines that come and go.
    pub(super) fn show(&self, shell: Shell) {
        let verb = match (&self.before, &self.after) {
            (None, _) => "Create",
            (_, None) => "Remove",
            _ => "Change",
        };
        shell.status(verb, self.path.display());
        let lines = |text: &Option<String>| {
            text.iter()
                .flat_map(|text| text.lines().map(str::to_owned))
                .collect::<Vec<_>>()
        };
        let (before, after) = (lines(&self.before), lines(&self.after));
        for line in before.iter().filter(|line| !after.contains(line)) {
            shell.status("-", line);
        }
        for line in after.iter().filter(|line| !before.contains(line)).take(MAX_SHOWN) {
            shell.status("+", line);
        }
    }

    /// Writes the file whole or not at all.
    pub(super) fn write(&self) -> anyhow::Result<()> {
        self.write_mode(None)
    }

    /// As [`Self::write`], with these permissions; without, those that the file has, or ordinary ones.
    fn write_mode(&self, mode: Option<u32>) -> anyhow::Result<()> {
        let Some(text) = &self.after else {
            return match fs_err::remove_file(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
                _ => Ok(()),
            };
        };
        // A link (dotfiles are often linked) keeps being one: what it leads to is replaced.
        let path = fs_err::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let folder = path.parent().context("a file lies in a folder")?;
        fs_err::create_dir_all(folder)?;
        let file = tempfile::NamedTempFile::new_in(folder)?;
        fs_err::write(file.path(), text)?;
        let permissions = match (mode, fs_err::metadata(&path)) {
            (None, Ok(metadata)) => metadata.permissions(),
            (mode, _) => Permissions::from_mode(mode.unwrap_or(0o644)),
        };
        fs_err::set_permissions(file.path(), permissions)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    }
}

/// Longer files, such as a trust policy, are not shown whole.
const MAX_SHOWN: usize = 40;

impl Journal {
    /// The journal in this folder; empty when there is none.
    pub(super) fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(JOURNAL);
        match fs_err::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| format!("failed to read `{}`", path.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self {
                version: 1,
                changes: Vec::new(),
            }),
            Err(error) => Err(error.into()),
        }
    }

    /// With these changes, too. What a file held first is what counts.
    pub(super) fn extended(mut self, changes: &[Change]) -> Self {
        for change in changes {
            match self.changes.iter_mut().find(|known| known.path == change.path) {
                Some(known) if known.after == change.before => known.after.clone_from(&change.after),
                Some(known) => *known = change.clone(),
                None => self.changes.push(change.clone()),
            }
        }
        self
    }

    /// Keeps it, for its owner only: cargo's configuration, which it repeats, may hold passwords.
    pub(super) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        Change {
            path: folder.join(JOURNAL),
            before: None,
            after: Some(text),
        }
        .write_mode(Some(0o600))
    }

    /// Forgets it.
    pub(super) fn remove(folder: &Path) -> anyhow::Result<()> {
        Change {
            path: folder.join(JOURNAL),
            before: None,
            after: None,
        }
        .write()
    }

    /// The changes that put everything back, last written first. A file that somebody edited since loses only our
    /// lines.
    pub(super) fn undo(self) -> anyhow::Result<Vec<Change>> {
        self.changes
            .into_iter()
            .rev()
            .map(|change| {
                let now = super::read(&change.path)?;
                let after = if now == change.after {
                    change.before
                } else {
                    super::without_ours(now.as_deref(), &change)
                };
                Ok(Change {
                    path: change.path,
                    before: now,
                    after,
                })
            })
            .collect()
    }
}
