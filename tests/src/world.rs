//! A service and its operators on loopback, made of the real programs.
//!
//! Owns: who is in the world, its trust policy, and starting and stopping it.
//! Must not know what operators build or how anything is stored.

mod attested;
mod trusted;
mod witnessed;

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::child::{Background, run, run_watched};
use crate::env::{clean_command, path_with};
use crate::programs::Programs;
use crate::witness::Witness;
use crate::workload::{Profile, Workload};

/// How long the service may take to listen, and to notice that it should go.
const START_LIMIT: Duration = Duration::from_secs(30);

/// Oldest checkpoint that users of the world accept.
const MAX_CHECKPOINT_AGE_SECONDS: u64 = 604_800;

/// Names of the first operators; further ones are numbered.
const NAMES: [&str; 4] = ["alpha", "beta", "gamma", "delta"];

/// The variable by which an operator's program finds its identity token.
const TOKEN_FILE: &str = "SEALIFT_IDENTITY_TOKEN_FILE";

/// What tells a builder where the password of its provenance key is.
const PASSWORD_FILE: &str = "SEALIFT_PROVENANCE_PASSWORD_FILE";

/// How many operators have to agree.
#[derive(Debug, Clone, Copy)]
pub struct Quorum {
    /// On code that runs on the machine that builds.
    pub host_code: usize,
    /// On libraries.
    pub library: usize,
}

impl Quorum {
    /// What is usual: two for host code as soon as there are two operators, one for libraries.
    pub fn usual(operators: usize) -> Self {
        Self {
            host_code: operators.clamp(1, 2),
            library: 1,
        }
    }
}

/// An operator: a name, a folder with its key and log, and the key's public half.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Operator {
    /// Its name.
    pub name: String,
    /// Its folder; none where the harness plays the operator itself.
    pub data: Option<PathBuf>,
    /// Its log's verifier key.
    pub vkey: String,
    /// The file with the password of its provenance key, if it has one.
    #[serde(default)]
    pub password: Option<PathBuf>,
    /// The file with its identity token, if it signs provenance without a key.
    #[serde(default)]
    pub identity_token: Option<PathBuf>,
}

/// What a user needs to know of a world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Where the service is.
    pub url: String,
    /// Whom to believe: a trust policy, or a TUF root that leads to one.
    pub trust_policy: PathBuf,
}

/// What operators build.
#[derive(Debug, Clone)]
pub enum Source {
    /// A cargo project on disk.
    Project(PathBuf),
    /// A program from crates.io.
    Crate(Workload),
    /// What the user wrote on the command line.
    Words(Vec<OsString>),
}

/// The running world. Everything stops when it is dropped.
#[derive(Debug)]
pub struct World {
    folder: PathBuf,
    programs: Programs,
    operators: Vec<Operator>,
    service: Option<Background>,
    witnesses: Vec<Witness>,
    port: u16,
}

/// What `./x world DIR build` has to know of a world that another process runs.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    version: u32,
    url: String,
    operators: Vec<Operator>,
}

impl World {
    /// Starts a world in a folder, with the operators that are there or as many new ones as asked for.
    ///
    /// # Errors
    /// If an operator cannot be made or the service does not start.
    pub fn start(folder: &Path, programs: &Programs, operators: usize) -> Result<Self> {
        Self::start_with(folder, programs, operators, Quorum::usual(operators), vec![])
    }

    /// Starts a world with a quorum of its own, and with operators that the harness plays itself.
    ///
    /// # Errors
    /// If an operator cannot be made or the service does not start.
    pub fn start_with(
        folder: &Path,
        programs: &Programs,
        operators: usize,
        quorum: Quorum,
        played: Vec<Operator>,
    ) -> Result<Self> {
        ensure!(operators > 0, "a world needs an operator");
        fs_err::create_dir_all(folder)?;
        let folder = fs_err::canonicalize(folder)?;
        let mut all = (0..operators)
            .map(|number| init_operator(&folder, programs, number))
            .collect::<Result<Vec<_>>>()?;
        all.extend(played);
        fs_err::create_dir_all(folder.join("service"))?;
        write_json(&folder.join("trust-policy.json"), &trust_policy(&all, quorum))?;
        fs_err::write(folder.join("service.toml"), "trust_policy = \"trust-policy.json\"\n")?;
        let mut world = Self {
            folder,
            programs: programs.clone(),
            operators: all,
            service: None,
            witnesses: vec![],
            port: 0,
        };
        world.start_service()?;
        Ok(world)
    }

