//! Evidence: a file that shows strangers what a log's key has signed, and what follows from it.
//!
//! Owns the format (a JSON document, version 1, at most [`MAX_BYTES`]) and the judgement, which needs nothing but the file
//! and the public keys of the logs that it speaks of. The file says which keys it means; that they are those of the logs
//! must be known from elsewhere, so the judge is given keys and believes no other.
//!
//! What proves what:
//!
//! | the file has | it proves |
//! | --- | --- |
//! | two heads of one size with different roots | two histories: the key signed both ([`Finding::TwoTrees`]) |
//! | a smaller and a larger head, and hashes that lead to the larger one's root from another root than the smaller one's | the same: a root has one content, so nothing can ever show them consistent ([`Finding::Forked`]) |
//! | the same where the smaller size is a power of two | the same, if the file also gives the root that the larger tree has there: the proof itself leaves it out |
//! | a smaller head that was signed later than a larger one, by their own times | the signer went back, which a Sealift log never does; not that anything was changed ([`Finding::WentBack`]) |
//! | a smaller head that was signed earlier | nothing: it once was the head, and whoever served it later may not be the log ([`Finding::OldHead`]) |
//! | a larger head with a proof that leads nowhere, or none | nothing yet: whoever has the larger log can make the hashes that show it ([`Finding::Unproven`]) |
//! | two leaves for one unit in one log | the log contradicts itself ([`Finding::SecondLeaf`]) |
//! | two leaves for one unit in two logs, that name different manifests | that they disagree, and not which of them is wrong ([`Finding::Disagreement`]) |
//!
//! Signatures cannot tell an operator from whoever has its key. Must not know files, the network, or who is trusted.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::UnitKey;
use crate::leaf::Leaf;
use crate::log::proof::ProofError;
use crate::log::{
    ConsistencyProof, LeafIndex, LogVerifier, Origin, SignedCheckpoint, TlogProof, TreeHash, TreeSize,
    VerifiedCheckpoint,
};

/// Longest evidence file in bytes: two notes or proof files, escaped.
pub const MAX_BYTES: usize = 1 << 20;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    evidence: Evidence,
}

/// What an evidence file holds. Nobody has checked it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Evidence {
    /// Two heads of one log.
    Heads(HeadPair),
    /// Two leaves about one unit.
    Statements(StatementPair),
}

/// Two signed heads of one log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadPair {
    /// The key with which whoever wrote the file verified them.
    pub vkey: LogVerifier,
    /// The signed checkpoint that was seen first.
    pub known: String,
    /// The one that was offered then.
    pub offered: String,
    /// The hashes that were offered as consistency proof from the smaller to the larger.
    #[serde(default)]
    pub consistency: Vec<String>,
    /// The root that the larger tree has at the size of the smaller, where the hashes do not show it themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smaller_root_in_larger: Option<TreeHash>,
}

/// Two leaves about one unit, in one log or in two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatementPair {
    /// One.
    pub first: LoggedLeaf,
    /// The other.
    pub second: LoggedLeaf,
}

/// A leaf and the proof that a log contains it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoggedLeaf {
    /// The key with which whoever wrote the file verified it.
    pub vkey: LogVerifier,
    /// The leaf's bytes.
    pub leaf: String,
    /// The proof file (<https://c2sp.org/tlog-proof>).
    pub proof: String,
}

/// What follows from evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "finding", rename_all = "kebab-case")]
pub enum Finding {
    /// Two trees of one size.
    TwoTrees {
        /// The log.
        log: Origin,
        /// Their size.
        size: TreeSize,
    },
    /// A larger tree that does not begin with the smaller.
    Forked {
        /// The log.
        log: Origin,
        /// Size of the one.
        smaller: TreeSize,
        /// Size of the other.
        larger: TreeSize,
    },
    /// The smaller tree was signed after the larger.
    WentBack {
        /// The log.
        log: Origin,
        /// Size of the tree that was signed later.
        smaller: TreeSize,
        /// Size of the tree that was signed before.
        larger: TreeSize,
    },
    /// Two leaves for one unit in one log.
    SecondLeaf {
        /// The log.
        log: Origin,
        /// The unit.
        unit_key: UnitKey,
        /// Where the leaves are.
        entries: [LeafIndex; 2],
    },
    /// Two logs state different manifests for one unit.
    Disagreement {
        /// The logs.
        logs: [Origin; 2],
        /// The unit.
        unit_key: UnitKey,
    },
    /// The smaller head is the older one.
    OldHead {
        /// The log.
        log: Origin,
    },
    /// What would show that two heads are not consistent is missing.
    Unproven {
        /// The log.
        log: Origin,
    },
    /// What the file has fits together.
    NoContradiction,
}

