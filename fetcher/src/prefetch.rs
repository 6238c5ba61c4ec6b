//! Prefetch: what a build will need, verified and put into the local store before cargo asks for it.
//!
//! Owns the steps from cargo's plan to the local store: what is there already, one lookup, the logs' heads, the
//! offers, the downloads in cargo's order. Every way in which a step can fail leaves units to the compiler.
//! Must not know how a unit is installed, and never decides trust by itself: that is [`sealift_policy::trust`]'s.

pub(crate) mod budget;
mod deposit;
mod download;
mod frame;
mod offer;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use sealift_policy::digest::{PlanId, UnitKey};
use sealift_policy::key::KeyDocument;
use sealift_policy::local::{PrefetchEvent, RefusedUnit, UnitOrigin};
use sealift_policy::log::VerifiedCheckpoint;
use sealift_policy::name::{OperatorName, Toolchain};
use sealift_policy::trust::{Freshness, Subject, TrustPolicy};
use sealift_policy::wire::{KnownHead, LogState, LookupRequest, LookupResponse, MAX_LOOKUP_IDS, PlanHint, UnitRecord};

use crate::heads::{HeadRefused, Heads, Log};
use crate::remote::Remote;
use crate::report::progress::Progress;
use budget::Limits;
use deposit::Deposit;
use download::{Downloads, Failed};
use offer::{AcceptedHeads, Offer};

/// Units in flight at once.
const CONCURRENCY: usize = 16;

/// Units that one plan may name. Honest stores name one, or a few where build scripts or compilers differ.
const MAX_UNITS_OF_PLAN: usize = 16;

/// What is to be fetched, from where, under whose rules.
pub(crate) struct Order<'a> {
    /// Base URL of the public store.
    pub(crate) url: &'a str,
    /// The local store's root.
    pub(crate) store: &'a Path,
    /// Who is believed.
    pub(crate) policy: &'a TrustPolicy,
    /// The compiler of the plans.
    pub(crate) toolchain: &'a Toolchain,
    /// What cargo plans, dependencies first.
    pub(crate) plans: &'a [PlanId],
    /// How long it may take.
    pub(crate) limits: Limits,
    /// Seconds since 1970, by this machine's clock.
    pub(crate) now: u64,
    /// Where to show how far it is.
    pub(crate) progress: &'a Progress,
}

/// What a prefetch did.
#[derive(Debug, Default)]
pub(crate) struct Fetched {
    /// The numbers, for the build's events.
    pub(crate) event: PrefetchEvent,
    /// What looks like an attack.
    pub(crate) alarms: Vec<Alarm>,
}

/// Something that looks like an attack.
#[derive(Debug)]
pub(crate) struct Alarm {
    /// What was seen, as a fragment of a sentence.
    pub(crate) what: String,
    /// Where it is kept.
    pub(crate) evidence: Option<PathBuf>,
}

/// Fetches what is missing. Never fails: what goes wrong is in the answer.
pub(crate) async fn fetch(order: &Order<'_>) -> Fetched {
    let begin = Instant::now();
    let mut fetched = Fetched::default();
    fetched.event.planned = order.plans.len() as u64;
    if let Err(problem) = run(order, &mut fetched).await {
        fetched.event.problems.push(problem);
    }
    order.progress.finish();
    fetched.event.wall_ms = millis(begin.elapsed());
    fetched
}

