//! Where a path of a run lies, told so that it means the same in runs at other places.
//!
//! Owns the kinds of places. Must not know which of them matter.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};

/// What kind of folder a path is in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Root {
    /// The package's own sources.
    Package,
    /// The script's `OUT_DIR`.
    OutDir,
    /// `/tmp`, which is empty at first and gone afterwards.
    Scratch,
    /// The Rust toolchain.
    Toolchain,
    /// Another package's sources.
    OtherPackage,
    /// Another package's part of cargo's build folder, such as its script's `OUT_DIR`.
    OtherBuild,
    /// What else belongs to the build: the script itself, cargo's home, folders above.
    Build,
    /// The machine.
    System,
}

/// A file or folder: where, and its path from there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Where.
    pub root: Root,
    /// Relative, but for the machine's.
    pub path: String,
}

/// Where things lie in one run.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// Folders without their last slash.
    pub package: String,
    /// `OUT_DIR`.
    pub out_dir: String,
    /// The toolchain's sysroot.
    pub toolchain: String,
    /// Everything of the pass.
    pub pass: String,
    /// The folders in which programs are looked for.
    pub search: Vec<String>,
    /// The folders in which the loader looks for libraries, because cargo says so.
    pub libraries: Vec<String>,
    /// Links that stand for programs of the machine.
    pub links: BTreeMap<String, String>,
}

impl Places {
    /// Where an absolute path lies.
    pub fn place(&self, path: &str) -> Place {
        let path = cleaned(path);
        let path = self.links.get(&path).unwrap_or(&path);
        let roots = [
            (&self.out_dir, Root::OutDir),
            (&self.package, Root::Package),
            (&self.toolchain, Root::Toolchain),
        ];
        for (folder, root) in roots {
            if let Some(path) = below(path, folder) {
                return Place { root, path };
            }
        }
        if let Some(inside) = below(path, &self.pass) {
            return of_pass(inside);
        }
        // `/tmp` may hold the pass, too.
        match below(path, "/tmp") {
            Some(path) if !is_above(path.as_str(), &self.pass) => Place {
                root: Root::Scratch,
                path,
            },
            Some(path) => Place {
                root: Root::Build,
                path,
            },
            None => Place {
                root: Root::System,
                path: path.clone(),
            },
        }
    }

    /// The program that a path names, where a program is looked for.
    pub fn program_looked_for<'a>(&self, path: &'a str) -> Option<&'a str> {
        let (folder, name) = path.rsplit_once('/')?;
        let is_searched = self
            .search
            .iter()
            .any(|searched| searched.trim_end_matches('/') == folder);
        (is_searched && !name.is_empty()).then_some(name)
    }

    /// Whether the loader looks there for libraries, at the start of each program.
    pub fn is_searched_for_libraries(&self, path: &str) -> bool {
        let is_build = self.place(path).root == Root::Build;
        is_build && self.libraries.iter().any(|folder| below(path, folder).is_some())
    }

    /// Whether a folder is above one that the build itself gave the script; to resolve links each is looked at.
    pub fn is_on_the_way(&self, path: &str) -> bool {
        let given = [&self.package, &self.out_dir, &self.toolchain, &self.pass];
        let searched = self.search.iter();
        given
            .into_iter()
            .chain(searched)
            .any(|folder| below(folder, path).is_some())
            || path == "/"
    }
}

