//! The canonical call, run: rustc in a private folder against the unit's closure, its outputs moved to where cargo
//! expects them, and the result recorded.
//!
//! Owns pipelining (the metadata is installed the moment rustc announces it), and what follows from it. Until cargo was
//! told of the metadata, a call that fails says nothing: cargo's own call comes after it, and the user sees what that
//! one says, in the form that cargo asked for. From then on dependents are compiled against this metadata, which goes
//! with no other call; so the same call runs once more in the target folder, since a store that is full or gone is no
//! reason to fail, and what that one says is final.
//! Must not know why the unit was not reused.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

use fs_err as fs;
use sealift_policy::invocation::SearchPath;
use sealift_policy::manifest::{Output, Role};
use sealift_policy::remap::{self, Places};
use tempfile::TempDir;

use crate::call::Call;
use crate::closure::Needs;
use crate::install::{InPlace, Installer};
use crate::keep::{self, Gave, Searched};
use crate::known::Notes;
use crate::messages::{self, Artifact};
use crate::record::NotKept;
use crate::runner;
use crate::store::{Mode, Store};

/// A unit that was compiled and installed.
#[derive(Debug)]
pub struct Compiled {
    /// rustc's wall time.
    pub compile_ms: u64,
    /// What was put in place.
    pub in_place: InPlace,
    /// Why it is not kept for others, if so.
    pub not_kept: Option<NotKept>,
}

/// A canonical call that gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// rustc refused or was stopped; cargo was told of nothing.
    #[error("rustc failed: {0}")]
    Rustc(ExitStatus),
    /// Something around it failed; cargo was told of nothing.
    #[error("cannot run the canonical call")]
    Around(#[source] io::Error),
    /// rustc refused or was stopped when cargo knew of the metadata. What it said was printed.
    #[error("rustc failed when its metadata was in use: {0}")]
    Late(ExitStatus),
    /// Something around it failed when cargo knew of the metadata.
    #[error("cannot finish the canonical call, whose metadata is in use")]
    LateAround(#[source] io::Error),
}

/// Runs the canonical call of a unit; in a sandbox, when a builder names its program.
pub fn compile(store: &Store, call: &Call, sandbox: Option<&Path>) -> Result<Compiled, Failure> {
    let mut compilation = Compilation {
        store,
        call,
        sandbox,
        installer: Installer::new(store, &call.invocation.out_dir),
        rmeta: None,
        announced: false,
        is_second_run: false,
    };
    let first = store.scratch_folder().and_then(|folder| compilation.run(&folder));
    match first {
        Ok(Ok(compiled)) => Ok(compiled),
        Ok(Err(refused)) if !compilation.announced => Err(Failure::Rustc(refused.status)),
        Err(error) if !compilation.announced => Err(Failure::Around(error)),
        Ok(Err(refused)) if stopped_by_user(refused.status) => Err(Failure::Late(refused.status)),
        _ => compilation.run_in_target(),
    }
}

/// Whether a signal by which users end programs ended this one.
pub fn stopped_by_user(status: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt;
    const SIGHUP: i32 = 1;
    const SIGINT: i32 = 2;
    const SIGTERM: i32 = 15;
    matches!(status.signal(), Some(SIGHUP | SIGINT | SIGTERM))
}

struct Compilation<'a> {
    store: &'a Store,
    call: &'a Call,
    sandbox: Option<&'a Path>,
    installer: Installer,
    rmeta: Option<Output>,
    announced: bool,
    is_second_run: bool,
}

/// How rustc refused, and what it said, with paths of this machine.
struct Refused {
    status: ExitStatus,
    diagnostics: Vec<String>,
}

