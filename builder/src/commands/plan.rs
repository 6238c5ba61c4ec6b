//! `sealift-builder plan`: the units of a source, in the order in which they are built. Compiles nothing.

use std::path::Path;

use serde_json::json;

use super::{Outcome, print};
use crate::cargo::Cargo;
use crate::cli;
use crate::generated::Generated;
use crate::progress::say;
use crate::toolchain::Toolchain;

/// Prints the plan.
///
/// # Errors
/// When the source cannot be read, downloaded or planned.
pub(super) fn run(options: &cli::Plan) -> anyhow::Result<Outcome> {
    let scratch = tempfile::Builder::new().prefix("sealift-plan-").tempdir()?;
    let home = match &options.cargo_home {
        Some(home) => std::path::absolute(home)?,
        None => scratch.path().join("cargo-home"),
    };
    let cargo = Cargo::new(&Toolchain::find(Path::new("/"))?, &home)?;
    let source = options.source.source()?;
    let mut profiles = options.source.profiles.clone();
    if profiles.is_empty() {
        profiles = source.default_profiles()?;
    }
    for profile in profiles {
        let request = source.request(&cargo, profile, &scratch.path().join("source"))?;
        let generated = Generated::prepare(&cargo, request, &scratch.path().join("generated"))?;
        if options.json {
            print(&as_json(&generated))?;
        } else {
            print(&as_text(&generated))?;
        }
        say(&format!(
            "{source}, {profile}: {} units; {} of {} plans of the source are planned by the generated project",
            generated.plans.len(),
            generated.matching_plans(),
            generated.request.plan_ids.len()
        ));
    }
    Ok(Outcome::Done)
}

fn as_json(generated: &Generated) -> String {
    let units: Vec<_> = generated
        .plans
        .iter()
        .map(|plan| {
            let unit = &generated.graph.units()[plan.node];
            json!({
                "plan_id": plan.plan_id,
                "package": plan.package,
                "version": plan.version,
                "crate_name": unit.crate_name(),
                "kind": unit.kinds,
                "mode": unit.mode.to_string(),
                "features": unit.features,
            })
        })
        .collect();
    let document = json!({
        "version": 1,
        "toolchain": generated.request.toolchain,
        "profile": generated.request.profile,
        "requested_plans": generated.request.plan_ids.len(),
        "matching_plans": generated.matching_plans(),
        "units": units,
    });
    format!("{document}\n")
}

fn as_text(generated: &Generated) -> String {
    let mut text = String::new();
    for plan in &generated.plans {
        let unit = &generated.graph.units()[plan.node];
        let kind = unit.kinds.join(",");
        text.push_str(&format!(
            "{} {} {} {kind} {}\n",
            plan.plan_id.short(),
            plan.package,
            plan.version,
            unit.mode
        ));
    }
    text
}
