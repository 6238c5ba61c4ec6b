//! Attesting: what an operator says about how a batch of units was built, signed, as it goes with the submission.
//!
//! Owns which units a statement is about and when it is signed: for each batch, when it is submitted, so that an operator
//! who makes a key today can also attest what was signed before. The bundle is durable before it is sent.
//! Must not know the service, or how anything was built.

mod key;
mod keyless;

use std::io;
use std::path::Path;

use sealift_policy::document::UnitDocument;
use sealift_policy::leaf::Leaf;
use sealift_policy::provenance::bundle::{assemble, to_be_signed};
use sealift_policy::provenance::statement::{Invocation, Unit};
use sealift_policy::provenance::{ProvenanceKey, Statement};
use sealift_policy::wire::SubmissionHeader;

pub use key::{AttestKey, KeyError};
pub use keyless::{Instance, Keyless, KeylessError, Signer};

use crate::data::Data;
use crate::key_file::{self, KeyFileError};
use crate::{durable, env};

/// Why nothing is attested.
#[derive(Debug, thiserror::Error)]
pub enum AttestError {
    /// The key's file is missing or was exposed.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// The text is no key, or the password another.
    #[error("failed to use the provenance key `{path}`{}", hint(.source))]
    Key {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// Sigstore's services, or what they ask for, are not there.
    #[error(transparent)]
    Keyless(#[from] KeylessError),
    /// A unit's documents are damaged.
    #[error("a document of what was signed is damaged")]
    Damaged,
    /// The bundle cannot be kept, or the password not be read.
    #[error("failed to attest")]
    Io(#[from] io::Error),
}

fn hint(error: &KeyError) -> String {
    match error {
        KeyError::NoPassword => format!(
            "\nhint: set `{}`, or `{}` to a file that holds it",
            env::PROVENANCE_PASSWORD,
            env::PROVENANCE_PASSWORD_FILE
        ),
        _ => String::new(),
    }
}

/// Whoever attests for an operator.
#[derive(Debug)]
pub enum Attestor {
    /// With a key of the operator's own.
    Key(AttestKey),
    /// With certificates that a Sigstore instance gives to an identity.
    Keyless(Keyless),
}

impl Attestor {
    /// As a data folder says: without a key where it names a Sigstore instance, else with its key; `None` if there is
    /// neither, and nothing is attested.
    ///
    /// # Errors
    /// When the key, or what is said of the instance, cannot be used.
    pub fn open(data: &Data) -> Result<Option<Self>, AttestError> {
        if let Some(keyless) = Keyless::open(data)? {
            return Ok(Some(Self::Keyless(keyless)));
        }
        let path = data.provenance_key();
        if path.symlink_metadata().is_err() {
            return Ok(None);
        }
        let text = key_file::read_text(&path)?;
        let key = read(&path, &text, env::provenance_password()?.as_deref())?;
        Ok(Some(Self::Key(key)))
    }

    /// Fails now if it would fail later for lack of an identity token. One that has expired may be replaced by then.
    ///
    /// # Errors
    /// When there is none, or what is there is none.
    pub async fn check(&self) -> Result<(), AttestError> {
        match self {
            Self::Key(_) => Ok(()),
            Self::Keyless(_) => match Signer::of_now().await {
                Ok(Some(_)) | Err(KeylessError::Expired(_)) => Ok(()),
                Ok(None) => Err(KeylessError::NoToken.into()),
                Err(error) => Err(error.into()),
            },
        }
    }

    /// The bundle about the units of a submission, which is durable when this returns. `sandboxed` says of each unit
    /// whether it was built in a sandbox.
    ///
    /// # Errors
    /// When a document is damaged, or the bundle cannot be signed or kept.
    pub async fn bundle(
        &self,
        data: &Data,
        header: &SubmissionHeader,
        sandboxed: &[bool],
    ) -> Result<String, AttestError> {
        let mut documents = Vec::with_capacity(header.units.len());
        for unit in &header.units {
            let leaf = Leaf::from_canonical(unit.leaf.as_bytes()).map_err(|_| AttestError::Damaged)?;
            let document = UnitDocument::from_canonical(unit.key_document.as_bytes());
            let (key, document) = document.map_err(|_| AttestError::Damaged)?;
            if key != leaf.unit_key() {
                return Err(AttestError::Damaged);
            }
            documents.push((leaf, document));
        }
        let units = documents
            .iter()
            .zip(sandboxed)
            .map(|((leaf, document), &sandboxed)| Unit {
                key: leaf.unit_key(),
                manifest: leaf.manifest(),
                document,
                sandboxed,
            });
        let (from, to) = (header.old_size, header.old_size + header.units.len() as u64);
        let operator = data.operator();
        let invocation = Invocation {
            operator: &operator.name,
            builder_version: env!("CARGO_PKG_VERSION"),
            id: &format!("{}/{}/{from}-{to}", operator.name, operator.epoch),
        };
        let statement = Statement::new(invocation, units);
        let path = data.provenance(from, to);
        let bundle = match self {
            Self::Key(key) => {
                let signature = key.sign(&to_be_signed(&statement)).map_err(|source| AttestError::Key {
                    path: data.provenance_key(),
                    source,
                })?;
                assemble(&statement, key.public(), &signature)
            }
            Self::Keyless(keyless) => keyless.sign(&statement).await?,
        };
        durable::write(&path, bundle.as_bytes())?;
        Ok(bundle)
    }
}

/// Makes the operator's key, or takes one that cosign made. It is never replaced.
///
/// # Errors
/// When there is one already, there is no password, or the file system fails.
pub fn create(data: &Data, import: Option<&Path>) -> Result<ProvenanceKey, AttestError> {
    let path = data.provenance_key();
    let password = env::provenance_password()?;
    let (text, public) = match import {
        Some(file) => {
            let text = fs_err::read_to_string(file)?;
            let key = read(file, &text, password.as_deref())?;
            (text, *key.public())
        }
        None => AttestKey::generate(password.as_deref()).map_err(|source| AttestError::Key {
            path: path.clone(),
            source,
        })?,
    };
    key_file::create(&path, text.trim_end())?;
    Ok(public)
}

fn read(path: &Path, text: &str, password: Option<&[u8]>) -> Result<AttestKey, AttestError> {
    AttestKey::from_encrypted(text, password).map_err(|source| AttestError::Key {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests;
