//! One run of a script in a sandbox, watched.
//!
//! Owns how `strace` is called, where a run's `OUT_DIR` goes, which programs it finds, and the jobserver that cargo would
//! have given it. Must not know what is made of it.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::{Path, PathBuf};

use sealift_policy::remap::OUT_DIR;

use super::circumstances::{Circumstances, HIDDEN};
use super::places::Places;
use super::recorded::{RecordError, RecordedCall};
use super::trace::{Trace, WATCHED};
use crate::cli::SandboxKind;
use crate::env;
use crate::sandbox::limits::Limits;
use crate::sandbox::run::{Ended, run_with};
use crate::sandbox::{SandboxError, Sandboxed, Tracing};

/// The program that watches.
const STRACE: &str = "strace";

/// With what scripts are run.
#[derive(Debug)]
pub struct Runner {
    strace: PathBuf,
    /// The folder of a `PATH` without the hidden programs, and what each link in it stands for.
    few: PathBuf,
    links: BTreeMap<String, String>,
    work: PathBuf,
    sysroot: PathBuf,
}

/// What a run gave.
#[derive(Debug)]
pub struct Made {
    /// Which run it was.
    pub run: Circumstances,
    /// How it ended.
    pub ended: Ended,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it said.
    pub stderr: String,
    /// What it left in `OUT_DIR`.
    pub tree: PathBuf,
    /// Where things lay.
    pub places: Places,
    /// What it did.
    pub trace: Trace,
}

/// Why a script cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// `strace` is not installed.
    #[error("`strace` is not in PATH\nhint: install the package `strace`; it tells what a build script does")]
    NoStrace,
    /// It is where sandboxes have nothing.
    #[error("`{0}` is not among the system's programs\nhint: install your distribution's package `strace`")]
    ElsewhereStrace(PathBuf),
    /// It is there and cannot watch.
    #[error(
        "strace does not work in a sandbox here: {0}\nhint: the kernel must allow `ptrace` among a user's own processes"
    )]
    Untraceable(String),
    /// The sandbox failed.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// What cargo said is not enough.
    #[error(transparent)]
    Call(#[from] RecordError),
    /// A file or folder failed.
    #[error("failed to run the script")]
    Io(#[from] io::Error),
}

impl Runner {
    /// Finds what is needed; `work` is a folder for what the runs leave.
    ///
    /// # Errors
    /// When `strace` is missing or a folder cannot be made.
    pub fn new(work: &Path, sysroot: &Path, path: &str) -> Result<Self, RunError> {
        let strace = env::program(STRACE).ok_or(RunError::NoStrace)?;
        if !["/usr", "/bin"].iter().any(|folder| strace.starts_with(folder)) {
            return Err(RunError::ElsewhereStrace(strace));
        }
        let few = work.join("programs");
        Ok(Self {
            links: link_programs(&few, path, sysroot)?,
            strace,
            few,
            work: work.to_owned(),
            sysroot: sysroot.to_owned(),
        })
    }

    /// Which of the hidden programs this machine has, so that hiding them means something.
    pub fn hidden(&self, path: &str) -> Vec<&'static str> {
        let has = |name: &&str| std::env::split_paths(path).any(|folder| folder.join(name).is_file());
        HIDDEN.into_iter().filter(has).collect()
    }

    /// Runs the script once. `pass` is the folder of the pass in which cargo compiled it.
    ///
    /// # Errors
    /// When it cannot be started. A script that fails is an outcome.
    pub fn run(&self, run: Circumstances, call: &RecordedCall, pass: &Path) -> Result<Made, RunError> {
        let out_dir = call.named_folder("OUT_DIR")?;
        let folder = self.work.join(run.to_string());
        let (tree, trace) = (folder.join("out"), folder.join("trace"));
        fs_err::create_dir_all(&trace)?;
        if out_dir.exists() {
            fs_err::remove_dir_all(&out_dir)?;
        }
        fs_err::create_dir_all(&out_dir)?;
        let jobserver = Jobserver::new(run.jobs())?;
        let few = std::env::join_paths([self.sysroot.join("bin"), self.few.clone()]).map_err(io::Error::other)?;
        let mut environment = run.environment(&call.environment, &few.to_string_lossy());
        environment.insert("CARGO_MAKEFLAGS".to_owned(), jobserver.makeflags());
        // Where nothing is seen at its canonical place the folder itself is written.
        let (written, mounted) = match call.has_canonical_out_dir {
            true => (None, Some(out_dir.clone())),
            false => (Some(out_dir.clone()), None),
        };
        let sandboxed = Sandboxed {
            kind: SandboxKind::Script,
            read: vec![pass.to_owned(), self.sysroot.clone(), self.few.clone()],
            write: written.into_iter().chain([trace.clone()]).collect(),
            out_dir: mounted,
            secret: None,
            folder: call.folder.clone(),
            home: Some(run.home().into()),
            call: self.watched(call, &trace),
            environment: Some(
                environment
                    .iter()
                    .map(|(name, value)| (name.into(), value.into()))
                    .collect(),
            ),
            tracing: Tracing::Allowed,
        };
        let (mut stdout, mut stderr) = (vec![], vec![]);
        let ended = run_with(&sandboxed, &Limits::of(SandboxKind::Script), &mut stdout, &mut stderr)?;
        let stderr = String::from_utf8_lossy(&stderr).into_owned();
        let places = self.places(call, pass, &environment)?;
        let trace = read_trace(&trace, &places, call)?.ok_or_else(|| RunError::Untraceable(last_lines(&stderr)))?;
        fs_err::rename(&out_dir, &tree)?;
        Ok(Made {
            run,
            ended,
            stdout,
            stderr,
            tree,
            places,
            trace,
        })
    }

    fn watched(&self, call: &RecordedCall, trace: &Path) -> Vec<std::ffi::OsString> {
        // One file for each process (`-ff`), so that no two calls share a line; paths of descriptors (`-y`); only watched
        // calls stop a process (`--seccomp-bpf`).
        let options = [
            "-ff",
            "--seccomp-bpf",
            "-y",
            "-q",
            "-s",
            "4096",
            "-e",
            "signal=none",
            "-e",
            WATCHED,
            "-o",
        ];
        let mut command = vec![self.strace.clone().into_os_string()];
        command.extend(options.map(Into::into));
        command.extend([trace.join("of").into(), "--".into(), call.program.clone().into()]);
        command.extend(call.arguments.iter().map(Into::into));
        command
    }

    fn places(
        &self,
        call: &RecordedCall,
        pass: &Path,
        environment: &BTreeMap<String, String>,
    ) -> Result<Places, RunError> {
        let show = |path: PathBuf| path.to_string_lossy().into_owned();
        let path = environment.get("PATH").map(String::as_str).unwrap_or_default();
        let libraries = environment
            .get("LD_LIBRARY_PATH")
            .map(String::as_str)
            .unwrap_or_default();
        Ok(Places {
            package: show(call.named_folder("CARGO_MANIFEST_DIR")?),
            out_dir: match call.has_canonical_out_dir {
                true => OUT_DIR.to_owned(),
                false => show(call.named_folder("OUT_DIR")?),
            },
            toolchain: show(self.sysroot.clone()),
            pass: show(pass.to_owned()),
            search: std::env::split_paths(path).map(show).collect(),
            libraries: std::env::split_paths(libraries).map(show).collect(),
            links: self.links.clone(),
        })
    }
}

