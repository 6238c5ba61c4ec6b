//! The rustc call as cargo makes it, understood or refused: argv -> [`Invocation`] or [`Unsupported`].
//!
//! Owns the allow-list of flags. A flag, crate type, emit kind or codegen option that is not known here by name
//! makes the call unsupported, and it is then run as cargo asked.
//! Must not know the environment, the file system, or what the parts of a call mean for its key (see [`crate::key`]).
//!
//! Long because the allow-list is a table: each flag that is known has its line, and no other file adds one.

use std::path::{Path, PathBuf};

/// A rustc call that Sealift can handle, as far as its arguments tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// `--crate-name`.
    pub crate_name: String,
    /// `--edition`; rustc's default when absent.
    pub edition: Option<String>,
    /// The crate root.
    pub input: PathBuf,
    /// `--crate-type`.
    pub crate_type: CrateType,
    /// `--emit`.
    pub emit: Emit,
    /// `--target`.
    pub target: Option<String>,
    /// `-C` options but `metadata`, `extra-filename` and those of [`Self::link_args`], in order.
    pub codegen: Vec<String>,
    /// `-C` options that choose a linker or go to it, in order.
    pub link_args: Vec<String>,
    /// `--cfg`.
    pub cfgs: Vec<String>,
    /// `--check-cfg`.
    pub check_cfgs: Vec<String>,
    /// `--cap-lints`.
    pub cap_lints: Option<String>,
    /// `-A`, `-W`, `-D`, `-F` and their long forms, as flag and lint, in order.
    pub lints: Vec<(String, String)>,
    /// `--extern`.
    pub externs: Vec<Extern>,
    /// `-L` with another kind than `dependency`, in order.
    pub native_search: Vec<SearchPath>,
    /// `-l`, in order.
    pub native_libs: Vec<String>,
    /// `--out-dir`.
    pub out_dir: PathBuf,
    /// `-C extra-filename`, empty when absent.
    pub extra_filename: String,
    /// How messages look: `--json`, `--color`, `--diagnostic-width`, in order, as given.
    pub presentation: Vec<String>,
    /// Whether `--json` asks for artifact notifications.
    pub announces_artifacts: bool,
}

/// What a call compiles to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CrateType {
    /// `lib` or `rlib`.
    Lib,
    /// `proc-macro`.
    ProcMacro,
    /// `bin`: of a registry package that cargo compiles as a dependency, a build script.
    Bin,
}

/// What a call emits, besides dep-info.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Emit {
    /// `dep-info,metadata`: `cargo check`.
    Metadata,
    /// `dep-info,metadata,link`: a library.
    MetadataAndLink,
    /// `dep-info,link`: a program or proc macro.
    Link,
}

/// One `--extern`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extern {
    /// The name that the crate uses.
    pub name: String,
    /// The file; `None` for a crate of the sysroot.
    pub path: Option<PathBuf>,
}

/// One `-L` that is not of kind `dependency`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchPath {
    /// `native`, `framework`, `all` or `crate`.
    pub kind: String,
    /// The folder.
    pub path: PathBuf,
}

/// Why a call is run as cargo asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    /// Not a compilation: a question such as `-vV` or `--print`.
    #[error("not a compilation")]
    NotACompilation,
    /// A compilation that was not called for by cargo: a build script that tries something out.
    #[error("not called by cargo")]
    NotCargo,
    /// Not text.
    #[error("an argument is not UTF-8")]
    NotUtf8,
    /// A flag that is not known by name.
    #[error("flag `{0}` is not handled")]
    Flag(String),
    /// A codegen option that is not handled.
    #[error("`-C {0}` is not handled")]
    Codegen(String),
    /// An option that depends on this very machine's processor.
    #[error("`-C {0}` depends on this machine")]
    Native(String),
    /// A crate type, or a combination of them, that is not handled.
    #[error("crate type `{0}` is not handled")]
    CrateType(String),
    /// An emit kind, or a combination of them, that is not handled.
    #[error("emit kind `{0}` is not handled")]
    Emit(String),
    /// A `--extern` of a form that is not handled.
    #[error("`--extern {0}` is not handled")]
    Extern(String),
    /// A custom target specification.
    #[error("custom target `{0}` is not handled")]
    Target(String),
    /// Something that each handled call has is absent or there twice.
    #[error("{0} is missing or repeated")]
    Shape(&'static str),
    /// A flag at the end lacks its value.
    #[error("flag `{0}` lacks its value")]
    Value(String),
}

