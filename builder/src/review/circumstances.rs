//! In what the runs of a script differ.
//!
//! | run | other than in the first |
//! | --- | --- |
//! | `first` | |
//! | `again` | the time, and the number of jobs |
//! | `elsewhere` | all folders, and their lengths; the script was compiled there once more |
//! | `environment` | home, user, languages, time zone (and so the date), and variables that any machine may have |
//! | `programs` | programs that machines may not have are not in `PATH` |
//!
//! Pure. Must not know how a script is run.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};

use crate::passes::Which;

/// One run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Circumstances {
    /// The one to which all others are compared.
    First,
    /// The same again, later.
    Again,
    /// At other places.
    Elsewhere,
    /// With another environment.
    Environment,
    /// With fewer programs.
    Programs,
}

/// Programs that machines with a C compiler and Rust may lack.
pub const HIDDEN: [&str; 24] = [
    "autoconf",
    "automake",
    "bison",
    "ccache",
    "clang",
    "cmake",
    "curl",
    "flex",
    "git",
    "hg",
    "libtool",
    "llvm-config",
    "m4",
    "nasm",
    "ninja",
    "node",
    "perl",
    "pkg-config",
    "pkgconf",
    "python",
    "python3",
    "sccache",
    "wget",
    "yasm",
];

/// What a machine may have set without any thought of builds.
const STRANGE: [(&str, &str); 14] = [
    ("CI", "true"),
    ("COLORTERM", "truecolor"),
    ("CONDA_PREFIX", "/opt/conda"),
    ("DISPLAY", ":7"),
    ("EDITOR", "ed"),
    ("GITHUB_ACTIONS", "true"),
    ("HOSTNAME", "another-host"),
    ("MAIL", "/var/mail/somebody-else"),
    ("NO_COLOR", "1"),
    ("SHELL", "/bin/sh"),
    ("SSH_AUTH_SOCK", "/tmp/agent"),
    ("TERM", "xterm-256color"),
    ("VIRTUAL_ENV", "/opt/venv"),
    ("XDG_CACHE_HOME", "/tmp/another-cache"),
];

impl Circumstances {
    /// All, in the order in which they are run.
    pub const ALL: [Self; 5] = [
        Self::First,
        Self::Again,
        Self::Elsewhere,
        Self::Environment,
        Self::Programs,
    ];

    /// In what it is not the first one, for people.
    pub fn differ_in(self) -> &'static str {
        match self {
            Self::First => "nothing: the others are compared with it",
            Self::Again => "the time and the number of jobs",
            Self::Elsewhere => "all folders and their lengths",
            Self::Environment => "home, user, languages, time zone, date, other variables",
            Self::Programs => "programs that are not everywhere are hidden",
        }
    }

    /// The pass whose folders it has.
    pub fn pass(self) -> Which {
        match self {
            Self::Elsewhere => Which::Second,
            _ => Which::First,
        }
    }

    /// `NUM_JOBS`.
    pub fn jobs(self) -> u32 {
        match self {
            Self::Again => 5,
            _ => 2,
        }
    }

    /// Home folder, below `/tmp`.
    pub fn home(self) -> &'static str {
        match self {
            Self::Environment => "/tmp/another-home-folder",
            _ => "/tmp/home",
        }
    }

    /// The script's environment: what cargo said, with what belongs to this run. `path` is a `PATH` without
    /// [`HIDDEN`] programs.
    pub fn environment(self, recorded: &BTreeMap<String, String>, path: &str) -> BTreeMap<String, String> {
        let mut environment = recorded.clone();
        let mut set = |name: &str, value: &str| drop(environment.insert(name.to_owned(), value.to_owned()));
        let (user, zone, language) = match self {
            // 26 hours apart: it is never the same day in both.
            Self::Environment => ("somebody-else", "Pacific/Kiritimati", "C.UTF-8"),
            _ => ("one", "Etc/GMT+12", "C"),
        };
        set("HOME", self.home());
        set("USER", user);
        set("LOGNAME", user);
        set("TZ", zone);
        set("LANG", language);
        set("LC_ALL", language);
        set("NUM_JOBS", &self.jobs().to_string());
        match self {
            Self::Environment => STRANGE.iter().for_each(|(name, value)| set(name, value)),
            Self::Programs => set("PATH", path),
            _ => {}
        }
        environment
    }
}

impl fmt::Display for Circumstances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::First => "first",
            Self::Again => "again",
            Self::Elsewhere => "elsewhere",
            Self::Environment => "environment",
            Self::Programs => "programs",
        })
    }
}

impl Serialize for Circumstances {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_run_changes_its_own_variables_and_nothing_that_cargo_decides() {
        let recorded: BTreeMap<String, String> = [
            ("TARGET", "t"),
            ("DEP_Z_INCLUDE", "/x"),
            ("PATH", "/usr/bin"),
            ("TZ", "UTC"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let first = Circumstances::First.environment(&recorded, "/few");
        let changed = |run: Circumstances| -> Vec<String> {
            let other = run.environment(&recorded, "/few");
            let names = other.keys().filter(|name| other.get(*name) != first.get(*name));
            names.cloned().collect()
        };
        assert_eq!(changed(Circumstances::Again), ["NUM_JOBS"]);
        assert_eq!(changed(Circumstances::Elsewhere), [""; 0]);
        assert_eq!(changed(Circumstances::Programs), ["PATH"]);
        let environment = changed(Circumstances::Environment);
        assert!(
            ["HOME", "LANG", "TZ", "USER", "CI"]
                .iter()
                .all(|name| environment.iter().any(|one| one == name))
        );
        assert!(
            environment
                .iter()
                .all(|name| name != "DEP_Z_INCLUDE" && name != "TARGET" && name != "PATH")
        );
    }
}
