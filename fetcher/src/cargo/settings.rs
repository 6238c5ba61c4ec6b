//! What cargo's own configuration says, asked of cargo: its files, their order and their merging are its own.
//!
//! Must not know what the answers are used for.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use super::plan::Surroundings;
use crate::env::{self, Env};

/// cargo's configuration files, merged by cargo for one folder. Environment variables are not part of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings(Value);

/// How cargo reaches the network, so that we do as it does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Network {
    /// `http.proxy`. Without it the usual variables (`HTTPS_PROXY` ...) count.
    pub(crate) proxy: Option<String>,
    /// `http.cainfo`: a file of certificate authorities that count beside those of the system.
    pub(crate) authorities: Option<PathBuf>,
    /// `net.offline`.
    pub(crate) offline: bool,
}

impl Settings {
    /// What cargo reads in these surroundings; nothing where it cannot be asked.
    pub(crate) fn of(there: &Surroundings) -> Self {
        let output = there
            .question()
            .args(["-Zunstable-options", "config", "get", "--format", "json-value"])
            .stdin(Stdio::null())
            .output();
        Self(
            output
                .ok()
                .and_then(|output| serde_json::from_slice(&output.stdout).ok())
                .unwrap_or_default(),
        )
    }

    /// What an alias stands for; `None` for a command that is none.
    pub(crate) fn alias(&self, env: &Env, name: &str) -> Option<Vec<OsString>> {
        let variable = format!("CARGO_ALIAS_{}", name.to_uppercase().replace('-', "_"));
        let split = |line: &str| line.split_ascii_whitespace().map(OsString::from).collect();
        if let Some(line) = env.text(&variable) {
            return Some(split(&line));
        }
        match self.0.get("alias")?.get(name)? {
            Value::String(line) => Some(split(line)),
            Value::Array(words) => words.iter().map(|word| Some(word.as_str()?.into())).collect(),
            _ => None,
        }
    }

    /// How cargo reaches the network. An authority file of relative path is left out: it is relative to the file that
    /// names it, which cargo does not tell here.
    pub(crate) fn network(&self, env: &Env) -> Network {
        let http = |name: &str| Some(self.0.get("http")?.get(name)?.as_str()?.to_owned());
        let offline = self.0.get("net").and_then(|net| net.get("offline")?.as_bool());
        Network {
            proxy: (env.raw(env::CARGO_HTTP_PROXY).map(|proxy| proxy.into_string().ok()))
                .unwrap_or_else(|| http("proxy"))
                .filter(|proxy| !proxy.is_empty()),
            authorities: (env.text(env::CARGO_HTTP_CAINFO).or_else(|| http("cainfo")))
                .map(PathBuf::from)
                .filter(|path| path.is_absolute()),
            offline: env
                .raw(env::CARGO_NET_OFFLINE)
                .map_or(offline.unwrap_or(false), |_| env.switch(env::CARGO_NET_OFFLINE)),
        }
    }
}

/// The wrapper that cargo's configuration names, if any: as a name to search for, or by its own path.
pub(crate) fn configured_wrapper(env: &Env) -> Option<PathBuf> {
    const KEY: &str = "build.rustc-wrapper";
    let there = Surroundings::here(env);
    let Settings(settings) = Settings::of(&there);
    let wrapper = Path::new(settings.get("build")?.get("rustc-wrapper")?.as_str()?);
    if !is_relative_path(wrapper) {
        return Some(wrapper.to_owned());
    }
    let output = there
        .question()
        .args(["-Zunstable-options", "config", "get", "--show-origin", KEY])
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    // `build.rustc-wrapper = "tools/wrap" # /home/me/project/.cargo/config.toml`
    let (_, origin) = text.trim_end().rsplit_once(" # ")?;
    Some(below_config(Path::new(origin), wrapper))
}

/// Whether cargo takes this for a path, and not for a name that is searched for, and it is relative.
pub(crate) fn is_relative_path(program: &Path) -> bool {
    program.is_relative() && program.components().count() > 1
}

/// What a relative path in a configuration file means: cargo takes it from the folder in which the file's folder lies.
pub(crate) fn below_config(file: &Path, path: &Path) -> PathBuf {
    let folder = file.parent().and_then(Path::parent);
    folder.map_or_else(|| path.to_owned(), |folder| folder.join(path))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn none() -> Env {
        Env::made_up::<&str, &str>([])
    }

    #[test]
    fn aliases_are_lines_or_lists_and_the_environment_goes_first() {
        let settings = Settings(json!({"alias": {"br": "build --release", "t-a": ["test", "a b"], "odd": 1}}));
        let alias = |env: &Env, name| {
            settings
                .alias(env, name)
                .map(|words| words.join("|".as_ref()).into_string().unwrap())
        };
        assert_eq!(alias(&none(), "br").as_deref(), Some("build|--release"));
        assert_eq!(alias(&none(), "t-a").as_deref(), Some("test|a b"));
        assert_eq!(alias(&none(), "odd"), None);
        assert_eq!(alias(&none(), "xtask"), None);
        let env = Env::made_up([("CARGO_ALIAS_T_A", "check --tests")]);
        assert_eq!(alias(&env, "t-a").as_deref(), Some("check|--tests"));
    }

    #[test]
    fn the_network_is_reached_as_cargo_does() {
        let settings = Settings(json!({
            "http": {"proxy": "http://proxy.example:3128", "cainfo": "/etc/company.pem"},
            "net": {"offline": true},
        }));
        let network = settings.network(&none());
        assert_eq!(network.proxy.as_deref(), Some("http://proxy.example:3128"));
        assert_eq!(network.authorities, Some("/etc/company.pem".into()));
        assert!(network.offline);
        let env = Env::made_up([
            (env::CARGO_HTTP_PROXY, ""),
            (env::CARGO_HTTP_CAINFO, "/other.pem"),
            (env::CARGO_NET_OFFLINE, "false"),
        ]);
        let network = settings.network(&env);
        assert_eq!(network.proxy, None);
        assert_eq!(network.authorities, Some("/other.pem".into()));
        assert!(!network.offline);
        assert_eq!(Settings::default().network(&none()), Network::default());
    }
}
