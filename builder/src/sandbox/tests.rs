//! What a sandboxed call cannot do (B1 to B5). These need bubblewrap, as every builder does.

use std::time::{Duration, Instant};

use super::limits::Limits;
use super::run::{Ended, run_with};
use super::*;

/// A pass's folders, and the operator's secret beside them.
struct Place {
    _folder: tempfile::TempDir,
    root: PathBuf,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let root = fs_err::canonicalize(folder.path()).unwrap();
    for name in ["keys", "work/out", "work/sibling", "work/sources"] {
        fs_err::create_dir_all(root.join(name)).unwrap();
    }
    fs_err::write(root.join("keys/1.key"), "secret").unwrap();
    fs_err::write(root.join("work/sources/lib.rs"), "source").unwrap();
    Place { _folder: folder, root }
}

impl Place {
    fn call(&self, script: &str) -> Sandboxed {
        Sandboxed {
            kind: SandboxKind::Script,
            read: vec![self.root.join("work")],
            write: vec![self.root.join("work/out")],
            out_dir: None,
            secret: Some(self.root.clone()),
            folder: self.root.join("work/sources"),
            home: Some("/tmp/home".into()),
            call: ["/bin/sh", "-c", script].map(OsString::from).to_vec(),
            environment: None,
            tracing: Tracing::Denied,
        }
    }

    /// Runs a shell script; gives how it ended and what it printed.
    fn run(&self, script: &str) -> (Ended, String) {
        self.run_limited(script, &limits())
    }

    fn run_limited(&self, script: &str, limits: &Limits) -> (Ended, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let ended = run_with(&self.call(script), limits, &mut out, &mut err).unwrap();
        out.extend(err);
        (ended, String::from_utf8_lossy(&out).into_owned())
    }

    fn fails(&self, script: &str) {
        let (ended, said) = self.run(script);
        assert!(matches!(ended, Ended::Exited(code) if code != 0), "{script}: {said}");
    }
}

/// This process lives on with them, so they are those of a compiler.
fn limits() -> Limits {
    Limits::of(SandboxKind::Rustc)
}

#[test]
fn an_honest_call_reads_its_sources_and_writes_its_output() {
    let place = place();
    let (ended, said) = place.run("cat lib.rs && cat lib.rs > ../out/x && echo $HOME > /tmp/x && exit 7");
    assert_eq!((ended, said.as_str()), (Ended::Exited(7), "source"));
    assert_eq!(fs_err::read(place.root.join("work/out/x")).unwrap(), b"source");
}

#[test]
fn nothing_but_the_output_folder_can_be_written() {
    let place = place();
    let root = place.root.display();
    for target in [
        format!("{root}/work/sibling/x"),
        format!("{root}/work/sources/lib.rs"),
        format!("{root}/work/x"),
        "/usr/x".to_owned(),
        "/etc/x".to_owned(),
        "/x".to_owned(),
    ] {
        place.fails(&format!("echo x > {target}"));
        assert!(!Path::new(&target).exists() || target.ends_with("lib.rs"), "{target}");
    }
    // What lies beside may be shadowed by the call's own `/tmp`: whatever is written there is gone.
    place.run(&format!("echo x > {root}/x"));
    assert!(!place.root.join("x").exists());
    place.fails(&format!("ln {root}/work/sources/lib.rs {root}/work/out/link"));
    place.fails(&format!("mv {root}/work/out {root}/work/moved"));
    assert_eq!(fs_err::read(place.root.join("work/sources/lib.rs")).unwrap(), b"source");
}

#[test]
fn the_key_is_not_there() {
    let place = place();
    let root = place.root.display();
    place.fails(&format!("cat {root}/keys/1.key"));
    let (_, said) = place.run(&format!("ls {root}"));
    assert_eq!(said.trim(), "work");
    place.fails("ls /root /home");
}

#[test]
fn a_sandbox_that_would_show_the_key_is_not_made() {
    let place = place();
    let show = |path: PathBuf| {
        let mut call = place.call("true");
        call.read.push(path);
        call.bwrap_args(None)
    };
    for path in [
        place.root.clone(),
        place.root.join("keys"),
        "/".into(),
        place.root.parent().unwrap().to_owned(),
    ] {
        assert!(matches!(show(path), Err(SandboxError::Secret(_))));
    }
    std::os::unix::fs::symlink(&place.root, place.root.join("work/innocent")).unwrap();
    assert!(matches!(
        show(place.root.join("work/innocent")),
        Err(SandboxError::Secret(_))
    ));
    assert!(matches!(show("relative".into()), Err(SandboxError::Relative(_))));
}

#[test]
fn there_is_no_network_and_no_other_process() {
    let place = place();
    let (_, said) = place.run("cat /proc/net/dev | tail -n +3 | cut -d: -f1");
    assert_eq!(said.trim(), "lo");
    let (_, said) = place.run("cd /proc && ls -d [0-9]* | wc -l");
    assert!(said.trim().parse::<u32>().unwrap() < 8, "{said}");
}

