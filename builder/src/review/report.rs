//! The evidence for people, as text, and for programs, as JSON.
//!
//! Owns what is shown and how much of it. Must not decide anything.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

use serde_json::{Value, json};

use super::evidence::Evidence;
use super::places::Root;
use super::programs::{self, Family, family};
use super::proposal::Judgement;
use super::trace::{Access, Actor, Seen};

/// Most lines of one section, and most names in one line; JSON has all.
const MAX_LINES: usize = 24;
const MAX_NAMES: usize = 12;

/// The report as text.
///
/// # Errors
/// Never: texts can be written to.
pub fn text(evidence: &Evidence, judgement: &Judgement) -> Result<String, fmt::Error> {
    let mut out = String::new();
    let subject = &evidence.subject;
    writeln!(out, "{} {}, {}", subject.package, subject.version, subject.profile)?;
    writeln!(out, "  features on:  {}", all(subject.features.iter()))?;
    writeln!(out, "  features off: {}", all(subject.features_off.iter()))?;
    if evidence.is_listed {
        writeln!(out, "  it is on the list already, with these features")?;
    }
    writeln!(out, "\nRUNS, each compared with the first byte for byte")?;
    for seen in &evidence.runs {
        let differences = evidence
            .differences
            .iter()
            .filter(|difference| difference.run == seen.run)
            .count();
        let outcome = match (&seen.failed, differences) {
            (Some(_), _) => "FAILED".to_owned(),
            (None, 0) => "the same".to_owned(),
            (None, count) => format!("{count} DIFFERENCES"),
        };
        writeln!(out, "  {:12} {:58} {outcome}", seen.run, seen.differ_in)?;
    }
    writeln!(
        out,
        "  hidden in `programs`, of those that are here: {}",
        all(evidence.hidden.iter())
    )?;
    let differences = evidence
        .differences
        .iter()
        .map(|one| format!("{}: {} {}", one.run, one.place, one.how));
    section(&mut out, "DIFFERENCES", differences)?;
    section(
        &mut out,
        "PROGRAMS EXECUTED, in all runs together",
        executed(evidence).into_iter(),
    )?;
    section(
        &mut out,
        "PROGRAMS LOOKED FOR AND NOT FOUND",
        not_found(evidence).into_iter(),
    )?;
    section(
        &mut out,
        "THE SCRIPT AND FILES outside of package, OUT_DIR and toolchain",
        by_script(evidence).into_iter(),
    )?;
    section(
        &mut out,
        "ITS PROGRAMS AND FILES, likewise, by folder",
        by_programs(evidence).into_iter(),
    )?;
    let network = evidence.trace.network.iter().map(|(by, how)| format!("{by}: {how}"));
    section(&mut out, "NETWORK AND SOCKETS", network)?;
    section(
        &mut out,
        "INSTRUCTIONS, with canonical paths",
        instructions(evidence).into_iter(),
    )?;
    section(
        &mut out,
        "TOLD BY OTHER PACKAGES' SCRIPTS",
        evidence
            .told_by_others
            .iter()
            .map(|(name, value)| format!("{name}={value}")),
    )?;
    section(&mut out, "VARIABLES", variables(evidence).into_iter())?;
    let left: u64 = evidence.left.values().sum();
    let left_files = by_folder(evidence.left.keys().map(String::as_str), "OUT_DIR");
    section(
        &mut out,
        &format!("LEFT IN OUT_DIR: {} files, {left} bytes", evidence.left.len()),
        left_files.into_iter(),
    )?;
    let features = evidence.features_asked.iter().cloned();
    section(
        &mut out,
        "FEATURES THAT THE SCRIPT ASKS FOR",
        std::iter::once(all(features)).filter(|text| text != "-"),
    )?;
    section(&mut out, "TO LOOK AT", judgement.notes.iter().cloned())?;
    match &judgement.verdict {
        Ok(entry) => {
            let entry = toml::to_string(entry).map_err(|_| fmt::Error)?;
            writeln!(
                out,
                "\nPROPOSED, for a person who has read the script and says why\n\n[[run]]\n{}",
                entry.trim_end()
            )?;
        }
        Err(reasons) => {
            section(
                &mut out,
                "NOT PROPOSED",
                reasons.iter().map(|reason| indented(&reason.to_string())),
            )?;
        }
    }
    Ok(out)
}

