//! Reading one log: its head, what is new since the last audit, and whether all of it is one tree.
//!
//! Owns the order of checks. What cannot be had is named and the reading goes on; what is wrong is named with its place.
//! Must not know what leaves mean to other logs, or what is remembered where.
//!
//! Long because what each check may rely on is what the ones before it found, which reads from top to bottom.

mod fetch;

use std::collections::BTreeMap;

use futures::{StreamExt as _, stream};
use sealift_policy::layout::ObjectPath;
use sealift_policy::leaf::{Leaf, MalformedLeaf};
use sealift_policy::log::tile::{self, TileKind, WIDTH};
use sealift_policy::log::{
    EntryBundle, LeafIndex, LogVerifier, SignedCheckpoint, TilePath, Tree, TreeHash, TreeSize, VerifiedCheckpoint, note,
};
use sealift_policy::trust::{Freshness, Rejection, Statement, TrustPolicy};

pub(super) use self::fetch::MAX_MISSING;
use self::fetch::MAX_READ;
use super::finding::{Finding, LogName, statement};
use super::record::{KnownLog, bundles};
use super::tiles::{self, Bundle, Settled};
use super::{AT_ONCE, because};
use crate::service::Service;

/// How many entries that were not seen before are read in one audit: a head is a few bytes, and its size any number.
pub(super) const MAX_GROWTH: u64 = 1 << 24;

/// How much of an entry that is none is shown.
const SHOWN: usize = 400;

/// What reading a log gave.
#[derive(Debug)]
pub struct LogAudit {
    /// Which.
    pub name: LogName,
    /// The head that is served, if it is one.
    pub head: Option<VerifiedCheckpoint>,
    /// The tree of the newest head whose entries give its root.
    pub tree: Tree,
    /// How many entries were seen the last time.
    pub known: u64,
    /// The leaves of that tree; what could not be had is left out.
    pub leaves: Vec<(LeafIndex, Leaf)>,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// What to remember, if all of it was right.
    pub remember: Option<Remember>,
}

/// A head and the entries that lead to it.
#[derive(Debug)]
pub struct Remember {
    /// The head.
    pub head: VerifiedCheckpoint,
    /// The entry bundles that are new.
    pub bundles: Vec<(TilePath, Vec<u8>)>,
    /// Up to which size the tiles of hashes are right.
    pub tiles_checked: TreeSize,
}

/// What is asked of a log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) service: &'a Service,
    pub(super) policy: &'a TrustPolicy,
    /// Seconds since 1970.
    pub(super) now: u64,
    /// Whether what was right the last time is read again.
    pub(super) again: bool,
}

/// One attempt to read the entries from some bundle on.
struct Attempt {
    bundles: Vec<Bundle>,
    /// What was served, by path: entry bundles and lowest tiles.
    served: BTreeMap<TilePath, Vec<u8>>,
    missing: Vec<Finding>,
    settled: Settled,
}

