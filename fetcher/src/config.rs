//! What the user configured: the environment first, then `config.toml`, then defaults.
//!
//! Owns the meaning of `config.toml` and where the local store and the trust policy lie. Both programs load it, the
//! wrapper for each call, so nothing here is heavier than one small file.
//! Must not know the network, cargo's configuration or what a trust policy says.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::env::{self, Env};
use crate::size::Size;

/// The configuration file's name in the configuration folder.
pub const CONFIG_FILE: &str = "config.toml";

/// The pinned trust policy's name in the configuration folder.
pub const TRUST_POLICY_FILE: &str = "trust-policy.json";

/// The pinned TUF root's name in the configuration folder.
pub const TUF_ROOT_FILE: &str = "root.json";

/// What the local store may grow to where nothing else is configured.
const DEFAULT_MAX_STORE_SIZE: Size = Size::new(20 << 30);

/// What both programs go by. Loading never fails: what is wrong makes Sealift step aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where Sealift works, or why it steps aside.
    pub state: State,
    /// The trust policy file or TUF root; without one nothing that was downloaded is believed.
    pub trust_policy: Option<PathBuf>,
    /// Base URL of the public store, without a trailing `/`.
    pub url: Option<String>,
    /// Never use the network.
    pub offline: bool,
    /// What looks like an attack is an error.
    pub strict: bool,
    /// An operator counts only where it shows how a unit was built.
    pub require_sigstore: bool,
    /// Time that a build may lose to waiting for downloads that do not come.
    pub patience: Duration,
    /// The wrapper that gets what Sealift does not handle. Known even when Sealift steps aside.
    pub next_wrapper: Option<OsString>,
    /// The most that the local store may grow to before the oldest units go.
    pub max_store_size: Size,
    /// The folder of `config.toml`, when there can be one.
    pub folder: Option<PathBuf>,
}

/// Whether Sealift works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It does, with the local store below this folder (`<root>/v1/...`), which need not exist yet.
    On {
        /// The store's root.
        store: PathBuf,
    },
    /// It gives every call to the next wrapper or to rustc.
    Aside(Aside),
}

/// Why Sealift steps aside.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Aside {
    /// `SEALIFT=off`.
    #[error("switched off by `SEALIFT`")]
    Off,
    /// No place for the local store.
    #[error("no home folder: none of `SEALIFT_STORE`, `XDG_CACHE_HOME` and `HOME` is an absolute path")]
    NoHome,
    /// A relative store would be another one for each call, since cargo changes the folder.
    #[error("`{path}` in `SEALIFT_STORE` is not an absolute path")]
    RelativeStore {
        /// The path.
        path: PathBuf,
    },
    /// The configuration file is there but cannot be used.
    #[error("failed to use `{path}`: {problem}")]
    BadConfig {
        /// The file.
        path: PathBuf,
        /// What is wrong, on one line.
        problem: String,
    },
}

/// `config.toml`, as `cargo sealift setup` writes it. Paths are relative to its folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ConfigFile {
    /// As `SEALIFT_URL`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// As `SEALIFT_STORE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<PathBuf>,
    /// As `SEALIFT_TRUST_ROOT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust_policy: Option<PathBuf>,
    /// As `SEALIFT_OFFLINE`.
    #[serde(skip_serializing_if = "is_false")]
    pub offline: bool,
    /// As `SEALIFT_STRICT`.
    #[serde(skip_serializing_if = "is_false")]
    pub strict: bool,
    /// As `SEALIFT_REQUIRE_SIGSTORE`.
    #[serde(skip_serializing_if = "is_false")]
    pub require_sigstore: bool,
    /// As `SEALIFT_PATIENCE`, in whole seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<u32>,
    /// As `SEALIFT_NEXT_WRAPPER`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_wrapper: Option<String>,
    /// As `SEALIFT_MAX_SIZE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_store_size: Option<Size>,
}

impl Config {
    /// What this process's environment and the configuration file say.
    pub fn load() -> Self {
        Self::from_env(&Env::process())
    }

