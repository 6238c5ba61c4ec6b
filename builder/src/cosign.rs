//! Asking witnesses for cosignatures of a signed head, before the world sees it (<https://c2sp.org/tlog-witness>).
//!
//! Owns who is asked, for how long, what of an answer is believed, and when there are enough. Must not know how heads are
//! signed or published.

mod ask;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::Client;
use sealift_policy::log::cosignature::WitnessVerifier;
use sealift_policy::log::cosigned::merged;
use sealift_policy::log::{LogVerifier, Origin, TreeSize, VerifiedCheckpoint, WitnessPolicy};
use sealift_policy::trust::{CLOCK_TOLERANCE, TrustPolicy};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use self::ask::Ask;
pub use self::ask::AskError;
use crate::data::Data;
use crate::sequencer::LogContents;

/// How long the witnesses together have for one head.
const BUDGET: Duration = Duration::from_secs(60);

/// How long the others still have once there are enough.
const GRACE: Duration = Duration::from_secs(2);

/// The witnesses that are asked, and when they are enough.
#[derive(Debug, Clone)]
pub struct Witnesses {
    client: Client,
    /// Each must be met.
    policies: Vec<WitnessPolicy>,
    /// By key; whoever has no URL cannot be asked.
    asked: Vec<(WitnessVerifier, Option<String>)>,
    budget: Duration,
}

/// The sizes of a log that witnesses are known to have seen.
pub type SeenSizes = BTreeMap<Origin, TreeSize>;

/// A head after the witnesses were asked.
#[derive(Debug)]
pub struct Cosigned {
    /// With every cosignature that was given.
    pub head: VerifiedCheckpoint,
    /// Whether these are enough.
    pub is_met: bool,
    /// Who did not cosign it, and why.
    pub problems: Vec<(Origin, AskError)>,
    /// The size of the head to ask for instead: those who are needed say that they have cosigned one as large.
    pub ahead: Option<TreeSize>,
}

/// The log whose head is cosigned.
#[derive(Debug, Clone, Copy)]
pub struct Log<'a> {
    /// Its key.
    pub key: &'a LogVerifier,
    /// What it holds: the head and everything before it.
    pub contents: &'a LogContents,
}

impl Witnesses {
    /// The witnesses of a trust policy and of the operator's own file. `None` if neither asks for any.
    ///
    /// # Errors
    /// When a file is there and malformed.
    pub fn find(data: &Data, trust_policy: Option<&Path>) -> anyhow::Result<Option<Self>> {
        let mut policies = vec![];
        if let Some(path) = trust_policy {
            let policy: TrustPolicy = serde_json::from_slice(&fs_err::read(path)?)
                .with_context(|| format!("malformed trust policy `{}`", path.display()))?;
            policies.push(policy.document().witness_policy.clone());
        }
        let own = data.witness_policy();
        if own.exists() {
            let text = fs_err::read_to_string(&own)?;
            policies.push(text.parse().with_context(|| format!("malformed `{}`", own.display()))?);
        }
        policies.retain(|policy| !policy.witnesses().is_empty());
        if policies.is_empty() {
            return Ok(None);
        }
        Self::new(policies, BUDGET).map(Some)
    }

