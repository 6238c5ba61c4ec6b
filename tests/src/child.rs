//! Processes that this one starts: that they succeed, and that none outlives it.
//!
//! Must not know what the programs are.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// A process in the background. It is killed when this is dropped, and also when the process that started it goes away
/// without dropping anything (a test binary's statics, `kill -9`): a shell waits for the end of a pipe that only we hold.
#[derive(Debug)]
pub struct Background {
    child: Child,
    watchdog: Option<(Child, ChildStdin)>,
}

impl Background {
    /// Starts a program whose standard output announces readiness by a line, which `ready` recognises and reads.
    ///
    /// # Errors
    /// If it cannot be started, or ends or stays silent for `limit` before that line.
    pub fn start<T: Send + 'static>(
        command: &mut Command,
        log: &Path,
        limit: Duration,
        ready: impl Fn(&str) -> Option<T> + Send + 'static,
    ) -> Result<(Self, T)> {
        let program = command.get_program().to_owned();
        let errors = fs_err::OpenOptions::new().create(true).append(true).open(log)?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors.into_file())
            .spawn()
            .with_context(|| format!("failed to start `{}`", program.display()))?;
        let stdout = child.stdout.take().context("a piped output")?;
        let watchdog = watchdog(child.id())?;
        let background = Self {
            child,
            watchdog: Some(watchdog),
        };

        let (send, receive) = std::sync::mpsc::channel();
        // The thread goes on reading after the line, so that the program never blocks on a full pipe.
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Some(value) = ready(&line) {
                    let _ = send.send(value);
                }
            }
        });
        match receive.recv_timeout(limit) {
            Ok(value) => Ok((background, value)),
            Err(_) => bail!(
                "`{}` did not become ready within {limit:?}\nhint: its messages are in `{}`",
                program.display(),
                log.display()
            ),
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it at once (SIGKILL) and waits until it is gone.
    pub fn kill(&mut self) {
        if let Some((mut shell, pipe)) = self.watchdog.take() {
            // First the shell, so that it never signals a process id that has passed to another process.
            let _ = shell.kill();
            let _ = shell.wait();
            drop(pipe);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.kill();
    }
}

fn watchdog(process: u32) -> Result<(Child, ChildStdin)> {
    let mut shell = Command::new("sh")
        .args(["-c", &format!("cat >/dev/null; kill -9 {process} 2>/dev/null")])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("failed to start `sh`")?;
    let pipe = shell.stdin.take().context("a piped input")?;
    Ok((shell, pipe))
}

/// Removes a folder when this process goes away, however it does. For what lives in a static and is never dropped.
///
/// # Errors
/// If no shell can be started.
pub fn remove_at_the_end(folder: &Path) -> Result<()> {
    let mut shell = Command::new("sh")
        .args(["-c", "cat >/dev/null; rm -rf -- \"$1\"", "sh"])
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("failed to start `sh`")?;
    // Never closed by us; the system closes it for us.
    std::mem::forget(shell.stdin.take());
    Ok(())
}

/// What a finished program did.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    /// How long it took.
    pub wall: Duration,
}

impl Finished {
    /// This, if the program succeeded.
    ///
    /// # Errors
    /// With the program's own words, if it failed.
    pub fn successful(self) -> Result<Self> {
        if self.status.success() {
            return Ok(self);
        }
        bail!(
            "{}\n--- standard output\n{}\n--- standard error\n{}",
            self.status,
            self.stdout,
            self.stderr
        )
    }
}

/// Runs a program to its end without input.
///
/// # Errors
/// If it cannot be started. A program that fails is no error here.
pub fn run(command: &mut Command) -> Result<Finished> {
    let start = Instant::now();
    let Output { status, stdout, stderr } = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("failed to start `{}`", command.get_program().display()))?;
    Ok(Finished {
        status,
        stdout: String::from_utf8_lossy(&stdout).into_owned(),
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
        wall: start.elapsed(),
    })
}

/// Runs a program to its end and hands each line of its standard error (also those that end in a carriage return) to
/// `line` as it comes.
///
/// # Errors
/// If it cannot be started or fails.
pub fn run_watched(command: &mut Command, mut line: impl FnMut(&str)) -> Result<Finished> {
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("failed to start `{}`", command.get_program().display()))?;
    let mut out = child.stdout.take().context("a piped output")?;
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = out.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    });
    let mut stderr = String::new();
    let mut errors = BufReader::new(child.stderr.take().context("a piped output")?);
    let mut part = Vec::new();
    while errors.read_until(b'\n', &mut part)? > 0 {
        let text = String::from_utf8_lossy(&part);
        for piece in text.split(['\n', '\r']).filter(|piece| !piece.trim().is_empty()) {
            line(piece);
        }
        stderr.push_str(&text);
        part.clear();
    }
    let status = child.wait()?;
    let stdout = reader.join().unwrap_or_default();
    Finished {
        status,
        stdout,
        stderr,
        wall: start.elapsed(),
    }
    .successful()
}
