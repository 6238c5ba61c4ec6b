//! Whether the deployment files say something that the real programs and tools understand.
//!
//! Must not start a unit or build an image.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::child::run;
use crate::env::clean_command;
use crate::programs::Programs;

/// Instructions that a container file of ours may use.
const INSTRUCTIONS: [&str; 10] = [
    "FROM",
    "WORKDIR",
    "COPY",
    "RUN",
    "USER",
    "VOLUME",
    "EXPOSE",
    "STOPSIGNAL",
    "ENTRYPOINT",
    "CMD",
];

/// Where the units expect what we install, and where it is in the repository or the build.
const INSTALLED_PROGRAMS: &str = "/usr/local/bin/";
const INSTALLED_SCRIPTS: &str = "/usr/local/lib/sealift/";

/// Checks every file of the folder.
///
/// # Errors
/// With the first complaint.
pub fn check(infra: &Path, programs: &Programs) -> Result<()> {
    let infra = &fs_err::canonicalize(infra)?;
    let root = infra.parent().context("a folder in the repository")?;
    check_units(&infra.join("systemd"), infra, programs)?;
    check_container_file(&infra.join("Containerfile"), root, programs)?;
    let mut shell = clean_command("sh");
    run(shell.arg("-n").arg(infra.join("nightly")))?
        .successful()
        .context("`nightly` is no shell script")?;
    Ok(())
}

fn check_units(folder: &Path, scripts: &Path, programs: &Programs) -> Result<()> {
    let installed = tempfile::tempdir()?;
    let mut verify = clean_command("systemd-analyze");
    verify.args(["verify", "--man=no"]);
    let mut units = 0;
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        let text = fs_err::read_to_string(&path)?;
        for command in text.lines().filter_map(|line| line.strip_prefix("ExecStart=")) {
            let words: Vec<&str> = command.split_whitespace().collect();
            if let Some(program) = words.first().and_then(|word| word.strip_prefix(INSTALLED_PROGRAMS)) {
                knows_arguments(programs, program, &words[1..]).with_context(|| format!("in `{}`", path.display()))?;
            }
        }
        // systemd wants the programs to be there; the ones that are there are ours.
        let text = text
            .replace(
                &format!("={INSTALLED_PROGRAMS}"),
                &format!("={}/", programs.folder().display()),
            )
            .replace(&format!("={INSTALLED_SCRIPTS}"), &format!("={}/", scripts.display()));
        let copy = installed.path().join(path.file_name().context("a file's name")?);
        fs_err::write(&copy, text)?;
        verify.arg(copy);
        units += 1;
    }
    ensure!(units > 0, "no units in `{}`", folder.display());
    let said = run(&mut verify)?
        .successful()
        .context("`systemd-analyze verify` failed")?;
    ensure!(
        said.stderr.trim().is_empty(),
        "`systemd-analyze verify` complains:\n{}",
        said.stderr
    );
    Ok(())
}

fn check_container_file(path: &Path, root: &Path, programs: &Programs) -> Result<()> {
    let text = fs_err::read_to_string(path)?;
    let mut user = "root";
    let (mut entry_point, mut arguments) = (Vec::new(), Vec::new());
    for line in text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let (instruction, rest) = line
            .split_once(' ')
            .with_context(|| format!("not an instruction: `{line}`"))?;
        ensure!(
            INSTRUCTIONS.contains(&instruction),
            "unknown instruction `{instruction}`"
        );
        match instruction {
            "FROM" => user = "root",
            "USER" => user = rest,
            "COPY" if !rest.starts_with("--from=") => {
                let words: Vec<&str> = rest.split_whitespace().collect();
                for source in &words[..words.len().saturating_sub(1)] {
                    ensure!(root.join(source).exists(), "`COPY` of `{source}`, which is not there");
                }
            }
            "ENTRYPOINT" => entry_point = serde_json::from_str::<Vec<String>>(rest)?,
            "CMD" => arguments = serde_json::from_str::<Vec<String>>(rest)?,
            _ => {}
        }
    }
    ensure!(user != "root", "the image runs as root");
    let program = entry_point
        .first()
        .and_then(|word| word.strip_prefix(INSTALLED_PROGRAMS))
        .context("no entry point")?;
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    knows_arguments(programs, program, &arguments).with_context(|| format!("in `{}`", path.display()))
}

/// A program that knows its arguments prints its help when `--help` follows them; one that does not complains first.
fn knows_arguments(programs: &Programs, program: &str, arguments: &[&str]) -> Result<()> {
    let path = programs.folder().join(program);
    ensure!(path.is_file(), "there is no program `{program}`");
    let said = run(clean_command(path).args(arguments).arg("--help"))?;
    if said.status.success() {
        return Ok(());
    }
    bail!("`{program}` does not know its arguments:\n{}", said.stderr)
}
