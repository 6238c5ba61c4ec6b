//! The worlds and people of the tests.
//!
//! Owns what is shared: a world in which two operators have published ripgrep and the greeter, made when the first test asks.

use std::path::{Path, PathBuf};
use std::sync::{LazyLock, OnceLock};

use sealift_tests::child;
use sealift_tests::env::temporary_folder;
use sealift_tests::programs::Programs;
use sealift_tests::sources::{Downloads, copy_tree, own_project};
use sealift_tests::user::{Build, Built, Through, User};
use sealift_tests::workload::{Profile, Workload};
use sealift_tests::world::{Access, Source, World};
use tempfile::TempDir;

/// The programs under test.
pub(crate) static PROGRAMS: LazyLock<Programs> = LazyLock::new(|| Programs::beside_this_one().expect("built programs"));

/// What was fetched for the tests.
static DOWNLOADS: LazyLock<Downloads> = LazyLock::new(|| Downloads::of(&PROGRAMS).expect("a download folder"));

/// Everything that a test project may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Project {
    /// A few lines of ours, four dependencies.
    Greeter,
    /// No line of ours, dependencies that can each be made to miss.
    ManyCauses,
    /// A few lines of ours, a dependency that compiles C and assembly.
    Native,
    /// A few lines of ours, an OpenSSL that its build script compiles.
    #[cfg(feature = "soak")]
    Openssl,
    /// axum by itself, and among strangers.
    Strangers,
    /// A real program.
    Real(&'static str),
}

impl Project {
    /// Lays its sources down.
    pub(crate) fn checkout(self, into: &Path) {
        // One at a time: cargo locks the download folder, and checking out twice at once would copy half a tree.
        static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
        let _guard = ONE_AT_A_TIME.lock().expect("nobody panics here twice");
        match self {
            Self::Real(name) => DOWNLOADS
                .checkout(Workload::named(name).expect("on the list"), into)
                .expect("sources"),
            _ => {
                own_project(self.program(), into).expect("a project of ours");
                DOWNLOADS.fetch(into).expect("its dependencies");
            }
        }
    }

    /// Name of its executable, or of a project of ours without one.
    fn program(self) -> &'static str {
        match self {
            Self::Greeter => "greeter",
            Self::ManyCauses => "many_causes",
            Self::Native => "native",
            #[cfg(feature = "soak")]
            Self::Openssl => "openssl",
            Self::Strangers => "strangers",
            Self::Real(name) => Workload::named(name).expect("on the list").program,
        }
    }
}

/// A folder that goes away with the process, for statics.
fn lasting_folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = new_folder().keep();
        child::remove_at_the_end(&folder).expect("a shell");
        folder
    })
}

/// A folder that goes away when it is dropped.
pub(crate) fn new_folder() -> TempDir {
    tempfile::Builder::new()
        .prefix("it-")
        .tempdir_in(temporary_folder())
        .expect("a temporary folder")
}

/// The operator of the shared world that attests what it builds; the other one does not.
pub(crate) const ATTESTED: &str = "alpha";

/// The shared world: two operators, ripgrep and the greeter in dev and check.
pub(crate) fn shared_world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let mut world = World::start(&lasting_folder().join("world"), &PROGRAMS, 2).expect("a world");
        world.attest(ATTESTED).expect("a key for its provenance");
        for project in [Project::Greeter, Project::Real("ripgrep")] {
            publish(&world, project, &[Profile::Dev, Profile::Check]);
        }
        world
    })
}

/// Lets all operators of a world publish a project's crates.
pub(crate) fn publish(world: &World, project: Project, profiles: &[Profile]) {
    let folder = new_folder();
    let sources = folder.path().join("sources");
    project.checkout(&sources);
    world
        .publish(&Source::Project(sources), profiles, |_, _| {})
        .expect("published");
}

/// Somebody with a machine of their own and one project.
pub(crate) struct Person {
    folder: TempDir,
    pub(crate) user: User,
    pub(crate) project: PathBuf,
    pub(crate) target: PathBuf,
    kind: Project,
}

