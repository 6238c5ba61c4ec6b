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
pub mod object;
pub mod package;
pub mod passes;
pub mod progress;
pub mod publish;
pub mod review;
pub mod sandbox;
pub mod sequencer;
pub mod service;
pub mod signer;
pub mod source;
pub mod stage;
pub mod submit;
pub mod toolchain;
