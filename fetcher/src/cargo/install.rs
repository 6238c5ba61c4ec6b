//! `cargo install`: the one command that compiles and cannot be asked for its plan. What it will compile is asked as a
//! build of the same package, in a folder that links to the package's unpacked sources.
//!
//! Owns which package that is and which of the arguments matter. A wrong guess costs downloads that nobody uses.
//! Must not compile anything.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;
use semver::{Version, VersionReq};
use toml_edit::DocumentMut;

use super::command::CargoCommand;
use super::plan::{NoPlan, Surroundings};
use crate::env;

/// The package that is to be installed.
#[derive(Debug)]
pub(super) struct Package {
    manifest: PathBuf,
    options: Vec<OsString>,
    _folder: Option<tempfile::TempDir>,
}

/// What the arguments ask for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wanted {
    name: Option<String>,
    version: Option<String>,
    path: Option<PathBuf>,
    locked: bool,
    /// For the build that stands for it.
    options: Vec<OsString>,
}

impl Package {
    /// Of an install command. cargo has unpacked it already.
    pub(super) fn of(there: &Surroundings, command: &CargoCommand) -> Result<Self, NoPlan> {
        let no_plan = || NoPlan::Command(command.name.display().to_string());
        let wanted = Wanted::of(&command.args).ok_or_else(no_plan)?;
        let here = there.folder.clone().unwrap_or_default();
        if let Some(path) = wanted.path {
            return Ok(Self {
                manifest: here.join(path).join("Cargo.toml"),
                options: wanted.options,
                _folder: None,
            });
        }
        let name = wanted.name.ok_or_else(no_plan)?;
        let sources = unpacked(there, &name, wanted.version.as_deref()).ok_or_else(no_plan)?;
        let folder = stand_in(&sources, wanted.locked).map_err(NoPlan::Install)?;
        Ok(Self {
            manifest: folder.path().join("Cargo.toml"),
            options: wanted.options,
            _folder: Some(folder),
        })
    }

    /// Its manifest.
    pub(super) fn manifest(&self) -> &Path {
        &self.manifest
    }

    /// The build that compiles what installing it compiles.
    pub(super) fn command(&self) -> CargoCommand {
        let mut args = self.options.clone();
        args.extend(["--manifest-path".into(), self.manifest.clone().into()]);
        CargoCommand {
            globals: Vec::new(),
            name: "build".into(),
            args,
        }
    }
}

impl Wanted {
    /// `None` for what has no package in a registry or folder, such as `--git`, and for what cannot be read.
    fn of(args: &[OsString]) -> Option<Self> {
        let mut wanted = Self::default();
        let mut profile: Vec<OsString> = vec!["--release".into()];
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let arg = arg.to_str()?;
            let (option, inline) = match arg.split_once('=') {
                Some((option, value)) if option.starts_with('-') => (option, Some(value.to_owned())),
                _ => (arg, None),
            };
            let mut value = || inline.clone().or_else(|| args.next()?.to_str().map(str::to_owned));
            match option {
                "--git" | "--registry" | "--index" | "--list" => return None,
                "--path" => wanted.path = Some(value()?.into()),
                "--version" | "--vers" => wanted.version = Some(value()?),
                "--locked" | "--frozen" => wanted.locked = true,
                "--debug" => profile.clear(),
                "--profile" => profile = vec!["--profile".into(), value()?.into()],
                "--features" | "-F" | "--target" | "--config" | "-Z" => {
                    wanted.options.extend([option.into(), value()?.into()]);
                }
                "--all-features" | "--no-default-features" | "--ignore-rust-version" => {
                    wanted.options.push(option.into());
                }
                "--root" | "--target-dir" | "--bin" | "--example" | "--jobs" | "-j" | "--color"
                | "--message-format" | "--branch" | "--tag" | "--rev" => drop(value()?),
                _ if option.starts_with('-') => {}
                _ if wanted.name.is_some() => {}
                _ => match option.split_once('@') {
                    Some((name, version)) => (wanted.name, wanted.version) = (Some(name.into()), Some(version.into())),
                    None => wanted.name = Some(option.into()),
                },
            }
        }
        wanted.options.extend(profile);
        Some(wanted)
    }
}

/// The newest unpacked version that fits: cargo has unpacked the one that it installs.
fn unpacked(there: &Surroundings, name: &str, version: Option<&str>) -> Option<PathBuf> {
    let home = (there.env.absolute_path(env::CARGO_HOME))
        .or_else(|| Some(there.env.absolute_path(env::HOME)?.join(".cargo")))?;
    let exact = version.and_then(|version| Version::parse(version).ok());
    let wanted = match version {
        Some(version) if exact.is_none() => Some(VersionReq::parse(version).ok()?),
        _ => None,
    };
    let fits = |found: &Version| match (&exact, &wanted) {
        (Some(exact), _) => found == exact,
        (None, Some(wanted)) => wanted.matches(found),
        (None, None) => found.pre.is_empty(),
    };
    let registries = fs::read_dir(home.join("registry/src")).ok()?.flatten();
    let packages = registries.flat_map(|registry| fs::read_dir(registry.path()).into_iter().flatten().flatten());
    packages
        .filter_map(|package| {
            let folder = package.file_name();
            let found = Version::parse(folder.to_str()?.strip_prefix(name)?.strip_prefix('-')?).ok()?;
            fits(&found).then(|| (found, package.path()))
        })
        .max_by(|(a, _), (b, _)| a.cmp(b))
        .map(|(_, path)| path)
}

