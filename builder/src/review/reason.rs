//! Why no entry is proposed, in words.
//!
//! Must not know which evidence leads to which reason.

use std::fmt;

use super::access::Access;
use super::trace::Actor;

/// Why no entry is proposed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Reason {
    Failed {
        run: String,
        how: String,
    },
    Platform(String),
    Differs {
        run: String,
        differ_in: &'static str,
        place: String,
        others: usize,
    },
    Instruction(String),
    LocalPath {
        file: String,
        what: String,
    },
    Asks {
        by: Actor,
        program: String,
        calls: usize,
    },
    LooksFor {
        by: Actor,
        program: String,
        is_here: bool,
    },
    OwnProgram(String),
    Cxx(String),
    Links(String),
    Network {
        by: Actor,
        how: String,
    },
    Touches {
        access: Access,
        place: String,
    },
    Processor {
        word: String,
        place: String,
    },
    Time {
        word: String,
        place: String,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { run, how } => write!(f, "it failed in the run `{run}`: {how}"),
            Self::Platform(target) => write!(f, "the list counts for Linux with glibc only, this is {target}"),
            Self::Differs {
                run,
                differ_in,
                place,
                others,
            } => {
                write!(f, "it gives something else in the run `{run}` ({differ_in}): {place}")?;
                match others {
                    0 => Ok(()),
                    others => write!(f, ", and {others} more"),
                }
            }
            Self::Instruction(why) => write!(f, "what it tells cargo cannot be shared: {why}"),
            Self::LocalPath { file, what } => write!(f, "`{file}` in OUT_DIR names the folder {what} of this machine"),
            Self::Asks { by, program, calls } => write!(f, "{by} runs `{program}` ({calls} times in all runs)"),
            Self::LooksFor { by, program, is_here } => {
                let found = if *is_here { "" } else { ", which is not here" };
                write!(f, "{by} looks for the program `{program}`{found}")
            }
            Self::OwnProgram(program) => {
                write!(
                    f,
                    "it runs `{program}`, which it made or brought: what that asks the machine is not all seen"
                )
            }
            Self::Cxx(program) => write!(
                f,
                "it compiles C++ (`{program}`), and a run's manifest names the C compiler only"
            ),
            Self::Links(program) => write!(
                f,
                "it links (`{program}`), so what libraries this machine has may count"
            ),
            Self::Network { by, how } => write!(f, "{by} uses the network: {how}"),
            Self::Touches { access, place } => {
                let what = match access {
                    Access::Read => "reads",
                    Access::Listed => "lists",
                    Access::Exists => "looks whether there is",
                    Access::Absent => "looks for what is not there,",
                    Access::Denied => "may not read",
                    Access::Written => "writes to",
                };
                write!(f, "it {what} `{place}`, outside of its package and OUT_DIR")
            }
            Self::Processor { word, place } => write!(f, "it reads the processor of this machine: `{word}` ({place})"),
            Self::Time { word, place } => write!(f, "it reads a time: `{word}` ({place})"),
        }
    }
}