impl CrateType {
    /// rustc's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lib => "lib",
            Self::ProcMacro => "proc-macro",
            Self::Bin => "bin",
        }
    }
}

impl Emit {
    /// The value of `--emit`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Metadata => "dep-info,metadata",
            Self::MetadataAndLink => "dep-info,metadata,link",
            Self::Link => "dep-info,link",
        }
    }
}

impl Invocation {
    /// Understands the arguments of a rustc call (without the program), or says why not.
    pub fn parse(args: &[String]) -> Result<Self, Unsupported> {
        let mut parser = Parser::default();
        let mut rest = args.iter();
        while let Some(arg) = rest.next() {
            if let Err(unsupported) = parser.argument(arg, &mut rest) {
                // What a build script tries out is nobody's miss, whatever flags it takes over from cargo.
                let is_cargo = args.iter().any(|arg| arg.starts_with("--error-format"));
                return Err(if is_cargo || unsupported == Unsupported::NotACompilation {
                    unsupported
                } else {
                    Unsupported::NotCargo
                });
            }
        }
        parser.finish()
    }

    /// Whether the call links: its output depends on the object code of all its dependencies.
    pub fn links(&self) -> bool {
        self.emit == Emit::Link
    }

    /// Whether static libraries that cargo names end in the output: where they are found is then an input.
    pub fn bundles(&self) -> bool {
        self.emit == Emit::MetadataAndLink && self.native_libs.iter().any(|lib| lib.starts_with("static"))
    }

    /// The dep-info file that cargo expects.
    pub fn dep_info(&self) -> PathBuf {
        self.out_dir
            .join(format!("{}{}.d", self.crate_name, self.extra_filename))
    }

    /// Where cargo expects an output.
    pub fn output(&self, role: crate::manifest::Role) -> PathBuf {
        use crate::manifest::Role;
        let Self {
            crate_name,
            extra_filename,
            ..
        } = self;
        self.out_dir.join(match role {
            Role::Rmeta => format!("lib{crate_name}{extra_filename}.rmeta"),
            Role::Rlib => format!("lib{crate_name}{extra_filename}.rlib"),
            Role::ProcMacro => format!("lib{crate_name}{extra_filename}.so"),
            Role::BuildScript => format!("{crate_name}{extra_filename}"),
            // No call gives these: they go where the script ran.
            Role::Stdout => format!("{crate_name}{extra_filename}.stdout"),
            Role::OutDir => format!("{crate_name}{extra_filename}.tar"),
        })
    }
}

#[derive(Default)]
struct Parser {
    crate_name: Vec<String>,
    edition: Vec<String>,
    input: Vec<String>,
    crate_type: Vec<String>,
    emit: Vec<String>,
    target: Vec<String>,
    cap_lints: Vec<String>,
    out_dir: Vec<String>,
    metadata: Vec<String>,
    extra_filename: Vec<String>,
    error_format: Vec<String>,
    codegen: Vec<String>,
    link_args: Vec<String>,
    cfgs: Vec<String>,
    check_cfgs: Vec<String>,
    lints: Vec<(String, String)>,
    externs: Vec<Extern>,
    native_search: Vec<SearchPath>,
    native_libs: Vec<String>,
    presentation: Vec<String>,
    announces_artifacts: bool,
}

impl Parser {
    fn argument(&mut self, arg: &str, rest: &mut std::slice::Iter<'_, String>) -> Result<(), Unsupported> {
        if arg == "-" || arg == "-vV" || arg == "-V" || arg == "--version" || arg.starts_with("--print") {
            return Err(Unsupported::NotACompilation);
        }
        if let Some(long) = arg.strip_prefix("--") {
            let (name, value) = match long.split_once('=') {
                Some((name, value)) => (name, value.to_owned()),
                None => (long, take(arg, rest)?),
            };
            return self.long(name, value);
        }
        if let Some(short) = arg.strip_prefix('-') {
            let mut letters = short.chars();
            let letter = letters.next().ok_or_else(|| Unsupported::Flag(arg.to_owned()))?;
            if !"CLlAWDF".contains(letter) {
                return Err(Unsupported::Flag(arg.to_owned()));
            }
            let value = match letters.as_str() {
                "" => take(arg, rest)?,
                attached => attached.to_owned(),
            };
            return self.short(letter, value);
        }
        if arg.starts_with('@') {
            return Err(Unsupported::Flag("@<response file>".to_owned()));
        }
        self.input.push(arg.to_owned());
        Ok(())
    }

