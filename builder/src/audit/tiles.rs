//! Which of a log's files was changed: entries and the tile of their hashes say the same twice, and the signed root tells
//! which of them is right.
//!
//! Pure. Must not know where the files come from.

use sealift_policy::log::tile::WIDTH;
use sealift_policy::log::{TilePath, Tree, TreeHash};

/// What was served for one entry bundle: the hashes of its entries, and the tile of hashes beside it.
#[derive(Debug, Clone)]
pub(super) struct Bundle {
    /// Its path.
    pub(super) path: TilePath,
    /// The hashes of the entries that were served, if they were.
    pub(super) entries: Option<Vec<TreeHash>>,
    /// The hashes in the tile, if it was served.
    pub(super) tile: Option<Vec<TreeHash>>,
}

/// What the signed root says about the bundles.
#[derive(Debug)]
pub(super) enum Settled {
    /// The signed tree. Entries at these indexes are not the signed ones.
    Signed(Tree, Vec<(TilePath, u64)>),
    /// Neither the entries nor the tiles give the signed root. They differ at these indexes.
    Unsettled(Vec<(TilePath, u64)>),
    /// Of a bundle there is neither.
    Unknown(Vec<(TilePath, u64)>),
}

/// Finds out which files give the signed root. `base` is the tree of all bundles before these.
pub(super) fn settle(base: &Tree, bundles: &[Bundle], root: TreeHash) -> Settled {
    let differing = differing(bundles);
    let by_entries = tree(base, bundles, |bundle| bundle.entries.as_ref().or(bundle.tile.as_ref()));
    let Some(by_entries) = by_entries else {
        return Settled::Unknown(differing);
    };
    if by_entries.root() == root {
        return Settled::Signed(by_entries, vec![]);
    }
    match tree(base, bundles, |bundle| bundle.tile.as_ref().or(bundle.entries.as_ref())) {
        Some(by_tiles) if by_tiles.root() == root => Settled::Signed(by_tiles, differing),
        _ => Settled::Unsettled(differing),
    }
}

fn tree<'a>(
    base: &Tree,
    bundles: &'a [Bundle],
    hashes: impl Fn(&'a Bundle) -> Option<&'a Vec<TreeHash>>,
) -> Option<Tree> {
    let mut tree = base.clone();
    for bundle in bundles {
        for hash in hashes(bundle)? {
            tree.push(*hash).ok()?;
        }
    }
    Some(tree)
}

/// Where an entry has another hash than its tile says.
fn differing(bundles: &[Bundle]) -> Vec<(TilePath, u64)> {
    let of = |bundle: &Bundle| {
        let both = bundle.entries.iter().flatten().zip(bundle.tile.iter().flatten());
        let first = bundle.path.index() * u64::from(WIDTH);
        let differs = (first..).zip(both).filter(|(_, (entry, tile))| entry != tile);
        differs.map(|(index, _)| (bundle.path, index)).collect::<Vec<_>>()
    };
    bundles.iter().flat_map(of).collect()
}

/// The hashes of a tile; `None` when it does not have as many as its path says.
pub(super) fn hashes(bytes: &[u8], path: TilePath) -> Option<Vec<TreeHash>> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    let whole = rest.is_empty() && hashes.len() == usize::from(path.width());
    whole.then(|| hashes.iter().copied().map(TreeHash::from_bytes).collect())
}

#[cfg(test)]
mod tests {
    use sealift_policy::log::TreeSize;
    use sealift_policy::log::tile::TileKind;

    use super::*;

    fn leaf(number: u64) -> TreeHash {
        TreeHash::of_leaf(&number.to_be_bytes())
    }

    /// Two bundles, the second of 44 entries.
    fn served() -> (Vec<Bundle>, TreeHash) {
        let size = TreeSize::try_from(300).unwrap();
        let bundle = |index: u64| {
            let path = TilePath::in_tree(TileKind::Entries, index, size).unwrap();
            let numbers = index * 256..index * 256 + u64::from(path.width());
            let hashes: Vec<_> = numbers.map(leaf).collect();
            Bundle {
                path,
                entries: Some(hashes.clone()),
                tile: Some(hashes),
            }
        };
        let root = Tree::of((0..300).map(leaf)).unwrap().root();
        (vec![bundle(0), bundle(1)], root)
    }

    fn wrong_entries(settled: Settled) -> Vec<u64> {
        let Settled::Signed(tree, wrong) = settled else {
            panic!("{settled:?}");
        };
        assert_eq!(tree.root(), served().1);
        wrong.into_iter().map(|(_, index)| index).collect()
    }

    #[test]
    fn the_signed_root_tells_which_of_entry_and_tile_was_changed() {
        let (honest, root) = served();
        assert!(wrong_entries(settle(&Tree::default(), &honest, root)).is_empty());
        let mut changed = honest.clone();
        changed[1].tile.as_mut().unwrap()[3] = leaf(1000);
        assert!(wrong_entries(settle(&Tree::default(), &changed, root)).is_empty());
        let mut changed = honest;
        changed[1].entries.as_mut().unwrap()[3] = leaf(1000);
        changed[0].entries.as_mut().unwrap()[7] = leaf(1000);
        assert_eq!(wrong_entries(settle(&Tree::default(), &changed, root)), [7, 259]);
    }

    #[test]
    fn a_tile_of_hashes_stands_in_for_entries_that_are_missing() {
        let (mut bundles, root) = served();
        bundles[0].entries = None;
        assert!(wrong_entries(settle(&Tree::default(), &bundles, root)).is_empty());
        bundles[0].tile = None;
        assert!(matches!(settle(&Tree::default(), &bundles, root), Settled::Unknown(_)));
    }

    #[test]
    fn changes_of_both_kinds_are_named_without_a_verdict() {
        let (mut bundles, root) = served();
        bundles[0].entries.as_mut().unwrap()[7] = leaf(1000);
        bundles[1].tile.as_mut().unwrap()[3] = leaf(1000);
        let Settled::Unsettled(differing) = settle(&Tree::default(), &bundles, root) else {
            panic!("settled");
        };
        assert_eq!(differing.iter().map(|(_, index)| *index).collect::<Vec<_>>(), [7, 259]);
    }

    #[test]
    fn only_what_is_new_is_read_on_top_of_what_is_known() {
        let (bundles, root) = served();
        let base = Tree::of((0..256).map(leaf)).unwrap();
        assert!(wrong_entries(settle(&base, &bundles[1..], root)).is_empty());
        let other = Tree::of((1..257).map(leaf)).unwrap();
        assert!(matches!(settle(&other, &bundles[1..], root), Settled::Unsettled(none) if none.is_empty()));
    }

    #[test]
    fn a_tile_has_as_many_hashes_as_its_path_says() {
        let path = served().0[1].path;
        assert!(hashes(&[0; 32 * 44], path).is_some());
        for length in [0, 32 * 43, 32 * 44 - 1, 32 * 45] {
            assert!(hashes(&vec![0; length], path).is_none(), "{length}");
        }
    }
}
