//! Lines on stderr as cargo writes them, and data on stdout.
//!
//! Owns whether there is colour. Must not know what is said.

use std::fmt::Display;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use crate::env::{self, Env};

/// Where lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shell {
    colour: bool,
    quiet: bool,
    terminal: bool,
}

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verbosity {
    /// Status, warnings and errors.
    Normal,
    /// Warnings and errors.
    Quiet,
}

impl Shell {
    /// Stderr of this process.
    pub(crate) fn stderr(env: &Env, verbosity: Verbosity) -> Self {
        Self::of(env, verbosity, io::stderr().is_terminal())
    }

    fn of(env: &Env, verbosity: Verbosity, is_terminal: bool) -> Self {
        let terminal = is_terminal && env.text(env::TERM).is_none_or(|term| term != "dumb");
        // As cargo: what is said for cargo counts more than what is said for all programs.
        let colour = match env.text(env::CARGO_TERM_COLOR).as_deref() {
            Some("always") => true,
            Some("never") => false,
            _ => terminal && env.non_empty(env::NO_COLOR).is_none(),
        };
        let never = env
            .text(env::CARGO_TERM_PROGRESS_WHEN)
            .is_some_and(|when| when == "never");
        Self {
            colour,
            quiet: verbosity == Verbosity::Quiet || env.switch(env::CARGO_TERM_QUIET),
            terminal: terminal && !never,
        }
    }

    /// Whether progress can be shown.
    pub(crate) fn shows_progress(self) -> bool {
        self.terminal && !self.quiet
    }

    /// Whether there is colour.
    pub(crate) fn has_colour(self) -> bool {
        self.colour
    }

    /// A status line, unless it is to be quiet: the verb right-aligned in twelve columns.
    pub(crate) fn status(self, verb: &str, message: impl Display) {
        if !self.quiet {
            line(&format!("{} {message}", self.paint(GREEN, &format!("{verb:>12}"))));
        }
    }

    /// A warning. Always said.
    pub(crate) fn warn(self, message: impl Display) {
        line(&format!("{}: sealift: {message}", self.paint(YELLOW, "warning")));
    }

    /// An error. Always said.
    pub(crate) fn error(self, message: impl Display) {
        line(&format!("{}: {message}", self.paint(RED, "error")));
    }

    /// Advice, on a line of its own.
    pub(crate) fn hint(self, message: impl Display) {
        line(&format!("{}: {message}", self.paint(CYAN, "hint")));
    }

    fn paint(self, colour: &str, text: &str) -> String {
        if self.colour {
            format!("\x1b[1m\x1b[{colour}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

const GREEN: &str = "32";
const YELLOW: &str = "33";
const RED: &str = "31";
const CYAN: &str = "36";

/// A stderr that is closed is no reason to fail.
fn line(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Writes data to stdout. A reader that has gone away (`| head`) is no error.
pub(crate) fn data(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// Asks on a terminal; in a script the command itself is the answer.
pub(crate) fn confirmed(question: &str) -> io::Result<bool> {
    if !io::stdin().is_terminal() {
        return Ok(true);
    }
    write!(io::stderr(), "{question} [Y/n] ")?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "" | "y" | "yes"))
}

/// Bytes as people read them: `12.3 MiB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut tenths = count.saturating_mul(10) / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit < UNITS.len() - 1 {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// A count with its noun: `1 unit`, `2 units`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    if number == 1 {
        format!("1 {noun}")
    } else if let Some(stem) = noun.strip_suffix('y') {
        format!("{number} {stem}ies")
    } else {
        format!("{number} {noun}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_for_people() {
        let cases = [0, 1023, 1024, 12_902_000, 5 << 40].map(bytes);
        assert_eq!(cases, ["0 B", "1023 B", "1.0 KiB", "12.3 MiB", "5.0 TiB"]);
    }

    #[test]
    fn colours_and_progress_follow_cargo_s_settings() {
        let shell = |variables: &[(&str, &str)], terminal| {
            Shell::of(&Env::made_up(variables.iter().copied()), Verbosity::Normal, terminal)
        };
        assert!(shell(&[], true).colour && !shell(&[], false).colour);
        assert!(!shell(&[("NO_COLOR", "1")], true).colour);
        assert!(shell(&[("CARGO_TERM_COLOR", "always")], false).colour);
        assert!(!shell(&[("CARGO_TERM_COLOR", "never")], true).colour);
        assert!(shell(&[], true).shows_progress() && !shell(&[], false).shows_progress());
        for quiet in [
            ("CARGO_TERM_QUIET", "true"),
            ("CARGO_TERM_PROGRESS_WHEN", "never"),
            ("TERM", "dumb"),
        ] {
            assert!(!shell(&[quiet], true).shows_progress(), "{quiet:?}");
        }
    }

    #[test]
    fn colours_are_only_for_terminals() {
        let plain = Shell {
            colour: false,
            quiet: false,
            terminal: false,
        };
        assert_eq!(plain.paint(GREEN, "x"), "x");
    }
}
