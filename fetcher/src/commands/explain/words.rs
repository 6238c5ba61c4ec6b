//! What people are told about a cause, and what they can do about it.
//!
//! Owns the sentences and hints. Must not know how a cause is found.

use std::fmt::Write as _;

use sealift_policy::cause::Cause;
use sealift_policy::local::UnitEvent;
use serde_json::Value;

use super::difference::Difference;
use super::judge::Step;

/// Longest value that is shown, in characters.
const MAX_SHOWN: usize = 80;

/// What the wrapper met, where a user knows it by another name than the wrapper does.
pub(super) fn met(cause: Cause, about: Option<&str>) -> Option<String> {
    let about = about?;
    Some(match cause {
        Cause::OwnPackage => {
            format!(
                "`{about}` is your own package, a path dependency or a patch: never handled, and nothing about it is sent"
            )
        }
        Cause::GitPackage => format!("`{about}` comes from a git repository: only packages of crates.io are handled"),
        Cause::Vendored => {
            format!(
                "`{about}` is a vendored copy that nothing here can be compared with: its archive is not in cargo's home"
            )
        }
        Cause::EditedSources => format!("the sources in `{about}` differ from the published package"),
        Cause::NativeProcessor => format!("`{about}` asks for code for this very machine's processor"),
        _ => return None,
    })
}

/// Where a unit differs from the closest known one.
pub(super) fn differences(differs: &[Difference]) -> String {
    let Some(first) = differs.first() else {
        return "it differs".into();
    };
    let same_cause = differs.iter().filter(|found| found.cause == first.cause);
    let shown: Vec<_> = same_cause.take(4).map(difference).collect();
    shown.join("; ")
}

fn difference(found: &Difference) -> String {
    let (here, known) = (brief(&found.here), brief(&found.known));
    let member = found.field.split_once('.').map_or("", |(_, member)| member);
    match found.cause {
        Cause::Toolchain => match (release(&found.here), release(&found.known)) {
            (Some(here), Some(known)) => format!("the compiler is {here} here, the closest known unit is of {known}"),
            _ => "the compiler's own libraries differ from those of the closest known unit".into(),
        },
        Cause::Rules => format!("this version of Sealift compiles by other rules ({here}, known is {known})"),
        Cause::Target => format!("`--target` is {here} here, {known} for the closest known unit"),
        Cause::Mode if text(&found.here).ends_with("link") => {
            "it is compiled to code here, the closest known unit is only checked".into()
        }
        Cause::Mode => "it is only checked here, the closest known unit is compiled to code".into(),
        Cause::Features => added_and_removed("feature", found),
        Cause::Cfg => added_and_removed("`--cfg`", found) + " (its build script or `RUSTFLAGS` says so)",
        Cause::Rustflags if member.is_empty() => added_and_removed("`--cfg`", found) + " (`RUSTFLAGS`)",
        Cause::Rustflags => format!("`-C {member}` is {here} here, {known} for the closest known unit (`RUSTFLAGS`)"),
        Cause::Profile => {
            format!("`{member}` is {here} here, {known} for the closest known unit (profile or `RUSTFLAGS`)")
        }
        Cause::Lints => format!("lint levels differ: {here} here, {known} for the closest known unit"),
        Cause::Environment => format!("`{member}` is {here} here, {known} for the closest known unit"),
        Cause::BuildScript if found.field == "out_dir" => {
            "its build script wrote other files than for the closest known unit".into()
        }
        Cause::BuildScript => format!(
            "its build script handed over another `{}`: {here} here, {known} for the closest known unit",
            found.field
        ),
        _ => format!("`{}` is {here} here, {known} for the closest known unit", found.field),
    }
}

/// What a difference is about, in a word.
pub(super) fn about(found: &Difference) -> String {
    match (found.cause, found.field.split_once('.')) {
        (Cause::Rustflags | Cause::Profile | Cause::Environment, Some((_, member))) => member.to_owned(),
        _ => found.field.clone(),
    }
}

