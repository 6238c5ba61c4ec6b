//! The key of a build script's run: which inputs make it the same run.
//!
//! | input | in the key? | why |
//! | --- | --- | --- |
//! | the script's unit key | yes | its sources, dependencies and compiler; not its bytes, which depend on the linker |
//! | package name, version, SHA-256 of the `.crate` | yes | the folder in which it runs; the caller checked the files against the archive |
//! | the compiler | yes | a script may ask it what it can |
//! | `TARGET`, `HOST`, `PROFILE`, `OPT_LEVEL`, `DEBUG`, `CARGO_FEATURE_*`, `CARGO_CFG_*`, `CARGO_PKG_*`, `CARGO_MANIFEST_LINKS`, `RUSTC_WORKSPACE_WRAPPER`, `RUSTC_BOOTSTRAP` | yes | what cargo tells it |
//! | `CARGO_ENCODED_RUSTFLAGS` | but lints and what goes to the linker | the cc crate hands some of the compiler's options on to C compilers, and none of those; of the scripts on the list only aws-lc-sys looks at it, for a codegen backend |
//! | `RUSTC_LINKER` | no | the cc crate looks at it for another target only, for which scripts that compile C have no shared runs; no script on the list does |
//! | `DEP_*` | yes, with paths replaced | what the scripts of packages that it depends on said. A path into their `OUT_DIR` or sources becomes one with the digest of what lies there; any other has no key |
//! | `OUT_DIR`, `CARGO_MANIFEST_DIR`, `CARGO_MANIFEST_PATH` | no | where things lie |
//! | `RUSTC`, `RUSTDOC`, `CARGO`, `RUSTC_WRAPPER` | no | where programs lie; what the compiler is, is in the key, and the others change nothing |
//! | `NUM_JOBS`, `CARGO_MAKEFLAGS`, `MAKEFLAGS` | no | how many processes run |
//! | what it declares by `rerun-if-env-changed` | no | known only when it has run: compared with the manifest |
//! | other variables | no | only scripts of which somebody found that they read none are shared (see [`crate::reviewed`]); those that they read in silence must be unset |
//! | the C compiler's family (`gcc`, `clang`) | yes, for scripts that compile C | scripts do other things with another |
//! | the C compiler's version | no | the manifest names it; what one made here is used with that one only, what operators made with theirs. Who sets `CC` or flags has another value of a declared variable |
//! | headers of the system, and whether pkg-config knows a library | yes, those that the reviewed list names | what a script would take from the system makes another result; where it takes something its run is not shared, but for a library of which all that a trial can find is in the key by content |
//!
//! Owns the run document and its one spelling. Must not know where inputs come from.

pub mod stdout;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::canonical;
use crate::digest::{Digest, UnitKey};
use crate::invocation::LINK_OPTIONS;
use crate::key::{Compiler, MalformedKeyDocument, Package};
use crate::reviewed::{self, Reviewed};

/// Version of the rules by which runs are made and packed: runs by other rules are other units. What is asked for a script
/// of which runs may have been logged is part of the rules.
pub const RUN_RULES: u32 = 3;

/// What a path into the output folder of another package's script becomes, with the digest of the tree.
pub const OTHER_OUT_DIR: &str = "/cargo/out-dir-of";

/// What a path into another package's sources becomes, with the checksum of its archive.
pub const OTHER_PACKAGE: &str = "/cargo/package";

/// The document whose SHA-256 is the unit key of a run. Version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are the rows of the table above")]
pub struct RunDocument {
    pub compiler: Compiler,
    pub package: Package,
    pub rules: u32,
    pub run_env: BTreeMap<String, String>,
    pub script: UnitKey,
    /// What the script asks the system, with the answers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub system: BTreeMap<String, String>,
    pub version: u32,
}

impl RunDocument {
    /// The name that the outputs of every run bear.
    pub const CRATE_NAME: &str = "build_script_run";

