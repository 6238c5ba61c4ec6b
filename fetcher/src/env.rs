//! Every environment variable that Sealift reads on the user's machine, with what it means.
//!
//! Owns the names and the one place where they are read. Both programs use it, so it stays light.
//! Must not know what the values are used for; defaults are [`crate::config`]'s.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

/// `off` (or `0`) switches Sealift off: the wrapper runs the next wrapper or rustc, `cargo sealift build` runs cargo.
pub const SEALIFT: &str = "SEALIFT";
/// Base URL of the public store, such as `https://sealift.example`. Empty: none.
pub const URL: &str = "SEALIFT_URL";
/// Folder of the local store. Default `$XDG_CACHE_HOME/sealift`, else `~/.cache/sealift`.
pub const STORE: &str = "SEALIFT_STORE";
/// The trust policy file, or a TUF `root.json` that leads to the policy. Default what `setup` pinned, else
/// `trust-policy.json` in the configuration folder. Empty: none, so that nothing downloaded is believed.
pub const TRUST_ROOT: &str = "SEALIFT_TRUST_ROOT";
/// `1`: never use the network.
pub const OFFLINE: &str = "SEALIFT_OFFLINE";
/// `1`: what looks like an attack is an error instead of a loud line.
pub const STRICT: &str = "SEALIFT_STRICT";
/// `1`: an operator counts only where it shows how the unit was built, by a Sigstore bundle that its key signed. Costs
/// requests. For what is fetched from then on; `cargo sealift verify --provenance` looks at what was fetched before.
pub const REQUIRE_SIGSTORE: &str = "SEALIFT_REQUIRE_SIGSTORE";
/// Seconds that a build may lose to waiting for downloads that do not come, over all of them together. Default 2.
pub const PATIENCE: &str = "SEALIFT_PATIENCE";
/// The wrapper that gets the calls which Sealift does not handle (sccache, kache, mbx ...).
pub const NEXT_WRAPPER: &str = "SEALIFT_NEXT_WRAPPER";
/// Anything: `cargo sealift` also says why it fetched nothing, which otherwise only `stats` and `explain` do.
pub const LOG: &str = "SEALIFT_LOG";
/// The most that the local store may grow to, such as `20GiB` (the default): above it the units that were used longest
/// ago are removed, at most once a day. `cargo sealift gc` goes by it, too.
pub const MAX_SIZE: &str = "SEALIFT_MAX_SIZE";
/// Set by `cargo sealift` for the cargo that it runs: the build to which the wrapper's calls belong. Without it that is
/// the wrapper's parent process, which is not the cargo that the user called when a subcommand such as `cargo clippy`
/// runs another one.
pub const BUILD: &str = "SEALIFT_BUILD";
/// Set by builders only: the program that runs rustc and build scripts in a sandbox.
pub const SANDBOX: &str = "SEALIFT_SANDBOX";

