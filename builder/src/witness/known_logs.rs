//! The logs that a witness knows, from a trust policy or from a file of its own.
//!
//! Owns the file's form: `log <vkey> [<url>]` lines as in <https://c2sp.org/tlog-policy>, empty lines and `#` comments.
//! Must not know where files lie.

use std::collections::BTreeMap;
use std::str::FromStr;

use sealift_policy::log::{LogVerifier, Origin};
use sealift_policy::trust::TrustPolicy;

/// Keys by origin; one for each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownLogs(BTreeMap<Origin, LogVerifier>);

/// Why a text is no list of logs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the logs: {problem}")]
pub struct MalformedLogs {
    line: usize,
    problem: &'static str,
}

impl KnownLogs {
    /// The key of a log.
    pub fn key(&self, origin: &Origin) -> Option<&LogVerifier> {
        self.0.get(origin)
    }

    /// All keys.
    pub fn iter(&self) -> impl Iterator<Item = &LogVerifier> {
        self.0.values()
    }
}

/// The logs of all operators, but those that are frozen: nothing that their keys sign any more is to be cosigned.
impl From<&TrustPolicy> for KnownLogs {
    fn from(policy: &TrustPolicy) -> Self {
        let open = policy
            .logs()
            .filter(|(operator, epoch, _)| policy.frozen(operator, *epoch).is_none());
        Self(open.map(|(_, _, key)| (key.origin().clone(), key.clone())).collect())
    }
}

impl FromStr for KnownLogs {
    type Err = MalformedLogs;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut logs = BTreeMap::new();
        for (index, text) in text.lines().enumerate() {
            let malformed = |problem| MalformedLogs {
                line: index + 1,
                problem,
            };
            let parts: Vec<&str> = text.split([' ', '\t']).filter(|part| !part.is_empty()).collect();
            let key = match parts[..] {
                [] => continue,
                [first, ..] if first.starts_with('#') => continue,
                ["log", key] | ["log", key, _] => key,
                _ => return Err(malformed("not `log <vkey> [<url>]`")),
            };
            let key: LogVerifier = key.parse().map_err(|_| malformed("no key of a log"))?;
            if logs
                .values()
                .any(|other: &LogVerifier| other.public_key() == key.public_key())
                || logs.insert(key.origin().clone(), key).is_some()
            {
                return Err(malformed("a key or log that is there already"));
            }
        }
        Ok(Self(logs))
    }
}

#[cfg(test)]
mod tests {
    use sealift_policy::log::LogSigner;

    use super::*;

    fn key(name: &str) -> String {
        let signer = LogSigner::generate(name.parse().unwrap(), &mut rand_core::OsRng);
        signer.verifier().to_string()
    }

    #[test]
    fn a_file_has_one_key_for_each_log() {
        let (one, two) = (key("a"), key("b"));
        let logs: KnownLogs = format!("# ours\n\nlog {one}\n \tlog\t{two}  https://b.example\n")
            .parse()
            .unwrap();
        assert_eq!(logs.iter().count(), 2);
        assert_eq!(logs.key(&"b".parse().unwrap()).unwrap().to_string(), two);
        assert_eq!(logs.key(&"c".parse().unwrap()), None);
        for wrong in [
            one.clone(),
            format!("log {one} x y"),
            "log nonsense".to_owned(),
            format!("witness w {one}"),
            format!("log {one}\nlog {one}"),
            format!("log {one}\nlog {}", key("a")),
        ] {
            assert!(wrong.parse::<KnownLogs>().is_err(), "{wrong}");
        }
    }
}
