//! Prefetch: what a build will need, verified and put into the local store before cargo asks for it.
//!
//! Owns the steps from cargo's plan to the local store: what is there already, one lookup, the logs' heads, the
//! offers, the downloads in cargo's order. Every way in which a step can fail leaves units to the compiler.
//! Must not know how a unit is installed, and never decides trust by itself: that is [`sealift_policy::trust`]'s.

pub(crate) mod budget;
pub(crate) mod deposit;
mod download;
mod flights;
mod found;
mod frame;
mod offer;
mod omitted;
mod present;
mod proven;
mod selection;
mod trusted;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use sealift_policy::cause::Cause;
use sealift_policy::digest::PlanId;
use sealift_policy::log::VerifiedCheckpoint;
use sealift_policy::name::{OperatorName, Toolchain};
use sealift_policy::trust::TrustPolicy;
use sealift_policy::wire::{KnownHead, LogState, LookupRequest, LookupResponse, MAX_LOOKUP_IDS, PlanHint};
use tokio::task::JoinHandle;

use crate::cargo::Network;
use crate::clock;
use crate::flight::TELL;
use crate::heads::{Heads, Log};
use crate::remote::{Arriving, Remote, RemoteError};
use crate::tuf::Follow;
use budget::Limits;
use deposit::Deposit;
use download::{Downloads, Failed};
use flights::Flights;
pub(crate) use found::{Alarm, Fetched};
use offer::AcceptedHeads;
use present::is_present;
use selection::{accept_heads, check_offers};
use trusted::Trusted;

/// Units in flight at once.
const CONCURRENCY: usize = 16;

/// What is to be fetched, from where, under whose rules.
pub(crate) struct Order<'a> {
    /// Base URL of the public store.
    pub(crate) url: &'a str,
    /// The local store's root.
    pub(crate) store: &'a Path,
    /// Who is believed.
    pub(crate) trust: Trust<'a>,
    /// The compiler of the plans.
    pub(crate) toolchain: &'a Toolchain,
    /// What cargo plans, dependencies first.
    pub(crate) plans: &'a [PlanId],
    /// How long it may take.
    pub(crate) limits: Limits,
    /// Seconds since 1970, by this machine's clock.
    pub(crate) now: u64,
    /// Whether operators count only where they show how a unit was built.
    pub(crate) require_provenance: bool,
    /// How to reach the network.
    pub(crate) network: &'a Network,
    /// Who is told how far it is.
    pub(crate) watch: &'a dyn Watch,
}

