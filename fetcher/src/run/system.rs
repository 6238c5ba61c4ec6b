//! What of this system decides what a build script's run gives, asked as the script would ask.
//!
//! Owns the answers, which are in the key, and the refusal where the script would take something of the system, so that
//! its run is this machine's own. Starts no compiler.
//! Must not know which script asks what: the reviewed list says it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fs_err as fs;
use sealift_policy::digest::Digest;
use sealift_policy::reviewed::{self, Question, Reviewed, SystemLibrary};

use super::{NoRun, c_compiler};
use crate::env::{self, Env};
use crate::store::Store;
use crate::tree;

/// The answers to what a script asks.
pub(super) fn answers(
    store: &Store,
    reviewed: &Reviewed,
    target: Option<&str>,
) -> Result<BTreeMap<String, String>, NoRun> {
    let env = Env::process();
    let mut answers = BTreeMap::new();
    for question in reviewed.questions() {
        let answer = match question {
            Question::CCompiler => c_compiler::here(store, &env).map_or("none".into(), |compiler| compiler.family),
            Question::Header(name) => content_of(name, &include_folders(&env, target, name)?)?,
            Question::SystemLibrary(library) => system_library(library, &env, target)?,
            Question::Module { name, taken_with } => module(name, taken_with)?,
        };
        answers.insert(question.to_string(), answer);
    }
    Ok(answers)
}

/// What is said of a header that is not there.
const ABSENT: &str = "absent";

/// The folders in which the C compiler of a distribution looks for a header, in its order.
fn include_folders(env: &Env, target: Option<&str>, name: &str) -> Result<[PathBuf; 3], NoRun> {
    // One that lies elsewhere may look elsewhere.
    let is_of_distribution = |program: &Path| ["/usr/bin", "/bin"].iter().any(|bin| program.starts_with(bin));
    if !c_compiler::program(env).is_some_and(|program| is_of_distribution(&program)) {
        return Err(NoRun::System(format!("`{name}`")));
    }
    Ok([
        PathBuf::from("/usr/local/include"),
        Path::new("/usr/include").join(platform(target)),
        PathBuf::from("/usr/include"),
    ])
}

/// Debian's name of the platform, as in `x86_64-linux-gnu`.
fn platform(target: Option<&str>) -> String {
    let target = target.unwrap_or_default();
    let (architecture, rest) = target.split_once("-unknown").unwrap_or((target, ""));
    let architecture = match architecture {
        "i586" | "i686" => "i386",
        "riscv64gc" => "riscv64",
        other => other,
    };
    format!("{architecture}{rest}")
}

/// The folders in which the linker of a distribution looks for a library, each once. Those of the compiler itself hold none
/// of a distribution's. For other processors nobody has looked.
fn library_folders(target: Option<&str>) -> Option<Vec<PathBuf>> {
    const LOOKED_AT: [&str; 2] = ["aarch64-linux-gnu", "x86_64-linux-gnu"];
    let platform = platform(target);
    if !LOOKED_AT.contains(&platform.as_str()) {
        return None;
    }
    let mut folders: Vec<PathBuf> = vec![];
    for folder in ["/usr/local/lib", "/usr/lib", "/lib"] {
        for folder in [
            Path::new(folder).join(&platform),
            folder.into(),
            format!("{folder}64").into(),
        ] {
            if let Ok(folder) = fs::canonicalize(folder)
                && !folders.contains(&folder)
            {
                folders.push(folder);
            }
        }
    }
    Some(folders)
}

/// All that a script's trial can find of a library of this system, by content. Refused where pkg-config, or a variable that
/// compilers are told by, leads elsewhere.
fn system_library(library: &SystemLibrary, env: &Env, target: Option<&str>) -> Result<String, NoRun> {
    let SystemLibrary { name, module, headers } = library;
    let elsewhere = || NoRun::System(format!("the library `{module}`"));
    let folders = library_folders(target).ok_or_else(elsewhere)?;
    let mut variables = env::all().filter_map(|(variable, _)| variable.into_string().ok());
    if let Some(variable) = variables.find(|variable| reviewed::is_read_by_c_compilers(variable)) {
        return Err(NoRun::System(format!("what `{variable}` leads to")));
    }
    let mut found = vec![match ask_pkg_config(&["--libs", "--cflags", module])? {
        Said::NoProgram => "no pkg-config".into(),
        Said::Unknown => "unknown".into(),
        Said::Flags(flags) => of_system(&flags).ok_or_else(elsewhere)?,
    }];
    for header in headers {
        let content = content_of(header, &include_folders(env, target, header)?)?;
        found.push(format!("{header} {content}"));
    }
    found.extend(libraries(name, &folders)?);
    Ok(found.join(", "))
}

