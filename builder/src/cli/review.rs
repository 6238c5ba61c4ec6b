//! Options of `review`, and its examples.

use std::path::PathBuf;

use clap::Args;
use sealift_policy::name::FeatureName;
use sealift_policy::request::profile::ProfileKind;

use crate::source::DefaultFeatures;

/// Options of `review`.
#[derive(Debug, Args)]
pub struct Review {
    /// A crates.io package with a build script
    #[arg(value_name = "NAME[@VERSION]")]
    pub package: String,
    /// Features of the package, besides the default ones
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub features: Vec<FeatureName>,
    /// Without its default features, as those that depend on it may have it
    #[arg(long)]
    pub no_default_features: bool,
    /// Profile: check, dev, release
    #[arg(long, value_name = "PROFILE", default_value_t = ProfileKind::Dev)]
    pub profile: ProfileKind,
    /// Cargo's home for downloads [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    pub cargo_home: Option<PathBuf>,
    /// Keep what the runs left in OUT_DIR, and their traces
    #[arg(long)]
    pub keep: bool,
    /// Print JSON, in which nothing is left out
    #[arg(long)]
    pub json: bool,
}

impl Review {
    /// Whether the package's default features are on.
    pub fn defaults(&self) -> DefaultFeatures {
        match self.no_default_features {
            true => DefaultFeatures::Off,
            false => DefaultFeatures::On,
        }
    }
}

/// What its help ends with.
pub(super) const EXAMPLES: &str = "\
Examples:
  sealift-builder review ring@0.17.14
  sealift-builder review zstd-sys@2.0.16 --no-default-features --features legacy,std,zdict_builder
  sealift-builder review libz-sys@1.1.23 --features static --profile release --json

The script is compiled in two places and runs five times in sandboxes that differ, watched by
`strace`. The report says what it ran, read and looked for, and in what its runs differ; at its end
is an entry for `policy/src/runs.toml`, or why there is none. It is evidence and no proof: whoever
adds the entry has read the script. Needs strace and bubblewrap.";
