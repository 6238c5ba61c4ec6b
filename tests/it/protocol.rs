//! The wrapper in cargo's hands: wherever it is configured, whatever stands beside it, and whatever cargo does with it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use sealift_tests::child::run;
use sealift_tests::env::clean_command;
use sealift_tests::user::{Build, Through};

use crate::fixture::{
    PROGRAMS, Person, Project, assert_loud, assert_nearly_all_hit, assert_nothing_done, assert_silent,
};

/// An executable that is a script.
fn script(path: &Path, body: &str) -> PathBuf {
    fs_err::write(path, format!("#!/bin/sh\n{body}\n")).expect("written");
    fs_err::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("executable");
    path.to_owned()
}

#[test]
fn a_configured_wrapper_works_as_cargo_documents_and_a_workspace_wrapper_beside_it() {
    let person = Person::with(Project::Greeter);
    let config = person.project.join(".cargo/config.toml");
    fs_err::create_dir_all(config.parent().expect("a folder")).expect("made");
    let wrapper = PROGRAMS.rustc_wrapper();
    fs_err::write(&config, format!("[build]\nrustc-wrapper = {wrapper:?}\n")).expect("written");
    let build = |target: &str| {
        Build::new(
            &person.project,
            &person.folder().join(target),
            Through::Plain,
            ["build", "-v"],
        )
    };

    // An empty variable means none, whatever is configured.
    let none = person.run(&build("none").env("RUSTC_WRAPPER", ""));
    assert!(none.units.units.is_empty());

    let log = person.folder().join("log");
    let workspace_wrapper = script(
        &person.folder().join("rustc"),
        &format!("printf '%s\\n' \"$*\" >> '{}'\nexec \"$@\"", log.display()),
    );
    let beside = |target: &str| build(target).env("RUSTC_WORKSPACE_WRAPPER", &workspace_wrapper);
    let configured = person.run(&beside("configured"));
    assert!(configured.units.compiled() > 0 && configured.units.hits() == 0);
    assert_silent(&configured);
    assert_nothing_done(&person.run(&beside("configured")));
    let given = fs_err::read_to_string(&log).expect("the workspace wrapper was called");
    let crates: Vec<_> = (given.lines())
        .filter_map(|line| line.split_once("--crate-name ")?.1.split(' ').next())
        .filter(|name| *name != "___")
        .collect();
    assert_eq!(crates, ["greeter"], "it gets the workspace's own crates");

    // The variable wins over the configuration.
    let called = person.folder().join("called");
    let other = script(
        &person.folder().join("another-wrapper"),
        &format!("touch '{}'\nexec \"$@\"", called.display()),
    );
    let other = person.run(&build("other").env("RUSTC_WRAPPER", other));
    assert!(other.units.units.is_empty() && called.exists());
}

#[test]
fn another_wrapper_is_found_by_a_path_of_its_configuration_and_done_without_where_it_is_gone() {
    let person = Person::with(Project::Greeter);
    let called = person.folder().join("called");
    let tools = person.project.join("tools");
    fs_err::create_dir_all(&tools).expect("made");
    let _ = script(
        &tools.join("wrap"),
        &format!("touch '{}'\nexec \"$@\"", called.display()),
    );
    let config = person.project.join(".cargo/config.toml");
    fs_err::create_dir_all(config.parent().expect("a folder")).expect("made");
    fs_err::write(&config, "[build]\nrustc-wrapper = \"tools/wrap\"\n").expect("written");
    let below = person.project.join("src");
    let build = |through| Build::new(&below, &person.folder().join("below"), through, ["build", "-v"]);
    let built = person.run(&build(Through::Sealift));
    assert!(built.units.compiled() > 0 && called.exists());
    assert_nothing_done(&person.run(&build(Through::Sealift)));

    let gone = person.command(Through::Wrapper, ["build", "-v"]);
    let gone = gone.env("SEALIFT_NEXT_WRAPPER", person.folder().join("gone"));
    assert_loud(&person.run(&gone));
    let off = Build::new(
        &person.project,
        &person.folder().join("off"),
        Through::Wrapper,
        ["build", "-v"],
    );
    let off = off.env("SEALIFT_NEXT_WRAPPER", person.folder().join("gone"));
    assert_loud(&person.run(&off.env("SEALIFT", "off")));
}

