//! What does not change a unit does not cost a hit.

use sealift_tests::user::Through;

use crate::fixture::{Person, Project, assert_nearly_all_hit, assert_nothing_done, shared_world};

const PROJECT: Project = Project::Real("ripgrep");

#[test]
fn rustflags_that_deny_warnings_hit_just_as_much() {
    let access = shared_world().access();
    let person = Person::with(PROJECT);
    let build = person
        .command(Through::Sealift, ["build", "-v"])
        .from_world(&access)
        .env("RUSTFLAGS", "-D warnings");
    assert_nearly_all_hit(&person.run(&build));
    assert_nothing_done(&person.run(&build));
}

#[test]
fn another_linker_hits_just_as_much() {
    let access = shared_world().access();
    let person = Person::with(PROJECT);
    let build = person.command(Through::Sealift, ["build", "-v"]).from_world(&access);
    let build = build.env("RUSTFLAGS", "-C link-arg=-fuse-ld=lld");
    assert_nearly_all_hit(&person.run(&build));
    assert_nothing_done(&person.run(&build));
}

#[test]
fn a_target_folder_elsewhere_hits_just_as_much() {
    let access = shared_world().access();
    let person = Person::with(PROJECT);
    let elsewhere = person.folder().join("some/where/else/entirely");
    let build = person.command(Through::Sealift, ["build", "-v"]).from_world(&access);
    let build = build.arg("--target-dir").arg(elsewhere.to_str().expect("UTF-8"));
    assert_nearly_all_hit(&person.run(&build));
    assert_nothing_done(&person.run(&build));
    assert!(elsewhere.join("debug/rg").is_file());
}

#[test]
fn a_renamed_custom_profile_hits_just_as_much() {
    let access = shared_world().access();
    let person = Person::with(PROJECT);
    let manifest = person.project.join("Cargo.toml");
    let text = fs_err::read_to_string(&manifest).expect("a manifest");
    fs_err::write(&manifest, format!("{text}\n[profile.mine]\ninherits = \"dev\"\n")).expect("written");
    let build = person
        .command(Through::Sealift, ["build", "-v", "--profile", "mine"])
        .from_world(&access);
    assert_nearly_all_hit(&person.run(&build));
    assert_nothing_done(&person.run(&build));
}

#[test]
fn what_changes_a_unit_is_a_miss() {
    let access = shared_world().access();
    let person = Person::with(Project::Greeter);
    let build = person
        .command(Through::Sealift, ["build"])
        .from_world(&access)
        .env("RUSTFLAGS", "-C target-cpu=x86-64-v2");
    let built = person.run(&build);
    assert_eq!(built.units.hits(), 0, "other code was asked for");
}