#[test]
fn namespaces_mounts_and_tracing_are_denied() {
    let place = place();
    for script in [
        "unshare -Ur true",
        "unshare -n true",
        "mount -t tmpfs none /tmp",
        "umount /proc",
        "chroot / true",
    ] {
        place.fails(script);
    }
    let (_, said) = place.run("grep -E 'Seccomp:|NoNewPrivs:|CapEff:' /proc/self/status | tr -s '\\t\\n' '  '");
    assert_eq!(said.trim(), "CapEff: 0000000000000000 NoNewPrivs: 1 Seccomp: 2");
}

// B3: a script of a build cannot trace; one that is reviewed is traced, and all else is denied as ever.
#[test]
fn processes_are_traced_only_where_that_was_asked_for() {
    let place = place();
    let script = "strace -f -o /dev/null true && ! unshare -Ur true 2> /dev/null && echo traced";
    assert_eq!(place.run(script).1.matches("traced").count(), 0);
    let mut call = place.call(script);
    call.tracing = Tracing::Allowed;
    let mut out = Vec::new();
    assert_eq!(
        run_with(&call, &limits(), &mut out, std::io::sink()).unwrap(),
        Ended::Exited(0)
    );
    assert_eq!(out, b"traced\n");
}

#[test]
fn an_environment_that_is_given_is_the_whole_one() {
    let place = place();
    let mut call = place.call("");
    // No shell is in between: it would lose the odd name (S2).
    call.call = vec!["/usr/bin/env".into()];
    call.environment = Some(vec![("ODD:name".into(), "a b".into())]);
    let mut out = Vec::new();
    run_with(&call, &limits(), &mut out, std::io::sink()).unwrap();
    let printed = String::from_utf8(out).unwrap();
    let mut lines: Vec<_> = printed.lines().filter(|line| !line.starts_with("PWD=")).collect();
    lines.sort_unstable();
    assert_eq!(lines, ["ODD:name=a b", "SEALIFT=off", "TMPDIR=/tmp"]);
}

#[test]
fn the_builders_settings_do_not_reach_the_call() {
    let place = place();
    let (_, said) = place.run("env | grep ^SEALIFT; hostname");
    assert_eq!(said.trim(), "SEALIFT=off\nsealift");
}

#[test]
fn what_takes_too_long_or_prints_too_much_is_stopped_with_all_its_children() {
    let place = place();
    let started = Instant::now();
    let short = Limits {
        wall: Duration::from_millis(300),
        ..limits()
    };
    assert!(matches!(
        place.run_limited("sleep 100 & sleep 100", &short).0,
        Ended::Stopped(_)
    ));
    let quiet = Limits {
        output: 1 << 20,
        ..limits()
    };
    assert!(matches!(place.run_limited("yes", &quiet).0, Ended::Stopped(_)));
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[test]
fn b1_what_forks_without_end_is_stopped() {
    let place = place();
    let started = Instant::now();
    let few = Limits {
        wall: Duration::from_millis(500),
        processes: 64,
        ..limits()
    };
    let (ended, _) = place.run_limited("while :; do sleep 100 & done", &few);
    // By the number of processes where that can be bounded, by the time everywhere.
    assert!(!matches!(ended, Ended::Exited(0)), "{ended:?}");
    assert!(started.elapsed() < Duration::from_secs(30));
    // The builder lives on.
    assert_eq!(place.run("exit 0").0, Ended::Exited(0));
}

#[test]
fn what_writes_too_much_is_stopped() {
    let place = place();
    let small = Limits {
        disk: 1 << 20,
        ..limits()
    };
    let (ended, _) = place.run_limited("head -c 4M /dev/zero > ../out/x; sleep 100", &small);
    assert_eq!(ended, Ended::Stopped("it writes too much"));
}

#[test]
fn a_daemon_ends_with_the_call() {
    let place = place();
    let started = Instant::now();
    let (ended, _) = place.run("setsid sleep 100 > /dev/null 2>&1 & exit 0");
    assert_eq!(ended, Ended::Exited(0));
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[test]
fn an_output_folder_lies_at_its_canonical_place_and_is_that_of_the_script() {
    let place = place();
    let out_dir = place.root.join("work/sibling");
    let call = Sandboxed {
        out_dir: Some(out_dir.clone()),
        ..place.call("echo \"$OUT_DIR\"; cd \"$OUT_DIR\" && pwd > here && ! touch /cargo/other 2>&1")
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let ended = run_with(&call, &limits(), &mut out, &mut err).unwrap();
    assert_eq!(ended, Ended::Exited(0), "{}", String::from_utf8_lossy(&err));
    assert!(String::from_utf8_lossy(&out).starts_with("/cargo/out-dir\n"));
    assert_eq!(
        fs_err::read_to_string(out_dir.join("here")).unwrap(),
        "/cargo/out-dir\n"
    );
}

#[test]
fn an_output_folder_with_the_keys_below_it_is_refused() {
    let place = place();
    let call = Sandboxed {
        out_dir: Some(place.root.clone()),
        ..place.call("true")
    };
    assert!(matches!(call.bwrap_args(None), Err(SandboxError::Secret(_))));
}