    /// The document of a run of which nothing of the system is known yet.
    pub fn new(script: UnitKey, compiler: Compiler, package: Package, run_env: BTreeMap<String, String>) -> Self {
        Self {
            compiler,
            package,
            rules: RUN_RULES,
            run_env,
            script,
            system: BTreeMap::new(),
            version: 1,
        }
    }

    /// What was found out about the script, if its runs are shared.
    pub fn reviewed(&self) -> Option<&'static Reviewed> {
        let told = |name: &str| self.run_env.get(name).map(String::as_str).unwrap_or_default();
        // What the processor of this machine can do is handed on to C compilers.
        if told("CARGO_ENCODED_RUSTFLAGS").contains("target-cpu=native")
            || !["HOST", "TARGET"].iter().all(|name| reviewed::counts_for(told(name)))
        {
            return None;
        }
        let has_feature = |feature: &str| {
            let name = feature.to_uppercase().replace('-', "_");
            self.run_env.contains_key(&format!("CARGO_FEATURE_{name}"))
        };
        let reviewed = reviewed::run(&self.package.name, &self.package.version, has_feature)?;
        // For another target another C compiler runs, with headers of its own, which nobody looks at.
        let is_crossing = told("HOST") != told("TARGET");
        (!reviewed.compiles_c || !is_crossing).then_some(reviewed)
    }

    /// Whether everything that the script asks the system is answered, and nothing else. What other rules ask is not known
    /// here, and what they made is used by nobody who has these: it may be in a log all the same.
    pub fn is_complete(&self) -> bool {
        if self.rules != RUN_RULES {
            return true;
        }
        let asked = self.reviewed().map(Reviewed::questions).into_iter().flatten();
        let asked: BTreeSet<_> = asked.map(|question| question.to_string()).collect();
        self.reviewed().is_some() && asked.iter().eq(self.system.keys())
    }

    /// The key, and the bytes that it is the digest of.
    pub fn key(&self) -> (UnitKey, String) {
        let text = canonical::to_string(self);
        (UnitKey::new(Digest::of(text.as_bytes())), text)
    }

    pub(crate) fn check(&self) -> Result<(), MalformedKeyDocument> {
        match self.version {
            1 => Ok(()),
            other => Err(MalformedKeyDocument::Version(other)),
        }
    }
}

/// Whether a variable of a build script's environment is in the key of its run.
pub fn env_counts(name: &str) -> bool {
    const PREFIXES: [&str; 4] = ["CARGO_CFG_", "CARGO_FEATURE_", "CARGO_PKG_", "DEP_"];
    const NAMES: [&str; 9] = [
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_MANIFEST_LINKS",
        "DEBUG",
        "HOST",
        "OPT_LEVEL",
        "PROFILE",
        "RUSTC_BOOTSTRAP",
        "RUSTC_WORKSPACE_WRAPPER",
        "TARGET",
    ];
    PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || NAMES.contains(&name)
}

/// `CARGO_ENCODED_RUSTFLAGS` without what means nothing to a script: lints, and what is for the linker.
pub fn rustflags_that_count(encoded: &str) -> String {
    const LINTS: [&str; 5] = ["allow", "warn", "deny", "forbid", "cap-lints"];
    let is_lint = |flag: &str| {
        let short = ["-A", "-W", "-D", "-F"].iter().any(|short| flag.starts_with(short));
        let long = flag.strip_prefix("--").and_then(|long| long.split('=').next());
        short || long.is_some_and(|long| LINTS.contains(&long))
    };
    let is_of_linker = |option: &str| LINK_OPTIONS.contains(&option.split('=').next().unwrap_or_default());
    let mut counting = vec![];
    let mut flags = encoded.split(SEPARATOR);
    while let Some(flag) = flags.next() {
        // With their value in the next one.
        let takes_next = matches!(flag, "-A" | "-W" | "-D" | "-F" | "-C" | "--codegen")
            || (flag.starts_with("--") && LINTS.contains(&&flag[2..]));
        let value = if takes_next { flags.next() } else { None };
        let option = match flag {
            "-C" | "--codegen" => value,
            _ => flag.strip_prefix("-C").or_else(|| flag.strip_prefix("--codegen=")),
        };
        if !is_lint(flag) && !option.is_some_and(is_of_linker) {
            counting.extend([Some(flag), value].into_iter().flatten());
        }
    }
    counting.join(SEPARATOR)
}

