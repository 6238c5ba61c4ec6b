//! The sections of a report, line by line.
//!
//! Owns what is summed up and left out. Must not know what follows from it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use sealift_policy::reviewed::is_read_by_c_compilers;

use super::access::Access;
use super::evidence::Evidence;
use super::places::Root;
use super::programs::{self, Family, family};
use super::trace::{Actor, Seen};

/// Most names in one line; JSON has all.
const MAX_NAMES: usize = 12;

/// Programs, with what they were asked or how they failed.
pub(super) fn executed(evidence: &Evidence) -> Vec<String> {
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

/// Programs that are nowhere.
pub(super) fn not_found(evidence: &Evidence) -> Vec<String> {
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

/// What the script itself did with files that are not its own.
pub(super) fn by_script(evidence: &Evidence) -> Vec<String> {
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
pub(super) fn by_programs(evidence: &Evidence) -> Vec<String> {
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
pub(super) fn by_folder<'a>(paths: impl Iterator<Item = &'a str>, top: &str) -> Vec<String> {
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

/// What cargo was told, the watched files in one line.
pub(super) fn instructions(evidence: &Evidence) -> Vec<String> {
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

/// Variables by who knows of them.
pub(super) fn variables(evidence: &Evidence) -> Vec<String> {
    let is_of_c = |name: &str| is_read_by_c_compilers(name);
    let (of_c, own): (Vec<_>, Vec<_>) = evidence.declared.iter().partition(|name| is_of_c(name));
    let mut lines = vec![
        format!("declared by rerun-if-env-changed: {}", all(own)),
        format!("declared, of what C compilers and the cc crate read: {}", of_c.len()),
    ];
    let is_silent = |name: &str| !evidence.declared.contains(name);
    let named = evidence.variables.iter();
    let named = named.filter(|(name, variable)| variable.is_own && is_silent(name));
    let (read, named): (Vec<_>, Vec<_>) = named.partition(|(_, variable)| variable.is_read_by_own);
    lines.extend(read.into_iter().map(|(name, variable)| {
        let executable = match variable.in_executable {
            true => "",
            false => ", not in the executable",
        };
        let places = variable.places.join(", ");
        format!("read by the script, not declared: {name} ({places}{executable})")
    }));
    if !named.is_empty() {
        let named = named.into_iter().map(|(name, _)| name);
        lines.push(format!("other words in capitals that the script has: {}", all(named)));
    }
    let used = evidence.variables.iter().filter(|(name, variable)| {
        !variable.is_own && variable.is_read && variable.in_executable && is_silent(name) && !is_of_c(name)
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

/// The first few of some names.
pub(super) fn names(all: impl IntoIterator<Item = impl fmt::Display>) -> String {
    let all: Vec<_> = all.into_iter().map(|name| name.to_string()).collect();
    match all.len() {
        0 => "-".to_owned(),
        count if count <= MAX_NAMES => all.join(", "),
        count => format!("{}, ... ({count})", all[..MAX_NAMES].join(", ")),
    }
}

/// All of them.
pub(super) fn all(all: impl IntoIterator<Item = impl fmt::Display>) -> String {
    let all: Vec<_> = all.into_iter().map(|name| name.to_string()).collect();
    if all.is_empty() { "-".to_owned() } else { all.join(", ") }
}
