//! cargo as `cargo sealift` calls it: which program, and how to ask for the plan of a command without running it.
//!
//! Owns which cargo commands have a plan and how their arguments become a question. Asking compiles nothing and
//! leaves no trace in the target folder.
//! Must not know what is done with a plan.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use sealift_policy::lockfile::{Lockfile, MalformedLockfile};
use sealift_policy::name::Toolchain;
use sealift_policy::plan::{Planned, plan_ids};
use sealift_policy::unit_graph::{MalformedGraph, UnitGraph};

use crate::env::{self, Env};

/// A cargo command with its arguments, such as `build --release`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CargoCommand {
    /// `build`, `check`, an alias ...
    pub(crate) name: OsString,
    /// What follows.
    pub(crate) args: Vec<OsString>,
}

/// What cargo plans for a command.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The workspace's manifest.
    pub(crate) manifest: PathBuf,
    /// The compiler, as the public store names it.
    pub(crate) toolchain: Toolchain,
    /// The whole graph.
    pub(crate) graph: UnitGraph,
    /// What the project locks.
    pub(crate) lockfile: Lockfile,
    /// The compile units of crates.io packages, each after its dependencies.
    pub(crate) planned: Vec<Planned>,
}

/// Why there is no plan. None of these is an error: cargo itself says what is wrong with a command.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoPlan {
    /// A command that compiles nothing, or of which it is not known what it compiles.
    #[error("`cargo {0}` has no plan that is known beforehand")]
    Command(String),
    /// A program that cannot be run.
    #[error("failed to run `{program}`")]
    Run {
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// cargo refuses the command, or asks for help.
    #[error("cargo prints no unit graph")]
    NoGraph(#[source] MalformedGraph),
    /// No lock file, or one that does not parse.
    #[error("no usable `Cargo.lock`")]
    NoLockfile(#[source] Option<MalformedLockfile>),
    /// A compiler that says nothing about its version.
    #[error("rustc does not name its version")]
    NoToolchain,
}

impl CargoCommand {
    /// Splits a command line.
    pub(crate) fn new(words: impl IntoIterator<Item = OsString>) -> Option<Self> {
        let mut words = words.into_iter();
        Some(Self {
            name: words.next()?,
            args: words.collect(),
        })
    }

    /// Whether the user asked cargo for silence.
    pub(crate) fn is_quiet(&self) -> bool {
        let short = |arg: &str| arg.starts_with('-') && !arg.starts_with("--") && arg[1..].starts_with('q');
        self.cargo_args()
            .iter()
            .filter_map(|arg| arg.to_str())
            .any(|arg| arg == "--quiet" || short(arg))
    }

    /// What is for cargo and not for a program that it runs.
    fn cargo_args(&self) -> &[OsString] {
        let end = self.args.iter().position(|arg| arg == "--").unwrap_or(self.args.len());
        &self.args[..end]
    }

    /// The arguments with which cargo prints the unit graph of this command and runs nothing; `None` for a command
    /// that is not known by name: an alias may run a program and hand our flags to it.
    fn question(&self) -> Option<Vec<OsString>> {
        // The dependencies of `clippy` and `fix` are those of `check`, and both would do more than print.
        let (name, extra, dropped): (_, &[&str], &[&str]) = match self.name.to_str()? {
            "build" | "b" => ("build", &[], &[]),
            "check" | "c" => ("check", &[], &[]),
            "test" | "t" => ("test", &[], &[]),
            "bench" => ("bench", &[], &[]),
            "run" | "r" => ("run", &[], &[]),
            "rustc" => ("rustc", &[], &[]),
            "doc" | "d" => ("doc", &[], &["--open"]),
            "rustdoc" => ("rustdoc", &[], &["--open"]),
            "clippy" => ("check", &[], CLIPPY_ONLY),
            "fix" => ("check", &["--all-targets"], FIX_ONLY),
            _ => return None,
        };
        // The flags come first: what follows `cargo run`'s own arguments goes to the program.
        let mut question: Vec<OsString> = [name, "--unit-graph", "-Zunstable-options"]
            .map(OsString::from)
            .to_vec();
        question.extend(extra.iter().map(OsString::from));
        question.extend(
            self.cargo_args()
                .iter()
                .filter(|arg| !dropped.iter().any(|flag| arg == flag))
                .cloned(),
        );
        Some(question)
    }

    /// Whether cargo is given this flag.
    pub(crate) fn has(&self, flag: &str) -> bool {
        self.cargo_args().iter().any(|arg| arg == flag)
    }

    /// The value of an option, as text, in both spellings.
    pub(crate) fn value_of(&self, option: &str) -> Option<String> {
        let mut args = self.cargo_args().iter();
        while let Some(arg) = args.next() {
            if arg == option {
                return args.next()?.to_str().map(str::to_owned);
            }
            if let Some(value) = arg.to_str().and_then(|arg| arg.strip_prefix(option)?.strip_prefix('=')) {
                return Some(value.to_owned());
            }
        }
        None
    }
}

const CLIPPY_ONLY: &[&str] = &[
    "--fix",
    "--no-deps",
    "--allow-dirty",
    "--allow-staged",
    "--allow-no-vcs",
];

const FIX_ONLY: &[&str] = &[
    "--edition",
    "--edition-idioms",
    "--broken-code",
    "--allow-dirty",
    "--allow-staged",
    "--allow-no-vcs",
];

/// The cargo that called us, else the one on the search path.
pub(crate) fn program(env: &Env) -> OsString {
    env.non_empty(env::CARGO).unwrap_or_else(|| "cargo".into())
}

/// What cargo plans for this command.
pub(crate) fn plan(env: &Env, command: &CargoCommand) -> Result<Plan, NoPlan> {
    let question = command
        .question()
        .ok_or_else(|| NoPlan::Command(command.name.display().to_string()))?;
    let cargo = program(env);
    let mut graph = Command::new(&cargo);
    graph
        .args(question)
        .env(env::RUSTC_BOOTSTRAP, "1")
        // Its remembered answers of rustc must not change by our asking, since freshness depends on them.
        .env(env::CARGO_CACHE_RUSTC_INFO, "0")
        .env(env::RUSTC_WRAPPER, "");
    let mut workspace = Command::new(&cargo);
    workspace.args(["locate-project", "--workspace", "--message-format", "plain"]);
    if let Some(manifest) = command.value_of("--manifest-path") {
        workspace.args(["--manifest-path", &manifest]);
    }
    let mut rustc = Command::new(env.non_empty(env::RUSTC).unwrap_or_else(|| "rustc".into()));
    rustc.arg("-vV");

    let ask = [graph, workspace, rustc].map(spawn);
    let [graph, workspace, rustc] = ask.map(|asked| asked.and_then(Asked::answer));
    let graph = text(&graph?);
    // `cargo run` prints the graph and then fails for want of a program, so its exit code says nothing.
    let graph = UnitGraph::parse(&graph).map_err(NoPlan::NoGraph)?;
    let toolchain = toolchain(&text(&rustc?)).ok_or(NoPlan::NoToolchain)?;
    let manifest = PathBuf::from(text(&workspace?).trim_end());
    let lockfile =
        fs_err::read_to_string(manifest.with_file_name("Cargo.lock")).map_err(|_| NoPlan::NoLockfile(None))?;
    let lockfile = Lockfile::parse(&lockfile).map_err(|error| NoPlan::NoLockfile(Some(error)))?;
    let planned = plan_ids(&graph, &lockfile, &toolchain);
    Ok(Plan {
        manifest,
        toolchain,
        graph,
        lockfile,
        planned,
    })
}

/// The wrapper that cargo's configuration names, if any.
pub(crate) fn configured_wrapper(env: &Env) -> Option<String> {
    let output = Command::new(program(env))
        .args([
            "-Zunstable-options",
            "config",
            "get",
            "--format",
            "json-value",
            "build.rustc-wrapper",
        ])
        .env(env::RUSTC_BOOTSTRAP, "1")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    serde_json::from_slice(&output.stdout).ok()
}

struct Asked {
    program: String,
    child: std::process::Child,
}

fn spawn(mut command: Command) -> Result<Asked, NoPlan> {
    let program = command.get_program().display().to_string();
    // What cargo has to say about the command it says again when it runs.
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    match command.spawn() {
        Ok(child) => Ok(Asked { program, child }),
        Err(source) => Err(NoPlan::Run { program, source }),
    }
}

impl Asked {
    fn answer(self) -> Result<Output, NoPlan> {
        let Self { program, child } = self;
        child
            .wait_with_output()
            .map_err(|source| NoPlan::Run { program, source })
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn toolchain(verbose_version: &str) -> Option<Toolchain> {
    let line = |label: &str| verbose_version.lines().find_map(|line| line.strip_prefix(label));
    format!("{}-{}", line("release: ")?, line("host: ")?).parse().ok()
}

/// The words of a command line, for people.
pub(crate) fn display(program: &OsStr, command: &CargoCommand) -> String {
    let words = [program, &command.name]
        .into_iter()
        .chain(command.args.iter().map(OsString::as_os_str));
    words
        .map(|word| word.display().to_string())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(line: &str) -> Option<String> {
        let command = CargoCommand::new(line.split(' ').map(OsString::from))?;
        Some(command.question()?.join(OsStr::new(" ")).into_string().unwrap())
    }

    #[test]
    fn the_question_keeps_cargo_s_arguments_and_leaves_the_program_s_out() {
        let ask = |line| question(line).unwrap();
        assert_eq!(
            ask("build --release -p x"),
            "build --unit-graph -Zunstable-options --release -p x"
        );
        assert_eq!(ask("b"), "build --unit-graph -Zunstable-options");
        assert_eq!(
            ask("run --bin x -- --help"),
            "run --unit-graph -Zunstable-options --bin x"
        );
        assert_eq!(ask("run input.txt"), "run --unit-graph -Zunstable-options input.txt");
        assert_eq!(
            ask("test --lib -- --nocapture"),
            "test --unit-graph -Zunstable-options --lib"
        );
        assert_eq!(
            ask("doc --open --no-deps"),
            "doc --unit-graph -Zunstable-options --no-deps"
        );
    }

    #[test]
    fn clippy_and_fix_ask_like_check() {
        let ask = |line| question(line).unwrap();
        assert_eq!(
            ask("clippy --all-targets --fix -- -D warnings"),
            "check --unit-graph -Zunstable-options --all-targets"
        );
        assert_eq!(
            ask("fix --broken-code"),
            "check --unit-graph -Zunstable-options --all-targets"
        );
    }

    #[test]
    fn commands_that_are_not_known_by_name_are_never_asked() {
        for line in [
            "install ripgrep",
            "xtask dist",
            "publish",
            "nextest run",
            "miri test",
            "--version",
        ] {
            assert_eq!(question(line), None, "{line}");
        }
    }

    #[test]
    fn options_are_found_in_both_spellings_and_only_for_cargo() {
        let command = |line: &str| CargoCommand::new(line.split(' ').map(OsString::from)).unwrap();
        let manifest = |line| command(line).value_of("--manifest-path");
        assert_eq!(
            manifest("build --manifest-path a/Cargo.toml -q").as_deref(),
            Some("a/Cargo.toml")
        );
        assert_eq!(
            manifest("build --manifest-path=a/Cargo.toml").as_deref(),
            Some("a/Cargo.toml")
        );
        assert_eq!(manifest("run -- --manifest-path x"), None);
        assert_eq!(manifest("build --manifest-pathological x"), None);
        assert!(command("build --release").has("--release") && !command("run -- --release").has("--release"));
    }

    #[test]
    fn quiet_is_cargo_s_and_not_the_program_s() {
        let quiet = |line: &str| {
            CargoCommand::new(line.split(' ').map(OsString::from))
                .unwrap()
                .is_quiet()
        };
        assert!(quiet("build -q") && quiet("build --quiet"));
        assert!(!quiet("build") && !quiet("run -- -q"));
    }

    #[test]
    fn a_toolchain_is_release_and_host() {
        let verbose = "rustc 1.95.0 (abc 2026-01-01)\nbinary: rustc\nhost: x86_64-unknown-linux-gnu\nrelease: 1.95.0\n";
        assert_eq!(toolchain(verbose).unwrap().as_str(), "1.95.0-x86_64-unknown-linux-gnu");
        assert_eq!(toolchain("rustc 1.95.0"), None);
    }
}
