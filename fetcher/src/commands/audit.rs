//! `cargo sealift audit [--sample N]`: compiles a random sample of what this project takes from others once more, here,
//! and compares it bit for bit.
//!
//! Owns what is compared, and that what differs is kept as evidence. Must not know how a unit is compiled again.

mod evidence;
mod rebuild;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::hash::{BuildHasher as _, Hasher as _};
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use sealift_policy::digest::{Digest, UnitKey};
use sealift_policy::local::{LocalUnit, UnitOrigin};
use sealift_policy::manifest::{Manifest, Role};
use serde::Serialize;

use super::context::Context;
use super::{AuditArgs, Exit};
use crate::cargo::{self, CargoCommand};
use crate::prefetch::deposit::Deposit;
use crate::report::shell::{self, Shell, Verbosity, count};
use rebuild::Rebuild;

/// A unit of the sample.
#[derive(Debug, Clone)]
struct Sampled {
    package: String,
    key: UnitKey,
    unit: LocalUnit,
    manifest: Manifest,
}

/// What compiling it here gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
enum Comparison {
    /// The same bits.
    Reproduced,
    /// Others.
    Diverged {
        /// Which outputs differ; none when what differs is what is said about them.
        roles: Vec<Role>,
        /// Where both are kept.
        evidence: Option<PathBuf>,
    },
    /// It could not be compiled again.
    NotRebuilt {
        /// Why.
        reason: String,
    },
}

#[derive(Debug, Serialize)]
struct Audited {
    package: String,
    #[serde(rename = "crate")]
    crate_name: String,
    unit_key: UnitKey,
    comparison: Comparison,
}

/// Compiles a sample again and compares.
pub(super) fn run(context: &Context, args: AuditArgs) -> anyhow::Result<Exit> {
    let verbosity = if args.quiet {
        Verbosity::Quiet
    } else {
        Verbosity::Normal
    };
    let shell = Shell::stderr(&context.env, verbosity);
    let words = if args.command.is_empty() {
        vec![OsString::from("build")]
    } else {
        args.command
    };
    let command = CargoCommand::new(words).context("no command")?;
    let deposit = Deposit::open(context.store()?)?;
    let plan = cargo::plan(&context.env, &command)?;
    let (mut fetched, mut own) = (vec![], BTreeSet::new());
    for planned in &plan.planned {
        for key in deposit.units_of_plan(planned.plan_id) {
            fetched.extend(sampled(
                &deposit,
                key,
                format!("{}@{}", planned.package, planned.version),
            ));
        }
        own.insert((planned.package.clone(), planned.version.clone()));
    }
    ensure!(
        !fetched.is_empty(),
        "nothing that this project needs was fetched\n  hint: `cargo sealift build` fetches; name another command behind `--`, such as `-- build --release`"
    );
    let sample = choose(fetched, args.sample, seed());
    shell.status(
        "Auditing",
        format_args!("{} of this project", count(sample.len() as u64, "unit")),
    );
    let rebuild = Rebuild::run(context, &command, &deposit, &own, &sample)?;
    let audited: Vec<_> = sample
        .iter()
        .map(|sampled| audit(&deposit, &rebuild, sampled))
        .collect();
    if args.json {
        shell::data(&format!("{}\n", serde_json::to_string_pretty(&report(&audited))?))?;
    } else {
        shell::data(&text(&audited))?;
    }
    let diverged = |audited: &Audited| matches!(audited.comparison, Comparison::Diverged { .. });
    if audited.iter().any(diverged) {
        return Ok(Exit::Found);
    }
    let reproduced = audited
        .iter()
        .any(|audited| audited.comparison == Comparison::Reproduced);
    ensure!(
        reproduced,
        "nothing could be compiled again, so nothing was compared\n  hint: {}",
        rebuild.last_words()
    );
    Ok(Exit::Success)
}

/// A unit that others compiled.
fn sampled(deposit: &Deposit, key: UnitKey, package: String) -> Option<Sampled> {
    let unit = deposit.store().unit(key)?;
    let manifest = Manifest::from_canonical(unit.manifest.as_bytes()).ok()?;
    let is_fetched = matches!(unit.origin, UnitOrigin::Fetched { .. });
    (is_fetched && deposit.is_of_these_rules(key)).then_some(Sampled {
        package,
        key,
        unit,
        manifest,
    })
}

/// As many as asked for, in an order that nobody can foresee.
fn choose(mut fetched: Vec<Sampled>, number: usize, seed: u64) -> Vec<Sampled> {
    fetched.sort_by_cached_key(|sampled| Digest::of(format!("{seed} {}", sampled.key).as_bytes()));
    fetched.dedup_by_key(|sampled| sampled.key);
    fetched.truncate(number);
    fetched
}

