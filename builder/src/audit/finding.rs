//! What an audit can find, how bad it is, and what people are told.
//!
//! Owns the list. A finding names what it is about so that anybody can look: log, tile and index, unit, digest.
//! Must not know how anything was found.

use std::fmt;

use sealift_policy::digest::{Digest, UnitKey};
use sealift_policy::log::{LeafIndex, TilePath};
use sealift_policy::name::OperatorName;
use sealift_policy::trust::Statement;
use serde::{Serialize, Serializer};

/// One log of one operator.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct LogName {
    /// Whose.
    pub operator: OperatorName,
    /// Which of the operator's.
    pub epoch: u32,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Something that should be there could not be had. What it would have said is not known.
    NotThere,
    /// Something is not what was signed, or what was signed contradicts itself or the rules.
    Wrong,
}

/// An object of the content-addressed store, by what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectKind {
    /// The document behind a unit key.
    KeyDocument,
    /// What a leaf states.
    Manifest,
    /// A file that a unit produced.
    Output,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "finding", rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the fields are the names in what `Display` says")]
pub enum Finding {
    /// There is no checkpoint, or it cannot be had.
    NoCheckpoint { log: LogName, why: String },
    /// The checkpoint is none, or none of the configured key.
    NotSigned { log: LogName, why: String },
    /// Clients do not use this head: too old, from the future, not witnessed.
    NotUsable { log: LogName, why: String },
    /// The policy froze this log, and it has another head.
    NotFrozen { log: LogName },
    /// The tree is smaller than it was. Both signed heads are the evidence.
    RolledBack {
        log: LogName,
        known: u64,
        served: u64,
        heads: [String; 2],
    },
    /// Two trees of one size. Both signed heads are the evidence.
    SplitView {
        log: LogName,
        size: u64,
        heads: [String; 2],
    },
    /// A larger tree that does not begin with the one that was seen before.
    Forked {
        log: LogName,
        known: u64,
        served: u64,
        entry: Option<u64>,
        heads: [String; 2],
    },
    /// The signed tree is larger by more than one audit reads.
    GrownTooMuch { log: LogName, known: u64, served: u64 },
    /// A tile or an entry bundle that cannot be had.
    TileMissing {
        log: LogName,
        #[serde(serialize_with = "text")]
        tile: TilePath,
        why: String,
    },
    /// So many of its files cannot be had, or are so long, that the rest was not asked for.
    GivenUp { log: LogName, why: String },
    /// A tile or an entry bundle that ends too early, or is too long.
    TileCut {
        log: LogName,
        #[serde(serialize_with = "text")]
        tile: TilePath,
    },
    /// A tile whose hash at this index (of its level) is not that of the signed tree.
    TileChanged {
        log: LogName,
        #[serde(serialize_with = "text")]
        tile: TilePath,
        index: u64,
    },
    /// An entry that is not the one that was signed.
    EntryChanged {
        log: LogName,
        #[serde(serialize_with = "text")]
        tile: TilePath,
        index: u64,
    },
    /// Tile and entry contradict each other, and the rest does not tell which was signed.
    TileOrEntryChanged {
        log: LogName,
        #[serde(serialize_with = "text")]
        tile: TilePath,
        index: u64,
    },
    /// Entries and tiles agree with each other, and not with the signed root.
    OtherRoot { log: LogName, size: u64 },
    /// An entry that is no leaf, or not in the one spelling.
    NotALeaf {
        log: LogName,
        index: u64,
        entry: String,
        why: String,
    },
    /// An entry of a later version than this program knows.
    LaterVersion { log: LogName, index: u64, why: String },
    /// One log with two leaves for one unit.
    SecondLeaf {
        log: LogName,
        unit_key: UnitKey,
        first: (u64, Digest),
        second: (u64, Digest),
    },
    /// Different manifests for one unit: each statement is a leaf.
    Disagreement { unit_key: UnitKey, statements: Vec<Stated> },
    /// An object that cannot be had.
    ObjectMissing {
        unit_key: UnitKey,
        kind: ObjectKind,
        object: Digest,
        stated_by: Vec<LogName>,
        why: String,
    },
    /// An object that is not what it is called, or does not fit the unit.
    ObjectWrong {
        unit_key: UnitKey,
        kind: ObjectKind,
        object: Digest,
        stated_by: Vec<LogName>,
        why: String,
    },
    /// The sample, or the rest of it, could not be built again.
    NotRebuilt { why: String },
    /// A proof file that cannot be had.
    ProofMissing {
        log: LogName,
        unit_key: UnitKey,
        why: String,
    },
    /// A proof file that does not prove that the leaf is in the log.
    ProofWrong {
        log: LogName,
        unit_key: UnitKey,
        why: String,
    },
}

/// One leaf of a [`Finding::Disagreement`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stated {
    /// In which log.
    pub log: LogName,
    /// Where in it.
    pub index: u64,
    /// The SHA-256 of the manifest that it names.
    pub manifest: Digest,
}

impl From<&Statement> for Stated {
    fn from(statement: &Statement) -> Self {
        Self {
            log: LogName {
                operator: statement.operator.clone(),
                epoch: statement.epoch,
            },
            index: statement.index.value(),
            manifest: statement.manifest,
        }
    }
}

