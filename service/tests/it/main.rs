//! The service through its router and over real sockets, with real logs and real attacks.

mod admission;
mod crash;
mod fsck;
mod hostile;
mod lookup;
mod mirror;
mod operator;
mod provenance;
mod reader;
mod serving;
mod sockets;
mod witnessed;
mod world;
