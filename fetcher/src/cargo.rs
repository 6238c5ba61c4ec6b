//! cargo as `cargo sealift` sees it: command lines, plans, configuration, and the cargo that runs beside a prefetch.
//!
//! Must not know what is done with a plan.

mod command;
mod install;
mod plan;
mod process;
mod settings;

pub(crate) use command::{CargoCommand, display};
pub(crate) use plan::{NoPlan, Surroundings, plan, program};
pub(crate) use process::Process;
pub(crate) use settings::{Network, Settings, below_config, configured_wrapper, is_relative_path};
