//! The operator's side of Sealift: builds, compares, signs, submits.

pub mod capture;
pub mod cargo;
pub mod cli;
pub mod commands;
pub mod compare;
pub mod data;
pub mod durable;
pub mod env;
pub mod generated;
pub mod key_file;
pub mod log_store;
pub mod matching;
mod no_follow;
pub mod package;
pub mod progress;
pub mod sandbox;
pub mod sequencer;
pub mod signer;
pub mod source;
pub mod toolchain;
