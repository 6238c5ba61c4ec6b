//! What the wrapper and the prefetch met, as a [`Cause`] and what it is about, for the build's events.
//!
//! Owns which error is which cause. Every match is complete, so that a new error cannot be without one.
//! Must not know what people are told.

use std::path::Path;

use sealift_policy::cause::Cause;
use sealift_policy::invocation::Unsupported;
use sealift_policy::key::NoKey;
use sealift_policy::run::stdout::NotShared;
use sealift_policy::trust::Rejection;

use crate::call::NotHandled;
use crate::decide::Miss;
use crate::record::NotKept;
use crate::run::NoRun;
use crate::sources::SourceProblem;
use crate::toolchain::ToolchainProblem;

/// A cause and what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caused {
    /// The word.
    pub cause: Cause,
    /// A flag, a variable, a dependency, a path.
    pub about: Option<String>,
}

impl From<Cause> for Caused {
    fn from(cause: Cause) -> Self {
        Self { cause, about: None }
    }
}

fn about(cause: Cause, what: impl ToString) -> Caused {
    Caused {
        cause,
        about: Some(what.to_string()),
    }
}

impl From<&Miss> for Caused {
    fn from(miss: &Miss) -> Self {
        match miss {
            Miss::NotStored => Cause::Absent.into(),
            Miss::Late(_) => Cause::Late.into(),
            Miss::DamagedRecord(_) | Miss::DamagedOutput(_) => Cause::Damaged.into(),
            Miss::OtherHostCode => Cause::OtherHostCode.into(),
            Miss::Env(name) => about(Cause::Environment, name),
            Miss::Baseline { .. } => Cause::OtherSystem.into(),
            Miss::Glibc { needed, .. } => about(Cause::OldGlibc, needed),
            Miss::Unfit(unfit) => about(Cause::OtherSystem, unfit),
            Miss::Presentation => Cause::Presentation.into(),
            Miss::NoTrustPolicy(_) => Cause::NoTrustPolicy.into(),
            Miss::NotFollowed(why) if why.is_expiry() => Cause::TrustExpired.into(),
            Miss::NotFollowed(_) => Cause::NoTrustPolicy.into(),
            Miss::Rejected(rejection) => rejection.into(),
        }
    }
}

impl From<&Rejection> for Caused {
    fn from(rejection: &Rejection) -> Self {
        match rejection {
            Rejection::Revoked(what) => about(Cause::Revoked, what),
            Rejection::NoQuorum { .. } | Rejection::NotWitnessed { .. } => Cause::Quorum.into(),
            Rejection::Stale { operator, .. } | Rejection::FromTheFuture { operator, .. } => {
                about(Cause::Stale, operator)
            }
            Rejection::Frozen { operator } => about(Cause::Stale, operator),
            Rejection::MalformedProof { operator, .. } | Rejection::NotLogged { operator, .. } => {
                about(Cause::Untrusted, operator)
            }
            Rejection::MalformedManifest(_)
            | Rejection::OtherUnit(_)
            | Rejection::OtherCrate(_)
            | Rejection::Disagreement(_) => Cause::Untrusted.into(),
        }
    }
}

/// A unit that nobody can keep for others: this is why it was not there, and why it will not be there the next time.
pub fn not_shareable(not_kept: &NotKept) -> Option<Caused> {
    match not_kept {
        NotKept::Outside(path) | NotKept::LocalFile(path) => Some(about(Cause::NotShareable, path.display())),
        NotKept::LocalPath { path, .. } => Some(about(Cause::NotShareable, path)),
        NotKept::ForeignLibraries | NotKept::SystemLibrary(_) => Some(Cause::NativeLibrary.into()),
        NotKept::Run(NotShared::Path(path) | NotShared::Always(path)) => Some(about(Cause::NotShareable, path)),
        NotKept::Undeclared(name) => Some(about(Cause::Environment, name)),
        NotKept::Baked(name) => Some(about(Cause::NotShareable, name)),
        NotKept::Run(NotShared::NotUtf8 | NotShared::Instruction(_)) => Some(Cause::NotShareable.into()),
        NotKept::Changed
        | NotKept::SystemChanged
        | NotKept::Fetched
        | NotKept::NotEmpty
        // Others do share it.
        | NotKept::OutDirElsewhere
        | NotKept::Presentation
        | NotKept::Store(_)
        | NotKept::Unreadable(_) => None,
    }
}