    fn long(&mut self, name: &str, value: String) -> Result<(), Unsupported> {
        match name {
            "crate-name" => self.crate_name.push(value),
            "edition" => self.edition.push(value),
            "crate-type" => self.crate_type.push(value),
            "emit" => self.emit.push(value),
            "target" => self.target.push(value),
            "cap-lints" => self.cap_lints.push(value),
            "out-dir" => self.out_dir.push(value),
            "error-format" => self.error_format.push(value),
            "cfg" => self.cfgs.push(value),
            "check-cfg" => self.check_cfgs.push(value),
            "extern" => self.externs.push(parse_extern(value)?),
            "codegen" => self.codegen(value)?,
            "allow" | "warn" | "deny" | "forbid" => self.lints.push((format!("--{name}"), value)),
            "json" => {
                self.announces_artifacts |= value.split(',').any(|kind| kind == "artifacts");
                self.presentation.push(format!("--json={value}"));
            }
            "color" | "diagnostic-width" => self.presentation.push(format!("--{name}={value}")),
            _ => return Err(Unsupported::Flag(format!("--{name}"))),
        }
        Ok(())
    }

    fn short(&mut self, letter: char, value: String) -> Result<(), Unsupported> {
        match letter {
            'C' => self.codegen(value)?,
            'L' => match value.split_once('=') {
                // Where dependencies lie is not an input: the canonical call sees its own closure only.
                Some(("dependency", _)) => {}
                Some((kind @ ("native" | "framework" | "all" | "crate"), path)) => {
                    self.native_search.push(SearchPath {
                        kind: kind.to_owned(),
                        path: path.into(),
                    });
                }
                _ => self.native_search.push(SearchPath {
                    kind: "all".to_owned(),
                    path: value.into(),
                }),
            },
            'l' => self.native_libs.push(value),
            'A' | 'W' | 'D' | 'F' => self.lints.push((format!("-{letter}"), value)),
            _ => return Err(Unsupported::Flag(format!("-{letter}"))),
        }
        Ok(())
    }

    fn codegen(&mut self, option: String) -> Result<(), Unsupported> {
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (option.as_str(), None),
        };
        // rustc takes underscores for hyphens here.
        let name = name.replace('_', "-");
        match (name.as_str(), value) {
            ("metadata", Some(value)) => self.metadata.push(value.to_owned()),
            ("extra-filename", Some(value)) => self.extra_filename.push(value.to_owned()),
            ("target-cpu", Some("native")) => return Err(Unsupported::Native(option)),
            ("target-feature", Some(value)) if value.contains("native") => return Err(Unsupported::Native(option)),
            // `unpacked` writes files of which cargo knows nothing on this platform, and with either the id that ties an
            // object to its debug information depends on the folder that rustc writes into, remapped or not.
            ("split-debuginfo", Some(value)) if value != "off" => return Err(Unsupported::Codegen(option)),
            (name, _) if LINK_OPTIONS.contains(&name) => self.link_args.push(canonical_option(name, value)),
            // Of several the strongest counts in rustc, and not the last as of all others.
            ("force-frame-pointers", _)
                if self
                    .codegen
                    .iter()
                    .any(|given| given.starts_with("force-frame-pointers")) =>
            {
                return Err(Unsupported::Codegen(option));
            }
            (name, _) if CODEGEN_OPTIONS.contains(&name) => self.codegen.push(canonical_option(name, value)),
            _ => return Err(Unsupported::Codegen(option)),
        }
        Ok(())
    }

    fn finish(self) -> Result<Invocation, Unsupported> {
        if self.error_format.is_empty() {
            return Err(Unsupported::NotCargo);
        }
        let crate_type = match &self.crate_type[..] {
            [one] => match one.as_str() {
                "lib" | "rlib" => CrateType::Lib,
                "proc-macro" => CrateType::ProcMacro,
                "bin" => CrateType::Bin,
                other => return Err(Unsupported::CrateType(other.to_owned())),
            },
            several => return Err(Unsupported::CrateType(several.join(","))),
        };
        let emit = match (&self.emit[..], crate_type) {
            ([one], CrateType::Lib) if one == "dep-info,metadata" => Emit::Metadata,
            ([one], CrateType::Lib) if one == "dep-info,metadata,link" => Emit::MetadataAndLink,
            ([one], CrateType::ProcMacro | CrateType::Bin) if one == "dep-info,link" => Emit::Link,
            (several, _) => return Err(Unsupported::Emit(several.join(","))),
        };
        let target = at_most_one(self.target, "--target")?;
        if let Some(target) = &target
            && (Path::new(target).extension().is_some_and(|ext| ext == "json") || target.contains('/'))
        {
            return Err(Unsupported::Target(target.clone()));
        }
        if one(self.error_format, "--error-format")? != "json" || one(self.metadata, "-C metadata")?.is_empty() {
            return Err(Unsupported::Shape("--error-format=json or -C metadata"));
        }
        let mut names: Vec<_> = self.externs.iter().map(|dependency| &dependency.name).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Unsupported::Extern(twice[0].clone()));
        }
        Ok(Invocation {
            crate_name: one(self.crate_name, "--crate-name")?,
            edition: at_most_one(self.edition, "--edition")?,
            input: one(self.input, "the crate root")?.into(),
            crate_type,
            emit,
            target,
            codegen: self.codegen,
            link_args: self.link_args,
            cfgs: self.cfgs,
            check_cfgs: self.check_cfgs,
            cap_lints: at_most_one(self.cap_lints, "--cap-lints")?,
            lints: self.lints,
            externs: self.externs,
            native_search: self.native_search,
            native_libs: self.native_libs,
            out_dir: one(self.out_dir, "--out-dir")?.into(),
            extra_filename: at_most_one(self.extra_filename, "-C extra-filename")?.unwrap_or_default(),
            presentation: self.presentation,
            announces_artifacts: self.announces_artifacts,
        })
    }
}