    /// What this environment and the configuration file that it leads to say.
    pub fn from_env(env: &Env) -> Self {
        let folder = config_folder(env);
        let (file, problem) = match folder.as_deref().map(ConfigFile::read) {
            None | Some(Ok(None)) => (ConfigFile::default(), None),
            Some(Ok(Some(file))) => (file, None),
            Some(Err(aside)) => (ConfigFile::default(), Some(aside)),
        };
        let in_folder = |path: PathBuf| {
            folder
                .as_ref()
                .map_or_else(|| path.clone(), |folder| folder.join(&path))
        };
        let state = if env.is_off() {
            State::Aside(Aside::Off)
        } else if let Some(aside) = problem {
            State::Aside(aside)
        } else {
            match env.non_empty(env::STORE).map(PathBuf::from) {
                Some(store) if store.is_absolute() => State::On { store },
                Some(path) => State::Aside(Aside::RelativeStore { path }),
                None => match file.store.map(in_folder).or_else(|| default_store(env)) {
                    Some(store) => State::On { store },
                    None => State::Aside(Aside::NoHome),
                },
            }
        };
        let trust_policy = match env.raw(env::TRUST_ROOT) {
            Some(path) => Some(path).filter(|path| !path.is_empty()).map(PathBuf::from),
            None => file.trust_policy.map(in_folder).or_else(|| {
                folder
                    .as_ref()
                    .map(|folder| folder.join(TRUST_POLICY_FILE))
                    .filter(|path| path.is_file())
            }),
        };
        let url = match env.raw(env::URL) {
            Some(url) => url.into_string().ok(),
            None => file.url,
        };
        Self {
            state,
            trust_policy,
            url: url
                .map(|url| url.trim_end_matches('/').to_owned())
                .filter(|url| !url.is_empty()),
            offline: env.raw(env::OFFLINE).map_or(file.offline, |_| env.switch(env::OFFLINE)),
            strict: env.raw(env::STRICT).map_or(file.strict, |_| env.switch(env::STRICT)),
            require_sigstore: (env.raw(env::REQUIRE_SIGSTORE))
                .map_or(file.require_sigstore, |_| env.switch(env::REQUIRE_SIGSTORE)),
            patience: patience(env)
                .or_else(|| file.patience.map(|seconds| Duration::from_secs(seconds.into())))
                .unwrap_or(DEFAULT_PATIENCE),
            next_wrapper: match env.raw(env::NEXT_WRAPPER) {
                Some(wrapper) => Some(wrapper).filter(|wrapper| !wrapper.is_empty()),
                None => file.next_wrapper.map(OsString::from),
            },
            // A size that is none must not switch anything off; `doctor` says so.
            max_store_size: (env.text(env::MAX_SIZE).and_then(|size| size.parse().ok()))
                .or(file.max_store_size)
                .unwrap_or(DEFAULT_MAX_STORE_SIZE),
            folder,
        }
    }

    /// The local store's root, unless Sealift steps aside.
    pub fn store(&self) -> Option<&Path> {
        match &self.state {
            State::On { store } => Some(store),
            State::Aside(_) => None,
        }
    }
}

impl ConfigFile {
    /// Reads `config.toml` in this folder; `None` when there is none.
    pub fn read(folder: &Path) -> Result<Option<Self>, Aside> {
        let path = folder.join(CONFIG_FILE);
        let text = match fs_err::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => {
                return Err(Aside::BadConfig {
                    problem: error.kind().to_string(),
                    path,
                });
            }
        };
        toml::from_str(&text)
            .map(Some)
            .map_err(|error: toml::de::Error| Aside::BadConfig {
                problem: error.message().lines().collect::<Vec<_>>().join(" "),
                path,
            })
    }
}

/// `$XDG_CONFIG_HOME/sealift`, else `~/.config/sealift`.
fn config_folder(env: &Env) -> Option<PathBuf> {
    let base = env
        .absolute_path(env::XDG_CONFIG_HOME)
        .or_else(|| Some(env.absolute_path(env::HOME)?.join(".config")))?;
    Some(base.join("sealift"))
}

fn patience(env: &Env) -> Option<Duration> {
    let seconds = env.text(env::PATIENCE)?.parse().ok()?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .map(|patience| patience.min(LONGEST_PATIENCE))
}

fn default_store(env: &Env) -> Option<PathBuf> {
    let base = env
        .absolute_path(env::XDG_CACHE_HOME)
        .or_else(|| Some(env.absolute_path(env::HOME)?.join(".cache")))?;
    Some(base.join("sealift"))
}

const DEFAULT_PATIENCE: Duration = Duration::from_secs(2);

