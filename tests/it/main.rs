//! End to end: real crates, real programs, real sockets. One binary, so that the worlds are shared.
//!
//! Must not look inside a part: see the crate's documentation.

fn main() {}
