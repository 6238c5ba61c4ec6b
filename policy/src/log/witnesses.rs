//! Which witnesses are enough: a cosigning policy in the text form of <https://c2sp.org/tlog-policy>.
//!
//! Owns the grammar (`witness`, `group` and `quorum` lines) and whether those that have cosigned are the quorum. A `log`
//! line is refused: which logs count, and whose they are, is said elsewhere, and not twice.
//! Must not know how a cosignature is verified, or what time it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::cosignature::WitnessVerifier;

/// Most lines that define something, of either kind. The specification asks for 32 at least.
const MAX_DEFINITIONS: usize = 256;

/// A witness policy. The default asks for no witness.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WitnessPolicy {
    text: String,
    witnesses: Vec<WitnessVerifier>,
    urls: Vec<Option<String>>,
    groups: Vec<Group>,
    quorum: Option<Member>,
}

/// `group <name> <k>|any|all <member>...`
#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    threshold: usize,
    members: Vec<Member>,
}

/// What a group or the quorum consists of. A group has only members that were defined before it, so this ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Member {
    Witness(usize),
    Group(usize),
}

/// Why a text is not a witness policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the witness policy: {problem}")]
pub struct MalformedWitnessPolicy {
    line: usize,
    problem: Problem,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Problem {
    #[error("a control character")]
    ControlCharacter,
    #[error("a `log` line: the logs are those of the operators")]
    Log,
    #[error("`{0}` is no line of a witness policy")]
    Unknown(String),
    #[error("it does not have the parts that a `{0}` line has")]
    Parts(&'static str),
    #[error("`{0}` is no key of a witness")]
    Key(String),
    #[error("the key of `{0}` is there twice")]
    KeyTwice(String),
    #[error("`{0}` is defined twice, or a word of the language")]
    NameTaken(String),
    #[error("`{0}` is not defined before")]
    NotDefined(String),
    #[error("`{0}` is a member already")]
    MemberTwice(String),
    #[error("a threshold is `any`, `all`, or a number from 1 to that of the members")]
    Threshold,
    #[error("a second quorum")]
    SecondQuorum,
    #[error("too many definitions")]
    TooMany,
    #[error("there is no quorum line before the end")]
    NoQuorum,
}

impl WitnessPolicy {
    /// All witnesses that it names.
    pub fn witnesses(&self) -> &[WitnessVerifier] {
        &self.witnesses
    }

    /// All witnesses, each with the URL on its line: where checkpoints are submitted to it
    /// (<https://c2sp.org/tlog-witness>, the submission prefix).
    pub fn addresses(&self) -> impl Iterator<Item = (&WitnessVerifier, Option<&str>)> {
        self.witnesses.iter().zip(self.urls.iter().map(Option::as_deref))
    }

    /// Whether the witnesses for which `has_cosigned` holds are the quorum.
    pub fn is_met(&self, has_cosigned: impl Fn(&WitnessVerifier) -> bool) -> bool {
        let Some(quorum) = self.quorum else { return true };
        let witnesses: Vec<bool> = self.witnesses.iter().map(has_cosigned).collect();
        // In the order of the lines, so that a group's members are known before it.
        let mut groups: Vec<bool> = vec![];
        for group in &self.groups {
            let met = group
                .members
                .iter()
                .filter(|member| holds(**member, &witnesses, &groups));
            groups.push(met.count() >= group.threshold);
        }
        holds(quorum, &witnesses, &groups)
    }
}

fn holds(member: Member, witnesses: &[bool], groups: &[bool]) -> bool {
    let found = match member {
        Member::Witness(index) => witnesses.get(index),
        Member::Group(index) => groups.get(index),
    };
    found.copied().unwrap_or(false)
}

/// What the lines so far have defined.
#[derive(Default)]
struct Definitions<'a> {
    policy: WitnessPolicy,
    names: BTreeMap<&'a str, Member>,
    keys: BTreeSet<[u8; 32]>,
    members: BTreeSet<&'a str>,
    has_quorum: bool,
}

impl FromStr for WitnessPolicy {
    type Err = MalformedWitnessPolicy;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut definitions = Definitions::default();
        let mut last = 0;
        for (index, line) in text.split('\n').enumerate() {
            last = index + 1;
            let read = definitions.read(line);
            read.map_err(|problem| MalformedWitnessPolicy { line: last, problem })?;
        }
        if !definitions.has_quorum {
            return Err(MalformedWitnessPolicy {
                line: last,
                problem: Problem::NoQuorum,
            });
        }
        Ok(Self {
            text: text.to_owned(),
            ..definitions.policy
        })
    }
}

