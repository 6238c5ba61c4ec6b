//! `cargo-sealift` as a program: exit codes, signals, wrappers, help. cargo itself is a script, so that what it is
//! given can be seen.

use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};

/// A user whose cargo is a script.
struct User {
    folder: tempfile::TempDir,
}

impl User {
    /// `script` is the body of the cargo that the user has.
    fn with_cargo(script: &str) -> Self {
        let user = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        // Questions are answered with nothing, so that there is no plan.
        let text = format!(
            "#!/bin/sh\ncase \"$*\" in *--unit-graph*|*'config get'*|*locate-project*|*metadata*) exit 1;; esac\n{script}\n"
        );
        fs_err::write(user.cargo(), text).unwrap();
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs_err::set_permissions(user.cargo(), executable).unwrap();
        user
    }

    fn cargo(&self) -> PathBuf {
        self.folder.path().join("cargo")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-sealift"));
        command.args(args).current_dir(self.folder.path());
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.folder.path())
            .env("CARGO", self.cargo());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn cargo_gets_the_arguments_as_they_are_and_the_wrapper() {
    let user = User::with_cargo(r#"printf '<%s>' "$@"; echo; basename "$RUSTC_WRAPPER""#);
    let output = user.run(&["sealift", "run", "--bin", "a b", "--", "--json", "-q"]);
    assert_eq!(stdout(&output), "<run><--bin><a b><--><--json><-q>\nsealift-rustc\n");
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
}

#[test]
fn commands_that_nobody_knows_go_to_cargo() {
    let user = User::with_cargo(r#"echo "$@""#);
    assert_eq!(stdout(&user.run(&["xtask", "dist", "--help"])), "xtask dist --help\n");
}

#[test]
fn the_exit_code_is_cargo_s() {
    for code in [0, 1, 101, 200] {
        let user = User::with_cargo(&format!("exit {code}"));
        assert_eq!(user.run(&["sealift", "build"]).status.code(), Some(code));
    }
}

#[test]
fn a_signal_that_ends_cargo_ends_us() {
    let user = User::with_cargo("kill -TERM $$");
    assert_eq!(user.run(&["sealift", "build"]).status.signal(), Some(15));
    let user = User::with_cargo("kill -KILL $$");
    assert_eq!(user.run(&["sealift", "build"]).status.signal(), Some(9));
}

#[test]
fn a_signal_that_reaches_us_alone_is_passed_on() {
    // cargo ends itself only when it gets the signal that it makes its parent get.
    let user =
        User::with_cargo("trap 'exit 42' TERM; kill -TERM $PPID; n=0; while [ $n -lt 2000000 ]; do n=$((n + 1)); done");
    assert_eq!(user.run(&["sealift", "build"]).status.code(), Some(42));
}

#[test]
fn an_interrupt_waits_for_what_cargo_makes_of_it() {
    let user = User::with_cargo("kill -INT $PPID; exit 7");
    assert_eq!(user.run(&["sealift", "build"]).status.code(), Some(7));
}

#[test]
fn a_wrapper_that_was_there_comes_next() {
    let user = User::with_cargo(r#"echo "next: ${SEALIFT_NEXT_WRAPPER-none}""#);
    let next = |set: &[(&str, &str)]| {
        let output = user
            .command(&["sealift", "build"])
            .envs(set.iter().copied())
            .output()
            .unwrap();
        stdout(&output).trim_end().to_owned()
    };
    assert_eq!(next(&[]), "next: none");
    assert_eq!(next(&[("RUSTC_WRAPPER", "sccache")]), "next: sccache");
    assert_eq!(next(&[("RUSTC_WRAPPER", "")]), "next: none");
    assert_eq!(next(&[("RUSTC_WRAPPER", "/opt/sealift-rustc")]), "next: none");
    assert_eq!(next(&[("CARGO_BUILD_RUSTC_WRAPPER", "mbx")]), "next: mbx");
    // It is run in other folders.
    let here = user.folder.path().canonicalize().unwrap();
    let whole = format!("next: {}", here.join("tools/wrap").display());
    assert_eq!(next(&[("RUSTC_WRAPPER", "tools/wrap")]), whole);
    assert_eq!(
        next(&[("RUSTC_WRAPPER", "sccache"), ("SEALIFT_NEXT_WRAPPER", "kache")]),
        "next: kache"
    );
}

#[test]
fn switched_off_there_is_only_cargo() {
    let user = User::with_cargo(r#"echo "wrapper: ${RUSTC_WRAPPER-none}"; exit 3"#);
    let output = user
        .command(&["sealift", "build"])
        .env("SEALIFT", "off")
        .output()
        .unwrap();
    assert_eq!(
        (stdout(&output).as_str(), output.status.code()),
        ("wrapper: none\n", Some(3))
    );
    assert_eq!(stderr(&output), "");
    assert!(!user.folder.path().join(".cache").exists());
}

#[test]
fn without_a_home_there_is_only_cargo() {
    let user = User::with_cargo(r#"echo "wrapper: ${RUSTC_WRAPPER-none}""#);
    let output = user.command(&["sealift", "build"]).env_remove("HOME").output().unwrap();
    assert_eq!(stdout(&output), "wrapper: none\n");
}

#[test]
fn a_store_that_cannot_be_written_does_not_break_the_build() {
    let user = User::with_cargo("echo built");
    let output = user
        .command(&["sealift", "build"])
        .env("SEALIFT_STORE", "/proc/nowhere")
        .output()
        .unwrap();
    assert_eq!((stdout(&output).as_str(), output.status.code()), ("built\n", Some(0)));
}

#[test]
fn a_relative_trust_policy_is_made_absolute_for_the_wrapper() {
    let user = User::with_cargo(r#"echo "$SEALIFT_TRUST_ROOT""#);
    let output = user
        .command(&["sealift", "build"])
        .env("SEALIFT_TRUST_ROOT", "policy.json")
        .output()
        .unwrap();
    let expected = fs_err::canonicalize(user.folder.path()).unwrap().join("policy.json");
    assert_eq!(stdout(&output).trim_end(), expected.to_str().unwrap());
}

#[test]
fn set_up_and_undo_leave_nothing_behind() {
    let user = User::with_cargo("");
    let policy = user.folder.path().join("policy.json");
    let text = r#"{"version":1,"operators":[],"quorum":{"host_code":2,"library":1},"max_checkpoint_age_seconds":1}"#;
    fs_err::write(&policy, text).unwrap();
    let args = [
        "setup",
        "--url",
        "https://sealift.example",
        "--trust-root",
        "policy.json",
    ];

    let dry = user.run(&[&args[..], &["--dry-run"]].concat());
    assert!(
        dry.status.success() && stderr(&dry).contains("+ url = \"https://sealift.example\""),
        "{}",
        stderr(&dry)
    );
    assert!(!user.folder.path().join(".cargo").exists() && !user.folder.path().join(".config").exists());

    let set_up = user.run(&args);
    assert!(set_up.status.success(), "{}", stderr(&set_up));
    let cargo_config = fs_err::read_to_string(user.folder.path().join(".cargo/config.toml")).unwrap();
    assert!(cargo_config.starts_with("[build]\nrustc-wrapper = ") && cargo_config.contains("sealift-rustc"));
    let pinned = user.folder.path().join(".config/sealift/trust-policy.json");
    assert_eq!(fs_err::read_to_string(pinned).unwrap(), text);
    assert!(stderr(&user.run(&args)).contains("is set up already"));

    assert!(user.run(&["setup", "--undo"]).status.success());
    assert!(!user.folder.path().join(".cargo/config.toml").exists());
    assert_eq!(
        fs_err::read_dir(user.folder.path().join(".config/sealift"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn set_up_keeps_another_wrapper_only_when_asked() {
    let user = User::with_cargo("");
    fs_err::create_dir_all(user.folder.path().join(".cargo")).unwrap();
    let config = user.folder.path().join(".cargo/config.toml");
    fs_err::write(&config, "build.rustc-wrapper = \"sccache\"\n").unwrap();
    let refused = user.run(&["setup"]);
    assert_eq!(refused.status.code(), Some(101));
    assert!(
        stderr(&refused).contains("names another wrapper: `sccache`"),
        "{}",
        stderr(&refused)
    );
    assert!(user.run(&["setup", "--keep-wrapper"]).status.success());
    let sealift = fs_err::read_to_string(user.folder.path().join(".config/sealift/config.toml")).unwrap();
    assert!(sealift.contains("next-wrapper = \"sccache\""));
    assert!(user.run(&["setup", "--undo"]).status.success());
    assert_eq!(
        fs_err::read_to_string(&config).unwrap(),
        "build.rustc-wrapper = \"sccache\"\n"
    );
    // A relative path is one of cargo's configuration, and the wrapper is run elsewhere.
    fs_err::write(&config, "build.rustc-wrapper = \"tools/wrap\"\n").unwrap();
    assert!(user.run(&["setup", "--keep-wrapper"]).status.success());
    let sealift = fs_err::read_to_string(user.folder.path().join(".config/sealift/config.toml")).unwrap();
    let whole = user.folder.path().join("tools/wrap");
    assert!(sealift.contains(&format!("next-wrapper = {whole:?}")), "{sealift}");
}

#[test]
fn set_up_refuses_a_policy_that_is_none() {
    let user = User::with_cargo("");
    fs_err::write(user.folder.path().join("policy.json"), "{}").unwrap();
    let output = user.run(&["setup", "--trust-root", "policy.json"]);
    assert_eq!(output.status.code(), Some(101));
    assert!(
        stderr(&output).contains("`policy.json` is not a trust policy"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn commands_about_builds_work_before_the_first_one() {
    let user = User::with_cargo("");
    assert_eq!(stdout(&user.run(&["stats"])), "nothing was built with Sealift yet\n");
    assert_eq!(stdout(&user.run(&["explain"])), "the last build compiled no unit\n");
    let stats: serde_json::Value = serde_json::from_slice(&user.run(&["stats", "--json"]).stdout).unwrap();
    assert_eq!(stats["units"]["handled"], 0);
    assert!(user.run(&["verify", "--json"]).status.success());
    assert!(user.run(&["gc"]).status.success());
    let shown = user.run(&["trust", "show"]);
    assert_eq!(stderr(&shown), "error: no trust policy is configured\n");
}

#[test]
fn help_names_every_command() {
    let user = User::with_cargo("");
    let help = user
        .command(&["sealift", "--help"])
        .env("COLUMNS", "100")
        .output()
        .unwrap();
    insta::assert_snapshot!(stdout(&help), @"
    Fetches prebuilt, verified crates.io dependencies and compiles the rest as if it were not there.

    `cargo sealift build`, `check`, `test`, `run`, `clippy`, `doc` and every other cargo command with
    its arguments: run cargo with Sealift's wrapper, and fetch what the command needs beside it.

    Usage: cargo sealift <COMMAND>

    Commands:
      fetch        Fetch what a cargo command will need, without running it
      setup        Make every cargo build use Sealift, or undo that
      status       Say on one screen whether Sealift is on here, and what it did last
      stats        Count what the last build reused, fetched and compiled, and all builds together
      explain      Say why units of the last build were reused or compiled
      verify       Check what in a target folder and in the local store came from elsewhere, and whether
                   it is still trusted
      audit        Compile a random sample of what this project takes from others once more, and compare
                   bit for bit
      doctor       Check the set-up and say how to repair it
      request      Ask for this project's crates.io units to be built
      trust        Show who is trusted
      gc           Remove from the local store what is old, too much, or of toolchains that are gone
      debug-map    Print the settings by which a debugger finds the sources of dependencies
      man          Print the manual page, or write all pages into a folder
      completions  Print a completion script for a shell

    Options:
      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Examples:
      cargo sealift build --release      Build once with Sealift
      cargo sealift setup                Build always with Sealift: plain `cargo build` uses it, too
      cargo sealift stats                What the last build reused
      cargo sealift explain syn          Why `syn` was compiled
      cargo sealift doctor               Check the set-up
    ");
}

#[test]
fn every_command_s_help_has_examples() {
    let user = User::with_cargo("");
    let commands = [
        "fetch",
        "setup",
        "status",
        "stats",
        "explain",
        "verify",
        "audit",
        "doctor",
        "request",
        "gc",
        "debug-map",
        "man",
        "completions",
    ];
    for command in commands {
        let help = stdout(&user.run(&[command, "--help"]));
        assert!(
            help.contains("Examples:") && help.contains(&format!("cargo sealift {command}")),
            "{command}: {help}"
        );
    }
    assert!(stdout(&user.run(&["trust", "show", "--help"])).contains("Examples:"));
}

#[test]
fn there_is_a_manual_page_for_every_command() {
    let user = User::with_cargo("");
    let folder = user.folder.path().join("man/man1");
    let written = user.run(&["man", folder.to_str().unwrap()]);
    assert!(written.status.success(), "{}", stderr(&written));
    for name in [
        "cargo-sealift.1",
        "cargo-sealift-explain.1",
        "cargo-sealift-trust-show.1",
    ] {
        let page = fs_err::read_to_string(folder.join(name)).unwrap();
        assert!(page.contains(".SH NAME") && page.contains("cargo sealift"), "{name}");
    }
    assert!(
        !folder.join("cargo-sealift-prefetch-beside.1").exists(),
        "what people do not call has no page"
    );
    assert!(stdout(&user.run(&["man"])).contains(".TH cargo-sealift 1"));
}

#[test]
fn completions_are_printed_for_every_shell() {
    let user = User::with_cargo("");
    for shell in ["bash", "zsh", "fish"] {
        assert!(
            stdout(&user.run(&["completions", shell])).contains("cargo-sealift"),
            "{shell}"
        );
    }
}
