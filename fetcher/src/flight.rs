//! Prefetches under way: which build has one beside it, how far it is, and which units are on their way.
//!
//! Owns the files `prefetch/<build>/` and `flight/<2>/<key>` of the local store, by which the wrapper (which never uses
//! the network) and the process that fetches tell each other what they need to know. A process that is gone is told
//! by its id and start time, so nothing here has to be cleaned up for the next build to be right.
//! Must not know how anything is fetched, or what the wrapper does with the answer.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use fs_err as fs;
use sealift_policy::digest::UnitKey;
use serde::{Deserialize, Serialize};

use crate::events::BuildId;
use crate::store::Store;

/// How often the process that fetches tells how far it is.
pub const TELL: Duration = Duration::from_millis(100);

/// The prefetch beside one build.
#[derive(Debug, Clone)]
pub struct Prefetch {
    store: Store,
    build: BuildId,
}

/// How far a prefetch is: `prefetch/<build>/state.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Always 1.
    pub version: u32,
    /// The process that fetches.
    pub fetcher: String,
    /// What it does.
    pub stage: Stage,
    /// What has come of an answer and what will come, in bytes; both 0 while that is not known.
    #[serde(default)]
    pub answer: (u64, u64),
    /// What looks like an attack, on one line.
    pub alarm: Option<String>,
    /// Why nothing is believed, where the user or the keeper of the public store has to do something, on one line.
    #[serde(default)]
    pub notice: Option<String>,
}

/// What a prefetch does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// It asks cargo what it plans: any unit may still be found.
    Planning,
    /// It waits for the public store to say which units there are.
    Asking,
    /// It checks what the public store has said.
    Choosing,
    /// It fetches the units that have a file below `flight/`.
    Fetching,
    /// It has ended.
    Done,
}

/// What a prefetch may be waited for that is not the network's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaited {
    /// Its first word.
    FirstWord,
    /// What it has to do on this machine.
    Work,
}

impl Awaited {
    fn file(self) -> &'static str {
        match self {
            Self::FirstWord => "silent",
            Self::Work => "stuck",
        }
    }
}

/// A unit on its way: `flight/<2>/<key>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flight {
    /// Always 1.
    pub version: u32,
    /// The process that fetches it.
    pub fetcher: String,
    /// How long it may be waited for, in milliseconds: what compiling it would take.
    pub worth_ms: u64,
    /// Bytes that have come.
    pub received: u64,
    /// Bytes that will come; 0 while that is not known.
    pub expected: u64,
    /// Whether all of it has come, and only this machine's own work is left.
    #[serde(default)]
    pub arrived: bool,
}

impl Prefetch {
    /// Of this build.
    pub fn of(store: &Store, build: BuildId) -> Self {
        Self {
            store: store.clone(),
            build,
        }
    }

    /// The build.
    pub fn build(&self) -> BuildId {
        self.build
    }

    /// Whether somebody has begun it.
    pub fn is_claimed(&self) -> bool {
        self.folder().exists()
    }

    /// Takes on to begin it; true for one caller only.
    pub fn claim(&self) -> io::Result<bool> {
        fs::create_dir_all(self.store.path(FOLDER))?;
        match fs::create_dir(self.folder()) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// How far it is; `None` before it said anything.
    pub fn state(&self) -> Option<State> {
        self.store
            .read(&self.file("state.json"))
            .filter(|state: &State| state.version == 1)
    }

    /// Says how far it is.
    pub fn set_state(&self, state: &State) -> io::Result<()> {
        let text = serde_json::to_vec(state).expect("states have string keys only");
        self.store.write(&self.file("state.json"), &text)
    }

    /// Whether the caller is the first to tell the user of the alarm or the notice.
    pub fn may_tell(&self) -> bool {
        let mut options = fs::OpenOptions::new();
        let told = options
            .write(true)
            .create_new(true)
            .open(self.store.path(&self.file("told")));
        told.is_ok()
    }

    /// Notes that waiting for this was in vain, so that no other wrapper of the build does it again.
    pub fn give_up(&self, what: Awaited) {
        let _ = fs::write(self.store.path(&self.file(what.file())), "");
    }

    /// Whether somebody has waited for this in vain.
    pub fn is_given_up(&self, what: Awaited) -> bool {
        self.store.path(&self.file(what.file())).exists()
    }

    /// Time that wrappers of this build have waited for nothing.
    pub fn waited_in_vain(&self) -> Duration {
        let text = fs::read_to_string(self.store.path(&self.file("vain"))).unwrap_or_default();
        Duration::from_millis(text.lines().filter_map(|line| line.parse::<u64>().ok()).sum())
    }

    /// Adds to it. Losing it costs the build time at most.
    pub fn add_waited_in_vain(&self, time: Duration) {
        let mut options = fs::OpenOptions::new();
        if let Ok(mut file) = options
            .create(true)
            .append(true)
            .open(self.store.path(&self.file("vain")))
        {
            let _ = file.write_all(format!("{}\n", time.as_millis()).as_bytes());
        }
    }

    fn file(&self, name: &str) -> String {
        format!("{FOLDER}/{}/{name}", self.build)
    }

    fn folder(&self) -> PathBuf {
        self.store.path(&format!("{FOLDER}/{}", self.build))
    }
}

impl State {
    /// Of a prefetch that fetches nothing.
    pub fn done() -> Self {
        Self {
            version: 1,
            fetcher: String::new(),
            stage: Stage::Done,
            answer: (0, 0),
            alarm: None,
            notice: None,
        }
    }

