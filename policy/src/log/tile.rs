//! Tiles and entry bundles: how a log lies in static files (<https://c2sp.org/tlog-tiles>).
//!
//! Owns their paths below the log's prefix, their contents, and which of them a growing tree needs.
//! Must not know what an entry says, or where the files go.

use std::fmt;
use std::str::FromStr;

use super::number::{TreeHash, TreeSize, decimal};
use super::tree::Tree;

/// The hashes or entries of a full tile.
pub const WIDTH: u16 = 256;

/// The path of one tile below a log's prefix: `tile/<level>/<index>[.p/<width>]` or
/// `tile/entries/<index>[.p/<width>]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TilePath {
    kind: TileKind,
    index: u64,
    width: u16,
}

/// What a tile holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TileKind {
    /// The entries themselves.
    Entries,
    /// Hashes of this level: 0 is the leaves', each next is of full tiles of the one below.
    Hashes(u8),
}

/// The text is not the path of a tile, or not in its one canonical form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the path of a tile")]
pub struct MalformedTilePath(String);

/// The largest index of any tile of the largest tree, and its level.
const LARGEST_INDEX: u64 = ((1 << 53) - 2) / WIDTH as u64;
const HIGHEST_LEVEL: u8 = 6;

impl TilePath {
    /// The tile that holds what it can of a tree of `size`, if that is anything.
    pub fn in_tree(kind: TileKind, index: u64, size: TreeSize) -> Option<Self> {
        let level = match kind {
            TileKind::Entries => 0,
            TileKind::Hashes(level) => level,
        };
        let nodes = size.value().checked_shr(8 * u32::from(level)).unwrap_or(0);
        let rest = nodes
            .saturating_sub(index.checked_mul(u64::from(WIDTH))?)
            .min(u64::from(WIDTH));
        let width = u16::try_from(rest).expect("at most the full width");
        (width > 0).then_some(Self { kind, index, width })
    }

    /// Every tile of hashes and every entry bundle of a tree of this size, each at its full present width.
    pub fn all(size: TreeSize) -> impl Iterator<Item = Self> {
        let kinds = [TileKind::Entries]
            .into_iter()
            .chain((0..=HIGHEST_LEVEL).map(TileKind::Hashes));
        kinds.flat_map(move |kind| (0..).map_while(move |index| Self::in_tree(kind, index, size)))
    }

    /// What it holds.
    pub fn kind(self) -> TileKind {
        self.kind
    }

    /// Its position within its level.
    pub fn index(self) -> u64 {
        self.index
    }

    /// The number of hashes or entries in it: 1 to 256.
    pub fn width(self) -> u16 {
        self.width
    }

    /// Whether nothing can be added to it any more.
    pub fn is_full(self) -> bool {
        self.width == WIDTH
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Entries => f.write_str("tile/entries/")?,
            TileKind::Hashes(level) => write!(f, "tile/{level}/")?,
        }
        let mut groups = vec![self.index % 1000];
        let mut rest = self.index / 1000;
        while rest > 0 {
            groups.push(rest % 1000);
            rest /= 1000;
        }
        for group in groups[1..].iter().rev() {
            write!(f, "x{group:03}/")?;
        }
        write!(f, "{:03}", groups[0])?;
        if self.is_full() {
            Ok(())
        } else {
            write!(f, ".p/{}", self.width)
        }
    }
}

impl FromStr for TilePath {
    type Err = MalformedTilePath;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = || MalformedTilePath(text.chars().take(80).flat_map(char::escape_default).collect());
        let (kind, rest) = text
            .strip_prefix("tile/")
            .and_then(|rest| rest.split_once('/'))
            .ok_or_else(malformed)?;
        let kind = match kind {
            "entries" => TileKind::Entries,
            level => match decimal(level).and_then(|level| u8::try_from(level).ok()) {
                Some(level) if level <= HIGHEST_LEVEL => TileKind::Hashes(level),
                _ => return Err(malformed()),
            },
        };
        let (groups, width) = match rest.split_once(".p/") {
            None => (rest, WIDTH),
            Some((groups, width)) => (
                groups,
                decimal(width)
                    .and_then(|width| u16::try_from(width).ok())
                    .ok_or_else(malformed)?,
            ),
        };
        let mut index = 0u64;
        for group in groups.split('/') {
            let digits = group.strip_prefix('x').unwrap_or(group);
            let digits = digits.parse::<u64>().map_err(|_| malformed())?;
            index = index
                .checked_mul(1000)
                .and_then(|index| index.checked_add(digits))
                .ok_or_else(malformed)?;
        }
        let path = Self { kind, index, width };
        // Writing it again refuses every other spelling: leading zero groups, a missing or superfluous `x`.
        let canonical = (1..=WIDTH).contains(&width) && index <= LARGEST_INDEX && path.to_string() == text;
        if canonical { Ok(path) } else { Err(malformed()) }
    }
}