/// The steps. An error is why they ended early, for people.
async fn run(order: &Order<'_>, fetched: &mut Fetched) -> Result<(), String> {
    let deposit = Deposit::open(order.store).map_err(|error| format!("failed to open the local store: {error}"))?;
    let missing: Vec<PlanId> = order
        .plans
        .iter()
        .filter(|plan| !is_present(&deposit, order.policy, **plan))
        .copied()
        .collect();
    fetched.event.present = (order.plans.len() - missing.len()) as u64;
    if missing.is_empty() {
        return Ok(());
    }
    let remote = Remote::new(order.url, order.limits).map_err(|error| chain(&error))?;
    let heads = Heads::new(order.store);
    let logs: Vec<Log> = (order.policy.logs())
        .map(|(operator, epoch, key)| Log {
            operator: operator.clone(),
            epoch,
            key: key.clone(),
        })
        .collect();
    let known: AcceptedHeads = (logs.iter())
        .filter_map(|log| Some(((log.operator.clone(), log.epoch), heads.known(log)?)))
        .collect();

    order.progress.looking_up(missing.len());
    let answer = remote.lookup(&request(order.toolchain, &missing, &known)).await;
    fetched.event.bytes = remote.budget().received();
    let answer = answer.map_err(|error| chain(&error))?;
    if answer.version != 1 {
        return Err(format!(
            "lookup answer of version {}, which is not known",
            answer.version
        ));
    }

    let begin = Instant::now();
    let accepted = accept_heads(&heads, &logs, &known, &answer.logs, fetched)?;
    let offers = check_offers(order, &deposit, &accepted, &missing, answer, fetched);
    let mut verifying = begin.elapsed();

    remote
        .budget()
        .allow_downloads(Duration::from_millis(offers.iter().map(|offer| offer.compile_ms).sum()));
    order.progress.downloading(offers.len());
    let downloads = &Downloads::new(&remote, &deposit);
    let mut results = futures::stream::iter(&offers)
        .map(|offer| async move { (offer, downloads.unit(offer).await) })
        .buffer_unordered(CONCURRENCY);
    while let Some((offer, result)) = results.next().await {
        order.progress.downloaded();
        match result {
            Ok(hashing) => {
                verifying += hashing;
                fetched.event.fetched += 1;
            }
            Err(failed) => fetched.note(offer, failed, &remote),
        }
    }
    drop(results);
    fetched.event.bytes = remote.budget().received();
    fetched.event.verify_us = u64::try_from(verifying.as_micros()).unwrap_or(u64::MAX);
    remote.broken().map_or(Ok(()), |reason| Err(reason.to_owned()))
}

fn request(toolchain: &Toolchain, missing: &[PlanId], known: &AcceptedHeads) -> LookupRequest {
    let head = |((operator, epoch), head): (&(OperatorName, u32), &VerifiedCheckpoint)| KnownHead {
        operator: operator.clone(),
        epoch: *epoch,
        size: head.size().value(),
    };
    LookupRequest {
        version: 1,
        toolchain: toolchain.clone(),
        // The first ones are what cargo needs first.
        plan_ids: missing.iter().take(MAX_LOOKUP_IDS).copied().collect(),
        unit_keys: Vec::new(),
        heads: known.iter().map(head).collect(),
    }
}

/// Whether everything that an earlier lookup named for this plan is in the local store and still believed.
fn is_present(deposit: &Deposit, policy: &TrustPolicy, plan: PlanId) -> bool {
    let units = deposit.units_of_plan(plan);
    !units.is_empty() && units.into_iter().all(|unit| is_usable(deposit, policy, unit))
}

fn is_usable(deposit: &Deposit, policy: &TrustPolicy, key: UnitKey) -> bool {
    let Some(unit) = deposit.store().unit(key) else {
        return false;
    };
    let Ok(manifest) = sealift_policy::manifest::Manifest::from_canonical(unit.manifest.as_bytes()) else {
        return false;
    };
    if !deposit.has_all(&manifest) {
        return false;
    }
    let UnitOrigin::Fetched { proofs } = &unit.origin else {
        return true;
    };
    let Some(document) = deposit.key_document(key) else {
        return false;
    };
    let Ok((unit_key, document)) = KeyDocument::from_canonical(&document) else {
        return false;
    };
    let Ok(class) = document.class() else { return false };
    let subject = Subject {
        unit_key,
        document: &document,
        class,
    };
    unit_key == key
        && policy
            .verify(&subject, unit.manifest.as_bytes(), proofs, Freshness::Any)
            .is_ok()
}

