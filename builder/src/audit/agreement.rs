//! Whether what all logs state fits together: one leaf for each unit in a log, and the same one in all of them.
//!
//! Pure. A tile log cannot prove absence, so nobody but a reader of all entries can see this.
//! Must not know how entries were read.

use std::collections::BTreeMap;

use sealift_policy::digest::{Digest, UnitKey};
use sealift_policy::trust::{Statement, TrustPolicy};

use super::finding::{Finding, LogName, Stated};

/// What is stated about each unit. Statements that the policy took back are left out: they neither count nor contradict.
#[derive(Debug, Default)]
pub struct Statements {
    by_unit: BTreeMap<UnitKey, Vec<Statement>>,
    /// How many there are.
    pub standing: u64,
    /// How many the policy took back.
    pub revoked: u64,
}

impl Statements {
    /// Adds a leaf of a log.
    pub fn add(&mut self, policy: &TrustPolicy, unit_key: UnitKey, statement: Statement) {
        if policy.is_revoked(unit_key, &statement) {
            self.revoked += 1;
        } else {
            self.standing += 1;
            self.by_unit.entry(unit_key).or_default().push(statement);
        }
    }

    /// Each unit with each manifest that is stated for it, and who states it.
    pub fn stated(&self) -> impl Iterator<Item = (UnitKey, Digest, Vec<LogName>)> {
        self.by_unit.iter().flat_map(|(unit_key, statements)| {
            let mut logs: BTreeMap<Digest, Vec<LogName>> = BTreeMap::new();
            for statement in statements {
                let name = Stated::from(statement).log;
                let known = logs.entry(statement.manifest).or_default();
                if !known.contains(&name) {
                    known.push(name);
                }
            }
            logs.into_iter().map(|(manifest, logs)| (*unit_key, manifest, logs))
        })
    }

    /// All statements.
    pub fn all(&self) -> impl Iterator<Item = (UnitKey, &Statement)> {
        let units = self.by_unit.iter();
        units.flat_map(|(unit_key, statements)| statements.iter().map(|statement| (*unit_key, statement)))
    }

    /// The units about which all that is stated is one manifest.
    pub fn agreed(&self) -> impl Iterator<Item = (UnitKey, Digest)> {
        self.by_unit.iter().filter_map(|(unit_key, statements)| {
            let manifest = statements.first()?.manifest;
            let agreed = statements.iter().all(|statement| statement.manifest == manifest);
            agreed.then_some((*unit_key, manifest))
        })
    }

    /// Whatever contradicts the rules.
    pub fn contradictions(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (unit_key, statements) in &self.by_unit {
            let mut first: BTreeMap<LogName, (u64, Digest)> = BTreeMap::new();
            for statement in statements {
                let Stated { log, index, manifest } = Stated::from(statement);
                if let Some(first) = first.get(&log) {
                    findings.push(Finding::SecondLeaf {
                        log,
                        unit_key: *unit_key,
                        first: *first,
                        second: (index, manifest),
                    });
                } else {
                    first.insert(log, (index, manifest));
                }
            }
            // Of one log alone it was said above.
            let mut manifests: Vec<_> = first.values().map(|(_, manifest)| *manifest).collect();
            manifests.sort();
            manifests.dedup();
            if manifests.len() > 1 {
                let statements = statements.iter().map(Stated::from).collect();
                findings.push(Finding::Disagreement {
                    unit_key: *unit_key,
                    statements,
                });
            }
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use sealift_policy::log::{LogSigner, Origin};
    use serde_json::json;

    use super::super::finding::statement;
    use super::*;

    fn policy(ranges: &serde_json::Value) -> TrustPolicy {
        let name = "alpha".parse().unwrap();
        let key = LogSigner::generate(Origin::of(&name, 1), &mut rand_core::OsRng);
        serde_json::from_value(json!({
            "version": 1,
            "operators": [{"name": "alpha", "logs": [{"epoch": 1, "vkey": key.verifier()}]}],
            "quorum": {"host_code": 2, "library": 1},
            "max_checkpoint_age_seconds": 1,
            "revoked": {"ranges": ranges}
        }))
        .unwrap()
    }

    fn key(name: &str) -> UnitKey {
        UnitKey::new(Digest::of(name.as_bytes()))
    }

    fn statements(policy: &TrustPolicy, list: &[(&str, u32, u64, &str, &str)]) -> Statements {
        let mut statements = Statements::default();
        for (operator, epoch, index, unit, manifest) in list {
            let log = LogName {
                operator: operator.parse().unwrap(),
                epoch: *epoch,
            };
            let stated = statement(&log, (*index).try_into().unwrap(), Digest::of(manifest.as_bytes()));
            statements.add(policy, key(unit), stated);
        }
        statements
    }

    #[test]
    fn operators_that_say_the_same_agree_in_every_epoch() {
        let said = [
            ("alpha", 1, 0, "a", "m"),
            ("alpha", 2, 5, "a", "m"),
            ("beta", 1, 9, "a", "m"),
            ("beta", 1, 10, "b", "n"),
        ];
        let statements = statements(&policy(&json!([])), &said);
        assert!(statements.contradictions().is_empty());
        assert_eq!(statements.agreed().count(), 2);
        assert_eq!(statements.stated().count(), 2);
    }

    #[test]
    fn g7_two_manifests_for_one_unit_name_both_leaves() {
        let said = [("alpha", 1, 0, "a", "m"), ("beta", 1, 9, "a", "other")];
        let statements = statements(&policy(&json!([])), &said);
        let [finding] = &statements.contradictions()[..] else {
            panic!("{:?}", statements.contradictions());
        };
        let text = finding.to_string();
        let digest = |text: &str| Digest::of(text.as_bytes());
        for part in [
            format!("entry 0 of log 1 of `alpha` states manifest {}", digest("m")),
            format!("entry 9 of log 1 of `beta` states manifest {}", digest("other")),
        ] {
            assert!(text.contains(&part), "{text}");
        }
        assert_eq!(statements.agreed().count(), 0);
        assert_eq!(statements.stated().count(), 2);
    }

    #[test]
    fn a5_a_second_leaf_in_one_log_is_named_even_if_it_says_the_same() {
        for manifest in ["m", "other"] {
            let said = [("alpha", 1, 3, "a", "m"), ("alpha", 1, 7, "a", manifest)];
            let statements = statements(&policy(&json!([])), &said);
            let findings = statements.contradictions();
            assert!(
                matches!(
                    &findings[..],
                    [Finding::SecondLeaf {
                        first: (3, _),
                        second: (7, _),
                        ..
                    }]
                ),
                "{findings:?}"
            );
        }
    }

    #[test]
    fn what_was_taken_back_contradicts_nobody() {
        let ranges = json!([{"operator": "alpha", "epoch": 1, "start": 5, "end": 10}]);
        let said = [("alpha", 1, 7, "a", "forged"), ("beta", 1, 9, "a", "m")];
        let revoking = statements(&policy(&ranges), &said);
        assert!(revoking.contradictions().is_empty());
        assert_eq!((revoking.standing, revoking.revoked), (1, 1));
        assert_eq!(statements(&policy(&json!([])), &said).contradictions().len(), 1);
    }
}
