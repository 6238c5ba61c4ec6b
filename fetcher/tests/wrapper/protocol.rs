//! The wrapper as a program: what it is not asked to handle is as without it, and nothing of it stays behind.

use std::io::Write as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use sealift_policy::local::Outcome;

use crate::machine::{Machine, Package, RUSTC, WRAPPER, names, stderr};

/// Takes rustc a minute or so, most of it before any metadata.
const LONG: &str = "pub const X: u64 = { let mut i = 0; while i < 3_000_000_000 { i += 1; } i };\n";

fn run(machine: &Machine, args: &[&str], stdin: &str) -> Output {
    let mut command = Command::new(args[0]);
    machine.set_up(&mut command);
    command
        .args(&args[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.current_dir(machine.path("home")).spawn().unwrap();
    // A program that reads nothing closes the pipe early.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    child.wait_with_output().unwrap()
}

#[track_caller]
fn assert_same(ours: &Output, expected: &Output) {
    assert_eq!(stderr(ours), stderr(expected));
    assert_eq!(ours.stdout, expected.stdout);
    assert_eq!(ours.status, expected.status);
}

fn library(machine: &Machine) -> Package {
    machine.library("a", "pub fn a() {}\n")
}

#[test]
fn questions_get_rustc_s_own_answer_and_leave_nothing() {
    let machine = Machine::new();
    let rustc = RUSTC.to_str().unwrap();
    let probe = "- --crate-name ___ --print=file-names --crate-type bin --crate-type rlib --print=sysroot --print=cfg -W warnings";
    let questions = [
        vec!["-vV"],
        vec!["-V"],
        vec!["--print", "cfg"],
        vec!["--print=target-list"],
        probe.split(' ').collect(),
        vec!["--explain", "E0080"],
        vec!["--no-such-flag"],
        vec![],
    ];
    for question in questions {
        let plain: Vec<_> = [rustc].into_iter().chain(question.iter().copied()).collect();
        let wrapped: Vec<_> = [WRAPPER].into_iter().chain(plain.iter().copied()).collect();
        assert_same(&run(&machine, &wrapped, ""), &run(&machine, &plain, ""));
    }
    assert!(!machine.store().join("v1/cas").exists());
}

#[test]
fn a_program_from_standard_input_is_compiled_as_without_a_wrapper() {
    let machine = Machine::new();
    let rustc = RUSTC.to_str().unwrap();
    for source in ["fn main() {}", "fn main() { no }"] {
        let plain = [
            rustc,
            "-",
            "--crate-name",
            "probe",
            "--emit=metadata",
            "-o",
            "probe.rmeta",
        ];
        let wrapped: Vec<_> = [WRAPPER].into_iter().chain(plain).collect();
        assert_same(&run(&machine, &wrapped, source), &run(&machine, &plain, source));
    }
}

#[test]
fn a_workspace_wrapper_gets_its_call_whatever_it_is_called() {
    let machine = Machine::new();
    let package = library(&machine);
    let log = machine.path("log");
    for name in ["clippy-driver", "kani-compiler", "rustc"] {
        let body = format!("printf '<%s>' \"$@\" > '{}'\nexec \"$@\"", log.display());
        let workspace_wrapper = machine.script(&format!("bin/{name}"), &body);
        let call = machine.build(&package, &format!("target-{name}"));
        let mut command = machine.command(&call);
        // cargo: wrapper, workspace wrapper, rustc, arguments.
        let mut wrapped = Command::new(WRAPPER);
        wrapped
            .arg(&workspace_wrapper)
            .args(command.get_args())
            .current_dir(&package.root);
        for (name, value) in command.get_envs() {
            value.map(|value| wrapped.env(name, value));
        }
        let output = wrapped.output().unwrap();
        assert!(output.status.success(), "{name}: {}", stderr(&output));
        let mut expected = format!("<{}>", RUSTC.display());
        expected.extend(call.args.iter().map(|arg| format!("<{arg}>")));
        assert_eq!(fs_err::read_to_string(&log).unwrap(), expected);
        assert_eq!(machine.last_event().outcome, Outcome::PassedThrough, "{name}");
        assert_eq!(
            run(
                &machine,
                &[
                    WRAPPER,
                    workspace_wrapper.to_str().unwrap(),
                    RUSTC.to_str().unwrap(),
                    "-vV"
                ],
                ""
            )
            .stdout,
            run(&machine, &[RUSTC.to_str().unwrap(), "-vV"], "").stdout
        );
        assert!(command.output().unwrap().status.success());
        assert_ne!(
            machine.last_event().outcome,
            Outcome::PassedThrough,
            "the plain call is another unit's"
        );
    }
}

#[test]
fn exit_codes_and_signals_are_the_compiler_s() {
    let machine = Machine::new();
    for code in [0, 1, 101, 127, 128, 200, 255] {
        let fake = machine.script("bin/rustc", &format!("exit {code}"));
        assert_eq!(
            run(&machine, &[WRAPPER, fake.to_str().unwrap(), "x.rs"], "")
                .status
                .code(),
            Some(code)
        );
    }
    for (name, number) in [("TERM", 15), ("KILL", 9), ("SEGV", 11)] {
        let fake = machine.script("bin/rustc", &format!("kill -{name} $$"));
        let status = run(&machine, &[WRAPPER, fake.to_str().unwrap(), "x.rs"], "").status;
        assert_eq!(status.signal(), Some(number), "{name}");
    }
}

#[test]
fn a_compiler_that_is_not_there_is_named() {
    let machine = Machine::new();
    let output = run(&machine, &[WRAPPER, "/not/there/rustc", "-vV"], "");
    assert_eq!(output.status.code(), Some(127));
    assert!(stderr(&output).contains("/not/there/rustc"), "{}", stderr(&output));
}

#[test]
fn job_tokens_reach_the_compiler_of_a_handled_unit() {
    let machine = Machine::new();
    let package = library(&machine);
    let fifo = machine.path("tokens");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let call = machine.build(&package, "target");
    let wrapped = machine.command(&call);
    // The descriptors are open in the shell, and so in what it becomes.
    let script = format!("exec 8<>'{}' 9>&8; printf '++' >&8; exec \"$@\"", fifo.display());
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &script, "sh"])
        .arg(wrapped.get_program())
        .args(wrapped.get_args())
        .current_dir(&package.root);
    for (name, value) in wrapped.get_envs() {
        value.map(|value| shell.env(name, value));
    }
    shell.env("CARGO_MAKEFLAGS", "-j --jobserver-fds=8,9 --jobserver-auth=8,9");
    let output = shell.output().unwrap();
    assert!(output.status.success());
    assert!(
        !stderr(&output).contains("jobserver"),
        "rustc would warn: {}",
        stderr(&output)
    );
    assert_eq!(machine.last_event().outcome, Outcome::Compiled);

    // That it would: descriptors that nobody has opened.
    let without = machine.build(&machine.library("b", "pub fn b() {}\n"), "target");
    let without = without.env("CARGO_MAKEFLAGS", "-j --jobserver-fds=208,209 --jobserver-auth=208,209");
    assert!(stderr(&machine.run(&without)).contains("jobserver"));
}

