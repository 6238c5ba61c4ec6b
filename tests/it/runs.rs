//! Runs of build scripts: made once, used wherever nothing that decides about them differs, and never blindly.

use sealift_policy::cause::Cause;
use sealift_policy::local::Outcome;
use sealift_tests::env::path_with;
use sealift_tests::registry::Published;
use sealift_tests::user::{Built, Through};

use crate::fixture::{assert_nothing_done, new_folder};
use crate::handmade::{Handmade, assert_compiled, assert_hit, outcome};

/// The name under which every run is told of.
const RUN: &str = "build_script_run";

/// A package that is on the reviewed list by its name and version, with a script of ours. It counts its runs.
fn reviewed(name: &str, version: &str) -> Published {
    let script = r#"use std::io::Write;
    fn main() {
        let env = |name: &str| std::env::var(name).unwrap_or_default();
        let runs = std::fs::OpenOptions::new().append(true).create(true).open(env("RUNS"));
        runs.unwrap().write_all(b"x").unwrap();
        for name in ["CFLAGS", "WORD"] {
            println!("cargo:rerun-if-env-changed={name}");
        }
        println!("cargo:rerun-if-changed=build.rs");
        println!("words for people, from {}", env("OUT_DIR"));
        println!("cargo::rustc-env=SAID={}", env("WORD"));
        println!("cargo:root={}", env("OUT_DIR"));
        if !env("ALSO_SAYS").is_empty() {
            println!("{}", env("ALSO_SAYS").replace("OUT_DIR", &env("OUT_DIR")));
        }
        if !env("ALSO_LINKS").is_empty() {
            std::os::unix::fs::symlink(env("ALSO_LINKS"), env("OUT_DIR") + "/link").unwrap();
        }
        if !env("ALSO_WRITES").is_empty() {
            let written = env("ALSO_WRITES").replace("OUT_DIR", &env("OUT_DIR")).replace('\u{1}', "\0");
            std::fs::write(env("OUT_DIR") + "/written", written).unwrap();
        }
        // What maps paths comes from the runner.
        let flags = env("CFLAGS").split(' ').filter(|flag| flag.starts_with("-O")).collect::<String>();
        let made = [env("OPT_LEVEL"), env("PROFILE"), flags].join(",");
        std::fs::create_dir_all(env("OUT_DIR") + "/deep").unwrap();
        std::fs::write(env("OUT_DIR") + "/deep/made.rs", format!("pub const MADE: &str = {made:?};")).unwrap();
    }"#;
    let source = "include!(concat!(env!(\"OUT_DIR\"), \"/deep/made.rs\")); pub const SAID: &str = env!(\"SAID\");";
    Published::new(name, version, "build = \"build.rs\"")
        .file("build.rs", script)
        .file("src/lib.rs", source)
}

const MAIN: &str = "fn main() { println!(\"{} {}\", ring::SAID, ring::MADE) }";

struct Scene {
    handmade: Handmade,
    runs: String,
}

impl Scene {
    fn new() -> Self {
        Self::with("ring", "0.17.14")
    }

    fn with(package: &str, version: &str) -> Self {
        let crate_name = package.replace('-', "_");
        let handmade = Handmade::new(
            &[reviewed(package, version)],
            &format!("{package} = \"={version}\""),
            &MAIN.replace("ring", &crate_name),
        );
        let runs = handmade.folder().join("runs").to_str().expect("UTF-8").to_owned();
        Self { handmade, runs }
    }

    /// How often the script ran until now.
    fn runs(&self) -> usize {
        fs_err::read(&self.runs).map_or(0, |runs| runs.len())
    }

    /// `cargo run` in a new target folder; says whether the script ran.
    fn anew(&mut self, env: &[(&str, &str)]) -> (String, Built, bool) {
        let before = self.runs();
        let runs = self.runs.clone();
        let env: Vec<_> = env.iter().copied().chain([("RUNS", runs.as_str())]).collect();
        let (printed, built) = self.handmade.run_anew(&env);
        (printed, built, self.runs() > before)
    }
}

