//! The rules that builders, operators, the service and the fetcher agree on.
//!
//! Owns: what counts as the same unit ([`key`]), how it is compiled ([`remap`], [`invocation`]),
//! what it produced ([`manifest`]), what is logged ([`leaf`], [`log`]), what is said about how it was built ([`provenance`]) and who is believed ([`trust`]).
//! Must not know: files, sockets, clocks, the environment, randomness.

pub mod build_list;
pub mod canonical;
pub mod cause;
pub mod digest;
pub mod document;
pub mod evidence;
pub mod impure;
pub mod invocation;
pub mod key;
pub mod layout;
pub mod leaf;
pub mod local;
pub mod lockfile;
pub mod log;
pub mod manifest;
pub mod name;
pub mod package_id;
pub mod plan;
mod policy_document;
pub mod provenance;
pub mod remap;
pub mod request;
pub mod reviewed;
pub mod run;
pub mod trust;
pub mod tuf;
pub mod unit_graph;
pub mod wire;
