//! `cargo sealift fetch`, and the prefetch of a command that cargo is about to run.
//!
//! Owns what makes a prefetch possible and how its findings are told. Must not know how it works.

use std::ffi::OsString;

use sealift_policy::local::PrefetchEvent;
use sealift_policy::plan::Planned;

use super::context::Context;
use super::{Exit, FetchArgs};
use crate::cargo::{self, CargoCommand, NoPlan};
use crate::prefetch::budget::Limits;
use crate::prefetch::{self, Alarm, Fetched, Order};
use crate::report::progress::Progress;
use crate::report::shell::{self, Shell, Verbosity, bytes, count};
use crate::{clock, trust_root};

/// `cargo sealift fetch [-- build --release]`.
pub(super) fn run(context: &Context, args: FetchArgs) -> anyhow::Result<Exit> {
    let shell = Shell::stderr(
        &context.env,
        if args.quiet {
            Verbosity::Quiet
        } else {
            Verbosity::Normal
        },
    );
    let words = if args.command.is_empty() {
        vec![OsString::from("build")]
    } else {
        args.command
    };
    let command = CargoCommand::new(words).expect("there is at least one word");
    context.store()?;
    let fetched = prefetch(context, &command, shell);
    if args.json {
        shell::data(&format!("{}\n", serde_json::to_string_pretty(&fetched.event)?))?;
    }
    for problem in &fetched.event.problems {
        shell.warn(problem);
    }
    let PrefetchEvent {
        planned,
        present,
        fetched: new,
        bytes: received,
        ..
    } = fetched.event;
    shell.status(
        "Sealift",
        format_args!(
            "{}: {present} present, {new} fetched ({})",
            count(planned, "unit"),
            bytes(received)
        ),
    );
    raise(context, shell, &fetched.alarms)?;
    Ok(Exit::Success)
}

/// Fetches what a command will need. Never fails: what goes wrong is told by `stats` and `explain`.
pub(super) fn prefetch(context: &Context, command: &CargoCommand, shell: Shell) -> Fetched {
    match try_prefetch(context, command, shell) {
        Ok(fetched) => fetched,
        Err(problem) => {
            let event = PrefetchEvent {
                problems: vec![problem],
                ..PrefetchEvent::default()
            };
            Fetched {
                event,
                alarms: Vec::new(),
            }
        }
    }
}

fn try_prefetch(context: &Context, command: &CargoCommand, shell: Shell) -> Result<Fetched, String> {
    let config = &context.config;
    let store = config.store().ok_or("Sealift steps aside")?;
    if config.offline {
        return Err("offline, as `SEALIFT_OFFLINE` asks".into());
    }
    let url = config.url.as_deref().ok_or("no public store is configured")?;
    let policy = trust_root::load(config.trust_policy.as_deref()).map_err(|error| prefetch::chain(&error))?;
    let now = u64::try_from(clock::seconds()).unwrap_or_default();
    let progress = Progress::on(shell);
    progress.planning();
    let plan = match cargo::plan(&context.env, command) {
        Ok(plan) => plan,
        // cargo says itself what is wrong with a command.
        Err(NoPlan::Command(_) | NoPlan::NoGraph(_)) => {
            progress.finish();
            return Ok(Fetched::default());
        }
        Err(error) => {
            progress.finish();
            return Err(prefetch::chain(&error));
        }
    };
    let plans: Vec<_> = plan.planned.iter().map(|Planned { plan_id, .. }| *plan_id).collect();
    let order = Order {
        url,
        store,
        policy: &policy,
        toolchain: &plan.toolchain,
        plans: &plans,
        limits: Limits::default(),
        now,
        progress: &progress,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| format!("failed to start: {error}"))?;
    let fetched = runtime.block_on(prefetch::fetch(&order));
    // Connections that hang must not hold up cargo.
    runtime.shutdown_background();
    Ok(fetched)
}

/// Says loudly, once, what looks like an attack.
///
/// # Errors
/// When the user asked for strictness.
pub(super) fn raise(context: &Context, shell: Shell, alarms: &[Alarm]) -> anyhow::Result<()> {
    let Some(line) = alarm_line(alarms) else { return Ok(()) };
    anyhow::ensure!(!context.config.strict, "{line}");
    shell.warn(format_args!("{line}; compiling locally instead"));
    Ok(())
}

fn alarm_line(alarms: &[Alarm]) -> Option<String> {
    let (first, others) = alarms.split_first()?;
    let mut line = format!("refused what looks like an attack: {}", first.what);
    if let Some(evidence) = &first.evidence {
        line.push_str(&format!(" (evidence: `{}`)", evidence.display()));
    }
    if !others.is_empty() {
        line.push_str(&format!(", and {} more", others.len()));
    }
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_alarms_are_one_line_that_names_the_evidence() {
        let alarm = |what: &str, evidence: Option<&str>| Alarm {
            what: what.into(),
            evidence: evidence.map(Into::into),
        };
        assert_eq!(alarm_line(&[]), None);
        let one = alarm_line(&[alarm("unit `syn`: wrong content", Some("/store/evidence/x"))]).unwrap();
        insta::assert_snapshot!(one, @"refused what looks like an attack: unit `syn`: wrong content (evidence: `/store/evidence/x`)");
        let two = alarm_line(&[alarm("a", None), alarm("b", None)]).unwrap();
        insta::assert_snapshot!(two, @"refused what looks like an attack: a, and 1 more");
    }
}
