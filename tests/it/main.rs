//! End to end: real crates, real programs, real sockets. One binary, so that the worlds are shared.
//!
//! Must not look inside a part: see the documentation of the crate.

mod alone;
mod audit;
#[cfg(feature = "soak")]
mod chains;
mod crash;
mod explain;
mod fixture;
mod flags;
mod graphs;
mod handmade;
mod installs;
mod keyless;
mod keys;
mod layouts;
mod lifecycle;
mod miss;
mod native;
mod outage;
mod pitfalls;
mod profiles;
mod projects;
mod protocol;
mod provenance;
mod quorum;
mod readers;
mod reproduce;
mod reuse;
mod review;
mod rollback;
mod runs;
mod scripts;
#[cfg(feature = "soak")]
mod soak;
mod tampered;
mod transparent;
mod trust;
mod witnessed;
mod words;
