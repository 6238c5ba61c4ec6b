//! Who signs without a key of its own: an identity to which a Sigstore instance gives certificates, and what is believed of
//! that instance.
//!
//! Owns how both are written in a trust policy. Must not know how either is checked.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// To whom a certificate was given, and who vouched for that. Both are compared as they are, without patterns.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The certificate's subject alternative name: an email address, or the URI of a workflow.
    pub subject: String,
    /// The OIDC issuer that vouched for it.
    pub issuer: String,
}

/// The certificate authorities, logs and timestamp authorities of a Sigstore instance: its `trusted_root.json`
/// (`application/vnd.dev.sigstore.trustedroot+json`), read when a bundle is checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TrustedRoot(pub Value);
