//! A world whose operators say how they built, with a key or without.
//!
//! Owns what the trust policy says of that. Must not know what is attested.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{PASSWORD_FILE, TOKEN_FILE, World, write_json};
use crate::child::run;
use crate::env::clean_command;
use crate::sigstore::Sigstore;

impl World {
    /// Gives an operator a key with which it attests what it builds. From now on the trust policy names it.
    ///
    /// # Errors
    /// If there is no such operator, or the service does not start again.
    pub fn attest(&mut self, name: &str) -> Result<()> {
        let operator = self.operators.iter_mut().find(|operator| operator.name == name);
        let operator = operator.with_context(|| format!("no operator `{name}`"))?;
        let password = self.folder.join("operators").join(format!("{name}.password"));
        fs_err::write(&password, "a password\n")?;
        operator.password = Some(password.clone());
        let data = operator.data.clone().context("the harness plays it")?;
        let mut command = clean_command(self.programs.builder());
        let command = command.args(["attest", "init", "--json", "--data"]).arg(&data);
        let made = run(command.env(PASSWORD_FILE, &password))?.successful()?;
        self.name_provenance(name, &serde_json::from_str(&made.stdout)?, None)
    }

    /// Lets an operator attest what it builds without a key, at a Sigstore instance. From now on the trust policy names its
    /// identity and the instance.
    ///
    /// # Errors
    /// If there is no such operator, or the service does not start again.
    pub fn attest_at(&mut self, name: &str, sigstore: &Sigstore) -> Result<()> {
        self.show_token(name, &sigstore.token())?;
        let operator = self.operators.iter().find(|operator| operator.name == name);
        let data = operator.and_then(|operator| operator.data.clone());
        let services = sigstore.services();
        let mut command = clean_command(self.programs.builder());
        command
            .args(["attest", "keyless", "--json"])
            .args(["--fulcio", &services.fulcio, "--rekor", &services.rekor])
            .args(["--timestamps", &services.tsa, "--data"])
            .arg(data.context("the harness plays it")?)
            .env(TOKEN_FILE, sigstore.token());
        let made = run(&mut command)?.successful()?;
        let root = serde_json::from_slice(&fs_err::read(sigstore.trusted_root())?)?;
        self.name_provenance(name, &serde_json::from_str(&made.stdout)?, Some(root))
    }

    /// Gives an operator another identity token.
    ///
    /// # Errors
    /// If there is no such operator.
    pub fn show_token(&mut self, name: &str, token: &Path) -> Result<()> {
        let operator = self.operators.iter_mut().find(|operator| operator.name == name);
        let operator = operator.with_context(|| format!("no operator `{name}`"))?;
        operator.identity_token = Some(token.to_owned());
        Ok(())
    }

    fn name_provenance(&mut self, name: &str, made: &Value, trusted_root: Option<Value>) -> Result<()> {
        let path = self.access().trust_policy;
        let mut policy: Value = serde_json::from_slice(&fs_err::read(&path)?)?;
        let operators = policy["operators"].as_array_mut().context("a policy has operators")?;
        for operator in operators.iter_mut().filter(|operator| operator["name"] == name) {
            operator["provenance"] = made["provenance"].clone();
        }
        if let Some(root) = trusted_root {
            policy["trusted_root"] = root;
        }
        write_json(&path, &policy)?;
        self.kill_service();
        self.start_service()
    }
}