/// A folder with the package's files, in which cargo may write a lock file. Without `--locked` cargo installs what it
/// resolves anew, and leaves out what only tests need.
fn stand_in(sources: &Path, locked: bool) -> io::Result<tempfile::TempDir> {
    let folder = tempfile::Builder::new().prefix("sealift-install").tempdir()?;
    for entry in fs::read_dir(sources)? {
        let entry = entry?;
        let name = entry.file_name();
        if name != "Cargo.toml" && name != "Cargo.lock" {
            fs_err::os::unix::fs::symlink(entry.path(), folder.path().join(name))?;
        }
    }
    let text = fs::read_to_string(sources.join("Cargo.toml"))?;
    let mut manifest: DocumentMut = text.parse().map_err(io::Error::other)?;
    if locked {
        fs::copy(sources.join("Cargo.lock"), folder.path().join("Cargo.lock"))?;
    } else {
        manifest.remove("dev-dependencies");
        let targets = manifest
            .get_mut("target")
            .and_then(|targets| targets.as_table_like_mut());
        for (_, target) in targets.into_iter().flat_map(|targets| targets.iter_mut()) {
            if let Some(target) = target.as_table_like_mut() {
                target.remove("dev-dependencies");
            }
        }
    }
    // Nothing above the folder is its workspace.
    manifest.entry("workspace").or_insert_with(toml_edit::table);
    fs::write(folder.path().join("Cargo.toml"), manifest.to_string())?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Env;

    fn wanted(line: &str) -> Option<Wanted> {
        Wanted::of(&line.split(' ').map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn the_package_its_version_and_what_decides_its_units_are_found() {
        let found = wanted("--locked --root /x ripgrep@15.2.0 -F pcre2 --no-default-features").unwrap();
        assert_eq!(
            (found.name.as_deref(), found.version.as_deref()),
            (Some("ripgrep"), Some("15.2.0"))
        );
        assert!(found.locked);
        assert_eq!(found.options, ["-F", "pcre2", "--no-default-features", "--release"]);
        let found = wanted("hexyl --version=0.14 --debug").unwrap();
        assert_eq!(
            (found.name.as_deref(), found.version.as_deref()),
            (Some("hexyl"), Some("0.14"))
        );
        assert_eq!(found.options, [""; 0]);
        assert_eq!(
            wanted("--path . --profile dist").unwrap().options,
            ["--profile", "dist"]
        );
        assert_eq!(wanted("--git https://example.org/x"), None);
    }

    #[test]
    fn the_newest_unpacked_version_that_fits_is_taken() {
        let home = tempfile::tempdir().unwrap();
        let registry = home.path().join("registry/src/one");
        for package in ["a-1.0.0", "a-1.2.0", "a-2.0.0-rc.1", "a-b-3.0.0"] {
            fs::create_dir_all(registry.join(package)).unwrap();
        }
        let there = Surroundings {
            env: Env::made_up([(env::CARGO_HOME, home.path())]),
            cargo: "cargo".into(),
            rustc: None,
            folder: None,
            is_resolved: true,
        };
        let found = |version| Some(unpacked(&there, "a", version)?.file_name()?.to_str()?.to_owned());
        assert_eq!(found(None).as_deref(), Some("a-1.2.0"));
        assert_eq!(found(Some("1.0.0")).as_deref(), Some("a-1.0.0"));
        assert_eq!(found(Some("^1.0")).as_deref(), Some("a-1.2.0"));
        assert_eq!(found(Some("2.0.0-rc.1")).as_deref(), Some("a-2.0.0-rc.1"));
        assert_eq!(found(Some("9")), None);
    }

    #[test]
    fn a_stand_in_is_resolved_anew_unless_it_is_locked() {
        let sources = tempfile::tempdir().unwrap();
        let manifest = "[package]\nname = \"a\"\n[dev-dependencies.x]\nversion = \"1\"\n[target.'cfg(unix)'.dev-dependencies.y]\nversion = \"1\"\n";
        fs::write(sources.path().join("Cargo.toml"), manifest).unwrap();
        fs::write(sources.path().join("Cargo.lock"), "version = 4\n").unwrap();
        fs::create_dir(sources.path().join("src")).unwrap();
        let anew = stand_in(sources.path(), false).unwrap();
        let text = fs::read_to_string(anew.path().join("Cargo.toml")).unwrap();
        assert!(
            !text.contains("dev-dependencies") && text.contains("[workspace]"),
            "{text}"
        );
        assert!(!anew.path().join("Cargo.lock").exists() && anew.path().join("src").is_dir());
        let locked = stand_in(sources.path(), true).unwrap();
        assert!(locked.path().join("Cargo.lock").is_file());
    }
}