#[test]
fn a_run_is_made_once_and_then_used() {
    let mut scene = Scene::new();
    let (printed, built, ran) = scene.anew(&[("WORD", "one")]);
    assert_eq!((printed.as_str(), ran), ("one 0,debug,\n", true));
    assert_compiled(&built, RUN);
    let made = made_by(&scene);
    let (printed, built, ran) = scene.anew(&[("WORD", "one")]);
    assert_eq!((printed.as_str(), ran), ("one 0,debug,\n", false));
    assert_hit(&built, RUN);
    assert_hit(&built, "ring");
    assert_eq!(made_by(&scene), made);
    // cargo has nothing to do, with us and without us, and runs the script itself where it must.
    let build = |through, word| {
        let build = scene.handmade.command(through, ["build", "-v"]);
        let build = build.env("RUNS", scene.runs.as_str()).env("WORD", word);
        scene.handmade.user.build(&build).expect("a build")
    };
    assert_nothing_done(&build(Through::Wrapper, "one"));
    assert_nothing_done(&build(Through::Plain, "one"));
    let before = scene.runs();
    build(Through::Plain, "two");
    assert_eq!(scene.runs(), before + 1);
    assert_nothing_done(&build(Through::Plain, "two"));
}

/// What lies in the script's `OUT_DIR`.
fn made_by(scene: &Scene) -> Vec<(String, Vec<u8>)> {
    let build = walkdir::WalkDir::new(scene.handmade.target()).sort_by_file_name();
    let files = build.into_iter().map(|entry| entry.expect("an entry"));
    let made = files
        .filter(|entry| entry.file_type().is_file() && entry.path().components().any(|part| part.as_os_str() == "out"));
    made.map(|entry| {
        (
            entry.file_name().to_string_lossy().into_owned(),
            fs_err::read(entry.path()).expect("a file"),
        )
    })
    .collect()
}

// S1: whatever decides about a run is looked at, and the result is always the right one.
#[test]
fn whatever_decides_about_a_run_makes_it_another() {
    let mut scene = Scene::new();
    scene.anew(&[("WORD", "one")]);
    for (env, printed) in [
        (&[("WORD", "two")][..], "two 0,debug,\n"),
        (&[("WORD", "one"), ("CFLAGS", "-O1")], "one 0,debug,-O1\n"),
        (
            &[("WORD", "one"), ("CARGO_PROFILE_DEV_OPT_LEVEL", "1")],
            "one 1,debug,\n",
        ),
        (&[], " 0,debug,\n"),
    ] {
        let (said, built, ran) = scene.anew(env);
        assert_eq!((said.as_str(), ran), (printed, true), "{env:?}");
        assert_compiled(&built, RUN);
    }
    // A variable that the script reads without saying so, as the list says: run here, and kept for nobody.
    for _ in 0..2 {
        let (_, built, ran) = scene.anew(&[("WORD", "one"), ("RING_PREGENERATE_ASM", "1")]);
        let run = outcome(&built, RUN);
        assert!(ran && run.cause == Some(Cause::Environment), "{run:?}");
        assert_eq!(run.about.as_deref(), Some("RING_PREGENERATE_ASM"));
    }
    // How many jobs there are decides nothing.
    let (_, built, ran) = scene.anew(&[("CARGO_BUILD_JOBS", "1")]);
    assert!(!ran);
    assert_hit(&built, RUN);
    // A file of its package.
    let sources = scene.handmade.sources("ring-0.17.14");
    fs_err::write(sources.join("new.c"), "int x;").expect("written");
    assert!(scene.anew(&[]).2);
}

// S17: what an earlier run left in `OUT_DIR` is not taken for the work of a later one.
#[test]
fn a_run_in_a_used_folder_is_kept_for_nobody() {
    let mut scene = Scene::new();
    scene.anew(&[("WORD", "one"), ("ALSO_WRITES", "left over")]);
    let runs = scene.runs.clone();
    let (said, built) = scene.handmade.run(&[("WORD", "two"), ("RUNS", runs.as_str())]);
    assert_eq!(said, "two 0,debug,\n");
    let reason = outcome(&built, RUN).reason.clone().unwrap_or_default();
    assert!(reason.contains("held something before"), "{reason}");
    let (_, built, ran) = scene.anew(&[("WORD", "two")]);
    assert!(ran);
    assert_compiled(&built, RUN);
    assert!(made_by(&scene).iter().all(|(name, _)| name != "written"));
}

