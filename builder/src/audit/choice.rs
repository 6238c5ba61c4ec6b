//! A sample that nobody can foresee and everybody can repeat: the seed decides, and is in the report.
//!
//! The rank of an item is SHA-256 of the seed (its 16 hexadecimal digits), a zero byte and the item's name; the lowest
//! ranks are the sample. Pure. Must not know what is chosen.

use std::fmt;
use std::str::FromStr;

use sealift_policy::digest::{Digest, Hasher};
use serde::{Serialize, Serializer};

/// What a sample is chosen by. Its text is 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed(pub u64);

/// The text is no seed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a seed has 16 hexadecimal digits")]
pub struct MalformedSeed;

impl FromStr for Seed {
    type Err = MalformedSeed;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let seed = digits.then(|| u64::from_str_radix(text, 16).ok()).flatten();
        seed.map(Self).ok_or(MalformedSeed)
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Serialize for Seed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Seed {
    /// At most `count` of the items, by the lowest rank of their names.
    pub fn choose<T>(self, items: impl IntoIterator<Item = T>, name: impl Fn(&T) -> String, count: usize) -> Vec<T> {
        let mut ranked: Vec<(Digest, T)> = items.into_iter().map(|item| (self.rank(&name(&item)), item)).collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        ranked.truncate(count);
        ranked.into_iter().map(|(_, item)| item).collect()
    }

    fn rank(self, name: &str) -> Digest {
        let mut hasher = Hasher::default();
        hasher.update(self.to_string().as_bytes());
        hasher.update(b"\0");
        hasher.update(name.as_bytes());
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(seed: u64, count: usize) -> Vec<u32> {
        Seed(seed).choose(0..100, u32::to_string, count)
    }

    #[test]
    fn a_seed_gives_the_same_sample_again_and_another_seed_another() {
        assert_eq!(sample(7, 5), sample(7, 5));
        assert_ne!(sample(7, 5), sample(8, 5));
        assert_eq!(sample(7, 1000).len(), 100);
        assert_eq!(sample(7, 5), [8, 24, 29, 41, 59], "others must be able to repeat it");
    }

    #[test]
    fn a_seed_has_one_text() {
        assert_eq!("00000000000000ff".parse(), Ok(Seed(255)));
        assert_eq!(Seed(255).to_string(), "00000000000000ff");
        for wrong in ["ff", "00000000000000FF", "+0000000000000ff", "00000000000000fff", ""] {
            assert!(wrong.parse::<Seed>().is_err(), "{wrong}");
        }
    }
}
