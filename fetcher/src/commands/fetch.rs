//! `cargo sealift fetch`, and what every prefetch needs to begin.
//!
//! Owns what makes a prefetch possible and how its findings are told. Must not know how it works.

use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};

use sealift_policy::cause::Cause;
use sealift_policy::local::PrefetchEvent;
use sealift_policy::plan::Planned;

use super::context::Context;
use super::{Exit, FetchArgs};
use crate::cargo::{CargoCommand, Network, NoPlan, Settings, Surroundings};
use crate::clock;
use crate::prefetch::budget::Limits;
use crate::prefetch::{self, Alarm, Fetched, Order, Step, Trust, Watch};
use crate::report::progress::Progress;
use crate::report::shell::{self, Shell, Verbosity, bytes, count};
use crate::trust_root::{self, TrustRoot};
use crate::tuf::Follow;

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
    let progress = Progress::on(shell);
    let mut fetched = Fetched::default();
    let begin = Instant::now();
    let there = Surroundings::here(&context.env);
    let result = Setting::of(context, &there, command).and_then(|setting| match setting {
        Some(mut setting) => {
            setting.require_provenance |= args.require_sigstore;
            setting.fetch_until(&there, &progress, &mut fetched, std::future::pending())
        }
        None => Ok(()),
    });
    progress.finish();
    if let Err(obstacle) = result {
        obstacle.note(&mut fetched.event);
    }
    fetched.event.wall_ms = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
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

/// Why nothing is fetched.
#[derive(Debug)]
pub(super) struct Obstacle {
    cause: Cause,
    problem: String,
}

impl Obstacle {
    /// From an error.
    pub(super) fn new(cause: Cause, error: &dyn std::error::Error) -> Self {
        Self {
            cause,
            problem: prefetch::chain(error),
        }
    }

    /// Notes it for `stats` and `explain`.
    pub(super) fn note(self, event: &mut PrefetchEvent) {
        event.problems.push(self.problem);
        event.obstacle = event.obstacle.or(Some(self.cause));
    }
}

impl From<(Cause, &str)> for Obstacle {
    fn from((cause, problem): (Cause, &str)) -> Self {
        Self {
            cause,
            problem: problem.to_owned(),
        }
    }
}

/// Everything that a prefetch needs to begin.
pub(super) struct Setting<'a> {
    store: &'a Path,
    url: &'a str,
    trust: TrustRoot,
    require_provenance: bool,
    patience: Duration,
    network: Network,
    command: CargoCommand,
}

impl<'a> Setting<'a> {
    /// For this command; `None` where cargo says itself what is wrong with it, or compiles nothing.
    ///
    /// # Errors
    /// Why nothing is fetched.
    pub(super) fn of(
        context: &'a Context,
        there: &Surroundings,
        command: CargoCommand,
    ) -> Result<Option<Self>, Obstacle> {
        if command.is_built_in() && !command.has_plan() {
            return Ok(None);
        }
        let config = &context.config;
        let store = config.store().ok_or((Cause::NoService, "Sealift steps aside"))?;
        if config.offline {
            return Err((Cause::Offline, "offline, as `SEALIFT_OFFLINE` asks").into());
        }
        let no_service = (Cause::NoService, "no public store is configured");
        let url = config.url.as_deref().ok_or(no_service)?;
        let trust = trust_root::read(config.trust_policy.as_deref());
        let trust = trust.map_err(|error| Obstacle::new(Cause::NoTrustPolicy, &error))?;
        let settings = Settings::of(there);
        let command = command.expanded(|name| settings.alias(&there.env, name));
        if !command.has_plan() {
            return Ok(None);
        }
        let network = settings.network(&there.env);
        if network.offline || command.is_offline() {
            return Err((Cause::Offline, "offline, as cargo is told to be").into());
        }
        Ok(Some(Self {
            store,
            url,
            trust,
            require_provenance: config.require_sigstore,
            patience: config.patience,
            network,
            command,
        }))
    }

    /// Fetches what the command will need, until the end comes. What goes wrong is told by `stats` and `explain`.
    ///
    /// # Errors
    /// Why nothing is fetched.
    pub(super) fn fetch_until(
        &self,
        there: &Surroundings,
        watch: &dyn Watch,
        fetched: &mut Fetched,
        end: impl Future<Output = ()>,
    ) -> Result<(), Obstacle> {
        watch.step(Step::Planning);
        let plan = match there.plan(&self.command) {
            Ok(plan) => plan,
            // cargo says itself what is wrong with a command.
            Err(NoPlan::Command(_) | NoPlan::NoGraph(_)) => return Ok(()),
            Err(error) => return Err(Obstacle::new(Cause::Unknown, &error)),
        };
        let plans: Vec<_> = plan.planned.iter().map(|Planned { plan_id, .. }| *plan_id).collect();
        let now = clock::seconds();
        let trust = match &self.trust {
            TrustRoot::Policy(policy) => Trust::Policy(policy),
            TrustRoot::Tuf(root) => Trust::Tuf(Follow {
                store: self.store,
                root,
                now,
            }),
        };
        let order = Order {
            url: self.url,
            store: self.store,
            trust,
            toolchain: &plan.toolchain,
            plans: &plans,
            limits: Limits::of(self.patience),
            now: u64::try_from(now).unwrap_or_default(),
            require_provenance: self.require_provenance,
            network: &self.network,
            watch,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        let runtime = runtime.map_err(|error| Obstacle::new(Cause::Unknown, &error))?;
        runtime.block_on(async {
            tokio::select! {
                () = prefetch::fetch(&order, fetched) => {}
                () = end => {}
            }
        });
        // Connections that hang must not hold up anything.
        runtime.shutdown_background();
        Ok(())
    }
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

/// What is said about alarms; `None` where there is none.
pub(super) fn alarm_line(alarms: &[Alarm]) -> Option<String> {
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
