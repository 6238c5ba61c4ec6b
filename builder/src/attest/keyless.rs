//! Signing without a key of one's own: a key for this one statement, a certificate that Fulcio gives for an identity token, an
//! entry in Rekor (version 2) and a timestamp.
//!
//! Owns which instance is asked (`keyless.json`), where the token comes from, and the one use of `sigstore-sign`, which
//! speaks to the services. It decides nothing about what is believed. Must not know what is signed.

use std::io;
use std::time::Duration;

use sealift_policy::provenance::{Identity, Statement};
use serde::{Deserialize, Serialize};
use sigstore_sign::oidc::{self, IdentityToken};
use sigstore_sign::rekor::RekorApiVersion;
use sigstore_sign::{SigningContext, SigningServices};

use crate::data::Data;
use crate::{durable, env};

/// How long a service may take to answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why nothing is signed.
#[derive(Debug, thiserror::Error)]
pub enum KeylessError {
    /// Nobody says who signs.
    #[error(
        "there is no identity token\nhint: set `{}` to a file that holds one for the audience `sigstore`, or run where CI hands them out",
        env::IDENTITY_TOKEN_FILE
    )]
    NoToken,
    /// What is there is no token, or CI refuses one.
    #[error("failed to get an identity token")]
    Token(#[source] oidc::Error),
    /// It is too old, and Fulcio would refuse it.
    #[error(
        "the identity token has expired\nhint: tokens are good for some minutes: get a new one right before submitting"
    )]
    Expired,
    /// A service did not do its part.
    #[error("failed to sign with a certificate")]
    Services(#[source] Box<sigstore_sign::Error>),
    /// An address is none, or whoever listens on the way would get the token.
    #[error("`{0}` is not an https address")]
    Address(String),
    /// There is no client.
    #[error("failed to start an HTTP client")]
    Client(#[source] reqwest::Error),
    /// The file cannot be read or written.
    #[error("failed to use `keyless.json`")]
    Io(#[from] io::Error),
    /// The file is another one.
    #[error("`keyless.json` is malformed")]
    Malformed(#[source] serde_json::Error),
}

/// A Sigstore instance, by the addresses of its services. Version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// Always 1.
    pub version: u32,
    /// The certificate authority.
    pub fulcio: String,
    /// The log, of version 2.
    pub rekor: String,
    /// Where timestamps are asked for (RFC 3161), since a log of version 2 says no times.
    pub timestamps: String,
}

/// Signs with certificates of an instance.
#[derive(Debug)]
pub struct Keyless(Instance);

/// Who signs, as the token of now says.
#[derive(Debug)]
pub struct Signer(IdentityToken);

impl Keyless {
    /// As a data folder says; `None` if it says nothing.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn open(data: &Data) -> Result<Option<Self>, KeylessError> {
        let Some(text) = durable::read(&data.keyless())? else {
            return Ok(None);
        };
        let instance: Instance = serde_json::from_slice(&text).map_err(KeylessError::Malformed)?;
        instance.check()?;
        Ok(Some(Self(instance)))
    }

    /// From now on this instance is asked, whatever key there is.
    ///
    /// # Errors
    /// When an address is none, or the folder cannot be written.
    pub fn choose(data: &Data, instance: Instance) -> Result<Self, KeylessError> {
        instance.check()?;
        let text = serde_json::to_vec_pretty(&instance).map_err(KeylessError::Malformed)?;
        durable::write(&data.keyless(), &text)?;
        Ok(Self(instance))
    }

    /// The bundle of a statement.
    pub(super) async fn sign(&self, statement: &Statement) -> Result<String, KeylessError> {
        let Signer(token) = Signer::of_now().await?.ok_or(KeylessError::NoToken)?;
        if token.is_expired() {
            return Err(KeylessError::Expired);
        }
        let Instance {
            fulcio,
            rekor,
            timestamps,
            ..
        } = &self.0;
        let services = SigningServices::new(fulcio, rekor)
            .with_rekor(rekor, RekorApiVersion::V2)
            .with_tsa_url(timestamps);
        let failed = |error| KeylessError::Services(Box::new(error));
        // What is asked holds the token, so it goes nowhere else.
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .user_agent(concat!("sealift-builder/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(KeylessError::Client)?;
        let signer = SigningContext::new(services).with_http_client(client).signer(token);
        let bundle = signer.sign_raw_statement(&statement.to_bytes()).await.map_err(failed)?;
        serde_json::to_string(&bundle).map_err(KeylessError::Malformed)
    }
}

impl Signer {
    /// By a token in a file or a variable, or one that CI hands out here.
    ///
    /// # Errors
    /// When what is there is no token.
    pub async fn of_now() -> Result<Option<Self>, KeylessError> {
        let token = match env::identity_token()? {
            Some(text) => Some(IdentityToken::from_jwt(text.trim()).map_err(KeylessError::Token)?),
            None => {
                let detected = tokio::time::timeout(TIMEOUT, IdentityToken::detect_ambient()).await;
                detected
                    .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
                    .map_err(KeylessError::Token)?
            }
        };
        Ok(token.map(Self))
    }

    /// As a trust policy names it, where the token tells. Of an email address that is what certificates say; of workflows
    /// they say the URI of the workflow instead, and of a token that was given for another one the other one's issuer.
    pub fn identity(&self) -> Option<Identity> {
        if self.0.claims().federated_claims.is_some() {
            return None;
        }
        Some(Identity {
            subject: self.0.email()?.to_owned(),
            issuer: self.0.issuer().to_owned(),
        })
    }
}

impl Instance {
    fn check(&self) -> Result<(), KeylessError> {
        for address in [&self.fulcio, &self.rekor, &self.timestamps] {
            let is_safe = reqwest::Url::parse(address).is_ok_and(|url| {
                let is_loopback = ["127.0.0.1", "[::1]", "localhost"].contains(&url.host_str().unwrap_or_default());
                url.scheme() == "https" || (url.scheme() == "http" && is_loopback)
            });
            if !is_safe {
                return Err(KeylessError::Address(address.clone()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_over_no_open_line() {
        let instance = |address: &str| Instance {
            version: 1,
            fulcio: address.into(),
            rekor: "https://rekor.example".into(),
            timestamps: "https://timestamps.example/api/v1/timestamp".into(),
        };
        for good in [
            "https://fulcio.example",
            "http://127.0.0.1:5555",
            "http://localhost:5555",
        ] {
            assert!(instance(good).check().is_ok(), "{good}");
        }
        for bad in [
            "http://fulcio.example",
            "http://127.0.0.1.example",
            "ftp://localhost",
            "fulcio",
            "",
        ] {
            assert!(matches!(instance(bad).check(), Err(KeylessError::Address(_))), "{bad}");
        }
    }
}
