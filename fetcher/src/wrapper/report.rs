//! What the wrapper did for one call, written into the build's events.
//!
//! Must not decide anything.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sealift_policy::digest::UnitKey;
use sealift_policy::key::Package;
use sealift_policy::local::{BuildEvent, CallKind, Outcome, UnitEvent};
use sealift_policy::run::RunDocument;

use crate::call::{self, Call, NotHandled};
use crate::cause::Caused;
use crate::env::Env;
use crate::install::InPlace;
use crate::pass_through::Given;
use crate::run::NoRun;
use crate::{beside, events};

/// Where events go, and since when.
pub(crate) struct Report {
    root: PathBuf,
    started: Instant,
    waited: Cell<Duration>,
}

/// What something happened to.
pub(crate) struct Subject<'a> {
    pub(crate) crate_name: &'a str,
    pub(crate) package: &'a Package,
    pub(crate) kind: CallKind,
    pub(crate) key: UnitKey,
}

impl<'a> From<&'a Call> for Subject<'a> {
    fn from(call: &'a Call) -> Self {
        Self {
            crate_name: &call.document.crate_name,
            package: &call.document.package,
            kind: call::kind(call.invocation.crate_type),
            key: call.key,
        }
    }
}

impl Report {
    /// Into this local store.
    pub(crate) fn new(root: &Path, started: Instant) -> Self {
        Self {
            root: root.to_owned(),
            started,
            waited: Cell::default(),
        }
    }

    /// Does what is waiting for a download.
    pub(crate) fn waiting<T>(&self, wait: impl FnOnce() -> T) -> T {
        let begin = Instant::now();
        let waited = wait();
        self.waited.set(self.waited.get() + begin.elapsed());
        waited
    }

    /// A call that was handled; `compiling_ms` is what the compiler took here, `compile_ms` what it takes.
    pub(crate) fn unit(
        &self,
        of: &Subject<'_>,
        outcome: Outcome,
        why: Option<Why>,
        compile_ms: u64,
        compiling_ms: u64,
        in_place: InPlace,
    ) {
        let Subject {
            crate_name, package, ..
        } = of;
        let waited = self.waited.get();
        let own = self
            .started
            .elapsed()
            .saturating_sub(waited + Duration::from_millis(compiling_ms));
        let (reason, caused) = why.map(|why| (why.text, why.caused)).unzip();
        self.append(UnitEvent {
            crate_name: (*crate_name).to_owned(),
            package: Some(package.name.to_string()),
            package_version: Some(package.version.to_string()),
            kind: Some(of.kind),
            outcome,
            unit_key: Some(of.key),
            reason,
            cause: caused.as_ref().map(|caused| caused.cause),
            about: caused.and_then(|caused| caused.about),
            waited_ms: u64::try_from(waited.as_millis()).unwrap_or(u64::MAX),
            wrapper_us: u64::try_from(own.as_micros()).unwrap_or(u64::MAX),
            compile_ms,
            bytes: in_place.bytes,
            shared_bytes: in_place.shared,
        });
    }

    /// A call that was not handled.
    pub(crate) fn passed_through(&self, given: &Given, why: &NotHandled) {
        let crate_name = given.args.iter().skip_while(|arg| *arg != "--crate-name").nth(1);
        let crate_name = crate_name.map(|name| name.to_string_lossy().into_owned());
        self.not_handled(crate_name.unwrap_or_default(), None, chain(why), why.into());
    }

    /// A run of a reviewed script that was made as cargo asked.
    pub(crate) fn run_not_handled(&self, why: &NoRun) {
        let kind = Some(CallKind::BuildScriptRun);
        self.not_handled(RunDocument::CRATE_NAME.to_owned(), kind, chain(why), why.into());
    }

    fn not_handled(&self, crate_name: String, kind: Option<CallKind>, reason: String, why: Caused) {
        let env = Env::process();
        let Caused { cause, about } = why;
        self.append(UnitEvent {
            crate_name,
            package: env.text("CARGO_PKG_NAME"),
            package_version: env.text("CARGO_PKG_VERSION"),
            kind,
            outcome: Outcome::PassedThrough,
            unit_key: None,
            reason: Some(reason),
            cause: Some(cause),
            about,
            waited_ms: 0,
            wrapper_us: u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX),
            compile_ms: 0,
            bytes: 0,
            shared_bytes: 0,
        });
    }

    /// Losing an event costs a line of a report.
    fn append(&self, event: UnitEvent) {
        if let Some(build) = beside::build() {
            let _ = events::append(&self.root, build, &BuildEvent::Unit(event));
        }
    }
}

pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    text
}

/// Why a unit was no hit.
#[derive(Clone)]
pub(crate) struct Why {
    pub(crate) text: String,
    pub(crate) caused: Caused,
}