// S3, S10, S11, S19: what others cannot use, or must not be given, is kept for nobody.
#[test]
fn a_run_that_others_cannot_use_is_kept_for_nobody() {
    for (name, value) in [
        ("ALSO_SAYS", "cargo::rustc-link-arg=-s"),
        ("ALSO_SAYS", "cargo:rustc-link-search=native=/usr/lib"),
        ("ALSO_SAYS", "cargo:rerun-if-changed="),
        ("ALSO_SAYS", "cargo:rerun-if-changed=OUT_DIR/x"),
        ("ALSO_SAYS", "cargo:include=/usr/include/openssl"),
        ("ALSO_SAYS", "cargo:root=/usr/include"),
        ("ALSO_LINKS", "/etc/passwd"),
        ("ALSO_LINKS", "deep/made.rs"),
        ("ALSO_WRITES", "\u{1}it lies in OUT_DIR"),
        ("ALSO_WRITES", "it lies in /cargo/out-dir"),
    ] {
        let mut scene = Scene::new();
        for _ in 0..2 {
            let (said, built, ran) = scene.anew(&[(name, value)]);
            assert_eq!((said.as_str(), ran), (" 0,debug,\n", true), "{value}");
            let unit = outcome(&built, RUN);
            assert_eq!(unit.outcome, Outcome::Compiled);
            assert!(
                unit.reason.as_deref().unwrap_or_default().contains("not kept"),
                "{value}: {unit:?}"
            );
        }
    }
}

// What C compilers write into objects where a header lies in OUT_DIR.
#[test]
fn an_object_that_names_the_canonical_out_dir_is_kept_as_it_is() {
    let mut scene = Scene::new();
    for hit in [false, true] {
        let (_, built, ran) = scene.anew(&[("ALSO_WRITES", "\u{1}/cargo/out-dir/include/x.h")]);
        assert_eq!(ran, !hit, "{:?}", outcome(&built, RUN));
        assert!(made_by(&scene).contains(&("written".to_owned(), b"\0/cargo/out-dir/include/x.h".to_vec())));
    }
}

// S3: a text that names OUT_DIR names that of the target folder in which it is restored.
#[test]
fn a_text_that_names_out_dir_names_the_one_where_it_is_restored() {
    let mut scene = Scene::new();
    let written = |scene: &Scene| {
        let (_, content) = (made_by(scene).into_iter().find(|(name, _)| name == "written")).expect("written");
        String::from_utf8(content).expect("UTF-8")
    };
    for hit in [false, true] {
        let (_, built, ran) = scene.anew(&[("ALSO_WRITES", "prefix=OUT_DIR")]);
        assert_eq!(ran, !hit);
        let target = scene.handmade.target().to_str().expect("UTF-8").to_owned();
        let prefix = written(&scene);
        assert!(prefix.starts_with(&format!("prefix={target}/")), "{prefix}");
        assert!(prefix.ends_with("/out"), "{prefix}");
        if hit {
            assert_hit(&built, RUN);
        }
    }
}

// S12: what a script asks the system is an input; where it would take something of the system its run is this machine's.
#[test]
fn what_a_script_asks_the_system_is_an_input() {
    let mut scene = Scene::with("aws-lc-sys", "0.47.0");
    let tools = scene.handmade.folder().join("tools");
    let install = |name: &str, text: &str| {
        let program = tools.join(name);
        fs_err::create_dir_all(&tools).expect("a folder");
        fs_err::write(&program, format!("#!/bin/sh\n{text}\n")).expect("a program");
        fs_err::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("executable");
    };
    let path = path_with(&tools);
    let path = path.to_str().expect("UTF-8");
    let include = scene.handmade.folder().join("include");
    let mut ran = |env: &[(&str, &str)]| {
        let env: Vec<_> = env.iter().copied().chain([("PATH", path)]).collect();
        let (said, built, ran) = scene.anew(&env);
        assert_eq!(said, " 0,debug,\n");
        assert!(
            built.units.units.iter().any(|unit| unit.crate_name == "aws_lc_sys"),
            "the library is one of ours"
        );
        ran
    };
    install("pkg-config", "exit 1");
    assert!(ran(&[]));
    assert!(!ran(&[]));
    install("pkg-config", &format!("echo -I{}", include.display()));
    assert!(ran(&[]), "a library is known now");
    assert!(!ran(&[]), "it is known still, and would not be taken");
    fs_err::create_dir_all(include.join("openssl")).expect("a folder");
    fs_err::write(include.join("openssl/base.h"), "").expect("a header");
    assert!(ran(&[]) && ran(&[]), "the library may be taken");
    install("pkg-config", "exit 1");
    assert!(!ran(&[]), "as in the beginning");
    assert!(ran(&[("PKG_CONFIG_PATH", "/nowhere")]) && ran(&[("PKG_CONFIG_PATH", "/nowhere")]));
    install(
        "cc",
        "case \"$*\" in --version) echo 'clang version 14';; *) exec /usr/bin/cc \"$@\";; esac",
    );
    assert!(ran(&[]), "another compiler is here now");
    assert!(!ran(&[]));
}