fn added_and_removed(what: &str, found: &Difference) -> String {
    let list = |value: &Value| {
        let names = value.as_array().into_iter().flatten();
        names
            .map(|name| format!("`{}`", text(name)))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let (here, known) = (list(&found.here), list(&found.known));
    match (here.is_empty(), known.is_empty()) {
        (false, true) => format!("{what} {here} is set here, not for the closest known unit"),
        (true, false) => format!("{what} {known} is not set here, but for the closest known unit"),
        _ => format!("{what} {here} is set here, {known} for the closest known unit"),
    }
}

/// A unit is another one because of a dependency; the first cause comes first.
pub(super) fn because(name: &str, steps: &[Step]) -> String {
    let (Some(first), Some(last)) = (steps.first(), steps.last()) else {
        return format!("dependency `{name}` differs");
    };
    let done = if first.compiled {
        "was compiled locally because"
    } else {
        "is another one than the known unit was compiled against:"
    };
    let by_way = if steps.len() > 1 {
        format!(" (by way of `{}`)", last.crate_name)
    } else {
        String::new()
    };
    let subject = if steps.len() > 1 { &first.crate_name } else { name };
    format!("dependency `{subject}`{by_way} {done} {}", first.reason)
}

/// Nobody has published a unit for what cargo planned, and nothing like it is known here.
pub(super) fn not_published(unit: &UnitEvent, document: Option<&Value>, other_versions: &[String]) -> String {
    let package = crate::report::verdict::package(unit).unwrap_or_else(|| unit.crate_name.clone());
    let mut said = format!("no operator has published `{package}`");
    if let Some(compiler) = document.and_then(|document| release(document.pointer("/compiler/verbose_version")?)) {
        write!(said, " for {compiler}").expect("a string takes everything");
    }
    said.push_str(" as this project builds it");
    if let Some(settings) = document.map(settings).filter(|settings| !settings.is_empty()) {
        write!(said, " ({settings})").expect("a string takes everything");
    }
    if !other_versions.is_empty() {
        write!(said, "; known here: version {}", other_versions.join(", ")).expect("a string takes everything");
    }
    said
}

/// The settings of a unit that set it apart most.
fn settings(document: &Value) -> String {
    let strings = |name: &str| document.get(name).and_then(Value::as_array).into_iter().flatten();
    let features: Vec<_> = strings("cfg")
        .filter_map(|cfg| cfg.as_str()?.strip_prefix("feature=\"")?.strip_suffix('"'))
        .collect();
    let mut parts = vec![];
    if !features.is_empty() {
        parts.push(format!("features {}", shorten(&features.join(","))));
    }
    parts.extend(
        document
            .get("target")
            .and_then(Value::as_str)
            .map(|target| format!("target {target}")),
    );
    parts.extend(strings("codegen").filter_map(Value::as_str).map(str::to_owned));
    parts.join(", ")
}

/// `name@version` of a key document.
pub(super) fn package(document: &Value) -> Option<String> {
    let package = document.get("package")?;
    Some(format!(
        "{}@{}",
        package.get("name")?.as_str()?,
        package.get("version")?.as_str()?
    ))
}

/// `rustc 1.95.0 (59807616e)` of what `rustc -vV` says.
fn release(verbose_version: &Value) -> Option<String> {
    let line = |label: &str| {
        verbose_version
            .as_str()?
            .lines()
            .find_map(|line| line.strip_prefix(label))
    };
    let commit: String = line("commit-hash: ")?.chars().take(9).collect();
    Some(format!("rustc {} ({commit})", line("release: ")?))
}

/// What a user can do; `None` where nothing would help.
pub(super) fn hint(cause: Cause, about: Option<&str>) -> Option<String> {
    let about = about.unwrap_or("it");
    Some(match cause {
        Cause::NotPublished | Cause::Features | Cause::Target | Cause::Mode | Cause::Dependency => {
            "`cargo sealift request` asks for this project's crates.io units to be built".into()
        }
        Cause::Toolchain => {
            "operators publish for the current stable release first: `rustup update`, or `cargo sealift request`".into()
        }
        Cause::Profile => format!(
            "without `{about}` in `[profile]` or `RUSTFLAGS` more is published; `cargo sealift request` asks for it as it is"
        ),
        Cause::Rustflags => format!(
            "`{about}` in `RUSTFLAGS` or in `rustflags` of `.cargo/config.toml` counts for every dependency: leave it out where it is not needed"
        ),
        Cause::NativeProcessor => {
            "name a processor instead of `native`; such code runs on this machine only and is never shared".into()
        }
        Cause::Environment => format!("give `{about}` the value that it had, or unset it"),
        Cause::Lints => "leave `--cap-lints` to cargo".into(),
        Cause::Cfg | Cause::BuildScript => {
            "a build script may ask the environment and installed tools: compare them, or `cargo sealift request`".into()
        }
        Cause::FirstTime | Cause::NoService => {
            "`cargo sealift setup --url URL --trust-root FILE` names a public store; the next build here reuses it anyway".into()
        }
        Cause::Offline => "unset `SEALIFT_OFFLINE` and `offline` in `config.toml`".into(),
        Cause::Unreachable | Cause::Stale => "`cargo sealift doctor` says what is wrong".into(),
        Cause::NoTrustPolicy => "`cargo sealift setup --trust-root FILE` pins a trust policy".into(),
        Cause::TrustExpired => {
            "`cargo sealift trust update` fetches it anew; if that brings nothing newer, check the clock".into()
        }
        Cause::Quorum => "wait for another operator, or lower the quorum in the trust policy if you know why".into(),
        Cause::Untrusted => "tell the operators; `cargo sealift doctor` names the evidence".into(),
        Cause::Revoked => "nothing to do: it is compiled here, and stays revoked".into(),
        Cause::Damaged => "nothing to do: it was compiled again; `cargo sealift verify` checks the rest of the store".into(),
        Cause::Late => "a longer `SEALIFT_PATIENCE` waits for slower networks".into(),
        Cause::LeftAlone => "nothing to do: compiling it here was faster".into(),
        Cause::OtherHostCode => "nothing to do: it was compiled again with the one that is here".into(),
        Cause::OtherSystem => "nothing to do: programs of that kind are compiled here".into(),
        Cause::OldGlibc => "a newer system, or nothing: it is compiled here once".into(),
        Cause::Presentation => "leave `--message-format` and `--color` as they are by default".into(),
        Cause::NotInstalled => "check that the target folder is writable and has room".into(),
        Cause::EditedSources => {
            "`cargo vendor` or `[patch]` are for changed sources; to restore it remove the folder and run `cargo fetch`".into()
        }
        Cause::UnreadableSources => "remove the folder and run `cargo fetch`".into(),
        Cause::Vendored => {
            "`cargo fetch` without the vendored configuration downloads the archive with which the copy is compared".into()
        }
        Cause::GitPackage => {
            "a release of it from crates.io could be shared; what comes from elsewhere is compiled here".into()
        }
        Cause::UnofficialToolchain | Cause::UnknownToolchain => "use a toolchain that rustup installs".into(),
        Cause::UnknownDependency => "`cargo clean` once, so that all of it is built through Sealift".into(),
        Cause::UnsupportedFlag | Cause::LinkArgument => format!("leave `{about}` out for dependencies"),
        Cause::CustomTarget => "use a target that rustc knows by name".into(),
        Cause::NativeLibrary => "let the library be found through the build script's `OUT_DIR`".into(),
        Cause::Rules => "use one version of Sealift".into(),
        Cause::Absent
        | Cause::NotShareable
        | Cause::OwnPackage
        | Cause::NotCargo
        | Cause::Program
        | Cause::NotUtf8
        | Cause::ImpureMacro
        | Cause::OutDir
        | Cause::UnsupportedCrateType
        | Cause::CanonicalCall
        | Cause::Irreproducible
        | Cause::OtherInput
        | Cause::Unknown => return None,
    })
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn brief(value: &Value) -> String {
    match value {
        Value::Null => "unset".into(),
        Value::Array(items) if items.is_empty() => "nothing".into(),
        Value::String(text) => format!("`{}`", shorten(text)),
        other => shorten(&other.to_string()),
    }
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{} ...", &text[..end]),
        None => text.to_owned(),
    }
}