impl Finding {
    /// How bad it is.
    pub const fn severity(&self) -> Severity {
        match self {
            Self::NoCheckpoint { .. }
            | Self::NotUsable { .. }
            | Self::GrownTooMuch { .. }
            | Self::TileMissing { .. }
            | Self::GivenUp { .. }
            | Self::TileCut { .. }
            | Self::LaterVersion { .. }
            | Self::ObjectMissing { .. }
            | Self::NotRebuilt { .. }
            | Self::ProofMissing { .. } => Severity::NotThere,
            Self::NotSigned { .. }
            | Self::NotFrozen { .. }
            | Self::RolledBack { .. }
            | Self::SplitView { .. }
            | Self::Forked { .. }
            | Self::TileChanged { .. }
            | Self::EntryChanged { .. }
            | Self::TileOrEntryChanged { .. }
            | Self::OtherRoot { .. }
            | Self::NotALeaf { .. }
            | Self::SecondLeaf { .. }
            | Self::Disagreement { .. }
            | Self::ObjectWrong { .. }
            | Self::ProofWrong { .. } => Severity::Wrong,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCheckpoint { log, why } => write!(f, "{log}: no checkpoint: {why}"),
            Self::NotSigned { log, why } => write!(f, "{log}: the checkpoint is not one of its key: {why}"),
            Self::NotUsable { log, why } => write!(f, "{log}: clients do not use its head: {why}"),
            Self::NotFrozen { log } => write!(f, "{log}: it is frozen, and has another head"),
            Self::RolledBack { log, known, served, .. } => {
                write!(f, "{log}: rolled back: {served} leaves after {known} were seen")
            }
            Self::SplitView { log, size, .. } => write!(f, "{log}: two signed trees of {size} leaves"),
            Self::Forked {
                log,
                known,
                served,
                entry,
                ..
            } => {
                write!(
                    f,
                    "{log}: the signed tree of {served} leaves does not begin with the one of {known}"
                )?;
                entry.map_or(Ok(()), |entry| write!(f, ": entry {entry} is another one"))
            }
            Self::GrownTooMuch { log, known, served } => write!(
                f,
                "{log}: a tree of {served} leaves after {known} were seen: more than one audit reads"
            ),
            Self::TileMissing { log, tile, why } => write!(f, "{log}: `{tile}` is missing: {why}"),
            Self::GivenUp { log, why } => write!(f, "{log}: the rest of it was not looked at: {why}"),
            Self::TileCut { log, tile } => write!(f, "{log}: `{tile}` is cut off, or too long"),
            Self::TileChanged { log, tile, index } => {
                write!(
                    f,
                    "{log}: `{tile}` was changed: hash {index} is not that of the signed tree"
                )
            }
            Self::EntryChanged { log, tile, index } => {
                write!(
                    f,
                    "{log}: `{tile}` was changed: entry {index} is not the one that was signed"
                )
            }
            Self::TileOrEntryChanged { log, tile, index } => {
                write!(
                    f,
                    "{log}: `{tile}` or its tile of hashes was changed: they differ at entry {index}"
                )
            }
            Self::OtherRoot { log, size } => {
                write!(f, "{log}: the {size} entries do not give the root that was signed")
            }
            Self::NotALeaf { log, index, why, .. } => write!(f, "{log}: entry {index} is no leaf: {why}"),
            Self::LaterVersion { log, index, why } => {
                write!(
                    f,
                    "{log}: entry {index} is of a later version than this program knows: {why}"
                )
            }
            Self::SecondLeaf {
                log,
                unit_key,
                first,
                second,
            } => write!(
                f,
                "{log}: two leaves for unit {unit_key}: entry {} states manifest {}, entry {} states {}",
                first.0, first.1, second.0, second.1
            ),
            Self::Disagreement { unit_key, statements } => {
                write!(f, "operators disagree about unit {unit_key}:")?;
                statements.iter().try_for_each(|stated| {
                    let Stated { log, index, manifest } = stated;
                    write!(f, " entry {index} of {log} states manifest {manifest};")
                })
            }
            Self::ObjectMissing {
                unit_key,
                kind,
                object,
                stated_by,
                why,
            } => {
                write!(
                    f,
                    "{kind} {object} of unit {unit_key} ({}) is missing: {why}",
                    names(stated_by)
                )
            }
            Self::ObjectWrong {
                unit_key,
                kind,
                object,
                stated_by,
                why,
            } => {
                write!(
                    f,
                    "{kind} {object} of unit {unit_key} ({}) is wrong: {why}",
                    names(stated_by)
                )
            }
            Self::NotRebuilt { why } => write!(f, "the sample could not be built again: {why}"),
            Self::ProofMissing { log, unit_key, why } => {
                write!(f, "{log}: the proof file of unit {unit_key} is missing: {why}")
            }
            Self::ProofWrong { log, unit_key, why } => {
                write!(f, "{log}: the proof file of unit {unit_key} proves nothing: {why}")
            }
        }
    }
}

impl fmt::Display for LogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "log {} of `{}`", self.epoch, self.operator)
    }
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KeyDocument => "key document",
            Self::Manifest => "manifest",
            Self::Output => "output",
        })
    }
}

fn names(logs: &[LogName]) -> String {
    let names: Vec<_> = logs.iter().map(LogName::to_string).collect();
    names.join(", ")
}

fn text<S: Serializer>(tile: &TilePath, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(tile)
}

/// A statement of a log about a unit.
pub fn statement(log: &LogName, index: LeafIndex, manifest: Digest) -> Statement {
    Statement {
        operator: log.operator.clone(),
        epoch: log.epoch,
        index,
        manifest,
    }
}
