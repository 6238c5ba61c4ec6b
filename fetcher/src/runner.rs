//! What stands in front of a build script: this very program under the script's name, with the real executable beside it.
//!
//! It tells C compilers to leave this machine's folders out of what they write, as the canonical call does for rustc, so
//! that the native libraries of two machines are alike; on a builder it also hands the script to the sandbox, which shows
//! a script that writes down where its `OUT_DIR` lies the same place everywhere, and no flags. Only
//! scripts that compile by way of the `cc` crate get a runner on users' machines: for them `CFLAGS` adds to the flags and
//! replaces none. A runner goes on working when Sealift is removed.
//! Owns where the real executable lies and how the sandbox program is called.
//! Must not know what a sandbox is.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use fs_err as fs;

use sealift_policy::local::STORED_MTIME;
use sealift_policy::remap;
use sealift_policy::run::OTHER_OUT_DIR;

use crate::call::Call;
use crate::env::{self, Env};
use crate::pass_through::exit_code;
use crate::run::{Script, told};
use crate::sources::is_vendored;

/// Ends the name of the real executable.
const REAL: &str = ".sealift-script";

/// Ends the name of what is known of it.
const KNOWN: &str = ".sealift-known";

/// The builder's sandbox program, when a builder runs this.
pub fn sandbox() -> Option<PathBuf> {
    Env::process().absolute_path(env::SANDBOX)
}

/// rustc in the sandbox, with these writable folders; arguments follow.
pub fn sandboxed_rustc(sandbox: &Path, writable: &[&Path], rustc: &Path) -> Command {
    sandboxed(sandbox, "rustc", "--write", writable, rustc)
}

/// Moves a build script's executable aside and puts the runner in its place, with what is known of the script beside it.
pub fn put_in_front(executable: &Path, call: Option<&Call>) -> io::Result<()> {
    let beside = |end: &str| {
        let mut path = executable.as_os_str().to_owned();
        path.push(end);
        PathBuf::from(path)
    };
    fs::rename(executable, beside(REAL))?;
    match call.and_then(Script::of) {
        Some(script) => script.write(&beside(KNOWN))?,
        // What may be there is of another script.
        None => match fs::remove_file(beside(KNOWN)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        },
    }
    let runner = std::env::current_exe()?;
    fs::copy(runner, executable).map(drop)
}

/// The real build script, if this program was started as a runner under this name.
pub fn real_script(program: &Path) -> Option<PathBuf> {
    if program.file_name()? == "sealift-rustc" {
        return None;
    }
    // cargo gives the executable a second name in the same folder.
    let entries = fs::read_dir(program.parent()?).ok()?;
    let mut real = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| is_real(path));
    real.next().filter(|_| real.next().is_none())
}

/// Whether a runner belongs in front of the build script that this call makes.
pub fn is_wanted(call: &Call) -> bool {
    sandbox().is_some() || call.closure.contains_crate("cc") || Script::of(call).is_some()
}

/// What a build script runs compilers for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compiles {
    /// No language but Rust.
    Nothing,
    /// C, for all that is known.
    MaybeC,
    /// C, in a sandbox in which `OUT_DIR` lies at its canonical place. It gets no path rules: what it compiles lies there,
    /// and it writes its compiler's flags into what it makes.
    InCanonicalOutDir,
}

/// What is known of the real build script, where its runs are shared.
pub fn known(real: &Path) -> Option<Script> {
    let name = real.as_os_str().to_str()?.strip_suffix(REAL)?;
    Script::read(Path::new(&format!("{name}{KNOWN}")))
}

/// Runs the build script as cargo asked, with what C compilers need to know. Gives what it printed, which is then to be
/// handed on, where it succeeded with that.
///
/// A script that fails with our flags is run again without them: an old compiler may not know them. One that a signal
/// ended is not: whoever sent it meant it; nor one in the canonical `OUT_DIR`, which only builders run.
pub fn run_script(real: &Path, compiles: Compiles) -> io::Result<Result<Vec<u8>, ExitCode>> {
    let flags = match compiles {
        Compiles::Nothing => vec![],
        Compiles::MaybeC => c_flags(&Env::process()),
        Compiles::InCanonicalOutDir => date(&Env::process()).into_iter().collect(),
    };
    // Nobody would give cargo the paths of a second run in the canonical folder.
    let is_as_asked = flags.is_empty() || compiles == Compiles::InCanonicalOutDir;
    let mut first = script(real, compiles)?.envs(flags).stdout(Stdio::piped()).spawn()?;
    let mut stdout = vec![];
    io::copy(first.stdout.as_mut().expect("standard output is piped"), &mut stdout)?;
    let status = first.wait()?;
    if status.success() {
        return Ok(Ok(stdout));
    }
    if is_as_asked || status.code().is_none() {
        hand_on(&stdout)?;
        return Ok(Err(exit_code(status)));
    }
    Err(script(real, compiles)?.exec())
}

