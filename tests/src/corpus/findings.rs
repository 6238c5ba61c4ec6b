//! What is not as it is without the wrapper, and what is worth knowing.
//!
//! Owns what is held against a build. That two projects share a unit is cargo's own word, not Sealift's: it gave the unit's
//! files the same names in both. Must not run anything.

use std::collections::BTreeMap;
use std::fmt;

use sealift_policy::local::{CallKind, Outcome, UnitEvent};

use super::turn::{Answer, Commanded, Turn};
use crate::table::Table;
use crate::workload::Workload;

/// What was found out about one project.
pub(super) struct Findings {
    table: Option<Table>,
    wrong: Vec<String>,
    notes: Vec<String>,
}

/// Units of registry packages by cargo's names, each with the project that had it first.
#[derive(Debug, Default)]
pub(super) struct Shared(BTreeMap<String, &'static str>);

/// So much of a message is shown.
const SHOWN: usize = 700;

impl Findings {
    /// Of one project, built both ways.
    pub(super) fn of(workload: &Workload, plain: &Turn, wrapped: &Turn, shared: &mut Shared) -> Self {
        let mut findings = Self {
            table: None,
            wrong: vec![],
            notes: vec![],
        };
        let mut left_alone = BTreeMap::new();
        let mut not_kept = BTreeMap::new();
        for (plain, wrapped) in plain.commands.iter().zip(&wrapped.commands) {
            findings.compare(plain, wrapped);
            findings.compare_programs(plain, wrapped);
            findings.compiled_again(wrapped);
            findings.shared(workload, wrapped, shared);
            for unit in &wrapped.first.units().units {
                let package = unit.package.as_deref().unwrap_or(&unit.crate_name);
                if unit.outcome == Outcome::PassedThrough && package != workload.name {
                    let reason = unit.reason.clone().unwrap_or_default();
                    *left_alone.entry(format!("{package}: {reason}")).or_insert(0) += 1;
                }
            }
            for unit in not_stored(wrapped) {
                *not_kept.entry(format!("{}: {}", name(unit), why(unit))).or_insert(0) += 1;
            }
        }
        for (what, times) in left_alone {
            findings.notes.push(format!("not handled, {times} times: {what}"));
        }
        for (what, times) in not_kept {
            findings.notes.push(format!("not kept, {times} times: {what}"));
        }
        if let Some(edited) = &wrapped.edited {
            findings.edited(workload, edited);
        }
        findings
    }

    pub(super) fn with_table(self, table: Table) -> Self {
        Self {
            table: Some(table),
            ..self
        }
    }

    /// How many things are not as they should be.
    pub(super) fn wrong(&self) -> usize {
        self.wrong.len()
    }

    /// What cargo said and did, command by command.
    fn compare(&mut self, plain: &Commanded, wrapped: &Commanded) {
        let name = plain.command.name;
        if !plain.first.succeeded {
            self.notes.push(format!("{name}: fails without the wrapper, too"));
        }
        let answers = [
            ("first", &plain.first, Some(&wrapped.first)),
            ("second", &plain.second, Some(&wrapped.second)),
            ("without it", &plain.second, wrapped.alone.as_ref()),
        ];
        for (which, plain, wrapped) in answers {
            let Some(wrapped) = wrapped else { continue };
            if plain.succeeded != wrapped.succeeded {
                let stderr = wrapped.stderr();
                self.wrong
                    .push(format!("{name}, {which}: succeeded: {}\n{stderr}", wrapped.succeeded));
            }
            for (only, lines) in [
                ("plain", plain.said.without(&wrapped.said)),
                ("wrapper", wrapped.said.without(&plain.said)),
            ] {
                for line in lines {
                    let line: String = line.chars().take(SHOWN).collect();
                    self.wrong.push(format!("{name}, {which}: only {only} says {line}"));
                }
            }
            let (made_plain, made) = (plain.said.made_names(), wrapped.said.made_names());
            for (only, names) in [("plain", &made_plain - &made), ("wrapper", &made - &made_plain)] {
                for one in names {
                    self.wrong.push(format!("{name}, {which}: only {only} made {one}"));
                }
            }
            if made_plain.is_empty() && !wrapped.units().units.is_empty() {
                let called: Vec<_> = wrapped.units().units.iter().map(|unit| &unit.crate_name).collect();
                self.wrong
                    .push(format!("{name}, {which}: rustc was called: {called:?}"));
            }
            for line in wrapped.loud() {
                self.wrong.push(format!("{name}, {which}: {line}"));
            }
        }
        for file in wrapped.first.said.missing_files() {
            self.wrong.push(format!("{name}: `{}` is not there", file.display()));
        }
        if !plain.second.said.made_names().is_empty() {
            let always: Vec<_> = plain.second.said.made_names().into_iter().collect();
            self.notes.push(format!("{name}: never fresh: {}", always.join(", ")));
        }
    }

    fn compare_programs(&mut self, plain: &Commanded, wrapped: &Commanded) {
        let name = plain.command.name;
        let (Some(plain), Some(wrapped)) = (&plain.program, &wrapped.program) else {
            if plain.program.is_some() != wrapped.program.is_some() {
                self.wrong.push(format!("{name}: only one has a program"));
            }
            return;
        };
        for (plain, wrapped) in plain.deeds.iter().zip(&wrapped.deeds) {
            if plain != wrapped {
                self.wrong.push(format!(
                    "{name}: the program does not do the same with `{}`",
                    plain.args
                ));
            }
        }
        let bytes = if plain.digest == wrapped.digest {
            "the program is equal byte for byte"
        } else {
            "the program does the same and has other bytes"
        };
        let said: usize = plain.deeds.iter().map(|deed| deed.stdout.len()).sum();
        self.notes.push(format!("{name}: {bytes}; it said {said} bytes"));
    }

    /// A unit whose key was in the store is a hit.
    fn compiled_again(&mut self, wrapped: &Commanded) {
        let name = wrapped.command.name;
        for unit in &wrapped.first.units().units {
            let was_stored = unit.unit_key.is_some_and(|key| wrapped.stored.contains(&key));
            if unit.outcome == Outcome::Rejected || (was_stored && unit.outcome == Outcome::Compiled) {
                self.wrong.push(format!(
                    "{name}: {} was in the store and was compiled: {}",
                    self::name(unit),
                    why(unit)
                ));
            }
        }
    }

    /// A unit that an earlier project had is a hit, too.
    fn shared(&mut self, workload: &Workload, wrapped: &Commanded, shared: &mut Shared) {
        type Group = (String, CallKind);
        let mut new: BTreeMap<Group, usize> = BTreeMap::new();
        let mut known: BTreeMap<Group, &str> = BTreeMap::new();
        let mut count = 0;
        for artifact in wrapped.first.said.made().filter(|artifact| artifact.is_of_registry()) {
            let group = (artifact.package().to_owned(), artifact.kind());
            match shared.0.get(&artifact.identity()) {
                Some(&project) if project != workload.name => {
                    known.insert(group, project);
                    count += 1;
                }
                _ => *new.entry(group).or_default() += 1,
            }
            shared.0.entry(artifact.identity()).or_insert(workload.name);
        }
        let mut compiled: BTreeMap<Group, Vec<&UnitEvent>> = BTreeMap::new();
        for unit in &wrapped.first.units().units {
            if let (Outcome::Compiled, Some(kind)) = (unit.outcome, unit.kind) {
                compiled.entry((name(unit), kind)).or_default().push(unit);
            }
        }
        let mut again = 0;
        for (group, project) in &known {
            let units = compiled.get(group).map_or(&[][..], Vec::as_slice);
            let more = units.len().saturating_sub(new.get(group).copied().unwrap_or(0));
            again += more;
            if let Some(unit) = units.first().filter(|_| more > 0) {
                self.wrong.push(format!(
                    "{}: {} ({:?}) is shared with {project} and was compiled: {}",
                    wrapped.command.name,
                    group.0,
                    group.1,
                    why(unit)
                ));
            }
        }
        if count > 0 {
            let command = wrapped.command.name;
            self.notes.push(format!(
                "{command}: {count} units shared with earlier projects, {again} of them compiled"
            ));
        }
    }

    /// After an edit of the program only its own package is compiled.
    fn edited(&mut self, workload: &Workload, edited: &Answer) {
        if !edited.succeeded {
            self.wrong
                .push(format!("after an edit, without a wrapper: {}", edited.stderr()));
        }
        let others = edited.said.made().filter(|artifact| artifact.is_of_registry());
        let others: Vec<_> = others.map(|artifact| artifact.package()).collect();
        if !others.is_empty() {
            self.wrong
                .push(format!("an edit of {} makes {others:?} again", workload.name));
        }
        if edited.said.made().next().is_none() {
            self.wrong.push("an edit makes nothing".into());
        }
    }
}

/// Units that were handled and compiled, and are still not in the store afterwards.
fn not_stored(wrapped: &Commanded) -> impl Iterator<Item = &UnitEvent> {
    let kept = |unit: &&UnitEvent| {
        unit.unit_key
            .is_some_and(|key| !wrapped.stored_afterwards.contains(&key))
    };
    wrapped.first.units().units.iter().filter(kept)
}

/// Package and version.
fn name(unit: &UnitEvent) -> String {
    format!(
        "{}@{}",
        unit.package.as_deref().unwrap_or(&unit.crate_name),
        unit.package_version.as_deref().unwrap_or("?")
    )
}

fn why(unit: &UnitEvent) -> &str {
    unit.reason.as_deref().unwrap_or("no reason was given")
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(table) = &self.table {
            write!(f, "{table}")?;
        }
        for note in &self.notes {
            writeln!(f, "  note   {note}")?;
        }
        for wrong in &self.wrong {
            writeln!(f, "  WRONG  {wrong}")?;
        }
        Ok(())
    }
}
