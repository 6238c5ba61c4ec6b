//! The next wrapper gets what Sealift does not handle, as it is, and nothing else; and no chain is endless.

use std::path::{Path, PathBuf};

use sealift_policy::local::Outcome;

use crate::machine::{Machine, RUSTC, WRAPPER, stderr};

const NEXT: &str = "SEALIFT_NEXT_WRAPPER";

/// A wrapper that notes what it is given and runs it.
fn recorder(machine: &Machine) -> (PathBuf, PathBuf) {
    let log = machine.path("log");
    let body = format!("printf '<%s>' \"$@\" >> '{}'\nexec \"$@\"", log.display());
    (machine.script("recorder", &body), log)
}

fn read(log: &Path) -> String {
    fs_err::read_to_string(log).unwrap_or_default()
}

#[test]
fn what_is_handled_is_not_given_to_the_next_wrapper() {
    let machine = Machine::new();
    let (recorder, log) = recorder(&machine);
    let package = machine.library("a", "pub fn a() {}\n");
    for (target, outcome) in [("first", Outcome::Compiled), ("second", Outcome::HitCompiled)] {
        let call = machine.build(&package, target).env(NEXT, recorder.display());
        assert_eq!(machine.outcome(&call), outcome);
    }
    assert_eq!(read(&log), "");
}

#[test]
fn what_is_not_handled_is_given_to_the_next_wrapper_as_it_is() {
    let machine = Machine::new();
    let (recorder, log) = recorder(&machine);
    let package = machine.library("a", "pub fn a() {}\n");
    let call = machine
        .build(&package, "target")
        .arg("-C")
        .arg("target-cpu=native")
        .arg("--cfg")
        .arg("feature=\"two words\"")
        .env(NEXT, recorder.display());
    assert_eq!(machine.outcome(&call), Outcome::PassedThrough);
    let mut expected = format!("<{}>", RUSTC.display());
    expected.extend(call.args.iter().map(|arg| format!("<{arg}>")));
    assert_eq!(read(&log), expected);
    assert!(call.output("rlib").is_file());
}

#[test]
fn the_next_wrapper_works_on_when_sealift_steps_aside() {
    let machine = Machine::new();
    let (recorder, log) = recorder(&machine);
    let call = machine.build(&machine.library("a", "pub fn a() {}\n"), "target");
    let call = call.env(NEXT, recorder.display()).env("SEALIFT", "off");
    assert!(machine.run(&call).status.success());
    assert!(read(&log).starts_with(&format!("<{}><--crate-name><a>", RUSTC.display())));
}

#[test]
fn a_chain_that_leads_back_to_sealift_ends() {
    let machine = Machine::new();
    let package = machine.library("a", "pub fn a() {}\n");
    let (link, copy) = (machine.path("bin/a-link"), machine.path("bin/a-copy"));
    fs_err::create_dir(machine.path("bin")).unwrap();
    fs_err::os::unix::fs::symlink(WRAPPER, &link).unwrap();
    fs_err::copy(WRAPPER, &copy).unwrap();
    let script = machine.script("scripts/another", &format!("exec '{WRAPPER}' \"$@\""));
    let twice = machine.script("scripts/twice", &format!("exec '{}' \"$@\"", script.display()));
    for (place, next) in [Path::new(WRAPPER), &link, &copy, &script, &twice]
        .into_iter()
        .enumerate()
    {
        for (name, arg) in [("handled", "debuginfo=2"), ("passed", "target-cpu=native")] {
            let call = machine.build(&package, &format!("{name}{place}"));
            let call = call.arg("-C").arg(arg).env(NEXT, next.display());
            let output = machine.run(&call);
            assert!(output.status.success(), "{}: {}", next.display(), stderr(&output));
            assert!(call.output("rlib").is_file());
        }
    }
}

#[test]
fn a_next_wrapper_that_is_not_there_is_named_and_done_without() {
    let machine = Machine::new();
    let missing = machine.path("not/there");
    let call = machine.build(&machine.library("a", "pub fn a() {}\n"), "target");
    let call = call.arg("-C").arg("target-cpu=native").env(NEXT, missing.display());
    let output = machine.run(&call);
    assert!(output.status.success() && call.output("rlib").is_file());
    assert!(
        stderr(&output).contains(missing.to_str().unwrap()),
        "{}",
        stderr(&output)
    );
}
