//! `cargo sealift debug-map gdb|lldb`: the settings by which a debugger finds the sources of what was compiled by the
//! canonical call, whose debug information names no folder of any machine.
//!
//! Owns where the sources lie on this machine, and the debuggers' words. Must not know how the names came about: that is
//! [`sealift_policy::remap`]'s.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use sealift_policy::remap;

use super::context::Context;
use super::{DebugMapArgs, Debugger, Exit};
use crate::env::{self, Env};
use crate::report::shell;

/// How deep below the target folder cargo's build scripts write.
const MAX_DEPTH: usize = 7;

/// Where the sources are, behind which names.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sources {
    /// Name and folder, the likeliest folder of a name first.
    folders: Vec<(String, PathBuf)>,
    /// What is not there, and how to get it.
    missing: Vec<String>,
}

/// Prints the settings.
pub(super) fn run(context: &Context, args: DebugMapArgs) -> anyhow::Result<Exit> {
    let sources = Sources::here(context)?;
    shell::data(&match args.debugger {
        Debugger::Gdb => sources.gdb(),
        Debugger::Lldb => sources.lldb(),
    })?;
    Ok(Exit::Success)
}

impl Sources {
    fn here(context: &Context) -> anyhow::Result<Self> {
        let env = &context.env;
        let mut sources = Self::default();
        let registries = registries(env);
        if registries.is_empty() {
            sources
                .missing
                .push("no package was unpacked yet: `cargo fetch`".into());
        }
        let named = |name: &str, folder| (name.to_owned(), folder);
        sources
            .folders
            .extend(registries.into_iter().map(|folder| named(remap::REGISTRY, folder)));

        let rustc = env.non_empty(env::RUSTC).unwrap_or_else(|| "rustc".into());
        let said = |args: &[&str]| -> anyhow::Result<String> {
            let output = Command::new(&rustc)
                .args(args)
                .output()
                .context("failed to run rustc")?;
            Ok(String::from_utf8(output.stdout)?)
        };
        let version = said(&["-vV"])?;
        let commit = version.lines().find_map(|line| line.strip_prefix("commit-hash: "));
        let library = Path::new(said(&["--print=sysroot"])?.trim_end()).join("lib/rustlib/src/rust");
        match commit {
            Some(commit) if library.is_dir() => sources.folders.push((format!("/rustc/{commit}"), library)),
            Some(_) => sources
                .missing
                .push("the standard library's sources are not there: `rustup component add rust-src`".into()),
            None => {}
        }

        let target = context.target_dir();
        let out_dirs = target.iter().flat_map(|target| out_dirs(target));
        sources
            .folders
            .extend(out_dirs.map(|folder| named(remap::OUT_DIR, folder)));
        // The rest of such a name would be a command of its own, and build scripts choose names.
        sources
            .folders
            .retain(|(_, folder)| !folder.to_string_lossy().contains(char::is_control));
        Ok(sources)
    }

    /// gdb goes by the first rule that fits and asks no further, so each name gets one; what build scripts wrote lies in
    /// many folders, which are searched by file name.
    fn gdb(&self) -> String {
        let mut text = self.comments();
        let mut named = vec![];
        for (name, folder) in &self.folders {
            if name == remap::OUT_DIR {
                text.push_str(&format!("directory {}\n", gdb_word(folder)));
            } else if !named.contains(&name) {
                text.push_str(&format!("set substitute-path {name} {}\n", gdb_word(folder)));
                named.push(name);
            }
        }
        text
    }

    /// lldb tries each rule until there is a file.
    fn lldb(&self) -> String {
        let mut text = self.comments();
        for (name, folder) in &self.folders {
            text.push_str(&format!(
                "settings append target.source-map {name} {}\n",
                quoted(folder)
            ));
        }
        text
    }

    fn comments(&self) -> String {
        self.missing.iter().map(|missing| format!("# {missing}\n")).collect()
    }
}

/// Both debuggers know double quotes, with backslashes before what would end them.
fn quoted(folder: &Path) -> String {
    let text = folder.to_string_lossy();
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn gdb_word(folder: &Path) -> String {
    let text = folder.to_string_lossy();
    if text.contains([' ', '"', '\'', '\\']) {
        quoted(folder)
    } else {
        text.into_owned()
    }
}

/// The folders of unpacked packages, that of crates.io first.
fn registries(env: &Env) -> Vec<PathBuf> {
    let home = env
        .absolute_path(env::CARGO_HOME)
        .or_else(|| Some(env.absolute_path(env::HOME)?.join(".cargo")));
    let entries = home.and_then(|home| fs_err::read_dir(home.join("registry/src")).ok());
    let mut folders: Vec<_> = entries
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_dir())
        .collect();
    let id = remap::REGISTRY.rsplit('/').next().unwrap_or_default();
    folders.sort_by_key(|folder| (!folder.to_string_lossy().ends_with(id), folder.clone()));
    folders
}