/// Random: the standard library seeds its hash maps from the system.
fn seed() -> u64 {
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

fn audit(deposit: &Deposit, rebuild: &Rebuild, sampled: &Sampled) -> Audited {
    let comparison = match rebuild.manifest(sampled.key) {
        Ok(here) => match compare(&sampled.manifest, &here) {
            None => Comparison::Reproduced,
            Some(roles) => Comparison::Diverged {
                evidence: evidence::keep(deposit, rebuild, sampled, &here).ok(),
                roles,
            },
        },
        Err(reason) => Comparison::NotRebuilt { reason },
    };
    Audited {
        package: sampled.package.clone(),
        crate_name: sampled.manifest.crate_name().unwrap_or("?").to_owned(),
        unit_key: sampled.key,
        comparison,
    }
}

/// The outputs that differ; `None` when the manifests are equal.
fn compare(there: &Manifest, here: &Manifest) -> Option<Vec<Role>> {
    if there.to_canonical() == here.to_canonical() {
        return None;
    }
    let differs = |role: &Role| there.output(*role) != here.output(*role);
    let roles = [Role::Rmeta, Role::Rlib, Role::ProcMacro, Role::BuildScript];
    Some(roles.into_iter().filter(differs).collect())
}

fn report(audited: &[Audited]) -> serde_json::Value {
    let number = |is: fn(&Comparison) -> bool| audited.iter().filter(|audited| is(&audited.comparison)).count();
    serde_json::json!({
        "version": 1,
        "reproduced": number(|comparison| matches!(comparison, Comparison::Reproduced)),
        "diverged": number(|comparison| matches!(comparison, Comparison::Diverged { .. })),
        "not_rebuilt": number(|comparison| matches!(comparison, Comparison::NotRebuilt { .. })),
        "units": audited,
    })
}

fn text(audited: &[Audited]) -> String {
    let mut text = String::new();
    let mut line = |line: String| writeln!(text, "{line}").expect("a string takes everything");
    for Audited {
        package,
        crate_name,
        comparison,
        ..
    } in audited
    {
        match comparison {
            Comparison::Reproduced => line(format!("reproduced     {package} ({crate_name})")),
            Comparison::NotRebuilt { reason } => line(format!("not rebuilt    {package} ({crate_name}): {reason}")),
            Comparison::Diverged { roles, evidence } => {
                let roles: Vec<_> = roles.iter().map(|role| format!("{role:?}").to_lowercase()).collect();
                let what = if roles.is_empty() {
                    "its manifest".into()
                } else {
                    roles.join(", ")
                };
                line(format!("DIVERGED       {package} ({crate_name}): {what}"));
                if let Some(evidence) = evidence {
                    line(format!("{:15}evidence: `{}`", "", evidence.display()));
                }
                line(format!(
                    "{:15}hint: tell the operators; a program may also differ because another linker made it",
                    ""
                ));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use sealift_policy::manifest::Output;

    use super::*;

    fn manifest(rlib: &[u8]) -> Manifest {
        let unit_key = UnitKey::new(Digest::of(b"key"));
        let output = |role: Role, content: &[u8]| Output {
            name: role.file_name("syn", unit_key),
            role,
            sha256: Digest::of(content),
            size: content.len() as u64,
        };
        Manifest {
            baseline: None,
            diagnostics: vec![],
            env_deps: vec![],
            glibc: None,
            outputs: vec![output(Role::Rmeta, b"rmeta"), output(Role::Rlib, rlib)],
            sources: vec![],
            unit_key,
            version: 1,
        }
    }

    fn fetched(number: usize) -> Vec<Sampled> {
        let unit = |number: usize| Sampled {
            package: "syn@2.0.0".into(),
            key: UnitKey::new(Digest::of(number.to_string().as_bytes())),
            unit: LocalUnit {
                version: 1,
                unit_key: UnitKey::new(Digest::of(b"key")),
                manifest: String::new(),
                origin: UnitOrigin::Compiled { by: BTreeSet::new() },
                compile_ms: 0,
                call: None,
            },
            manifest: manifest(b"rlib"),
        };
        (0..number).map(unit).collect()
    }

    #[test]
    fn what_differs_is_named() {
        assert_eq!(compare(&manifest(b"rlib"), &manifest(b"rlib")), None);
        assert_eq!(compare(&manifest(b"rlib"), &manifest(b"other")), Some(vec![Role::Rlib]));
        let mut said = manifest(b"rlib");
        said.diagnostics.push("warning".into());
        assert_eq!(compare(&manifest(b"rlib"), &said), Some(vec![]));
    }

    #[test]
    fn a_sample_is_as_large_as_asked_for_and_another_one_each_time() {
        let keys = |seed| {
            choose(fetched(100), 5, seed)
                .iter()
                .map(|sampled| sampled.key)
                .collect::<Vec<_>>()
        };
        assert_eq!(keys(1).len(), 5);
        assert_eq!(keys(1), keys(1));
        assert_ne!(keys(1), keys(2));
        assert_eq!(choose(fetched(3), 5, 1).len(), 3);
        assert_ne!(seed(), seed());
    }
}
