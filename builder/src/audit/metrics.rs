//! Numbers for a monitoring system, as a file in the text format of Prometheus (for its node exporter's textfile collector).
//!
//! An audit that could not be made leaves the file as it was: watch `sealift_audit_time_seconds` grow old.
//! Must not know how anything was found.

use std::fmt::Write as _;

use super::finding::Severity;
use super::report::Report;

/// The file's content; `duration` in seconds.
pub fn text(report: &Report, duration: f64) -> String {
    let mut text = String::new();
    let mut metric = |name: &str, help: &str, samples: &[(String, f64)]| {
        let all = samples.iter().fold(String::new(), |mut all, (labels, value)| {
            writeln!(all, "sealift_audit_{name}{labels} {value}").expect("a string takes everything");
            all
        });
        writeln!(
            text,
            "# HELP sealift_audit_{name} {help}\n# TYPE sealift_audit_{name} gauge\n{all}",
            all = all.trim_end()
        )
        .expect("a string takes everything");
    };
    let one = |value: f64| [(String::new(), value)];
    metric(
        "time_seconds",
        "When the audit began, in seconds since 1970.",
        &one(report.time as f64),
    );
    metric("duration_seconds", "How long it took.", &one(duration));
    let verdict = report.verdict as u8;
    metric("verdict", "0 fine, 1 incomplete, 2 misbehaviour.", &one(verdict.into()));
    let found = [("not-there", Severity::NotThere), ("wrong", Severity::Wrong)].map(|(name, severity)| {
        let count = report
            .findings
            .iter()
            .filter(|finding| finding.severity == severity)
            .count();
        (format!("{{severity=\"{name}\"}}"), count as f64)
    });
    metric("findings", "Findings by severity.", &found);
    let logs = |value: fn(&super::report::LogReport) -> Option<u64>| {
        let labels = |log: &super::report::LogReport| {
            format!("{{operator=\"{}\",epoch=\"{}\"}}", log.log.operator, log.log.epoch)
        };
        let samples = report.logs.iter();
        samples
            .filter_map(|log| Some((labels(log), value(log)? as f64)))
            .collect::<Vec<_>>()
    };
    metric("log_size", "Leaves of the served head.", &logs(|log| log.size));
    metric(
        "log_head_time_seconds",
        "When the served head was signed.",
        &logs(|log| log.time),
    );
    metric(
        "log_complete",
        "Whether all entries of the served head give its root.",
        &logs(|log| Some(log.complete.into())),
    );
    let rebuilt = super::rebuild::WORDS.map(|word| {
        let count = report.rebuilt.iter().filter(|unit| unit.word() == word).count();
        (format!("{{outcome=\"{word}\"}}"), count as f64)
    });
    metric(
        "rebuilt_units",
        "Units of the sample by what building them again gave.",
        &rebuilt,
    );
    text
}