impl<'a> Definitions<'a> {
    fn read(&mut self, line: &'a str) -> Result<(), Problem> {
        if line.bytes().any(|byte| byte != b'\t' && byte.is_ascii_control()) {
            return Err(Problem::ControlCharacter);
        }
        let mut parts = line.split([' ', '\t']).filter(|part| !part.is_empty());
        let Some(keyword) = parts.next().filter(|first| !first.starts_with('#')) else {
            return Ok(());
        };
        let parts: Vec<&str> = parts.collect();
        match (keyword, &parts[..]) {
            ("witness", [name, key]) => self.witness(name, key, None),
            ("witness", [name, key, url]) => self.witness(name, key, Some(url)),
            ("witness", _) => Err(Problem::Parts("witness")),
            ("group", [name, threshold, members @ ..]) if !members.is_empty() => self.group(name, threshold, members),
            ("group", _) => Err(Problem::Parts("group")),
            ("quorum", [name]) => self.quorum(name),
            ("quorum", _) => Err(Problem::Parts("quorum")),
            ("log", _) => Err(Problem::Log),
            _ => Err(Problem::Unknown(keyword.escape_debug().take(40).collect())),
        }
    }

    fn witness(&mut self, name: &'a str, key: &str, url: Option<&str>) -> Result<(), Problem> {
        let key: WitnessVerifier = key.parse().map_err(|_| Problem::Key(key.chars().take(100).collect()))?;
        if !self.keys.insert(*key.public_key()) {
            return Err(Problem::KeyTwice(name.to_owned()));
        }
        self.define(name, Member::Witness(self.policy.witnesses.len()))?;
        self.policy.witnesses.push(key);
        self.policy.urls.push(url.map(str::to_owned));
        Ok(())
    }

    fn group(&mut self, name: &'a str, threshold: &str, members: &[&'a str]) -> Result<(), Problem> {
        let mut group = Group {
            threshold: match threshold {
                "any" => 1,
                "all" => members.len(),
                number => decimal(number).ok_or(Problem::Threshold)?,
            },
            members: vec![],
        };
        if !(1..=members.len()).contains(&group.threshold) {
            return Err(Problem::Threshold);
        }
        for member in members {
            let defined = self.names.get(member);
            let defined = defined.ok_or_else(|| Problem::NotDefined((*member).to_owned()))?;
            // In one way only may a witness add to the quorum.
            if !self.members.insert(member) {
                return Err(Problem::MemberTwice((*member).to_owned()));
            }
            group.members.push(*defined);
        }
        self.define(name, Member::Group(self.policy.groups.len()))?;
        self.policy.groups.push(group);
        Ok(())
    }

    fn quorum(&mut self, name: &str) -> Result<(), Problem> {
        if std::mem::replace(&mut self.has_quorum, true) {
            return Err(Problem::SecondQuorum);
        }
        if name != NONE {
            let defined = self.names.get(name);
            self.policy.quorum = Some(*defined.ok_or_else(|| Problem::NotDefined(name.to_owned()))?);
        }
        Ok(())
    }

    fn define(&mut self, name: &'a str, member: Member) -> Result<(), Problem> {
        if self.names.len() == MAX_DEFINITIONS {
            return Err(Problem::TooMany);
        }
        if name == NONE || self.names.insert(name, member).is_some() {
            return Err(Problem::NameTaken(name.to_owned()));
        }
        Ok(())
    }
}

/// The quorum of nobody.
const NONE: &str = "none";

fn decimal(text: &str) -> Option<usize> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| is_plain)
}

impl TryFrom<String> for WitnessPolicy {
    type Error = MalformedWitnessPolicy;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<WitnessPolicy> for String {
    fn from(policy: WitnessPolicy) -> Self {
        policy.to_string()
    }
}

/// As it was written; of the default what asks for no witness.
impl fmt::Display for WitnessPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.text.is_empty() {
            "quorum none\n"
        } else {
            &self.text
        })
    }
}

#[cfg(test)]
mod tests;
