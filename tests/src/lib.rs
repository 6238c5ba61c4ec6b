//! The worlds in which Sealift is tried out: real programs, real servers, real crates.
//!
//! Owns: assembling the parts on loopback ([`world`]), playing a user ([`user`]), getting sources ([`sources`]), doing harm
//! ([`fault`]), and the programs made of these: the demo, the benchmark, the corpus and `./x world`.
//! Must not know how any part works inside: everything goes through the programs' command lines, the public store's
//! layout and the records that `sealift-policy` documents.

pub mod bench;
pub mod child;
pub mod corpus;
pub mod demo;
pub mod env;
pub mod fault;
pub mod infra;
pub mod liar;
pub mod outcome;
pub mod programs;
pub mod progress;
pub mod registry;
pub mod sigstore;
pub mod sources;
pub mod table;
pub mod user;
pub mod witness;
pub mod workload;
pub mod world;
