//! `cargo sealift prefetch-beside`: the prefetch that the wrapper starts when cargo begins a build, and that ends with
//! that cargo. Not for people.
//!
//! Owns its life: it holds nothing of cargo's, waits until cargo has downloaded its sources, says how far it is where
//! the wrapper looks, and writes what it did into the build's events. Must not know how a prefetch works.

mod inherited;

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use sealift_policy::cause::Cause;
use sealift_policy::local::{BuildEvent, PrefetchEvent};

use super::context::Context;
use super::fetch::{self, Obstacle, Setting};
use super::{BesideArgs, Exit, gc};
use crate::cargo::Process;
use crate::events::{self, BuildId};
use crate::flight::{self, Prefetch, Stage, State};
use crate::prefetch::{Fetched, Step, Watch};
use crate::store::Store;

/// Prefetches for the cargo that the wrapper names.
pub(super) fn run(context: &Context, args: &BesideArgs) -> anyhow::Result<Exit> {
    inherited::close();
    let root = context.store()?;
    let store = Store::open(root)?;
    let beside = Beside::new(Prefetch::of(&store, args.build))?;
    flight::sweep(&store);
    let begin = Instant::now();
    let mut fetched = Fetched::default();
    let asked = fetch_for(context, args, &beside, &mut fetched);
    if let Err(obstacle) = asked {
        obstacle.note(&mut fetched.event);
    }
    fetched.event.wall_ms = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
    if fetched.event != PrefetchEvent::default() {
        events::append(root, args.build, &BuildEvent::Prefetch(fetched.event))?;
    }
    beside.say(|state| state.stage = Stage::Done);
    gc::automatic(&context.config);
    Ok(Exit::Success)
}

fn fetch_for(context: &Context, args: &BesideArgs, beside: &Beside, fetched: &mut Fetched) -> Result<(), Obstacle> {
    let unknown = |error: std::io::Error| Obstacle::new(Cause::Unknown, &error);
    let cargo = Process::of(args.cargo).map_err(unknown)?;
    let Some(command) = cargo.command().map_err(unknown)? else {
        return Ok(());
    };
    let there = cargo
        .surroundings(args.rustc.clone().map(PathBuf::into_os_string))
        .map_err(unknown)?;
    let Some(setting) = Setting::of(context, &there, command)? else {
        return Ok(());
    };
    if !cargo.wait_until_resolved().map_err(unknown)? {
        return Ok(());
    }
    // When waiting is impossible, the prefetch ends at once rather than never.
    let ended = async move { drop(tokio::task::spawn_blocking(move || cargo.wait()).await) };
    setting.fetch_until(&there, beside, fetched, ended)
}

/// The state that the wrapper sees.
struct Beside {
    prefetch: Prefetch,
    state: Mutex<State>,
}

impl Beside {
    fn new(prefetch: Prefetch) -> anyhow::Result<Self> {
        let this = BuildId::of_process(std::process::id());
        let state = State {
            version: 1,
            fetcher: this.map(|this| this.to_string()).unwrap_or_default(),
            stage: Stage::Planning,
            answer: (0, 0),
            alarm: None,
            notice: None,
        };
        prefetch.set_state(&state)?;
        Ok(Self {
            prefetch,
            state: Mutex::new(state),
        })
    }

    /// What cannot be said costs the wrapper its patience.
    fn say(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        change(&mut state);
        let _ = self.prefetch.set_state(&state);
    }
}

impl Watch for Beside {
    fn step(&self, step: Step<'_>) {
        match step {
            Step::Planning | Step::Downloaded => {}
            Step::Following | Step::LookingUp(_) => self.say(|state| state.stage = Stage::Asking),
            Step::Answering { received, expected } => self.say(|state| state.answer = (received, expected)),
            Step::Choosing => self.say(|state| state.stage = Stage::Choosing),
            Step::Downloading(_) => self.say(|state| state.stage = Stage::Fetching),
            Step::Notice(notice) => self.say(|state| state.notice = Some(notice.to_owned())),
            Step::Alarm(alarm) => self.say(|state| {
                // The first one says enough; the others are in the build's events.
                state
                    .alarm
                    .get_or_insert_with(|| fetch::alarm_line(std::slice::from_ref(alarm)).unwrap_or_default());
            }),
        }
    }
}

/// Waits until the prefetch of a build whose cargo has ended has, too: what it did belongs to the build's report.
pub(super) fn wait_for(store: &Store, build: BuildId) -> Option<Prefetch> {
    let prefetch = Prefetch::of(store, build);
    let begin = Instant::now();
    while prefetch.state()?.is_running() && begin.elapsed() < ENDING {
        std::thread::sleep(Duration::from_millis(2));
    }
    Some(prefetch)
}

/// How long a prefetch whose cargo has ended may take to end.
const ENDING: Duration = Duration::from_millis(500);
