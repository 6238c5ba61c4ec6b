//! The statement that is signed: in-toto Statement v1 with a SLSA v1 provenance predicate, about a batch of units.
//!
//! Owns its one form, which `PROVENANCE.md` describes, and a reader that knows nothing else: what a signature covers and
//! this program does not understand is refused. Must not know who signs it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::digest::{Digest, UnitKey};
use crate::document::UnitDocument;
use crate::key::Package;
use crate::name::{OperatorName, Toolchain};

/// The kind of statement: <https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md>.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

/// The kind of predicate: <https://slsa.dev/spec/v1.0/provenance>.
pub const PREDICATE_TYPE: &str = "https://slsa.dev/provenance/v1";

/// How such units are built.
pub const BUILD_TYPE: &str = "https://github.com/sealift/sealift/blob/main/policy/PROVENANCE.md#build-type-1";

/// What an operator's name follows in the id of its builder.
const BUILDER_ID: &str = "https://github.com/sealift/sealift/blob/main/policy/PROVENANCE.md#operator-";

/// Most subjects of one statement, and most entries of each of its lists.
pub const MAX_SUBJECTS: usize = 4096;

/// Longest free text in it.
const MAX_TEXT: usize = 256;

/// A unit as a statement speaks of it.
#[derive(Debug, Clone, Copy)]
pub struct Unit<'a> {
    /// Its key.
    pub key: UnitKey,
    /// SHA-256 of its manifest.
    pub manifest: Digest,
    /// The document behind the key.
    pub document: &'a UnitDocument,
    /// Whether it was built in a sandbox.
    pub sandboxed: bool,
}

/// Which call of which builder a statement is about.
#[derive(Debug, Clone, Copy)]
pub struct Invocation<'a> {
    /// Whose builder.
    pub operator: &'a OperatorName,
    /// Its version.
    pub builder_version: &'a str,
    /// What tells it from others of this builder: the operator's log and the indexes of the leaves.
    pub id: &'a str,
}

/// A statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    #[serde(deserialize_with = "bounded")]
    subject: Vec<Subject>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    predicate: Predicate,
}

