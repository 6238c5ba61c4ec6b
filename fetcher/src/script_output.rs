//! What a build script set for its package's compilations (`cargo::rustc-env`).
//!
//! rustc cannot be asked which variables of its environment came from a script, and a macro may read one untracked. So
//! their names are read where cargo keeps the script's standard output; the values are those that rustc is given.
//! Owns the two places that cargo has for it, beside `OUT_DIR`, and the instruction's syntax (cargo's
//! `custom_build.rs`). Where neither is found nothing is known, and the package is not handled.
//! Must not know what the variables are for.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use fs_err as fs;

/// Relative to `OUT_DIR`: up to cargo 1.99, and in build-dir layout 2.
const PLACES: [&str; 2] = ["../output", "../run/stdout"];

/// The names of the variables that the script behind this `OUT_DIR` sets.
pub fn variables(out_dir: &Path) -> io::Result<BTreeSet<String>> {
    let mut places = PLACES.iter().map(|place| fs::read(out_dir.join(place)));
    match places.find(|output| !matches!(output, Err(error) if error.kind() == io::ErrorKind::NotFound)) {
        Some(output) => Ok(names(&output?)),
        None => Err(io::Error::new(
            io::ErrorKind::NotFound,
            "cargo's copy of the script's output is not beside it",
        )),
    }
}

/// As cargo reads it: line by line, those that are not UTF-8 left out, old and new form alike.
fn names(output: &[u8]) -> BTreeSet<String> {
    let lines = output
        .split(|byte| *byte == b'\n')
        .filter_map(|line| std::str::from_utf8(line).ok());
    lines
        .filter_map(|line| {
            let line = line.trim();
            let instruction = line.strip_prefix("cargo::").or_else(|| line.strip_prefix("cargo:"))?;
            let (name, _) = instruction.strip_prefix("rustc-env=")?.split_once('=')?;
            Some(name.to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // S19: what cargo would take is taken, and nothing else.
    #[test]
    fn instructions_are_read_as_cargo_reads_them() {
        let output = b"cargo:rustc-env=OLD=1\n  cargo::rustc-env=NEW=a=b\r\ncargo::rustc-env=EMPTY=\nrustc-env=NO=1\n\
            cargo:rustc-env=\xff=1\ncargo::unheard-of=rustc-env=NO=1\nsays cargo:rustc-env=NO=1\ncargo:rustc-env=NO\n\
            cargo::rustc-env=WITHOUT_END=1";
        let names: Vec<_> = names(output).into_iter().collect();
        assert_eq!(names, ["EMPTY", "NEW", "OLD", "WITHOUT_END"]);
    }

    // S18: both layouts work, and an unknown one is noticed.
    #[test]
    fn the_output_is_found_in_both_layouts_and_missed_in_others() {
        let folder = tempfile::tempdir().unwrap();
        let out_dir = folder.path().join("out");
        fs::create_dir(&out_dir).unwrap();
        assert!(variables(&out_dir).is_err());
        fs::create_dir(folder.path().join("run")).unwrap();
        fs::write(folder.path().join("run/stdout"), "cargo::rustc-env=NEW=1").unwrap();
        assert!(variables(&out_dir).unwrap().contains("NEW"));
        fs::write(folder.path().join("output"), "cargo:rustc-env=OLD=1").unwrap();
        assert!(variables(&out_dir).unwrap().contains("OLD"));
    }
}
