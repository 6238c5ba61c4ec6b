//! Native code that build scripts compile: fetched by somebody new, and only where it fits.

use sealift_policy::cause::Cause;
use sealift_policy::local::{self, Outcome};
use sealift_tests::env::path_with;
use sealift_tests::user::Through;
use sealift_tests::workload::Profile;
use sealift_tests::world::World;

use crate::fixture::{PROGRAMS, Person, Project, assert_nearly_all_hit, new_folder, publish};
use crate::handmade::outcome;

/// The name under which every run is told of.
const RUN: &str = "build_script_run";

/// Puts a C compiler first on the search path that notes what it is asked to compile.
fn noting_compiler(person: &Person) -> (String, std::path::PathBuf) {
    let folder = person.folder().join("noting");
    let noted = person.folder().join("noted");
    fs_err::create_dir(&folder).expect("a folder");
    let path = path_with(&folder).into_string().expect("UTF-8");
    let elsewhere = path.split_once(':').map_or("", |(_, elsewhere)| elsewhere);
    let script = format!(
        "#!/bin/sh\nfor arg do case $arg in -c) echo \"$@\" >>'{}';; esac; done\nPATH='{elsewhere}' exec cc \"$@\"\n",
        noted.display()
    );
    let program = folder.join("cc");
    fs_err::write(&program, script).expect("written");
    fs_err::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("a program");
    (path, noted)
}

const SHA_OF_ABC: &str = "SHA256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n";

#[test]
fn a_new_user_fetches_runs_and_starts_no_c_compiler() {
    let folder = new_folder();
    let world = World::start(folder.path(), &PROGRAMS, 2).expect("a world");
    publish(&world, Project::Native, &[Profile::Dev]);
    for through in [Through::Sealift, Through::Wrapper] {
        let person = Person::with(Project::Native);
        let (path, noted) = noting_compiler(&person);
        let build = |env: &[(&str, &str)]| {
            let build = person.command(through, ["run", "--quiet"]).from_world(&world.access());
            let build = env.iter().fold(build, |build, (name, value)| build.env(name, *value));
            person.run(&build.env("PATH", path.as_str()))
        };
        let built = build(&[]);
        assert_eq!(built.cargo.stdout, SHA_OF_ABC);
        assert_nearly_all_hit(&built);
        assert_eq!(
            outcome(&built, RUN).outcome,
            Outcome::HitFetched,
            "{:?}",
            outcome(&built, RUN)
        );
        assert!(
            !noted.exists(),
            "{}",
            fs_err::read_to_string(&noted).unwrap_or_default()
        );
        // Lints and another linker are nothing to a script.
        let elsewhere = person.folder().join("with-flags");
        let built = build(&[
            ("RUSTFLAGS", "-D warnings -C link-arg=-fuse-ld=lld"),
            ("CARGO_TARGET_DIR", elsewhere.to_str().expect("UTF-8")),
        ]);
        assert_nearly_all_hit(&built);
        assert_eq!(outcome(&built, RUN).outcome, Outcome::HitFetched);
        assert!(!noted.exists());
        // Flags of one's own are one's own: the script runs here, and what it makes is used.
        let built = build(&[("CFLAGS", "-DOWN_FLAG")]);
        assert_eq!(built.cargo.stdout, SHA_OF_ABC);
        let run = outcome(&built, RUN);
        assert_eq!(
            (run.outcome, run.cause),
            (Outcome::Compiled, Some(Cause::Environment)),
            "{run:?}"
        );
        assert!(
            fs_err::read_to_string(&noted)
                .expect("it compiled")
                .contains("-DOWN_FLAG")
        );
        // What was fetched is still there for those who set nothing.
        fs_err::remove_file(&noted).expect("removed");
        let built = build(&[]);
        assert_eq!(outcome(&built, RUN).outcome, Outcome::HitFetched);
        assert!(!noted.exists());
    }
}

// S15: objects name what they were compiled for, in a run and in the library that holds them, and go to no older system.
#[test]
fn native_code_made_for_a_newer_system_is_not_used() {
    let folder = new_folder();
    let world = World::start(folder.path(), &PROGRAMS, 2).expect("a world");
    publish(&world, Project::Native, &[Profile::Dev]);
    let person = Person::with(Project::Native);
    let build = |target: &str| {
        let build = person
            .command(Through::Sealift, ["run", "--quiet"])
            .from_world(&world.access());
        person.run(&build.env("CARGO_TARGET_DIR", person.folder().join(target)))
    };
    let built = build("first");
    assert_eq!(built.cargo.stdout, SHA_OF_ABC);
    for name in [RUN, "ring"] {
        assert_eq!(outcome(&built, name).outcome, Outcome::HitFetched);
    }
    // As if glibc had been an older one.
    let memos = person.user.store().join(local::VERSION_DIR).join("memo/glibc");
    for memo in fs_err::read_dir(memos).expect("memos") {
        fs_err::write(memo.expect("a memo").path(), "\"2.1\"").expect("written");
    }
    let built = build("second");
    assert_eq!(built.cargo.stdout, SHA_OF_ABC);
    for name in [RUN, "ring"] {
        let unit = outcome(&built, name);
        assert_eq!(
            (unit.outcome, unit.cause),
            (Outcome::Compiled, Some(Cause::OldGlibc)),
            "{unit:?}"
        );
    }
}