/// The heads that extend what was seen before. One that does not ends the prefetch: the source is not to be used.
fn accept_heads(
    heads: &Heads,
    logs: &[Log],
    known: &AcceptedHeads,
    offered: &[LogState],
    fetched: &mut Fetched,
) -> Result<AcceptedHeads, String> {
    let mut accepted = AcceptedHeads::new();
    for log in logs {
        let name = (log.operator.clone(), log.epoch);
        let Some(offer) = offered
            .iter()
            .find(|offer| (&offer.operator, offer.epoch) == (&name.0, name.1))
        else {
            continue;
        };
        match heads.advance(log, known.get(&name), offer) {
            Ok(head) => {
                accepted.insert(name, head);
            }
            Err(error @ HeadRefused::Store { .. }) => fetched.event.problems.push(chain(&error)),
            Err(error) => {
                let evidence = match &error {
                    HeadRefused::Contradicts { evidence, .. } => Some(evidence.clone()),
                    HeadRefused::NotSigned { .. } | HeadRefused::Store { .. } => None,
                };
                let what = error.to_string();
                fetched.alarms.push(Alarm {
                    what: what.clone(),
                    evidence,
                });
                return Err(what);
            }
        }
    }
    Ok(accepted)
}

/// The units to download, in cargo's order.
fn check_offers(
    order: &Order<'_>,
    deposit: &Deposit,
    heads: &AcceptedHeads,
    missing: &[PlanId],
    answer: LookupResponse,
    fetched: &mut Fetched,
) -> Vec<Offer> {
    let plans: BTreeMap<PlanId, PlanHint> = answer.plans.into_iter().map(|plan| (plan.plan_id, plan)).collect();
    let mut records: BTreeMap<UnitKey, UnitRecord> = answer
        .units
        .into_iter()
        .map(|record| (record.unit_key, record))
        .collect();
    let mut seen = BTreeSet::new();
    let mut offers = Vec::new();
    for plan in missing {
        let Some(mut hint) = plans.get(plan).cloned() else {
            continue;
        };
        hint.unit_keys.truncate(MAX_UNITS_OF_PLAN);
        for &key in &hint.unit_keys {
            if !seen.insert(key) {
                continue;
            }
            let compiled_here = deposit.store().unit(key).is_some_and(|unit| {
                matches!(unit.origin, UnitOrigin::Compiled) && is_usable(deposit, order.policy, key)
            });
            let Some(record) = records.remove(&key).filter(|_| !compiled_here) else {
                continue;
            };
            let evidence = serde_json::to_vec(&record).expect("records have string keys only");
            match offer::check(order.policy, heads, record, order.now) {
                Ok(offer) => offers.push(offer),
                Err(refused) => {
                    let alarming = !refused.is_innocent();
                    let reason = chain(&refused);
                    if alarming {
                        fetched.alarms.push(Alarm {
                            what: format!("unit {}: {reason}", key.short()),
                            evidence: deposit.put_evidence(&format!("unit-{key}"), &evidence),
                        });
                    }
                    fetched.refuse(key, reason, alarming);
                }
            }
        }
        // Only a memory of what to look for in the local store: failing to keep it costs the next build a lookup.
        let _ = deposit.put_plan(&hint);
    }
    offers
}

impl Fetched {
    fn refuse(&mut self, unit_key: UnitKey, reason: String, alarming: bool) {
        self.event.rejected += 1;
        self.event.refused.push(RefusedUnit {
            unit_key,
            reason,
            alarming,
        });
    }

    fn note(&mut self, offer: &Offer, failed: Failed, remote: &Remote) {
        let reason = chain(&failed);
        match failed {
            Failed::Wrong { evidence, .. } => {
                let crate_name = &offer.document.crate_name;
                self.alarms.push(Alarm {
                    what: format!("unit `{crate_name}`: {reason}"),
                    evidence,
                });
                self.refuse(offer.unit_key, reason, true);
            }
            // A full disk stays full: nothing more is asked for.
            Failed::Local(_) => remote.leave_alone(&reason),
            Failed::Remote(_) if remote.broken().is_some() => {}
            Failed::Remote(_) | Failed::TooLarge(_) => self.event.problems.push(reason),
        }
    }
}

/// An error with its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
