//! `cargo install` of published programs: what they need is fetched or compiled once, and used again.

use std::path::PathBuf;

use sealift_tests::child::run;
use sealift_tests::env::clean_command;
use sealift_tests::user::{Build, Built, Through};
use sealift_tests::workload::Workload;

use crate::fixture::{Person, Project, assert_nearly_all_hit, assert_silent, shared_world};

/// Somebody who wants a program and has its sources downloaded, but no project of any kind.
struct Installer {
    person: Person,
    workload: Workload,
}

impl Installer {
    fn of(name: &'static str) -> Self {
        Self {
            person: Person::with(Project::Real(name)),
            workload: Workload::named(name).expect("on the list"),
        }
    }

    fn root(&self, place: &str) -> PathBuf {
        self.person.folder().join(place)
    }

    /// What is to be installed, with a target folder of its own.
    fn command(&self, through: Through, place: &str, what: &[&str]) -> Build {
        let root = self.root(place);
        let target = root.join("target");
        let args = ["install", "--root", root.to_str().expect("UTF-8")];
        Build::new(&self.person.project, &target, through, [&args[..], what].concat()).env("CARGO_NET_OFFLINE", "true")
    }

    /// The program, which must say its version, as bytes.
    fn program(&self, place: &str) -> Vec<u8> {
        let program = self.root(place).join("bin").join(self.workload.program);
        let said = run(clean_command(&program).arg(self.workload.probe)).expect("it was installed");
        let said = said.successful().expect("it works").stdout;
        assert!(said.contains(self.workload.version), "{said}");
        fs_err::read(program).expect("a program")
    }
}

/// Everything that Sealift handled was a hit.
#[track_caller]
fn assert_all_hit(built: &Built) {
    assert_eq!(
        (built.units.hits(), built.units.compiled()),
        (built.units.handled(), 0),
        "{:#?}",
        built.units.misses()
    );
    assert!(built.units.handled() > 0);
}

#[test]
fn ripgrep_is_installed_from_what_was_published() {
    let installer = Installer::of("ripgrep");
    let package = installer.workload.to_string().replace(' ', "@");
    // From a folder with the sources, which needs no index: the network is there, and only Sealift uses it.
    let fetching = installer
        .command(Through::Wrapper, "of-a-folder", &["--debug", "--path", "."])
        .env("CARGO_NET_OFFLINE", "false")
        .from_world(&shared_world().access());
    let fetched = installer.person.run(&fetching);
    assert_nearly_all_hit(&fetched);
    assert!(fetched.units.fetched_hits() > 0, "{:?}", fetched.units.prefetch);
    assert_silent(&fetched);
    installer.program("of-a-folder");

    // By name its own build script is one of a registry package, and so handled, too.
    let by_name = |place| {
        let install = installer.command(Through::Wrapper, place, &["--debug", &package]);
        installer.person.run(&install.from_world(&shared_world().access()))
    };
    let installed = by_name("by/its/name");
    assert_nearly_all_hit(&installed);
    assert_silent(&installed);
    assert_all_hit(&by_name("once-more"));
    assert!(
        installer.program("by/its/name") == installer.program("once-more"),
        "a hit changes the program"
    );
}

#[cfg(feature = "soak")]
#[test]
fn just_is_installed_as_without_the_wrapper() {
    let installer = Installer::of("just");
    let package = installer.workload.to_string().replace(' ', "@");
    let install = |through, place, what: &str| installer.person.run(&installer.command(through, place, &[what]));
    let dump = |place| {
        let mut program = clean_command(installer.root(place).join("bin/just"));
        let said = run(program
            .args(["--dump", "--dump-format", "json"])
            .current_dir(&installer.person.project));
        said.expect("it was installed").successful().expect("a justfile").stdout
    };
    let names = |place: &str| fs_err::read_to_string(installer.root(place).join(".crates.toml")).expect("a list");

    install(Through::Plain, "plain", &package);
    let first = install(Through::Wrapper, "first", &package);
    assert!(first.units.compiled() > 0);
    let second = install(Through::Wrapper, "and-second", &package);
    assert_all_hit(&second);
    for place in ["first", "and-second"] {
        assert_eq!(dump(place), dump("plain"), "{place}");
        assert_eq!(names(place), names("plain"), "{place}");
    }
    assert!(
        installer.program("first") == installer.program("and-second"),
        "a hit changes the program"
    );
}
