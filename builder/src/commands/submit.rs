//! `sealift-builder submit`: what is signed and not with the service yet, and a fresh checkpoint.

use super::{Outcome, clock, runtime};
use crate::attest::Attestor;
use crate::cli;
use crate::cosign::Witnesses;
use crate::data::Data;
use crate::progress::say;
use crate::service::Service;
use crate::signer::client::Signer;
use crate::submit::{Summary, Withheld, submit_all};

/// Signs the head anew and submits.
///
/// # Errors
/// When the signer or the service refuses.
pub(super) fn run(options: &cli::Submit) -> anyhow::Result<Outcome> {
    let data = Data::open(&options.data)?;
    let attestor = Attestor::open(&data)?;
    let service = Service::new(&options.service)?;
    let witnesses = Witnesses::find(&data, options.witnessing.trust_policy.as_deref())?;
    let runtime = runtime()?;
    let published = runtime.block_on(service.checkpoint(&data.operator().name, data.operator().epoch))?;
    let mut signer = Signer::start(&std::env::current_exe()?, &data, published)?;
    signer.append(&[])?;
    signer.finish()?;
    let submitted = submit_all(&data, &service, witnesses.as_ref(), attestor.as_ref(), clock::now);
    let summary = runtime.block_on(submitted)?;
    say(&describe(&summary));
    Ok(outcome(&summary))
}

/// Done, unless something was withheld.
pub(super) fn outcome(summary: &Summary) -> Outcome {
    match summary.withheld {
        None => Outcome::Done,
        Some(_) => Outcome::Incomplete,
    }
}

/// The summary: a line, and one more for each witness that did not do its part.
pub(super) fn describe(summary: &Summary) -> String {
    let submitted = format!(
        "submitted {} units and {} blobs ({:.1} MB); the log has {} entries",
        summary.leaves,
        summary.blobs,
        summary.bytes as f64 / 1e6,
        summary.size
    );
    let mut lines = vec![submitted];
    lines.extend(
        summary
            .complaints
            .iter()
            .map(|complaint| format!("warning: {complaint}")),
    );
    if let Some(Withheld { size, problems }) = &summary.withheld {
        lines.push(format!(
            "warning: the head of {size} entries is withheld: too few witnesses cosigned it; the head of {} stays published",
            summary.size
        ));
        lines.extend(problems.iter().map(|problem| format!("  {problem}")));
    }
    lines.join("\n")
}
