//! What a script and all that it started did, from the system calls of each process.
//!
//! Owns which process is which program, and where it works.
//! Must not know which of it is harmless.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;

use serde::{Serialize, Serializer};

use super::access::{self, Access, accesses, network};
use super::places::{Place, Places, Root};
use super::strace::{self, Call, Line};

/// The calls that are watched, as `strace -e trace=` takes them; `?` where an architecture may not have one.
pub const WATCHED: &str =
    "trace=%file,?fork,?vfork,clone,?clone3,fchdir,getdents64,socket,connect,sendto,?sendmmsg,bind";

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Actor {
    /// The build script itself.
    Script,
    /// A program that it started, or that one of those did.
    Program(String),
}

/// A file or folder with which something was done.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Seen {
    /// By whom.
    pub by: Actor,
    /// What.
    pub access: Access,
    /// With what.
    pub place: Place,
}

/// A program that was started.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Executed {
    /// By whom.
    pub by: Actor,
    /// Which.
    pub program: Place,
}

/// How often, and how.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Times {
    /// Calls.
    pub calls: usize,
    /// Those that did not end with 0.
    pub failed: usize,
    /// The arguments of some of them.
    pub arguments: BTreeSet<String>,
    /// The arguments of some of those that failed.
    pub failed_with: BTreeSet<String>,
}

/// Everything that was seen of one or more runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trace {
    /// Programs that ran.
    pub executed: BTreeMap<Executed, Times>,
    /// Programs that somebody looked for, and whether one was there.
    pub looked_for: BTreeMap<(Actor, String), bool>,
    /// Files and folders.
    pub seen: BTreeSet<Seen>,
    /// Uses of the network, and of sockets of the machine.
    pub network: BTreeSet<(Actor, String)>,
    /// Different lines that could not be read.
    pub unread: usize,
}

/// Of how many different calls of a program the arguments are kept, and how much of each.
const MAX_ARGUMENTS: usize = 6;
const MAX_ARGUMENT_LENGTH: usize = 160;

/// One process on its way.
struct Process {
    actor: Actor,
    folder: String,
    executed: Option<Executed>,
    arguments: String,
}

impl Trace {
    /// Reads the calls of all processes of a run, in the order of their numbers. The first one starts `script` in `folder`.
    pub fn read(
        processes: impl IntoIterator<Item = (u32, String)>,
        places: &Places,
        script: &str,
        folder: &str,
    ) -> Self {
        let mut trace = Self::default();
        let mut waiting: BTreeMap<u32, Process> = BTreeMap::new();
        let mut known = HashSet::new();
        let start = || Process {
            actor: Actor::Script,
            folder: folder.to_owned(),
            executed: None,
            arguments: String::new(),
        };
        // A child has a higher number than its parent, so that its folder and program are known when its turn comes.
        for (number, lines) in processes {
            let mut process = waiting.remove(&number).unwrap_or_else(start);
            for line in lines.lines() {
                // Every program starts with the same hundreds of calls.
                if !changes_process(line) && !known.insert(format!("{}\n{}\n{line}", process.actor, process.folder)) {
                    continue;
                }
                match strace::read(line) {
                    Some(Line::Call(call)) => {
                        if let Some(child) = child_of(&call) {
                            waiting.insert(child, process.fork());
                        } else {
                            trace.add(&call, &mut process, places, script);
                        }
                    }
                    Some(Line::Ended(code)) => trace.ended(&process, code),
                    Some(Line::Nothing) => {}
                    None => trace.unread += 1,
                }
            }
        }
        trace
    }

    /// Adds what another run did.
    pub fn merge(&mut self, other: Self) {
        for (executed, times) in other.executed {
            let known = self.executed.entry(executed).or_default();
            known.calls += times.calls;
            known.failed += times.failed;
            times
                .arguments
                .into_iter()
                .for_each(|text| keep(&mut known.arguments, text));
            times
                .failed_with
                .into_iter()
                .for_each(|text| keep(&mut known.failed_with, text));
        }
        for (program, found) in other.looked_for {
            *self.looked_for.entry(program).or_default() |= found;
        }
        self.seen.extend(other.seen);
        self.network.extend(other.network);
        self.unread += other.unread;
    }

