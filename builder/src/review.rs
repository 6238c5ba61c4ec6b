//! What can be seen of a build script from outside: the evidence on which a person decides whether its runs are shared.
//!
//! The script is compiled twice, in the two passes of every build, and its call is written down as cargo makes it
//! (`recorded`). Then it runs several times in sandboxes that differ (`circumstances`), watched by `strace` (`running`,
//! `strace`, `trace`, `access`, `places`); what the runs gave is compared (`comparison`), its sources are searched (`sources`), and
//! all of it (`evidence`) leads to a proposal or to reasons against one (`proposal`, `reason`, `programs`) and to a `report` of `sections`.
//!
//! Nothing here changes the reviewed list. A script that wants to deceive this can: somebody has to read it.
//! Must not know how runs are shared.

pub mod access;
pub mod circumstances;
pub mod comparison;
pub mod evidence;
pub mod places;
pub mod programs;
pub mod proposal;
pub mod reason;
pub mod recorded;
pub mod report;
pub mod running;
pub mod script_sources;
mod sections;
pub mod sources;
pub mod strace;
pub mod trace;
