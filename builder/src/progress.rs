//! What people see while something takes long: a bar on a terminal, single lines elsewhere. Always standard error.
//!
//! Must not know what is being done.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// One line of news.
pub fn say(text: &str) {
    // Nobody can be told that standard error is gone.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// A bar that counts to `length`; hidden where there is no terminal.
pub fn bar(title: &str, length: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg:24} [{bar:30}] {pos}/{len} {elapsed}");
    let bar = ProgressBar::new(length).with_message(title.to_owned());
    bar.set_style(
        style
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> "),
    );
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
