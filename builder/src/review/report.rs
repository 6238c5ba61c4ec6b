//! The evidence for people, as text, and for programs, as JSON.
//!
//! Owns what is shown and how much of it. Must not decide anything.

use std::fmt::{self, Write as _};

use serde_json::{Value, json};

use super::evidence::Evidence;
use super::proposal::Judgement;
use super::sections::{all, by_folder, by_programs, by_script, executed, instructions, not_found, variables};

/// Most lines of one section; JSON has all.
const MAX_LINES: usize = 24;

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

fn indented(text: &str) -> String {
    text.replace('\n', "\n      ")
}
