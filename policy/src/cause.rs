//! Why a compilation was no hit, as a word that scripts can rely on.
//!
//! The wrapper and the prefetch write down what they met; `cargo sealift explain` looks further into what was simply
//! not there, and says one of the later words.
//! Owns the words. Must not know what people are told about them.

use serde::{Deserialize, Serialize};

/// Why a unit was compiled, or not handled. Written in kebab case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    // What the wrapper meets in the local store.
    /// Not in the local store: the wrapper knows no more.
    Absent,
    /// A stored file or record is missing or was changed.
    Damaged,
    /// On its way, but not in time.
    Late,
    /// Published, and left alone: it compiles faster than it downloads.
    LeftAlone,
    /// A proc macro or build script that took part in making it is another program here.
    OtherHostCode,
    /// A variable that the unit reads has another value.
    Environment,
    /// A program that needs a newer glibc than there is.
    OldGlibc,
    /// A program that is made for another kind of system.
    OtherSystem,
    /// Its diagnostics are kept in another form than the one asked for.
    Presentation,
    /// There is no trust policy to believe it by.
    NoTrustPolicy,
    /// The trust policy came by TUF and has expired, or the clock has gone back behind it.
    TrustExpired,
    /// The trust policy revokes it.
    Revoked,
    /// Too few operators vouch for it.
    Quorum,
    /// The logs' heads are too old, or from the future.
    Stale,
    /// Refused for another reason, which looks like an attack.
    Untrusted,
    /// It could not be put in place.
    NotInstalled,
    /// What a compilation of it gives is not kept: it names folders of this machine, or reads files outside its package.
    NotShareable,

    // What is not handled.
    /// A package of the workspace, a path dependency or a patch.
    OwnPackage,
    /// A package from a git repository.
    GitPackage,
    /// A vendored copy, and no archive with which it could be compared.
    Vendored,
    /// Sources that differ from the published package.
    EditedSources,
    /// Sources that cannot be compared with the published package.
    UnreadableSources,
    /// A compiler that is not an official release.
    UnofficialToolchain,
    /// A compiler that cannot be asked who it is, or another program in its place.
    UnknownToolchain,
    /// Not a compilation of a package by cargo.
    NotCargo,
    /// A program of a registry package, such as `cargo install` compiles.
    Program,
    /// A path or value that is not UTF-8.
    NotUtf8,
    /// A dependency that was compiled without Sealift.
    UnknownDependency,
    /// A proc macro that reads what rustc does not track.
    ImpureMacro,
    /// A build script's output folder that cannot be read or holds links.
    OutDir,
    /// A flag that is not handled.
    UnsupportedFlag,
    /// Code for this very machine's processor.
    NativeProcessor,
    /// A crate type that is not handled.
    UnsupportedCrateType,
    /// A target specification of one's own.
    CustomTarget,
    /// A linker argument that may change what a host program does.
    LinkArgument,
    /// Native libraries from a folder that is no input.
    NativeLibrary,
    /// The canonical call failed; cargo's own call decides.
    CanonicalCall,

    // What a prefetch meets.
    /// No public store is configured.
    NoService,
    /// The network is not to be used.
    Offline,
    /// The public store does not answer as it should.
    Unreachable,

    // What looking further finds out.
    /// No operator has published it for what cargo planned.
    NotPublished,
    /// No public store was asked, and it is the first time here.
    FirstTime,
    /// Another compiler.
    Toolchain,
    /// Another target platform.
    Target,
    /// `check` and `build` are different units.
    Mode,
    /// Other features.
    Features,
    /// Other settings of the profile.
    Profile,
    /// Flags that no profile sets.
    Rustflags,
    /// `--cfg` of the build script or of `RUSTFLAGS`.
    Cfg,
    /// Other lint levels, where lints can speak.
    Lints,
    /// The build script handed over something else.
    BuildScript,
    /// A dependency has another content.
    Dependency,
    /// A dependency was compiled here from equal inputs and has other bytes.
    Irreproducible,
    /// Sealift's own rules are of another version.
    Rules,
    /// Another input of the call.
    OtherInput,

    /// A word of a newer version of this program.
    #[serde(other)]
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_kebab_case_and_those_of_a_newer_program_are_read() {
        assert_eq!(
            serde_json::to_string(&Cause::NoTrustPolicy).unwrap(),
            "\"no-trust-policy\""
        );
        assert_eq!(
            serde_json::from_str::<Cause>("\"edited-sources\"").unwrap(),
            Cause::EditedSources
        );
        assert_eq!(serde_json::from_str::<Cause>("\"made-up\"").unwrap(), Cause::Unknown);
    }
}
