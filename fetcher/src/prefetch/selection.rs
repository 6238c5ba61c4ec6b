//! What of a lookup's answer is believed: the logs' heads, then the units.
//!
//! Owns which units are downloaded and in which order. Must not know the network.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use sealift_policy::digest::{PlanId, UnitKey};
use sealift_policy::document::UnitDocument;
use sealift_policy::log::VerifiedCheckpoint;
use sealift_policy::log::signatures::InMemory;
use sealift_policy::trust::{Freshness, Rejection, TrustPolicy};
use sealift_policy::wire::{LogState, LookupResponse, PlanHint, UnitRecord};

use super::deposit::Deposit;
use super::found::{Alarm, Fetched};
use super::offer::{self, AcceptedHeads, Offer, RefusedOffer};
use super::present::is_usable;
use super::{Order, chain};
use crate::heads::{HeadRefused, Heads, Log, Standing};
use crate::run;

/// Units that one plan may name. Honest stores name one as a rule, some where build scripts or compilers differ, and many
/// only where a script asks what each system has.
const MAX_UNITS_OF_PLAN: usize = 16;

/// The units of an answer.
#[derive(Debug, Default)]
pub(super) struct Selection {
    /// Those to download, in cargo's order.
    pub(super) offers: Vec<Offer>,
    /// Those that the store names for a plan and does not give.
    pub(super) omitted: Vec<UnitKey>,
    /// What to look for in the local store from now on.
    pub(super) hints: Vec<PlanHint>,
}

/// The heads that extend what was seen before. A log whose head does not is left out; the others are what they were.
pub(super) fn accept_heads(
    order: &Order<'_>,
    policy: &TrustPolicy,
    heads: &Heads,
    logs: &[Log],
    known: &AcceptedHeads,
    offered: &[LogState],
    fetched: &mut Fetched,
) -> AcceptedHeads {
    let mut accepted = AcceptedHeads::new();
    for log in logs {
        let name = (log.operator.clone(), log.epoch);
        let Some(offer) = offered
            .iter()
            .find(|offer| (&offer.operator, offer.epoch) == (&name.0, name.1))
        else {
            continue;
        };
        let standing = |head: &VerifiedCheckpoint| standing(policy, log, head);
        match heads.advance(log, known.get(&name), offer, standing) {
            Ok(head) => {
                accepted.insert(name, head);
            }
            Err(error @ HeadRefused::Store { .. }) => fetched.event.problems.push(chain(&error)),
            Err(error) => {
                let evidence = match &error {
                    HeadRefused::Contradicts { evidence, .. } => Some(evidence.clone()),
                    HeadRefused::NotSigned { .. } | HeadRefused::AfterItsEnd { .. } | HeadRefused::Store { .. } => None,
                };
                let alarm = Alarm {
                    what: error.to_string(),
                    evidence,
                };
                fetched.raise(alarm, order.watch);
            }
        }
    }
    accepted
}

/// What the policy says of a head at any time: how old it may be is asked of each unit.
fn standing(policy: &TrustPolicy, log: &Log, head: &VerifiedCheckpoint) -> Standing {
    let frozen = policy.frozen(&log.operator, log.epoch);
    let counts = policy.check_checkpoint(&log.operator, log.epoch, head, Freshness::Any);
    match (frozen, counts) {
        (Some(frozen), Err(_)) if head.size() >= frozen.size => Standing::AfterItsEnd,
        (Some(_), Ok(())) => Standing::Last,
        (None, Ok(())) => Standing::Counts,
        (_, Err(_)) => Standing::DoesNotCount,
    }
}

