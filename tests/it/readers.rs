//! A reader that is not ours reads the logs of real operators: see `tests/readers/README.md`.

use sealift_tests::child;
use sealift_tests::env::clean_command;
use serde_json::Value;

use crate::fixture::{PROGRAMS, shared_world};

#[test]
fn a_reader_that_is_not_ours_recomputes_the_trees_of_real_operators() {
    let reader = PROGRAMS.target().join("tools/bin/c2sp-log-reader");
    assert!(
        reader.is_file(),
        "`{}` is missing\nhint: `./x test` builds it",
        reader.display()
    );
    let world = shared_world();
    for operator in world.operators() {
        let mut command = clean_command(&reader);
        command.args([&world.access().url, &operator.name, "1", &operator.vkey]);
        let said = child::run(&mut command).expect("started");
        assert!(said.status.success(), "{}", said.stderr);
        let read: Value = serde_json::from_str(&said.stdout).expect("JSON");
        assert!(read["entries"].as_u64().is_some_and(|entries| entries > 50), "{read}");
        assert_eq!(read["proofs"], read["entries"]);
    }
}