    fn add(&mut self, call: &Call, process: &mut Process, places: &Places, script: &str) {
        match call.name.as_str() {
            "execve" | "execveat" => self.execute(call, process, places, script),
            "chdir" => {
                if let (Some(path), Ok(_)) = (call.text(0), &call.result) {
                    process.folder = access::absolute(&process.folder, &path);
                }
            }
            "fchdir" => {
                if let (Some(path), Ok(_)) = (call.descriptor(0), &call.result) {
                    process.folder = path;
                }
            }
            "socket" | "connect" | "sendto" | "sendmmsg" | "bind" => {
                if let Some(use_) = network(call) {
                    self.network.insert((process.actor.clone(), use_));
                }
            }
            _ => {
                for (access, path) in accesses(call, &process.folder) {
                    if let Some(name) = places.program_looked_for(&path) {
                        let key = (process.actor.clone(), name.to_owned());
                        *self.looked_for.entry(key).or_default() |= access != Access::Absent;
                    } else if !is_by_the_way(access, &path, places) {
                        self.seen.insert(Seen {
                            by: process.actor.clone(),
                            access,
                            place: places.place(&path),
                        });
                    }
                }
            }
        }
    }

    fn execute(&mut self, call: &Call, process: &mut Process, places: &Places, script: &str) {
        let first = usize::from(call.name == "execveat");
        let Some(path) = call.text(first).map(|path| access::absolute(&process.folder, &path)) else {
            return;
        };
        let place = places.place(&path);
        let is_script = path == script;
        if !is_script {
            let name = path.rsplit('/').next().unwrap_or(&path).to_owned();
            *self.looked_for.entry((process.actor.clone(), name)).or_default() |= call.result.is_ok();
        }
        if call.result.is_err() {
            return;
        }
        if is_script {
            process.actor = Actor::Script;
            return;
        }
        let executed = Executed {
            by: process.actor.clone(),
            program: place,
        };
        let times = self.executed.entry(executed.clone()).or_default();
        times.calls += 1;
        let arguments = call
            .texts(first + 1)
            .into_iter()
            .map(|argument| match argument.starts_with('/') {
                true => places.place(&argument).to_string(),
                false => argument,
            });
        let arguments = arguments.collect::<Vec<_>>().join(" ");
        process.arguments = arguments.chars().take(MAX_ARGUMENT_LENGTH).collect();
        keep(&mut times.arguments, process.arguments.clone());
        process.actor = Actor::of(&executed.program);
        process.executed = Some(executed);
    }

    fn ended(&mut self, process: &Process, code: i32) {
        let executed = process
            .executed
            .as_ref()
            .and_then(|executed| self.executed.get_mut(executed));
        if let Some(times) = executed.filter(|_| code != 0) {
            times.failed += 1;
            keep(&mut times.failed_with, process.arguments.clone());
        }
    }
}

impl Process {
    fn fork(&self) -> Self {
        Self {
            actor: self.actor.clone(),
            folder: self.folder.clone(),
            executed: None,
            arguments: String::new(),
        }
    }
}

impl Actor {
    /// A program of the machine or the toolchain by its name, another by where it lies.
    fn of(program: &Place) -> Self {
        Self::Program(match program.root {
            Root::System | Root::Toolchain => program.path.rsplit('/').next().unwrap_or_default().to_owned(),
            _ => program.to_string(),
        })
    }

    /// The program's name; nothing for the script.
    pub fn program(&self) -> Option<&str> {
        match self {
            Self::Script => None,
            Self::Program(name) => Some(name),
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.program().unwrap_or("the script"))
    }
}

impl Serialize for Actor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Whether a line may change what the process is, where it works, or which others there are.
fn changes_process(line: &str) -> bool {
    ["execve", "clone", "fork", "vfork", "chdir", "fchdir", "+++"]
        .iter()
        .any(|call| line.starts_with(call))
}

/// What each program does when it starts, or to resolve a path that it was given.
fn is_by_the_way(access: Access, path: &str, places: &Places) -> bool {
    match access {
        Access::Exists => places.is_on_the_way(path) || places.is_searched_for_libraries(path),
        Access::Absent => places.is_searched_for_libraries(path),
        _ => false,
    }
}

/// Adds a text to a few.
fn keep(few: &mut BTreeSet<String>, text: String) {
    if few.len() < MAX_ARGUMENTS {
        few.insert(text);
    }
}

/// The process or thread that a call made.
fn child_of(call: &Call) -> Option<u32> {
    let makes = matches!(call.name.as_str(), "fork" | "vfork" | "clone" | "clone3");
    let number = call.result.as_ref().ok().filter(|_| makes)?;
    u32::try_from(*number).ok().filter(|number| *number > 0)
}

#[cfg(test)]
mod tests;