impl Reader<'_> {
    /// Reads a log.
    pub(super) async fn read(self, name: LogName, verifier: &LogVerifier, known: KnownLog) -> LogAudit {
        let mut audit = LogAudit {
            known: known.entries.len() as u64,
            head: None,
            tree: tree_of(&known.entries),
            leaves: vec![],
            findings: vec![],
            remember: None,
            name,
        };
        let entries = match self.head(&mut audit, verifier).await {
            Some(head) => self.follow(&mut audit, &head, &known).await,
            None => None,
        };
        let entries = entries.unwrap_or_else(|| known.entries.into_iter().map(Some).collect());
        let name = audit.name.clone();
        for (index, entry) in entries.into_iter().enumerate() {
            let (Some(entry), Ok(index)) = (entry, LeafIndex::try_from(index as u64)) else {
                continue;
            };
            match Leaf::from_canonical(&entry) {
                Ok(leaf) => audit.leaves.push((index, leaf)),
                Err(error) => audit.findings.push(not_a_leaf(&name, index, &entry, &error)),
            }
        }
        audit
    }

    async fn head(self, audit: &mut LogAudit, verifier: &LogVerifier) -> Option<VerifiedCheckpoint> {
        let log = audit.name.clone();
        let path = ObjectPath::Checkpoint(log.operator.clone(), log.epoch);
        let bytes = match self.service.read(&path, note::MAX_BYTES as u64).await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => {
                let why = "there is none".to_owned();
                audit.findings.push(Finding::NoCheckpoint { log, why });
                return None;
            }
            Err(error) => {
                let why = because(&error);
                audit.findings.push(Finding::NoCheckpoint { log, why });
                return None;
            }
        };
        let head = match SignedCheckpoint::parse(&bytes).and_then(|head| head.verify(verifier)) {
            Ok(head) => head,
            Err(error) => {
                let why = because(&error);
                audit.findings.push(Finding::NotSigned { log, why });
                return None;
            }
        };
        let usable = self
            .policy
            .check_checkpoint(&log.operator, log.epoch, &head, Freshness::At(self.now));
        match usable {
            Ok(()) => {}
            Err(Rejection::Frozen { .. }) => audit.findings.push(Finding::NotFrozen { log }),
            Err(rejection) => {
                let why = because(&rejection);
                audit.findings.push(Finding::NotUsable { log, why });
            }
        }
        audit.head = Some(head.clone());
        Some(head)
    }

    /// Reads what is new; gives all entries of the served head, or `None` if those that are known are all there is.
    async fn follow(
        self,
        audit: &mut LogAudit,
        head: &VerifiedCheckpoint,
        known: &KnownLog,
    ) -> Option<Vec<Option<Vec<u8>>>> {
        if let Some(contradiction) = known
            .head
            .as_ref()
            .and_then(|before| contradicts(&audit.name, before, head))
        {
            audit.findings.push(contradiction);
            return None;
        }
        let known_size = known.head.as_ref().map_or(TreeSize::ZERO, VerifiedCheckpoint::size);
        if head.size().value() - known_size.value() > MAX_GROWTH {
            audit.findings.push(Finding::GrownTooMuch {
                log: audit.name.clone(),
                known: known_size.value(),
                served: head.size().value(),
            });
            return None;
        }
        let from = if self.again { TreeSize::ZERO } else { known_size };
        let mut attempt = self.attempt(&audit.name, known, from, head).await;
        // Where nothing that was read now is in doubt, what was read before may be another tree's.
        if from > TreeSize::ZERO && matches!(&attempt.settled, Settled::Unsettled(doubt) if doubt.is_empty()) {
            attempt = self.attempt(&audit.name, known, TreeSize::ZERO, head).await;
        }
        let Attempt {
            bundles,
            mut served,
            missing,
            settled,
        } = attempt;
        let complete = missing.iter().all(|finding| !concerns_entries(finding));
        audit.findings.extend(missing);
        let log = audit.name.clone();
        let (tree, wrong) = match settled {
            Settled::Signed(tree, wrong) => (tree, wrong),
            Settled::Unknown(doubt) => {
                audit.findings.extend(doubt.into_iter().map(|at| either(&log, at)));
                return None;
            }
            Settled::Unsettled(doubt) if doubt.is_empty() => {
                let size = head.size().value();
                audit.findings.push(Finding::OtherRoot { log, size });
                return None;
            }
            Settled::Unsettled(doubt) => {
                audit.findings.extend(doubt.into_iter().map(|at| either(&log, at)));
                return None;
            }
        };
        let entry_changed = |&(tile, index): &(TilePath, u64)| Finding::EntryChanged {
            log: log.clone(),
            tile,
            index,
        };
        audit.findings.extend(wrong.iter().map(entry_changed));
        let read_from = bundles
            .first()
            .map_or(known_size.value(), |bundle| first_index(bundle.path));
        let entries = entries(known, read_from, &bundles, &served, &wrong);
        if let Some(before) = &known.head
            && tree.root_at(before.size()).ok() != Some(before.root())
        {
            let differs = |(new, old): (&Option<Vec<u8>>, &Vec<u8>)| new.as_ref().is_some_and(|new| new != old);
            let entry = entries.iter().zip(&known.entries).position(differs);
            audit.findings.push(Finding::Forked {
                log,
                known: before.size().value(),
                served: head.size().value(),
                entry: entry.map(|entry| entry as u64),
                heads: heads(before, head),
            });
            return None;
        }
        let before = audit.findings.len();
        let checked = if self.again {
            TreeSize::ZERO
        } else {
            known.tiles_checked
        };
        self.check_tiles(audit, &tree, checked, &served).await;
        let tiles_are_right = audit.findings.len() == before;
        if complete && wrong.is_empty() {
            served.retain(|path, _| path.kind() == TileKind::Entries);
            audit.remember = Some(Remember {
                head: head.clone(),
                bundles: served.into_iter().collect(),
                tiles_checked: if tiles_are_right { head.size() } else { checked },
            });
        }
        audit.tree = tree;
        Some(entries)
    }

    /// Fetches the entries from `from` on, and the tiles of their hashes.
    async fn attempt(self, log: &LogName, known: &KnownLog, from: TreeSize, head: &VerifiedCheckpoint) -> Attempt {
        let size = head.size();
        let paths: Vec<TilePath> = if from == size {
            vec![]
        } else {
            bundles(from, size).collect()
        };
        let lowest = |path: &TilePath| TilePath::in_tree(TileKind::Hashes(0), path.index(), size);
        let mut served = BTreeMap::new();
        // What was read once may be read again, however long it is.
        let limit = MAX_READ + known.entries.iter().map(|entry| entry.len() as u64 + 2).sum::<u64>();
        let mut missing = self.fetch(log, paths.clone(), limit, &mut served).await;
        // Of lowest tiles the check of all tiles says what is missing.
        let lowest_tiles = paths.iter().filter_map(lowest).collect();
        self.fetch(log, lowest_tiles, limit, &mut served).await;
        let mut read = Vec::new();
        for path in &paths {
            let mut entries = None;
            if let Some(bytes) = served.get(path) {
                match EntryBundle::parse(bytes, *path) {
                    Ok(bundle) => {
                        entries = Some(bundle.entries().iter().map(|entry| TreeHash::of_leaf(entry)).collect());
                    }
                    Err(_) => {
                        served.remove(path);
                        missing.push(cut(log, *path));
                    }
                }
            }
            // One that is cut is named when the tiles are checked.
            let tile = lowest(path).and_then(|tile| tiles::hashes(served.get(&tile)?, tile));
            read.push(Bundle {
                path: *path,
                entries,
                tile,
            });
        }
        let whole = paths
            .first()
            .map_or(known.entries.len(), |path| to_usize(first_index(*path)));
        let base = tree_of(&known.entries[..whole.min(known.entries.len())]);
        Attempt {
            settled: tiles::settle(&base, &read, head.root()),
            bundles: read,
            served,
            missing,
        }
    }

    /// Compares every tile of hashes that the tree has and its beginning had not.
    async fn check_tiles(
        self,
        audit: &mut LogAudit,
        tree: &Tree,
        checked: TreeSize,
        served: &BTreeMap<TilePath, Vec<u8>>,
    ) {
        let log = audit.name.clone();
        let log = &log;
        let mut missing = 0;
        let mut answers = stream::iter(tile::hashes(tree, checked))
            .map(async |(path, right)| match served.get(&path) {
                Some(bytes) => (path, right, Ok(bytes.clone())),
                None => (path, right, self.tile(log, path).await),
            })
            .buffered(AT_ONCE);
        while let Some((path, right, answer)) = answers.next().await {
            match answer {
                Ok(bytes) if bytes == right => {}
                Ok(bytes) if bytes.len() != right.len() => audit.findings.push(cut(log, path)),
                Ok(bytes) => {
                    let differs = bytes.chunks(32).zip(right.chunks(32)).position(|(a, b)| a != b);
                    audit.findings.push(Finding::TileChanged {
                        log: log.clone(),
                        tile: path,
                        index: first_index(path) + differs.unwrap_or_default() as u64,
                    });
                }
                Err(finding) => {
                    audit.findings.push(finding);
                    missing += 1;
                    if missing >= MAX_MISSING {
                        audit.findings.push(Finding::GivenUp {
                            log: log.clone(),
                            why: format!("{MAX_MISSING} tiles of hashes cannot be had"),
                        });
                        break;
                    }
                }
            }
        }
    }
}

