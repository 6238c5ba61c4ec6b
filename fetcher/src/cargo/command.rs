//! A cargo command line: what it compiles, and how cargo is asked for its plan without running it.
//!
//! Owns which cargo commands have a plan and how their arguments become a question. A command that is not known by
//! name is never asked: an alias may run a program and hand our flags to it.
//! Must not run anything.

use std::ffi::{OsStr, OsString};

/// A cargo command with its arguments, such as `build --release`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CargoCommand {
    /// cargo's own options that stand before it, such as `--config`.
    pub(crate) globals: Vec<OsString>,
    /// `build`, `check`, an alias ...
    pub(crate) name: OsString,
    /// What follows.
    pub(crate) args: Vec<OsString>,
}

impl CargoCommand {
    /// Splits a command line.
    pub(crate) fn new(words: impl IntoIterator<Item = OsString>) -> Option<Self> {
        let mut words = words.into_iter();
        Some(Self {
            globals: Vec::new(),
            name: words.next()?,
            args: words.collect(),
        })
    }

    /// Splits what was given to the program `cargo`, whose own options may stand before the command.
    pub(crate) fn of_program(words: impl IntoIterator<Item = OsString>) -> Option<Self> {
        let mut words = words.into_iter();
        let mut globals = Vec::new();
        loop {
            let word = words.next()?;
            match word.to_str() {
                // rustup's, which has acted on it.
                Some(toolchain) if toolchain.starts_with('+') => {}
                // cargo has changed to it.
                Some("-C") => drop(words.next()?),
                Some("--config" | "-Z" | "--color") => globals.extend([word, words.next()?]),
                Some(option) if option.starts_with("-C") => {}
                Some(option) if option.starts_with('-') => globals.push(word),
                _ => {
                    return Some(Self {
                        globals,
                        name: word,
                        args: words.collect(),
                    });
                }
            }
        }
    }

    /// The command behind an alias. cargo itself has refused one that never ends.
    pub(crate) fn expanded(mut self, alias: impl Fn(&str) -> Option<Vec<OsString>>) -> Self {
        for _ in 0..MAX_ALIASES {
            if self.is_built_in() {
                break;
            }
            let Some(words) = self.name.to_str().and_then(&alias) else {
                break;
            };
            let Some(behind) = Self::of_program(words) else { break };
            self.globals.extend(behind.globals);
            self.name = behind.name;
            self.args.splice(0..0, behind.args);
        }
        self
    }

    /// Whether it is one of cargo's own, and no alias or external command.
    pub(crate) fn is_built_in(&self) -> bool {
        BUILT_IN.iter().any(|name| self.name == *name)
    }

    /// Whether cargo is told to keep off the network.
    pub(crate) fn is_offline(&self) -> bool {
        let mut args = self.globals.iter().chain(self.cargo_args());
        args.any(|arg| arg == "--offline" || arg == "--frozen")
    }

    /// Whether the user asked cargo for silence.
    pub(crate) fn is_quiet(&self) -> bool {
        let short = |arg: &str| arg.starts_with('-') && !arg.starts_with("--") && arg[1..].starts_with('q');
        self.cargo_args()
            .iter()
            .filter_map(|arg| arg.to_str())
            .any(|arg| arg == "--quiet" || short(arg))
    }

    /// What is for cargo and not for a program that it runs.
    fn cargo_args(&self) -> &[OsString] {
        let end = self.args.iter().position(|arg| arg == "--").unwrap_or(self.args.len());
        &self.args[..end]
    }

    /// Whether it compiles something that is known beforehand.
    pub(crate) fn has_plan(&self) -> bool {
        self.name == "install" || self.question().is_some()
    }

