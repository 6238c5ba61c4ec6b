//! What rustc says about a unit is the same whether it was compiled here, by the canonical call, or was a hit.

use sealift_policy::local::Outcome;

use crate::machine::{Machine, announcements, diagnostics};

const USUAL: &str = "--json=diagnostic-rendered-ansi,artifacts,future-incompat";

const WARNS: &str = "\
    #![warn(missing_docs)]\n\
    pub fn a_name_that_is_rather_long_so_that_the_width_of_a_terminal_matters(unused: u8) { let x = 1; }\n";

#[test]
fn diagnostics_of_a_hit_are_those_of_a_local_rustc_byte_for_byte() {
    let machine = Machine::new();
    let package = machine.library("warns", WARNS);
    let expected = machine.run(&machine.build(&package, "plain").plain());
    assert!(diagnostics(&expected).len() > 2, "it has something to say");
    for (target, outcome) in [("a", Outcome::Compiled), ("quite/another", Outcome::HitCompiled)] {
        let output = machine.run(&machine.build(&package, target));
        assert_eq!(machine.last_event().outcome, outcome);
        assert_eq!(diagnostics(&output), diagnostics(&expected));
        assert_eq!(announcements(&output), 1);
    }
}

#[test]
fn diagnostics_are_shown_in_the_form_that_is_asked_for_or_the_unit_is_compiled() {
    let machine = Machine::new();
    let package = machine.library("warns", WARNS);
    machine.outcome(&machine.build(&package, "first"));
    let forms = [
        vec!["--json=diagnostic-short,artifacts,future-incompat"],
        vec!["--json=artifacts,future-incompat"],
        vec!["--json=diagnostic-rendered-ansi,diagnostic-unicode,artifacts,future-incompat"],
        vec![USUAL, "--diagnostic-width=60"],
        vec![USUAL, "--diagnostic-width=200"],
        vec![USUAL, "--color=never"],
    ];
    for (place, form) in forms.iter().enumerate() {
        let call = |target: &str| {
            let call = machine
                .build(&package, &format!("{target}{place}"))
                .instead(USUAL, form[0]);
            form[1..].iter().fold(call, |call, more| call.arg(more))
        };
        let expected = machine.run(&call("plain").plain());
        assert_eq!(
            diagnostics(&machine.run(&call("ours"))),
            diagnostics(&expected),
            "{form:?}"
        );
        assert_ne!(machine.last_event().outcome, Outcome::HitCompiled, "{form:?}");
    }
    // A unit that rustc says nothing about hits whatever the form.
    let silent = machine.library("silent", "pub fn a() {}\n");
    machine.outcome(&machine.build(&silent, "first"));
    let wide = machine.build(&silent, "second").arg("--diagnostic-width=60");
    assert_eq!(machine.outcome(&wide), Outcome::HitCompiled);
}

#[test]
fn a_future_incompatibility_is_reported_for_a_hit_as_well() {
    let machine = Machine::new();
    // The report comes although lints are capped.
    let source = "macro_rules! one { () => { 1; } }\npub fn f() -> i32 { one!() }\n";
    let package = machine.library("old", source);
    let call = |target| machine.build(&package, target).instead("warn", "allow");
    let expected = diagnostics(&machine.run(&call("plain").plain()));
    assert!(
        expected.iter().any(|line| line.contains("future_incompat")),
        "{expected:?}"
    );
    for (target, outcome) in [("a", Outcome::Compiled), ("b", Outcome::HitCompiled)] {
        let output = machine.run(&call(target));
        assert_eq!(machine.last_event().outcome, outcome);
        assert_eq!(diagnostics(&output), expected);
    }
}