/// The report as JSON, version 1.
pub fn json(evidence: &Evidence, judgement: &Judgement) -> Value {
    let trace = &evidence.trace;
    let executed: Vec<_> = trace
        .executed
        .iter()
        .map(|(executed, times)| json!({"by": executed.by, "program": executed.program, "calls": times.calls, "failed": times.failed, "arguments": times.arguments, "failed_with": times.failed_with}))
        .collect();
    let looked_for = trace.looked_for.iter();
    let looked_for: Vec<_> = looked_for
        .map(|((by, program), found)| json!({"by": by, "program": program, "found": found}))
        .collect();
    let network: Vec<_> = trace
        .network
        .iter()
        .map(|(by, how)| json!({"by": by, "how": how}))
        .collect();
    let (entry, reasons) = match &judgement.verdict {
        Ok(entry) => (json!(entry), vec![]),
        Err(reasons) => (Value::Null, reasons.iter().map(ToString::to_string).collect()),
    };
    json!({
        "version": 1,
        "subject": evidence.subject,
        "is_listed": evidence.is_listed,
        "runs": evidence.runs,
        "hidden": evidence.hidden,
        "differences": evidence.differences,
        "executed": executed,
        "looked_for": looked_for,
        "files": trace.seen,
        "network": network,
        "unread": trace.unread,
        "instructions": evidence.instructions,
        "declared": evidence.declared,
        "told_by_others": evidence.told_by_others,
        "variables": evidence.variables,
        "features_asked": evidence.features_asked,
        "left": evidence.left,
        "local_paths": evidence.local_paths,
        "tell_tales": evidence.tell_tales,
        "dated": evidence.dated,
        "notes": judgement.notes,
        "proposed": entry,
        "reasons": reasons,
    })
}

fn section(out: &mut String, title: &str, lines: impl Iterator<Item = String>) -> fmt::Result {
    let lines: Vec<_> = lines.collect();
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{title}")?;
    for line in lines.iter().take(MAX_LINES) {
        writeln!(out, "  {line}")?;
    }
    match lines.len().saturating_sub(MAX_LINES) {
        0 => Ok(()),
        more => writeln!(out, "  ... {more} more: see --json"),
    }
}

fn executed(evidence: &Evidence) -> Vec<String> {
    let mut lines = vec![];
    for (executed, times) in &evidence.trace.executed {
        let failed = if times.failed == 0 {
            String::new()
        } else {
            format!(", {} failed", times.failed)
        };
        lines.push(format!(
            "{} -> {}: {} calls{failed}",
            executed.by, executed.program, times.calls
        ));
        // What compilers are called with fills pages; what others are asked is the point.
        let name = executed.program.path.rsplit('/').next().unwrap_or_default();
        if executed.by == Actor::Script && family(name) != Family::C {
            lines.extend(times.arguments.iter().map(|arguments| format!("    {arguments}")));
        } else {
            lines.extend(
                times
                    .failed_with
                    .iter()
                    .map(|arguments| format!("    failed: {arguments}")),
            );
        }
    }
    lines
}

fn not_found(evidence: &Evidence) -> Vec<String> {
    let looked_for = evidence.trace.looked_for.iter();
    // Of the hidden ones that are here one run could find none.
    let nowhere = looked_for.filter(|((_, program), found)| !**found && !evidence.hidden.contains(&program.as_str()));
    nowhere
        .map(|((by, program), _)| format!("{program} (by {by})"))
        .collect()
}

fn is_outside(seen: &Seen) -> bool {
    let is_inside = matches!(
        seen.place.root,
        Root::Package | Root::OutDir | Root::Toolchain | Root::Scratch
    );
    let is_change = seen.access == Access::Written && matches!(seen.place.root, Root::Package | Root::Toolchain);
    (!is_inside || is_change) && !programs::belongs_to_starting(&seen.place.to_string())
}

fn by_script(evidence: &Evidence) -> Vec<String> {
    let trace = &evidence.trace;
    let outside = trace.seen.iter().filter(|seen| seen.by == Actor::Script);
    let outside = outside.filter(|seen| {
        // What is not in the package although it was looked for is an input, too.
        is_outside(seen) || (seen.place.root == Root::Package && matches!(seen.access, Access::Absent | Access::Listed))
    });
    let mut groups: BTreeMap<(Access, bool), Vec<String>> = BTreeMap::new();
    for seen in outside {
        let group = groups
            .entry((seen.access, seen.place.root == Root::Package))
            .or_default();
        group.push(seen.place.to_string());
    }
    let mut lines = vec![];
    for ((access, is_of_package), places) in groups {
        match is_of_package {
            true => lines.push(format!("{:8} {}", word(access), names(places))),
            false => lines.extend(places.iter().map(|place| format!("{:8} {place}", word(access)))),
        }
    }
    lines
}

