//! With only the wrapper configured, cargo's own commands fetch what they need, beside the build; nothing stays behind.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use sealift_tests::fault;
use sealift_tests::user::{Build, Through};
use sealift_tests::world::Access;

use crate::fixture::{Person, Project, assert_nearly_all_hit, assert_nothing_done, assert_silent, shared_world};

fn wrapped(person: &Person, access: &Access, args: &[&str]) -> Build {
    person
        .command(Through::Wrapper, args.iter().copied())
        .from_world(access)
}

#[test]
fn plain_cargo_commands_fetch_by_themselves() {
    let access = shared_world().access();
    for command in ["build", "check", "clippy", "doc", "test", "run"] {
        let person = Person::with(Project::Greeter);
        let built = person.run(&wrapped(&person, &access, &[command]));
        assert_nearly_all_hit(&built);
        assert!(built.units.fetched_hits() > 0, "{command}: {:?}", built.units);
        assert_silent(&built);
        if command == "build" {
            assert_nothing_done(&person.run(&wrapped(&person, &access, &["build", "-v"])));
        }
    }
}

#[test]
fn an_alias_and_options_before_the_command_are_understood() {
    let access = shared_world().access();
    let person = Person::with(Project::Greeter);
    let build = wrapped(&person, &access, &["--config", "alias.make=\"build\"", "make"]);
    assert_nearly_all_hit(&person.run(&build.env("CARGO_ALIAS_MAKE", "build -p greeter")));
}

#[test]
fn a_prefetch_ends_with_its_cargo_and_holds_nothing_of_it() {
    let url = fault::silent_server().expect("a server");
    let access = Access {
        url,
        trust_policy: shared_world().access().trust_policy,
    };
    let person = Person::with(Project::Greeter);
    let build = wrapped(&person, &access, &["build"]).env("SEALIFT_PATIENCE", "600");
    let mut command = person.user.command(&build);
    let mut cargo = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("cargo");
    let prefetch = wait_for_prefetch(&mut cargo, &person);

    // What it opens for a moment is its own: what it was given it holds all the time.
    let look = || -> HashSet<PathBuf> {
        let entries = fs_err::read_dir(prefetch.join("fd")).expect("a process");
        entries
            .filter_map(|entry| fs_err::read_link(entry.ok()?.path()).ok())
            .collect()
    };
    let mut held = look();
    for _ in 0..100 {
        std::thread::sleep(Duration::from_millis(5));
        let now = look();
        held.retain(|path| now.contains(path));
    }
    let foreign = |path: &&PathBuf| {
        let text = path.to_string_lossy();
        let own =
            path.starts_with("/dev/null") || path.starts_with(person.user.store()) || text.starts_with("anon_inode:");
        // Its own: sockets and pipes of its runtime and of the programs that it asks.
        !own && !text.starts_with("socket:") && !is_own_pipe(path, cargo.id())
    };
    assert_eq!(held.iter().filter(foreign).collect::<Vec<_>>(), Vec::<&PathBuf>::new());

    cargo.kill().expect("killed");
    cargo.wait().expect("ended");
    // Nobody else ends it, so that the test hangs where it stays.
    while prefetch.exists() {
        std::thread::yield_now();
    }
}

/// The prefetch's folder in `/proc`, once it has asked the service.
fn wait_for_prefetch(cargo: &mut Child, person: &Person) -> PathBuf {
    loop {
        assert!(
            cargo.try_wait().expect("a child").is_none(),
            "cargo ended before its prefetch"
        );
        let states = fs_err::read_dir(person.user.store().join("v1/prefetch"))
            .into_iter()
            .flatten()
            .flatten();
        for state in states.filter_map(|folder| fs_err::read(folder.path().join("state.json")).ok()) {
            let state: serde_json::Value = serde_json::from_slice(&state).expect("written whole");
            let pid = state["fetcher"]
                .as_str()
                .and_then(|fetcher| fetcher.split_once('-'))
                .expect("a process")
                .0;
            let process = PathBuf::from("/proc").join(pid);
            let has_socket = fs_err::read_dir(process.join("fd"))
                .into_iter()
                .flatten()
                .flatten()
                .any(|entry| {
                    fs_err::read_link(entry.path()).is_ok_and(|path| path.to_string_lossy().starts_with("socket:"))
                });
            if has_socket {
                return process;
            }
        }
        std::thread::yield_now();
    }
}

/// A pipe that cargo does not have.
fn is_own_pipe(path: &Path, cargo: u32) -> bool {
    path.to_string_lossy().starts_with("pipe:")
        && !fs_err::read_dir(format!("/proc/{cargo}/fd"))
            .into_iter()
            .flatten()
            .flatten()
            .any(|entry| fs_err::read_link(entry.path()).is_ok_and(|other| other == path))
}

#[test]
fn a_service_that_falls_silent_at_any_point_costs_the_patience_at_most() {
    for bytes in [0, 400, 20_000, 200_000, 1_000_000] {
        costs_the_patience_at_most(&format!("after {bytes} bytes"), |service| {
            fault::drying_proxy(service, bytes)
        });
    }
}

#[test]
fn a_service_that_hangs_on_one_connection_costs_the_patience_at_most() {
    // The first is the lookup's, the others bring outputs, several of one unit at the same time.
    for connection in 0..4 {
        costs_the_patience_at_most(&format!("connection {connection}"), |service| {
            fault::stuck_proxy(service, connection)
        });
    }
}

/// A build by way of this proxy to the shared world's service, which does not bring everything.
fn costs_the_patience_at_most(what: &str, proxy: impl FnOnce(&str) -> anyhow::Result<String>) {
    // Long beside what this machine takes for what came before the silence.
    const PATIENCE_MS: u64 = 3000;
    let world = shared_world().access();
    let access = Access {
        url: proxy(&world.url).expect("a proxy"),
        trust_policy: world.trust_policy,
    };
    let person = Person::with(Project::Greeter);
    let build = wrapped(&person, &access, &["run"]).env("SEALIFT_PATIENCE", "3");
    let built = person.run(&build);
    assert!(
        built.cargo.stdout.starts_with("hello\n"),
        "{what}: {}",
        built.cargo.stdout
    );
    let units = &built.units;
    assert!(
        units.compiled() > 0,
        "{what}: the silence came too late to mean anything"
    );
    // One unit waits out the patience, or several at once do, one for each of cargo's jobs.
    let jobs = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let longest = units.longest_wait_ms();
    assert!(
        longest < PATIENCE_MS * 3 / 2,
        "{what}: one unit waited {longest} ms: {units:#?}"
    );
    let all = units.waited_ms();
    assert!(
        all < PATIENCE_MS * 3 / 2 * jobs,
        "{what}: all units waited {all} ms: {units:#?}"
    );
    assert_silent(&built);
}
