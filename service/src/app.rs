//! The service's state: the store, the catalogue, the logs of the configured operators.
//!
//! Owns the start: it reads every log back, finishes what a crash interrupted, and fills the catalogue.
//! Must not know HTTP.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sealift_policy::log::WitnessPolicy;
use sealift_policy::name::OperatorName;
use sealift_policy::trust::TrustPolicy;

use crate::catalogue::{Catalogue, CatalogueError};
use crate::derived;
use crate::logs::{LogError, ServedLog};
use crate::metrics::Metrics;
use crate::publish::{self, PublishError};
use crate::store::{LogName, Store};

/// Submissions that are received at the same time.
const SUBMISSIONS: usize = 8;

/// Lookups that are answered at the same time.
const LOOKUPS: usize = 16;

/// Everything that the routes work with.
pub struct App {
    store: Box<dyn Store>,
    catalogue: Catalogue,
    logs: BTreeMap<LogName, ServedLog>,
    frozen: BTreeSet<LogName>,
    witnesses: WitnessPolicy,
    policy: Option<TrustPolicy>,
    hints: Mutex<()>,
    /// What is counted.
    pub metrics: Metrics,
    /// Places for submissions.
    pub submissions: Arc<tokio::sync::Semaphore>,
    /// Places for lookups.
    pub lookups: Arc<tokio::sync::Semaphore>,
}

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A log is not the one that was admitted.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The catalogue cannot be used or built.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// What a crash interrupted cannot be finished.
    #[error("failed to finish what was interrupted")]
    Recovery(#[from] PublishError),
}

impl App {
    /// Opens the service's state over a store. `catalogue` is the SQLite file; without a policy nobody is admitted.
    pub fn open(store: Box<dyn Store>, catalogue: &Path, policy: Option<&TrustPolicy>) -> Result<Self, StartError> {
        let (mut logs, mut frozen) = (BTreeMap::new(), BTreeSet::new());
        for (operator, epoch, verifier) in policy.iter().flat_map(|policy| policy.logs()) {
            let name = LogName {
                operator: operator.clone(),
                epoch,
            };
            if policy.is_some_and(|policy| policy.frozen(operator, epoch).is_some()) {
                frozen.insert(name.clone());
            }
            logs.insert(name.clone(), ServedLog::load(&*store, name, verifier.clone())?);
        }
        let (catalogue, _) = Catalogue::open(catalogue)?;
        let app = Self {
            store,
            catalogue,
            logs,
            frozen,
            witnesses: policy
                .map(|policy| policy.document().witness_policy.clone())
                .unwrap_or_default(),
            policy: policy.cloned(),
            hints: Mutex::new(()),
            metrics: Metrics::default(),
            submissions: Arc::new(tokio::sync::Semaphore::new(SUBMISSIONS)),
            lookups: Arc::new(tokio::sync::Semaphore::new(LOOKUPS)),
        };
        for stranger in app.catalogue.logs()?.iter().filter(|log| !app.logs.contains_key(log)) {
            app.catalogue.forget(stranger)?;
        }
        // All logs before the first note: a hint file speaks of all operators.
        for log in app.logs.values() {
            derived::catch_up(&app, log)?;
        }
        for log in app.logs.values() {
            publish::finish_all(&app, log)?;
        }
        Ok(app)
    }

    /// The store.
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// The catalogue.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The logs of the configured operators.
    pub fn logs(&self) -> impl Iterator<Item = &ServedLog> {
        self.logs.values()
    }

    /// One of them.
    pub fn log(&self, operator: &OperatorName, epoch: u32) -> Option<&ServedLog> {
        self.logs.get(&LogName {
            operator: operator.clone(),
            epoch,
        })
    }

    /// Whether nothing is added to this log any more.
    pub fn is_frozen(&self, log: &LogName) -> bool {
        self.frozen.contains(log)
    }

    /// Which witnesses must have cosigned a head.
    pub fn witnesses(&self) -> &WitnessPolicy {
        &self.witnesses
    }

    /// Who is admitted, and what is asked of them. Without one there are no logs.
    pub fn policy(&self) -> Option<&TrustPolicy> {
        self.policy.as_ref()
    }

    /// Held while hint files are written.
    pub fn hints(&self) -> MutexGuard<'_, ()> {
        self.hints.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
