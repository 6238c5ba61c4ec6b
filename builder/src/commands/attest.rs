//! `sealift-builder attest`: how an operator says how its units were built, with a key or without.

use sealift_policy::name::OperatorName;
use serde_json::{Value, json};

use super::{Outcome, print, runtime};
use crate::attest::{self, Instance, Keyless, KeylessError, Signer};
use crate::cli;
use crate::data::Data;
use crate::progress::say;

/// Makes or imports a key, or names a Sigstore instance, and prints what others need to verify what is signed.
///
/// # Errors
/// When there is a key already, there is no password, an address is none, or the folder cannot be written.
pub(super) fn run(options: &cli::Attest) -> anyhow::Result<Outcome> {
    match &options.command {
        cli::AttestCommand::Init(options) => init(options),
        cli::AttestCommand::Keyless(options) => keyless(options),
    }
}

fn init(options: &cli::AttestInit) -> anyhow::Result<Outcome> {
    let data = Data::open(&options.data)?;
    let public_key = attest::create(&data, options.import.as_deref())?;
    let snippet = json!({"public_key": public_key});
    let operator = &data.operator().name;
    if options.json {
        let document = json!({
            "version": 1,
            "operator": operator,
            "public_key": public_key,
            "provenance": snippet,
        });
        print(&format!("{document}\n"))?;
    } else {
        print(&format!("{public_key}\n{}", for_policy(operator, &snippet)))?;
    }
    Ok(Outcome::Done)
}

fn keyless(options: &cli::AttestKeyless) -> anyhow::Result<Outcome> {
    let data = Data::open(&options.data)?;
    let instance = Instance {
        version: 1,
        fulcio: options.fulcio.clone(),
        rekor: options.rekor.clone(),
        timestamps: options.timestamps.clone(),
    };
    // Who that is may be said here already; what counts is what the certificates say.
    let signer = match runtime()?.block_on(Signer::of_now()) {
        Err(KeylessError::Expired(_)) => None,
        signer => signer?,
    };
    let identity = signer.and_then(|signer| signer.identity());
    Keyless::choose(&data, instance)?;
    let operator = &data.operator().name;
    let provenance = identity.map(|identity| json!({"identities": [identity]}));
    if options.json {
        let document = json!({"version": 1, "operator": operator, "provenance": provenance});
        print(&format!("{document}\n"))?;
        return Ok(Outcome::Done);
    }
    if data.provenance_key().exists() {
        say("the provenance key of this operator is not used any more\nhint: remove `keyless.json` to go back to it");
    }
    match provenance {
        Some(provenance) => print(&for_policy(operator, &provenance))?,
        None => print(
            "what the trust policy says of the certificates' subject and issuer is not known before there is one: \
             `openssl x509 -text` shows both\n",
        )?,
    }
    Ok(Outcome::Done)
}

fn for_policy(operator: &OperatorName, snippet: &Value) -> String {
    format!("for `{operator}` in the trust policy's `operators`, as `provenance`:\n{snippet:#}\n")
}
