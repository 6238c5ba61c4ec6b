//! What cargo said: its messages for tools (`--message-format=json`), one a line, and the warnings on standard error.
//!
//! Owns their shape. Must not know who compiled.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, Result};
use sealift_policy::local::CallKind;
use serde::Deserialize;
use serde_json::Value;

/// All of one cargo process.
#[derive(Debug, Default)]
pub(super) struct Said {
    artifacts: Vec<Artifact>,
    /// Every message but for whether an artifact was fresh, and every warning, sorted.
    lines: Vec<String>,
}

/// Something that was compiled, or was there already.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Artifact {
    package_id: String,
    target: Target,
    filenames: Vec<PathBuf>,
    executable: Option<PathBuf>,
    fresh: bool,
}

#[derive(Debug, Clone, Deserialize)]
struct Target {
    kind: Vec<String>,
    name: String,
    src_path: PathBuf,
}

impl Said {
    /// Of a process that has ended.
    pub(super) fn parse(stdout: &str, stderr: &str) -> Result<Self> {
        let mut said = Self::default();
        for line in stdout.lines().filter(|line| line.starts_with('{')) {
            let mut message: Value = serde_json::from_str(line).with_context(|| format!("cargo said {line}"))?;
            if message["reason"] == "compiler-artifact" {
                said.artifacts.push(Artifact::deserialize(&message)?);
                message["fresh"].take();
            }
            said.lines.push(message.to_string());
        }
        let is_warning = |line: &&str| line.starts_with("warning") || line.starts_with("error");
        said.lines
            .extend(stderr.lines().filter(is_warning).map(|line| line.trim().to_owned()));
        said.lines.sort_unstable();
        Ok(said)
    }

    /// What this says and the other does not.
    pub(super) fn without(&self, other: &Self) -> Vec<&str> {
        let mut others = other.lines.iter().peekable();
        let mut left = vec![];
        for line in &self.lines {
            while others.next_if(|other| *other < line).is_some() {}
            if others.next_if(|other| *other == line).is_none() {
                left.push(line.as_str());
            }
        }
        left
    }

    /// What was not fresh.
    pub(super) fn made(&self) -> impl Iterator<Item = &Artifact> {
        self.artifacts.iter().filter(|artifact| !artifact.fresh)
    }

    /// The same, as names that can be compared.
    pub(super) fn made_names(&self) -> BTreeSet<String> {
        self.made().map(Artifact::display).collect()
    }

    /// Files that were named and are not there.
    pub(super) fn missing_files(&self) -> Vec<PathBuf> {
        let files = self.artifacts.iter().flat_map(|artifact| &artifact.filenames);
        files.filter(|file| !file.exists()).cloned().collect()
    }

    /// The executable of this name.
    pub(super) fn program(&self, name: &str) -> Option<PathBuf> {
        let mut named = self.artifacts.iter().filter(|artifact| artifact.is_program(name));
        named.find_map(|artifact| {
            let executable = artifact.executable.clone()?;
            // That of its tests has a hash in its name.
            executable
                .file_stem()
                .is_some_and(|stem| stem == name)
                .then_some(executable)
        })
    }

    /// Where the program of this name begins.
    pub(super) fn source(&self, name: &str) -> Option<PathBuf> {
        let mut named = self.artifacts.iter().filter(|artifact| artifact.is_program(name));
        named.next().map(|artifact| artifact.target.src_path.clone())
    }
}

impl Artifact {
    /// Whether its package comes from a registry.
    pub(super) fn is_of_registry(&self) -> bool {
        self.package_id.starts_with("registry+")
    }

    /// Package and version, as in `serde@1.0.0`.
    pub(super) fn package(&self) -> &str {
        self.package_id.rsplit_once('#').map_or("", |(_, package)| package)
    }

    /// What is compiled.
    pub(super) fn kind(&self) -> CallKind {
        let is = |kind: &str| self.target.kind.iter().any(|one| one == kind);
        if is("proc-macro") {
            CallKind::ProcMacro
        } else if is("custom-build") {
            CallKind::BuildScript
        } else {
            CallKind::Lib
        }
    }

    /// What tells it apart from everything else that cargo compiles, in any project: its package, and the names of its files,
    /// which hold cargo's own hash of features, profile, flags and dependencies.
    pub(super) fn identity(&self) -> String {
        let mut text = self.package_id.clone();
        for file in &self.filenames {
            // The folder's name holds a build script's hash, that of the file any other one's.
            let names: Vec<_> = file.iter().rev().take(2).map(|name| name.to_string_lossy()).collect();
            text += &format!(" {}", names.join("<"));
        }
        text
    }

    fn is_program(&self, name: &str) -> bool {
        self.target.name == name && self.target.kind == ["bin"]
    }

    fn display(&self) -> String {
        format!(
            "{} {} ({})",
            self.package_id,
            self.target.name,
            self.target.kind.join(",")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn artifact(fresh: bool) -> String {
        serde_json::json!({
            "reason": "compiler-artifact",
            "package_id": "registry+https://registry.example/index#cc@1.2.3",
            "target": {"kind": ["lib"], "name": "cc", "src_path": "/s/lib.rs"},
            "filenames": ["/t/debug/deps/libcc-0123.rlib"],
            "executable": null,
            "fresh": fresh,
        })
        .to_string()
    }

    #[test]
    fn whether_an_artifact_was_fresh_is_no_difference_and_how_often_it_was_told_is() {
        let once = Said::parse(&artifact(true), "").expect("messages");
        let again = Said::parse(&artifact(false), "   Compiling cc\n").expect("messages");
        assert!(once.without(&again).is_empty() && again.without(&once).is_empty());
        assert_eq!(once.made().count(), 0);
        assert_eq!(again.made_names().len(), 1);
        let twice = Said::parse(&format!("{0}\n{0}", artifact(false)), "").expect("messages");
        assert_eq!((twice.without(&once).len(), once.without(&twice).len()), (1, 0));
    }

    #[test]
    fn warnings_count_and_progress_does_not() {
        let plain = Said::parse("", "   Compiling cc\nwarning: `cc` (lib) generated 1 warning\n").expect("messages");
        let other = Said::parse("", "    Finished\n").expect("messages");
        assert_eq!(plain.without(&other), ["warning: `cc` (lib) generated 1 warning"]);
        assert!(other.without(&plain).is_empty());
    }

    #[test]
    fn an_identity_is_the_same_in_every_folder() {
        let said = Said::parse(&artifact(false), "").expect("messages");
        let one = said.made().next().expect("an artifact");
        assert!(one.is_of_registry());
        assert_eq!((one.package(), one.kind()), ("cc@1.2.3", CallKind::Lib));
        let elsewhere = artifact(false).replace("/t/", "/another/target/");
        let elsewhere = Said::parse(&elsewhere, "").expect("messages");
        assert_eq!(elsewhere.made().next().expect("an artifact").identity(), one.identity());
        let other = artifact(false).replace("0123", "4567");
        let other = Said::parse(&other, "").expect("messages");
        assert_ne!(other.made().next().expect("an artifact").identity(), one.identity());
    }
}
