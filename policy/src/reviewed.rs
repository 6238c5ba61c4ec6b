//! Build scripts whose runs are shared: those of which a person found that everybody's run gives the same.
//!
//! Owns the list (`runs.toml`), which says of each package why, and under which circumstances not. A script that asks the
//! system for programs or the time is not on it; what one asks for libraries is named, so that the answer is in the key, and
//! where it takes what an answer does not tell whole its run is not shared. Must not know keys or what a run gave.

mod list;

use std::fmt;

use serde::Deserialize;

use self::list::LIST;

use crate::name::{CrateName, CrateVersion};

/// What was found out about a package's build script.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Reviewed {
    /// The package.
    package: CrateName,
    /// The versions that were looked at, without what follows `+`.
    versions: Vec<CrateVersion>,
    /// Why everybody's run gives the same, for people.
    pub why: String,
    /// Whether it runs the C compiler, so that what it gives depends on that.
    #[serde(default)]
    pub compiles_c: bool,
    /// Whether it writes where `OUT_DIR` lies into what nothing can be replaced in. Its runs are recorded only in a sandbox,
    /// where `OUT_DIR` lies at its canonical place for everybody.
    #[serde(default)]
    pub bakes_out_dir: bool,
    /// With one of these features its runs are not shared.
    #[serde(default)]
    refused_features: Vec<String>,
    /// Without one of these features its runs are not shared.
    #[serde(default)]
    required_features: Vec<String>,
    /// Variables that it reads without saying so, or that make it do something else: when one is set its run is not shared.
    /// A name that ends in `*` stands for all that begin so.
    #[serde(default)]
    unset: Vec<String>,
    /// Headers of the system that what it compiles includes, besides those of the C library and the compiler. A name that
    /// ends in `/` stands for all in a folder.
    #[serde(default)]
    headers: Vec<String>,
    /// A library of the system that it links where it finds one, and brings its own where not.
    #[serde(default)]
    system_library: Option<SystemLibrary>,
    /// What it asks pkg-config for.
    #[serde(default)]
    pkg_config: PkgConfig,
}

/// What a script asks pkg-config for. Where it takes what it finds its run is not shared.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct PkgConfig {
    /// As pkg-config is asked: a name, or one with the least version that the script takes (`libgit2 >= 1.6.4`).
    modules: Vec<String>,
    /// It takes none whose folders lack this header.
    #[serde(default)]
    taken_with: Option<String>,
}

/// A library of which a script tries whether the system has it. What the trial would find is in the key by content, so that
/// what was linked against one library is never taken where there is another, or none.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SystemLibrary {
    /// As the linker is told: `z`.
    pub name: String,
    /// What it asks pkg-config for before.
    pub module: String,
    /// The headers of it that the trial includes, by themselves or through each other.
    pub headers: Vec<String>,
}

/// Something of the system that decides what a run gives. The answer is in the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question<'a> {
    /// Which family of C compilers runs.
    CCompiler,
    /// What a header of the system says, or all in a folder whose name ends in `/`.
    Header(&'a str),
    /// What there is of a library that it links where it can.
    SystemLibrary(&'a SystemLibrary),
    /// Whether pkg-config knows a module that the script would take.
    Module {
        /// The module.
        name: &'a str,
        /// It takes none whose folders lack this header.
        taken_with: Option<&'a str>,
    },
}

impl fmt::Display for Question<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CCompiler => f.write_str("c-compiler"),
            Self::Header(name) => write!(f, "header {name}"),
            Self::SystemLibrary(library) => write!(f, "library {}", library.name),
            Self::Module { name, .. } => write!(f, "pkg-config {name}"),
        }
    }
}

/// Whether the list counts for a host or target: scripts do other things for other systems.
pub fn counts_for(platform: &str) -> bool {
    platform.ends_with("-linux-gnu")
}

/// A version without its build metadata, which repeats the version of what is bundled: as the list names it.
pub fn release(version: &CrateVersion) -> &str {
    version.as_str().split('+').next().unwrap_or_default()
}

/// What was found out about a package with these features, if its runs are shared.
pub fn run(
    package: &CrateName,
    version: &CrateVersion,
    has_feature: impl Fn(&str) -> bool,
) -> Option<&'static Reviewed> {
    let start = LIST.partition_point(|reviewed| reviewed.package.as_str() < package.as_str());
    let mut of_package = LIST[start..].iter().take_while(|reviewed| reviewed.package == *package);
    of_package.find(|reviewed| {
        reviewed
            .versions
            .iter()
            .any(|looked_at| looked_at.as_str() == release(version))
            && reviewed.required_features.iter().all(|feature| has_feature(feature))
            && !reviewed.refused_features.iter().any(|feature| has_feature(feature))
    })
}

/// Variables that the C compiler and the programs around it read, whatever a script says of them.
const READ_BY_COMPILERS: [&str; 15] = [
    "CCC_OVERRIDE_OPTIONS",
    "CLANG_NO_DEFAULT_CONFIG",
    "COMPILER_PATH",
    "CPATH",
    "CPLUS_INCLUDE_PATH",
    "C_INCLUDE_PATH",
    "DEPENDENCIES_OUTPUT",
    "GCC_EXEC_PREFIX",
    "LIBRARY_PATH",
    "OBJCPLUS_INCLUDE_PATH",
    "OBJC_INCLUDE_PATH",
    "SDKROOT",
    "SOURCE_DATE_EPOCH",
    "SUNPRO_DEPENDENCIES",
    "ZERO_AR_DATE",
];