impl Person {
    /// Somebody new.
    pub(crate) fn with(kind: Project) -> Self {
        let folder = new_folder();
        let project = folder.path().join("a/project");
        kind.checkout(&project);
        let user = User::new(folder.path(), &PROGRAMS, &DOWNLOADS, &project).expect("a user");
        let target = folder.path().join("a/target");
        Self {
            folder,
            user,
            project,
            target,
            kind,
        }
    }

    /// The person's own folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The same project once more, elsewhere on the same machine.
    pub(crate) fn second_checkout(&mut self) {
        let other = self.folder.path().join("quite/another/place");
        copy_tree(&self.project, &other.join("project")).expect("a copy");
        self.project = other.join("project");
        self.target = other.join("target");
    }

    /// Forgets what was downloaded and compiled.
    pub(crate) fn empty_store(&mut self, name: &str) {
        self.user = self.user.with_store(self.folder.path().join(name));
    }

    /// Removes the target folder.
    pub(crate) fn clean(&self) {
        if self.target.exists() {
            fs_err::remove_dir_all(&self.target).expect("removed");
        }
    }

    /// A cargo command in the project.
    pub(crate) fn command<'a>(&self, through: Through, args: impl IntoIterator<Item = &'a str>) -> Build {
        Build::new(&self.project, &self.target, through, args)
    }

    /// A cargo command through Sealift that succeeds.
    pub(crate) fn sealift<'a>(&self, access: &Access, args: impl IntoIterator<Item = &'a str>) -> Built {
        self.run(&self.command(Through::Sealift, args).from_world(access))
    }

    /// A cargo command with the wrapper alone that succeeds.
    pub(crate) fn wrapped<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Built {
        self.run(&self.command(Through::Wrapper, args))
    }

    /// A command that succeeds.
    pub(crate) fn run(&self, build: &Build) -> Built {
        self.user.build(build).expect("a build that succeeds")
    }

    /// The dev program's bytes.
    pub(crate) fn program(&self) -> Vec<u8> {
        fs_err::read(self.target.join("debug").join(self.kind.program())).expect("a program")
    }

    /// The dev program, when all units are compiled here by the canonical call, at the same paths. Leaves that target folder.
    pub(crate) fn local_program(&mut self) -> Vec<u8> {
        let user = self.user.clone();
        self.empty_store("store-for-the-local-program");
        self.clean();
        let built = self.wrapped(["build"]);
        assert_eq!(built.units.fetched_hits(), 0, "nothing comes from elsewhere");
        self.user = user;
        self.program()
    }
}

/// At least 95 of 100 handled units were hits, and there were some.
#[track_caller]
pub(crate) fn assert_nearly_all_hit(built: &Built) {
    let (hits, handled) = (built.units.hits(), built.units.handled());
    assert!(
        handled > 0 && hits * 100 >= handled * 95,
        "{hits} of {handled} units hit; not: {:#?}\n{:#?}\n{}",
        built.units.misses(),
        built.units.prefetch,
        built.cargo.stderr
    );
}

/// cargo found nothing to do.
#[track_caller]
pub(crate) fn assert_nothing_done(built: &Built) {
    assert!(
        built.units.units.is_empty(),
        "rustc was called: {:?}",
        built.units.units
    );
    assert!(
        !built.cargo.stderr.contains("Compiling"),
        "cargo compiled:\n{}",
        built.cargo.stderr
    );
    assert!(
        built.cargo.stderr.contains("Fresh"),
        "not a verbose build:\n{}",
        built.cargo.stderr
    );
}

/// No warning and no error of ours on the terminal.
#[track_caller]
pub(crate) fn assert_silent(built: &Built) {
    assert_eq!(built.loud_lines(), Vec::<&str>::new(), "{}", built.cargo.stderr);
}

/// Sealift has warned that something is wrong.
#[track_caller]
pub(crate) fn assert_loud(built: &Built) {
    assert!(
        !built.loud_lines().is_empty(),
        "not a word was said:\n{}",
        built.cargo.stderr
    );
}
