//! Which evidence leads to an entry, and which does not.

use std::collections::BTreeMap;

use sealift_policy::request::profile::ProfileKind;

use super::super::circumstances::Circumstances;
use super::super::comparison::Difference;
use super::super::evidence::{RunSeen, Subject};
use super::super::places::Place;
use super::super::sources::{TellTale, Variable};
use super::super::trace::{Executed, Seen, Times, Trace};
use super::*;

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// A script that compiles C and declares what it reads.
fn clean() -> Evidence {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let mut evidence = Evidence {
        subject: Subject {
            package: "x-sys".parse().unwrap(),
            version: "1.0.0+bundled.2".parse().unwrap(),
            profile: ProfileKind::Dev,
            features: names(&["static"]),
            features_off: names(&["fat-lto", "unrelated"]),
        },
        is_listed: false,
        runs: vec![],
        hidden: vec!["git"],
        trace: Trace::default(),
        differences: vec![],
        instructions: vec![],
        refused_instruction: None,
        declared: names(&["X_DECLARED"]),
        left: BTreeMap::new(),
        local_paths: vec![],
        told_by_others: BTreeMap::new(),
        variables: BTreeMap::new(),
        features_asked: names(&["STATIC", "FAT_LTO"]),
        tell_tales: BTreeSet::new(),
        dated: BTreeSet::new(),
    };
    for run in Circumstances::ALL {
        evidence.runs.push(RunSeen {
            run,
            differ_in: run.differ_in(),
            failed: None,
        });
    }
    executes(&mut evidence, Actor::Script, "/usr/bin/cc");
    executes(&mut evidence, program("cc"), "/usr/lib/gcc/x86_64-linux-gnu/12/cc1");
    sees(&mut evidence, Actor::Script, Access::Read, Root::Package, "build.rs");
    sees(&mut evidence, Actor::Script, Access::Written, Root::OutDir, "x.o");
    sees(
        &mut evidence,
        Actor::Script,
        Access::Read,
        Root::System,
        "/etc/ld.so.cache",
    );
    sees(
        &mut evidence,
        program("cc1"),
        Access::Read,
        Root::System,
        "/usr/include/stdio.h",
    );
    evidence
}

fn program(name: &str) -> Actor {
    Actor::Program(name.to_owned())
}

fn executes(evidence: &mut Evidence, by: Actor, path: &str) {
    let program = Place {
        root: Root::System,
        path: path.to_owned(),
    };
    evidence
        .trace
        .executed
        .insert(Executed { by, program }, Times::default());
}

fn sees(evidence: &mut Evidence, by: Actor, access: Access, root: Root, path: &str) {
    let path = path.to_owned();
    let place = Place { root, path };
    evidence.trace.seen.insert(Seen { by, access, place });
}

