//! What a person sees while something long runs: a bar on a terminal, a line for each finished step everywhere.
//!
//! Must not know what the steps are.

use std::io::Write;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::table::seconds;

/// A number of steps, one after the other.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
}

/// The step that runs.
#[derive(Debug)]
pub struct Step<'a> {
    bar: &'a ProgressBar,
    title: String,
    start: Instant,
}

impl Progress {
    /// Nothing of so many steps is done.
    pub fn of(steps: u64) -> Self {
        let bar = ProgressBar::new(steps);
        if let Ok(style) = ProgressStyle::with_template("{spinner} [{bar:24}] {pos}/{len} {elapsed} {wide_msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { bar }
    }

    /// Begins the next step.
    pub fn step(&self, title: impl Into<String>) -> Step<'_> {
        let title = title.into();
        self.bar.set_message(title.clone());
        Step {
            bar: &self.bar,
            title,
            start: Instant::now(),
        }
    }

    /// Prints to standard output without disturbing the bar.
    pub fn say(&self, text: &str) {
        self.bar.suspend(|| {
            let _ = writeln!(std::io::stdout().lock(), "{text}");
        });
    }
}

impl Step<'_> {
    /// What it is about just now.
    pub fn detail(&self, line: &str) {
        self.bar.set_message(format!("{}: {}", self.title, line.trim()));
    }

    /// Prints that the step is done, what came of it, and how long it took.
    pub fn done(self, result: &str) {
        let line = format!(
            "  ok  {:<58} {:>8}  {result}",
            self.title,
            seconds(self.start.elapsed())
        );
        self.bar.suspend(|| {
            let _ = writeln!(std::io::stdout().lock(), "{}", line.trim_end());
        });
        self.bar.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