    /// Starts the service; on the port that it had, if it ran before.
    ///
    /// # Errors
    /// If it does not listen in time.
    pub fn start_service(&mut self) -> Result<()> {
        let mut command = clean_command(self.programs.service());
        command
            .arg("serve")
            .arg("--data")
            .arg(self.service_data())
            .args(["--listen", &format!("127.0.0.1:{}", self.port)])
            .arg("--config")
            .arg(self.folder.join("service.toml"));
        let listening = |line: &str| {
            line.split_once("listening on http://")?
                .1
                .trim()
                .rsplit(':')
                .next()?
                .parse()
                .ok()
        };
        let (service, port) =
            Background::start(&mut command, &self.folder.join("service.log"), START_LIMIT, listening)?;
        self.service = Some(service);
        self.port = port;
        let record = Record {
            version: 1,
            url: self.access().url,
            operators: self.operators.clone(),
        };
        write_json(&self.folder.join("world.json"), &serde_json::to_value(record)?)
    }

    /// Kills the service as a power failure would.
    pub fn kill_service(&mut self) {
        self.service = None;
    }

    /// What a user needs to know.
    pub fn access(&self) -> Access {
        Access {
            url: format!("http://127.0.0.1:{}", self.port),
            trust_policy: self.folder.join("trust-policy.json"),
        }
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Who is in it.
    pub fn operators(&self) -> &[Operator] {
        &self.operators
    }

    /// The service's folder.
    pub fn service_data(&self) -> PathBuf {
        self.folder.join("service")
    }

    /// Writes `DIR/env`, for shells of users who know this.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_env(&self, access: &Access) -> Result<()> {
        let Access { url, trust_policy } = access;
        let programs = quoted(self.programs.folder());
        let text = format!(
            "# Source this: the programs, and the world that they belong to.\n\
             export PATH={programs}:\"$PATH\"\nexport SEALIFT_URL={url}\nexport SEALIFT_TRUST_ROOT={}\n",
            quoted(trust_policy)
        );
        Ok(fs_err::write(self.folder.join("env"), text)?)
    }

    /// Lets every operator build and publish. `said` gets each operator's name and a line of its words.
    ///
    /// # Errors
    /// If one fails.
    pub fn publish(&self, source: &Source, profiles: &[Profile], said: impl Fn(&str, &str) + Sync) -> Result<()> {
        self.publish_by(&self.operators, source, profiles, said)
    }

    /// Lets one operator build and publish.
    ///
    /// # Errors
    /// If it fails.
    pub fn publish_one(&self, operator: &Operator, source: &Source, profiles: &[Profile]) -> Result<()> {
        self.publish_by(std::slice::from_ref(operator), source, profiles, |_, _| {})
    }

    fn publish_by(
        &self,
        operators: &[Operator],
        source: &Source,
        profiles: &[Profile],
        said: impl Fn(&str, &str) + Sync,
    ) -> Result<()> {
        let url = self.access().url;
        side_by_side(operators, said, |operator| {
            let mut command = build_command(&self.programs, operator, &url, source)?;
            command.args(self.witnessing());
            for profile in profiles {
                command.arg("--profile").arg(profile.to_string());
            }
            Some(command)
        })
    }
}

/// Lets every operator of a world that another process runs build and publish.
///
/// # Errors
/// If the folder holds no world, or an operator fails.
pub fn publish_in(folder: &Path, programs: &Programs, words: Vec<OsString>) -> Result<()> {
    let path = folder.join("world.json");
    let text = fs_err::read(&path).context("no world runs there\nhint: `./x world DIR` starts one")?;
    let record: Record = serde_json::from_slice(&text).with_context(|| format!("malformed `{}`", path.display()))?;
    let source = Source::Words(words);
    let said = |name: &str, line: &str| {
        let _ = writeln!(std::io::stderr().lock(), "{name}: {line}");
    };
    side_by_side(&record.operators, said, |operator| {
        build_command(programs, operator, &record.url, &source)
    })
}

