//! `./x bench wrapper`: what a process of the wrapper costs, from its start to its end.
//!
//! Owns catching the calls that cargo really makes (arguments, environment, folder) and making them again, one after
//! the other, on an otherwise idle machine. Must not know what the wrapper does.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::env::temporary_folder;
use crate::programs::Programs;
use crate::progress::Progress;
use crate::sources::Downloads;
use crate::table::Table;
use crate::user::{Build, Through, User};
use crate::workload::{Profile, Workload};
use crate::world::{Source, World};

/// A call of the wrapper, as cargo made it.
struct Call {
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    folder: PathBuf,
}

/// What was measured of one kind of call. Times in microseconds of wall time, of a whole process.
#[derive(Debug, Serialize)]
struct Measured {
    what: &'static str,
    calls: usize,
    median_us: u64,
    ninth_decile_us: u64,
}

/// How often each call is made.
const ROUNDS: usize = 21;

/// Measures, prints a table, and writes the numbers beside the programs.
///
/// # Errors
/// If a build fails.
pub fn run(workload: Workload, programs: &Programs) -> Result<()> {
    let folder = tempfile::Builder::new()
        .prefix("bench-")
        .tempdir_in(temporary_folder())?;
    let progress = Progress::of(4);
    let downloads = Downloads::of(programs)?;
    let project = folder.path().join("project");
    downloads.checkout(workload, &project)?;
    let step = progress.step("two operators publish");
    let world = World::start(&folder.path().join("world"), programs, 2)?;
    world.publish(&Source::Crate(workload), &[Profile::Dev], |name, line| {
        step.detail(&format!("{name}: {line}"))
    })?;
    step.done("");

    let step = progress.step("a new user builds, and the calls are caught");
    let user = User::new(folder.path(), programs, &downloads, &project)?;
    let calls = folder.path().join("calls");
    fs_err::create_dir(&calls)?;
    let catcher = catcher(folder.path(), &calls, &programs.rustc_wrapper())?;
    let target = folder.path().join("target");
    let build = |args: &[&str]| Build::new(&project, &target, Through::Plain, args.iter().copied());
    let built = user.build(
        &build(&["build"])
            .from_world(&world.access())
            .env("RUSTC_WRAPPER", &catcher),
    )?;
    ensure!(
        built.units.fetched_hits() > 0,
        "nothing was fetched: {:?}",
        built.units.misses()
    );
    step.done("");
    let step = progress.step("cargo has nothing to do");
    let before = fs_err::read_dir(&calls)?.count();
    user.build(&build(&["build"]).env("RUSTC_WRAPPER", &catcher))?;
    let spawned = fs_err::read_dir(&calls)?.count() - before;
    step.done("");

    let step = progress.step("the calls are made again");
    let measured = measure(&caught(&calls)?, &programs.rustc_wrapper())?;
    step.done("");
    progress.say(&table(&measured, spawned));
    let path = programs.target().join("sealift-bench").join("wrapper.json");
    fs_err::create_dir_all(path.parent().context("a folder")?)?;
    let report = serde_json::json!({"version": 1, "spawned_by_a_no_op_build": spawned, "measured": measured});
    fs_err::write(&path, serde_json::to_string_pretty(&report)?)?;
    progress.say(&format!("  every number: {}", path.display()));
    Ok(())
}

/// A program that writes down how it is called, and becomes the wrapper.
fn catcher(folder: &Path, calls: &Path, wrapper: &Path) -> Result<PathBuf> {
    let path = folder.join("catcher");
    let (calls, wrapper) = (calls.display(), wrapper.display());
    let script = format!(
        "#!/bin/sh\ncall=$(mktemp -d '{calls}/XXXXXXXX')\nenv -0 >\"$call/env\"\nprintf '%s\\0' \"$@\" >\"$call/args\"\npwd >\"$call/folder\"\nexec '{wrapper}' \"$@\"\n"
    );
    fs_err::write(&path, script)?;
    fs_err::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    Ok(path)
}

