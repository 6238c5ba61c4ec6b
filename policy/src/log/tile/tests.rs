//! Tiles and their paths, to the letter of C2SP.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn size(value: u64) -> TreeSize {
    value.try_into().unwrap()
}

#[test]
fn paths_are_those_of_c2sp() {
    for (path, kind, index, width) in [
        ("tile/0/000", TileKind::Hashes(0), 0, 256),
        ("tile/0/001.p/5", TileKind::Hashes(0), 1, 5),
        ("tile/2/x001/x234/067", TileKind::Hashes(2), 1_234_067, 256),
        ("tile/entries/x001/234.p/255", TileKind::Entries, 1234, 255),
    ] {
        let tile = TilePath { kind, index, width };
        assert_eq!((tile.to_string().as_str(), path.parse()), (path, Ok(tile)));
    }
}

#[test]
fn no_tree_has_a_tile_beyond_the_largest_index() {
    let largest = "tile/0/x035/x184/x372/x088/831";
    let tile: TilePath = largest.parse().unwrap();
    assert_eq!(
        (tile.index(), "tile/0/007".parse::<TilePath>().unwrap().index()),
        ((1 << 45) - 1, 7)
    );
    assert!("tile/0/x035/x184/x372/x088/832".parse::<TilePath>().is_err());
}

#[test]
fn other_spellings_of_a_path_are_refused() {
    for path in [
        "",
        "tile/",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/0/0000",
        "tile/0/x000/001",
        "tile/0/001/234",
        "tile/0/x001/x234",
        "tile/00/001",
        "tile/7/001",
        "tile/64/001",
        "tile/-1/001",
        "tile/data/001",
        "tile/8/0/001",
        "tile/0/001.p/0",
        "tile/0/001.p/256",
        "tile/0/001.p/05",
        "tile/0/001.p/+5",
        "tile/0/001.p/5/",
        "tile/0/001.p/",
        "tile/0/001.p",
        "/tile/0/001",
        "tile/0/../001",
        "tile/entries/../../checkpoint",
        "tile/0/x+01/001",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
        "tile/0/x018/x446/x744/x073/x709/x551/616",
    ] {
        assert!(path.parse::<TilePath>().is_err(), "{path}");
    }
    assert!("tile/0/x".repeat(10_000).parse::<TilePath>().is_err());
}

#[test]
fn the_example_of_the_specification_has_the_tiles_that_it_names() {
    let tree = Tree::of((0..70_000_u64).map(|leaf| TreeHash::of_leaf(&leaf.to_be_bytes()))).unwrap();
    let mut counts = BTreeMap::new();
    for (path, bytes) in hashes(&tree, TreeSize::ZERO) {
        assert_eq!(bytes.len(), usize::from(path.width()) * 32);
        *counts.entry((path.kind(), path.width())).or_insert(0) += 1;
    }
    let expected = [((0, 256), 273), ((0, 112), 1), ((1, 256), 1), ((1, 17), 1), ((2, 1), 1)];
    let expected = expected.map(|((level, width), count)| ((TileKind::Hashes(level), width), count));
    assert_eq!(counts, BTreeMap::from(expected));
    let of_256 = Tree::of((0..256_u64).map(|leaf| TreeHash::of_leaf(&leaf.to_be_bytes()))).unwrap();
    let paths: Vec<String> = hashes(&of_256, TreeSize::ZERO)
        .map(|(path, _)| path.to_string())
        .collect();
    assert_eq!(paths, ["tile/0/000", "tile/1/000.p/1"]);
}

#[test]
fn what_is_appended_is_written_once_and_only_if_there_is_something() {
    let leaf = || vec![b'x'];
    let paths = |tree: &mut Tree, last: &EntryBundle, leaves: Vec<Vec<u8>>| -> Vec<String> {
        let files = append(tree, last.clone(), leaves).unwrap();
        files.iter().map(|(path, _)| path.to_string()).collect()
    };
    let mut tree = Tree::default();
    let none = EntryBundle::default();
    assert_eq!(
        paths(&mut tree, &none, vec![leaf()]),
        ["tile/entries/000.p/1", "tile/0/000.p/1"]
    );
    let one = none.clone().appended([leaf()]);
    assert_eq!(one.entries(), [leaf()]);
    assert_eq!(paths(&mut tree, &one, vec![]), [""; 0]);
    let full = one.clone().appended(vec![leaf(); 255]);
    assert_eq!(full, none, "the next bundle is empty");
    assert_eq!(
        paths(&mut tree, &one, vec![leaf(); 255]),
        ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]
    );
    assert_eq!(
        paths(&mut tree, &full, vec![vec![b'x'; 65_535]])[0],
        "tile/entries/001.p/1"
    );
}

