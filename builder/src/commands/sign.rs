//! `sealift-builder sign`: the signer's process.

use super::{Outcome, clock};
use crate::cli;
use crate::data::Data;
use crate::signer;

/// Signs what it is asked to on standard input.
///
/// # Errors
/// When nothing more can or may be signed.
pub(super) fn run(options: &cli::Sign) -> anyhow::Result<Outcome> {
    let data = Data::open(&options.data)?;
    signer::serve(&data, std::io::stdin().lock(), std::io::stdout().lock(), clock::now)?;
    Ok(Outcome::Done)
}
