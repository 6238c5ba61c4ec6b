//! One progress bar for a prefetch, in cargo's style.
//!
//! Owns how progress looks. Silent where stderr is no terminal. Must not know what is fetched.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::shell::{Shell, count};
use crate::prefetch::{Step, Watch};

/// The bar.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    colour: bool,
}

impl Progress {
    /// A bar on this shell, if it shows any.
    pub(crate) fn on(shell: Shell) -> Self {
        let bar = ProgressBar::no_length();
        bar.set_draw_target(if shell.shows_progress() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        });
        Self {
            bar,
            colour: shell.has_colour(),
        }
    }

    fn planning(&self) {
        self.bar.set_style(self.style("Planning", "{msg}"));
        self.bar.set_message("what cargo will need");
    }

    fn looking_up(&self, plans: usize) {
        self.bar.set_style(self.style("Looking up", "{msg}"));
        self.bar.set_message(count(plans as u64, "unit"));
    }

    fn downloading(&self, units: usize) {
        self.bar.set_style(
            self.style("Fetching", "[{bar:25}] {pos}/{len} units")
                .progress_chars("=> "),
        );
        self.bar.set_length(units as u64);
        self.bar.set_position(0);
    }

    /// Nothing more comes.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn style(&self, verb: &str, rest: &str) -> ProgressStyle {
        let verb = format!("{verb:>12}");
        let verb = if self.colour {
            format!("\x1b[1m\x1b[36m{verb}\x1b[0m")
        } else {
            verb
        };
        ProgressStyle::with_template(&format!("{verb} {rest}")).expect("our templates are well formed")
    }
}

impl Watch for Progress {
    fn step(&self, step: Step<'_>) {
        match step {
            Step::Planning => self.planning(),
            Step::LookingUp(units) => self.looking_up(units),
            Step::Downloading(units) => self.downloading(units),
            Step::Downloaded => self.bar.inc(1),
            Step::Following | Step::Answering { .. } | Step::Choosing | Step::Alarm(_) | Step::Notice(_) => {}
        }
    }
}
