//! What building a unit again gave.
//!
//! Owns the words. Must not know how it was built.

use std::fmt;

use sealift_policy::digest::UnitKey;
use serde::Serialize;

/// A unit of the sample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rebuilt {
    /// The unit.
    pub unit_key: UnitKey,
    /// Its package and version.
    pub package: String,
    /// What came out.
    pub outcome: Outcome,
}

/// What building a unit again gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// The same call gave the same bits.
    Reproduced,
    /// The same call gave something else, twice.
    Diverged {
        /// Which parts differ.
        what: Vec<String>,
    },
    /// The same call could not be made here, or gives something else each time.
    NotComparable {
        /// Why.
        why: String,
    },
}

/// The words of [`Rebuilt::word`].
pub const WORDS: [&str; 3] = ["reproduced", "diverged", "not-comparable"];

impl Rebuilt {
    /// Whether it came out otherwise than it was logged.
    pub const fn diverged(&self) -> bool {
        matches!(self.outcome, Outcome::Diverged { .. })
    }

    /// The outcome in a word.
    pub const fn word(&self) -> &'static str {
        match self.outcome {
            Outcome::Reproduced => WORDS[0],
            Outcome::Diverged { .. } => WORDS[1],
            Outcome::NotComparable { .. } => WORDS[2],
        }
    }
}

impl fmt::Display for Rebuilt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            unit_key,
            package,
            outcome,
        } = self;
        write!(f, "{package} (unit {unit_key}): ")?;
        match outcome {
            Outcome::Reproduced => f.write_str("reproduced"),
            Outcome::Diverged { what } => write!(f, "DIVERGED in {}", what.join(", ")),
            Outcome::NotComparable { why } => write!(f, "not comparable: {why}"),
        }
    }
}
