//! The canonical call, run: rustc in a private folder against the unit's closure, its outputs moved to where cargo
//! expects them, and the result recorded.
//!
//! Owns pipelining (the metadata is installed the moment rustc announces it) and the order of records: content first,
//! then what refers to it. What cannot be kept for others is still installed and known as a dependency.
//! Must not know why the unit was not reused.

use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

use fs_err as fs;
use sealift_policy::digest::Digest;
use sealift_policy::local::{LocalUnit, OutputRecord, RecordedOutput, UnitOrigin};
use sealift_policy::manifest::{Output, Role};
use sealift_policy::remap::{self, Places};

use crate::call::Call;
use crate::closure::Needs;
use crate::dep_info::DepInfo;
use crate::install::install;
use crate::messages::{self, Artifact};
use crate::record::{self, NotKept};
use crate::store::{Mode, Store};
use crate::{known, runner};

/// A unit that was compiled and installed.
#[derive(Debug)]
pub struct Compiled {
    /// rustc's wall time.
    pub compile_ms: u64,
    /// Bytes of the outputs.
    pub bytes: u64,
    /// Why it is not kept for others, if so.
    pub not_kept: Option<NotKept>,
}

/// A canonical call that gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// rustc refused, or was stopped.
    #[error("rustc failed: {status}")]
    Rustc {
        /// How it ended.
        status: ExitStatus,
        /// Whether cargo was told of the metadata already.
        announced: bool,
    },
    /// Something around it failed.
    #[error("cannot run the canonical call")]
    Around {
        /// What failed.
        #[source]
        source: io::Error,
        /// Whether cargo was told of the metadata already.
        announced: bool,
    },
}

/// Runs the canonical call of a unit; in a sandbox, when a builder names its program.
pub fn compile(store: &Store, call: &Call, sandbox: Option<&Path>) -> Result<Compiled, Failure> {
    let mut compilation = Compilation {
        store,
        call,
        sandbox,
        rmeta: None,
        announced: false,
    };
    match compilation.run() {
        Ok(Ok(compiled)) => Ok(compiled),
        Ok(Err(status)) => Err(Failure::Rustc {
            status,
            announced: compilation.announced,
        }),
        Err(source) => Err(Failure::Around {
            source,
            announced: compilation.announced,
        }),
    }
}

struct Compilation<'a> {
    store: &'a Store,
    call: &'a Call,
    sandbox: Option<&'a Path>,
    rmeta: Option<Output>,
    announced: bool,
}