/// Runs a command for each operator, as many at a time as there are processors: an operator's second pass uses one only.
fn side_by_side(
    operators: &[Operator],
    said: impl Fn(&str, &str) + Sync,
    command: impl Fn(&Operator) -> Option<Command> + Sync,
) -> Result<()> {
    let (said, command) = (&said, &command);
    let publish = |operator: &Operator| -> Result<()> {
        let Some(mut command) = command(operator) else {
            return Ok(());
        };
        run_watched(&mut command, |line| said(&operator.name, line))
            .with_context(|| format!("operator `{}` failed to publish", operator.name))?;
        Ok(())
    };
    for some in operators.chunks(std::thread::available_parallelism().map_or(1, Into::into)) {
        std::thread::scope(|scope| {
            let running: Vec<_> = some.iter().map(|operator| scope.spawn(|| publish(operator))).collect();
            let ended = running
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|_| Err(anyhow!("a thread panicked"))));
            // Every operator ends its work, whatever becomes of the others.
            ended.collect::<Vec<_>>().into_iter().collect::<Result<()>>()
        })?;
    }
    Ok(())
}

fn build_command(programs: &Programs, operator: &Operator, url: &str, source: &Source) -> Option<Command> {
    let mut command = clean_command(programs.builder());
    command
        .arg("build")
        .arg("--data")
        .arg(operator.data.as_ref()?)
        .args(["--service", url])
        .env("PATH", path_with(programs.folder()));
    if let Some(password) = &operator.password {
        command.env(PASSWORD_FILE, password);
    }
    if let Some(token) = &operator.identity_token {
        command.env(TOKEN_FILE, token);
    }
    match source {
        Source::Project(project) => command.arg("--project").arg(project),
        Source::Crate(workload) => command.args(["--crate", &format!("{}@{}", workload.name, workload.version)]),
        Source::Words(words) => command.args(words),
    };
    Some(command)
}

fn init_operator(folder: &Path, programs: &Programs, number: usize) -> Result<Operator> {
    let name = NAMES
        .get(number)
        .map_or_else(|| format!("operator-{}", number + 1), |&name| name.to_owned());
    let data = folder.join("operators").join(&name);
    let remembered = folder.join("operators").join(format!("{name}.json"));
    if let Ok(text) = fs_err::read(&remembered) {
        return serde_json::from_slice(&text).with_context(|| format!("malformed `{}`", remembered.display()));
    }
    fs_err::create_dir_all(folder.join("operators"))?;
    let mut command = clean_command(programs.builder());
    let made = run(command.args(["init", "--operator", &name, "--data"]).arg(&data))?.successful()?;
    let prefix = format!("sealift/{name}/");
    let Some(vkey) = made
        .stdout
        .split_whitespace()
        .find(|word| word.starts_with(&prefix) && word.contains('+'))
    else {
        bail!("`sealift-builder init` printed no verifier key:\n{}", made.stdout)
    };
    let operator = Operator {
        name,
        vkey: vkey.to_owned(),
        data: Some(data),
        password: None,
        identity_token: None,
    };
    write_json(&remembered, &serde_json::to_value(&operator)?)?;
    Ok(operator)
}

fn trust_policy(operators: &[Operator], quorum: Quorum) -> Value {
    let operators: Vec<_> = operators
        .iter()
        .map(|operator| json!({"name": operator.name, "logs": [{"epoch": 1, "vkey": operator.vkey}]}))
        .collect();
    json!({
        "version": 1,
        "operators": operators,
        "quorum": {"host_code": quorum.host_code, "library": quorum.library},
        "max_checkpoint_age_seconds": MAX_CHECKPOINT_AGE_SECONDS,
        "revoked": {"leaves": [], "unit_keys": [], "crates": [], "ranges": [], "toolchains": []},
    })
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    Ok(fs_err::write(path, format!("{value:#}\n"))?)
}

/// A path as a word of a POSIX shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}
