//! Options of `trust`, and its examples.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// What the help of `trust` ends with.
pub const EXAMPLES: &str = "A repository of five root keys of which three sign, at five people's:
  sealift-builder trust key --out alice.key            (each of them, on a machine of their own; hands out alice.pub.json)
  sealift-builder trust init --data DIR --root-public alice.pub.json --root-public bob.pub.json ...
  sealift-builder trust sign --draft draft.root.json --key alice.key          (three of them, one after the other)
  sealift-builder trust publish --data DIR --to /var/lib/sealift --policy trust-policy.json
  sealift-builder trust renew --data DIR --to /var/lib/sealift                 (every few hours, by a timer)
  sealift-builder trust status --data DIR                                      (exit code 2 when something runs out)

Users pin DIR/root.json: `cargo sealift setup --trust-root root.json`.";

/// The commands of a trust root's keepers.
#[derive(Debug, Subcommand)]
pub enum Trust {
    /// Make one root key, on the machine of whoever keeps it
    #[command(after_help = "Example:\n  sealift-builder trust key --out alice.key")]
    Key(Key),
    /// Make a keeper's folder: keys of targets, snapshot and timestamp, root keys, and the draft of the first root
    #[command(after_help = "Examples:
  sealift-builder trust init --data DIR
  sealift-builder trust init --data DIR --root-keys 3 --threshold 2 --root-public alice.pub.json")]
    Init(Init),
    /// Add one signature to the draft of a root
    #[command(after_help = "Examples:
  sealift-builder trust sign --data DIR --key DIR/keys/root-1.key
  sealift-builder trust sign --draft draft.root.json --key alice.key")]
    Sign(Sign),
    /// Draft the next root, in which a role has other keys or the root a new expiry
    #[command(after_help = "Old and new root keys sign it: each threshold counts.

Examples:
  sealift-builder trust rotate timestamp --data DIR
  sealift-builder trust rotate root --data DIR --retire 3f2a --add carol.pub.json
  sealift-builder trust rotate root --data DIR --only-expiry")]
    Rotate(Rotate),
    /// Sign and copy out a trust policy, revocations or Sigstore's trusted root
    #[command(after_help = "What is not named stays as it is.

Examples:
  sealift-builder trust publish --data DIR --to /var/lib/sealift --policy trust-policy.json
  sealift-builder trust publish --data DIR --to /var/lib/sealift --revocations revocations.json")]
    Publish(Publish),
    /// Sign a new timestamp, and what else has lived half its time; for a timer
    #[command(after_help = "Example:\n  sealift-builder trust renew --data DIR --to /var/lib/sealift")]
    Renew(Renew),
    /// Show versions and expiries, and who has signed a draft; exit code 2 when something runs out
    #[command(after_help = "Example:\n  sealift-builder trust status --data DIR --json")]
    Status(Status),
}

/// Options of `trust key`.
#[derive(Debug, Args)]
pub struct Key {
    /// The file to make; the public key gets the ending `.pub.json`
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// Options of `trust init`.
#[derive(Debug, Args)]
pub struct Init {
    /// The keeper's folder
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// How many root keys there are; those that are not given are made in DIR/keys
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub root_keys: usize,
    /// How many of them must sign
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub threshold: u64,
    /// A root key that somebody else keeps, as `trust key` wrote it
    #[arg(long, value_name = "FILE")]
    pub root_public: Vec<PathBuf>,
    /// Days until the root expires
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u64).range(1..=3650))]
    pub expires: u64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `trust sign`.
#[derive(Debug, Args)]
pub struct Sign {
    /// The keeper's folder, whose draft is signed
    #[arg(
        long,
        value_name = "DIR",
        required_unless_present = "draft",
        conflicts_with = "draft"
    )]
    pub data: Option<PathBuf>,
    /// A draft that was carried here; carry it back into the keeper's folder afterwards
    #[arg(long, value_name = "FILE")]
    pub draft: Option<PathBuf>,
    /// The root that the draft replaces, where only an old key signs and the draft was carried here
    #[arg(long, value_name = "FILE", requires = "draft")]
    pub old: Option<PathBuf>,
    /// The root key
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// A role, as it is named on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "comments would become help, and the names say it")]
pub enum RoleName {
    Root,
    Targets,
    Snapshot,
    Timestamp,
}

/// Options of `trust rotate`.
#[derive(Debug, Args)]
pub struct Rotate {
    /// Whose keys change
    pub role: RoleName,
    /// The keeper's folder
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// The beginning of the id of a key that goes [default: the only one of a role but the root]
    #[arg(long, value_name = "ID")]
    pub retire: Vec<String>,
    /// A public key that comes, as `trust key` wrote it [default: one is made for each that goes]
    #[arg(long, value_name = "FILE")]
    pub add: Vec<PathBuf>,
    /// How many of the keys must sign from then on [default: as before]
    #[arg(long, value_name = "N")]
    pub threshold: Option<u64>,
    /// Change no key: the root only gets a new expiry
    #[arg(long, conflicts_with_all = ["retire", "add", "threshold"])]
    pub only_expiry: bool,
    /// Days until the new root expires
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u64).range(1..=3650))]
    pub expires: u64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// How long new metadata counts.
#[derive(Debug, Clone, Copy, Args)]
pub struct Lifetimes {
    /// Hours until the timestamp expires: how long nobody would notice that it is kept back
    #[arg(long, value_name = "HOURS", default_value_t = 48, value_parser = clap::value_parser!(u64).range(1..=72))]
    pub timestamp_hours: u64,
    /// Days until the snapshot expires
    #[arg(long, value_name = "DAYS", default_value_t = 14, value_parser = clap::value_parser!(u64).range(1..=365))]
    pub snapshot_days: u64,
    /// Days until the list of targets expires
    #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = clap::value_parser!(u64).range(1..=365))]
    pub targets_days: u64,
}

/// Options of `trust publish`.
#[derive(Debug, Args)]
pub struct Publish {
    /// The keeper's folder
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// The folder of a service or web server; the repository is copied to its `v1/tuf`
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,
    /// A new trust policy
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// A new list of revocations
    #[arg(long, value_name = "FILE")]
    pub revocations: Option<PathBuf>,
    /// A new trusted root of Sigstore
    #[arg(long, value_name = "FILE")]
    pub trusted_root: Option<PathBuf>,
    #[expect(missing_docs, reason = "documented where it is defined; a comment would become help")]
    #[command(flatten)]
    pub lifetimes: Lifetimes,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `trust renew`.
#[derive(Debug, Args)]
pub struct Renew {
    /// The keeper's folder
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// As for `publish`
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,
    #[expect(missing_docs, reason = "documented where it is defined; a comment would become help")]
    #[command(flatten)]
    pub lifetimes: Lifetimes,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Options of `trust status`.
#[derive(Debug, Args)]
pub struct Status {
    /// The keeper's folder
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
