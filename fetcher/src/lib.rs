//! The user's side of Sealift: the rustc wrapper and `cargo sealift`.
//!
//! Owns what happens on the user's machine. The wrapper's modules are small and synchronous and never use the
//! network; everything that does belongs to `cargo sealift` and is there with the feature `commands` alone.

// Both programs.
pub mod clock;
pub mod config;
pub mod env;
pub mod events;
pub mod flight;
pub mod fresh;
pub mod size;
pub mod store;

// The wrapper, in the order of its steps.
pub mod wrapper;

pub mod beside;
pub mod call;
pub mod cause;
pub mod closure;
pub mod compile;
pub mod decide;
pub mod dep_info;
pub mod fine_times;
pub mod glibc;
pub mod host_program;
pub mod install;
pub mod keep;
pub mod known;
pub mod messages;
pub mod native_search;
pub mod pass_through;
pub mod record;
pub mod run;
pub mod runner;
pub mod script_output;
pub mod sharing;
pub mod signatures;
pub mod sources;
pub mod surroundings;
pub mod toolchain;
pub mod tree;
pub mod trust_root;
pub mod wait;

// `cargo sealift` only.
#[cfg(feature = "commands")]
mod cargo;
#[cfg(feature = "commands")]
pub mod commands;
#[cfg(feature = "commands")]
mod heads;
pub mod in_use;
#[cfg(feature = "commands")]
mod prefetch;
#[cfg(feature = "commands")]
mod provenance;
#[cfg(feature = "commands")]
mod remote;
#[cfg(feature = "commands")]
mod report;
#[cfg(feature = "commands")]
mod tuf;