/// One manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Subject {
    name: UnitKey,
    digest: Sha256,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sha256 {
    sha256: Digest,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Predicate {
    build_definition: BuildDefinition,
    run_details: RunDetails,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct BuildDefinition {
    build_type: String,
    external_parameters: ExternalParameters,
    internal_parameters: InternalParameters,
    #[serde(deserialize_with = "bounded")]
    resolved_dependencies: Vec<Archive>,
}

/// What the units are: their keys say the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExternalParameters {
    /// The versions of the rules by which calls are made canonical.
    #[serde(deserialize_with = "bounded")]
    rules: Vec<u32>,
    #[serde(deserialize_with = "bounded")]
    toolchains: Vec<Toolchain>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct InternalParameters {
    /// The units that were built without a sandbox.
    #[serde(deserialize_with = "bounded")]
    unsandboxed: Vec<UnitKey>,
}

/// A crate archive: its package URL and digest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    uri: String,
    digest: Sha256,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RunDetails {
    builder: Builder,
    metadata: Metadata,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Builder {
    id: String,
    version: Versions,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Versions {
    #[serde(rename = "sealift-builder")]
    sealift_builder: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Metadata {
    invocation_id: String,
}

/// Why bytes are not a statement.
#[derive(Debug, thiserror::Error)]
pub enum MalformedStatement {
    /// Not JSON of this shape: something is missing, there twice, too much, or unknown.
    #[error("the statement is malformed")]
    Json(#[source] serde_json::Error),
    /// Another kind of statement, predicate or build.
    #[error("the statement has an unknown {what}: `{found}`")]
    Unknown {
        /// What is unknown about it.
        what: &'static str,
        /// What is there, shortened.
        found: String,
    },
    /// No subject, or one unit twice.
    #[error("the statement names no unit, or one twice")]
    Subjects,
    /// A text that is longer than any real one.
    #[error("the statement has an overlong text")]
    TooLong,
}

impl Statement {
    /// The statement about these units. Its bytes depend on nothing else, nor on their order.
    pub fn new<'a>(invocation: Invocation<'_>, units: impl IntoIterator<Item = Unit<'a>>) -> Self {
        let mut subjects = BTreeMap::new();
        let mut unsandboxed = BTreeSet::new();
        let mut archives = BTreeSet::new();
        let (mut rules, mut toolchains) = (BTreeSet::new(), BTreeSet::new());
        for unit in units {
            subjects.insert(unit.key, unit.manifest);
            if !unit.sandboxed {
                unsandboxed.insert(unit.key);
            }
            archives.insert(archive(unit.document.package()));
            rules.insert(unit.document.rules());
            toolchains.extend(unit.document.compiler().toolchain());
        }
        let subject = subjects.into_iter().map(|(name, sha256)| Subject {
            name,
            digest: Sha256 { sha256 },
        });
        Self {
            kind: STATEMENT_TYPE.into(),
            subject: subject.collect(),
            predicate_type: PREDICATE_TYPE.into(),
            predicate: Predicate {
                build_definition: BuildDefinition {
                    build_type: BUILD_TYPE.into(),
                    external_parameters: ExternalParameters {
                        rules: rules.into_iter().collect(),
                        toolchains: toolchains.into_iter().collect(),
                    },
                    internal_parameters: InternalParameters {
                        unsandboxed: unsandboxed.into_iter().collect(),
                    },
                    resolved_dependencies: archives.into_iter().collect(),
                },
                run_details: RunDetails {
                    builder: Builder {
                        id: format!("{BUILDER_ID}{}", invocation.operator),
                        version: Versions {
                            sealift_builder: invocation.builder_version.into(),
                        },
                    },
                    metadata: Metadata {
                        invocation_id: invocation.id.into(),
                    },
                },
            },
        }
    }

    /// The bytes that are signed.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("statements have string keys only")
    }

    /// Reads a statement. Takes time and memory in the order of the bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, MalformedStatement> {
        let statement: Self = serde_json::from_slice(bytes).map_err(MalformedStatement::Json)?;
        let definition = &statement.predicate.build_definition;
        for (what, found, known) in [
            ("type", &statement.kind, STATEMENT_TYPE),
            ("predicate type", &statement.predicate_type, PREDICATE_TYPE),
            ("build type", &definition.build_type, BUILD_TYPE),
        ] {
            if found != known {
                let found = found.chars().take(80).flat_map(char::escape_default).collect();
                return Err(MalformedStatement::Unknown { what, found });
            }
        }
        let mut names = BTreeSet::new();
        let distinct = statement.subject.iter().all(|subject| names.insert(subject.name));
        if statement.subject.is_empty() || !distinct {
            return Err(MalformedStatement::Subjects);
        }
        let details = &statement.predicate.run_details;
        let uris = definition
            .resolved_dependencies
            .iter()
            .map(|dependency| &dependency.uri);
        let texts = [
            &details.builder.id,
            &details.builder.version.sealift_builder,
            &details.metadata.invocation_id,
        ];
        if texts.into_iter().chain(uris).any(|text| text.len() > MAX_TEXT) {
            return Err(MalformedStatement::TooLong);
        }
        Ok(statement)
    }

    /// Whether it is about a builder of this operator.
    pub fn is_of(&self, operator: &OperatorName) -> bool {
        self.predicate.run_details.builder.id.strip_prefix(BUILDER_ID) == Some(operator.as_str())
    }

    /// The units and the digests of their manifests.
    pub fn subjects(&self) -> impl Iterator<Item = (UnitKey, Digest)> {
        self.subject.iter().map(|subject| (subject.name, subject.digest.sha256))
    }

    /// The crate archives from which it says that they were built.
    pub fn archives(&self) -> impl Iterator<Item = &Archive> {
        self.predicate.build_definition.resolved_dependencies.iter()
    }
}

/// The archive of a package, by its package URL.
pub fn archive(package: &Package) -> Archive {
    // The `+` of build metadata must be escaped in a package URL; names and versions have nothing else to escape.
    let version = package.version.as_str().replace('+', "%2B");
    Archive {
        uri: format!("pkg:cargo/{}@{version}", package.name),
        digest: Sha256 {
            sha256: package.checksum,
        },
    }
}

/// A list that ends the reading when it becomes too long, before it takes memory.
fn bounded<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Bounded<T>(std::marker::PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Bounded<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {MAX_SUBJECTS}")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
            let mut list = Vec::new();
            while let Some(item) = sequence.next_element()? {
                if list.len() == MAX_SUBJECTS {
                    return Err(serde::de::Error::invalid_length(MAX_SUBJECTS + 1, &self));
                }
                list.push(item);
            }
            Ok(list)
        }
    }

    deserializer.deserialize_seq(Bounded(std::marker::PhantomData))
}

#[cfg(test)]
mod tests;
