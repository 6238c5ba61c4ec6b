//! What can be checked of the public store: is it there, and are its logs' heads signed, fresh and not behind.
//!
//! Must not know how findings are shown. Remembers nothing: a head is only accepted by a lookup.

use sealift_policy::layout::ObjectPath;
use sealift_policy::log::SignedCheckpoint;
use sealift_policy::trust::{Freshness, TrustPolicy};

use super::super::context::Context;
use super::Finding;
use crate::cargo::{Settings, Surroundings};
use crate::heads::{Heads, Log};
use crate::prefetch::budget::Limits;
use crate::prefetch::chain;
use crate::remote::{Remote, RemoteError};
use crate::{clock, trust_root};

/// All findings.
pub(super) fn check(context: &Context) -> Vec<Finding> {
    let config = &context.config;
    let Some(url) = &config.url else {
        return vec![Finding::ok(
            "public store",
            "none is configured: only this machine's own units are reused",
        )];
    };
    if config.offline {
        return vec![Finding::ok("public store", "not asked: offline")];
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return vec![Finding::problem(
                "public store",
                error.to_string(),
                "raise the limits of this process",
            )];
        }
    };
    let findings = runtime.block_on(ask(context, url));
    runtime.shutdown_background();
    findings
}

async fn ask(context: &Context, url: &str) -> Vec<Finding> {
    let network = Settings::of(&Surroundings::here(&context.env)).network(&context.env);
    let remote = match Remote::new(url, Limits::of(context.config.patience), &network) {
        Ok(remote) => remote,
        Err(error) => return vec![Finding::problem("public store", chain(&error), "correct `SEALIFT_URL`")],
    };
    match remote.healthz().await {
        // A mirror of static files has no such address.
        Ok(()) | Err(RemoteError::Absent(_)) => {}
        Err(error) => {
            let remedy = "check `SEALIFT_URL` and the network; builds compile locally meanwhile";
            return vec![Finding::problem("public store", chain(&error), remedy)];
        }
    }
    let mut findings = vec![Finding::ok("public store", format!("`{url}` answers"))];
    let Ok(policy) = trust_root::load(&context.config, clock::seconds()) else {
        return findings;
    };
    let heads = context.config.store().map(Heads::new);
    let mut absent = 0;
    for (operator, epoch, key) in policy.logs() {
        let log = Log {
            operator: operator.clone(),
            epoch,
            key: key.clone(),
        };
        let path = ObjectPath::Checkpoint(operator.clone(), epoch);
        let checkpoint = remote.checkpoint(&path).await;
        absent += usize::from(matches!(checkpoint, Err(RemoteError::Absent(_))));
        findings.push(match checkpoint {
            Ok(bytes) => judge(&policy, &log, heads.as_ref(), &bytes),
            Err(error) => Finding::warning(
                "log",
                format!("`{operator}`: {}", chain(&error)),
                "its units do not count",
            ),
        });
    }
    if absent > 0 && absent == policy.logs().count() {
        findings.push(Finding::problem(
            "trust policy",
            format!("`{url}` has no log of any operator that it names: it is of another deployment"),
            "`cargo sealift setup --trust-root FILE` pins the one of this public store",
        ));
    }
    findings
}

fn judge(policy: &TrustPolicy, log: &Log, heads: Option<&Heads>, bytes: &[u8]) -> Finding {
    let operator = &log.operator;
    let head = match SignedCheckpoint::parse(bytes).and_then(|head| head.verify(&log.key)) {
        Ok(head) => head,
        Err(error) => {
            let remedy = "the trust policy is of another deployment, or this looks like an attack";
            return Finding::problem("log", format!("`{operator}`: {}", chain(&error)), remedy);
        }
    };
    let known = heads
        .and_then(|heads| heads.known(log))
        .map_or(0, |known| known.size().value());
    let size = head.size().value();
    if size < known {
        let message = format!("`{operator}`: {size} entries after {known} were seen");
        return Finding::problem("log", message, "a stale cache, or this looks like an attack");
    }
    let now = u64::try_from(clock::seconds()).unwrap_or_default();
    match policy.check_checkpoint(operator, log.epoch, &head, Freshness::At(now)) {
        Ok(()) => Finding::ok("log", format!("`{operator}`: {size} entries, fresh")),
        Err(rejection) => Finding::problem(
            "log",
            format!("`{operator}`: {}", chain(&rejection)),
            "check the clock, or wait for the operator",
        ),
    }
}