/// Why a file is no evidence that these keys can judge.
#[derive(Debug, thiserror::Error)]
pub enum NoEvidence {
    /// Longer than [`MAX_BYTES`], or not the JSON document.
    #[error("malformed evidence")]
    Malformed(#[source] Option<serde_json::Error>),
    /// A version that this program does not know.
    #[error("evidence version {0} is not known")]
    Version(u32),
    /// None of the keys is that of a log in it.
    #[error("no key was given for log `{0}`")]
    NoKey(Origin),
    /// A head or leaf is not what the log's key has signed.
    #[error("what is shown of log `{log}` is not signed by its key")]
    NotSigned {
        /// The log.
        log: Origin,
        /// Why.
        #[source]
        source: ProofError,
    },
    /// The two do not speak of the same.
    #[error("the two speak of different {0}")]
    Unrelated(&'static str),
}

impl Evidence {
    /// Reads an evidence file.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoEvidence> {
        if bytes.len() > MAX_BYTES {
            return Err(NoEvidence::Malformed(None));
        }
        let file: File = serde_json::from_slice(bytes).map_err(|error| NoEvidence::Malformed(Some(error)))?;
        if file.version != 1 {
            return Err(NoEvidence::Version(file.version));
        }
        Ok(file.evidence)
    }

    /// The text of an evidence file.
    pub fn to_file(&self) -> String {
        let file = File {
            version: 1,
            evidence: self.clone(),
        };
        let text = serde_json::to_string_pretty(&file).expect("evidence has string keys only");
        format!("{text}\n")
    }

    /// The keys that the file names. Whoever judges by them has only shown that somebody signed this.
    pub fn claimed_keys(&self) -> Vec<&LogVerifier> {
        match self {
            Self::Heads(pair) => vec![&pair.vkey],
            Self::Statements(pair) => vec![&pair.first.vkey, &pair.second.vkey],
        }
    }

    /// What follows from it, if these are the keys of the logs that it speaks of.
    pub fn judge(&self, keys: &[LogVerifier]) -> Result<Finding, NoEvidence> {
        match self {
            Self::Heads(pair) => pair.judge(keys),
            Self::Statements(pair) => pair.judge(keys),
        }
    }
}

impl HeadPair {
    fn judge(&self, keys: &[LogVerifier]) -> Result<Finding, NoEvidence> {
        let (known, offered) = (verified_head(&self.known, keys)?, verified_head(&self.offered, keys)?);
        if known.origin() != offered.origin() {
            return Err(NoEvidence::Unrelated("logs"));
        }
        let log = known.origin().clone();
        let (smaller, larger) = if known.size() <= offered.size() {
            (&known, &offered)
        } else {
            (&offered, &known)
        };
        if smaller.size() == larger.size() {
            return Ok(match smaller.root() == larger.root() {
                true => Finding::NoContradiction,
                false => Finding::TwoTrees {
                    log,
                    size: smaller.size(),
                },
            });
        }
        if self.shows_fork(smaller, larger) {
            return Ok(Finding::Forked {
                log,
                smaller: smaller.size(),
                larger: larger.size(),
            });
        }
        if smaller.time() > larger.time() {
            return Ok(Finding::WentBack {
                log,
                smaller: smaller.size(),
                larger: larger.size(),
            });
        }
        if offered.size() < known.size() {
            return Ok(Finding::OldHead { log });
        }
        let proof = ConsistencyProof::parse(&self.consistency).unwrap_or_default();
        let holds = proof.verify((smaller.size(), smaller.root()), (larger.size(), larger.root()));
        Ok(match holds {
            Ok(()) => Finding::NoContradiction,
            Err(_) => Finding::Unproven { log },
        })
    }

