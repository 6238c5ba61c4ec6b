//! Running one call in its sandbox: starts `bwrap`, hands its output on, and ends it when a limit is reached.
//!
//! Must not know what the call is for.

use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::fs::{MemfdFlags, SeekFrom, memfd_create, seek};
use rustix::process::{Pid, Signal, kill_process};

use crate::env;

use super::limits::{Limits, ProcessGroup, disk_usage};
use super::{BWRAP, SandboxError, Sandboxed, seccomp};

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this exit code (128 and more for a signal).
    Exited(u8),
    /// It was stopped, for this reason.
    Stopped(&'static str),
}

/// How often limits are looked at that the kernel does not watch.
const WATCH: Duration = Duration::from_secs(1);

/// Runs the call, with this process's standard streams, and waits for its end.
///
/// # Errors
/// When the sandbox cannot be started, or shows what it must not.
pub fn run(call: &Sandboxed, limits: &Limits) -> Result<Ended, SandboxError> {
    let _group = ProcessGroup::enter(limits.processes);
    run_with(call, limits, io::stdout(), io::stderr())
}

/// Runs the call and hands what it prints to `out` and `err`. The number of processes is bounded by [`run`] only, since
/// that bounds this process too.
///
/// # Errors
/// As [`run`].
pub fn run_with(
    call: &Sandboxed,
    limits: &Limits,
    out: impl Write + Send,
    err: impl Write + Send,
) -> Result<Ended, SandboxError> {
    // Without the flag for closing on exec, so that bwrap inherits it.
    let filter = seccomp::filter(call.tracing)
        .map(|filter| filter_file(&filter))
        .transpose()?;
    let args = call.bwrap_args(filter.as_ref().map(OwnedFd::as_raw_fd))?;
    limits.apply()?;
    let mut bwrap = Command::new(env::program(BWRAP).unwrap_or_else(|| BWRAP.into()));
    if let Some(environment) = &call.environment {
        bwrap
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name, value)));
    }
    let mut child = bwrap
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| SandboxError::NoBubblewrap(error.to_string()))?;
    Ok(watch(&mut child, call, limits, out, err)?)
}

fn watch(
    child: &mut Child,
    call: &Sandboxed,
    limits: &Limits,
    out: impl Write + Send,
    err: impl Write + Send,
) -> io::Result<Ended> {
    let printed = AtomicU64::new(0);
    let pid = Pid::from_child(child);
    let (from_out, from_err) = (child.stdout.take(), child.stderr.take());
    let (ended, end) = channel::<()>();
    let printed = &printed;
    std::thread::scope(|scope| {
        scope.spawn(move || hand_on(from_out, out, printed, limits.output));
        scope.spawn(move || hand_on(from_err, err, printed, limits.output));
        let watcher = scope.spawn(move || {
            let started = Instant::now();
            while end.recv_timeout(WATCH.min(limits.wall)) == Err(RecvTimeoutError::Timeout) {
                let reason = if started.elapsed() >= limits.wall {
                    "it takes too long"
                } else if printed.load(Ordering::Relaxed) > limits.output {
                    "it prints too much"
                } else if disk_usage(call.write.iter().chain(&call.out_dir)) > limits.disk {
                    "it writes too much"
                } else {
                    continue;
                };
                // Everything in its process namespace dies with it.
                let _ = kill_process(pid, Signal::KILL);
                return Some(reason);
            }
            None
        });
        let status = child.wait()?;
        drop(ended);
        match watcher.join() {
            Ok(Some(reason)) => Ok(Ended::Stopped(reason)),
            _ => {
                let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
                Ok(Ended::Exited(u8::try_from(code).unwrap_or(u8::MAX)))
            }
        }
    })
}

/// Copies until the end. Past the limit it reads on without copying, so that the watcher sees it.
fn hand_on(from: Option<impl Read>, mut to: impl Write, printed: &AtomicU64, limit: u64) {
    let Some(mut from) = from else { return };
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length) = from.read(&mut buffer) {
        if length == 0 {
            return;
        }
        let before = printed.fetch_add(length as u64, Ordering::Relaxed);
        if before <= limit && to.write_all(&buffer[..length]).and_then(|()| to.flush()).is_err() {
            return;
        }
    }
}

fn filter_file(filter: &[u8]) -> io::Result<OwnedFd> {
    let file = memfd_create("seccomp", MemfdFlags::empty())?;
    rustix::io::write(&file, filter)?;
    seek(&file, SeekFrom::Start(0))?;
    Ok(file)
}
