//! A machine with a registry of its own, and calls as cargo makes them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use flate2::Compression;
use flate2::write::GzEncoder;
use sealift_policy::local::{BuildEvent, Outcome, UnitEvent};

/// The compiler itself, not rustup's proxy.
pub(crate) static RUSTC: LazyLock<PathBuf> = LazyLock::new(|| {
    let output = Command::new("rustc").args(["--print", "sysroot"]).output().unwrap();
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim_end()).join("bin/rustc")
});

/// The wrapper under test.
pub(crate) const WRAPPER: &str = env!("CARGO_BIN_EXE_sealift-rustc");

/// How cargo names files of these units.
pub(crate) const EXTRA: &str = "-00c0ffee00c0ffee";

/// Somebody's machine.
pub(crate) struct Machine {
    folder: tempfile::TempDir,
}

/// A package of crates.io as far as the machine can tell.
#[derive(Clone)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) root: PathBuf,
}

/// One call of the wrapper.
#[derive(Clone)]
pub(crate) struct Call {
    program: PathBuf,
    pub(crate) args: Vec<String>,
    pub(crate) out_dir: PathBuf,
    package: Package,
    env: Vec<(String, String)>,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let machine = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        fs_err::create_dir(machine.path("home")).unwrap();
        machine
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.path("store")
    }

    /// Unpacks a package whose archive holds the same.
    pub(crate) fn package(&self, name: &str, files: &[(&str, &str)]) -> Package {
        let unpacked = format!("{name}-1.0.0");
        let root = self.path("registry/src/id").join(&unpacked);
        let cache = self.path("registry/cache/id");
        fs_err::create_dir_all(&cache).unwrap();
        let file = fs_err::File::create(cache.join(format!("{unpacked}.crate"))).unwrap();
        let mut archive = tar::Builder::new(GzEncoder::new(file, Compression::fast()));
        for (path, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            let inside = format!("{unpacked}/{path}");
            archive.append_data(&mut header, inside, content.as_bytes()).unwrap();
            let path = root.join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, content).unwrap();
        }
        archive.into_inner().unwrap().finish().unwrap();
        Package {
            name: name.to_owned(),
            root,
        }
    }

    /// A library of one file.
    pub(crate) fn library(&self, name: &str, source: &str) -> Package {
        self.package(name, &[("src/lib.rs", source)])
    }

    /// The call by which cargo builds a library in dev, with this output folder of the machine.
    pub(crate) fn build(&self, package: &Package, target: &str) -> Call {
        let out_dir = self.path(target).join("debug/deps");
        fs_err::create_dir_all(&out_dir).unwrap();
        let out = out_dir.display();
        let root = package.root.join("src/lib.rs");
        let args = [
            "--crate-name",
            &package.name.replace('-', "_"),
            "--edition=2021",
            root.to_str().unwrap(),
            "--error-format=json",
            "--json=diagnostic-rendered-ansi,artifacts,future-incompat",
            "--crate-type",
            "lib",
            "--emit=dep-info,metadata,link",
            "-C",
            "embed-bitcode=no",
            "-C",
            "debuginfo=2",
            "-C",
            &format!("metadata={}", &EXTRA[1..]),
            "-C",
            &format!("extra-filename={EXTRA}"),
            "--out-dir",
            &out.to_string(),
            "-L",
            &format!("dependency={out}"),
            "--cap-lints",
            "warn",
        ];
        Call {
            program: WRAPPER.into(),
            args: args.map(str::to_owned).to_vec(),
            env: vec![],
            package: package.clone(),
            out_dir,
        }
    }

    /// A call's process, in an environment of its own.
    pub(crate) fn command(&self, call: &Call) -> Command {
        let mut command = Command::new(&call.program);
        if call.program == Path::new(WRAPPER) {
            command.arg(&*RUSTC);
        }
        command.args(&call.args).current_dir(&call.package.root);
        self.set_up(&mut command);
        command
            .env("CARGO_MANIFEST_DIR", &call.package.root)
            .env("CARGO_PKG_NAME", &call.package.name)
            .env("CARGO_PKG_VERSION", "1.0.0")
            .env("CARGO_CRATE_NAME", call.package.name.replace('-', "_"))
            .envs(call.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// The environment of this machine and nothing else.
    pub(crate) fn set_up(&self, command: &mut Command) {
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.path("home"))
            .env("SEALIFT_STORE", self.store());
    }

    pub(crate) fn run(&self, call: &Call) -> Output {
        self.command(call).output().unwrap()
    }

    /// Runs a call that succeeds, and says what was done.
    #[track_caller]
    pub(crate) fn outcome(&self, call: &Call) -> Outcome {
        let output = self.run(call);
        assert!(output.status.success(), "{}", stderr(&output));
        self.last_event().outcome
    }

    /// What the wrapper noted last.
    #[track_caller]
    pub(crate) fn last_event(&self) -> UnitEvent {
        let folder = fs_err::read_dir(self.store().join("v1/builds")).unwrap();
        // All calls have one parent, this process.
        let path = folder.map(|entry| entry.unwrap().path()).next().unwrap();
        let text = fs_err::read_to_string(path).unwrap();
        match serde_json::from_str(text.lines().last().unwrap()).unwrap() {
            BuildEvent::Unit(event) => event,
            BuildEvent::Prefetch(_) => panic!("nothing prefetches here"),
        }
    }

    /// A program that is a script.
    pub(crate) fn script(&self, name: &str, body: &str) -> PathBuf {
        let path = self.path(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs_err::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        path
    }
}

impl Call {
    /// The same call by rustc alone.
    pub(crate) fn plain(&self) -> Self {
        Self {
            program: RUSTC.clone(),
            ..self.clone()
        }
    }

    pub(crate) fn env(mut self, name: &str, value: impl ToString) -> Self {
        self.env.push((name.to_owned(), value.to_string()));
        self
    }

    pub(crate) fn arg(mut self, arg: impl ToString) -> Self {
        self.args.push(arg.to_string());
        self
    }

    /// With one argument in place of another.
    #[track_caller]
    pub(crate) fn instead(mut self, of: &str, arg: &str) -> Self {
        let place = self
            .args
            .iter()
            .position(|one| one == of)
            .expect("the argument is there");
        self.args[place] = arg.to_owned();
        self
    }

    /// A dependency that lies in the same folder.
    pub(crate) fn depends_on(self, name: &str) -> Self {
        let path = self.out_dir.join(format!("lib{name}{EXTRA}.rmeta"));
        self.arg("--extern").arg(format!("{name}={}", path.display()))
    }

    /// The output with this ending.
    pub(crate) fn output(&self, ending: &str) -> PathBuf {
        let name = self.package.name.replace('-', "_");
        self.out_dir.join(match ending {
            "d" => format!("{name}{EXTRA}.d"),
            _ => format!("lib{name}{EXTRA}.{ending}"),
        })
    }

    pub(crate) fn bytes(&self, ending: &str) -> Vec<u8> {
        fs_err::read(self.output(ending)).unwrap()
    }
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The lines that are no artifact notifications.
pub(crate) fn diagnostics(output: &Output) -> Vec<String> {
    let text = stderr(output);
    let lines = text.lines().filter(|line| !is_artifact(line));
    lines.map(str::to_owned).collect()
}

/// Notifications about metadata, which cargo starts dependents at.
pub(crate) fn announcements(output: &Output) -> usize {
    let text = stderr(output);
    text.lines()
        .filter(|line| is_artifact(line) && line.contains(r#""emit":"metadata""#))
        .count()
}

fn is_artifact(line: &str) -> bool {
    line.starts_with(r#"{"$message_type":"artifact""#)
}

/// Names of what lies in a folder.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = fs_err::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Every file of the store's content.
pub(crate) fn stored(machine: &Machine) -> Vec<PathBuf> {
    let files = walkdir::WalkDir::new(machine.store().join("v1/cas")).into_iter();
    files
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().is_file())
        .map(walkdir::DirEntry::into_path)
        .collect()
}
