//! The user's side of Sealift: the rustc wrapper and `cargo sealift`.
//!
//! Owns what happens on the user's machine. The wrapper's modules are small and synchronous and never use the
//! network; everything that does belongs to `cargo sealift`.

pub mod config;
pub mod env;