// S12: a library that is taken where the system has it is shared where all that can be found of it is in the key.
#[test]
fn a_library_of_the_system_is_an_input_and_one_from_elsewhere_is_this_machine_s() {
    let mut scene = Scene::with("libz-sys", "1.1.23");
    let tools = scene.handmade.folder().join("tools");
    fs_err::create_dir_all(&tools).expect("a folder");
    let says = |text: &str| {
        let program = tools.join("pkg-config");
        fs_err::write(&program, format!("#!/bin/sh\n{text}\n")).expect("a program");
        fs_err::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("executable");
    };
    let path = path_with(&tools);
    let mut ran = || {
        let (said, _, ran) = scene.anew(&[("PATH", path.to_str().expect("UTF-8"))]);
        assert_eq!(said, " 0,debug,\n");
        ran
    };
    says("exit 1");
    assert!(ran() && !ran());
    says("echo -I/usr/include -lz");
    assert!(ran(), "pkg-config knows it now");
    assert!(!ran());
    says("echo -I/usr/include -lz -lother");
    assert!(ran(), "it needs another");
    says("echo -I/opt/zlib/include -L/opt/zlib/lib -lz");
    assert!(ran() && ran(), "nobody knows what lies there");
    says("exit 1");
    assert!(!ran(), "as in the beginning");
}

/// An archive with one entry of some kind.
fn hostile_archive(kind: tar::EntryType, name: &str, target: Option<&str>) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(0);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    if let Some(target) = target {
        header.set_link_name(target).expect("a target");
    }
    header.set_cksum();
    let mut builder = tar::Builder::new(vec![]);
    builder.append(&header, &b""[..]).expect("an entry");
    builder.into_inner().expect("an archive")
}

// S11, S19, T5, T6: a stored run is looked at at each use, whoever vouches for it.
#[test]
fn a_stored_run_that_is_not_one_is_refused_at_each_use() {
    let victim = new_folder();
    let file = victim.path().join("file");
    fs_err::write(&file, "untouched").expect("written");
    let climbing = format!("../../../../../../../../../..{}", file.display());
    let cases: Vec<(usize, Vec<u8>)> = vec![
        (0, b"cargo::rustc-link-arg=-s\n".to_vec()),
        (0, b"cargo::made-up=1\n".to_vec()),
        (0, b"cargo:rustc-link-search=native=/usr/lib\n".to_vec()),
        (0, b"cargo::rustc-env=LD_PRELOAD=/cargo/out-dir/x.so\n".to_vec()),
        (0, b"cargo::metadata=include=/tmp/elsewhere\n".to_vec()),
        // Its manifest does not say how that was set.
        (0, b"cargo::rerun-if-env-changed=LEFT_OUT\n".to_vec()),
        (1, hostile_archive(tar::EntryType::Symlink, "link", file.to_str())),
        (1, hostile_archive(tar::EntryType::Link, "link", file.to_str())),
        (1, hostile_archive(tar::EntryType::Fifo, "fifo", None)),
        (
            1,
            hostile_archive(tar::EntryType::Regular, climbing.get(..99).unwrap_or(&climbing), None),
        ),
        (1, hostile_archive(tar::EntryType::Regular, "/x", None)),
        (1, b"no archive".to_vec()),
    ];
    for (index, content) in cases {
        let mut scene = Scene::new();
        scene.anew(&[]);
        scene.handmade.change_output(RUN, index, &content);
        let (said, built, ran) = scene.anew(&[]);
        assert_eq!((said.as_str(), ran), (" 0,debug,\n", true));
        let unit = outcome(&built, RUN);
        assert_eq!(
            (unit.outcome, unit.cause),
            (Outcome::Rejected, Some(Cause::NotInstalled)),
            "{unit:?}"
        );
        assert_eq!(fs_err::read_to_string(&file).expect("read"), "untouched");
        // What was run instead takes its place.
        let (_, built, ran) = scene.anew(&[]);
        assert!(!ran);
        assert_hit(&built, RUN);
    }
}