#[test]
fn ctrl_c_ends_the_wrapper_and_its_compiler() {
    let machine = Machine::new();
    let package = machine.library("long", LONG);
    for signal in [rustix::process::Signal::INT, rustix::process::Signal::TERM] {
        let call = machine.build(&package, "target").instead("warn", "allow");
        let mut child = as_from_a_terminal(&machine.command(&call))
            .process_group(0)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let group = rustix::process::Pid::from_child(&child);
        // A terminal gives the signal to the whole group; it has two members once rustc runs.
        while members(group) < 2 {
            assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
            std::thread::yield_now();
        }
        rustix::process::kill_process_group(group, signal).unwrap();
        let status = child.wait().unwrap();
        let code = 128 + signal.as_raw();
        assert!(
            status.signal() == Some(signal.as_raw()) || status.code() == Some(code),
            "{status}"
        );
        while members(group) > 0 {
            std::thread::yield_now();
        }
        assert!(!call.output("rmeta").exists());
    }
}

/// The same program, with the signals of a terminal as they are there: what runs in the background, as these tests
/// may, ignores some of them, and so does everything that it starts.
fn as_from_a_terminal(program: &Command) -> Command {
    let mut command = Command::new("env");
    command
        .args(["--default-signal=INT", "--default-signal=TERM"])
        .arg(program.get_program())
        .args(program.get_args())
        .env_clear()
        .envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(folder) = program.get_current_dir() {
        command.current_dir(folder);
    }
    command
}

/// Processes of a group that run something.
fn members(group: rustix::process::Pid) -> usize {
    let is_member = |path: &Path| {
        let stat = fs_err::read_to_string(path.join("stat")).ok()?;
        let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
        let (state, of) = (fields.next()?, fields.nth(1)?);
        (state != "Z" && of == group.to_string()).then_some(())
    };
    let entries = fs_err::read_dir("/proc").unwrap();
    entries.filter_map(|entry| is_member(&entry.ok()?.path())).count()
}

