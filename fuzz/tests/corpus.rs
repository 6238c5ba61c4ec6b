//! The properties on the corpus, and on a fixed number of mutations of it: no fuzzer and no nightly compiler needed.
//!
//! Must not know what the properties are.

use std::path::{Path, PathBuf};

use fs_err as fs;
use sealift_fuzz::{TARGETS, Target};

/// Mutations of each file of a corpus.
const MUTATIONS: usize = 60;

#[test]
fn every_property_holds_on_the_corpus_and_on_mutations_of_it() {
    for Target { name, property } in TARGETS {
        let corpus = corpus(name);
        let mut random = Random(0x5ea1_11f7);
        for (path, input) in &corpus {
            let _shown = Shown(path, input);
            property(input);
            for _ in 0..MUTATIONS {
                let other = &corpus[random.below(corpus.len())].1;
                let mutated = random.mutated(input, other);
                let _shown = Shown(path, &mutated);
                property(&mutated);
            }
        }
    }
}

#[test]
fn every_target_has_a_program_and_a_small_corpus() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = |folder: &str| {
        let entries = fs::read_dir(root.join(folder)).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        names.sort();
        names
            .iter()
            .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let targets: Vec<_> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(names("fuzz_targets"), targets);
    assert_eq!(names("corpus"), targets);
    for target in targets {
        let corpus = corpus(&target);
        assert!((1..=48).contains(&corpus.len()), "{target}: {} files", corpus.len());
        for (path, input) in corpus {
            assert!(input.len() <= 8 << 10, "{} has {} bytes", path.display(), input.len());
        }
    }
}

fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let entries = fs::read_dir(folder).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |path: PathBuf| (path.clone(), fs::read(path).unwrap());
    files.into_iter().map(read).collect()
}

/// Says on which input a property failed, where one did.
struct Shown<'a>(&'a Path, &'a [u8]);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("on {} or a mutation of it: {}", self.0.display(), self.1.escape_ascii());
        }
    }
}

/// The same numbers each time (xorshift64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    /// A few changes of the kinds that find the edges of formats.
    fn mutated(&mut self, input: &[u8], other: &[u8]) -> Vec<u8> {
        let mut bytes = input.to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len() + 1);
            match self.below(7) {
                0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                1 if at < bytes.len() => bytes[at] = b"\0\n\r \"\\/.:=-09"[self.below(12)],
                2 => bytes.insert(at, b"\0\n\r \"\\/.:=-09"[self.below(12)]),
                3 if at < bytes.len() => drop(bytes.remove(at)),
                4 => bytes.truncate(at),
                5 => {
                    let end = (at + self.below(64)).min(bytes.len());
                    let piece = bytes[at..end].to_vec();
                    bytes.splice(at..at, piece);
                }
                _ => {
                    let begin = self.below(other.len() + 1);
                    let end = (begin + self.below(64)).min(other.len());
                    let to = (at + self.below(64)).min(bytes.len());
                    bytes.splice(at..to, other[begin..end].iter().copied());
                }
            }
        }
        bytes
    }
}