impl From<&NotHandled> for Caused {
    fn from(why: &NotHandled) -> Self {
        match why {
            NotHandled::Unsupported(unsupported) => unsupported.into(),
            NotHandled::NoKey(no_key) => no_key.into(),
            NotHandled::Source(SourceProblem::NotRegistry(path)) => about(origin(path), path.display()),
            NotHandled::Source(SourceProblem::NoArchive(path)) => about(Cause::Vendored, path.display()),
            NotHandled::Source(SourceProblem::Unreadable { path, .. }) => {
                about(Cause::UnreadableSources, path.display())
            }
            NotHandled::Source(SourceProblem::Changed(path)) => about(Cause::EditedSources, path.display()),
            NotHandled::Toolchain(ToolchainProblem::Unofficial(rustc)) => {
                about(Cause::UnofficialToolchain, rustc.display())
            }
            NotHandled::Toolchain(ToolchainProblem::Unknown { rustc, .. } | ToolchainProblem::InFront(rustc))
            | NotHandled::NotRustc(rustc) => about(Cause::UnknownToolchain, rustc.display()),
            NotHandled::NoPackage => Cause::NotCargo.into(),
            NotHandled::Program => Cause::Program.into(),
            NotHandled::NotUtf8(what) => about(Cause::NotUtf8, what),
            NotHandled::UnknownDependency(name) | NotHandled::Dependency { name, .. } => {
                about(Cause::UnknownDependency, name)
            }
            NotHandled::ImpureMacro(name) => about(Cause::ImpureMacro, name),
            NotHandled::ForeignLibrary(path) => about(Cause::NativeLibrary, path.display()),
            NotHandled::OutDir(_) | NotHandled::ScriptOutput(_) => Cause::OutDir.into(),
        }
    }
}

impl From<&NoRun> for Caused {
    fn from(why: &NoRun) -> Self {
        match why {
            NoRun::NoScript | NoRun::NotReviewed => Cause::NotShareable.into(),
            NoRun::Folder(name) | NoRun::System(name) => about(Cause::BuildScript, name),
            NoRun::Missing(_) => Cause::NotCargo.into(),
            NoRun::NotHandled(why) => why.into(),
            NoRun::Other(_) => Cause::OutDir.into(),
            NoRun::Unreadable(_) => Cause::BuildScript.into(),
        }
    }
}

impl From<&Unsupported> for Caused {
    fn from(unsupported: &Unsupported) -> Self {
        match unsupported {
            Unsupported::NotACompilation | Unsupported::NotCargo | Unsupported::Shape(_) | Unsupported::Value(_) => {
                Cause::NotCargo.into()
            }
            Unsupported::NotUtf8 => Cause::NotUtf8.into(),
            Unsupported::Flag(flag) => about(Cause::UnsupportedFlag, flag),
            Unsupported::Codegen(option) => about(Cause::UnsupportedFlag, format_args!("-C {option}")),
            Unsupported::Native(option) => about(Cause::NativeProcessor, format_args!("-C {option}")),
            Unsupported::CrateType(kind) => about(Cause::UnsupportedCrateType, kind),
            Unsupported::Emit(kind) => about(Cause::UnsupportedFlag, format_args!("--emit={kind}")),
            Unsupported::Extern(text) => about(Cause::UnsupportedFlag, format_args!("--extern {text}")),
            Unsupported::Target(target) => about(Cause::CustomTarget, target),
        }
    }
}

impl From<&NoKey> for Caused {
    fn from(no_key: &NoKey) -> Self {
        match no_key {
            NoKey::LinkArgument(argument) => about(Cause::LinkArgument, format_args!("-C {argument}")),
            NoKey::NativeSearch(folder) => about(Cause::NativeLibrary, folder),
            NoKey::CrateRoot(path) => about(Cause::UnreadableSources, path),
            NoKey::NotUtf8(path) => about(Cause::NotUtf8, path),
        }
    }
}

/// Where a package comes from that is not in the registry's folder: by cargo's names for what it unpacks.
fn origin(package: &Path) -> Cause {
    let checkouts = |part: &Path| part.ends_with("git/checkouts");
    if package.ancestors().any(checkouts) {
        Cause::GitPackage
    } else {
        Cause::OwnPackage
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_outside_the_registry_are_told_apart_by_what_cargo_unpacks() {
        let folder = tempfile::tempdir().unwrap();
        let of = |path: &Path| Caused::from(&NotHandled::Source(SourceProblem::NotRegistry(path.into()))).cause;
        assert_eq!(of(folder.path()), Cause::OwnPackage);
        assert_eq!(of(Path::new("/home/.cargo/git/checkouts/x-1/abc/x")), Cause::GitPackage);
    }

    #[test]
    fn a_cause_names_what_it_is_about() {
        let native = NotHandled::Unsupported(Unsupported::Native("target-cpu=native".into()));
        let caused = Caused::from(&native);
        assert_eq!(caused.cause, Cause::NativeProcessor);
        assert_eq!(caused.about.as_deref(), Some("-C target-cpu=native"));
        assert_eq!(Caused::from(&Miss::Env("FOO".into())).about.as_deref(), Some("FOO"));
    }
}