/// Every library of this name that lies in these folders.
fn libraries(name: &str, folders: &[PathBuf]) -> Result<Vec<String>, NoRun> {
    let files = [format!("lib{name}.so"), format!("lib{name}.a")];
    let paths = folders
        .iter()
        .flat_map(|folder| files.iter().map(|file| folder.join(file)));
    let contents = paths.filter(|path| path.is_file()).map(|path| {
        let content = fs::read(&path).map_err(NoRun::Unreadable)?;
        Ok(format!("{} {}", path.display(), Digest::of(&content)))
    });
    contents.collect()
}

/// What pkg-config says of a library, if it lies where compilers look by themselves.
fn of_system(flags: &str) -> Option<String> {
    let flags: Vec<&str> = flags.split_ascii_whitespace().collect();
    let is_of_system = |flag: &&str| {
        let is_name = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.+".contains(c));
        *flag == "-I/usr/include" || flag.strip_prefix("-l").is_some_and(is_name)
    };
    flags.iter().all(is_of_system).then(|| flags.join(" "))
}

/// Where a header is found.
fn header(name: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let mut candidates = folders.iter().map(|folder| folder.join(name));
    candidates.find(|path| path.is_file())
}

/// The digest of a header, or of a folder of headers wherever there is a part of it: the first that has a header counts.
fn content_of(name: &str, folders: &[PathBuf]) -> Result<String, NoRun> {
    if !name.ends_with('/') {
        return header(name, folders).map_or(Ok(ABSENT.into()), |path| {
            let content = fs::read(path).map_err(NoRun::Unreadable)?;
            Ok(Digest::of(&content).to_string())
        });
    }
    let parts = folders.iter().map(|folder| folder.join(name)).map(|part| {
        if !part.is_dir() {
            return Ok(ABSENT.into());
        }
        let tree = tree::digest(&part, &[]).map_err(NoRun::Unreadable)?;
        Ok(tree.digest.to_string())
    });
    Ok(parts.collect::<Result<Vec<String>, NoRun>>()?.join(" "))
}

/// Whether pkg-config knows a module that the script would take.
fn module(name: &str, taken_with: Option<&str>) -> Result<String, NoRun> {
    let flags = match ask_pkg_config(&["--cflags-only-I", name])? {
        Said::NoProgram => return Ok("no pkg-config".into()),
        Said::Unknown => return Ok("unknown".into()),
        Said::Flags(flags) => flags,
    };
    let is_taken = taken_with.is_none_or(|header| {
        let folders = flags
            .split_ascii_whitespace()
            .filter_map(|flag| flag.strip_prefix("-I"));
        // What is escaped may be anything.
        flags.contains(['\\', '"', '\'']) || folders.map(Path::new).any(|folder| folder.join(header).exists())
    });
    if is_taken {
        Err(NoRun::System(format!("the library `{name}`")))
    } else {
        Ok("not taken".into())
    }
}

/// What pkg-config answers.
enum Said {
    NoProgram,
    Unknown,
    Flags(String),
}

/// Asks as the `pkg-config` crate does when it is told nothing.
fn ask_pkg_config(args: &[&str]) -> Result<Said, NoRun> {
    let is_told = |variable: &str| {
        let variable = ["HOST_", "TARGET_"]
            .iter()
            .find_map(|side| variable.strip_prefix(side))
            .unwrap_or(variable);
        variable.starts_with("PKG_CONFIG")
    };
    let mut variables = env::all().filter_map(|(variable, _)| variable.into_string().ok());
    if let Some(variable) = variables.find(|variable| is_told(variable)) {
        return Err(NoRun::System(format!("what `{variable}` leads to")));
    }
    for program in ["pkg-config", "pkgconf"] {
        let asked = Command::new(program)
            .args(args)
            .env("PKG_CONFIG_ALLOW_SYSTEM_CFLAGS", "1")
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output();
        let Ok(said) = asked else { continue };
        return Ok(if said.status.success() {
            Said::Flags(String::from_utf8_lossy(&said.stdout).into_owned())
        } else {
            Said::Unknown
        });
    }
    Ok(Said::NoProgram)
}

