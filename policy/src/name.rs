//! Names that cross a boundary: crates, versions, operators, toolchains. Each has one strict parser.
//!
//! Must not know what the named things are.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text is not the name of something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct MalformedName {
    text: String,
    expected: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text of the name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = MalformedName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(MalformedName { text: text.chars().take(80).flat_map(char::escape_default).collect(), expected: $expected })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = MalformedName;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

name! {
    /// A crates.io package name: at most 64 ASCII letters, digits, `-` and `_`, beginning with a letter.
    CrateName, "a crates.io package name", |text| {
        text.len() <= 64
            && text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    }
}

name! {
    /// A full semantic version, such as `1.2.3-rc.1+build`.
    CrateVersion, "a semantic version", |text| text.len() <= 128 && semver::Version::parse(text).is_ok()
}

name! {
    /// A feature of a package: at most 160 letters, digits, `_`, `-`, `+`, `.`; never like a flag.
    FeatureName, "a feature name", |text| {
        text.len() <= 160
            && text.starts_with(|c: char| c.is_alphanumeric() || c == '_')
            && text.chars().all(|c| c.is_alphanumeric() || "_-+.".contains(c))
    }
}

name! {
    /// An operator: 1 to 32 lower-case letters, digits and inner `-`.
    OperatorName, "an operator name (1 to 32 lower-case letters, digits and inner `-`)", |text| {
        (1..=32).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-')
    }
}

name! {
    /// A Rust toolchain as a path segment: `<release>-<host>`, such as `1.95.0-x86_64-unknown-linux-gnu`.
    Toolchain, "a toolchain (`<release>-<host>`)", |text| {
        text.len() <= 128
            && text.starts_with(|c: char| c.is_ascii_digit())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b))
            && !text.contains("..")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_their_folder_or_read_like_flags_are_refused() {
        for text in ["", "../x", "a/b", "-x", "a b", "ä", "a\0", "a\n", "1abc"] {
            assert!(text.parse::<CrateName>().is_err(), "{text:?}");
        }
        for text in ["", "--all", "a/b", "a b", "dep:x", "a\n"] {
            assert!(text.parse::<FeatureName>().is_err(), "{text:?}");
        }
        for text in [
            "",
            "Alpha",
            "-a",
            "a-",
            "a/b",
            "..",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ] {
            assert!(text.parse::<OperatorName>().is_err(), "{text:?}");
        }
        for text in ["1", "^1.0", "1.0", "1.0.0/../.."] {
            assert!(text.parse::<CrateVersion>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn ordinary_names_are_accepted() {
        assert!("serde_json".parse::<CrateName>().is_ok());
        assert!("1.2.3-rc.1+x".parse::<CrateVersion>().is_ok());
        assert!("c++20".parse::<FeatureName>().is_ok());
        assert!("operator-1".parse::<OperatorName>().is_ok());
        assert!("1.95.0-x86_64-unknown-linux-gnu".parse::<Toolchain>().is_ok());
    }
}
