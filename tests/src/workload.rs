//! Which real programs are built, and which profiles there are.
//!
//! Owns the list in `data/workloads.tsv`.

use std::fmt;

use anyhow::{Context, Result};

/// A program on crates.io that publishes its lockfile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workload {
    /// Package name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// SHA-256 of the `.crate`, in hex.
    pub crate_sha256: &'static str,
    /// Name of the executable.
    pub program: &'static str,
    /// An argument with which the executable prints something and leaves.
    pub probe: &'static str,
    /// The arguments, separated by spaces, of some real work in the folder of its sources.
    pub work: &'static str,
}

impl Workload {
    /// All of them, in the order of the list.
    pub fn all() -> impl Iterator<Item = Self> {
        include_str!("../data/workloads.tsv")
            .lines()
            .filter(|line| !line.starts_with('#'))
            .skip(1)
            .filter_map(|line| {
                let mut fields = line.split('\t');
                Some(Self {
                    name: fields.next()?,
                    version: fields.next()?,
                    crate_sha256: fields.next()?,
                    program: fields.next()?,
                    probe: fields.next()?,
                    work: fields.next()?,
                })
            })
    }

    /// The one with this package name.
    ///
    /// # Errors
    /// If it is not on the list.
    pub fn named(name: &str) -> Result<Self> {
        Self::all().find(|workload| workload.name == name).with_context(|| {
            let known: Vec<_> = Self::all().map(|workload| workload.name).collect();
            format!("no workload `{name}`\nhint: there are {}", known.join(", "))
        })
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

/// What cargo is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// `cargo build`.
    Dev,
    /// `cargo build --release`.
    Release,
    /// `cargo check`.
    Check,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Dev, Self::Release, Self::Check];

    /// cargo's subcommand and its arguments.
    pub fn cargo_args(self) -> &'static [&'static str] {
        match self {
            Self::Dev => &["build"],
            Self::Release => &["build", "--release"],
            Self::Check => &["check"],
        }
    }

    /// The folder below the target folder in which the program lies; a check makes none.
    pub fn folder(self) -> Option<&'static str> {
        match self {
            Self::Dev => Some("debug"),
            Self::Release => Some("release"),
            Self::Check => None,
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dev => "dev",
            Self::Release => "release",
            Self::Check => "check",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_list_is_a_workload() {
        let lines = include_str!("../data/workloads.tsv")
            .lines()
            .filter(|line| !line.starts_with('#'))
            .count();
        assert_eq!(Workload::all().count(), lines - 1);
        assert!(Workload::all().all(|workload| workload.crate_sha256.len() == 64));
    }
}
