//! What people and scripts are told about builds.
//!
//! Owns the words. Talk goes to stderr in cargo's style, data to stdout.
//! Must not know how the facts come about.

pub(crate) mod progress;
pub(crate) mod shell;
pub(crate) mod tally;
pub(crate) mod verdict;
