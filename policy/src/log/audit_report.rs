//! What an auditor signs: that a report with this digest is its own (a C2SP signed note).
//!
//! Owns the text (six lines) and the type that only verification can make. The report itself lies beside it, since it may
//! be longer than a note. Must not know what is in a report.

use std::fmt;

use super::key::{LogSigner, LogVerifier, Origin};
use super::note::{NoteError, SignedNote};
use super::number::decimal;
use crate::digest::Digest;

/// The first line. It holds white space, so that it is no log's name and the note no checkpoint.
const HEADER: &str = "sealift audit report v1";

/// Longest name of a report's file.
const MAX_FILE: usize = 128;

/// How an audit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// All that was asked for was there, and right.
    Fine,
    /// What was there was right, and something was not there.
    Incomplete,
    /// Something is not what was signed, or signed statements contradict each other.
    Misbehaviour,
}

/// What an auditor says about a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditStatement {
    /// Who says so: the name of its key.
    pub auditor: Origin,
    /// When the audit was made, in seconds since 1970.
    pub time: u64,
    /// How it ended.
    pub verdict: Verdict,
    /// The name of the report's file, which lies beside the note: letters, digits, `-` and `.`, not at the beginning.
    pub file: String,
    /// SHA-256 of that file.
    pub sha256: Digest,
}

/// Why a note is not an auditor's statement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// The note around it.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The text is not exactly the six lines.
    #[error("malformed statement of an auditor")]
    Malformed,
    /// The text names another auditor than the key.
    #[error("statement of `{found}`, expected `{expected}`")]
    OtherAuditor {
        /// The auditor in the text.
        found: Origin,
        /// The auditor whose key was given.
        expected: Origin,
    },
}

impl Verdict {
    /// The word in notes and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Incomplete => "incomplete",
            Self::Misbehaviour => "misbehaviour",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl AuditStatement {
    /// The note that says so. The signer's name must be the statement's auditor.
    ///
    /// # Errors
    /// When it is another's, or the file's name is none.
    pub fn sign(&self, signer: &LogSigner) -> Result<Vec<u8>, StatementError> {
        self.must_be_of(signer.verifier())?;
        if !is_file_name(&self.file) {
            return Err(StatementError::Malformed);
        }
        let text = self.to_string();
        let signature = signer.signature(text.as_bytes());
        let note = SignedNote::sign(&text, self.auditor.as_str(), signer.key_id(), signature)?;
        Ok(note.as_bytes().to_vec())
    }

    /// Reads a note and checks that the auditor with this key has signed it, under its own name.
    ///
    /// # Errors
    /// When it is no such note, or not signed.
    pub fn verify(bytes: &[u8], auditor: &LogVerifier) -> Result<Self, StatementError> {
        let note = SignedNote::parse(bytes)?;
        let statement = Self::parse(note.text()).ok_or(StatementError::Malformed)?;
        statement.must_be_of(auditor)?;
        note.verify(auditor)?;
        Ok(statement)
    }

    fn must_be_of(&self, auditor: &LogVerifier) -> Result<(), StatementError> {
        if self.auditor == *auditor.origin() {
            return Ok(());
        }
        Err(StatementError::OtherAuditor {
            found: self.auditor.clone(),
            expected: auditor.origin().clone(),
        })
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let text = str::from_utf8(text).ok()?;
        let mut lines = text.strip_suffix('\n')?.split('\n');
        if lines.next()? != HEADER {
            return None;
        }
        let auditor = lines.next()?.parse().ok()?;
        let time = lines.next()?.strip_prefix("time ").and_then(decimal)?;
        let verdict = match lines.next()?.strip_prefix("verdict ")? {
            "fine" => Verdict::Fine,
            "incomplete" => Verdict::Incomplete,
            "misbehaviour" => Verdict::Misbehaviour,
            _ => return None,
        };
        let file = lines
            .next()?
            .strip_prefix("report ")
            .filter(|name| is_file_name(name))?;
        let sha256 = lines.next()?.strip_prefix("sha256 ")?.parse().ok()?;
        lines.next().is_none().then(|| Self {
            auditor,
            time,
            verdict,
            file: file.to_owned(),
            sha256,
        })
    }
}

/// The text that is signed.
impl fmt::Display for AuditStatement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            auditor,
            time,
            verdict,
            file,
            sha256,
        } = self;
        write!(
            f,
            "{HEADER}\n{auditor}\ntime {time}\nverdict {verdict}\nreport {file}\nsha256 {sha256}\n"
        )
    }
}

