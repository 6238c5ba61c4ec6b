//! What follows from the evidence: an entry that a person may complete, or the reasons against one.
//!
//! Owns the judgement, which is pure. Where nothing was seen nothing follows: a proposal is where reading begins.
//! Must not know how evidence is found.

use std::collections::BTreeSet;

use sealift_policy::name::CrateName;
use sealift_policy::reviewed;
use serde::Serialize;

use super::access::Access;
use super::evidence::Evidence;
use super::places::Root;
use super::programs::{self, Family, family};
use super::reason::Reason;
use super::sources::{About, as_told};
use super::trace::Actor;

/// What follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// The entry, or why there is none.
    pub verdict: Result<Entry, BTreeSet<Reason>>,
    /// What a person should look at before believing it.
    pub notes: BTreeSet<String>,
}

/// An entry of the list, without the reason that only a person can give.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the fields are those of `sealift_policy::reviewed`")]
pub struct Entry {
    pub package: CrateName,
    pub versions: Vec<String>,
    pub why: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub compiles_c: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused_features: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub required_features: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unset: Vec<String>,
}

impl Judgement {
    /// What follows from this evidence; `target` is the triple for which the script ran.
    pub fn of(evidence: &Evidence, target: &str) -> Self {
        let mut reasons = BTreeSet::new();
        reasons.extend((!reviewed::counts_for(target)).then(|| Reason::Platform(target.to_owned())));
        reasons.extend(of_outcomes(evidence));
        reasons.extend(of_programs(evidence));
        reasons.extend(of_files(evidence));
        let network = evidence.trace.network.iter().filter(|(_, how)| !how.contains("/nscd/"));
        reasons.extend(network.map(|(by, how)| Reason::Network {
            by: by.clone(),
            how: how.clone(),
        }));
        for tale in evidence.tell_tales.iter().filter(|tale| tale.is_own) {
            let (word, place) = (tale.word.clone(), tale.place.clone());
            match tale.about {
                About::Processor => drop(reasons.insert(Reason::Processor { word, place })),
                About::Time => drop(reasons.insert(Reason::Time { word, place })),
                About::Chance | About::Parallelism => {}
            }
        }
        Self {
            verdict: if reasons.is_empty() {
                Ok(entry(evidence))
            } else {
                Err(reasons)
            },
            notes: notes(evidence),
        }
    }
}

fn of_outcomes(evidence: &Evidence) -> BTreeSet<Reason> {
    let mut reasons = BTreeSet::new();
    for seen in &evidence.runs {
        reasons.extend(seen.failed.as_ref().map(|how| Reason::Failed {
            run: seen.run.to_string(),
            how: how.clone(),
        }));
        let mut differences = evidence
            .differences
            .iter()
            .filter(|difference| difference.run == seen.run);
        if let Some(difference) = differences.next() {
            reasons.insert(Reason::Differs {
                run: seen.run.to_string(),
                differ_in: seen.differ_in,
                place: format!("{} {}", difference.place, difference.how),
                others: differences.count(),
            });
        }
    }
    reasons.extend(evidence.refused_instruction.clone().map(Reason::Instruction));
    if let Some((file, what)) = evidence.local_paths.first() {
        reasons.insert(Reason::LocalPath {
            file: file.clone(),
            what: what.clone(),
        });
    }
    reasons
}

fn of_programs(evidence: &Evidence) -> BTreeSet<Reason> {
    let mut reasons = BTreeSet::new();
    for (executed, times) in &evidence.trace.executed {
        let place = executed.program.to_string();
        let name = place.rsplit('/').next().unwrap_or(&place);
        reasons.extend(match (&executed.program.root, family(name)) {
            (Root::System | Root::Toolchain, Family::Rust | Family::C) => None,
            (Root::System | Root::Toolchain, Family::Cxx) => Some(Reason::Cxx(name.to_owned())),
            (Root::System | Root::Toolchain, Family::Linker) => Some(Reason::Links(name.to_owned())),
            (Root::System | Root::Toolchain, Family::Other) => Some(Reason::Asks {
                by: executed.by.clone(),
                program: name.to_owned(),
                calls: times.calls,
            }),
            _ => Some(Reason::OwnProgram(place.clone())),
        });
    }
    for ((by, program), found) in &evidence.trace.looked_for {
        let is_asked =
            evidence.trace.executed.keys().any(|executed| {
                executed.by == *by && executed.program.path.rsplit('/').next() == Some(program.as_str())
            });
        // Only of the script: compilers look for their parts in many places.
        if *by == Actor::Script && !is_asked && family(program) == Family::Other {
            reasons.insert(Reason::LooksFor {
                by: by.clone(),
                program: program.clone(),
                is_here: *found || evidence.hidden.contains(&program.as_str()),
            });
        }
    }
    reasons
}