/// Links to every program of a `PATH` but the hidden ones.
fn link_programs(few: &Path, path: &str, sysroot: &Path) -> io::Result<BTreeMap<String, String>> {
    fs_err::create_dir_all(few)?;
    let mut links = BTreeMap::new();
    let folders = std::env::split_paths(path).filter(|folder| !folder.starts_with(sysroot));
    // What lies elsewhere is not in a sandbox.
    for folder in folders.filter(|folder| folder.starts_with("/usr") || folder.starts_with("/bin")) {
        let Ok(entries) = fs_err::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let program = entry?.path();
            let Some(name) = program.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            let link = few.join(name);
            if HIDDEN.contains(&name) || !program.is_file() || link.symlink_metadata().is_ok() {
                continue;
            }
            std::os::unix::fs::symlink(&program, &link)?;
            links.insert(
                link.to_string_lossy().into_owned(),
                program.to_string_lossy().into_owned(),
            );
        }
    }
    Ok(links)
}

/// `None` when nothing was traced.
fn read_trace(folder: &Path, places: &Places, call: &RecordedCall) -> io::Result<Option<Trace>> {
    let mut files = BTreeMap::new();
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        let number: Option<u32> = path.extension().and_then(|number| number.to_str()?.parse().ok());
        files.extend(number.map(|number| (number, path)));
    }
    if files.is_empty() {
        return Ok(None);
    }
    // One at a time: a `configure` leaves hundreds of megabytes.
    let mut failed = None;
    let read = |(number, path): (u32, PathBuf)| match fs_err::read(path) {
        Ok(bytes) => Some((number, String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) => {
            failed = Some(error);
            None
        }
    };
    let [program, folder] = [&call.program, &call.folder].map(|path| path.to_string_lossy().into_owned());
    let trace = Trace::read(files.into_iter().map_while(read), places, &program, &folder);
    match failed {
        Some(error) => Err(error),
        None => Ok(Some(trace)),
    }
}

/// The last lines of what a program said.
pub fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}

/// Cargo's jobserver: a pipe with a token for each job but the first.
struct Jobserver {
    reader: io::PipeReader,
    writer: io::PipeWriter,
}

impl Jobserver {
    fn new(jobs: u32) -> io::Result<Self> {
        let (reader, mut writer) = io::pipe()?;
        io::Write::write_all(&mut writer, &vec![b'+'; jobs.saturating_sub(1) as usize])?;
        for end in [reader.as_fd(), writer.as_fd()] {
            rustix::io::fcntl_setfd(end, rustix::io::FdFlags::empty())?;
        }
        Ok(Self { reader, writer })
    }

    fn makeflags(&self) -> String {
        let (reader, writer) = (self.reader.as_raw_fd(), self.writer.as_raw_fd());
        format!("-j --jobserver-fds={reader},{writer} --jobserver-auth={reader},{writer}")
    }
}