    /// The arguments with which cargo prints the unit graph of this command and runs nothing; `None` for a command
    /// that is not known by name: an alias may run a program and hand our flags to it.
    pub(super) fn question(&self) -> Option<Vec<OsString>> {
        // The dependencies of `clippy` and `fix` are those of `check`, and both would do more than print.
        let (name, extra, dropped): (_, &[&str], &[&str]) = match self.name.to_str()? {
            "build" | "b" => ("build", &[], &[]),
            "check" | "c" => ("check", &[], &[]),
            "test" | "t" => ("test", &[], &[]),
            "bench" => ("bench", &[], &[]),
            "run" | "r" => ("run", &[], &[]),
            "rustc" => ("rustc", &[], &[]),
            "doc" | "d" => ("doc", &[], &["--open"]),
            "rustdoc" => ("rustdoc", &[], &["--open"]),
            "clippy" => ("check", &[], CLIPPY_ONLY),
            "fix" => ("check", &["--all-targets"], FIX_ONLY),
            _ => return None,
        };
        // The flags come first: what follows `cargo run`'s own arguments goes to the program.
        let mut question = self.globals.clone();
        question.extend([name, "--unit-graph", "-Zunstable-options"].map(OsString::from));
        question.extend(extra.iter().map(OsString::from));
        question.extend(
            self.cargo_args()
                .iter()
                .filter(|arg| !dropped.iter().any(|flag| arg == flag))
                .cloned(),
        );
        Some(question)
    }

    /// The arguments that are for cargo and not for a program that it runs.
    pub(crate) fn for_cargo(&self) -> &[OsString] {
        self.cargo_args()
    }

    /// Whether cargo is given this flag.
    pub(crate) fn has(&self, flag: &str) -> bool {
        self.cargo_args().iter().any(|arg| arg == flag)
    }

    /// The value of an option, as text, in both spellings.
    pub(crate) fn value_of(&self, option: &str) -> Option<String> {
        let mut args = self.cargo_args().iter();
        while let Some(arg) = args.next() {
            if arg == option {
                return args.next()?.to_str().map(str::to_owned);
            }
            if let Some(value) = arg.to_str().and_then(|arg| arg.strip_prefix(option)?.strip_prefix('=')) {
                return Some(value.to_owned());
            }
        }
        None
    }
}

/// Aliases that stand for aliases.
const MAX_ALIASES: usize = 8;

/// cargo's own commands, which no alias can replace.
const BUILT_IN: &[&str] = &[
    "build",
    "b",
    "check",
    "c",
    "test",
    "t",
    "bench",
    "run",
    "r",
    "rustc",
    "doc",
    "d",
    "rustdoc",
    "clippy",
    "fix",
    "install",
    "add",
    "clean",
    "config",
    "fetch",
    "generate-lockfile",
    "help",
    "info",
    "init",
    "locate-project",
    "login",
    "logout",
    "metadata",
    "new",
    "owner",
    "package",
    "pkgid",
    "publish",
    "remove",
    "report",
    "rm",
    "search",
    "tree",
    "uninstall",
    "update",
    "vendor",
    "version",
    "yank",
];

const CLIPPY_ONLY: &[&str] = &[
    "--fix",
    "--no-deps",
    "--allow-dirty",
    "--allow-staged",
    "--allow-no-vcs",
];

const FIX_ONLY: &[&str] = &[
    "--edition",
    "--edition-idioms",
    "--broken-code",
    "--allow-dirty",
    "--allow-staged",
    "--allow-no-vcs",
];

