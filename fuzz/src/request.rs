//! What must hold for what strangers ask to be built: requests, the projects made from them, lock files.
//!
//! Must not know how inputs are found.

use sealift_policy::lockfile::Lockfile;
use sealift_policy::name::CrateName;
use sealift_policy::request::{Request, project};
use toml::{Table, Value};

/// A request reads back, and nothing in it can add a line to the project that is generated from it.
pub fn request(data: &[u8]) {
    let Ok(request) = Request::parse(data) else { return };
    let again = Request::parse(request.to_json().as_bytes()).expect("what is written reads back");
    assert_eq!(again, request);
    let files = project::files(&request);
    let text = |path: &str| {
        &files
            .iter()
            .find(|file| file.path == path)
            .expect("it is generated")
            .text
    };
    let manifest: Table = text("Cargo.toml").parse().expect("a manifest is TOML");
    let expected = [
        "build-dependencies",
        "dependencies",
        "lib",
        "package",
        "profile",
        "workspace",
    ];
    let mut tables: Vec<_> = manifest.keys().map(String::as_str).collect();
    tables.sort_unstable();
    assert_eq!(tables, expected);
    let host = request
        .packages
        .iter()
        .filter(|package| package.host_features.is_some());
    assert_dependencies(&manifest["build-dependencies"], host.count());
    let target = request
        .packages
        .iter()
        .filter(|package| package.target_features.is_some());
    assert_dependencies(&manifest["dependencies"], target.count());
    let locked = Lockfile::parse(text("Cargo.lock")).expect("a lock file is one");
    assert!(
        locked
            .packages()
            .map(|(id, _)| id)
            .eq(request.lockfile().packages().map(|(id, _)| id))
    );
}

fn assert_dependencies(table: &Value, count: usize) {
    let table = table.as_table().expect("dependencies are a table");
    assert_eq!(table.len(), count);
    for dependency in table.values() {
        let dependency = dependency.as_table().expect("a dependency is a table");
        let mut keys: Vec<_> = dependency.keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["default-features", "features", "package", "version"]);
        let version = dependency["version"].as_str().expect("a version is a text");
        assert!(version.starts_with('=') && !version.contains([',', '*', ' ']));
    }
}

/// What was read of a lock file is written so that it reads back.
pub fn lockfile(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Ok(read) = Lockfile::parse(text) else { return };
    let root: CrateName = "fuzz".parse().expect("a valid name");
    let direct: Vec<_> = read.packages().map(|(id, _)| id.clone()).collect();
    let written = Lockfile::parse(&read.render(&root, &direct)).expect("what is written reads back");
    assert!(
        written
            .packages()
            .map(|(id, _)| id)
            .eq(read.packages().map(|(id, _)| id))
    );
    for ((name, version), package) in read.packages() {
        let again = written.package(name, version).expect("it was compared");
        assert_eq!(again.checksum, package.checksum);
        assert!(
            again
                .dependencies
                .iter()
                .all(|edge| package.dependencies.contains(edge))
        );
    }
    assert_eq!(
        Lockfile::parse(&written.render(&root, &direct)).ok().as_ref(),
        Some(&written)
    );
}
