//! `./x bench wrapper`: what a process of the wrapper costs, from its start to its end.
//!
//! Owns catching the calls that cargo really makes (arguments, environment, folder) and making them again, one after
//! the other, on an otherwise idle machine, each round in cargo's order into a target folder of its own, so that files are
//! put where none lay before. ext4 looks for a number for a new file among those of files that were removed within the
//! last minutes, one by one, and publishing removes many: so nothing is removed in between, and each target folder is put
//! away from where that happened. Must not know what the wrapper does.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::fs::IFlags;
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

/// How long the disk rests before it is measured: on ext4 without a journal longer than a removed file's number is set
/// aside (`recently_deleted` in its `ialloc.c`), elsewhere longer than it takes to write what publishing left.
const SET_ASIDE: Duration = Duration::from_secs(100);

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
    let progress = Progress::of(5);
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
    let targets = folder.path().join("targets");
    fs_err::create_dir(&targets)?;
    spread_out(&targets);
    let target = targets.join("target");
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

    let step = progress.step("the disk comes to rest");
    come_to_rest();
    step.done("");
    let step = progress.step("the calls are made again");
    let scene = Scene {
        calls: caught(&calls)?,
        wrapper: programs.rustc_wrapper(),
        target,
    };
    let measured = scene.measure()?;
    step.done("");
    progress.say(&table(&measured, spawned));
    let path = programs.target().join("sealift-bench").join("wrapper.json");
    fs_err::create_dir_all(path.parent().context("a folder")?)?;
    let report = serde_json::json!({"version": 2, "rested_seconds": SET_ASIDE.as_secs(), "spawned_by_a_no_op_build": spawned, "measured": measured});
    fs_err::write(&path, serde_json::to_string_pretty(&report)?)?;
    progress.say(&format!("  every number: {}", path.display()));
    Ok(())
}

/// Waits until nothing of what came before is still being written, nor any number of a removed file set aside by ext4.
fn come_to_rest() {
    rustix::fs::sync();
    std::thread::sleep(SET_ASIDE);
}

/// Lets ext4 put each folder in here into a part of the disk of its own, as it does below `/`. Other file systems have
/// no such parts.
fn spread_out(folder: &Path) {
    let _ = fs_err::File::open(folder).map(|folder| rustix::fs::ioctl_setflags(folder.file(), IFlags::TOPDIR));
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
    let mut folders = vec![];
    for entry in fs_err::read_dir(calls)? {
        let entry = entry?;
        folders.push((entry.metadata()?.created()?, entry.path()));
    }
    folders.sort();
    for (_, folder) in folders {
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

/// What is measured.
struct Scene {
    calls: Vec<Call>,
    wrapper: PathBuf,
    target: PathBuf,
}

impl Scene {
    fn measure(&self) -> Result<Vec<Measured>> {
        let units = || {
            self.calls
                .iter()
                .filter(|call| !call.is_probe() && !call.is_of_script())
        };
        let hits: Vec<&Call> = units().filter(|call| call.is_of_registry()).collect();
        let own: Vec<&Call> = units().filter(|call| !call.is_of_registry()).collect();
        let probes: Vec<&Call> = self.calls.iter().filter(|call| call.is_probe()).collect();
        let nothing = OsString::from("true");
        let alone = |call: &Call| call.surround(Command::new("true"), &call.args[1..]);
        let through = |call: &Call| {
            call.surround(
                Command::new(&self.wrapper),
                &[std::slice::from_ref(&nothing), &call.args[1..]].concat(),
            )
        };
        Ok(vec![
            self.hits(&hits)?,
            Measured::of("own crate, in front of a compiler that does nothing", &own, through)?,
            Measured::of("the same without a wrapper", &own, alone)?,
            Measured::of("question about the compiler, answered by nothing", &probes, through)?,
            Measured::of("the same without a wrapper", &probes, alone)?,
        ])
    }

    fn hits(&self, calls: &[&Call]) -> Result<Measured> {
        let what = "hit: a fetched unit put in place";
        let mut times = vec![];
        for round in 0..=ROUNDS {
            // Of the same length, since nothing else of it matters.
            let target = self.target.with_file_name(format!("targe{round:x}"));
            self.lay_out(&target)?;
            for call in calls {
                let moved = call.moved(&self.target, &target);
                let time = time(what, moved.surround(Command::new(&self.wrapper), &moved.args))?;
                if round > 0 {
                    times.push(time);
                }
            }
        }
        Measured::from_times(what, calls.len(), times)
    }

    /// What cargo and the build scripts had made before rustc was called.
    fn lay_out(&self, target: &Path) -> Result<()> {
        for entry in walkdir::WalkDir::new(&self.target) {
            let entry = entry?;
            let to = target.join(entry.path().strip_prefix(&self.target)?);
            let of_script = entry
                .path()
                .parent()
                .and_then(Path::parent)
                .is_some_and(|build| build.ends_with("build"));
            if entry.file_type().is_dir() {
                fs_err::create_dir_all(to)?;
            } else if entry.path().components().any(|part| part.as_os_str() == "out")
                || (of_script && !entry.file_name().to_string_lossy().starts_with("build"))
            {
                fs_err::copy(entry.path(), to)?;
            }
        }
        Ok(())
    }
}

impl Call {
    fn is_probe(&self) -> bool {
        self.args.iter().any(|arg| arg == "___" || arg == "-vV")
    }

    /// What a build script tries out.
    fn is_of_script(&self) -> bool {
        let mut pairs = self.args.windows(2);
        pairs.any(|pair| pair[0] == "--out-dir" && pair[1].to_string_lossy().contains("/out"))
    }

    fn is_of_registry(&self) -> bool {
        self.folder.to_string_lossy().contains("registry/src")
    }

    /// The same call for another target folder.
    fn moved(&self, from: &Path, to: &Path) -> Self {
        let (from, to) = (from.to_string_lossy(), to.to_string_lossy());
        let moved = |word: &OsString| OsString::from(word.to_string_lossy().replace(&*from, &to));
        Self {
            args: self.args.iter().map(moved).collect(),
            env: self
                .env
                .iter()
                .map(|(name, value)| (name.clone(), moved(value)))
                .collect(),
            folder: self.folder.clone(),
        }
    }

    fn surround(&self, mut command: Command, args: &[OsString]) -> Command {
        command
            .args(args)
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            // Nothing is to be fetched here.
            .env("SEALIFT_OFFLINE", "1")
            .current_dir(&self.folder)
            .stdin(Stdio::null());
        command
    }
}

fn time(what: &str, mut command: Command) -> Result<Duration> {
    let begin = Instant::now();
    let output = command.output()?;
    let time = begin.elapsed();
    let said = || String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{what}: {}: {}", output.status, said());
    Ok(time)
}

impl Measured {
    fn of(what: &'static str, calls: &[&Call], command: impl Fn(&Call) -> Command) -> Result<Self> {
        let mut times = vec![];
        for round in 0..=ROUNDS {
            for call in calls {
                let time = time(what, command(call))?;
                // The first round warms the machine's caches.
                if round > 0 {
                    times.push(time);
                }
            }
        }
        Self::from_times(what, calls.len(), times)
    }

    fn from_times(what: &'static str, calls: usize, mut times: Vec<Duration>) -> Result<Self> {
        ensure!(!times.is_empty(), "no such call: {what}");
        times.sort_unstable();
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        Ok(Self {
            what,
            calls,
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
        "\n{table}\n  {ROUNDS} times each call, from start to end of the process, on a disk at rest; a no-op build started {spawned}\n"
    )
}