fn of_files(evidence: &Evidence) -> BTreeSet<Reason> {
    let mut reasons = BTreeSet::new();
    for seen in &evidence.trace.seen {
        let place = seen.place.to_string();
        let is_own = matches!(seen.place.root, Root::OutDir | Root::Scratch);
        let is_given = matches!(seen.place.root, Root::Package | Root::Toolchain);
        let is_harmless = programs::belongs_to_starting(&place) || programs::counts_processors(&place);
        if is_own || is_harmless || (is_given && seen.access != Access::Written) {
            continue;
        }
        if seen.access == Access::Written || seen.by == Actor::Script {
            let access = seen.access;
            reasons.insert(Reason::Touches { access, place });
        }
    }
    reasons
}

/// What a person should look at, whatever the verdict.
fn notes(evidence: &Evidence) -> BTreeSet<String> {
    let mut notes = BTreeSet::new();
    let mut note = |text: String| {
        notes.insert(text);
    };
    let listed = evidence.trace.seen.iter().filter(|seen| seen.access == Access::Listed);
    let listed: BTreeSet<_> = listed
        .filter(|seen| seen.place.root == Root::Package)
        .map(|seen| &seen.place)
        .collect();
    if let Some(folder) = listed.first() {
        note(format!(
            "{} folders of the package are listed, such as {folder}: the order of names is the file system's, and runs on \
             one machine cannot show whether it counts",
            listed.len()
        ));
    }
    for seen in &evidence.trace.seen {
        let place = seen.place.to_string();
        match (&seen.place.root, seen.access, &seen.by) {
            (Root::OtherBuild | Root::OtherPackage, Access::Read, Actor::Program(by)) => {
                note(format!(
                    "{by} reads {place}, of another package: it must come by way of DEP_*, which is in the key"
                ));
            }
            (Root::System, Access::Read, Actor::Program(by))
                if place.ends_with(".h") && family(by) == Family::C && !programs::is_standard_header(&place) =>
            {
                note(format!(
                    "{by} reads {place}, which is not the C library's: other machines may have another or none"
                ));
            }
            (_, _, by) if programs::counts_processors(&place) => note(format!("{by} counts processors ({place})")),
            _ => {}
        }
    }
    for tale in &evidence.tell_tales {
        let (word, place) = (&tale.word, &tale.place);
        match (tale.about, tale.is_own) {
            (About::Processor, false) => note(format!(
                "a package that it uses reads the processor: `{word}` ({place})"
            )),
            (About::Chance, true) => note(format!(
                "`{word}` ({place}) is another in each run: what is made of its order?"
            )),
            (About::Parallelism, true) => note(format!("`{word}` ({place}): the number of processors must not count")),
            _ => {}
        }
    }
    for place in &evidence.dated {
        note(format!(
            "compiled C names the time ({place}): equal only because SOURCE_DATE_EPOCH is set"
        ));
    }
    if evidence.trace.unread > 0 {
        note(format!(
            "{} lines of the trace could not be read",
            evidence.trace.unread
        ));
    }
    if evidence.hidden.is_empty() {
        note("none of the programs that are hidden is installed here: hiding them showed nothing".to_owned());
    }
    notes
}

fn entry(evidence: &Evidence) -> Entry {
    let subject = &evidence.subject;
    let compiles_c = evidence.trace.executed.keys().any(|executed| {
        let name = executed.program.path.rsplit('/').next().unwrap_or_default();
        family(name) == Family::C
    });
    let asked = |features: &BTreeSet<String>| -> Vec<String> {
        let asked = features
            .iter()
            .filter(|feature| evidence.features_asked.contains(&as_told(feature)));
        asked.cloned().collect()
    };
    let is_known =
        |name: &str| evidence.declared.contains(name) || (compiles_c && reviewed::is_read_by_c_compilers(name));
    let unset = evidence
        .variables
        .iter()
        .filter(|(name, variable)| variable.is_read_by_own && !is_known(name));
    Entry {
        package: subject.package.clone(),
        versions: vec![reviewed::release(&subject.version).to_owned()],
        why: String::new(),
        compiles_c,
        refused_features: asked(&subject.features_off),
        required_features: asked(&subject.features),
        unset: unset.map(|(name, _)| name.clone()).collect(),
    }
}

#[cfg(test)]
mod tests;
