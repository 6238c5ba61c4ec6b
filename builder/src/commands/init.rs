//! `sealift-builder init`: a new operator, or a new epoch's first log.

use sealift_policy::log::Origin;
use sealift_policy::log::key::LogSigner;
use serde_json::json;

use super::{Outcome, clock, print};
use crate::cli;
use crate::data::{Data, Operator};
use crate::key_file;
use crate::log_store::FolderStore;
use crate::sequencer::Sequencer;

/// Makes the key and the empty log, and prints what others need to trust it.
///
/// # Errors
/// When the folder is an operator's already, or cannot be written.
pub(super) fn run(options: &cli::Init) -> anyhow::Result<Outcome> {
    let origin = Origin::of(&options.operator, options.epoch);
    let signer = LogSigner::generate(origin, &mut rand_core::OsRng);
    let vkey = signer.verifier().clone();
    let operator = Operator {
        version: 1,
        name: options.operator.clone(),
        epoch: options.epoch,
        vkey: vkey.clone(),
    };
    let data = Data::create(&options.data, operator)?;
    // A crash between these steps leaves a folder without `operator.json`: nothing was signed that anybody saw, and
    // the key that is there is never replaced, so that the operator looks at it.
    key_file::create(&data.key(), &signer.to_secret_text())?;
    Sequencer::create(FolderStore::new(&data.log(), &data.seen()), signer, clock::now())?;
    data.finish()?;
    let snippet = json!({"name": options.operator, "logs": [{"epoch": options.epoch, "vkey": vkey}]});
    if options.json {
        let document = json!({
            "version": 1,
            "operator": options.operator,
            "epoch": options.epoch,
            "vkey": vkey,
            "policy": snippet,
        });
        print(&format!("{document}\n"))?;
    } else {
        print(&format!("{vkey}\n\nfor the trust policy's `operators`:\n{snippet:#}\n"))?;
    }
    Ok(Outcome::Done)
}
