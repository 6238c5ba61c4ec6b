//! The rules that builders, operators, the service and the fetcher agree on.
//!
//! Owns: what counts as the same unit ([`key`]), how it is compiled ([`remap`], [`invocation`]),
//! what it produced ([`manifest`]), what is logged ([`leaf`], [`log`]) and who is believed ([`trust`]).
//! Must not know: files, sockets, clocks, the environment, randomness.

pub mod digest;
pub mod name;
