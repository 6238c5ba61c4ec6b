//! The three values that every log format is made of: a tree's size, a leaf's index, a hash.
//!
//! Must not know any format that contains them, except how each is written alone.

use std::fmt;
use std::str::FromStr;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::{Deserialize, Serialize};

/// Why a text or number is not a size, an index or a hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct MalformedValue {
    text: String,
    expected: &'static str,
}

impl MalformedValue {
    fn new(text: &str, expected: &'static str) -> Self {
        Self {
            text: text.chars().take(80).flat_map(char::escape_default).collect(),
            expected,
        }
    }
}

/// The number of leaves of a tree: at most 2^53 - 1, so that JSON numbers and all shifts of the tile
/// arithmetic hold it. Its text is decimal without sign or leading zeros.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct TreeSize(u64);

/// The zero-based position of a leaf, less than 2^53 - 1. Its text is that of a [`TreeSize`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct LeafIndex(u64);

/// The largest size that is accepted.
const LARGEST: u64 = (1 << 53) - 1;

impl TreeSize {
    /// The size of the empty tree.
    pub const ZERO: Self = Self(0);

    /// The number itself.
    pub const fn value(self) -> u64 {
        self.0
    }

    /// The size after `count` more leaves, if there is such a size.
    pub fn checked_add(self, count: u64) -> Option<Self> {
        self.0.checked_add(count).filter(|&size| size <= LARGEST).map(Self)
    }

    /// Whether a tree of this size has a leaf at `index`.
    pub const fn contains(self, index: LeafIndex) -> bool {
        index.0 < self.0
    }
}

impl LeafIndex {
    /// The number itself.
    pub const fn value(self) -> u64 {
        self.0
    }
}

impl TryFrom<u64> for TreeSize {
    type Error = MalformedValue;

    fn try_from(value: u64) -> Result<Self, Self::Error> {
        if value <= LARGEST {
            Ok(Self(value))
        } else {
            Err(MalformedValue::new(&value.to_string(), "a tree size"))
        }
    }
}

impl TryFrom<u64> for LeafIndex {
    type Error = MalformedValue;

    fn try_from(value: u64) -> Result<Self, Self::Error> {
        if value < LARGEST {
            Ok(Self(value))
        } else {
            Err(MalformedValue::new(&value.to_string(), "a leaf index"))
        }
    }
}

impl From<TreeSize> for u64 {
    fn from(size: TreeSize) -> Self {
        size.0
    }
}

impl From<LeafIndex> for u64 {
    fn from(index: LeafIndex) -> Self {
        index.0
    }
}

impl FromStr for TreeSize {
    type Err = MalformedValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        decimal(text)
            .and_then(|value| Self::try_from(value).ok())
            .ok_or_else(|| MalformedValue::new(text, "a tree size"))
    }
}

impl FromStr for LeafIndex {
    type Err = MalformedValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        decimal(text)
            .and_then(|value| Self::try_from(value).ok())
            .ok_or_else(|| MalformedValue::new(text, "a leaf index"))
    }
}

impl fmt::Display for TreeSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for LeafIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// ASCII decimal digits without sign and without leading zeros, as every C2SP text writes numbers.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let canonical =
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if canonical { text.parse().ok() } else { None }
}

/// A hash of RFC 6962: of a leaf, of an inner node, or of a whole tree. Its text is standard base64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TreeHash([u8; 32]);

impl TreeHash {
    /// The root of the empty tree.
    pub const EMPTY: Self = Self(tlog_tiles::EMPTY_HASH.0);

    /// The hash of a leaf: SHA-256 of 0x00 and the leaf's bytes.
    pub fn of_leaf(leaf: &[u8]) -> Self {
        tlog_tiles::record_hash(leaf).into()
    }

    /// A hash that was computed elsewhere.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<tlog_tiles::Hash> for TreeHash {
    fn from(hash: tlog_tiles::Hash) -> Self {
        Self(hash.0)
    }
}

impl From<TreeHash> for tlog_tiles::Hash {
    fn from(hash: TreeHash) -> Self {
        Self(hash.0)
    }
}

impl FromStr for TreeHash {
    type Err = MalformedValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // 32 bytes are always 44 characters: the length check keeps a hostile text from being decoded at all.
        let bytes = (text.len() == 44).then(|| BASE64_STANDARD.decode(text).ok()).flatten();
        bytes
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| MalformedValue::new(text, "a SHA-256 hash in base64"))
    }
}

impl TryFrom<String> for TreeHash {
    type Error = MalformedValue;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<TreeHash> for String {
    fn from(hash: TreeHash) -> Self {
        hash.to_string()
    }
}

impl fmt::Display for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&BASE64_STANDARD.encode(self.0))
    }
}

impl fmt::Debug for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TreeHash({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t14_sizes_with_zeros_signs_spaces_or_too_many_digits_are_refused() {
        for text in [
            "",
            "007",
            "00",
            "+5",
            "-1",
            " 5",
            "5 ",
            "0x5",
            "5.0",
            "1e3",
            "٣",
            "9007199254740992",
        ] {
            assert!(text.parse::<TreeSize>().is_err(), "{text:?}");
            assert!(text.parse::<LeafIndex>().is_err(), "{text:?}");
        }
        for text in ["18446744073709551615", "18446744073709551616", &"9".repeat(10_000)] {
            assert!(text.parse::<TreeSize>().is_err());
        }
        assert_eq!("0".parse(), Ok(TreeSize::ZERO));
        assert_eq!("9007199254740991".parse(), Ok(TreeSize(LARGEST)));
        assert!(
            "9007199254740991".parse::<LeafIndex>().is_err(),
            "no tree could contain it"
        );
    }

    #[test]
    fn numbers_and_hashes_are_written_as_they_are_read() {
        assert_eq!(u64::from(TreeSize(7)), 7);
        assert_eq!(u64::from(LeafIndex(7)), 7);
        let text = serde_json::to_string(&TreeHash::EMPTY).unwrap();
        assert_eq!(text, "\"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\"");
        assert_eq!(serde_json::from_str::<TreeHash>(&text).unwrap(), TreeHash::EMPTY);
        assert!(format!("{:?}", TreeHash::EMPTY).contains("47DEQpj8HBSa"));
    }

    #[test]
    fn hashes_with_other_lengths_or_loose_base64_are_refused() {
        let text = TreeHash::EMPTY.to_string();
        assert_eq!(text.parse(), Ok(TreeHash::EMPTY));
        let loose = format!("{}V=", &text[..42]);
        for wrong in [&text[..43], &format!("{text}="), &text.replace('/', "_"), &loose, ""] {
            assert!(wrong.parse::<TreeHash>().is_err(), "{wrong}");
        }
    }
}
