//! The public store of Sealift: static files that anyone can verify, and the rules by which operators add to them.
//!
//! Owns admission ([`admit`], [`receive`]), publication in crash-safe order ([`publish`]), and serving ([`router`]).
//! Must not know how units are built or installed, and holds no key: nothing that it serves is believed for being
//! served by it.

pub mod admit;
pub mod app;
pub mod catalogue;
pub mod cli;
pub mod config;
pub mod derived;
pub mod error;
pub mod frame;
pub mod fsck;
pub mod logs;
pub mod lookup;
pub mod metrics;
pub mod mirror;
pub mod pages;
pub mod publish;
pub mod receive;
pub mod router;
pub mod routes;
pub mod store;
pub mod submission;
pub mod tuf;
