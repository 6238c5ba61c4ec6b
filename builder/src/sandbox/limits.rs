//! What a sandboxed call may use. Generous for honest code, and an end for everything else (B1, B6).
//!
//! Must not know how a call is started.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, setrlimit};

use crate::cli::SandboxKind;

/// The limits of one call.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Wall time.
    pub wall: Duration,
    /// Processor time of each process.
    pub cpu: Duration,
    /// Address space of each process in bytes.
    pub memory: u64,
    /// Largest single file in bytes.
    pub file: u64,
    /// All that is in the writable folders, in bytes.
    pub disk: u64,
    /// All that is printed, in bytes.
    pub output: u64,
    /// Processes and threads at a time.
    pub processes: u64,
}

impl Limits {
    /// The limits for this kind of call.
    pub fn of(kind: SandboxKind) -> Self {
        let (wall, output) = match kind {
            SandboxKind::Rustc => (Duration::from_secs(3600), 256 << 20),
            SandboxKind::Script => (Duration::from_secs(1800), 64 << 20),
        };
        Self {
            wall,
            cpu: wall * 8,
            memory: 64 << 30,
            file: 4 << 30,
            disk: 16 << 30,
            output,
            processes: 2048,
        }
    }

    /// Limits this process and all that it starts.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn apply(&self) -> io::Result<()> {
        for (resource, limit) in [
            (Resource::Cpu, self.cpu.as_secs()),
            (Resource::As, self.memory),
            (Resource::Fsize, self.file),
            (Resource::Core, 0),
        ] {
            let limit = Rlimit {
                current: Some(limit),
                maximum: Some(limit),
            };
            setrlimit(resource, limit)?;
        }
        Ok(())
    }
}

/// A control group that bounds the number of processes of one call, where the system lets us make one.
///
/// Without it a fork bomb ends when the wall time is over: it lives in a process namespace of its own.
#[derive(Debug)]
pub struct ProcessGroup {
    parent: PathBuf,
    group: PathBuf,
}

/// Where control groups for processes are: version 2, version 1.
const CGROUPS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/pids"];

impl ProcessGroup {
    /// Puts this process, and so all that it starts, into a group of its own.
    pub fn enter(processes: u64) -> Option<Self> {
        let own = fs_err::read_to_string("/proc/self/cgroup").ok()?;
        CGROUPS.map(Path::new).into_iter().find_map(|root| {
            let is_v1 = root.ends_with("pids");
            let line = own.lines().find(|line| {
                if is_v1 {
                    line.contains(":pids:")
                } else {
                    line.starts_with("0::")
                }
            })?;
            let parent = root.join(line.rsplit_once(':')?.1.trim_start_matches('/'));
            // Where version 2 lies elsewhere, this path is an ordinary folder.
            parent.join("cgroup.procs").is_file().then_some(())?;
            let group = parent.join(format!("sealift-{}", std::process::id()));
            fs_err::create_dir(&group).ok()?;
            let made = Self { parent, group };
            let set = |file: &str, value: String| {
                let file = fs_err::OpenOptions::new().write(true).open(made.group.join(file));
                file.and_then(|mut file| io::Write::write_all(&mut file, value.as_bytes()))
                    .is_ok()
            };
            let is_limited =
                set("pids.max", processes.to_string()) && set("cgroup.procs", std::process::id().to_string());
            is_limited.then_some(made)
        })
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        // Nothing depends on it; an empty group that stays behind harms nobody.
        let _ = fs_err::write(self.parent.join("cgroup.procs"), std::process::id().to_string());
        let _ = fs_err::remove_dir(&self.group);
    }
}

/// The space that files below these folders take, in bytes. Links are not followed.
pub fn disk_usage<'a>(folders: impl Iterator<Item = &'a PathBuf>) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let entries = folders.flat_map(|folder| walkdir::WalkDir::new(folder).into_iter().flatten());
    entries
        .filter_map(|entry| entry.metadata().ok())
        .map(|meta| meta.blocks() * 512)
        .sum()
}
