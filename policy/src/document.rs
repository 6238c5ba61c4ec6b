//! The document behind a unit key: of a rustc call or of a build script's run.
//!
//! Owns telling the two apart, which their fields do, and what is asked of both. Must not know what either is made from.

use serde::{Deserialize, Serialize};

use crate::canonical;
use crate::digest::{Digest, UnitKey};
use crate::key::{CALL_RULES, Class, Compiler, KeyDocument, MAX_KEY_DOCUMENT, MalformedKeyDocument, Package};
use crate::manifest::Role;
use crate::run::{RUN_RULES, RunDocument};

/// Whatever a unit key is the SHA-256 of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum UnitDocument {
    /// Of a compilation.
    Call(Box<KeyDocument>),
    /// Of a build script's run.
    Run(Box<RunDocument>),
}

impl From<KeyDocument> for UnitDocument {
    fn from(document: KeyDocument) -> Self {
        Self::Call(Box::new(document))
    }
}

impl From<RunDocument> for UnitDocument {
    fn from(document: RunDocument) -> Self {
        Self::Run(Box::new(document))
    }
}

impl UnitDocument {
    /// The bytes that are hashed.
    pub fn to_canonical(&self) -> String {
        canonical::to_string(self)
    }

    /// The key of these bytes and the document in them.
    pub fn from_canonical(bytes: &[u8]) -> Result<(UnitKey, Self), MalformedKeyDocument> {
        let document: Self = canonical::from_bytes(bytes, MAX_KEY_DOCUMENT)?;
        match &document {
            Self::Call(call) => call.check()?,
            Self::Run(run) => run.check()?,
        }
        Ok((UnitKey::new(Digest::of(bytes)), document))
    }

    /// The package.
    pub fn package(&self) -> &Package {
        match self {
            Self::Call(call) => &call.package,
            Self::Run(run) => &run.package,
        }
    }

    /// The compiler that was run, or that the script may ask.
    pub fn compiler(&self) -> &Compiler {
        match self {
            Self::Call(call) => &call.compiler,
            Self::Run(run) => &run.compiler,
        }
    }

    /// The name that the outputs bear.
    pub fn crate_name(&self) -> &str {
        match self {
            Self::Call(call) => &call.crate_name,
            Self::Run(_) => RunDocument::CRATE_NAME,
        }
    }

    /// The roles of the outputs that such a unit has, in the order of a manifest; `None` for an unknown combination.
    pub fn expected_roles(&self) -> Option<&'static [Role]> {
        match self {
            Self::Call(call) => call.expected_roles(),
            Self::Run(_) => Some(&[Role::Stdout, Role::OutDir]),
        }
    }

    /// The class of the unit. Of a document that was downloaded this is a plan for what to fetch; when a unit is
    /// installed its class comes from the call.
    pub fn class(&self) -> Result<Class, MalformedKeyDocument> {
        match self {
            Self::Call(call) => call.class(),
            Self::Run(_) => Ok(Class::HostCode),
        }
    }

    /// The version of the rules by which it is made.
    pub fn rules(&self) -> u32 {
        match self {
            Self::Call(call) => call.rules,
            Self::Run(run) => run.rules,
        }
    }

    /// Whether it is of the rules of this program: what is of others is never asked for.
    pub fn is_of_these_rules(&self) -> bool {
        match self {
            Self::Call(call) => call.rules == CALL_RULES,
            Self::Run(run) => run.rules == RUN_RULES,
        }
    }
}