#[cfg(test)]
mod tests {
    use super::*;

    // What is linked elsewhere would be another library than the one whose content is in the key.
    #[test]
    fn a_library_that_pkg_config_finds_elsewhere_is_not_the_system_s() {
        assert_eq!(of_system("-I/usr/include  -lz \n"), Some("-I/usr/include -lz".into()));
        assert_eq!(of_system(""), Some(String::new()));
        for flags in [
            "-I/opt/zlib/include -lz",
            "-L/opt/zlib/lib -lz",
            "-lz -Wl,-rpath,/opt",
            "-I/usr/include\\ x",
            "-l/opt/libz.a",
            "-DX",
        ] {
            assert_eq!(of_system(flags), None, "{flags}");
        }
    }

    #[test]
    fn a_library_counts_by_content_and_by_where_it_lies() {
        let system = tempfile::tempdir().unwrap();
        let folders = ["platform", "general"].map(|folder| system.path().join(folder));
        let write = |folder: &PathBuf, name: &str, content: &str| {
            fs::create_dir_all(folder).unwrap();
            fs::write(folder.join(name), content).unwrap();
        };
        let said = || libraries("z", &folders).unwrap().join(", ");
        assert_eq!(said(), "");
        let mut all = vec![said()];
        write(&folders[1], "libz.so", "one");
        all.push(said());
        write(&folders[1], "libz.so", "two");
        all.push(said());
        write(&folders[1], "libz.a", "two");
        all.push(said());
        fs::remove_file(folders[1].join("libz.so")).unwrap();
        all.push(said());
        write(&folders[0], "libz.a", "two");
        all.push(said());
        let before = said();
        write(&folders[0], "libzother.so", "two");
        assert_eq!(said(), before, "no other library counts");
        all.sort();
        let different = all.len();
        all.dedup();
        assert_eq!(all.len(), different);
    }

    #[test]
    fn the_folders_of_libraries_are_those_of_processors_that_were_looked_at() {
        let folders = library_folders(Some("x86_64-unknown-linux-gnu")).unwrap();
        let mut once = folders.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), folders.len());
        for target in [
            "i686-unknown-linux-gnu",
            "riscv64gc-unknown-linux-gnu",
            "x86_64-unknown-linux-gnux32",
            "",
        ] {
            assert_eq!(library_folders(Some(target)), None, "{target}");
        }
        assert_eq!(platform(Some("i686-unknown-linux-gnu")), "i386-linux-gnu");
        assert_eq!(platform(Some("riscv64gc-unknown-linux-gnu")), "riscv64-linux-gnu");
    }

    #[test]
    fn a_folder_of_headers_counts_by_all_that_is_in_it_and_by_which_is_found_first() {
        let system = tempfile::tempdir().unwrap();
        let folders = ["local", "platform", "general"].map(|folder| system.path().join(folder));
        let write = |folder: &PathBuf, name: &str, content: &str| {
            fs::create_dir_all(folder.join("openssl")).unwrap();
            fs::write(folder.join("openssl").join(name), content).unwrap();
        };
        let said = || content_of("openssl/", &folders).unwrap();
        let mut all = vec![said()];
        write(&folders[2], "ssl.h", "one");
        all.push(said());
        assert_eq!(said(), said());
        write(&folders[2], "ssl.h", "two");
        all.push(said());
        write(&folders[2], "opensslv.h", "");
        all.push(said());
        write(&folders[1], "opensslconf.h", "");
        all.push(said());
        // In front of the others.
        write(&folders[0], "ssl.h", "two");
        all.push(said());
        all.push(content_of("openssl/ssl.h", &folders).unwrap());
        all.push(content_of("openssl/none.h", &folders).unwrap());
        all.sort();
        let different = all.len();
        all.dedup();
        assert_eq!(all.len(), different);
        // Nobody knows what a link leads to tomorrow.
        std::os::unix::fs::symlink("ssl.h", folders[2].join("openssl/link.h")).unwrap();
        assert!(matches!(content_of("openssl/", &folders), Err(NoRun::Unreadable(_))));
    }
}
