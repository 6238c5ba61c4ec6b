//! The cargo that a prefetch runs beside: its command, its surroundings, how far it is, and its end.
//!
//! Owns reading `/proc`. Must not know what is fetched.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use fs_err as fs;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::command::CargoCommand;
use super::plan::Surroundings;
use crate::env::{Env, is_credential};
use crate::events::BuildId;

/// A cargo process.
#[derive(Debug)]
pub(crate) struct Process {
    id: BuildId,
    handle: rustix::fd::OwnedFd,
}

impl Process {
    /// The cargo that this names, if it still runs.
    pub(crate) fn of(id: BuildId) -> io::Result<Self> {
        let pid = i32::try_from(id.pid()).ok().and_then(Pid::from_raw);
        let handle = pidfd_open(pid.ok_or(io::ErrorKind::NotFound)?, PidfdFlags::empty())?;
        // Asked after the handle was made, so that the handle is that process's.
        if !id.is_running() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Self { id, handle })
    }

    /// Waits until it has ended.
    pub(crate) fn wait(&self) -> io::Result<()> {
        loop {
            match poll(&mut [PollFd::new(&self.handle, PollFlags::IN)], None) {
                Ok(_) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits until it has resolved and downloaded everything, which it has once it locks its target folder. Asked
    /// before, cargo would find cargo's lock on downloads taken, and say so on the user's terminal. False when it has
    /// ended without.
    pub(crate) fn wait_until_resolved(&self) -> io::Result<bool> {
        const POLL: Timespec = Timespec {
            tv_sec: 0,
            tv_nsec: 5_000_000,
        };
        loop {
            if self.holds_target_lock()? {
                return Ok(true);
            }
            match poll(&mut [PollFd::new(&self.handle, PollFlags::IN)], Some(&POLL)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn holds_target_lock(&self) -> io::Result<bool> {
        for entry in fs::read_dir(self.path("fd"))? {
            // A descriptor may be closed meanwhile.
            if let Ok(file) = entry.and_then(|entry| fs::read_link(entry.path()))
                && file
                    .file_name()
                    .is_some_and(|name| TARGET_LOCKS.iter().any(|lock| name == *lock))
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Its command line.
    pub(crate) fn command(&self) -> io::Result<Option<CargoCommand>> {
        let line = fs::read(self.path("cmdline"))?;
        let words = line.strip_suffix(b"\0").unwrap_or(&line).split(|&byte| byte == 0);
        Ok(CargoCommand::of_program(
            words.skip(1).map(|word| OsStr::from_bytes(word).to_owned()),
        ))
    }

    /// Where it runs. Secrets are left out.
    pub(crate) fn surroundings(&self, rustc: Option<OsString>) -> io::Result<Surroundings> {
        let environment = fs::read(self.path("environ"))?;
        let variables = environment.split(|&byte| byte == 0).filter_map(|variable| {
            let split = variable.iter().position(|&byte| byte == b'=')?;
            let name = std::str::from_utf8(&variable[..split]).ok()?;
            (!is_credential(name)).then(|| (name, OsStr::from_bytes(&variable[split + 1..])))
        });
        Ok(Surroundings {
            env: Env::made_up(variables),
            cargo: fs::read_link(self.path("exe"))?.into(),
            rustc,
            folder: Some(fs::read_link(self.path("cwd"))?),
            is_resolved: true,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.id.pid()))
    }
}

/// What cargo locks below the target or build folder before it compiles, by the names of its older and newer layout.
const TARGET_LOCKS: [&str; 3] = [".cargo-lock", ".cargo-build-lock", ".cargo-artifact-lock"];

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    struct Sleeping(std::process::Child);

    impl Drop for Sleeping {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn sleeping() -> (Sleeping, Process) {
        let child = Command::new("sleep")
            .arg("600")
            .env("A_TOKEN", "secret")
            .env("SHOWN", "a=b")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let process = Process::of(BuildId::of_process(child.id()).unwrap()).unwrap();
        // Its environment is there a little later than the program itself.
        while !fs::read(process.path("cmdline")).unwrap().ends_with(b"600\0") {
            std::thread::yield_now();
        }
        (Sleeping(child), process)
    }

    #[test]
    fn surroundings_are_the_process_s_own_without_its_secrets() {
        let (_child, process) = sleeping();
        let there = process.surroundings(None).unwrap();
        assert_eq!(there.env.raw("SHOWN"), Some("a=b".into()));
        assert_eq!(there.env.raw("A_TOKEN"), None);
        assert_eq!(there.folder, Some(std::env::current_dir().unwrap()));
    }

    #[test]
    fn the_end_of_the_process_ends_the_wait() {
        let (mut child, process) = sleeping();
        assert!(!process.holds_target_lock().unwrap());
        child.0.kill().unwrap();
        assert!(!process.wait_until_resolved().unwrap());
        process.wait().unwrap();
        child.0.wait().unwrap();
        assert!(Process::of(process.id).is_err());
    }
}