    /// Witnesses that must meet all of these policies.
    ///
    /// # Errors
    /// When there are no connections to be had, or a URL is none.
    pub fn new(policies: Vec<WitnessPolicy>, budget: Duration) -> anyhow::Result<Self> {
        let mut asked: Vec<(WitnessVerifier, Option<String>)> = vec![];
        for (key, url) in policies.iter().flat_map(WitnessPolicy::addresses) {
            if let Some(url) = url.filter(|url| !url.starts_with("http://") && !url.starts_with("https://")) {
                anyhow::bail!("`{url}` is not the URL of a witness");
            }
            let url = url.map(|url| url.trim_end_matches('/').to_owned());
            match asked.iter_mut().find(|(other, _)| other == key) {
                Some((_, known)) => *known = known.take().or(url),
                None => asked.push((key.clone(), url)),
            }
        }
        let client = Client::builder()
            // What is served is what is stored, whatever features other packages ask of the client's.
            .no_gzip()
            .no_deflate()
            .no_brotli()
            .no_zstd()
            .connect_timeout(Duration::from_secs(5))
            .timeout(Duration::from_secs(20))
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("sealift-builder/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self {
            client,
            policies,
            asked,
            budget,
        })
    }

    /// The names of all witnesses.
    pub fn names(&self) -> impl Iterator<Item = &Origin> {
        self.asked.iter().map(|(witness, _)| witness.name())
    }

    /// Whether those who have cosigned this head are enough at this time.
    pub fn is_met(&self, head: &VerifiedCheckpoint, now: u64) -> bool {
        self.is_met_by(|witness| has_cosigned(witness, head, now))
    }

    fn is_met_by(&self, cosigns: impl Fn(&WitnessVerifier) -> bool) -> bool {
        self.policies.iter().all(|policy| policy.is_met(&cosigns))
    }

    /// Asks all witnesses at once. `seen` says from which size to start with each, and is brought up to date.
    pub async fn cosign(&self, log: Log<'_>, head: VerifiedCheckpoint, seen: &mut SeenSizes, now: u64) -> Cosigned {
        let mut running = JoinSet::new();
        let mut waiting: BTreeMap<Origin, &WitnessVerifier> = BTreeMap::new();
        let mut cosigned = Cosigned {
            head,
            is_met: false,
            problems: vec![],
            ahead: None,
        };
        for (witness, url) in &self.asked {
            let Some(url) = url else {
                cosigned.problems.push((witness.name().clone(), AskError::NoUrl));
                continue;
            };
            let old = seen.get(witness.name()).copied().unwrap_or_default();
            let ask = Ask {
                client: self.client.clone(),
                url: format!("{url}/add-checkpoint"),
                witness: witness.clone(),
                log: log.key.clone(),
                head: cosigned.head.clone(),
                now,
            };
            waiting.insert(witness.name().clone(), witness);
            start(&mut running, ask, old, log, 0);
        }
        // Where nobody is needed, whoever is quick may cosign all the same.
        cosigned.is_met = self.is_met(&cosigned.head, now);
        let mut deadline = Instant::now() + if cosigned.is_met { GRACE } else { self.budget };
        while let Ok(Some(ended)) = timeout_at(deadline, running.join_next()).await {
            let Ok(Answered { ask, attempt, answer }) = ended else {
                continue;
            };
            let name = ask.witness.name().clone();
            match answer {
                Ok(with_line) => {
                    seen.insert(name.clone(), ask.head.size());
                    let witnesses: Vec<_> = self.asked.iter().map(|(witness, _)| witness.clone()).collect();
                    if let Ok(merged) = merged(log.key, &witnesses, &cosigned.head, &with_line) {
                        cosigned.head = merged;
                    }
                }
                Err(AskError::Elsewhere { seen: size }) if size <= ask.head.size() && attempt < MAX_RETRIES => {
                    seen.insert(name, size);
                    start(&mut running, ask, size, log, attempt + 1);
                    continue;
                }
                Err(AskError::Elsewhere { seen: size }) if size > ask.head.size() => {
                    seen.insert(name.clone(), size);
                    let error = match log.contents.consistency(ask.head.size(), size) {
                        Some(_) => AskError::Ahead { seen: size },
                        None => AskError::LogIsOlder { seen: size },
                    };
                    cosigned.problems.push((name.clone(), error));
                }
                Err(error) => cosigned.problems.push((name.clone(), error)),
            }
            waiting.remove(&name);
            if !cosigned.is_met && self.is_met(&cosigned.head, now) {
                cosigned.is_met = true;
                deadline = deadline.min(Instant::now() + GRACE);
            }
        }
        let late = waiting.into_keys().map(|name| (name, AskError::Late));
        cosigned.problems.extend(late);
        if !cosigned.is_met {
            cosigned.ahead = self.ahead(&cosigned, now);
        }
        cosigned
    }

    /// The smallest size with which there would be enough, of those that witnesses say they have cosigned. Nobody signed
    /// what they say: it counts only as far as it would help.
    fn ahead(&self, cosigned: &Cosigned, now: u64) -> Option<TreeSize> {
        let sizes: BTreeMap<&Origin, TreeSize> = cosigned
            .problems
            .iter()
            .filter_map(|(name, error)| match error {
                AskError::Ahead { seen } => Some((name, *seen)),
                _ => None,
            })
            .collect();
        let would_be_met = |size: &TreeSize| {
            self.is_met_by(|witness| {
                has_cosigned(witness, &cosigned.head, now) || sizes.get(witness.name()).is_some_and(|seen| seen <= size)
            })
        };
        let ascending: BTreeSet<TreeSize> = sizes.values().copied().collect();
        ascending.into_iter().find(would_be_met)
    }
}

fn has_cosigned(witness: &WitnessVerifier, head: &VerifiedCheckpoint, now: u64) -> bool {
    let seen = witness.cosigned(head);
    seen.is_ok_and(|seen| seen.time() <= now.saturating_add(CLOCK_TOLERANCE))
}

/// How often a witness may say that it stands elsewhere than we thought.
const MAX_RETRIES: u32 = 3;

struct Answered {
    ask: Ask,
    attempt: u32,
    answer: Result<VerifiedCheckpoint, AskError>,
}

fn start(running: &mut JoinSet<Answered>, ask: Ask, old: TreeSize, log: Log<'_>, attempt: u32) {
    // What it has seen beyond this head it will say itself.
    let old = old.min(ask.head.size());
    let proof = log.contents.consistency(old, ask.head.size()).unwrap_or_default();
    running.spawn(async move {
        let answer = ask.send(old, &proof).await;
        Answered { ask, attempt, answer }
    });
}

#[cfg(test)]
pub(crate) mod tests;
