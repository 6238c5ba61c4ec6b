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
use crate::progress::say;
use crate::{durable, env};

/// How long a service may take to answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The most characters of an answer that are shown.
const MAX_TOLD: usize = 300;

/// How long to wait before each further attempt, after a failure that may pass.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

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
    /// It is too old, and Fulcio would refuse it. Where CI was asked for another one and refused, that is why.
    #[error(
        "the identity token has expired\nhint: tokens are good for some minutes: get a new one right before submitting"
    )]
    Expired(#[source] Option<oidc::Error>),
    /// CI does not answer.
    #[error("CI did not hand out an identity token within {} seconds", TIMEOUT.as_secs())]
    Silent,
    /// A service did not do its part, as it says itself.
    #[error("failed to sign with a certificate: {0}")]
    Services(String),
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
        let Instance {
            fulcio,
            rekor,
            timestamps,
            ..
        } = &self.0;
        let services = SigningServices::new(fulcio, rekor)
            .with_rekor(rekor, RekorApiVersion::V2)
            .with_tsa_url(timestamps);
        // What is asked holds the token, so it goes nowhere else.
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .user_agent(concat!("sealift-builder/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(KeylessError::Client)?;
        let context = SigningContext::new(services).with_http_client(client);
        let statement = statement.to_bytes();
        let mut pauses = PAUSES.into_iter();
        // Another token, key, certificate and entry each time: what an attempt left behind vouches for nothing without the
        // rest.
        let bundle = loop {
            let Signer(token) = Signer::of_now().await?.ok_or(KeylessError::NoToken)?;
            let signing = context.signer(token.clone());
            let error = match signing.sign_raw_statement(&statement).await {
                Ok(bundle) => break bundle,
                Err(error) => error,
            };
            let told = told(&error.to_string(), token.expose_secret());
            match pauses.next() {
                Some(pause) if may_pass(&error) => {
                    say(&format!("signing failed and is tried again: {told}"));
                    tokio::time::sleep(pause).await;
                }
                _ => return Err(KeylessError::Services(told)),
            }
        };
        serde_json::to_string(&bundle).map_err(KeylessError::Malformed)
    }
}

/// What a service said, as a terminal or the public log of a job may show it: in one line that is not long, and without the
/// token, which an answer may repeat.
fn told(text: &str, token: &str) -> String {
    let mut text = text.to_owned();
    for part in token.split('.').filter(|part| !part.is_empty()) {
        text = text.replace(part, "[token]");
    }
    text.chars().take(MAX_TOLD).flat_map(char::escape_debug).collect()
}

/// Whether a service might do its part a little later: it was not reached, is overloaded, or failed by itself. (Of the
/// timestamp authority's refusals `sigstore-tsa` says as little as of a line that broke.)
fn may_pass(error: &sigstore_sign::Error) -> bool {
    use sigstore_sign::Error::{Fulcio, Rekor, Tsa};
    use sigstore_sign::{fulcio, rekor, tsa};
    match error {
        Fulcio(fulcio::Error::Http(_)) | Rekor(rekor::Error::Http(_)) | Tsa(tsa::Error::Http(_)) => true,
        Fulcio(fulcio::Error::Status { status, .. }) | Rekor(rekor::Error::Status { status, .. }) => {
            matches!(status, 408 | 429 | 500..)
        }
        _ => false,
    }
}

impl Signer {
    /// By a token in a file or a variable, or, where that has expired or is not there, one that CI hands out here.
    ///
    /// # Errors
    /// When what is there is no token, or all that is there has expired.
    pub async fn of_now() -> Result<Option<Self>, KeylessError> {
        let given = env::identity_token()?.map(|text| IdentityToken::from_jwt(text.trim()));
        let given = given.transpose().map_err(KeylessError::Token)?;
        if let Some(token) = given.as_ref().filter(|token| !token.is_expired()) {
            return Ok(Some(Self(token.clone())));
        }
        let detected = tokio::time::timeout(TIMEOUT, IdentityToken::detect_ambient()).await;
        match (detected.map_err(|_| KeylessError::Silent)?, given) {
            (Ok(Some(token)), _) if token.is_expired() => Err(KeylessError::Expired(None)),
            (Ok(Some(token)), None) => Ok(Some(Self(token))),
            (Ok(Some(token)), Some(_)) => {
                say("the identity token that was given has expired: the one that CI hands out is used");
                Ok(Some(Self(token)))
            }
            (Ok(None), Some(_)) => Err(KeylessError::Expired(None)),
            (Err(error), Some(_)) => Err(KeylessError::Expired(Some(error))),
            (Ok(None), None) => Ok(None),
            (Err(error), None) => Err(KeylessError::Token(error)),
        }
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
    use sigstore_sign::{Error, fulcio, rekor};

    use super::*;

    #[test]
    fn what_a_service_refuses_is_not_asked_for_again() {
        let refused = |status| fulcio::Error::Status {
            status,
            message: String::new(),
        };
        let failed = |status| rekor::Error::Status {
            status,
            message: String::new(),
        };
        for status in [400, 401, 403, 404, 409, 422] {
            assert!(!may_pass(&Error::Fulcio(refused(status))), "{status}");
            assert!(!may_pass(&Error::Rekor(failed(status))), "{status}");
        }
        for status in [408, 429, 500, 502, 503, 504] {
            assert!(may_pass(&Error::Fulcio(refused(status))), "{status}");
            assert!(may_pass(&Error::Rekor(failed(status))), "{status}");
        }
        assert!(!may_pass(&Error::Fulcio(fulcio::Error::InvalidResponse(String::new()))));
    }

    #[test]
    fn what_a_service_says_is_shown_in_one_line_without_the_token() {
        let said = "503:\n\u{1b}[2Jyou sent eyJhbGciOi.eyJzdWIi.c2lnbmF0dXJl, or c2lnbmF0dXJl";
        let shown = told(said, "eyJhbGciOi.eyJzdWIi.c2lnbmF0dXJl");
        assert_eq!(shown, "503:\\n\\u{1b}[2Jyou sent [token].[token].[token], or [token]");
        assert_eq!(told(&"long ".repeat(1000), "a.b.c").len(), MAX_TOLD);
    }

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
