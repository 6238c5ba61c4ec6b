//! What a build script printed, as far as a shared run may print it.
//!
//! Owns which instructions a shared run may give cargo, and what they may name: files of its own package and of its own
//! `OUT_DIR`, in canonical spelling. Others can use nothing else; and nobody gets a linker argument, or an instruction
//! that this program does not know, from a stranger. Read as cargo reads it (`custom_build.rs`), in both forms.
//! Must not know where things lie on any machine.

use std::collections::BTreeSet;

use crate::remap::OUT_DIR;

/// What a run told cargo.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Instructions {
    /// Variables that it declares by `rerun-if-env-changed`.
    pub env: BTreeSet<String>,
}

/// Why a run is not shared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotShared {
    /// Bytes that cargo skips, and a person would not see.
    #[error("it prints what is not UTF-8")]
    NotUtf8,
    /// An instruction that no shared run may give, or that nobody knows.
    #[error("it prints the instruction `{0}`")]
    Instruction(String),
    /// A path that others do not have.
    #[error("it names `{0}`, which others do not have")]
    Path(String),
    /// It asks to be run every time.
    #[error("it asks to be run each time, by `rerun-if-changed={0}`")]
    Always(String),
}

/// Instructions whose value means nothing but itself.
const PLAIN: [&str; 4] = ["rustc-link-lib", "rustc-cfg", "rustc-check-cfg", "metadata"];

/// Beginnings of the names of variables that load code into the compiler, the linker or us, or steer them. A script may
/// set others for its package's `env!`.
const STEERING: [&str; 16] = [
    "CARGO",
    "COLLECT_",
    "COMPILER_PATH",
    "GCC_",
    "GCONV_",
    "GLIBC_TUNABLES",
    "HOME",
    "LD_",
    "LIBRARY_PATH",
    "LOCPATH",
    "NLSPATH",
    "PATH",
    "RUST",
    "SEALIFT",
    "TMPDIR",
    "XDG_",
];

/// Instructions of the old form that are not metadata; what is not among them is, as for cargo.
const REFUSED: [&str; 12] = [
    "error",
    "rustc-cdylib-link-arg",
    "rustc-flags",
    "rustc-link-arg",
    "rustc-link-arg-bin",
    "rustc-link-arg-bins",
    "rustc-link-arg-benches",
    "rustc-link-arg-cdylib",
    "rustc-link-arg-examples",
    "rustc-link-arg-tests",
    "rustc-linker",
    "rustc-wrapper",
];

/// What of a script's output cargo reads. The rest is for people who run `cargo build -vv`, and says much of the machine.
pub fn instructions_in(text: &str) -> String {
    // A line's end may be one or several of these before the line break, or at the very end without one.
    let lines = text.lines().map(|line| line.trim_end_matches('\r'));
    let instructions = lines.filter(|line| line.trim().starts_with("cargo:"));
    // Which file or variable is named first, and how often, means nothing to cargo. It may be how a folder is read, or
    // which of several compilers ended first.
    let is_declared = |line: &&str| {
        let line = line.trim();
        let instruction = line.strip_prefix("cargo::").or_else(|| line.strip_prefix("cargo:"));
        instruction.is_some_and(|instruction| {
            let mut declarations = ["rerun-if-changed=", "rerun-if-env-changed="].iter();
            declarations.any(|declaration| instruction.starts_with(declaration))
        })
    };
    let (mut declared, others): (Vec<_>, Vec<_>) = instructions.partition(is_declared);
    declared.sort_unstable();
    declared.dedup();
    declared
        .into_iter()
        .chain(others)
        .flat_map(|line| [line, "\n"])
        .collect()
}

/// Reads what a run printed, with canonical paths; `package` is the package's canonical folder.
pub fn check(output: &[u8], package: &str) -> Result<Instructions, NotShared> {
    let text = std::str::from_utf8(output).map_err(|_| NotShared::NotUtf8)?;
    let mut instructions = Instructions::default();
    for line in text.lines() {
        let line = line.trim();
        let (is_new, instruction) = match (line.strip_prefix("cargo::"), line.strip_prefix("cargo:")) {
            (Some(instruction), _) => (true, instruction),
            (None, Some(instruction)) => (false, instruction),
            (None, None) => (true, line),
        };
        let refused = || NotShared::Instruction(line.chars().take(120).flat_map(char::escape_debug).collect());
        let (name, value) = instruction.split_once('=').ok_or_else(refused)?;
        // Words for people, which nothing reads.
        if name == "warning" {
            continue;
        }
        check_paths(line, package)?;
        match name {
            "rerun-if-env-changed" => drop(instructions.env.insert(value.to_owned())),
            "rerun-if-changed" if is_file_of_package(value, package) => {}
            "rerun-if-changed" => return Err(NotShared::Always(value.to_owned())),
            "rustc-link-search" => {
                let path = value.split_once('=').map_or(value, |(_, path)| path);
                if !is_below(path, OUT_DIR) {
                    return Err(NotShared::Path(path.to_owned()));
                }
            }
            "rustc-env" if STEERING.iter().any(|name| value.starts_with(name)) => return Err(refused()),
            "rustc-env" => {}
            name if PLAIN.contains(&name) => {}
            name if is_new || REFUSED.contains(&name) || name.starts_with("rustc-link-arg") => return Err(refused()),
            // Metadata of the old form.
            _ => {}
        }
        let names_files = !matches!(name, "rerun-if-env-changed" | "rerun-if-changed" | "rustc-link-search")
            // Where every Linux has its headers, which is all that it means to say so.
            && (is_new || (name, value) != ("include", "/usr/include"));
        if names_files && let Some(path) = foreign_path(value, package) {
            return Err(NotShared::Path(path.to_owned()));
        }
    }
    Ok(instructions)
}