impl Compilation<'_> {
    fn run(&mut self, scratch: &TempDir) -> io::Result<Result<Compiled, Refused>> {
        let places = self.prepare(scratch.path())?;
        let started = Instant::now();
        let mut child = self.spawn(&places)?;
        let heard = self.listen(&mut child, &places);
        // Whatever went wrong while listening, no process is left behind.
        if heard.is_err() {
            let _ = child.kill();
        }
        let status = child.wait()?;
        let heard = heard?;
        let diagnostics = || heard.iter().map(|line| remap::to_local_paths(line, &places));
        if !status.success() {
            let diagnostics = diagnostics().collect();
            return Ok(Err(Refused { status, diagnostics }));
        }
        let gave = Gave {
            outputs: self.take_outputs(&places)?,
            diagnostics: &heard,
            compile_ms: started.elapsed().as_millis().try_into().unwrap_or(u64::MAX),
            searched: self.searched(),
        };
        let compile_ms = gave.compile_ms;
        let not_kept = keep::keep(self.store, self.call, &places, gave)?;
        for line in diagnostics() {
            messages::print(&line);
        }
        Ok(Ok(Compiled {
            compile_ms,
            in_place: self.installer.in_place(),
            not_kept,
        }))
    }

    /// The same call once more where cargo's own would write, for a unit whose metadata is in use.
    fn run_in_target(&mut self) -> Result<Compiled, Failure> {
        self.is_second_run = true;
        let scratch = tempfile::Builder::new()
            .prefix(".sealift-")
            .tempdir_in(&self.call.invocation.out_dir);
        match scratch.and_then(|folder| self.run(&folder)) {
            Ok(Ok(compiled)) => Ok(compiled),
            Ok(Err(refused)) => {
                for line in &refused.diagnostics {
                    messages::print(line);
                }
                Err(Failure::Late(refused.status))
            }
            Err(error) => Err(Failure::LateAround(error)),
        }
    }

    fn prepare(&self, scratch: &Path) -> io::Result<Places> {
        let (out, deps) = (scratch.join("out"), scratch.join("deps"));
        fs::create_dir(&out)?;
        fs::create_dir(&deps)?;
        let needs = if self.call.invocation.links() {
            Needs::Objects
        } else {
            Needs::Metadata
        };
        self.call.closure.link_into(self.store, &deps, needs)?;
        Ok(self.call.places(&out, &deps))
    }

    fn spawn(&self, places: &Places) -> io::Result<Child> {
        let Call {
            key,
            document,
            invocation,
            rustc,
            ..
        } = self.call;
        let args = remap::canonical_args(*key, document, invocation, &self.call.canonical_externs(), places);
        let mut command = match self.sandbox {
            Some(sandbox) => runner::sandboxed_rustc(sandbox, &[&places.out], rustc),
            None => Command::new(rustc),
        };
        command.args(args);
        if self.searched() == Searched::Everywhere {
            for SearchPath { kind, path } in self.call.foreign_search() {
                let mut search = OsString::from(format!("-L{kind}="));
                search.push(path);
                command.arg(search);
            }
        }
        command
            .current_dir(&self.call.package_root)
            .stderr(Stdio::piped())
            .spawn()
    }

    /// A library may bundle what only its source tells of, from any folder: rustc says that it is missing when the
    /// metadata is in use already. So the second run looks wherever cargo's own call would; the metadata is the same.
    fn searched(&self) -> Searched {
        if self.is_second_run && self.call.foreign_search().next().is_some() {
            Searched::Everywhere
        } else {
            Searched::OutDir
        }
    }

    /// Reads rustc's messages, installs the metadata when it is announced, and keeps the diagnostics.
    fn listen(&mut self, child: &mut Child, places: &Places) -> io::Result<Vec<String>> {
        let stderr = child.stderr.take().expect("standard error is piped");
        let mut diagnostics = vec![];
        for line in BufReader::new(stderr).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).into_owned();
            match Artifact::parse(&line) {
                Some(artifact) if artifact.emit == "metadata" && self.rmeta.is_none() => self.announce(places)?,
                Some(_) => {}
                None => diagnostics.push(line),
            }
        }
        Ok(diagnostics)
    }

    /// Cargo starts dependents at this message, so everything that they need is in place before it.
    fn announce(&mut self, places: &Places) -> io::Result<()> {
        // First what may fail while cargo's own call can still take over.
        keep::write_dep_info(self.call, places)?;
        let output = self.take(places, Role::Rmeta).inspect_err(|_| {
            let _ = fs::remove_file(self.call.invocation.dep_info());
        })?;
        // Without the record dependents are not handled, which is no failure.
        let record = keep::record_of(self.call, std::slice::from_ref(&output));
        let _ = self.store.write_output(&record);
        self.rmeta = Some(output);
        if self.call.invocation.announces_artifacts {
            self.announced = true;
            Artifact::new(&self.call.invocation.output(Role::Rmeta), "metadata").print();
        }
        Ok(())
    }

    /// Stores one output and installs it.
    fn take(&mut self, places: &Places, role: Role) -> io::Result<Output> {
        let Call {
            key,
            document,
            invocation,
            ..
        } = self.call;
        let name = role.file_name(&document.crate_name, *key);
        let file = places.out.join(&name);
        let (sha256, size) = crate::store::digest_of_file(&file)?;
        let mode = if role.is_host_code() {
            Mode::Executable
        } else {
            Mode::Data
        };
        // Cargo may have started dependents against the metadata already, so a store that is full must not be a failure:
        // what is not stored is installed as rustc wrote it.
        let stored = (self.store.adopt(&file, sha256, mode).ok()).and_then(|()| self.store.blob(sha256, size));
        let path = invocation.output(role);
        let written = (self.installer).install(stored.as_deref().unwrap_or(&file), role, &path)?;
        let mut notes = Notes::default();
        notes.add(self.store, &path, sha256, written);
        notes.write(self.store, &invocation.out_dir);
        Ok(Output {
            name,
            role,
            sha256,
            size,
        })
    }

    fn take_outputs(&mut self, places: &Places) -> io::Result<Vec<Output>> {
        let roles = self.call.document.expected_roles().unwrap_or_default();
        let mut outputs = vec![];
        for role in roles {
            outputs.push(match (&self.rmeta, role) {
                (Some(rmeta), Role::Rmeta) if self.is_second_run => still(places, rmeta)?,
                (Some(rmeta), Role::Rmeta) => rmeta.clone(),
                _ => self.take(places, *role)?,
            });
        }
        if outputs.iter().any(|output| output.role == Role::BuildScript) && runner::is_wanted(self.call) {
            runner::put_in_front(&self.call.invocation.output(Role::BuildScript), Some(self.call))?;
        }
        Ok(outputs)
    }
}

/// The metadata that is in use, if this run gave the same.
fn still(places: &Places, rmeta: &Output) -> io::Result<Output> {
    let (sha256, _) = crate::store::digest_of_file(&places.out.join(&rmeta.name))?;
    if sha256 == rmeta.sha256 {
        Ok(rmeta.clone())
    } else {
        Err(io::Error::other("rustc gave other metadata than it had announced"))
    }
}