#[test]
fn a_wrapper_that_is_replaced_during_a_build_ends_it_well() {
    let mut person = Person::with(Project::Greeter);
    let wrapper = person.folder().join("bin/sealift-rustc");
    fs_err::create_dir_all(wrapper.parent().expect("a folder")).expect("made");
    let replace = || {
        let new = wrapper.with_extension("new");
        fs_err::copy(PROGRAMS.rustc_wrapper(), &new).expect("a copy");
        fs_err::rename(new, &wrapper).expect("in its place");
    };
    replace();
    let mut cargo = clean_command("cargo")
        .args(["build", "--locked"])
        .current_dir(&person.project)
        .env("CARGO_HOME", person.user.home())
        .env("CARGO_TARGET_DIR", &person.target)
        .env("SEALIFT_STORE", person.user.store())
        .env("RUSTC_WRAPPER", &wrapper)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("cargo");
    let status = loop {
        replace();
        if let Some(status) = cargo.try_wait().expect("a child") {
            break status;
        }
        std::thread::yield_now();
    };
    assert!(status.success());
    // cargo sees that the wrapper is another one and asks again who rustc is; nothing else is needed.
    let again = |person: &Person| {
        person
            .command(Through::Plain, ["build", "-v"])
            .env("RUSTC_WRAPPER", &wrapper)
    };
    assert_nothing_done(&person.run(&again(&person)));
    let program = person.program();
    assert!(program == person.local_program(), "the program is another one");
    person.second_checkout();
    assert_nearly_all_hit(&person.run(&again(&person)));
}

#[test]
fn a_check_and_a_build_at_once_with_other_settings_are_both_right() {
    let person = Person::with(Project::Greeter);
    let command = |target: &str, args: [&'static str; 2], flags: &str| {
        let target = person.folder().join(target);
        let build = Build::new(&person.project, &target, Through::Wrapper, args);
        build.env("RUSTFLAGS", flags.to_owned())
    };
    let all = [
        command("editor", ["check", "-v"], ""),
        command("build", ["build", "-v"], ""),
        command("other", ["build", "-v"], "-C opt-level=1 -D warnings"),
    ];
    std::thread::scope(|scope| {
        for build in &all {
            scope.spawn(|| assert_silent(&person.run(build)));
        }
    });
    for build in &all {
        assert_nothing_done(&person.run(build));
    }
    for target in ["build", "other"] {
        let mut program = clean_command(person.folder().join(target).join("debug/greeter"));
        let said = run(&mut program)
            .expect("started")
            .successful()
            .expect("it greets")
            .stdout;
        assert!(said.starts_with("hello\n"), "{said}");
    }
}

#[test]
fn fix_install_and_package_work() {
    let person = Person::with(Project::Greeter);
    let offline = |build: Build| build.env("CARGO_NET_OFFLINE", "true");
    let main = person.project.join("src/main.rs");
    let text = fs_err::read_to_string(&main).expect("a program");
    let careless = text.replace("let text", "let mut text");
    assert_ne!(careless, text);
    fs_err::write(&main, careless).expect("written");
    for args in [vec!["fix", "--allow-no-vcs"], vec!["package", "--allow-dirty"]] {
        let built = person.run(&offline(person.command(Through::Wrapper, args)));
        assert_silent(&built);
        assert!(!built.units.units.is_empty(), "the wrapper was called");
    }
    let fixed = fs_err::read_to_string(&main).expect("a program");
    assert_eq!(fixed, text, "`cargo fix` has removed what was too much");
    let root = person.folder().join("installed");
    let install = person.command(Through::Wrapper, ["install", "--path", "."]);
    let install = offline(install.arg("--root").arg(root.to_str().expect("UTF-8")));
    let installed = person.run(&install);
    assert_silent(&installed);
    let said = run(&mut clean_command(root.join("bin/greeter"))).expect("it was installed");
    assert!(said.stdout.starts_with("hello\n"), "{}", said.stdout);
}