/// A relative path inside the package, or an absolute one below its canonical folder. An empty one, one that climbs out
/// and one in `OUT_DIR` make cargo run the script each time, or for another checkout's sake.
fn is_file_of_package(path: &str, package: &str) -> bool {
    let below = path.strip_prefix(package).and_then(|path| path.strip_prefix('/'));
    let relative = below.unwrap_or(path);
    !relative.is_empty() && !relative.starts_with('/') && relative.split('/').all(|part| part != "..")
}

fn is_below(path: &str, folder: &str) -> bool {
    let below = path.strip_prefix(folder);
    below.is_some_and(|below| (below.is_empty() || below.starts_with('/')) && below.split('/').all(|part| part != ".."))
}

/// An absolute path in a value, alone or in a list, after a name or a compiler's option, that is not of the package or
/// `OUT_DIR`.
fn foreign_path<'a>(value: &'a str, package: &str) -> Option<&'a str> {
    let separates = |c: char| !(c.is_alphanumeric() || "._-+@~/".contains(c));
    value.split(separates).find(|word| {
        // After an option (`-I/x`), a file of arguments (`@/x`) or a home (`~/x`): what begins there.
        let is_attached = word.starts_with(['-', '@', '~']);
        let path = word
            .find('/')
            .filter(|at| *at == 0 || is_attached)
            .map(|at| &word[at..]);
        let is_ours = |path| is_below(path, OUT_DIR) || is_below(path, package);
        path.is_some_and(|path| !is_ours(path)) || word.split('/').any(|part| part == "..")
    })
}

