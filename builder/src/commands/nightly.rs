//! `sealift-builder nightly`: a list of sources, one after the other; one that fails does not stop the rest.

use sealift_policy::build_list::BuildList;

use super::{Outcome, build};
use crate::cli;
use crate::progress::say;
use crate::source::Source;

/// Builds the list.
///
/// # Errors
/// When the list cannot be read.
pub(super) fn run(options: &cli::Nightly) -> anyhow::Result<Outcome> {
    let list = match &options.list {
        Some(file) => BuildList::parse(&fs_err::read_to_string(file)?)?,
        None => BuildList::popular(),
    };
    let builder = build::Builder::new(&options.data, &options.service, &options.how, &options.witnessing)?;
    let mut failed = 0;
    for entry in &list.build {
        let source = Source::Crate {
            name: entry.name.clone(),
            version: entry.crate_version.clone(),
            features: entry.features.clone(),
        };
        match builder.build(&source, &entry.profiles) {
            Ok(Outcome::Done) => {}
            Ok(_) => failed += 1,
            Err(error) => {
                say(&format!("error: {source}: {error:#}"));
                failed += 1;
            }
        }
    }
    say(&format!(
        "{} of {} sources were built completely",
        list.build.len() - failed,
        list.build.len()
    ));
    Ok(if failed == 0 {
        Outcome::Done
    } else {
        Outcome::Incomplete
    })
}