    /// Whether the hashes lead to the larger root from another root than the smaller one's. Both roots are signed, and a
    /// root has one content: what it shows of its own beginning is all that anybody can ever show.
    fn shows_fork(&self, smaller: &VerifiedCheckpoint, larger: &VerifiedCheckpoint) -> bool {
        let Ok(proof) = ConsistencyProof::parse(&self.consistency) else {
            return false;
        };
        let new = (larger.size(), larger.root());
        let shown = match self.smaller_root_in_larger {
            Some(root) => proof.verify((smaller.size(), root), new).ok().map(|()| root),
            None => proof.shown_root(smaller.size(), new),
        };
        smaller.size() != TreeSize::ZERO && shown.is_some_and(|root| root != smaller.root())
    }
}

impl StatementPair {
    fn judge(&self, keys: &[LogVerifier]) -> Result<Finding, NoEvidence> {
        let [first, second] = [self.first.verified(keys)?, self.second.verified(keys)?];
        let unit_key = first.leaf.unit_key();
        if unit_key != second.leaf.unit_key() {
            return Err(NoEvidence::Unrelated("units"));
        }
        if first.log == second.log {
            return Ok(match first.index == second.index {
                // One entry, shown twice.
                true => Finding::NoContradiction,
                false => Finding::SecondLeaf {
                    log: first.log,
                    unit_key,
                    entries: [first.index, second.index],
                },
            });
        }
        Ok(match first.leaf.manifest() == second.leaf.manifest() {
            true => Finding::NoContradiction,
            false => Finding::Disagreement {
                logs: [first.log, second.log],
                unit_key,
            },
        })
    }
}

struct VerifiedLeaf {
    log: Origin,
    index: LeafIndex,
    leaf: Leaf,
}

impl LoggedLeaf {
    fn verified(&self, keys: &[LogVerifier]) -> Result<VerifiedLeaf, NoEvidence> {
        let log = self.vkey.origin();
        let key = key_of(log, keys)?;
        let not_signed = |source| NoEvidence::NotSigned {
            log: log.clone(),
            source,
        };
        let proof = TlogProof::parse(self.proof.as_bytes()).map_err(not_signed)?;
        let inclusion = proof.verify(self.leaf.as_bytes(), key).map_err(not_signed)?;
        // Logged, but no leaf of this format: it says nothing about a unit.
        let leaf = Leaf::from_canonical(self.leaf.as_bytes()).map_err(|_| NoEvidence::Malformed(None))?;
        Ok(VerifiedLeaf {
            log: log.clone(),
            index: inclusion.index(),
            leaf,
        })
    }
}

fn verified_head(text: &str, keys: &[LogVerifier]) -> Result<VerifiedCheckpoint, NoEvidence> {
    let head = SignedCheckpoint::parse(text.as_bytes()).map_err(|_| NoEvidence::Malformed(None))?;
    let log = head.unverified().origin.clone();
    let key = key_of(&log, keys)?;
    head.verify(key).map_err(|source| NoEvidence::NotSigned {
        log,
        source: source.into(),
    })
}

fn key_of<'a>(log: &Origin, keys: &'a [LogVerifier]) -> Result<&'a LogVerifier, NoEvidence> {
    let found = keys.iter().find(|key| key.origin() == log);
    found.ok_or_else(|| NoEvidence::NoKey(log.clone()))
}

impl Finding {
    /// Whether it shows that a log's key was used as no honest signer uses it.
    pub fn is_proof(&self) -> bool {
        match self {
            Self::TwoTrees { .. } | Self::Forked { .. } | Self::WentBack { .. } | Self::SecondLeaf { .. } => true,
            Self::Disagreement { .. } | Self::OldHead { .. } | Self::Unproven { .. } | Self::NoContradiction => false,
        }
    }
}

/// What it proves and what it does not, in words for people.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TwoTrees { log, size } => write!(
                f,
                "log `{log}` signed two different trees of {size} entries: it shows different histories to different people"
            ),
            Self::Forked { log, smaller, larger } => write!(
                f,
                "log `{log}` signed a tree of {larger} entries that does not begin with the tree of {smaller} entries that it \
                 also signed: it was forked or rewritten"
            ),
            Self::WentBack { log, smaller, larger } => write!(
                f,
                "log `{log}` signed a tree of {smaller} entries after one of {larger}, by its own times: its signer went \
                 back, as after restoring a backup. That an entry was changed is not shown"
            ),
            Self::SecondLeaf {
                log,
                unit_key,
                entries: [one, other],
            } => write!(
                f,
                "log `{log}` has two leaves for unit {unit_key}, entries {one} and {other}: an honest log has one"
            ),
            Self::Disagreement {
                logs: [one, other],
                unit_key,
            } => write!(
                f,
                "logs `{one}` and `{other}` state different manifests for unit {unit_key}. At least one of them did not log \
                 what an honest compilation gives, or the unit is not reproducible; which is not shown"
            ),
            Self::OldHead { log } => write!(
                f,
                "the smaller head of log `{log}` was signed before the larger one: it is an old head, and whoever served it \
                 later is not shown. This is no misbehaviour of the log"
            ),
            Self::Unproven { log } => write!(
                f,
                "log `{log}` signed both heads, and nothing in the file shows whether the larger tree begins with the smaller. \
                 Whoever has the entries of the larger log can make the proof"
            ),
            Self::NoContradiction => f.write_str("what the file shows fits together"),
        }
    }
}

#[cfg(test)]
mod tests;