fn caught(calls: &Path) -> Result<Vec<Call>> {
    let words = |path: PathBuf| -> Result<Vec<OsString>> {
        let text = fs_err::read(path)?;
        let words = text.strip_suffix(b"\0").unwrap_or(&text).split(|&byte| byte == 0);
        Ok(words.map(|word| OsString::from_vec(word.to_vec())).collect())
    };
    let mut found = vec![];
    for entry in fs_err::read_dir(calls)? {
        let folder = entry?.path();
        let env = words(folder.join("env"))?;
        let env = env.into_iter().filter_map(|variable| {
            let text = variable.into_string().ok()?;
            let (name, value) = text.split_once('=')?;
            Some((name.into(), value.into()))
        });
        found.push(Call {
            args: words(folder.join("args"))?,
            env: env.collect(),
            folder: fs_err::read_to_string(folder.join("folder"))?.trim_end().into(),
        });
    }
    Ok(found)
}

fn measure(calls: &[Call], wrapper: &Path) -> Result<Vec<Measured>> {
    let is_unit = |call: &&Call| call.args.iter().any(|arg| arg == "--crate-name") && !call.is_probe();
    let is_registry = |call: &Call| call.folder.to_string_lossy().contains("registry/src");
    let hits: Vec<&Call> = calls.iter().filter(is_unit).filter(|call| is_registry(call)).collect();
    let own: Vec<&Call> = calls.iter().filter(is_unit).filter(|call| !is_registry(call)).collect();
    let probes: Vec<&Call> = calls.iter().filter(|call| call.is_probe()).collect();
    let nothing = OsString::from("true");
    Ok(vec![
        Measured::of("hit: a fetched unit put in place", &hits, |call| {
            call.through(wrapper, &call.args[0])
        })?,
        Measured::of("own crate, in front of a compiler that does nothing", &own, |call| {
            call.through(wrapper, &nothing)
        })?,
        Measured::of("the same without a wrapper", &own, |call| call.alone(&nothing))?,
        Measured::of("question about the compiler, answered by nothing", &probes, |call| {
            call.through(wrapper, &nothing)
        })?,
        Measured::of("the same without a wrapper", &probes, |call| call.alone(&nothing))?,
    ])
}

impl Call {
    fn is_probe(&self) -> bool {
        self.args.iter().any(|arg| arg == "___" || arg == "-vV")
    }

    fn through(&self, wrapper: &Path, compiler: &OsString) -> Command {
        let mut command = Command::new(wrapper);
        command.arg(compiler).args(&self.args[1..]);
        self.surround(command)
    }

    fn alone(&self, compiler: &OsString) -> Command {
        let mut command = Command::new(compiler);
        command.args(&self.args[1..]);
        self.surround(command)
    }

    fn surround(&self, mut command: Command) -> Command {
        command
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            // Nothing is to be fetched here.
            .env("SEALIFT_OFFLINE", "1")
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }
}

impl Measured {
    fn of(what: &'static str, calls: &[&Call], command: impl Fn(&Call) -> Command) -> Result<Self> {
        ensure!(!calls.is_empty(), "no such call: {what}");
        let mut times = vec![];
        for round in 0..=ROUNDS {
            for call in calls {
                let mut command = command(call);
                let begin = Instant::now();
                let status = command.status()?;
                let time = begin.elapsed();
                ensure!(status.success(), "{what}: {status}");
                // The first round warms the machine's caches.
                if round > 0 {
                    times.push(time);
                }
            }
        }
        times.sort_unstable();
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        Ok(Self {
            what,
            calls: calls.len(),
            median_us: micros(times[times.len() / 2]),
            ninth_decile_us: micros(times[times.len() * 9 / 10]),
        })
    }
}

fn table(measured: &[Measured], spawned: usize) -> String {
    let milliseconds = |us: u64| format!("{}.{:02} ms", us / 1000, us % 1000 / 10);
    let mut table = Table::new(&["a process of the wrapper", "calls", "median", "9 of 10"]);
    for one in measured {
        table.row([
            one.what.to_owned(),
            one.calls.to_string(),
            milliseconds(one.median_us),
            milliseconds(one.ninth_decile_us),
        ]);
    }
    format!(
        "\n{table}\n  {ROUNDS} times each call, from start to end of the process; a no-op build started {spawned}\n"
    )
}