/// The words of a command line, for people.
pub(crate) fn display(program: &OsStr, command: &CargoCommand) -> String {
    let words = [program, &command.name]
        .into_iter()
        .chain(command.args.iter().map(OsString::as_os_str));
    words
        .map(|word| word.display().to_string())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(line: &str) -> Option<String> {
        let command = CargoCommand::new(line.split(' ').map(OsString::from))?;
        Some(command.question()?.join(OsStr::new(" ")).into_string().unwrap())
    }

    #[test]
    fn the_question_keeps_cargo_s_arguments_and_leaves_the_program_s_out() {
        let ask = |line| question(line).unwrap();
        assert_eq!(
            ask("build --release -p x"),
            "build --unit-graph -Zunstable-options --release -p x"
        );
        assert_eq!(ask("b"), "build --unit-graph -Zunstable-options");
        assert_eq!(
            ask("run --bin x -- --help"),
            "run --unit-graph -Zunstable-options --bin x"
        );
        assert_eq!(ask("run input.txt"), "run --unit-graph -Zunstable-options input.txt");
        assert_eq!(
            ask("test --lib -- --nocapture"),
            "test --unit-graph -Zunstable-options --lib"
        );
        assert_eq!(
            ask("doc --open --no-deps"),
            "doc --unit-graph -Zunstable-options --no-deps"
        );
    }

    #[test]
    fn clippy_and_fix_ask_like_check() {
        let ask = |line| question(line).unwrap();
        assert_eq!(
            ask("clippy --all-targets --fix -- -D warnings"),
            "check --unit-graph -Zunstable-options --all-targets"
        );
        assert_eq!(
            ask("fix --broken-code"),
            "check --unit-graph -Zunstable-options --all-targets"
        );
    }

    #[test]
    fn commands_that_are_not_known_by_name_are_never_asked() {
        for line in [
            "install ripgrep",
            "xtask dist",
            "publish",
            "nextest run",
            "miri test",
            "--version",
        ] {
            assert_eq!(question(line), None, "{line}");
        }
    }

    #[test]
    fn options_are_found_in_both_spellings_and_only_for_cargo() {
        let command = |line: &str| CargoCommand::new(line.split(' ').map(OsString::from)).unwrap();
        let manifest = |line| command(line).value_of("--manifest-path");
        assert_eq!(
            manifest("build --manifest-path a/Cargo.toml -q").as_deref(),
            Some("a/Cargo.toml")
        );
        assert_eq!(
            manifest("build --manifest-path=a/Cargo.toml").as_deref(),
            Some("a/Cargo.toml")
        );
        assert_eq!(manifest("run -- --manifest-path x"), None);
        assert_eq!(manifest("build --manifest-pathological x"), None);
        assert!(command("build --release").has("--release") && !command("run -- --release").has("--release"));
    }

    #[test]
    fn cargo_s_own_options_stand_before_the_command_and_in_the_question() {
        let command = |line: &str| CargoCommand::of_program(line.split(' ').map(OsString::from)).unwrap();
        let found = command("+nightly -C dir --config a.b=1 -Zx -q build --release");
        assert_eq!(found.globals, ["--config", "a.b=1", "-Zx", "-q"]);
        assert_eq!(
            (found.name.to_str(), &found.args[..]),
            (Some("build"), &["--release".into()][..])
        );
        let question = found.question().unwrap().join(OsStr::new(" "));
        assert_eq!(
            question,
            "--config a.b=1 -Zx -q build --unit-graph -Zunstable-options --release"
        );
        assert!(command("--offline build").is_offline() && command("build --frozen").is_offline());
        assert!(!command("run -- --offline").is_offline());
        assert_eq!(CargoCommand::of_program(["--version".into()]), None);
    }

    #[test]
    fn aliases_are_followed_and_never_endlessly() {
        let alias = |name: &str| {
            let words: &[&str] = match name {
                "br" => &["bb", "--release"],
                "bb" => &["build", "--locked"],
                "round" => &["round"],
                "build" => &["never"],
                _ => return None,
            };
            Some(words.iter().map(OsString::from).collect())
        };
        let expanded = |line: &str| {
            let command = CargoCommand::of_program(line.split(' ').map(OsString::from)).unwrap();
            let CargoCommand { name, args, .. } = command.expanded(alias);
            [vec![name], args].concat().join(OsStr::new(" "))
        };
        assert_eq!(expanded("br -q"), "build --locked --release -q");
        assert_eq!(expanded("build"), "build");
        assert_eq!(expanded("round"), "round");
        assert_eq!(expanded("xtask ci"), "xtask ci");
    }

    #[test]
    fn quiet_is_cargo_s_and_not_the_program_s() {
        let quiet = |line: &str| {
            CargoCommand::new(line.split(' ').map(OsString::from))
                .unwrap()
                .is_quiet()
        };
        assert!(quiet("build -q") && quiet("build --quiet"));
        assert!(!quiet("build") && !quiet("run -- -q"));
    }
}
