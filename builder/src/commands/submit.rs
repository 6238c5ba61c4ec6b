//! `sealift-builder submit`: what is signed and not with the service yet, and a fresh checkpoint.

use super::{Outcome, runtime};
use crate::cli;
use crate::data::Data;
use crate::progress::say;
use crate::service::Service;
use crate::signer::client::Signer;
use crate::submit::{Summary, submit_all};

/// Signs the head anew and submits.
///
/// # Errors
/// When the signer or the service refuses.
pub(super) fn run(options: &cli::Submit) -> anyhow::Result<Outcome> {
    let data = Data::open(&options.data)?;
    let service = Service::new(&options.service)?;
    let runtime = runtime()?;
    let published = runtime.block_on(service.checkpoint(&data.operator().name, data.operator().epoch))?;
    let mut signer = Signer::start(&std::env::current_exe()?, &data, published)?;
    signer.append(&[])?;
    signer.finish()?;
    let summary = runtime.block_on(submit_all(&data, &service))?;
    say(&describe(&summary));
    Ok(Outcome::Done)
}

/// The summary in one line.
pub(super) fn describe(summary: &Summary) -> String {
    format!(
        "submitted {} units and {} blobs ({:.1} MB); the log has {} entries",
        summary.leaves,
        summary.blobs,
        summary.bytes as f64 / 1e6,
        summary.size
    )
}