/// The units to download, in cargo's order.
pub(super) fn check_offers(
    order: &Order<'_>,
    policy: &TrustPolicy,
    deposit: &Deposit,
    heads: &AcceptedHeads,
    missing: &[PlanId],
    answer: LookupResponse,
    fetched: &mut Fetched,
) -> Selection {
    let plans: BTreeMap<PlanId, PlanHint> = answer.plans.into_iter().map(|plan| (plan.plan_id, plan)).collect();
    let mut records: BTreeMap<UnitKey, UnitRecord> = answer
        .units
        .into_iter()
        .map(|record| (record.unit_key, record))
        .collect();
    let mut seen = BTreeSet::new();
    let mut selection = Selection::default();
    let memory = InMemory::default();
    for plan in missing {
        let Some(mut hint) = plans.get(plan).cloned() else {
            continue;
        };
        // Those of which most operators speak first: one operator alone cannot hide what others made among its own.
        hint.unit_keys
            .sort_by_key(|key| Reverse(records.get(key).map_or(0, operators)));
        // Runs differ by what their systems have, and those for this one are among them.
        if hint.unit_keys.len() > MAX_UNITS_OF_PLAN {
            let is_for_here = |key: &UnitKey| records.get(key).is_some_and(|record| is_for_here(deposit, record));
            hint.unit_keys.sort_by_cached_key(|key| !is_for_here(key));
        }
        hint.unit_keys.truncate(MAX_UNITS_OF_PLAN);
        // Another build may have fetched it since it was asked for.
        if !hint.unit_keys.is_empty() && hint.unit_keys.iter().all(|key| is_usable(deposit, policy, *key)) {
            fetched.event.present += 1;
        }
        for &key in &hint.unit_keys {
            if !seen.insert(key) {
                continue;
            }
            if is_usable(deposit, policy, key) {
                continue;
            }
            let Some(record) = records.remove(&key) else {
                selection.omitted.push(key);
                continue;
            };
            match offer::check(policy, &memory, heads, &record, order.now) {
                // What other rules made is never asked for.
                Ok(offer) if !offer.document.is_of_these_rules() => {}
                Ok(offer) => selection.offers.push(offer),
                Err(refused) => {
                    let alarming = !refused.is_innocent();
                    let reason = chain(&refused);
                    if alarming {
                        let evidence = serde_json::to_vec(&record).expect("records have string keys only");
                        let kept = deposit.put_evidence(&format!("unit-{key}"), &evidence);
                        let shown = disagreement(policy, heads, &record, &refused);
                        let shown = shown.and_then(|file| deposit.put_evidence(&format!("statements-{key}"), &file));
                        let alarm = Alarm {
                            what: format!("unit {}: {reason}", key.short()),
                            evidence: shown.or(kept),
                        };
                        fetched.raise(alarm, order.watch);
                    }
                    fetched.refuse(key, reason, refused.cause(), alarming);
                }
            }
        }
        selection.hints.push(hint);
    }
    selection
}

/// Where operators disagree: the file that shows it to strangers.
fn disagreement(
    policy: &TrustPolicy,
    heads: &AcceptedHeads,
    record: &UnitRecord,
    refused: &RefusedOffer,
) -> Option<Vec<u8>> {
    let RefusedOffer::Rejected(Rejection::Disagreement(statements)) = refused else {
        return None;
    };
    let evidence = offer::disagreement(policy, heads, record, statements)?;
    Some(evidence.to_file().into_bytes())
}

/// Whether a run was made where scripts are told the same of the system as here.
fn is_for_here(deposit: &Deposit, record: &UnitRecord) -> bool {
    let document = UnitDocument::from_canonical(record.key_document.as_bytes());
    match document {
        Ok((_, UnitDocument::Run(document))) => run::is_of_such_a_system(deposit.store(), &document),
        Ok(_) => true,
        Err(_) => false,
    }
}

/// Of how many operators there are vouchers, whatever they are worth.
fn operators(record: &UnitRecord) -> usize {
    let vouchers = record.manifests.iter().flat_map(|manifest| &manifest.vouchers);
    vouchers.map(|voucher| &voucher.operator).collect::<BTreeSet<_>>().len()
}