fn is_file_name(name: &str) -> bool {
    (1..=MAX_FILE).contains(&name.len())
        && !name.starts_with(['.', '-'])
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use rand_core::{CryptoRng, RngCore};

    use super::super::checkpoint::SignedCheckpoint;
    use super::*;

    /// Always the same key.
    struct Zeros;

    impl RngCore for Zeros {
        fn next_u32(&mut self) -> u32 {
            0
        }
        fn next_u64(&mut self) -> u64 {
            0
        }
        fn fill_bytes(&mut self, bytes: &mut [u8]) {
            bytes.fill(0);
        }
        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
            bytes.fill(0);
            Ok(())
        }
    }
    impl CryptoRng for Zeros {}

    fn signer() -> LogSigner {
        LogSigner::generate("sealift-auditor/someone".parse().unwrap(), &mut Zeros)
    }

    fn statement() -> AuditStatement {
        AuditStatement {
            auditor: "sealift-auditor/someone".parse().unwrap(),
            time: 1_700_000_000,
            verdict: Verdict::Fine,
            file: "1700000000.json".into(),
            sha256: Digest::of(b"{}"),
        }
    }

    #[test]
    fn a_statement_keeps_its_golden_form_and_reads_back() {
        let note = statement().sign(&signer()).unwrap();
        insta::assert_snapshot!(String::from_utf8(note.clone()).unwrap(), @"
        sealift audit report v1
        sealift-auditor/someone
        time 1700000000
        verdict fine
        report 1700000000.json
        sha256 44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a

        — sealift-auditor/someone AhTebAiLM949uge9DJ5c1wWJFRNyAUune6yybaZRIJMMeGLqNiTX5VLhNb7aLZIH90HM8llmVHeNznbfmomP1CXzvwA=
        ");
        assert_eq!(AuditStatement::verify(&note, signer().verifier()).unwrap(), statement());
        assert!(SignedCheckpoint::parse(&note).is_err(), "it is no checkpoint");
    }

    #[test]
    fn each_verdict_reads_back_and_file_names_stay_in_their_folder() {
        for verdict in [Verdict::Fine, Verdict::Incomplete, Verdict::Misbehaviour] {
            let statement = AuditStatement { verdict, ..statement() };
            let note = statement.sign(&signer()).unwrap();
            assert_eq!(AuditStatement::verify(&note, signer().verifier()).unwrap(), statement);
        }
        for name in ["a", "1700000000.json", "a-b.C", &"x".repeat(MAX_FILE)] {
            assert!(is_file_name(name), "{name}");
        }
        for name in [
            "",
            ".",
            "..",
            ".a",
            "-a",
            "a/b",
            "a\\b",
            "a b",
            "\u{e4}",
            &"x".repeat(MAX_FILE + 1),
        ] {
            assert!(!is_file_name(name), "{name}");
        }
    }

    #[test]
    fn a_changed_or_foreign_statement_is_refused() {
        let note = String::from_utf8(statement().sign(&signer()).unwrap()).unwrap();
        for (from, to) in [
            ("verdict fine", "verdict incomplete"),
            ("verdict fine", "verdict good"),
            ("time 17", "time 18"),
            ("time 17", "time 017"),
            ("report 17", "report ../17"),
            ("report 17", "report .17"),
            ("v1", "v2"),
            ("sha256 44", "sha256 45"),
            ("\n\n", "\nmore\n\n"),
        ] {
            let changed = note.replacen(from, to, 1);
            assert_ne!(changed, note, "{from}");
            assert!(
                AuditStatement::verify(changed.as_bytes(), signer().verifier()).is_err(),
                "{to}"
            );
        }
        let other = LogSigner::generate("sealift-auditor/other".parse().unwrap(), &mut Zeros);
        assert!(AuditStatement::verify(note.as_bytes(), other.verifier()).is_err());
        assert!(statement().sign(&other).is_err(), "nobody signs for others");
    }
}