#[test]
fn without_a_home_folder_everything_is_compiled_as_without_a_wrapper() {
    let machine = Machine::new();
    let call = machine.build(&library(&machine), "target");
    let mut command = machine.command(&call);
    command.env_remove("HOME").env_remove("SEALIFT_STORE");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let plain = machine.run(&call.plain());
    assert_eq!(stderr(&output), stderr(&plain));
    assert!(!machine.store().exists());
}

#[test]
fn folders_with_very_long_names_work_or_are_left_alone() {
    let machine = Machine::new();
    // Longer than a socket's name may be, and as long as a file's may be.
    let long = ["long"; 60].join("/");
    let call = machine.build(&library(&machine), &long);
    assert_eq!(machine.outcome(&call), Outcome::Compiled);
    assert_eq!(
        machine.outcome(&machine.build(&library(&machine), &"x".repeat(255))),
        Outcome::HitCompiled
    );
    let deep = machine.path(&long).join("store");
    let call = machine
        .build(&library(&machine), "t")
        .env("SEALIFT_STORE", deep.display());
    assert!(machine.run(&call).status.success());
    assert!(deep.join("v1/units").is_dir());
    // A file's name that leaves no room for one beside it.
    let extra = format!("extra-filename=-{}", "x".repeat(240));
    let old = format!("extra-filename={}", crate::machine::EXTRA);
    let (ours, plain) = (
        machine.build(&library(&machine), "ours"),
        machine.build(&library(&machine), "plain"),
    );
    let ours = machine.run(&ours.instead(&old, &extra));
    let plain = machine.run(&plain.plain().instead(&old, &extra));
    assert_eq!(ours.status, plain.status, "{}", stderr(&ours));
}

#[test]
fn tokens_are_in_no_file_that_is_written() {
    const TOKEN: &str = "secret-3f1c9a77";
    let machine = Machine::new();
    let call = machine.build(&library(&machine), "target");
    let names = [
        "CARGO_REGISTRY_TOKEN",
        "CARGO_REGISTRIES_MINE_TOKEN",
        "CARGO_REGISTRIES_CRATES_IO_TOKEN",
        "GITHUB_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
    ];
    let with_tokens = |call: crate::machine::Call| names.iter().fold(call, |call, name| call.env(name, TOKEN));
    assert_eq!(machine.outcome(&with_tokens(call)), Outcome::Compiled);
    let passed = machine
        .build(&library(&machine), "passed")
        .arg("-C")
        .arg("target-cpu=native");
    assert_eq!(machine.outcome(&with_tokens(passed)), Outcome::PassedThrough);
    let mut files = 0;
    for folder in [machine.store(), machine.path("target")] {
        for entry in walkdir::WalkDir::new(folder) {
            let entry = entry.unwrap();
            if entry.file_type().is_file() {
                let content = fs_err::read(entry.path()).unwrap();
                let found = content.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes());
                assert!(!found, "`{}`", entry.path().display());
                files += 1;
            }
        }
    }
    assert!(files > 5, "there were files to look into");
}

#[test]
fn a_store_that_others_can_write_to_is_not_used() {
    let machine = Machine::new();
    let package = library(&machine);
    machine.outcome(&machine.build(&package, "first"));
    let before = names(&machine.store().join("v1"));
    fs_err::set_permissions(machine.store(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let call = machine.build(&package, "second");
    let output = machine.run(&call);
    assert!(output.status.success());
    // rustc's own words: also what it says about the dep-info, which only it announces.
    assert!(stderr(&output).contains(r#""emit":"dep-info""#), "{}", stderr(&output));
    assert_eq!(names(&machine.store().join("v1")), before);
}

#[test]
fn a_store_of_another_user_is_not_used() {
    let machine = Machine::new();
    let package = library(&machine);
    // The superuser can give a folder away; to everybody else the root folder belongs to another user.
    let store = if rustix::process::geteuid().is_root() {
        machine.outcome(&machine.build(&package, "first"));
        std::os::unix::fs::chown(machine.store(), Some(12345), None).unwrap();
        machine.store()
    } else {
        "/".into()
    };
    let call = machine.build(&package, "second").env("SEALIFT_STORE", store.display());
    let output = machine.run(&call);
    assert!(output.status.success());
    assert!(stderr(&output).contains(r#""emit":"dep-info""#), "{}", stderr(&output));
}