fn take(flag: &str, rest: &mut std::slice::Iter<'_, String>) -> Result<String, Unsupported> {
    rest.next().cloned().ok_or_else(|| Unsupported::Value(flag.to_owned()))
}

fn canonical_option(name: &str, value: Option<&str>) -> String {
    match value {
        Some(value) => format!("{name}={value}"),
        None => name.to_owned(),
    }
}

fn parse_extern(text: String) -> Result<Extern, Unsupported> {
    let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    match text.split_once('=') {
        // Modifiers such as `priv:` and `noprelude:` are unstable.
        Some((name, path)) if is_name(name) && !path.is_empty() => Ok(Extern {
            name: name.to_owned(),
            path: Some(path.into()),
        }),
        None if text == "proc_macro" => Ok(Extern { name: text, path: None }),
        _ => Err(Unsupported::Extern(text)),
    }
}

fn at_most_one(mut values: Vec<String>, what: &'static str) -> Result<Option<String>, Unsupported> {
    if values.len() > 1 {
        Err(Unsupported::Shape(what))
    } else {
        Ok(values.pop())
    }
}

fn one(values: Vec<String>, what: &'static str) -> Result<String, Unsupported> {
    at_most_one(values, what)?.ok_or(Unsupported::Shape(what))
}

/// Codegen options that are inputs of what is generated. All take the last value given, but `target-feature`,
/// whose values add up (see [`crate::key`]), and `force-frame-pointers`, which is handled when it is given once.
const CODEGEN_OPTIONS: &[&str] = &[
    "code-model",
    "codegen-units",
    "debug-assertions",
    "debuginfo",
    "dwarf-version",
    "embed-bitcode",
    "force-frame-pointers",
    "force-unwind-tables",
    "linker-plugin-lto",
    "lto",
    "no-redzone",
    "no-vectorize-loops",
    "no-vectorize-slp",
    "opt-level",
    "overflow-checks",
    "panic",
    "prefer-dynamic",
    "relocation-model",
    "split-debuginfo",
    "strip",
    "symbol-mangling-version",
    "target-cpu",
    "target-feature",
];

