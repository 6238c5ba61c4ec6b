//! What lies in a target folder after a hit or a canonical compilation is what rustc would have put there.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use sealift_policy::local::Outcome;

use crate::machine::{EXTRA, Machine, announcements, diagnostics, names, stderr, stored};

/// Where the canonical call says that registry sources lie: cargo's own trim-paths prefix.
const REGISTRY: &str = "/cargo/registry/1949cf8c6b5b557f";

const LIBRARY: &str = "pub fn a(x: Option<u8>) -> u8 { x.unwrap() }\n";

fn contains(content: &[u8], text: &str) -> bool {
    content.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn metadata_is_in_place_before_it_is_announced_exactly_once() {
    use std::io::{BufRead as _, BufReader};
    let machine = Machine::new();
    let package = machine.library("a", LIBRARY);
    for (target, outcome) in [("first", Outcome::Compiled), ("second", Outcome::HitCompiled)] {
        let call = machine.build(&package, target);
        let mut child = machine
            .command(&call)
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut seen = 0;
        for line in BufReader::new(child.stderr.take().unwrap()).lines() {
            if line.unwrap().contains(r#""emit":"metadata""#) {
                assert!(call.output("rmeta").is_file());
                seen += 1;
            }
        }
        assert!(child.wait().unwrap().success());
        assert_eq!((seen, machine.last_event().outcome), (1, outcome));
    }
}

#[test]
fn dep_info_is_what_a_local_rustc_writes_here() {
    let machine = Machine::new();
    let files = [
        (
            "src/lib.rs",
            "mod b;\npub use b::TEXT;\n#[path = \"../other place/c.rs\"]\npub mod c;\n",
        ),
        ("src/b.rs", "pub const TEXT: &str = include_str!(\"../data.txt\");\n"),
        (
            "other place/c.rs",
            "pub const N: Option<&str> = option_env!(\"SOME_NAME\");\n",
        ),
        ("data.txt", "data"),
    ];
    let package = machine.package("a", &files);
    let build = |target: &str| machine.build(&package, target).env("SOME_NAME", "a b\\c");
    let text = |call: &crate::machine::Call| fs_err::read_to_string(call.output("d")).unwrap();
    for (target, outcome) in [("one", Outcome::Compiled), ("two with blanks", Outcome::HitCompiled)] {
        let call = build(target);
        assert_eq!(machine.outcome(&call), outcome);
        let ours = text(&call);
        // A file of its own: who changes it changes nothing in the store.
        assert_eq!(fs_err::metadata(call.output("d")).unwrap().nlink(), 1);
        // The same folder, so that nothing has to be translated.
        fs_err::remove_dir_all(&call.out_dir).unwrap();
        fs_err::create_dir_all(&call.out_dir).unwrap();
        assert!(machine.run(&call.plain()).status.success());
        // A hit knows which files, not by which way rustc came to them.
        assert_eq!(ours.replace("src/../", ""), text(&call).replace("src/../", ""));
    }
}

#[test]
fn outputs_land_under_the_names_that_this_call_asks_for() {
    let machine = Machine::new();
    let package = machine.library("with-a-hyphen", LIBRARY);
    machine.outcome(&machine.build(&package, "first"));
    let (old, new) = (format!("extra-filename={EXTRA}"), "extra-filename=-another");
    let call = machine.build(&package, "second").instead(&old, new);
    assert_eq!(machine.outcome(&call), Outcome::HitCompiled);
    let expected = [
        "libwith_a_hyphen-another.rlib",
        "libwith_a_hyphen-another.rmeta",
        "with_a_hyphen-another.d",
    ];
    assert_eq!(names(&call.out_dir), expected);
}

#[test]
fn a_check_and_a_build_each_get_all_that_they_ask_for() {
    let machine = Machine::new();
    let package = machine.library("a", LIBRARY);
    let check = |target| {
        machine
            .build(&package, target)
            .instead("--emit=dep-info,metadata,link", "--emit=dep-info,metadata")
    };
    assert_eq!(machine.outcome(&check("check")), Outcome::Compiled);
    let build = machine.build(&package, "build");
    assert_eq!(machine.outcome(&build), Outcome::Compiled);
    assert!(build.output("rlib").is_file());
    assert_eq!(machine.outcome(&check("second")), Outcome::HitCompiled);
    assert_eq!(machine.outcome(&machine.build(&package, "third")), Outcome::HitCompiled);
    assert!(!check("second").output("rlib").exists());
}

#[test]
fn metadata_of_a_hit_is_new_and_permissions_are_the_compiler_s() {
    let machine = Machine::new();
    let package = machine.library("a", LIBRARY);
    let plain = machine.build(&package, "plain");
    assert!(machine.run(&plain.plain()).status.success());
    for (target, outcome) in [("first", Outcome::Compiled), ("second", Outcome::HitCompiled)] {
        let call = machine.build(&package, target);
        let stamp = machine.path("stamp");
        fs_err::write(&stamp, "").unwrap();
        assert_eq!(machine.outcome(&call), outcome);
        let metadata = |path: &Path| fs_err::metadata(path).unwrap();
        let time = |path: &Path| metadata(path).modified().unwrap();
        assert!(
            time(&call.output("rmeta")) >= time(&stamp),
            "as cargo compares it with dependencies"
        );
        // A later file is never older: the time comes from the clock that files of cargo get theirs from.
        fs_err::write(&stamp, "x").unwrap();
        assert!(time(&stamp) >= time(&call.output("rmeta")));
        let mode = |path: &Path| metadata(path).permissions().mode() & 0o777;
        assert_eq!(mode(&call.output("rmeta")), mode(&plain.output("rmeta")));
        assert_eq!(mode(&call.output("d")), mode(&plain.output("d")));
        // cargo removes the library, and then its own call writes where ours has been.
        fs_err::remove_file(call.output("rlib")).unwrap();
        let after = machine.run(&call.plain());
        assert!(after.status.success(), "{}", stderr(&after));
    }
}

#[test]
fn a_library_that_was_changed_in_place_is_not_installed_again() {
    let machine = Machine::new();
    let package = machine.library("a", LIBRARY);
    let first = machine.build(&package, "first");
    machine.outcome(&first);
    let right = first.bytes("rlib");
    let rlib = first.output("rlib");
    // A linked library is read-only, so that only somebody with more rights than most can do this.
    fs_err::set_permissions(&rlib, PermissionsExt::from_mode(0o644)).unwrap();
    let mut changed = right.clone();
    let last = changed.len() - 1;
    changed[last] ^= 1;
    fs_err::write(&rlib, changed).unwrap();
    let second = machine.build(&package, "second");
    machine.outcome(&second);
    assert!(second.bytes("rlib") == right);
}

#[test]
fn a_damaged_output_is_compiled_again_and_nothing_of_it_is_installed() {
    let damages: [fn(&mut Vec<u8>); 4] = [
        |bytes| bytes.truncate(bytes.len() / 2),
        |bytes| bytes.push(0),
        Vec::clear,
        |bytes| bytes[20] ^= 1,
    ];
    let machine = Machine::new();
    let package = machine.library("a", LIBRARY);
    let first = machine.build(&package, "first");
    machine.outcome(&first);
    let right = [first.bytes("rmeta"), first.bytes("rlib")];
    for (place, damage) in damages.into_iter().enumerate() {
        for path in stored(&machine) {
            let mut bytes = fs_err::read(&path).unwrap();
            damage(&mut bytes);
            // Another file of that name, since a library may be linked into a target folder.
            fs_err::remove_file(&path).unwrap();
            fs_err::write(&path, bytes).unwrap();
        }
        let call = machine.build(&package, &format!("t{place}"));
        let output = machine.run(&call);
        assert_eq!(diagnostics(&output), Vec::<String>::new());
        assert_eq!(announcements(&output), 1);
        assert_eq!(machine.last_event().outcome, Outcome::Rejected);
        assert!([call.bytes("rmeta"), call.bytes("rlib")] == right);
    }
}

#[test]
fn what_cannot_be_installed_whole_is_taken_back() {
    let machine = Machine::new();
    let package = machine.library("a", LIBRARY);
    machine.outcome(&machine.build(&package, "first"));
    for blocked in ["rmeta", "d"] {
        let folder = |target: &str| {
            let call = machine.build(&package, target);
            fs_err::create_dir(call.output(blocked)).unwrap();
            call
        };
        let (ours, plain) = (
            folder(&format!("ours-{blocked}")),
            folder(&format!("plain-{blocked}")).plain(),
        );
        let (refused, expected) = (machine.run(&ours), machine.run(&plain));
        assert_eq!(refused.status, expected.status, "{}", stderr(&refused));
        assert!(!refused.status.success());
        let left = |call: &crate::machine::Call| names(&call.out_dir);
        let unexpected: Vec<_> = left(&ours)
            .into_iter()
            .filter(|name| !left(&plain).contains(name))
            .collect();
        assert_eq!(
            unexpected,
            Vec::<String>::new(),
            "after a folder in place of the {blocked}"
        );
    }
}

#[test]
fn nothing_outside_is_written_through_what_lies_where_an_output_goes() {
    let machine = Machine::new();
    let package = machine.library("a", LIBRARY);
    let victim = machine.path("victim");
    fs_err::write(&victim, "precious").unwrap();
    for (target, outcome) in [("first", Outcome::Compiled), ("second", Outcome::HitCompiled)] {
        let call = machine.build(&package, target);
        for ending in ["rmeta", "rlib", "d"] {
            fs_err::os::unix::fs::symlink(&victim, call.output(ending)).unwrap();
        }
        assert_eq!(machine.outcome(&call), outcome);
        for ending in ["rmeta", "rlib", "d"] {
            assert!(
                fs_err::symlink_metadata(call.output(ending)).unwrap().is_file(),
                "{ending}"
            );
        }
        assert_eq!(fs_err::read(&victim).unwrap(), b"precious");
    }
}

#[test]
fn an_output_that_is_read_only_or_a_device_is_replaced() {
    let machine = Machine::new();
    let package = machine.library("a", LIBRARY);
    machine.outcome(&machine.build(&package, "first"));
    let call = machine.build(&package, "second");
    fs_err::write(call.output("rmeta"), "old").unwrap();
    fs_err::set_permissions(call.output("rmeta"), PermissionsExt::from_mode(0o444)).unwrap();
    fs_err::os::unix::fs::symlink("/dev/null", call.output("rlib")).unwrap();
    assert_eq!(machine.outcome(&call), Outcome::HitCompiled);
    assert!(call.bytes("rmeta") != b"old" && !call.bytes("rlib").is_empty());
    assert!(!fs_err::metadata("/dev/null").unwrap().is_file());
}

#[test]
fn a_target_folder_on_another_file_system_works() {
    let machine = Machine::new();
    let memory = Path::new("/dev/shm");
    let elsewhere = tempfile::tempdir_in(memory).unwrap();
    let device = |path: &Path| fs_err::metadata(path).unwrap().dev();
    assert_ne!(
        device(elsewhere.path()),
        device(&machine.path("home")),
        "`{}` is a file system of its own",
        memory.display()
    );
    let (a, b) = (machine.library("a", LIBRARY), machine.library("b", "pub use a::a;\n"));
    let local = machine.build(&a, "local");
    assert_eq!(machine.outcome(&local), Outcome::Compiled);
    let there = elsewhere.path().to_str().unwrap();
    for (outcome, round) in [(Outcome::Compiled, "first"), (Outcome::HitCompiled, "second")] {
        let target = format!("{there}/{round}");
        let call = machine.build(&a, &target);
        assert_eq!(machine.outcome(&call), Outcome::HitCompiled);
        assert_eq!(machine.last_event().shared_bytes, 0);
        assert!(call.bytes("rlib") == local.bytes("rlib"));
        assert_eq!(machine.outcome(&machine.build(&b, &target).depends_on("a")), outcome);
    }
}

#[test]
fn one_crate_compiled_twice_at_the_same_moment_is_right_both_times() {
    let machine = Machine::new();
    let package = machine.library("a", LIBRARY);
    let calls: Vec<_> = (0..4)
        .map(|place| machine.build(&package, &format!("t{place}")))
        .collect();
    let children: Vec<_> = calls
        .iter()
        .map(|call| {
            machine
                .command(call)
                .stderr(std::process::Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    for call in &calls[1..] {
        assert!(call.bytes("rlib") == calls[0].bytes("rlib") && call.bytes("rmeta") == calls[0].bytes("rmeta"));
    }
    assert_eq!(machine.outcome(&machine.build(&package, "later")), Outcome::HitCompiled);
}

#[test]
fn panic_messages_and_debug_information_name_the_documented_prefix_and_no_folder_of_this_machine() {
    let machine = Machine::new();
    let source = "#[inline(never)] pub fn a(x: u8) { if x > 1 { panic!(\"in {}\", file!()) } }\n";
    let call = machine.build(&machine.library("a", source), "target");
    machine.outcome(&call);
    let rlib = call.bytes("rlib");
    assert!(
        contains(&rlib, &format!("{REGISTRY}/a-1.0.0/src/lib.rs")),
        "panic location and `file!()`"
    );
    assert!(contains(&rlib, &format!("{REGISTRY}/a-1.0.0")), "debug information");
    assert!(!contains(&rlib, machine.path("").to_str().unwrap()));
    assert!(!contains(&call.bytes("rmeta"), machine.path("").to_str().unwrap()));
}