/// Every canonical path in a line must be one that each machine can spell: of the run's own package or `OUT_DIR`.
fn check_paths(line: &str, package: &str) -> Result<(), NotShared> {
    let mut rest = line;
    while let Some(at) = rest.find("/cargo/") {
        let path = &rest[at..];
        let is_whole = |folder: &str| {
            let after = path.strip_prefix(folder).map(|after| after.chars().next());
            after.is_some_and(|next| next.is_none_or(|next| !(next.is_alphanumeric() || "-_.".contains(next))))
        };
        if !is_whole(OUT_DIR) && !is_whole(package) {
            let end = path.find(|c: char| c.is_whitespace()).unwrap_or(path.len());
            return Err(NotShared::Path(path[..end].to_owned()));
        }
        rest = &path["/cargo/".len()..];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKAGE: &str = "/cargo/registry/1949cf8c6b5b557f/ring-0.17.14";

    fn verdict(line: &str) -> Result<Instructions, NotShared> {
        check(line.as_bytes(), PACKAGE)
    }

    #[test]
    fn what_native_libraries_say_is_shared() {
        let text = format!(
            "cargo:rerun-if-env-changed=CC\ncargo::rerun-if-env-changed=CFLAGS\n\
             cargo:rerun-if-changed=crypto/x.c\ncargo:rerun-if-changed={PACKAGE}/build.rs\n\
             cargo:rustc-link-search=native=/cargo/out-dir\ncargo::rustc-link-search=/cargo/out-dir/lib\n\
             cargo:rustc-link-lib=static=ring_core\ncargo:root=/cargo/out-dir\ncargo:include={PACKAGE}/include\n\
             cargo:include=/usr/include\ncargo::metadata=version=1\n\
             cargo:rustc-env=X=/cargo/out-dir/x\n\
             cargo:include=/cargo/out-dir/include;{PACKAGE}/include\ncargo:cflags=-I/cargo/out-dir/include a/b\ncargo::rustc-check-cfg=cfg(x)\n\
             cargo:warning=CFLAGS: -ffile-prefix-map=/cargo/registry/1=/cargo/registry/1\n"
        );
        let instructions = verdict(&text).unwrap();
        assert_eq!(instructions.env, ["CC", "CFLAGS"].map(String::from).into());
    }

    #[test]
    fn what_people_read_is_left_out() {
        let text = "OPT_LEVEL = Some(0)\ncargo:rustc-cfg=a\r\nrunning cc\n  cargo::rustc-cfg=b";
        assert_eq!(instructions_in(text), "cargo:rustc-cfg=a\n  cargo::rustc-cfg=b\n");
        // What was kept once is kept as it is.
        for end in ["\r", "\r\r\n", "\r\n", ""] {
            assert_eq!(instructions_in(&format!("cargo:x=y{end}")), "cargo:x=y\n");
        }
        // The order in which a folder is read is not the same everywhere.
        let read = |files: [&str; 2]| files.map(|file| format!("cargo:rerun-if-changed={file}\n")).concat();
        assert_eq!(instructions_in(&read(["b", "a"])), read(["a", "b"]));
        // Nor is that in which compilers beside each other ask for variables, and how often they do.
        let asked = |names: &[&str]| {
            let lines = names.iter().map(|name| format!("cargo:rerun-if-env-changed={name}\n"));
            lines.collect::<String>()
        };
        assert_eq!(
            instructions_in(&asked(&["CC", "AR", "CC", "AR", "CC"])),
            asked(&["AR", "CC"])
        );
        // Of all others the order means something: the last value of a variable counts.
        let in_order = "cargo:rustc-env=A=1\ncargo:rustc-env=A=rerun-if-changed=x\n";
        assert_eq!(instructions_in(in_order), in_order);
    }

    // S3
    #[test]
    fn a_run_that_asks_to_be_made_each_time_is_not_shared() {
        for path in ["", "/cargo/out-dir/x", "/does/not/exist", "../x", "src/../../x"] {
            assert!(verdict(&format!("cargo:rerun-if-changed={path}")).is_err(), "{path}");
        }
    }

    // S10
    #[test]
    fn a_search_path_outside_of_out_dir_is_not_shared() {
        for path in [
            "/usr/lib",
            "native=/usr/lib",
            "/cargo/out-dir/../x",
            "/cargo/out-directory",
            "lib",
        ] {
            assert!(verdict(&format!("cargo:rustc-link-search={path}")).is_err(), "{path}");
        }
    }

    // S19
    #[test]
    fn instructions_that_nobody_knows_or_that_reach_the_linker_are_not_shared() {
        for line in [
            "OPT_LEVEL = Some(0)",
            "cargo::made-up=1",
            "cargo::rustc-link-arg=-Wl,x",
            "cargo:rustc-link-arg-bins=x",
            "cargo:rustc-flags=-L /",
            "cargo::rustc-env=LD_PRELOAD=/cargo/out-dir/x.so",
            "cargo:rustc-env=SEALIFT_TRUST_ROOT=x",
            "cargo:rustc-env=XDG_CONFIG_HOME=/cargo/out-dir/c",
            "cargo:rustc-env=RUSTC_BOOTSTRAP=1",
            "cargo::error=x",
            "cargo::rerun-if-env-changed",
            "  cargo:rustc-cdylib-link-arg=x",
        ] {
            assert!(matches!(verdict(line), Err(NotShared::Instruction(_))), "{line}");
        }
        assert_eq!(check(b"cargo:x=\xff", PACKAGE), Err(NotShared::NotUtf8));
        assert!(verdict("cargo:made_up=metadata of the old form").is_ok());
    }

    #[test]
    fn paths_that_other_machines_cannot_spell_are_not_shared() {
        for path in [
            "/cargo/out-dir-of/abc/include",
            "/cargo/package/abc/include",
            "/cargo/registry/1949cf8c6b5b557f/other-1.0.0/include",
            "/cargo/registry/1949cf8c6b5b557f/ring-0.17.140",
            "/cargo/out",
            "/usr/include/openssl",
            "/usr/local/include",
        ] {
            assert!(verdict(&format!("cargo:include={path}")).is_err(), "{path}");
        }
        for line in [
            "cargo:root=/usr/include",
            "cargo::include=/usr/include",
            "include=/usr/include",
            "cargo:include=/usr/include:/opt/x",
            "cargo::metadata=include=/tmp/evil",
            "cargo::metadata=include=/cargo/out-dir/include,/tmp/evil",
            "cargo:cflags=-I/tmp/evil",
            "cargo:cflags=-DX -isystem/tmp/evil -I/cargo/out-dir",
            "cargo:cflags=\"/tmp/evil\"",
            "cargo:cflags=-iquote/tmp/evil",
            "cargo:cflags=-include/tmp/evil.h",
            "cargo:cflags=@/tmp/args",
            "cargo:root=~/x",
            "cargo:root=../../../tmp/x",
            "cargo:root=/cargo/out-dir/../../tmp",
        ] {
            assert!(verdict(line).is_err(), "{line}");
        }
    }
}
