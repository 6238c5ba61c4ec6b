//! Traces as `strace -ff -y` writes them, shortened.

use super::*;

const SCRIPT: &str = "/w/a/target/debug/build/x-1/build-script-build.sealift-script";

fn places() -> Places {
    Places {
        package: "/w/a/cargo-home/registry/src/id/x-1.0.0".to_owned(),
        out_dir: "/w/a/target/debug/build/x-1/out".to_owned(),
        toolchain: "/rust".to_owned(),
        pass: "/w/a".to_owned(),
        search: vec![
            "/rust/bin".to_owned(),
            "/usr/local/bin".to_owned(),
            "/usr/bin".to_owned(),
        ],
        libraries: vec![],
        links: BTreeMap::new(),
    }
}

fn read(processes: &[(u32, &str)]) -> Trace {
    let processes = processes.iter().map(|(number, lines)| (*number, (*lines).to_owned()));
    let places = places();
    Trace::read(processes, &places, SCRIPT, &places.package)
}

fn seen(trace: &Trace) -> Vec<String> {
    let show = |seen: &Seen| format!("{} {:?} {}", seen.by, seen.access, seen.place);
    trace.seen.iter().map(show).collect()
}

fn program(name: &str) -> Actor {
    Actor::Program(name.to_owned())
}

#[test]
fn files_are_told_by_who_did_what_with_them() {
    let start = format!("execve(\"{SCRIPT}\", [\"{SCRIPT}\"], 0x7f /* 30 vars */) = 0\n");
    let script = start
        + r#"openat(AT_FDCWD</w/a/cargo-home/registry/src/id/x-1.0.0>, "build.rs", O_RDONLY|O_CLOEXEC) = 3</w/a/x>
openat(AT_FDCWD</w/a/cargo-home/registry/src/id/x-1.0.0>, "/etc/hostname", O_RDONLY|O_CLOEXEC) = -1 ENOENT (No such file or directory)
statx(AT_FDCWD</w/a/cargo-home/registry/src/id/x-1.0.0>, "/usr/include/zlib.h", AT_STATX_SYNC_AS_STAT, STATX_ALL, {stx_mask=STATX_ALL}) = 0
openat(AT_FDCWD</w/a/cargo-home/registry/src/id/x-1.0.0>, "src/new.rs", O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC, 0666) = -1 EROFS (Read-only file system)
getdents64(3</w/a/cargo-home/registry/src/id/x-1.0.0/src>, 0x55 /* 4 entries */, 32768) = 104
newfstatat(3</w/a/x>, "", {st_mode=S_IFREG|0644}, AT_EMPTY_PATH) = 0
readlink("/w/a", 0x7ffd9ea2d280, 1023) = -1 EINVAL (Invalid argument)
+++ exited with 0 +++
"#;
    let trace = read(&[(6, &script)]);
    assert_eq!(
        seen(&trace),
        [
            "the script Read PACKAGE/build.rs",
            "the script Listed PACKAGE/src",
            "the script Exists /usr/include/zlib.h",
            "the script Absent /etc/hostname",
            "the script Written PACKAGE/src/new.rs",
        ]
    );
    assert!(trace.executed.is_empty() && trace.looked_for.is_empty() && trace.unread == 0);
}

#[test]
fn a_program_is_found_along_the_search_path_and_works_where_its_parent_was() {
    let script = "chdir(\"src\") = 0\nclone3({flags=CLONE_VM|CLONE_VFORK}, 88) = 7\n\
                  vfork() = 8\n+++ exited with 0 +++\n";
    let child = r#"execve("/usr/local/bin/pkg-config", ["pkg-config", "--libs", "zlib"], 0x7f /* 3 vars */) = -1 ENOENT (No such file or directory)
execve("/usr/bin/pkg-config", ["pkg-config", "--libs", "zlib"], 0x7f /* 3 vars */) = 0
open("zlib.pc", O_RDONLY) = 3</w>
+++ exited with 1 +++
"#;
    let nowhere = r#"execve("/usr/bin/cmake", ["cmake"], 0x7f /* 3 vars */) = -1 ENOENT (No such file or directory)
+++ exited with 127 +++
"#;
    let trace = read(&[(6, script), (7, child), (8, nowhere)]);
    let (executed, times) = trace.executed.first_key_value().unwrap();
    assert_eq!(
        (&executed.by, executed.program.to_string()),
        (&Actor::Script, "/usr/bin/pkg-config".to_owned())
    );
    assert_eq!((times.calls, times.failed), (1, 1));
    assert!(times.arguments.contains("pkg-config --libs zlib"));
    assert_eq!(seen(&trace), ["pkg-config Read PACKAGE/src/zlib.pc"]);
    let looked_for: Vec<_> = trace
        .looked_for
        .iter()
        .map(|((_, name), found)| (name.as_str(), *found))
        .collect();
    assert_eq!(looked_for, [("cmake", false), ("pkg-config", true)]);
}

#[test]
fn what_a_program_starts_is_told_as_its_own_and_programs_of_the_script_by_their_place() {
    let script = "clone3({flags=CLONE_VM}, 88) = 7\n";
    let cc = "execve(\"/usr/bin/cc\", [\"cc\"], 0x7f /* 3 vars */) = 0\nvfork() = 9\n+++ exited with 0 +++\n";
    let trial = "execve(\"/w/a/target/debug/build/x-1/out/conftest\", [\"./conftest\"], 0x7f /* 3 vars */) = 0\n\
                 open(\"/proc/cpuinfo\", O_RDONLY) = 3</proc/cpuinfo>\n";
    let trace = read(&[(6, script), (7, cc), (9, trial)]);
    let callers: Vec<_> = trace.executed.keys().map(|executed| executed.by.clone()).collect();
    assert_eq!(callers, [Actor::Script, program("cc")]);
    assert_eq!(seen(&trace), ["OUT_DIR/conftest Read /proc/cpuinfo"]);
}

#[test]
fn uses_of_the_network_are_noted_also_where_they_failed() {
    let script = r#"socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC, IPPROTO_TCP) = 3<socket:[1]>
connect(3<socket:[1]>, {sa_family=AF_INET, sin_port=htons(443), sin_addr=inet_addr("192.0.2.1")}, 16) = -1 ENETUNREACH (Network is unreachable)
socket(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC, 0) = 4<socket:[2]>
connect(4<socket:[2]>, {sa_family=AF_UNIX, sun_path="/var/run/nscd/socket"}, 110) = -1 ENOENT (No such file or directory)
"#;
    let trace = read(&[(6, script)]);
    let uses: Vec<_> = trace
        .network
        .iter()
        .map(|(_, text)| text.split(',').next().unwrap())
        .collect();
    assert_eq!(
        uses,
        [
            "connect {sa_family=AF_INET",
            "connect {sa_family=AF_UNIX",
            "socket AF_INET"
        ]
    );
}

#[test]
fn two_runs_are_told_as_one() {
    let there = "access(\"/usr/bin/git\", X_OK) = 0\n";
    let hidden = "access(\"/usr/bin/git\", X_OK) = -1 ENOENT (No such file or directory)\nwhat is this\n";
    let mut trace = read(&[(6, hidden)]);
    trace.merge(read(&[(6, there)]));
    assert!(trace.looked_for[&(Actor::Script, "git".to_owned())]);
    assert_eq!(trace.unread, 1);
}
