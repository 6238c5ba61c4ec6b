//! What `cargo sealift` says about the last build agrees with what happened.

use crate::fixture::{Person, Project, assert_nothing_done, shared_world};

#[test]
fn stats_count_what_the_build_recorded() {
    let access = shared_world().access();
    let person = Person::with(Project::Greeter);
    let built = person.sealift(&access, ["build"]);
    let said = person
        .user
        .sealift(&person.project, &["stats", "--json"], Some(&access))
        .expect("started")
        .successful()
        .expect("stats");
    let stats: serde_json::Value = serde_json::from_str(&said.stdout).expect("JSON on standard output");
    let count = |name: &str| {
        stats["units"][name]
            .as_u64()
            .unwrap_or_else(|| panic!("no number `{name}` in {stats}"))
    };
    assert_eq!(count("hit"), built.units.hits() as u64);
    assert_eq!(count("handled"), built.units.handled() as u64);
    assert_eq!(count("passed_through"), built.units.passed_through() as u64);
    assert_eq!(count("rejected"), 0);
    assert_eq!(stats["bytes_fetched"].as_u64(), Some(built.units.bytes_fetched()));
    assert!(stats["misses"].is_array());
}

#[test]
fn explain_and_verify_speak_of_every_unit() {
    let access = shared_world().access();
    let person = Person::with(Project::Greeter);
    person.sealift(&access, ["build"]);
    let explained = person
        .user
        .sealift(&person.project, &["explain", "--json"], Some(&access))
        .expect("started");
    let explained = explained.successful().expect("an explanation").stdout;
    let _: serde_json::Value = serde_json::from_str(&explained).expect("JSON on standard output");
    for package in ["anyhow", "indoc", "itoa", "memchr"] {
        assert!(explained.contains(package), "{package} is missing:\n{explained}");
    }
    let target = person.target.to_str().expect("UTF-8");
    let verified = person.user.sealift(
        &person.project,
        &["verify", "--json", "--target-dir", target],
        Some(&access),
    );
    let verified = verified
        .expect("started")
        .successful()
        .expect("a sound target folder")
        .stdout;
    let _: serde_json::Value = serde_json::from_str(&verified).expect("JSON on standard output");
}

#[test]
fn a_debugger_finds_the_sources_of_what_was_fetched_by_what_debug_map_prints() {
    let access = shared_world().access();
    let person = Person::with(Project::Greeter);
    person.sealift(&access, ["build"]);
    let said = person.user.sealift(&person.project, &["debug-map", "gdb"], None);
    let said = said.expect("started").successful().expect("settings").stdout;
    let rule = said.lines().find_map(|line| line.strip_prefix("set substitute-path "));
    let (name, folder) = rule.and_then(|rule| rule.split_once(' ')).expect("a rule");
    // The debug information of the linked program speaks of that name, and the file is in that folder.
    let program = String::from_utf8_lossy(&person.program()).into_owned();
    let at = program
        .find(&format!("{name}/memchr-2.7.5/src/"))
        .expect("memchr's debug information");
    let path: String = program[at + name.len()..]
        .chars()
        .take_while(|c| !c.is_control())
        .collect();
    let source = format!("{folder}{path}");
    assert!(
        std::path::Path::new(&source).is_file(),
        "`{source}` is not there:\n{said}"
    );
    let lldb = person.user.sealift(&person.project, &["debug-map", "lldb"], None);
    let lldb = lldb.expect("started").successful().expect("settings").stdout;
    assert!(
        lldb.contains(&format!("target.source-map {name} \"{folder}\"")),
        "{lldb}"
    );
}

#[test]
fn a_request_is_kept_by_the_service_and_says_nothing_about_the_project() {
    let access = shared_world().access();
    let person = Person::with(Project::Greeter);
    let ask = |args: &[&str]| {
        let said = person.user.sealift(&person.project, args, Some(&access));
        said.expect("started").successful().expect("a request")
    };
    let printed = ask(&["request", "--print", "--", "build", "--locked"]).stdout;
    assert!(printed.contains("memchr") && !printed.contains("greeter"), "{printed}");
    let sent = ask(&["request", "--json", "--", "build", "--locked"]);
    assert!(
        sent.stderr.contains("memchr@2.7.5"),
        "it is shown before it is sent:\n{}",
        sent.stderr
    );
    let answer: serde_json::Value = serde_json::from_str(&sent.stdout).expect("JSON");
    let expected = sealift_policy::digest::Digest::of(printed.as_bytes()).to_string();
    assert_eq!(answer["request"], expected, "what is kept is what was printed");
}

// F16
#[test]
fn a_sweep_to_nothing_leaves_target_folders_as_they_are_and_the_next_build_right() {
    let access = shared_world().access();
    let person = Person::with(Project::Greeter);
    person.sealift(&access, ["build"]);
    let program = person.program();
    let swept = person
        .user
        .sealift(&person.project, &["gc", "--max-size", "0", "--json"], None);
    let swept = swept.expect("started").successful().expect("a sweep").stdout;
    let swept: serde_json::Value = serde_json::from_str(&swept).expect("JSON");
    assert!(swept["units"].as_u64() > Some(0), "{swept:#}");
    assert_nothing_done(&person.sealift(&access, ["build", "-v"]));
    person.clean();
    let again = person.sealift(&access, ["build"]);
    assert!(again.units.bytes_fetched() > 0, "what is gone is fetched again");
    assert!(person.program() == program, "the same program");
}