/// The user's home folder.
pub const HOME: &str = "HOME";
/// Where caches lie, by the XDG base directory specification.
pub const XDG_CACHE_HOME: &str = "XDG_CACHE_HOME";
/// Where configuration lies, by the XDG base directory specification.
pub const XDG_CONFIG_HOME: &str = "XDG_CONFIG_HOME";
/// cargo's own program, set by cargo for its subcommands.
pub const CARGO: &str = "CARGO";
/// cargo's home folder. Default `~/.cargo`.
pub const CARGO_HOME: &str = "CARGO_HOME";
/// cargo's folder for what it builds on the way, where that is not the target folder.
pub const CARGO_BUILD_BUILD_DIR: &str = "CARGO_BUILD_BUILD_DIR";
/// The flags with which cargo compiles for the target, as it tells build scripts.
pub const CARGO_ENCODED_RUSTFLAGS: &str = "CARGO_ENCODED_RUSTFLAGS";
/// What cargo runs in front of rustc for the workspace's own crates.
pub const RUSTC_WORKSPACE_WRAPPER: &str = "RUSTC_WORKSPACE_WRAPPER";
/// cargo's target folder.
pub const CARGO_TARGET_DIR: &str = "CARGO_TARGET_DIR";
/// Set by cargo for rustc and its wrappers: the package's folder.
pub const CARGO_MANIFEST_DIR: &str = "CARGO_MANIFEST_DIR";
/// The build script's output folder, set by cargo for rustc.
pub const OUT_DIR: &str = "OUT_DIR";
/// Set by cargo for rustc when it compiles a program; never for a build script.
pub const CARGO_BIN_NAME: &str = "CARGO_BIN_NAME";
/// The toolchain that rustup's proxies run.
pub const RUSTUP_TOOLCHAIN: &str = "RUSTUP_TOOLCHAIN";
/// Where rustup keeps toolchains.
pub const RUSTUP_HOME: &str = "RUSTUP_HOME";
/// The rustc that cargo is to use.
pub const RUSTC: &str = "RUSTC";
/// The wrapper that cargo is to use.
pub const RUSTC_WRAPPER: &str = "RUSTC_WRAPPER";
/// cargo's spelling of `build.rustc-wrapper` in the environment.
pub const CARGO_BUILD_RUSTC_WRAPPER: &str = "CARGO_BUILD_RUSTC_WRAPPER";
/// Lets a stable rustc and cargo use unstable features.
pub const RUSTC_BOOTSTRAP: &str = "RUSTC_BOOTSTRAP";
/// `0`: cargo neither reads nor writes its remembered answers of rustc.
pub const CARGO_CACHE_RUSTC_INFO: &str = "CARGO_CACHE_RUSTC_INFO";
/// cargo's `http.proxy`.
pub const CARGO_HTTP_PROXY: &str = "CARGO_HTTP_PROXY";
/// cargo's `http.cainfo`.
pub const CARGO_HTTP_CAINFO: &str = "CARGO_HTTP_CAINFO";
/// cargo's `net.offline`.
pub const CARGO_NET_OFFLINE: &str = "CARGO_NET_OFFLINE";
/// Any value: no colours.
pub const NO_COLOR: &str = "NO_COLOR";
/// `never` or `always`: no colours, or colours also where there is no terminal, as for cargo.
pub const CARGO_TERM_COLOR: &str = "CARGO_TERM_COLOR";
/// `dumb`: no progress bars.
pub const TERM: &str = "TERM";
/// `quiet` or `verbose` settings of cargo by environment: `CARGO_TERM_QUIET`.
pub const CARGO_TERM_QUIET: &str = "CARGO_TERM_QUIET";
/// `never`: no progress bars, as for cargo.
pub const CARGO_TERM_PROGRESS_WHEN: &str = "CARGO_TERM_PROGRESS_WHEN";
/// The programs' search path.
pub const PATH: &str = "PATH";

/// Whether a variable may hold a secret of cargo's or of another tool: a process that is started gets none of them.
pub fn is_credential(name: &str) -> bool {
    ["_TOKEN", "_SECRET_KEY", "_PASSWORD", "_SECRET"]
        .iter()
        .any(|end| name.ends_with(end))
        || (name.starts_with("CARGO_REGISTR") && name.contains("CREDENTIAL"))
}

/// The process's environment, or a made-up one in tests.
#[derive(Debug, Clone, Default)]
pub struct Env(Option<Arc<BTreeMap<String, OsString>>>);

impl Env {
    /// The environment of this process.
    pub const fn process() -> Self {
        Self(None)
    }

