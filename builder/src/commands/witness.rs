//! `sealift-builder witness`: a witness, and its key.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use sealift_policy::log::cosignature::WitnessSigner;
use sealift_policy::trust::TrustPolicy;

use super::{Outcome, clock, print};
use crate::cli::{self, WitnessCommand};
use crate::witness::Witness;
use crate::witness::data::{WitnessData, key_path};
use crate::witness::known_logs::KnownLogs;
use crate::witness::serve::{router, serve};
use crate::{durable, key_file};

/// Serves until it is asked to stop, or makes a new witness.
///
/// # Errors
/// When the key or what was seen before cannot be used, or the address cannot be listened on.
pub(super) fn run(options: &cli::Witness) -> anyhow::Result<Outcome> {
    if let Some(WitnessCommand::Init(options)) = &options.command {
        return init(options);
    }
    let (Some(data), Some(listen)) = (&options.data, options.listen) else {
        bail!("`--data` and `--listen` are needed");
    };
    let logs = logs(options)?;
    if logs.iter().next().is_none() {
        bail!("there is no log to look at");
    }
    let signer: WitnessSigner = key_file::read(&key_path(data))
        .context("failed to start\nhint: `sealift-builder witness init` makes a new witness")?;
    let vkey = signer.verifier().to_string();
    let witness = Arc::new(Witness::new(WitnessData::open(data)?, signer, logs)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(listen)
            .await
            .with_context(|| format!("failed to listen on {listen}"))?;
        print(&format!("{vkey}\nlistening on http://{}\n", listener.local_addr()?))?;
        serve(listener, router(witness, clock::now)).await?;
        Ok(Outcome::Done)
    })
}

fn logs(options: &cli::Witness) -> anyhow::Result<KnownLogs> {
    match (&options.logs, &options.trust_policy) {
        (Some(path), _) => {
            let text = fs_err::read_to_string(path)?;
            text.parse().with_context(|| format!("malformed `{}`", path.display()))
        }
        (None, Some(path)) => Ok(KnownLogs::from(&trust_policy(path)?)),
        (None, None) => bail!("`--logs` or `--trust-policy` is needed"),
    }
}

pub(super) fn trust_policy(path: &Path) -> anyhow::Result<TrustPolicy> {
    let text = fs_err::read(path)?;
    serde_json::from_slice(&text).with_context(|| format!("malformed trust policy `{}`", path.display()))
}

fn init(options: &cli::WitnessInit) -> anyhow::Result<Outcome> {
    let signer = WitnessSigner::generate(options.name.clone(), &mut rand_core::OsRng);
    durable::create_folder(&options.data)?;
    key_file::create(&key_path(&options.data), &signer.to_secret_text())?;
    print(&format!("{}\n", signer.verifier()))?;
    Ok(Outcome::Done)
}