/// Folders with names of what lies in them, for each program and kind of access.
fn by_programs(evidence: &Evidence) -> Vec<String> {
    let mut groups: BTreeMap<(&Actor, Access), BTreeSet<String>> = BTreeMap::new();
    let outside = evidence
        .trace
        .seen
        .iter()
        .filter(|seen| seen.by != Actor::Script && is_outside(seen));
    let outside = outside.filter(|seen| !is_part_of_compiler(seen));
    // Where compilers look in vain depends on how they were configured; JSON has it.
    for seen in outside.filter(|seen| matches!(seen.access, Access::Read | Access::Listed | Access::Written)) {
        groups
            .entry((&seen.by, seen.access))
            .or_default()
            .insert(seen.place.to_string());
    }
    let mut lines = vec![];
    for ((by, access), places) in groups {
        let folders = by_folder(places.iter().map(String::as_str), "/");
        lines.extend(folders.into_iter().map(|line| format!("{by} {}: {line}", word(access))));
    }
    lines
}

/// Libraries and languages that a compiler or linker loads for itself.
fn is_part_of_compiler(seen: &Seen) -> bool {
    let place = seen.place.to_string();
    let is_of_language = ["/locale", "/gconv/", "/bfd-plugins"]
        .iter()
        .any(|part| place.contains(part));
    match seen.by.program().map_or(Family::Other, family) {
        Family::C | Family::Cxx | Family::Rust => is_of_language || place.contains(".so"),
        // What it links with has no number after its name.
        Family::Linker => is_of_language || place.contains(".so."),
        Family::Other => false,
    }
}

/// `folder: names`, one line for each folder.
fn by_folder<'a>(paths: impl Iterator<Item = &'a str>, top: &str) -> Vec<String> {
    let mut folders: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for path in paths {
        let (folder, name) = path.rsplit_once('/').unwrap_or((top, path));
        folders.entry(folder).or_default().insert(name);
    }
    let lines = folders
        .into_iter()
        .map(|(folder, found)| format!("{folder}: {}", names(found)));
    lines.collect()
}

fn instructions(evidence: &Evidence) -> Vec<String> {
    let (watched, others): (Vec<_>, Vec<_>) = evidence
        .instructions
        .iter()
        .partition(|line| line.contains("rerun-if-changed="));
    let watched: Vec<_> = watched
        .iter()
        .filter_map(|line| line.split_once("rerun-if-changed="))
        .map(|(_, path)| path)
        .collect();
    let mut lines: Vec<_> = others
        .into_iter()
        .filter(|line| !line.contains("rerun-if-env-changed="))
        .cloned()
        .collect();
    lines.push(match watched.is_empty() {
        true => "no rerun-if-changed: the whole package folder counts".to_owned(),
        false => format!("rerun-if-changed ({}): {}", watched.len(), names(watched)),
    });
    lines
}

fn variables(evidence: &Evidence) -> Vec<String> {
    let mut lines = vec![format!(
        "declared by rerun-if-env-changed: {}",
        all(evidence.declared.iter())
    )];
    let is_silent = |name: &str| !evidence.declared.contains(name);
    let own = evidence
        .variables
        .iter()
        .filter(|(name, variable)| variable.is_own && is_silent(name));
    for (name, variable) in own {
        let executable = if variable.in_executable {
            ""
        } else {
            ", not in the executable"
        };
        let read = if variable.is_read { "read" } else { "named" };
        lines.push(format!(
            "{read} by the script, not declared: {name} ({}{executable})",
            variable.places.join(", ")
        ));
    }
    let used = evidence.variables.iter().filter(|(name, variable)| {
        let is_of_c = sealift_policy::reviewed::is_read_by_c_compilers(name);
        !variable.is_own && variable.is_read && variable.in_executable && is_silent(name) && !is_of_c
    });
    let mut by_package: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, variable) in used {
        let package = variable
            .places
            .first()
            .and_then(|place| place.split('/').next())
            .unwrap_or_default();
        by_package.entry(package).or_default().push(name);
    }
    let used = by_package.into_iter();
    lines.extend(used.map(|(package, found)| format!("in the executable, named by {package}: {}", names(found))));
    lines
}

fn word(access: Access) -> &'static str {
    match access {
        Access::Read => "reads",
        Access::Listed => "lists",
        Access::Exists => "sees",
        Access::Absent => "misses",
        Access::Denied => "denied",
        Access::Written => "writes",
    }
}

fn names(all: impl IntoIterator<Item = impl fmt::Display>) -> String {
    let all: Vec<_> = all.into_iter().map(|name| name.to_string()).collect();
    match all.len() {
        0 => "-".to_owned(),
        count if count <= MAX_NAMES => all.join(", "),
        count => format!("{}, ... ({count})", all[..MAX_NAMES].join(", ")),
    }
}

fn all(all: impl IntoIterator<Item = impl fmt::Display>) -> String {
    let all: Vec<_> = all.into_iter().map(|name| name.to_string()).collect();
    if all.is_empty() { "-".to_owned() } else { all.join(", ") }
}

fn indented(text: &str) -> String {
    text.replace('\n', "\n      ")
}
