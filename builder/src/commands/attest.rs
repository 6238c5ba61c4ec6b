//! `sealift-builder attest init`: the key with which an operator says how its units were built.

use serde_json::json;

use super::{Outcome, print};
use crate::data::Data;
use crate::{attest, cli};

/// Makes or imports the key, and prints what others need to verify what it signs.
///
/// # Errors
/// When there is a key already, there is no password, or the folder cannot be written.
pub(super) fn run(options: &cli::Attest) -> anyhow::Result<Outcome> {
    let cli::AttestCommand::Init(options) = &options.command;
    let data = Data::open(&options.data)?;
    let public_key = attest::create(&data, options.import.as_deref())?;
    let snippet = json!({"public_key": public_key});
    if options.json {
        let document = json!({
            "version": 1,
            "operator": data.operator().name,
            "public_key": public_key,
            "provenance": snippet,
        });
        print(&format!("{document}\n"))?;
    } else {
        let operator = &data.operator().name;
        print(&format!(
            "{public_key}\nfor `{operator}` in the trust policy's `operators`, as `provenance`:\n{snippet:#}\n"
        ))?;
    }
    Ok(Outcome::Done)
}