/// More would not be a budget.
const LONGEST_PATIENCE: Duration = Duration::from_secs(600);

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home_with(config: &str) -> (tempfile::TempDir, Env) {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join(".config/sealift");
        fs_err::create_dir_all(&folder).unwrap();
        fs_err::write(folder.join(CONFIG_FILE), config).unwrap();
        let env = Env::made_up([(env::HOME, home.path())]);
        (home, env)
    }

    #[test]
    fn without_a_home_sealift_steps_aside_but_knows_the_next_wrapper() {
        let config = Config::from_env(&Env::made_up([(env::NEXT_WRAPPER, "sccache")]));
        assert_eq!(config.state, State::Aside(Aside::NoHome));
        assert_eq!(config.next_wrapper, Some("sccache".into()));
        assert_eq!(config.trust_policy, None);
    }

    #[test]
    fn the_size_limit_is_the_environment_s_then_the_file_s() {
        let (home, env) = home_with("max-store-size = \"5GiB\"\n");
        assert_eq!(Config::from_env(&env).max_store_size, Size::new(5 << 30));
        let with = |size: &str| {
            let env = Env::made_up([(env::HOME, home.path().as_os_str()), (env::MAX_SIZE, size.as_ref())]);
            Config::from_env(&env).max_store_size
        };
        assert_eq!(with("1MB"), Size::new(1_000_000));
        assert_eq!(
            with("a lot"),
            Size::new(5 << 30),
            "what is no size switches nothing off"
        );
    }

    #[test]
    fn a_relative_store_steps_aside() {
        let config = Config::from_env(&Env::made_up([(env::STORE, "store"), (env::HOME, "/home/user")]));
        assert!(matches!(config.state, State::Aside(Aside::RelativeStore { .. })));
    }

    #[test]
    fn defaults_follow_the_xdg_folders_then_home() {
        let config = Config::from_env(&Env::made_up([(env::HOME, "/home/user")]));
        assert_eq!(config.store(), Some(Path::new("/home/user/.cache/sealift")));
        assert_eq!(config.folder, Some("/home/user/.config/sealift".into()));
        let xdg = [
            (env::HOME, "/home/user"),
            (env::XDG_CACHE_HOME, "/cache"),
            (env::XDG_CONFIG_HOME, "/config"),
        ];
        let config = Config::from_env(&Env::made_up(xdg));
        assert_eq!(config.store(), Some(Path::new("/cache/sealift")));
        assert_eq!(config.folder, Some("/config/sealift".into()));
    }

    #[test]
    fn the_environment_overrides_the_file() {
        let (home, env) = home_with(
            "url = \"https://file.example/\"\nstrict = true\nrequire-sigstore = true\nnext-wrapper = \"mbx\"\n",
        );
        let config = Config::from_env(&env);
        assert_eq!(config.url.as_deref(), Some("https://file.example"));
        assert_eq!(config.next_wrapper, Some("mbx".into()));
        assert!(config.strict && config.require_sigstore && !config.offline);
        let env = Env::made_up([
            (env::HOME, home.path().as_os_str()),
            (env::URL, "http://other.example".as_ref()),
            (env::STRICT, "0".as_ref()),
            (env::REQUIRE_SIGSTORE, "off".as_ref()),
            (env::OFFLINE, "1".as_ref()),
            (env::NEXT_WRAPPER, "".as_ref()),
        ]);
        let config = Config::from_env(&env);
        assert_eq!(config.url.as_deref(), Some("http://other.example"));
        assert_eq!(config.next_wrapper, None);
        assert!(!config.strict && !config.require_sigstore && config.offline);
    }

    #[test]
    fn patience_is_in_seconds_and_nonsense_is_the_default() {
        for (text, milliseconds) in [("0.25", 250), ("0", 0), ("1e9", 600_000), ("-1", 2000), ("soon", 2000)] {
            let env = Env::made_up([(env::HOME, "/home/user"), (env::PATIENCE, text)]);
            assert_eq!(Config::from_env(&env).patience.as_millis(), milliseconds, "{text}");
        }
    }

    #[test]
    fn a_trust_policy_is_found_in_the_folder_and_an_empty_variable_means_none() {
        let (home, env) = home_with("");
        assert_eq!(Config::from_env(&env).trust_policy, None);
        let pinned = home.path().join(".config/sealift/trust-policy.json");
        fs_err::write(&pinned, "{}").unwrap();
        assert_eq!(Config::from_env(&env).trust_policy, Some(pinned));
        let env = Env::made_up([(env::HOME, home.path().as_os_str()), (env::TRUST_ROOT, "".as_ref())]);
        assert_eq!(Config::from_env(&env).trust_policy, None);
    }

    #[test]
    fn a_broken_or_unknown_configuration_steps_aside_and_says_where() {
        for text in ["url = ", "colour = 1"] {
            let (_home, env) = home_with(text);
            assert!(
                matches!(Config::from_env(&env).state, State::Aside(Aside::BadConfig { .. })),
                "{text}"
            );
        }
    }
}