/// Of what lies in a pass's folder.
fn of_pass(inside: String) -> Place {
    if let Some((_, rest)) = inside
        .split_once("/build/")
        .filter(|(target, _)| target.starts_with("target"))
    {
        let (folder, rest) = rest.split_once('/').unwrap_or((rest, ""));
        if !rest.is_empty() {
            let package = folder.rsplit_once('-').map_or(folder, |(package, _)| package);
            return Place {
                root: Root::OtherBuild,
                path: format!("{package}/{rest}"),
            };
        }
    }
    let source = inside
        .strip_prefix("cargo-home/registry/src/")
        .and_then(|rest| rest.split_once('/'));
    match source {
        Some((_, path)) => Place {
            root: Root::OtherPackage,
            path: path.to_owned(),
        },
        None => Place {
            root: Root::Build,
            path: inside,
        },
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let root = match self.root {
            Root::Package => "PACKAGE",
            Root::OutDir => "OUT_DIR",
            Root::Scratch => "/tmp",
            Root::Toolchain => "RUST",
            Root::OtherPackage => "SOURCES",
            Root::OtherBuild => "BUILD",
            Root::Build => "PASS",
            Root::System => return f.write_str(&self.path),
        };
        match self.path.as_str() {
            "" => f.write_str(root),
            path => write!(f, "{root}/{path}"),
        }
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn below(path: &str, folder: &str) -> Option<String> {
    if folder.is_empty() {
        return None;
    }
    let rest = path.strip_prefix(folder)?;
    match rest.strip_prefix('/') {
        Some(rest) => Some(rest.to_owned()),
        None => rest.is_empty().then(String::new),
    }
}

fn is_above(below_tmp: &str, folder: &str) -> bool {
    let path = if below_tmp.is_empty() {
        "/tmp".to_owned()
    } else {
        format!("/tmp/{below_tmp}")
    };
    below(folder, &path).is_some()
}

/// Without `.`, `..` and double slashes, and without the numbers of processes.
fn cleaned(path: &str) -> String {
    let mut parts: Vec<&str> = vec![];
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part if parts == ["proc"] && part.bytes().all(|byte| byte.is_ascii_digit()) => parts.push("self"),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(pass: &str) -> Places {
        Places {
            package: format!("{pass}/cargo-home/registry/src/id/ring-0.17.14"),
            out_dir: format!("{pass}/target/debug/build/ring-1234/out"),
            toolchain: "/rust/stable".to_owned(),
            pass: pass.to_owned(),
            search: vec!["/usr/bin".to_owned(), "/tools/".to_owned()],
            libraries: vec![format!("{pass}/target/debug")],
            links: [("/tools/cc".to_owned(), "/usr/bin/cc".to_owned())].into(),
        }
    }

    #[test]
    fn places_mean_the_same_wherever_a_pass_lies() {
        for pass in ["/tmp/w/a", "/home/x/second-pass"] {
            let places = places(pass);
            let shown = |path: &str| places.place(path).to_string();
            let source = |path: &str| shown(&format!("{pass}/cargo-home/registry/src/id/{path}"));
            assert_eq!(source("ring-0.17.14/crypto/../build.rs"), "PACKAGE/build.rs");
            assert_eq!(source("cc-1.2.0/src/lib.rs"), "SOURCES/cc-1.2.0/src/lib.rs");
            assert_eq!(
                shown(&format!("{pass}/target/debug/build/ring-1234/out/x.o")),
                "OUT_DIR/x.o"
            );
            assert_eq!(
                shown(&format!("{pass}/target/debug/build/libz-sys-9/out/zlib.h")),
                "BUILD/libz-sys/out/zlib.h"
            );
            assert_eq!(
                shown(&format!("{pass}/cargo-home/config.toml")),
                "PASS/cargo-home/config.toml"
            );
            assert_eq!(shown("/rust/stable/bin/rustc"), "RUST/bin/rustc");
            assert_eq!(shown("/tmp/cc12.s"), "/tmp/cc12.s");
            assert_eq!(places.place("/tmp/cc12.s").root, Root::Scratch);
            assert_eq!(shown("/proc/77/maps"), "/proc/self/maps");
            assert_eq!(shown("/tools/cc"), "/usr/bin/cc");
            assert!(places.is_searched_for_libraries(&format!("{pass}/target/debug/deps/tls/x86_64")));
            assert!(!places.is_searched_for_libraries(&format!("{pass}/target/debug/build/z-9/out/x")));
            assert!(places.is_on_the_way(pass) && places.is_on_the_way("/usr") && !places.is_on_the_way("/etc"));
        }
        assert_eq!(places("/tmp/w/a").place("/tmp/w").root, Root::Build);
    }

    #[test]
    fn programs_are_looked_for_in_the_search_path_only() {
        let places = places("/w");
        assert_eq!(places.program_looked_for("/usr/bin/cmake"), Some("cmake"));
        assert_eq!(places.program_looked_for("/tools/cmake"), Some("cmake"));
        assert_eq!(places.program_looked_for("/usr/lib/gcc/cc1"), None);
    }
}