#[test]
fn b13_bundles_that_are_cut_or_have_another_count_are_refused() {
    let path = |width| TilePath {
        kind: TileKind::Entries,
        index: 0,
        width,
    };
    let bundle = EntryBundle(vec![b"one".to_vec(), vec![], b"three".to_vec()]);
    let bytes = bundle.to_bytes();
    assert_eq!(bytes, b"\0\x03one\0\0\0\x05three");
    assert_eq!(EntryBundle::parse(&bytes, path(3)), Ok(bundle));
    for cut in [1, 2, 4, 6, bytes.len() - 1] {
        assert!(EntryBundle::parse(&bytes[..cut], path(3)).is_err(), "{cut}");
    }
    assert_eq!(EntryBundle::parse(&bytes, path(2)), Err(BundleError::Count));
    assert_eq!(EntryBundle::parse(&bytes, path(4)), Err(BundleError::Count));
    assert_eq!(EntryBundle::parse(&[0; 514], path(256)), Err(BundleError::Count));
    let mut tree = Tree::default();
    let long = append(&mut tree, EntryBundle::default(), [vec![0; 65_536]]);
    assert_eq!(long, Err(AppendError::Bundle(BundleError::EntryTooLarge)));
    assert_eq!(tree.size(), TreeSize::ZERO, "the tree is as it was");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// However the leaves are cut into batches, the files are those of the whole tree, and every file of every
    /// size in between was written when that size was reached.
    #[test]
    fn files_of_a_grown_log_are_those_of_the_tree(batches in prop::collection::vec(0_usize..400, 1..6)) {
        let mut tree = Tree::default();
        let mut store = BTreeMap::new();
        let mut entries: Vec<Vec<u8>> = Vec::new();
        for count in batches {
            let leaves: Vec<Vec<u8>> = (0..count).map(|leaf| format!("{} {leaf}", entries.len()).into_bytes()).collect();
            let last = entries[entries.len() - entries.len() % 256..].to_vec();
            let files = append(&mut tree, EntryBundle(last), leaves.clone()).unwrap();
            entries.extend(leaves);
            for (path, bytes) in files {
                prop_assert_eq!(store.insert(path, bytes), None, "{} was written twice", path);
            }
            for path in TilePath::all(tree.size()) {
                prop_assert!(store.contains_key(&path), "{} is missing", path);
            }
        }
        prop_assert_eq!(tree.size(), size(entries.len() as u64));
        let whole = Tree::of(entries.iter().map(|entry| TreeHash::of_leaf(entry))).unwrap();
        prop_assert_eq!(tree.root(), whole.root());
        let mut read = Vec::new();
        for path in TilePath::all(tree.size()).filter(|path| path.kind() == TileKind::Entries) {
            read.extend(EntryBundle::parse(&store[&path], path).unwrap().into_entries());
        }
        prop_assert_eq!(read, entries);
        for (path, bytes) in hashes(&whole, TreeSize::ZERO) {
            prop_assert_eq!(&store[&path], &bytes);
        }
    }

    #[test]
    fn paths_read_back(level in 0..=HIGHEST_LEVEL, index in 0..=LARGEST_INDEX, width in 1..=WIDTH) {
        for kind in [TileKind::Entries, TileKind::Hashes(level)] {
            let path = TilePath { kind, index, width };
            prop_assert_eq!(path.to_string().parse(), Ok(path));
        }
    }

    #[test]
    fn hostile_paths_and_bundles_never_panic(path in "tile/[a-z0-9./x]{0,40}", bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = path.parse::<TilePath>();
        let _ = EntryBundle::parse(&bytes, TilePath { kind: TileKind::Entries, index: 0, width: 7 });
    }
}
