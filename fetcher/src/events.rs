//! What happened in each build: `builds/<pid>-<start>.jsonl` in the local store, one [`BuildEvent`] a line.
//!
//! Owns how a build is named, and reading and appending its events. Both programs use it, so it stays light.
//! Must not know what the events are counted for (that is `report`'s).

use std::fmt;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::SystemTime;

use sealift_policy::local::{BuildEvent, VERSION_DIR};

/// One build: a `cargo sealift` process, or a cargo process where there is none, by its id and its start time in clock
/// ticks since boot (ids are used again).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BuildId {
    pid: u32,
    start: u64,
}

/// A text that names no build.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a build")]
pub struct NotABuild;

/// The events of one build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// Which build.
    pub id: BuildId,
    /// When its last event was written.
    pub written: SystemTime,
    /// What happened, in the order in which it was written. Lines that do not parse are left out.
    pub events: Vec<BuildEvent>,
}

impl BuildId {
    /// The build that the process with this id runs; `None` when there is no such process or no `/proc`.
    pub fn of_process(pid: u32) -> Option<Self> {
        let stat = fs_err::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some(Self {
            pid,
            start: start_ticks(&stat)?,
        })
    }

    /// The process's id.
    pub fn pid(self) -> u32 {
        self.pid
    }

    /// Whether the process that it names still runs.
    pub fn is_running(self) -> bool {
        Self::of_process(self.pid) == Some(self)
    }

    /// Whether its process runs and can do something: one that was stopped (Ctrl-Z) may never go on.
    pub fn is_active(self) -> bool {
        let stat = fs_err::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        start_ticks(&stat) == Some(self.start) && !is_stopped(&stat)
    }

    /// When its process was started, in whole seconds since 1970; `None` without `/proc`.
    pub fn began(self) -> Option<i64> {
        let stat = fs_err::read_to_string("/proc/stat").ok()?;
        let boot = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
        let ticks = rustix::param::clock_ticks_per_second();
        boot.trim()
            .parse::<i64>()
            .ok()?
            .checked_add_unsigned(self.start.checked_div(ticks)?)
    }

    fn path(self, store: &Path) -> PathBuf {
        folder(store).join(format!("{self}.jsonl"))
    }
}

/// Field 22 of `/proc/<pid>/stat`. The second field, the program's name, may hold spaces and parentheses.
fn start_ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// Field 3 of `/proc/<pid>/stat`: stopped by a signal. (Small letters are of what is traced, and stops all the time.)
fn is_stopped(stat: &str) -> bool {
    stat.rsplit_once(')')
        .is_some_and(|(_, rest)| rest.trim_start().starts_with('T'))
}

impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.pid, self.start)
    }
}

impl FromStr for BuildId {
    type Err = NotABuild;

    fn from_str(text: &str) -> Result<Self, NotABuild> {
        let (pid, start) = text.split_once('-').ok_or(NotABuild)?;
        Ok(Self {
            pid: pid.parse().map_err(|_| NotABuild)?,
            start: start.parse().map_err(|_| NotABuild)?,
        })
    }
}

/// Adds an event to a build. Events of several processes never mix, since each is one write to the file's end.
pub fn append(store: &Path, build: BuildId, event: &BuildEvent) -> io::Result<()> {
    let mut line = serde_json::to_vec(event).expect("events have string keys only");
    line.push(b'\n');
    fs_err::create_dir_all(folder(store))?;
    let mut options = fs_err::OpenOptions::new();
    options
        .create(true)
        .append(true)
        .open(build.path(store))?
        .write_all(&line)
}

/// The events of this build; none when nothing was written.
pub fn read(store: &Path, id: BuildId) -> io::Result<Build> {
    let path = id.path(store);
    let (text, written) = match fs_err::read(&path) {
        Ok(text) => (text, fs_err::metadata(&path)?.modified()?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => (Vec::new(), SystemTime::UNIX_EPOCH),
        Err(error) => return Err(error),
    };
    let lines = text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    let events = lines.filter_map(|line| serde_json::from_slice(line).ok()).collect();
    Ok(Build { id, written, events })
}

/// The builds that have events, oldest first.
pub fn builds(store: &Path) -> io::Result<Vec<BuildId>> {
    let entries = match fs_err::read_dir(folder(store)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut builds = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let id = name.to_str().and_then(|name| name.strip_suffix(".jsonl")?.parse().ok());
        // A build that is swept away between two calls is no build.
        if let (Some(id), Ok(metadata)) = (id, entry.metadata()) {
            builds.push((metadata.modified()?, id));
        }
    }
    builds.sort();
    Ok(builds.into_iter().map(|(_, id)| id).collect())
}

fn folder(store: &Path) -> PathBuf {
    store.join(VERSION_DIR).join("builds")
}

#[cfg(test)]
mod tests {
    use sealift_policy::local::PrefetchEvent;

    use super::*;

    #[test]
    fn start_ticks_are_found_behind_a_program_name_with_parentheses() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2 3";
        assert_eq!(start_ticks(stat), Some(987_654));
        assert_eq!(start_ticks("42 (a) S 1"), None);
    }

    #[test]
    fn this_process_is_a_running_build_and_another_start_is_not() {
        let this = BuildId::of_process(std::process::id()).unwrap();
        assert!(this.is_running());
        assert!(
            !BuildId {
                start: this.start + 1,
                ..this
            }
            .is_running()
        );
        assert_eq!(this.to_string().parse(), Ok(this));
    }

    #[test]
    fn this_process_began_before_now_and_after_its_machine_did() {
        let began = BuildId::of_process(std::process::id()).unwrap().began().unwrap();
        let now = crate::clock::seconds();
        // Both are whole seconds of clocks that are read one after the other.
        assert!((now - 3600..=now + 1).contains(&began), "{began}, {now}");
    }

    #[test]
    fn events_read_back_and_torn_lines_are_left_out() {
        let store = tempfile::tempdir().unwrap();
        let id: BuildId = "7-11".parse().unwrap();
        assert_eq!(read(store.path(), id).unwrap().events, []);
        let event = BuildEvent::Prefetch(PrefetchEvent {
            fetched: 3,
            ..PrefetchEvent::default()
        });
        append(store.path(), id, &event).unwrap();
        append(store.path(), id, &event).unwrap();
        let path = store.path().join("v1/builds/7-11.jsonl");
        let mut text = fs_err::read(&path).unwrap();
        text.truncate(text.len() - 5);
        fs_err::write(&path, text).unwrap();
        assert_eq!(read(store.path(), id).unwrap().events, [event]);
        assert_eq!(builds(store.path()).unwrap(), [id]);
    }

    #[test]
    fn other_files_are_no_builds() {
        let store = tempfile::tempdir().unwrap();
        assert_eq!(builds(store.path()).unwrap(), []);
        let folder = store.path().join("v1/builds");
        fs_err::create_dir_all(&folder).unwrap();
        fs_err::write(folder.join("x.jsonl"), "").unwrap();
        fs_err::write(folder.join("1-2.json"), "").unwrap();
        assert_eq!(builds(store.path()).unwrap(), []);
    }
}