impl LogAudit {
    /// What the log states, and about which unit.
    pub fn statements(&self) -> impl Iterator<Item = (&Leaf, Statement)> {
        let leaves = self.leaves.iter();
        leaves.map(|(index, leaf)| (leaf, statement(&self.name, *index, leaf.manifest())))
    }
}

/// The entries of the whole tree: those that are known before `read_from`, and what was served. What is not the signed
/// entry is left out.
fn entries(
    known: &KnownLog,
    read_from: u64,
    bundles: &[Bundle],
    served: &BTreeMap<TilePath, Vec<u8>>,
    wrong: &[(TilePath, u64)],
) -> Vec<Option<Vec<u8>>> {
    let mut entries: Vec<Option<Vec<u8>>> = known.entries.iter().cloned().map(Some).collect();
    entries.truncate(to_usize(read_from));
    for bundle in bundles {
        let read = served
            .get(&bundle.path)
            .and_then(|bytes| EntryBundle::parse(bytes, bundle.path).ok());
        match read {
            Some(read) => entries.extend(read.into_entries().into_iter().map(Some)),
            None => entries.extend(std::iter::repeat_n(None, usize::from(bundle.path.width()))),
        }
    }
    for (_, index) in wrong {
        if let Some(entry) = entries.get_mut(to_usize(*index)) {
            *entry = None;
        }
    }
    entries
}