/// The entries of one entry bundle: at most 256, each of at most 65535 bytes, written with its length before it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntryBundle(Vec<Vec<u8>>);

/// Why bytes are not an entry bundle, or an entry does not fit into one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// The bytes end inside an entry.
    #[error("the entry bundle is cut off")]
    Truncated,
    /// It does not have the number of entries that its path says, or more than 256.
    #[error("the entry bundle has another number of entries than its path says")]
    Count,
    /// An entry of more than 65535 bytes.
    #[error("an entry of more than 65535 bytes")]
    EntryTooLarge,
}

impl EntryBundle {
    /// Reads the bundle that lies at `path`; it must have exactly as many entries as the path says.
    pub fn parse(bytes: &[u8], path: TilePath) -> Result<Self, BundleError> {
        let mut entries = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let (length, after) = rest.split_first_chunk().ok_or(BundleError::Truncated)?;
            let length = usize::from(u16::from_be_bytes(*length));
            let (entry, after) = after.split_at_checked(length).ok_or(BundleError::Truncated)?;
            if entries.len() == usize::from(path.width) {
                return Err(BundleError::Count);
            }
            entries.push(entry.to_vec());
            rest = after;
        }
        if entries.len() == usize::from(path.width) {
            Ok(Self(entries))
        } else {
            Err(BundleError::Count)
        }
    }

    /// The entries in their order.
    pub fn entries(&self) -> &[Vec<u8>] {
        &self.0
    }

    /// The last, partial bundle after `leaves` were appended to a log whose last bundle this is; empty if the last is
    /// full.
    #[must_use]
    pub fn appended(mut self, leaves: impl IntoIterator<Item = Vec<u8>>) -> Self {
        for leaf in leaves {
            self.0.push(leaf);
            if self.0.len() == usize::from(WIDTH) {
                self.0.clear();
            }
        }
        self
    }

    /// The entries in their order.
    pub fn into_entries(self) -> Vec<Vec<u8>> {
        self.0
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for entry in &self.0 {
            let length = u16::try_from(entry.len()).expect("checked when it was added");
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(entry);
        }
        bytes
    }
}

/// Why leaves cannot be appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// An entry does not fit, or the last bundle is not the tree's.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// No room left in the tree.
    #[error(transparent)]
    Full(#[from] super::tree::TreeFull),
}

/// Appends leaves to `tree` and returns every file that the larger tree needs and the smaller did not have:
/// entry bundles first, then hashes, lowest level first.
///
/// `last` holds the entries of the last, partial bundle of the present tree: `size % 256` of them, none if it is
/// full. On an error the tree is as it was.
pub fn append(
    tree: &mut Tree,
    last: EntryBundle,
    leaves: impl IntoIterator<Item = Vec<u8>>,
) -> Result<Vec<(TilePath, Vec<u8>)>, AppendError> {
    let old = tree.size();
    if last.0.len() as u64 != old.value() % u64::from(WIDTH) {
        return Err(BundleError::Count.into());
    }
    let mut grown = tree.clone();
    let mut bundle = last;
    let mut files = Vec::new();
    let mut index = old.value() / u64::from(WIDTH);
    let mut changed = false;
    for leaf in leaves {
        if leaf.len() > usize::from(u16::MAX) {
            return Err(BundleError::EntryTooLarge.into());
        }
        grown.push(TreeHash::of_leaf(&leaf))?;
        bundle.0.push(leaf);
        changed = true;
        if bundle.0.len() == usize::from(WIDTH) {
            files.push((
                TilePath {
                    kind: TileKind::Entries,
                    index,
                    width: WIDTH,
                },
                bundle.to_bytes(),
            ));
            bundle.0.clear();
            index += 1;
        }
    }
    if changed && !bundle.0.is_empty() {
        let width = u16::try_from(bundle.0.len()).expect("less than a full bundle");
        files.push((
            TilePath {
                kind: TileKind::Entries,
                index,
                width,
            },
            bundle.to_bytes(),
        ));
    }
    files.extend(hashes(&grown, old));
    *tree = grown;
    Ok(files)
}

/// The tiles of hashes that the tree needs and its beginning of `old` leaves did not have.
pub fn hashes(tree: &Tree, old: TreeSize) -> impl Iterator<Item = (TilePath, Vec<u8>)> {
    tlog_tiles::Tile::new_tiles(8, old.value(), tree.size().value())
        .into_iter()
        .map(|tile| {
            let width = u16::try_from(tile.width()).expect("a tile of height 8 has at most 256 hashes");
            let path = TilePath {
                kind: TileKind::Hashes(tile.level()),
                index: tile.level_index(),
                width,
            };
            (path, tree.tile(&tile))
        })
}

#[cfg(test)]
mod tests;