/// The reasons against it, as people read them.
fn reasons(change: impl FnOnce(&mut Evidence)) -> Vec<String> {
    let mut evidence = clean();
    change(&mut evidence);
    match Judgement::of(&evidence, TARGET).verdict {
        Ok(_) => vec![],
        Err(reasons) => reasons.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn a_clean_script_is_proposed_with_what_limits_it() {
    let mut evidence = clean();
    for (name, is_own, is_read) in [
        ("X_SILENT", true, true),
        ("X_DECLARED", true, true),
        ("NDEBUG", true, false),
        ("OTHERS", false, true),
        ("CFLAGS", true, true),
    ] {
        let variable = Variable {
            is_own,
            is_read,
            is_read_by_own: is_own && is_read,
            ..Variable::default()
        };
        evidence.variables.insert(name.to_owned(), variable);
    }
    let judgement = Judgement::of(&evidence, TARGET);
    assert_eq!(judgement.notes, BTreeSet::new());
    let entry = judgement.verdict.unwrap();
    insta::assert_snapshot!(toml::to_string(&entry).unwrap(), @r#"
    package = "x-sys"
    versions = ["1.0.0"]
    why = ""
    compiles-c = true
    refused-features = ["fat-lto"]
    required-features = ["static"]
    unset = ["X_SILENT"]
    "#);
}

#[test]
fn a_run_that_gives_something_else_is_a_reason_that_says_where() {
    let found = reasons(|evidence| {
        for place in ["time.rs", "other.rs"] {
            evidence.differences.push(Difference {
                run: Circumstances::Again,
                place: place.to_owned(),
                how: "differs from byte 1 on".to_owned(),
            });
        }
    });
    assert_eq!(
        found,
        [
            "it gives something else in the run `again` (the time and the number of jobs): time.rs differs from byte 1 on, and 1 more"
        ]
    );
}

#[test]
fn programs_that_machines_may_lack_are_reasons_and_compilers_are_not() {
    let asks = |by: Actor, path: &'static str| reasons(|evidence| executes(evidence, by, path));
    for path in [
        "/usr/bin/pkg-config",
        "/usr/bin/git",
        "/bin/sh",
        "/usr/bin/c++",
        "/usr/bin/ld",
    ] {
        assert_eq!(asks(Actor::Script, path).len(), 1, "{path}");
    }
    assert_eq!(asks(program("sh"), "/usr/bin/perl").len(), 1);
    assert!(asks(program("cc"), "/usr/bin/as").is_empty());
    let looks_for = |by: Actor, name: &str| {
        reasons(|evidence| {
            evidence.trace.looked_for.insert((by, name.to_owned()), false);
        })
    };
    assert_eq!(
        looks_for(Actor::Script, "cmake"),
        ["the script looks for the program `cmake`, which is not here"]
    );
    assert!(looks_for(Actor::Script, "x86_64-linux-gnu-ar").is_empty());
    assert!(looks_for(program("cc"), "lto-wrapper-of-some-kind").is_empty());
    let made = reasons(|evidence| {
        let program = Place {
            root: Root::OutDir,
            path: "conftest".to_owned(),
        };
        let by = Actor::Script;
        evidence
            .trace
            .executed
            .insert(Executed { by, program }, Times::default());
    });
    assert!(made[0].contains("OUT_DIR/conftest"), "{made:?}");
}

#[test]
fn files_of_the_machine_are_reasons_when_the_script_touches_them() {
    for access in [
        Access::Read,
        Access::Listed,
        Access::Exists,
        Access::Absent,
        Access::Denied,
    ] {
        let found = reasons(|evidence| sees(evidence, Actor::Script, access, Root::System, "/etc/hostname"));
        assert!(found.len() == 1 && found[0].contains("`/etc/hostname`"), "{found:?}");
    }
    let found = reasons(|evidence| sees(evidence, Actor::Script, Access::Read, Root::OtherBuild, "z/out/zlib.h"));
    assert_eq!(
        found,
        ["it reads `BUILD/z/out/zlib.h`, outside of its package and OUT_DIR"]
    );
    // S5: also of a program, and where it was not let.
    let found = reasons(|evidence| sees(evidence, program("cc"), Access::Written, Root::Package, "src/new.h"));
    assert_eq!(
        found,
        ["it writes to `PACKAGE/src/new.h`, outside of its package and OUT_DIR"]
    );
}

#[test]
fn words_about_the_processor_and_the_time_are_reasons_in_the_script_itself() {
    let says = |about: About, is_own: bool| {
        reasons(|evidence| {
            evidence.tell_tales.insert(TellTale {
                about,
                word: "word".to_owned(),
                place: "build.rs:5".to_owned(),
                is_own,
            });
        })
    };
    assert_eq!(
        says(About::Processor, true),
        ["it reads the processor of this machine: `word` (build.rs:5)"]
    );
    assert_eq!(says(About::Time, true), ["it reads a time: `word` (build.rs:5)"]);
    assert!(says(About::Processor, false).is_empty() && says(About::Chance, true).is_empty());
}

#[test]
fn other_systems_refused_instructions_folders_and_the_network_are_reasons() {
    assert!(Judgement::of(&clean(), "x86_64-unknown-linux-musl").verdict.is_err());
    assert_eq!(
        reasons(|evidence| evidence.refused_instruction = Some("it prints".to_owned())).len(),
        1
    );
    assert_eq!(
        reasons(|evidence| evidence.local_paths.push(("z.pc".to_owned(), "OUT_DIR".to_owned()))).len(),
        1
    );
    assert_eq!(
        reasons(|evidence| evidence.runs[4].failed = Some("it ended with 1".to_owned())).len(),
        1
    );
    let uses = |how: &str| {
        reasons(|evidence| {
            evidence.trace.network.insert((Actor::Script, how.to_owned()));
        })
    };
    assert_eq!(uses("connect {sa_family=AF_INET}").len(), 1);
    assert!(uses("connect {sa_family=AF_UNIX, sun_path=\"/var/run/nscd/socket\"}").is_empty());
}

#[test]
fn what_no_run_can_show_is_for_a_person_to_look_at() {
    let mut evidence = clean();
    sees(
        &mut evidence,
        program("cc1"),
        Access::Read,
        Root::System,
        "/usr/include/zlib.h",
    );
    sees(&mut evidence, Actor::Script, Access::Listed, Root::Package, "src");
    evidence.dated.insert("options.c:2".to_owned());
    let judgement = Judgement::of(&evidence, TARGET);
    assert!(judgement.verdict.is_ok());
    for word in ["zlib.h", "PACKAGE/src", "options.c:2"] {
        assert!(judgement.notes.iter().any(|note| note.contains(word)), "{word}");
    }
}
