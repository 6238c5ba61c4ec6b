//! What of this system decides what a build script's run gives, asked as the script would ask.
//!
//! Owns the answers, which are in the key, and the refusal where the script would take something of the system, so that
//! its run is this machine's own. Starts no compiler.
//! Must not know which script asks what: the reviewed list says it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fs_err as fs;
use sealift_policy::digest::Digest;
use sealift_policy::reviewed::{Question, Reviewed};

use super::{NoRun, c_compiler};
use crate::env::{self, Env};
use crate::store::Store;
use crate::tree;

/// The answers to what a script asks.
pub(super) fn answers(
    store: &Store,
    reviewed: &Reviewed,
    target: Option<&str>,
) -> Result<BTreeMap<String, String>, NoRun> {
    let env = Env::process();
    let mut answers = BTreeMap::new();
    for question in reviewed.questions() {
        let answer = match question {
            Question::CCompiler => c_compiler::here(store, &env).map_or("none".into(), |compiler| compiler.family),
            Question::Header(name) => content_of(name, &include_folders(&env, target, name)?)?,
            Question::AbsentHeader(name) => match header(name, &include_folders(&env, target, name)?) {
                Some(path) => return Err(NoRun::System(format!("`{}`", path.display()))),
                None => ABSENT.into(),
            },
            Question::Module { name, taken_with } => module(name, taken_with)?,
        };
        answers.insert(question.to_string(), answer);
    }
    Ok(answers)
}

/// What is said of a header that is not there.
const ABSENT: &str = "absent";

/// The folders in which the C compiler of a distribution looks for a header, in its order.
fn include_folders(env: &Env, target: Option<&str>, name: &str) -> Result<[PathBuf; 3], NoRun> {
    // One that lies elsewhere may look elsewhere.
    let is_of_distribution = |program: &Path| ["/usr/bin", "/bin"].iter().any(|bin| program.starts_with(bin));
    if !c_compiler::program(env).is_some_and(|program| is_of_distribution(&program)) {
        return Err(NoRun::System(format!("`{name}`")));
    }
    // Debian's name of the platform, as in `x86_64-linux-gnu`.
    let platform = target.unwrap_or_default().replacen("-unknown", "", 1);
    Ok([
        PathBuf::from("/usr/local/include"),
        Path::new("/usr/include").join(platform),
        PathBuf::from("/usr/include"),
    ])
}

/// Where a header is found.
fn header(name: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let mut candidates = folders.iter().map(|folder| folder.join(name));
    candidates.find(|path| path.is_file())
}

/// The digest of a header, or of a folder of headers wherever there is a part of it: the first that has a header counts.
fn content_of(name: &str, folders: &[PathBuf]) -> Result<String, NoRun> {
    if !name.ends_with('/') {
        return header(name, folders).map_or(Ok(ABSENT.into()), |path| {
            let content = fs::read(path).map_err(NoRun::Unreadable)?;
            Ok(Digest::of(&content).to_string())
        });
    }
    let parts = folders.iter().map(|folder| folder.join(name)).map(|part| {
        if !part.is_dir() {
            return Ok(ABSENT.into());
        }
        let tree = tree::digest(&part, &[]).map_err(NoRun::Unreadable)?;
        Ok(tree.digest.to_string())
    });
    Ok(parts.collect::<Result<Vec<String>, NoRun>>()?.join(" "))
}

/// Whether pkg-config knows a module, asked as the `pkg-config` crate does when it is told nothing.
fn module(name: &str, taken_with: Option<&str>) -> Result<String, NoRun> {
    let is_told = |variable: &str| {
        let variable = ["HOST_", "TARGET_"]
            .iter()
            .find_map(|side| variable.strip_prefix(side))
            .unwrap_or(variable);
        variable.starts_with("PKG_CONFIG")
    };
    let mut variables = env::all().filter_map(|(variable, _)| variable.into_string().ok());
    if let Some(variable) = variables.find(|variable| is_told(variable)) {
        return Err(NoRun::System(format!("what `{variable}` leads to")));
    }
    for program in ["pkg-config", "pkgconf"] {
        let asked = Command::new(program)
            .args(["--cflags-only-I", name])
            .env("PKG_CONFIG_ALLOW_SYSTEM_CFLAGS", "1")
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output();
        let Ok(said) = asked else { continue };
        if !said.status.success() {
            return Ok("unknown".into());
        }
        let flags = String::from_utf8_lossy(&said.stdout).into_owned();
        let is_taken = taken_with.is_none_or(|header| {
            let folders = flags
                .split_ascii_whitespace()
                .filter_map(|flag| flag.strip_prefix("-I"));
            // What is escaped may be anything.
            flags.contains(['\\', '"', '\'']) || folders.map(Path::new).any(|folder| folder.join(header).exists())
        });
        return if is_taken {
            Err(NoRun::System(format!("the library `{name}`")))
        } else {
            Ok("not taken".into())
        };
    }
    Ok("no pkg-config".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_headers_counts_by_all_that_is_in_it_and_by_which_is_found_first() {
        let system = tempfile::tempdir().unwrap();
        let folders = ["local", "platform", "general"].map(|folder| system.path().join(folder));
        let write = |folder: &PathBuf, name: &str, content: &str| {
            fs::create_dir_all(folder.join("openssl")).unwrap();
            fs::write(folder.join("openssl").join(name), content).unwrap();
        };
        let said = || content_of("openssl/", &folders).unwrap();
        let mut all = vec![said()];
        write(&folders[2], "ssl.h", "one");
        all.push(said());
        assert_eq!(said(), said());
        write(&folders[2], "ssl.h", "two");
        all.push(said());
        write(&folders[2], "opensslv.h", "");
        all.push(said());
        write(&folders[1], "opensslconf.h", "");
        all.push(said());
        // In front of the others.
        write(&folders[0], "ssl.h", "two");
        all.push(said());
        all.push(content_of("openssl/ssl.h", &folders).unwrap());
        all.push(content_of("openssl/none.h", &folders).unwrap());
        all.sort();
        let different = all.len();
        all.dedup();
        assert_eq!(all.len(), different);
        // Nobody knows what a link leads to tomorrow.
        std::os::unix::fs::symlink("ssl.h", folders[2].join("openssl/link.h")).unwrap();
        assert!(matches!(content_of("openssl/", &folders), Err(NoRun::Unreadable(_))));
    }
}