/// What build scripts wrote, wherever this version of cargo puts it.
fn out_dirs(target: &Path) -> Vec<PathBuf> {
    let is_out_dir = |path: &Path| {
        path.ends_with("out")
            && path.ancestors().skip(1).take(3).any(|above| above.ends_with("build"))
            && fs_err::read_dir(path).is_ok_and(|mut entries| entries.next().is_some())
    };
    let entries = walkdir::WalkDir::new(target)
        .max_depth(MAX_DEPTH)
        .sort_by_file_name()
        .into_iter();
    let folders = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_dir());
    folders
        .map(walkdir::DirEntry::into_path)
        .filter(|path| is_out_dir(path))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources() -> Sources {
        let named = |name: &str, folder: &str| (name.to_owned(), PathBuf::from(folder));
        Sources {
            folders: vec![
                named(remap::REGISTRY, "/home/u/.cargo/registry/src/one"),
                named(remap::REGISTRY, "/home/u/.cargo/registry/src/two"),
                named("/rustc/abc", "/rust/lib/rustlib/src/rust"),
                named(remap::OUT_DIR, "/t/debug/build/a-1/out"),
                named(remap::OUT_DIR, "/t/debug/build/b-1/out"),
            ],
            missing: vec![],
        }
    }

    #[test]
    fn gdb_gets_one_rule_for_each_name() {
        insta::assert_snapshot!(sources().gdb(), @r"
        set substitute-path /cargo/registry/1949cf8c6b5b557f /home/u/.cargo/registry/src/one
        set substitute-path /rustc/abc /rust/lib/rustlib/src/rust
        directory /t/debug/build/a-1/out
        directory /t/debug/build/b-1/out
        ");
    }

    #[test]
    fn lldb_gets_them_all() {
        insta::assert_snapshot!(sources().lldb(), @r#"
        settings append target.source-map /cargo/registry/1949cf8c6b5b557f "/home/u/.cargo/registry/src/one"
        settings append target.source-map /cargo/registry/1949cf8c6b5b557f "/home/u/.cargo/registry/src/two"
        settings append target.source-map /rustc/abc "/rust/lib/rustlib/src/rust"
        settings append target.source-map /cargo/out-dir "/t/debug/build/a-1/out"
        settings append target.source-map /cargo/out-dir "/t/debug/build/b-1/out"
        "#);
    }

    #[test]
    fn odd_folders_are_quoted() {
        let sources = Sources {
            folders: vec![("/rustc/abc".into(), r#"/a b/c"d\e"#.into())],
            missing: vec![],
        };
        assert_eq!(sources.gdb(), "set substitute-path /rustc/abc \"/a b/c\\\"d\\\\e\"\n");
        let lldb = "settings append target.source-map /rustc/abc \"/a b/c\\\"d\\\\e\"\n";
        assert_eq!(sources.lldb(), lldb);
    }

    #[test]
    fn what_is_missing_is_a_comment() {
        let sources = Sources {
            missing: vec!["get it".into()],
            ..Sources::default()
        };
        assert_eq!(sources.gdb(), "# get it\n");
    }

    #[test]
    fn out_dirs_are_found_in_both_layouts() {
        let target = tempfile::tempdir().unwrap();
        for folder in [
            "debug/build/a-1/out",
            "debug/build/b/2/out",
            "debug/build/c-1/out",
            "debug/out",
        ] {
            fs_err::create_dir_all(target.path().join(folder)).unwrap();
        }
        for file in ["debug/build/a-1/out/x.rs", "debug/build/b/2/out/x.rs", "debug/out/x.rs"] {
            fs_err::write(target.path().join(file), "").unwrap();
        }
        let found = out_dirs(target.path());
        assert_eq!(
            found,
            ["debug/build/a-1/out", "debug/build/b/2/out"].map(|path| target.path().join(path))
        );
    }

    #[test]
    fn the_folder_of_crates_io_comes_first() {
        let home = tempfile::tempdir().unwrap();
        for name in ["a-0000000000000000", "z-1949cf8c6b5b557f"] {
            fs_err::create_dir_all(home.path().join("registry/src").join(name)).unwrap();
        }
        let env = Env::made_up([(env::CARGO_HOME, home.path())]);
        assert!(registries(&env)[0].ends_with("z-1949cf8c6b5b557f"));
    }
}
