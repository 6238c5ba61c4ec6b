//! A reader that is not ours reads what the program serves: see `tests/readers/README.md`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::operator::{Operator, Unit, library};
use crate::sockets::{Process, data};

/// The reader, which `./x test` builds.
fn reader() -> PathBuf {
    let target = Path::new(env!("CARGO_BIN_EXE_sealift-service")).ancestors().nth(2);
    let reader = target.expect("a target folder").join("tools/bin/c2sp-log-reader");
    assert!(
        reader.is_file(),
        "`{}` is missing\nhint: `./x test` builds it",
        reader.display()
    );
    reader
}

fn read(process: &Process, operator: &Operator) -> Output {
    let mut command = Command::new(reader());
    command.args([&process.url(), "alpha", "1", &operator.verifier().to_string()]);
    command.output().unwrap()
}

#[test]
fn a_reader_that_is_not_ours_recomputes_the_tree_and_checks_every_proof() {
    let mut alpha = Operator::new("alpha");
    let data = data(&[&alpha]);
    let process = Process::start(data.path());
    // Two submissions, so that proof files speak of several heads; more than two full bundles in all.
    let units: Vec<Unit> = (0..560).map(|number| library(&format!("unit{number}"))).collect();
    for batch in units.chunks(400) {
        let answer = process.ask("POST /v1/submit", &alpha.submit(batch).body());
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    let said = read(&process, &alpha);
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let read_back: Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!((&read_back["size"], &read_back["proofs"]), (&560.into(), &560.into()));
    assert!(
        alpha.checkpoint().contains(read_back["root"].as_str().unwrap()),
        "{read_back}"
    );

    for (path, why) in [
        ("tile/entries/001", "signed is"),
        ("tile/0/001", "entry"),
        ("tile/1/000.p/2", "entry"),
        ("checkpoint", "invalid signature"),
    ] {
        let file = data.path().join("v1/log/alpha/1").join(path);
        let right = fs_err::read(&file).unwrap();
        let mut changed = right.clone();
        // A digit of the manifest's digest, a bit of a hash, a digit of the time.
        let at = if path == "checkpoint" {
            let text = String::from_utf8(right.clone()).unwrap();
            text.find("time ").unwrap() + 5
        } else {
            30
        };
        changed[at] ^= 1;
        fs_err::write(&file, changed).unwrap();
        let said = read(&process, &alpha);
        let words = String::from_utf8_lossy(&said.stderr);
        assert!(!said.status.success() && words.contains(why), "{path}: {words}");
        fs_err::write(&file, right).unwrap();
    }
    assert!(read(&process, &alpha).status.success());
}