    /// An environment of exactly these variables.
    pub fn made_up<K: Into<String>, V: Into<OsString>>(variables: impl IntoIterator<Item = (K, V)>) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        Self(Some(Arc::new(variables.collect())))
    }

    /// Makes a process run in exactly this environment.
    pub fn give_to(&self, command: &mut Command) {
        if let Some(variables) = &self.0 {
            command.env_clear().envs(variables.iter());
        }
    }

    /// The value as it is; `None` when unset, which is not the same as empty.
    pub fn raw(&self, name: &str) -> Option<OsString> {
        match &self.0 {
            Some(variables) => variables.get(name).cloned(),
            None => read(name),
        }
    }

    /// Values of all variables whose names begin so, as far as both are UTF-8, in the order of the names.
    pub fn values_of(&self, beginning: &str) -> Vec<String> {
        let variables: BTreeMap<_, _> = match &self.0 {
            Some(variables) => (variables.iter().map(|(name, value)| (name.into(), value.clone()))).collect(),
            None => all().collect(),
        };
        let named = variables.into_iter().filter(|(name, _)| {
            let name: &OsString = name;
            name.to_str().is_some_and(|name| name.starts_with(beginning))
        });
        named.filter_map(|(_, value)| value.into_string().ok()).collect()
    }

    /// The value unless it is unset or empty.
    pub fn non_empty(&self, name: &str) -> Option<OsString> {
        self.raw(name).filter(|value| !value.is_empty())
    }

    /// The value as text, unless it is unset, empty or not UTF-8.
    pub fn text(&self, name: &str) -> Option<String> {
        self.non_empty(name)?.into_string().ok()
    }

    /// The value as an absolute path, unless it is unset, empty or relative.
    pub fn absolute_path(&self, name: &str) -> Option<PathBuf> {
        self.non_empty(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    }

    /// cargo's home folder.
    pub fn cargo_home(&self) -> Option<PathBuf> {
        self.absolute_path(CARGO_HOME)
            .or_else(|| Some(self.absolute_path(HOME)?.join(".cargo")))
    }

    /// Whether a switch is on: set to anything but nothing, `0`, `false`, `no` or `off`.
    pub fn switch(&self, name: &str) -> bool {
        self.non_empty(name).is_some_and(|value| {
            let value = value.to_ascii_lowercase();
            !["0", "false", "no", "off"].iter().any(|off| value == OsStr::new(off))
        })
    }

    /// Whether `SEALIFT` says that Sealift is to step aside.
    pub fn is_off(&self) -> bool {
        self.non_empty(SEALIFT).is_some() && !self.switch(SEALIFT)
    }
}

/// Every variable of this process, for key documents and rewritten environments.
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub fn all() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os()
}

#[expect(clippy::disallowed_methods, reason = "this is the place")]
fn read(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches_are_off_when_unset_empty_or_said_to_be() {
        let env = Env::made_up([
            ("ONE", "1"),
            ("TRUE", "true"),
            ("ZERO", "0"),
            ("FALSE", "False"),
            ("EMPTY", ""),
        ]);
        assert!(env.switch("ONE") && env.switch("TRUE"));
        assert!(!env.switch("ZERO") && !env.switch("FALSE") && !env.switch("EMPTY") && !env.switch("UNSET"));
    }

    #[test]
    fn tokens_and_passwords_are_credentials() {
        for name in [
            "CARGO_REGISTRIES_MINE_TOKEN",
            "CARGO_REGISTRY_TOKEN",
            "GITHUB_TOKEN",
            "AWS_SECRET_KEY",
        ] {
            assert!(is_credential(name), "{name}");
        }
        for name in [
            "CARGO_REGISTRIES_MINE_INDEX",
            "PATH",
            "CARGO_HOME",
            "CARGO_REGISTRY_DEFAULT",
        ] {
            assert!(!is_credential(name), "{name}");
        }
    }

    #[test]
    fn sealift_off_and_0_step_aside_and_on_does_not() {
        for (value, off) in [("off", true), ("OFF", true), ("0", true), ("", false), ("on", false)] {
            let env = Env::made_up([(SEALIFT, value)]);
            assert_eq!(env.is_off(), off, "{value:?}");
        }
        assert!(!Env::made_up::<&str, &str>([]).is_off());
    }
}