/// Beginnings of names of variables from which a distribution's compiler takes flags.
const READ_BY_WRAPPERS: [&str; 3] = ["NIX_CC", "NIX_CFLAGS_", "NIX_LDFLAGS"];

/// Variables by which the `cc` crate (1.2) is told what to run, each also for one target and one side (see its
/// documentation). A script may ask it not to declare them.
const READ_BY_CC: [&str; 17] = [
    "AR",
    "ARFLAGS",
    "CARGO_TRIM_PATHS_REMAP",
    "CARGO_TRIM_PATHS_SCOPE",
    "CC",
    "CC_FORCE_DISABLE",
    "CC_KNOWN_WRAPPER_CUSTOM",
    "CC_SHELL_ESCAPED_FLAGS",
    "CFLAGS",
    "CPPFLAGS",
    "CRATE_CC_NO_DEFAULTS",
    "CROSS_COMPILE",
    "CXX",
    "CXXFLAGS",
    "CXXSTDLIB",
    "RANLIB",
    "RANLIBFLAGS",
];

/// Whether a C compiler, or the `cc` crate on its way to one, reads a variable of this name.
pub fn is_read_by_c_compilers(name: &str) -> bool {
    let of_side = name
        .strip_prefix("HOST_")
        .or_else(|| name.strip_prefix("TARGET_"))
        .unwrap_or(name);
    let is_of_cc = READ_BY_CC.iter().any(|known| {
        let rest = of_side.strip_prefix(known);
        // A target's triple, with hyphens or underscores.
        rest.is_some_and(|rest| rest.is_empty() || (rest.starts_with('_') && rest.matches(['-', '_']).count() >= 3))
    });
    let is_of_compiler =
        READ_BY_COMPILERS.contains(&name) || READ_BY_WRAPPERS.iter().any(|known| name.starts_with(known));
    is_of_cc || is_of_compiler
}

impl Reviewed {
    /// What of the system decides what a run gives.
    pub fn questions(&self) -> impl Iterator<Item = Question<'_>> {
        let taken_with = self.pkg_config.taken_with.as_deref();
        let modules = self.pkg_config.modules.iter();
        (self.compiles_c.then_some(Question::CCompiler).into_iter())
            .chain(self.headers.iter().map(|name| Question::Header(name)))
            .chain(self.system_library.iter().map(Question::SystemLibrary))
            .chain(modules.map(move |name| Question::Module { name, taken_with }))
    }

    /// Whether the script, or what it runs, may read a variable of this name. Of the variables that it does not declare
    /// none of these may be set.
    pub fn may_read(&self, name: &str) -> bool {
        let is_named = self.unset.iter().any(|unset| match unset.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => unset == name,
        });
        is_named || (self.compiles_c && is_read_by_c_compilers(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_c_compilers_read_counts_for_scripts_that_run_them() {
        let mut reviewed = Reviewed {
            package: "ring".parse().unwrap(),
            versions: vec![],
            why: String::new(),
            compiles_c: true,
            bakes_out_dir: false,
            refused_features: vec![],
            required_features: vec![],
            unset: vec!["OWN".into(), "OWN_*".into()],
            headers: vec![],
            system_library: None,
            pkg_config: PkgConfig::default(),
        };
        let names = [
            "CC",
            "CFLAGS_x86_64-unknown-linux-gnu",
            "CFLAGS_x86_64_unknown_linux_gnu",
            "TARGET_CC",
            "HOST_CXXFLAGS",
            "CPATH",
            "SOURCE_DATE_EPOCH",
            "OWN",
            "OWN_OTHER",
            "NIX_CFLAGS_COMPILE",
        ];
        assert!(names.iter().all(|name| reviewed.may_read(name)));
        for name in ["CCACHE_DIR", "PATH", "ARCH", "CC_MADE_UP", "TARGET", "CARGO", "OWNER"] {
            assert!(!reviewed.may_read(name), "{name}");
        }
        reviewed.compiles_c = false;
        assert!(!reviewed.may_read("CC") && reviewed.may_read("OWN"));
    }

    #[test]
    fn an_openssl_that_is_compiled_is_shared_and_one_that_is_found_is_not() {
        let with = |features: &[&str]| {
            run(
                &"openssl-sys".parse().unwrap(),
                &"0.9.118".parse().unwrap(),
                |feature| features.contains(&feature),
            )
        };
        assert!(with(&["vendored"]).is_some_and(|reviewed| reviewed.bakes_out_dir && reviewed.compiles_c));
        assert!(with(&[]).is_none());
        assert!(with(&["vendored", "bindgen"]).is_none());
        let reviewed = with(&["vendored"]).unwrap();
        assert!(
            ["PERL", "LDFLAGS", "CFLAGS", "__CNF_CFLAGS"]
                .iter()
                .all(|name| reviewed.may_read(name))
        );
    }

    // S12
    #[test]
    fn scripts_that_ask_the_system_are_not_on_it() {
        for (package, version) in [
            ("openssl-sys", "0.9.109"),
            ("pcre2-sys", "0.2.10"),
            ("tikv-jemalloc-sys", "0.6.1"),
        ] {
            assert!(
                run(&package.parse().unwrap(), &version.parse().unwrap(), |_| false).is_none(),
                "{package}"
            );
        }
    }
}