/// Gives cargo what the script printed.
pub fn hand_on(printed: &[u8]) -> io::Result<()> {
    io::stdout().lock().write_all(printed)
}

/// <https://reproducible-builds.org/specs/source-date-epoch/>
const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";

fn script(real: &Path, compiles: Compiles) -> io::Result<Command> {
    let mut command = match (sandbox(), Env::process().absolute_path(env::OUT_DIR)) {
        (Some(sandbox), Some(out_dir)) if compiles == Compiles::InCanonicalOutDir => {
            sandboxed(&sandbox, "script", "--out-dir", &[&out_dir], real)
        }
        (Some(sandbox), Some(out_dir)) => sandboxed(&sandbox, "script", "--write", &[&out_dir], real),
        (Some(_), None) => return Err(io::Error::other("a build script without `OUT_DIR`")),
        (None, _) => Command::new(real),
    };
    command.args(std::env::args_os().skip(1));
    Ok(command)
}

/// The variables from which the `cc` crate takes flags, with the path rules added to what they are.
fn c_flags(env: &Env) -> Vec<(String, OsString)> {
    let Some(map) = prefix_map(env) else { return vec![] };
    let target = env.text("TARGET").unwrap_or_default();
    let side = if env.text("HOST").as_deref() == Some(&target) {
        "HOST"
    } else {
        "TARGET"
    };
    let mut flags: Vec<_> = date(env).into_iter().collect();
    for kind in ["CFLAGS", "CXXFLAGS"] {
        // The most specific variable that is set is the only one that counts.
        let names = [
            format!("{kind}_{target}"),
            format!("{kind}_{}", target.replace('-', "_")),
            format!("{side}_{kind}"),
        ];
        let name = names
            .into_iter()
            .find(|name| env.raw(name).is_some())
            .unwrap_or_else(|| kind.to_owned());
        let mut value = env.raw(&name).unwrap_or_default();
        if !value.is_empty() {
            value.push(" ");
        }
        value.push(&map);
        flags.push((name, value));
    }
    flags
}

/// Tools that write the time of now into what they make write this one.
fn date(env: &Env) -> Option<(String, OsString)> {
    let is_set = env.raw(SOURCE_DATE_EPOCH).is_some();
    (!is_set).then(|| (SOURCE_DATE_EPOCH.to_owned(), STORED_MTIME.to_string().into()))
}

/// The same rules as for rustc. Flags are split at blanks, so folders with blanks in their names are left alone.
fn prefix_map(env: &Env) -> Option<String> {
    let root = env.absolute_path(env::CARGO_MANIFEST_DIR)?;
    let out_dir = env.absolute_path(env::OUT_DIR)?;
    let registry = root
        .parent()
        .filter(|parent| parent.parent().is_some_and(|src| src.ends_with("registry/src")));
    let sources = match registry {
        Some(registry) => (registry, remap::REGISTRY.to_owned()),
        None if is_vendored(&root) => {
            let [name, version] = ["CARGO_PKG_NAME", "CARGO_PKG_VERSION"].map(|name| env.text(name));
            (root.as_path(), remap::package_folder(name?, version?))
        }
        None => return None,
    };
    // What other packages' scripts made is in the key by content; where it lies must not be in what is made of it.
    let others: BTreeMap<_, _> = told::build_folder(&out_dir)
        .map(|build| {
            let values = env.values_of("DEP_");
            let named = values.iter().flat_map(|value| told::out_dirs_in(value, build));
            named.collect()
        })
        .unwrap_or_default();
    let others = others
        .iter()
        .map(|(folder, package)| (folder.as_path(), format!("{OTHER_OUT_DIR}/{package}")));
    let own = [sources, (&out_dir, remap::OUT_DIR.to_owned())];
    let flag = |(from, to): (&Path, String)| {
        let from = from
            .to_str()
            .filter(|from| !from.contains([' ', '\t', '"', '\'', '\\', '=']))?;
        Some(format!("-ffile-prefix-map={from}={to}"))
    };
    own.into_iter()
        .chain(others)
        .map(flag)
        .collect::<Option<Vec<_>>>()
        .map(|flags| flags.join(" "))
}

fn is_real(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(REAL.as_bytes())
}

fn sandboxed(sandbox: &Path, what: &str, option: &str, writable: &[&Path], program: &Path) -> Command {
    let mut command = Command::new(sandbox);
    command.args(["sandbox", what]);
    for folder in writable {
        command.arg(option).arg(folder);
    }
    command.arg("--").arg(program);
    command
}

#[cfg(test)]
mod tests;