    /// Whether the process that fetches still runs.
    pub fn is_running(&self) -> bool {
        self.stage != Stage::Done && is_running(&self.fetcher)
    }
}

impl Flight {
    /// The unit's flight, if a process that still runs fetches it.
    pub fn of(store: &Store, key: UnitKey) -> Option<Self> {
        let flight: Self = store.read(&path(key))?;
        (flight.version == 1 && is_running(&flight.fetcher)).then_some(flight)
    }

    /// Takes on to fetch a unit; false when another process does already.
    pub fn board(&self, store: &Store, key: UnitKey) -> io::Result<bool> {
        if Self::of(store, key).is_some() {
            return Ok(false);
        }
        // What lies there is of a process that is gone. Two that come here at once both fetch, which is no harm.
        self.update(store, key)?;
        Ok(true)
    }

    /// Says how far it is.
    pub fn update(&self, store: &Store, key: UnitKey) -> io::Result<()> {
        store.write(
            &path(key),
            &serde_json::to_vec(self).expect("flights have string keys only"),
        )
    }

    /// The unit is there, or will not come.
    pub fn land(store: &Store, key: UnitKey) {
        let _ = fs::remove_file(store.path(&path(key)));
    }
}

/// Removes what is left of prefetches whose build has ended.
pub fn sweep(store: &Store) {
    let entries = fs::read_dir(store.path(FOLDER)).into_iter().flatten().flatten();
    for entry in entries {
        let build: Option<BuildId> = entry.file_name().to_str().and_then(|name| name.parse().ok());
        if build.is_none_or(|build| !build.is_running()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Nobody waits for a process that was stopped.
fn is_running(process: &str) -> bool {
    process.parse().is_ok_and(BuildId::is_active)
}

fn path(key: UnitKey) -> String {
    let key = key.to_string();
    format!("flight/{}/{key}", &key[..2])
}

const FOLDER: &str = "prefetch";

#[cfg(test)]
mod tests {
    use sealift_policy::digest::Digest;

    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        (folder, store)
    }

    fn this() -> BuildId {
        BuildId::of_process(std::process::id()).unwrap()
    }

    fn flight(fetcher: &str) -> Flight {
        Flight {
            version: 1,
            fetcher: fetcher.into(),
            worth_ms: 1000,
            received: 0,
            expected: 0,
            arrived: false,
        }
    }

    #[test]
    fn a_prefetch_is_begun_once_for_each_build() {
        let (_folder, store) = store();
        let prefetch = Prefetch::of(&store, this());
        assert!(!prefetch.is_claimed());
        assert!(prefetch.claim().unwrap());
        assert!(!prefetch.claim().unwrap() && prefetch.is_claimed());
        assert!(prefetch.may_tell() && !prefetch.may_tell());
    }

    #[test]
    fn waiting_in_vain_adds_up_over_the_processes_of_a_build() {
        let (_folder, store) = store();
        let prefetch = Prefetch::of(&store, this());
        prefetch.claim().unwrap();
        assert_eq!(prefetch.waited_in_vain(), Duration::ZERO);
        prefetch.add_waited_in_vain(Duration::from_millis(700));
        prefetch.add_waited_in_vain(Duration::from_millis(800));
        assert_eq!(prefetch.waited_in_vain(), Duration::from_millis(1500));
    }

    #[test]
    fn a_unit_is_fetched_by_one_process_until_that_is_gone() {
        let (_folder, store) = store();
        let key = UnitKey::new(Digest::of(b"unit"));
        assert!(flight("1-1").board(&store, key).unwrap());
        // Nobody with that start time runs, so the flight is nobody's.
        assert_eq!(Flight::of(&store, key), None);
        assert!(flight(&this().to_string()).board(&store, key).unwrap());
        assert!(!flight("1-1").board(&store, key).unwrap());
        Flight::land(&store, key);
        assert_eq!(Flight::of(&store, key), None);
    }

    // W5: a build was stopped with Ctrl-Z, and another one goes on.
    #[test]
    fn a_process_that_was_stopped_fetches_nothing() {
        use std::process::{Command, Stdio};

        use rustix::process::{Pid, Signal, kill_process};

        let (_folder, store) = store();
        let key = UnitKey::new(Digest::of(b"unit"));
        let mut child = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap();
        let fetcher = BuildId::of_process(child.id()).unwrap();
        assert!(flight(&fetcher.to_string()).board(&store, key).unwrap());
        assert!(Flight::of(&store, key).is_some());
        kill_process(Pid::from_child(&child), Signal::STOP).unwrap();
        while fetcher.is_active() {
            std::thread::yield_now();
        }
        assert!(fetcher.is_running());
        assert_eq!(Flight::of(&store, key), None);
        assert!(flight(&this().to_string()).board(&store, key).unwrap());
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn what_a_build_that_is_gone_has_left_is_swept_away() {
        let (_folder, store) = store();
        let (gone, here) = (
            Prefetch::of(&store, "1-1".parse().unwrap()),
            Prefetch::of(&store, this()),
        );
        assert!(gone.claim().unwrap() && here.claim().unwrap());
        sweep(&store);
        assert!(!gone.is_claimed() && here.is_claimed());
    }
}
