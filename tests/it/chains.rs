//! Other people's wrappers behind ours, and tools that wrap cargo. Only `./x soak` installs them.

use std::path::PathBuf;
use std::process::Command;

use sealift_tests::child::run;
use sealift_tests::env::{clean_command, path_with};
use sealift_tests::user::{Build, Through};

use crate::fixture::{PROGRAMS, Person, Project, assert_nearly_all_hit, assert_nothing_done, assert_silent};

/// What makes every unit of a kind that Sealift does not handle.
const NOT_HANDLED: &str = "-C target-cpu=native";

fn tools() -> PathBuf {
    PROGRAMS.target().join("tools/bin")
}

/// A cache with a process in the background, which is stopped at the end.
struct Cache {
    program: PathBuf,
    stop: &'static [&'static str],
    env: Vec<(&'static str, PathBuf)>,
}

impl Cache {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = clean_command(&self.program);
        command
            .args(args)
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Once with what both can do something for, twice with what only the other one handles.
    fn works_behind_sealift(&self, person: &Person) {
        let build = |flags: &str| -> Build {
            let build = person
                .command(Through::Wrapper, ["build", "-v"])
                .env("RUSTFLAGS", flags);
            let build = build.env("SEALIFT_NEXT_WRAPPER", &self.program);
            (self.env.iter()).fold(build, |build, (name, value)| build.env(name, value))
        };
        for round in 0..2 {
            person.clean();
            let built = person.run(&build(""));
            assert_silent(&built);
            if round > 0 {
                assert_nearly_all_hit(&built);
            }
            assert_nothing_done(&person.run(&build("")));
        }
        for _ in 0..2 {
            person.clean();
            let built = person.run(&build(NOT_HANDLED));
            assert_silent(&built);
            assert_eq!(built.units.handled(), 0);
            assert_nothing_done(&person.run(&build(NOT_HANDLED)));
        }
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        let _ = run(&mut self.command(self.stop));
    }
}

#[test]
fn sccache_gets_and_reuses_what_sealift_does_not_handle() {
    let person = Person::with(Project::Greeter);
    let cache = Cache {
        program: tools().join("sccache"),
        stop: &["--stop-server"],
        env: vec![
            ("SCCACHE_DIR", person.folder().join("sccache")),
            ("SCCACHE_SERVER_UDS", person.folder().join("sccache.socket")),
        ],
    };
    cache.works_behind_sealift(&person);
    let stats = run(&mut cache.command(&["--show-stats", "--stats-format", "json"])).expect("sccache");
    let stats: serde_json::Value = serde_json::from_str(&stats.stdout).expect("JSON");
    let hits = &stats["stats"]["cache_hits"]["counts"]["Rust"];
    assert!(hits.as_u64().is_some_and(|hits| hits > 0), "{stats}");
}

#[test]
fn kache_gets_and_reuses_what_sealift_does_not_handle() {
    let person = Person::with(Project::Greeter);
    let folder = person.folder().join("kache");
    let cache = Cache {
        program: tools().join("kache"),
        stop: &["daemon", "stop"],
        env: vec![("KACHE_CACHE_DIR", folder)],
    };
    cache.works_behind_sealift(&person);
    let list = run(&mut cache.command(&["list"]))
        .expect("kache")
        .successful()
        .expect("a list");
    assert!(list.stdout.contains("memchr"), "{}", list.stdout);
}

#[test]
fn cargo_auditable_works_with_the_wrapper() {
    let person = Person::with(Project::Greeter);
    let plain = person.wrapped(["build"]);
    assert!(plain.units.compiled() > 0);
    person.clean();
    let command = person.command(Through::Wrapper, ["auditable", "build"]);
    let built = person.run(&command.env("PATH", path_with(&tools())));
    assert_silent(&built);
    assert_nearly_all_hit(&built);
    let section = b".dep-v0";
    assert!(person.program().windows(section.len()).any(|window| window == section));
}
