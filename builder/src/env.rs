//! Environment variables: those that the builder reads, and those that it sets for cargo, the wrapper and sandboxes.
//!
//! Owns their names and meaning. Nothing else in this crate reads the environment.

use std::ffi::OsString;
use std::path::PathBuf;

/// Where sandboxed calls may read besides the system's programs and libraries: folders, separated by `:`.
pub const SANDBOX_READ: &str = "SEALIFT_SANDBOX_READ";

/// The operator's data folder, which no sandbox may contain as a whole.
pub const SANDBOX_SECRET: &str = "SEALIFT_SANDBOX_SECRET";

/// The program that the wrapper starts for each sandboxed call: this one.
pub const SANDBOX: &str = "SEALIFT_SANDBOX";

/// The wrapper's local store.
pub const STORE: &str = "SEALIFT_STORE";

/// Where the call of one build script is written down instead of being made, for a review.
pub const RECORD_CALL: &str = "SEALIFT_RECORD_CALL";

/// Whose script: `NAME@VERSION`.
pub const RECORD_CALL_OF: &str = "SEALIFT_RECORD_CALL_OF";

/// The password of the key that signs provenance. It may be empty.
pub const PROVENANCE_PASSWORD: &str = "SEALIFT_PROVENANCE_PASSWORD";

/// A file with that password, without the end of its line.
pub const PROVENANCE_PASSWORD_FILE: &str = "SEALIFT_PROVENANCE_PASSWORD_FILE";

/// A file with the identity token of whoever signs provenance without a key.
pub const IDENTITY_TOKEN_FILE: &str = "SEALIFT_IDENTITY_TOKEN_FILE";

/// The token itself, as Sigstore's other programs take it.
pub const IDENTITY_TOKEN: &str = "SIGSTORE_ID_TOKEN";

/// What a sandboxed call must not see: ours, and what CI hands identity tokens out for.
pub const OURS: [&str; 12] = [
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_URL",
    IDENTITY_TOKEN,
    IDENTITY_TOKEN_FILE,
    PROVENANCE_PASSWORD,
    PROVENANCE_PASSWORD_FILE,
    SANDBOX,
    SANDBOX_READ,
    SANDBOX_SECRET,
    STORE,
    RECORD_CALL,
    RECORD_CALL_OF,
];

/// `off` makes the wrapper do nothing.
pub const SEALIFT: &str = "SEALIFT";

/// Which cargo to use instead of the one in `PATH`.
const CARGO: &str = "CARGO";

/// Where programs are looked for.
const PATH: &str = "PATH";

/// Whether network settings of the caller reach cargo when it downloads sources.
const NETWORK: [&str; 10] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "CARGO_HTTP_CAINFO",
    "CARGO_HTTP_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// The value of a variable, if it is set and not empty.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn read(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The password of the key that signs provenance, if one is given.
///
/// # Errors
/// When the file that should hold it cannot be read.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn provenance_password() -> std::io::Result<Option<Vec<u8>>> {
    if let Some(password) = std::env::var_os(PROVENANCE_PASSWORD) {
        return Ok(Some(password.into_encoded_bytes()));
    }
    let Some(file) = read(PROVENANCE_PASSWORD_FILE) else {
        return Ok(None);
    };
    let mut password = fs_err::read(file)?;
    while password.last().is_some_and(|end| matches!(end, b'\n' | b'\r')) {
        password.pop();
    }
    Ok(Some(password))
}

/// The identity token of whoever signs provenance, if one is given.
///
/// # Errors
/// When the file that should hold it cannot be read.
pub fn identity_token() -> std::io::Result<Option<String>> {
    match read(IDENTITY_TOKEN_FILE) {
        Some(file) => fs_err::read_to_string(file).map(Some),
        None => Ok(read(IDENTITY_TOKEN).and_then(|token| token.into_string().ok())),
    }
}

/// The value of `PATH`.
pub fn path() -> OsString {
    read(PATH).unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into())
}

/// The program named `cargo` that the caller wants.
pub fn cargo() -> OsString {
    read(CARGO).unwrap_or_else(|| "cargo".into())
}

/// The caller's home folder.
pub fn home() -> Option<PathBuf> {
    read("HOME").map(PathBuf::from)
}

/// A program in `PATH`.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = path();
    let mut found = std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .filter(|program| program.is_file());
    found.next()
}

/// The file of [`RECORD_CALL`], where cargo runs the script that it is about.
pub fn record_call() -> Option<PathBuf> {
    let text = |name: &str| read(name).and_then(|value| value.into_string().ok());
    let package = format!("{}@{}", text("CARGO_PKG_NAME")?, text("CARGO_PKG_VERSION")?);
    let file = read(RECORD_CALL).map(PathBuf::from)?;
    (text(RECORD_CALL_OF)? == package).then_some(file)
}

/// The whole environment, without what is meant for this program and the wrapper.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn all_but_ours() -> Vec<(OsString, OsString)> {
    std::env::vars_os()
        .filter(|(name, _)| !OURS.iter().any(|ours| name == ours))
        .collect()
}

/// The folders of [`SANDBOX_READ`].
pub fn sandbox_read() -> Vec<PathBuf> {
    let folders = read(SANDBOX_READ).unwrap_or_default();
    std::env::split_paths(&folders)
        .filter(|folder| folder.is_absolute())
        .collect()
}

/// The folder of [`SANDBOX_SECRET`].
pub fn sandbox_secret() -> Option<PathBuf> {
    read(SANDBOX_SECRET).map(PathBuf::from)
}

/// What cargo needs of the caller's environment to download sources: proxies, certificates, and the settings of
/// source replacement (`CARGO_SOURCE_*`, `CARGO_REGISTRIES_*` without tokens).
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn for_downloads() -> Vec<(OsString, OsString)> {
    std::env::vars_os()
        .filter(|(name, _)| name.to_str().is_some_and(is_for_downloads))
        .collect()
}

fn is_for_downloads(name: &str) -> bool {
    let replacement = ["CARGO_SOURCE_", "CARGO_REGISTRIES_", "CARGO_HTTP_", "CARGO_NET_"];
    NETWORK.contains(&name) || (replacement.iter().any(|prefix| name.starts_with(prefix)) && !name.ends_with("_TOKEN"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_never_reach_cargo() {
        assert!(!is_for_downloads("CARGO_REGISTRY_TOKEN"));
        assert!(!is_for_downloads("CARGO_REGISTRIES_CRATES_IO_TOKEN"));
        assert!(is_for_downloads("CARGO_REGISTRIES_CRATES_IO_PROTOCOL"));
        assert!(!is_for_downloads("RUSTFLAGS"));
        assert!(!is_for_downloads("CARGO_HOME"));
    }
}
