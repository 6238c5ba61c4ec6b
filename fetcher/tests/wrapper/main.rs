//! `sealift-rustc` as a program: called as cargo calls it, for packages of a made-up registry, with the real compiler.
//!
//! Must not look inside: what counts is what lies in the target folder afterwards, what was said, and what the local
//! store's records say.

mod chaining;
mod diagnostics;
mod failures;
mod files;
mod machine;
mod protocol;
