//! Writes the seeds that real code makes: `cargo run --example seeds` after a format changed. Files of a corpus that are
//! not named `seed-*` were written by hand or found by fuzzing, and stay as they are.
//!
//! Must not know what must hold of them.

mod documents;
mod log;
mod stored;

use std::path::Path;

use fs_err as fs;

fn main() -> std::io::Result<()> {
    log::log()?;
    documents::documents()?;
    documents::lookup()?;
    documents::trust()?;
    documents::provenance()?;
    stored::frames()?;
    stored::archives()
}

fn seed(target: &str, name: &str, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(format!("seed-{name}")), bytes)
}
