//! Which flags C compilers get.

use super::*;

const HERE: [(&str, &str); 4] = [
    ("CARGO_MANIFEST_DIR", "/h/registry/src/id/ring-1.0.0"),
    ("OUT_DIR", "/t/out"),
    ("TARGET", "x86_64-unknown-linux-gnu"),
    ("HOST", "x86_64-unknown-linux-gnu"),
];
const MAP: &str =
    "-ffile-prefix-map=/h/registry/src/id=/cargo/registry/1949cf8c6b5b557f -ffile-prefix-map=/t/out=/cargo/out-dir";

fn flags(more: &[(&str, &str)]) -> Vec<(String, String)> {
    let env = Env::made_up(HERE.iter().chain(more).copied());
    c_flags(&env)
        .into_iter()
        .filter(|(name, _)| name != SOURCE_DATE_EPOCH)
        .map(|(name, value)| (name, value.into_string().unwrap()))
        .collect()
}

#[test]
fn c_compilers_get_the_same_path_rules_as_rustc() {
    assert_eq!(
        flags(&[]),
        [("CFLAGS".into(), MAP.into()), ("CXXFLAGS".into(), MAP.to_owned())]
    );
}

#[test]
fn tools_that_write_the_time_write_one_time_unless_the_user_set_another() {
    let epoch = |more: &[(&str, &str)]| {
        let flags = c_flags(&Env::made_up(HERE.iter().chain(more).copied()));
        flags.into_iter().find(|(name, _)| name == SOURCE_DATE_EPOCH)
    };
    assert!(epoch(&[]).is_some());
    assert_eq!(epoch(&[(SOURCE_DATE_EPOCH, "1")]), None);
}

#[test]
fn what_the_user_set_is_added_to_where_it_counts() {
    let flags = flags(&[
        ("CFLAGS", "-O1"),
        ("CFLAGS_x86_64_unknown_linux_gnu", "-O2"),
        ("HOST_CXXFLAGS", "-O3"),
    ]);
    let expected = [
        ("CFLAGS_x86_64_unknown_linux_gnu", format!("-O2 {MAP}")),
        ("HOST_CXXFLAGS", format!("-O3 {MAP}")),
    ];
    assert_eq!(flags, expected.map(|(name, value)| (name.to_owned(), value)));
}

// S17: headers that another package's script made lie elsewhere on each machine, and debuggers' tables name them.
#[test]
fn where_other_scripts_output_lies_is_left_out_too() {
    let flags = flags(&[
        ("OUT_DIR", "/t/debug/build/git2-0/out"),
        (
            "DEP_SSH2_INCLUDE",
            "/t/debug/build/ssh2-sys-1/out/include,/t/debug/build/ssh2-sys-1/out",
        ),
        ("DEP_Z_ROOT", "/t/debug/build/libz-sys/2/out"),
        ("DEP_OPENSSL_INCLUDE", "/usr/include"),
    ]);
    let mapped = |flag: &str| flag.strip_prefix("-ffile-prefix-map=").map(str::to_owned);
    let rules: Vec<_> = flags[0].1.split(' ').filter_map(mapped).collect();
    let expected = [
        "/h/registry/src/id=/cargo/registry/1949cf8c6b5b557f",
        "/t/debug/build/git2-0/out=/cargo/out-dir",
        "/t/debug/build/libz-sys/2/out=/cargo/out-dir-of/libz-sys",
        "/t/debug/build/ssh2-sys-1/out=/cargo/out-dir-of/ssh2-sys",
    ];
    assert_eq!(rules, expected);
}

#[test]
fn folders_with_blanks_and_packages_of_no_registry_get_no_flags() {
    assert!(flags(&[("OUT_DIR", "/t x/out")]).is_empty());
    assert!(flags(&[("CARGO_MANIFEST_DIR", "/h/project")]).is_empty());
}