/// Who is believed.
#[derive(Clone, Copy)]
pub(crate) enum Trust<'a> {
    /// Whom this policy names.
    Policy(&'a TrustPolicy),
    /// Whom the policy names to which this leads.
    Tuf(Follow<'a>),
}

/// Somebody who is told how far a prefetch is.
pub(crate) trait Watch: Sync {
    /// It has come to this step.
    fn step(&self, step: Step<'_>);
}

/// How far a prefetch is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step<'a> {
    /// Asking cargo what it plans.
    Planning,
    /// Asking the public store for the trust policy.
    Following,
    /// Asking the public store for so many units.
    LookingUp(usize),
    /// So much of the answer has come, in bytes; `expected` is 0 where that is not said.
    Answering {
        /// Bytes that have come.
        received: u64,
        /// Bytes that will come.
        expected: u64,
    },
    /// Checking the answer.
    Choosing,
    /// Fetching so many units. What is not on its way now will not come.
    Downloading(usize),
    /// One of them is through.
    Downloaded,
    /// Something looks like an attack.
    Alarm(&'a Alarm),
    /// Nothing is believed, for a reason that only somebody can mend.
    Notice(&'a str),
}

/// Fetches what is missing. Never fails: what goes wrong is in the answer. May be dropped at any time: what it has
/// found by then is in the answer, too.
pub(crate) async fn fetch(order: &Order<'_>, fetched: &mut Fetched) {
    fetched.event.planned = order.plans.len() as u64;
    if let Err(problem) = run(order, fetched).await {
        fetched.event.problems.push(problem);
        fetched.event.obstacle.get_or_insert(Cause::Unreachable);
    }
}

/// The steps. An error is why they ended early, for people.
async fn run(order: &Order<'_>, fetched: &mut Fetched) -> Result<(), String> {
    let deposit = Deposit::open(order.store).map_err(|error| format!("failed to open the local store: {error}"))?;
    let known = Trusted::known(order);
    if let Some(trusted) = &known
        && !trusted.is_due()
        && (order.plans.iter()).all(|plan| is_present(&deposit, trusted.policy(), *plan))
    {
        fetched.event.present = order.plans.len() as u64;
        return Ok(());
    }
    let remote = Remote::new(order.url, order.limits, order.network).map_err(|error| chain(&error))?;
    let remote = Arc::new(remote);
    let mut trusted = match known {
        Some(trusted) => trusted,
        None => Trusted::first(order, &remote, fetched).await?,
    };
    let missing: Vec<PlanId> = order
        .plans
        .iter()
        .filter(|plan| !is_present(&deposit, trusted.policy(), **plan))
        .copied()
        .collect();
    fetched.event.present = (order.plans.len() - missing.len()) as u64;
    if missing.is_empty() {
        return trusted.refresh(order, &remote, fetched).await.map(drop);
    }
    let heads = Heads::new(order.store);
    let mut question = Question::new(trusted.policy(), &heads);
    order.watch.step(Step::LookingUp(missing.len()));
    // The policy may be followed while the store is asked; nothing is believed before both are there.
    let (answer, refreshed) = tokio::join!(
        question.ask(order, &remote, &missing),
        trusted.refresh(order, &remote, fetched)
    );
    fetched.event.bytes = remote.budget().received();
    refreshed?;
    let mut answer = answer;
    let is_of_another_log = |log: &LogState| trusted.policy().log(&log.operator, log.epoch).is_none();
    if (answer.as_ref()).is_ok_and(|answer| answer.logs.iter().any(is_of_another_log)) {
        trusted.renew(order, &remote, fetched).await?;
    }
    let now = Question::new(trusted.policy(), &heads);
    if !now.is_about_the_logs_of(&question) {
        question = now;
        answer = question.ask(order, &remote, &missing).await;
        fetched.event.bytes = remote.budget().received();
    }
    order.watch.step(Step::Choosing);
    let Question { logs, known } = &question;
    let policy = trusted.policy();
    let answer = answer.map_err(|error| chain(&error))?;
    if answer.version != 1 {
        return Err(format!(
            "lookup answer of version {}, which is not known",
            answer.version
        ));
    }

    let begin = clock::of_thread();
    let accepted = accept_heads(order, policy, &heads, logs, known, &answer.logs, fetched);
    let mut selection = check_offers(order, policy, &deposit, &accepted, &missing, answer, fetched);
    let (mut verifying, mut hashes) = (clock::of_thread().saturating_sub(begin), Duration::ZERO);
    // Beside the downloads, which need none of it.
    let remembering = remember(&deposit, std::mem::take(&mut selection.hints));
    remote.budget().allow_downloads(Duration::from_millis(
        // Unsigned numbers: they may be anything.
        (selection.offers.iter()).fold(0_u64, |sum, offer| sum.saturating_add(offer.compile_ms)),
    ));
    if order.require_provenance {
        selection.offers = proven::proven(order, policy, &remote, &deposit, selection.offers, fetched).await;
    }
    let offers = &selection.offers;
    let flights = Flights::board(deposit.store(), offers);
    order.watch.step(Step::Downloading(offers.len()));
    let downloads = &Downloads::new(&remote, &deposit, policy);
    let moving = async {
        let mut results = futures::stream::iter(flights.all().iter().zip(offers))
            .map(|(flight, offer)| async move { (offer, downloads.unit(flight, offer).await) })
            .buffer_unordered(CONCURRENCY);
        while let Some((offer, result)) = results.next().await {
            order.watch.step(Step::Downloaded);
            fetched.event.bytes = remote.budget().received();
            match result {
                Ok(hashing) => {
                    verifying += hashing;
                    hashes += hashing;
                    fetched.event.fetched += 1;
                }
                Err(Failed::Elsewhere) => fetched.event.present += 1,
                Err(failed) => fetched.note(offer, failed, &remote, order.watch),
            }
            fetched.event.verify_us = micros(verifying);
            fetched.event.hash_us = micros(hashes);
        }
    };
    tokio::select! {
        () = moving => {}
        () = flights.tell() => {}
    }
    let _ = remembering.await;
    omitted::examine(&remote, &deposit, &selection.omitted, fetched, order.watch).await;
    fetched.event.bytes = remote.budget().received();
    remote.broken().map_or(Ok(()), |reason| Err(reason.to_owned()))
}

/// Keeps what was heard of plans. Only a memory: failing to keep it, or ending before all of it is kept, costs the next
/// build a lookup.
fn remember(deposit: &Deposit, hints: Vec<PlanHint>) -> JoinHandle<()> {
    let deposit = deposit.clone();
    tokio::task::spawn_blocking(move || {
        for hint in &hints {
            let _ = deposit.put_plan(hint);
        }
    })
}

/// Tells how much of the answer has come, for ever.
async fn tell<T>(arriving: &Arriving, watch: &dyn Watch) -> T {
    let mut told = 0;
    loop {
        tokio::time::sleep(TELL).await;
        let (received, expected) = (arriving.received(), arriving.expected());
        if received > told {
            told = received;
            watch.step(Step::Answering { received, expected });
        }
    }
}

/// What is asked, and what is known of the logs from which the answer must go on.
struct Question {
    logs: Vec<Log>,
    known: AcceptedHeads,
}

impl Question {
    fn new(policy: &TrustPolicy, heads: &Heads) -> Self {
        let logs: Vec<Log> = (policy.logs())
            .map(|(operator, epoch, key)| Log {
                operator: operator.clone(),
                epoch,
                key: key.clone(),
            })
            .collect();
        let known = (logs.iter())
            .filter_map(|log| Some(((log.operator.clone(), log.epoch), heads.known(log)?)))
            .collect();
        Self { logs, known }
    }

    fn is_about_the_logs_of(&self, other: &Self) -> bool {
        self.logs
            .iter()
            .map(|log| &log.key)
            .eq(other.logs.iter().map(|log| &log.key))
    }

    async fn ask(&self, order: &Order<'_>, remote: &Remote, missing: &[PlanId]) -> Result<LookupResponse, RemoteError> {
        let (arriving, question) = (Arriving::default(), request(order.toolchain, missing, &self.known));
        tokio::select! {
            answer = remote.lookup(&question, &arriving) => answer,
            never = tell(&arriving, order.watch) => never,
        }
    }
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

/// An error with its causes on one line, with nothing in it that a terminal or cargo would obey: some of its words are
/// a stranger's.
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
    text.replace(char::is_control, "\u{fffd}")
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