impl Compilation<'_> {
    fn run(&mut self) -> io::Result<Result<Compiled, ExitStatus>> {
        let scratch = self.store.scratch_folder()?;
        let places = self.prepare(scratch.path())?;
        let started = Instant::now();
        let mut child = self.spawn(&places)?;
        let heard = self.listen(&mut child, &places);
        // Whatever went wrong while listening, no process is left behind.
        if heard.is_err() {
            let _ = child.kill();
        }
        let status = child.wait()?;
        let diagnostics = heard?;
        if !status.success() {
            return Ok(Err(status));
        }
        let compile_ms = started.elapsed().as_millis().try_into().unwrap_or(u64::MAX);
        let outputs = self.take_outputs(&places)?;
        let bytes = outputs.iter().map(|output| output.size).sum();
        let not_kept = self.keep(&places, outputs, &diagnostics, compile_ms)?;
        for line in &diagnostics {
            messages::print(&remap::to_local_paths(line, &places));
        }
        Ok(Ok(Compiled {
            compile_ms,
            bytes,
            not_kept,
        }))
    }

    fn prepare(&mut self, scratch: &Path) -> io::Result<Places> {
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
        command
            .args(args)
            .current_dir(&self.call.package_root)
            .stderr(Stdio::piped())
            .spawn()
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
        let output = self.take(places, Role::Rmeta)?;
        // Without the record dependents are not handled, which is no failure.
        let _ = self
            .store
            .write_output(&self.output_record(std::slice::from_ref(&output)));
        self.rmeta = Some(output);
        if self.call.invocation.announces_artifacts {
            self.announced = true;
            Artifact::new(&self.call.invocation.output(Role::Rmeta), "metadata").print();
        }
        Ok(())
    }

    /// Stores one output and installs it.
    fn take(&self, places: &Places, role: Role) -> io::Result<Output> {
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
        let destination = invocation.output(role);
        install(stored.as_deref().unwrap_or(&file), role, &destination)?;
        known::remember(self.store, &destination, sha256);
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
                (Some(rmeta), Role::Rmeta) => rmeta.clone(),
                _ => self.take(places, *role)?,
            });
        }
        if outputs.iter().any(|output| output.role == Role::BuildScript) && runner::is_wanted(self.call) {
            runner::put_in_front(&self.call.invocation.output(Role::BuildScript))?;
        }
        Ok(outputs)
    }

    /// Writes the dep-info for cargo, and the records for later calls.
    fn keep(
        &self,
        places: &Places,
        outputs: Vec<Output>,
        diagnostics: &[String],
        compile_ms: u64,
    ) -> io::Result<Option<NotKept>> {
        let Call {
            key,
            document,
            invocation,
            ..
        } = self.call;
        let dep_info_name = format!("{}-{}.d", document.crate_name, key.short());
        let dep_info = DepInfo::parse(&fs::read_to_string(places.out.join(dep_info_name))?);
        let roles: Vec<_> = outputs.iter().map(|output| output.role).collect();
        fs::write(
            invocation.dep_info(),
            dep_info.to_text(&dep_info_targets(self.call, &roles)),
        )?;
        if outputs
            .iter()
            .any(|output| matches!(output.role, Role::Rmeta | Role::ProcMacro))
            && let Err(error) = self.store.write_output(&self.output_record(&outputs))
        {
            return Ok(Some(NotKept::Store(error.to_string())));
        }
        let mut glibc = None;
        for output in &outputs {
            let content = fs::read(places.out.join(&output.name))?;
            if let Err(reason) = record::find_local_path(self.call, places, &output.name, &content) {
                return Ok(Some(reason));
            }
            if output.role.is_host_code() {
                glibc = record::needed_glibc(&content);
            }
        }
        let manifest = match record::manifest(self.call, places, outputs, &dep_info, diagnostics, glibc) {
            Ok(manifest) => manifest,
            Err(reason) => return Ok(Some(reason)),
        };
        let package = &document.package;
        let unit = LocalUnit {
            version: 1,
            unit_key: *key,
            manifest: manifest.to_canonical(),
            origin: UnitOrigin::Compiled,
            compile_ms,
            call: Some(self.call.summary()),
        };
        let kept = (self.store)
            .write_key(*key, &self.call.document_text, &package.name, &package.version)
            .and_then(|()| self.store.write_unit(&unit));
        Ok(kept.err().map(|error| NotKept::Store(error.to_string())))
    }

    fn output_record(&self, outputs: &[Output]) -> OutputRecord {
        output_record(self.call, outputs.iter().map(|output| (output.role, output.sha256)))
    }
}

/// The record by which dependents find a library or proc macro.
pub fn output_record(call: &Call, outputs: impl Iterator<Item = (Role, Digest)>) -> OutputRecord {
    OutputRecord {
        version: 1,
        unit_key: call.key,
        crate_name: call.document.crate_name.clone(),
        outputs: outputs.map(|(role, sha256)| RecordedOutput { role, sha256 }).collect(),
        deps: call.identities(),
    }
}

/// The files that rustc's dep-info speaks of, in its order.
pub fn dep_info_targets(call: &Call, roles: &[Role]) -> Vec<PathBuf> {
    let mut roles = roles.to_vec();
    roles.sort_by_key(|role| *role == Role::Rmeta);
    let mut targets = vec![call.invocation.dep_info()];
    targets.extend(roles.into_iter().map(|role| call.invocation.output(role)));
    targets
}