/// Between two flags.
const SEPARATOR: &str = "\u{1f}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lints_and_linkers_are_no_inputs_of_a_script() {
        let counting = |flags: &str| rustflags_that_count(&flags.replace(' ', SEPARATOR)).replace(SEPARATOR, " ");
        for moot in [
            "-D warnings",
            "-Dwarnings --cap-lints=warn",
            "--deny warnings --forbid=unsafe_code",
            "-C link-arg=-fuse-ld=lld -Clinker=clang",
            "--codegen link-args=-s --codegen=rpath",
        ] {
            assert_eq!(counting(moot), "", "{moot}");
        }
        for all in [
            "",
            "-C target-cpu=native",
            "-Ctarget-feature=+avx2 --cfg x",
            "-C linker-plugin-lto -Clto=fat",
            "-Z branch-protection=bti -L /x",
            "-C",
            "--made-up -O",
        ] {
            assert_eq!(counting(all), all);
        }
        assert_eq!(
            counting("-C force-frame-pointers=yes -D warnings -C linker=x --cfg tokio_unstable"),
            "-C force-frame-pointers=yes --cfg tokio_unstable"
        );
    }

    #[test]
    fn a_run_is_reviewed_for_the_systems_that_were_looked_at_and_no_very_processor() {
        let reviewed = |changed: (&str, &str)| {
            let platform = "x86_64-unknown-linux-gnu";
            let told = [("HOST", platform), ("TARGET", platform), changed];
            let told = told.map(|(name, value)| (name.to_owned(), value.to_owned()));
            let package = Package {
                checksum: Digest::of(b"crate"),
                name: "ring".parse().unwrap(),
                version: "0.17.14".parse().unwrap(),
            };
            let compiler = Compiler {
                sysroot: vec![],
                verbose_version: String::new(),
            };
            let script = UnitKey::new(Digest::of(b"script"));
            RunDocument::new(script, compiler, package, told.into())
                .reviewed()
                .is_some()
        };
        assert!(reviewed(("PROFILE", "debug")));
        assert!(!reviewed(("TARGET", "x86_64-unknown-linux-musl")));
        assert!(!reviewed(("HOST", "aarch64-apple-darwin")));
        assert!(
            !reviewed(("TARGET", "aarch64-unknown-linux-gnu")),
            "another C compiler runs"
        );
        assert!(!reviewed(("CARGO_ENCODED_RUSTFLAGS", "-C\u{1f}target-cpu=native")));
    }

    // S1: what cargo passes undeclared is in the key; how many jobs run and where things lie is not.
    #[test]
    fn what_cargo_passes_counts_and_where_things_lie_does_not() {
        for name in [
            "TARGET",
            "HOST",
            "PROFILE",
            "OPT_LEVEL",
            "DEBUG",
            "CARGO_FEATURE_STD",
            "CARGO_CFG_UNIX",
            "CARGO_PKG_NAME",
            "DEP_Z_INCLUDE",
            "CARGO_ENCODED_RUSTFLAGS",
            "RUSTC_WORKSPACE_WRAPPER",
        ] {
            assert!(env_counts(name), "{name}");
        }
        for name in [
            "NUM_JOBS",
            "CARGO_MAKEFLAGS",
            "OUT_DIR",
            "CARGO_MANIFEST_DIR",
            "RUSTC",
            "RUSTC_LINKER",
            "CARGO",
            "PATH",
            "HOME",
        ] {
            assert!(!env_counts(name), "{name}");
        }
    }
}