/// Codegen options that only concern linking: which linker, and what it is told.
pub(crate) const LINK_OPTIONS: &[&str] = &[
    "default-linker-libraries",
    "link-arg",
    "link-args",
    "link-self-contained",
    "linker",
    "linker-flavor",
    "rpath",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn call() -> Vec<String> {
        "--crate-name serde_json --edition=2021 /r/serde_json-1.0.150/src/lib.rs --error-format=json \
         --json=diagnostic-rendered-ansi,artifacts,future-incompat --crate-type lib --emit=dep-info,metadata,link \
         -C opt-level=3 -C embed-bitcode=no --cfg feature=\"std\" --check-cfg cfg(docsrs,test) -C metadata=c934 \
         -C extra-filename=-1287 --out-dir /t/deps -L dependency=/t/deps --extern itoa=/t/deps/libitoa-dc11.rmeta \
         --cap-lints allow"
            .split_whitespace()
            .map(str::to_owned)
            .collect()
    }

    fn with(extra: &str) -> Result<Invocation, Unsupported> {
        let mut args = call();
        args.extend(extra.split_whitespace().map(str::to_owned));
        Invocation::parse(&args)
    }

    #[test]
    fn an_ordinary_call_is_understood() {
        let call = Invocation::parse(&call()).unwrap();
        assert_eq!(call.crate_name, "serde_json");
        assert_eq!(call.emit, Emit::MetadataAndLink);
        assert_eq!(call.codegen, ["opt-level=3", "embed-bitcode=no"]);
        assert_eq!(call.externs[0].name, "itoa");
        assert_eq!(call.dep_info(), Path::new("/t/deps/serde_json-1287.d"));
        assert!(call.announces_artifacts);
    }

    // K15, K16, K18, K20, K22, K31
    #[test]
    fn what_is_not_known_by_name_is_passed_through() {
        for extra in [
            "-Zunstable",
            "-Z time-passes",
            "-Z codegen-backend=cranelift",
            "-Z force-unstable-if-unmarked",
            "--sysroot /x",
            "--sysroot=/x",
            "-C incremental=/x",
            "-C instrument-coverage",
            "-C profile-use=x",
            "-C target-cpu=native",
            "-Ctarget-cpu=native",
            "-C target-feature=native",
            "-C split-debuginfo=unpacked",
            "-C made-up=1",
            "-C force-frame-pointers=yes -C force-frame-pointers=no",
            "--remap-path-prefix=/a=/b",
            "--crate-type cdylib",
            "--crate-type lib",
            "--emit=asm",
            "--test",
            "-g",
            "-O",
            "-o x",
            "@args",
            "--extern priv:x=/y",
            "--extern alloc",
            "--extern itoa=/other",
            "--target /spec.json",
            "--target spec.json",
            "--print cfg",
            "-vV",
            "-",
            "--verbose=1",
            "--made-up=1",
            "second.rs",
            "-C",
        ] {
            assert!(with(extra).is_err(), "{extra}");
        }
    }

    #[test]
    fn what_a_build_script_tries_out_is_no_call_of_cargo_whatever_its_flags() {
        let probe = |args: &str| {
            let args: Vec<_> = args.split_whitespace().map(str::to_owned).collect();
            Invocation::parse(&args)
        };
        for args in [
            "--crate-name probe --emit=metadata x.rs",
            "--crate-name probe --emit=metadata x.rs -C target-cpu=native -Zmade-up",
        ] {
            assert_eq!(probe(args), Err(Unsupported::NotCargo));
        }
        assert_eq!(probe("-vV"), Err(Unsupported::NotACompilation));
    }

    #[test]
    fn attached_and_separate_values_are_the_same() {
        assert_eq!(with("-Copt-level=2"), with("-C opt-level=2"));
        assert_eq!(with("-C opt_level=2"), with("--codegen opt-level=2"));
        assert_eq!(with("--cfg=x"), with("--cfg x"));
        assert_eq!(with("-Lnative=/x"), with("-L native=/x"));
    }

    #[test]
    fn link_arguments_are_kept_apart() {
        let call = with("-C link-arg=-fuse-ld=lld -C linker=cc").unwrap();
        assert_eq!(call.link_args, ["link-arg=-fuse-ld=lld", "linker=cc"]);
        assert_eq!(call.codegen, ["opt-level=3", "embed-bitcode=no"]);
    }

    proptest! {
        #[test]
        fn hostile_arguments_never_panic(args in prop::collection::vec("-{0,2}[a-zA-Z=]{0,12}", 0..12)) {
            let _ = Invocation::parse(&args);
        }
    }
}
