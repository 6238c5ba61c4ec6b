//! What the service counts, in the text format of Prometheus.
//!
//! Must not know what the counted things mean.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// Adds `count`.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }
}

/// All counters.
#[derive(Debug, Default)]
#[expect(
    missing_docs,
    reason = "the names are the metrics' names, explained where they are written"
)]
pub struct Metrics {
    pub objects_found: Counter,
    pub objects_missing: Counter,
    pub lookups: Counter,
    pub lookup_units: Counter,
    pub submissions_admitted: Counter,
    pub submissions_known: Counter,
    pub submissions_refused: Counter,
    pub submissions_failed: Counter,
    pub units_admitted: Counter,
    pub requests_stored: Counter,
}

impl Metrics {
    /// The text, followed by the size of each log, and version and expiry of each role of the TUF repository.
    pub fn render(&self, logs: impl Iterator<Item = (String, u32, u64)>, tuf: &[(&'static str, u64, i64)]) -> String {
        let mut text = String::new();
        for (name, help, values) in [
            (
                "sealift_objects_total",
                "objects asked for",
                vec![
                    ("{found=\"true\"}", &self.objects_found),
                    ("{found=\"false\"}", &self.objects_missing),
                ],
            ),
            ("sealift_lookups_total", "lookups answered", vec![("", &self.lookups)]),
            (
                "sealift_lookup_units_total",
                "units in the answers of lookups",
                vec![("", &self.lookup_units)],
            ),
            (
                "sealift_submissions_total",
                "submissions by outcome",
                vec![
                    ("{outcome=\"admitted\"}", &self.submissions_admitted),
                    ("{outcome=\"known\"}", &self.submissions_known),
                    ("{outcome=\"refused\"}", &self.submissions_refused),
                    ("{outcome=\"failed\"}", &self.submissions_failed),
                ],
            ),
            (
                "sealift_units_admitted_total",
                "units admitted",
                vec![("", &self.units_admitted)],
            ),
            (
                "sealift_requests_total",
                "requests for builds stored",
                vec![("", &self.requests_stored)],
            ),
        ] {
            _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter");
            for (labels, counter) in values {
                _ = writeln!(text, "{name}{labels} {}", counter.0.load(Ordering::Relaxed));
            }
        }
        text.push_str("# HELP sealift_log_size leaves of a log\n# TYPE sealift_log_size gauge\n");
        for (operator, epoch, size) in logs {
            _ = writeln!(
                text,
                "sealift_log_size{{operator=\"{operator}\",epoch=\"{epoch}\"}} {size}"
            );
        }
        if tuf.is_empty() {
            return text;
        }
        text.push_str("# HELP sealift_tuf_version version of a role's metadata\n# TYPE sealift_tuf_version gauge\n");
        for (role, version, _) in tuf {
            _ = writeln!(text, "sealift_tuf_version{{role=\"{role}\"}} {version}");
        }
        text.push_str("# HELP sealift_tuf_expires_seconds when a role's metadata expires, since 1970\n");
        text.push_str("# TYPE sealift_tuf_expires_seconds gauge\n");
        for (role, _, expires) in tuf {
            _ = writeln!(text, "sealift_tuf_expires_seconds{{role=\"{role}\"}} {expires}");
        }
        text
    }
}