/// How a served head contradicts the one that was seen before, as far as sizes tell.
fn contradicts(log: &LogName, before: &VerifiedCheckpoint, head: &VerifiedCheckpoint) -> Option<Finding> {
    let log = log.clone();
    if head.size() < before.size() {
        return Some(Finding::RolledBack {
            log,
            known: before.size().value(),
            served: head.size().value(),
            heads: heads(before, head),
        });
    }
    (head.size() == before.size() && head.root() != before.root()).then(|| Finding::SplitView {
        log,
        size: head.size().value(),
        heads: heads(before, head),
    })
}

fn heads(before: &VerifiedCheckpoint, head: &VerifiedCheckpoint) -> [String; 2] {
    [before, head].map(|head| String::from_utf8_lossy(head.as_bytes()).into_owned())
}

fn not_a_leaf(log: &LogName, index: LeafIndex, entry: &[u8], error: &MalformedLeaf) -> Finding {
    let (log, index, why) = (log.clone(), index.value(), because(error));
    match error {
        MalformedLeaf::Version(_) => Finding::LaterVersion { log, index, why },
        MalformedLeaf::NotCanonical(_) => Finding::NotALeaf {
            log,
            index,
            entry: entry.escape_ascii().to_string().chars().take(SHOWN).collect(),
            why,
        },
    }
}

fn cut(log: &LogName, tile: TilePath) -> Finding {
    Finding::TileCut { log: log.clone(), tile }
}

fn either(log: &LogName, (tile, index): (TilePath, u64)) -> Finding {
    Finding::TileOrEntryChanged {
        log: log.clone(),
        tile,
        index,
    }
}

fn concerns_entries(finding: &Finding) -> bool {
    match finding {
        Finding::GivenUp { .. } => true,
        Finding::TileMissing { tile, .. } | Finding::TileCut { tile, .. } => tile.kind() == TileKind::Entries,
        _ => false,
    }
}

fn first_index(path: TilePath) -> u64 {
    path.index() * u64::from(WIDTH)
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn tree_of(entries: &[Vec<u8>]) -> Tree {
    let hashes = entries.iter().map(|entry| TreeHash::of_leaf(entry));
    Tree::of(hashes).expect("bundles of a signed size have room in a tree")
}
