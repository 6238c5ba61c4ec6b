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
            Question::Header(name) => match header(&env, target, name)? {
                Some(path) => Digest::of(&fs::read(path).map_err(NoRun::Unreadable)?).to_string(),
                None => "absent".into(),
            },
            Question::AbsentHeader(name) => match header(&env, target, name)? {
                Some(path) => return Err(NoRun::System(format!("`{}`", path.display()))),
                None => "absent".into(),
            },
            Question::Module { name, taken_with } => module(name, taken_with)?,
        };
        answers.insert(question.to_string(), answer);
    }
    Ok(answers)
}

/// Where the C compiler of a distribution finds a header, in its order.
fn header(env: &Env, target: Option<&str>, name: &str) -> Result<Option<PathBuf>, NoRun> {
    // One that lies elsewhere may look elsewhere.
    let is_of_distribution = |program: &Path| ["/usr/bin", "/bin"].iter().any(|bin| program.starts_with(bin));
    if !c_compiler::program(env).is_some_and(|program| is_of_distribution(&program)) {
        return Err(NoRun::System(format!("`{name}`")));
    }
    // Debian's name of the platform, as in `x86_64-linux-gnu`.
    let platform = target.unwrap_or_default().replacen("-unknown", "", 1);
    let folders = [
        PathBuf::from("/usr/local/include"),
        Path::new("/usr/include").join(platform),
        PathBuf::from("/usr/include"),
    ];
    let mut candidates = folders.iter().map(|folder| folder.join(name));
    Ok(candidates.find(|path| path.is_file()))
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
