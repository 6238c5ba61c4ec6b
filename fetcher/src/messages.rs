//! rustc's messages on standard error, one JSON object a line.
//!
//! Owns telling artifact notifications from diagnostics, and writing notifications for other paths.
//! Must not know when anything is printed.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// An artifact notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    #[serde(rename = "$message_type")]
    message_type: String,
    /// The file.
    pub artifact: PathBuf,
    /// Its emit kind: `metadata`, `link` or `dep-info`.
    pub emit: String,
}

impl Artifact {
    /// The notification in a line, if it is one.
    pub fn parse(line: &str) -> Option<Self> {
        // Diagnostics are long; only a line that begins like a notification is worth parsing.
        if !line.starts_with("{\"$message_type\":\"artifact\"") {
            return None;
        }
        serde_json::from_str(line).ok()
    }

    /// A notification about a file.
    pub fn new(artifact: &Path, emit: &str) -> Self {
        Self {
            message_type: "artifact".into(),
            artifact: artifact.to_owned(),
            emit: emit.to_owned(),
        }
    }

    /// Prints it as rustc would.
    pub fn print(&self) {
        print(&serde_json::to_string(self).expect("a notification is always JSON"));
    }
}

/// Prints one line whole to standard error. That nobody reads is no reason to fail.
pub fn print(line: &str) {
    let _ = io::stderr().lock().write_all(format!("{line}\n").as_bytes());
}

/// Prints one line where cargo itself speaks. What a compiler prints cargo keeps with the unit, and repeats in each build in
/// which that unit is fresh. Where cargo's standard error cannot be had nothing is said.
pub fn print_as_cargo(line: &str) {
    let cargo = std::os::unix::process::parent_id();
    let stderr = fs_err::OpenOptions::new()
        .append(true)
        .open(format!("/proc/{cargo}/fd/2"));
    if let Ok(mut stderr) = stderr {
        let _ = stderr.write_all(format!("{line}\n").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_reads_as_rustc_writes_it() {
        let line = r#"{"$message_type":"artifact","artifact":"/t/liba.rmeta","emit":"metadata"}"#;
        let artifact = Artifact::parse(line).unwrap();
        assert_eq!(artifact, Artifact::new(Path::new("/t/liba.rmeta"), "metadata"));
        assert_eq!(serde_json::to_string(&artifact).unwrap(), line);
        assert_eq!(
            Artifact::parse(r#"{"$message_type":"diagnostic","message":"artifact"}"#),
            None
        );
    }
}
