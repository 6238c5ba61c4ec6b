//! What rustc refuses is told once, in cargo's form; what fails around it is a local compilation.

use sealift_policy::local::Outcome;

use crate::machine::{Machine, announcements, diagnostics, names, stderr};

/// Refused by the assembler, after the metadata was written.
const LATE_ERROR: &str = "pub fn a() {}\nstd::arch::global_asm!(\"this is no instruction\");\n";

#[test]
fn an_error_after_the_metadata_was_announced_is_final_and_told_once() {
    let machine = Machine::new();
    let package = machine.library("late", LATE_ERROR);
    let plain = machine.build(&package, "plain").plain();
    let expected = machine.run(&plain);
    assert_eq!(
        announcements(&expected),
        1,
        "the metadata comes before the error: {}",
        stderr(&expected)
    );

    let call = machine.build(&package, "target");
    let refused = machine.run(&call);
    assert_eq!(refused.status, expected.status);
    assert_eq!(announcements(&refused), 1);
    assert_eq!(diagnostics(&refused), diagnostics(&expected));
    // What dependents were started against is still there, and no second call has replaced it.
    assert!(machine.last_event().reason.unwrap().contains("metadata was in use"));
    let metadata = call.bytes("rmeta");
    machine.run(&call);
    assert_eq!(call.bytes("rmeta"), metadata);
    let left =
        [call.output("d"), call.output("rmeta")].map(|path| path.file_name().unwrap().to_str().unwrap().to_owned());
    assert_eq!(names(&call.out_dir), left, "nothing is left of either attempt");
}

#[test]
fn an_error_before_any_metadata_is_told_by_cargo_s_own_call() {
    let machine = Machine::new();
    let package = machine.library("wrong", "pub fn x() -> u8 { \"no\" }\n");
    for presentation in [
        "--json=diagnostic-rendered-ansi,artifacts,future-incompat",
        "--json=diagnostic-short,artifacts",
    ] {
        let usual = "--json=diagnostic-rendered-ansi,artifacts,future-incompat";
        let call = machine.build(&package, "target").instead(usual, presentation);
        let (ours, expected) = (machine.run(&call), machine.run(&call.plain()));
        assert_eq!(ours.status, expected.status);
        assert_eq!(stderr(&ours), stderr(&expected));
    }
    assert_eq!(machine.last_event().outcome, Outcome::PassedThrough);
}

#[test]
fn a_store_that_goes_away_after_the_metadata_was_announced_is_no_error() {
    use std::io::{BufRead as _, BufReader};
    let machine = Machine::new();
    // Enough to do after the metadata that the store is gone before rustc ends.
    let many = |i| {
        format!("pub fn f{i}(x: &str) -> Vec<String> {{ x.split(\"{i}\").map(|y| format!(\"{{y}}{i}\")).collect() }}\n")
    };
    let package = machine.library("big", &(0..400).map(many).collect::<String>());
    let call = machine.build(&package, "target");
    let mut child = machine
        .command(&call)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut announced = 0;
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        assert!(!line.contains("error"), "{line}");
        if line.contains(r#""emit":"metadata""#) {
            announced += 1;
            let _ = fs_err::remove_dir_all(machine.store());
        }
    }
    assert!(child.wait().unwrap().success());
    assert_eq!(announced, 1);
    let elsewhere = machine.build(&package, "elsewhere");
    machine.outcome(&elsewhere);
    for ending in ["rmeta", "rlib"] {
        assert!(call.bytes(ending) == elsewhere.bytes(ending), "another {ending}");
    }
}

#[test]
fn a_store_that_takes_nothing_is_a_local_compilation() {
    for broken in ["v1/tmp", "v1/cas", "v1/units", "v1/outputs", "v1/memo", "v1"] {
        let machine = Machine::new();
        let package = machine.library("a", "pub fn a() {}\n");
        let place = machine.store().join(broken);
        fs_err::create_dir_all(place.parent().unwrap()).unwrap();
        fs_err::write(&place, "not a folder").unwrap();
        let call = machine.build(&package, "target");
        let output = machine.run(&call);
        assert!(output.status.success(), "{broken}: {}", stderr(&output));
        assert_eq!(diagnostics(&output), Vec::<String>::new(), "{broken}");
        for ending in ["rmeta", "rlib", "d"] {
            assert!(call.output(ending).is_file(), "{broken}: {ending}");
        }
    }
}

#[test]
fn a_build_that_is_killed_at_any_moment_is_right_the_next_time() {
    let machine = Machine::new();
    let package = machine.library("a", "pub fn a() -> String { format!(\"{}\", 1) }\n");
    let whole = machine
        .build(&package, "whole")
        .env("SEALIFT_STORE", machine.path("other").display());
    let before = std::time::Instant::now();
    assert!(machine.run(&whole).status.success());
    let took = before.elapsed();
    let call = machine.build(&package, "target");
    // Twice: while it is compiled, and while it is installed.
    for moment in (0..12).chain(0..12) {
        let mut child = std::os::unix::process::CommandExt::process_group(&mut machine.command(&call), 0)
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // Not a wait for anything: the moments are the point.
        std::thread::park_timeout(took * moment / 12);
        let group = rustix::process::Pid::from_child(&child);
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        child.wait().unwrap();
        if moment == 11 {
            assert!(machine.run(&call).status.success());
            for ending in ["rmeta", "rlib"] {
                assert!(call.bytes(ending) == whole.bytes(ending), "another {ending}");
            }
        }
    }
}

#[test]
fn a_store_without_room_is_a_local_compilation() {
    let machine = Machine::new();
    let package = machine.library("big", "pub static DATA: [u8; 3_000_000] = [1; 3_000_000];\n");
    let plain = machine.build(&package, "plain");
    machine.outcome(&plain);
    fs_err::remove_dir_all(machine.store()).unwrap();
    fs_err::create_dir(machine.store()).unwrap();
    // From no room for a record, over room for records and metadata, to room for one library of two that are needed.
    for size in [4096, 65_536, 1_000_000, 4_500_000] {
        let call = machine.build(&package, &format!("target-{size}"));
        let wrapped = machine.command(&call);
        let mut roomless = std::process::Command::new("bwrap");
        roomless.args(["--dev-bind", "/", "/", "--size", &size.to_string(), "--tmpfs"]);
        roomless
            .arg(machine.store())
            .arg(wrapped.get_program())
            .args(wrapped.get_args());
        roomless.current_dir(&package.root).env_clear();
        for (name, value) in wrapped.get_envs() {
            value.map(|value| roomless.env(name, value));
        }
        let output = roomless.output().unwrap();
        assert!(output.status.success(), "{size}: {}", stderr(&output));
        assert_eq!(announcements(&output), 1, "{size}");
        assert_eq!(diagnostics(&output), Vec::<String>::new(), "{size}");
        assert!(call.output("rlib").is_file() && call.output("d").is_file());
        let left = names(&call.out_dir);
        assert!(!left.iter().any(|name| name.contains("sealift")), "{left:?}");
    }
}
