//! From a unit key back to what cargo has to be asked for: the packages below a unit, found in key documents alone.
//!
//! A key document names its dependencies by content: the rmeta of a library, the key of a proc macro. Another unit's manifest
//! has that content, and that unit's document goes on. Nothing is believed: if it was not so, another key comes out.
//!
//! Pure. Must not know where documents lie, or how anything is built.

use std::collections::{BTreeMap, BTreeSet};

use sealift_policy::digest::{Digest, UnitKey};
use sealift_policy::document::UnitDocument;
use sealift_policy::key::{ExternContent, KeyDocument};
use sealift_policy::manifest::{Manifest, Role};
use sealift_policy::name::{CrateName, CrateVersion, FeatureName};
use sealift_policy::request::{PackageRef, RequestedPackage};

/// For whom a library is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// For what the project is.
    Target,
    /// For proc macros and build scripts.
    Host,
}

/// How many ways of choosing among the units that are said to have produced a library are tried.
const MAX_CHOICES: usize = 12;

/// How many of them take the unit at the same place of each library's list.
const MAX_CHOICES_IN_STEP: usize = 4;

/// Key documents by what they are found by.
#[derive(Debug, Default)]
pub struct Documents {
    units: BTreeMap<UnitKey, UnitDocument>,
    /// Honest units seldom share one; whoever lies may name any.
    libraries: BTreeMap<Digest, BTreeSet<UnitKey>>,
    scripts: BTreeMap<(CrateName, CrateVersion), Vec<UnitKey>>,
}

/// Why a closure cannot be found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoClosure {
    /// A dependency that no known unit produced.
    #[error("nobody published `{0}`, on which it depends")]
    Unpublished(String),
    /// A feature whose name is none.
    #[error("`{0}` has a feature that cannot be asked for")]
    Feature(CrateName),
}

#[derive(Default)]
struct Found {
    checksum: Option<Digest>,
    sides: BTreeMap<Side, BTreeSet<FeatureName>>,
    dependencies: BTreeSet<PackageRef>,
}

impl Documents {
    /// Adds a unit.
    pub fn add(&mut self, key: UnitKey, document: UnitDocument, manifest: &Manifest) {
        for role in [Role::Rmeta, Role::Rlib] {
            if let Some(output) = manifest.output(role) {
                self.libraries.entry(output.sha256).or_default().insert(key);
            }
        }
        if let UnitDocument::Call(call) = &document
            && call.crate_type == "bin"
        {
            let package = (call.package.name.clone(), call.package.version.clone());
            self.scripts.entry(package).or_default().push(key);
        }
        self.units.insert(key, document);
    }

    /// The document of a unit.
    pub fn document(&self, key: UnitKey) -> Option<&UnitDocument> {
        self.units.get(&key)
    }

    /// The packages that a unit is built from, itself included: the likeliest first, where several units are said to
    /// have produced what it depends on.
    ///
    /// # Errors
    /// When a dependency is none of the known units.
    pub fn closures(&self, root: UnitKey, side: Side) -> Result<Vec<Vec<RequestedPackage>>, NoClosure> {
        let most = self.libraries.values().map(BTreeSet::len).max().unwrap_or(1);
        let choices = if most > 1 { MAX_CHOICES } else { 1 };
        let (mut closures, mut failed) = (vec![], None);
        for choice in 0..choices {
            match self.closure(root, side, choice) {
                Ok(closure) if closures.contains(&closure) => {}
                Ok(closure) => closures.push(closure),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        match failed {
            Some(error) if closures.is_empty() => Err(error),
            _ => Ok(closures),
        }
    }

    fn closure(&self, root: UnitKey, side: Side, choice: usize) -> Result<Vec<RequestedPackage>, NoClosure> {
        let mut found: BTreeMap<PackageRef, Found> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        let mut open = vec![(root, side)];
        while let Some((key, side)) = open.pop() {
            if !seen.insert((key, side)) {
                continue;
            }
            let document = self
                .units
                .get(&key)
                .ok_or_else(|| NoClosure::Unpublished(format!("unit {}", key.short())))?;
            let call = match document {
                UnitDocument::Call(call) => call,
                UnitDocument::Run(run) => {
                    open.push((run.script, Side::Host));
                    continue;
                }
            };
            let is_host_code = matches!(call.crate_type.as_str(), "proc-macro" | "bin");
            let side = if is_host_code { Side::Host } else { side };
            let features = features(call)?;
            let mut below = self.dependencies(call, side, choice)?;
            for script in self.scripts_of(call, &features) {
                below.extend(self.dependencies(script, Side::Host, choice)?);
            }
            let package = found.entry(reference(call)).or_default();
            package.checksum = Some(call.package.checksum);
            package.sides.entry(side).or_default().extend(features);
            for (key, _) in &below {
                if let Some(UnitDocument::Call(dependency)) = self.units.get(key) {
                    package.dependencies.insert(reference(dependency));
                }
            }
            open.extend(below);
        }
        let packages = found.into_iter().filter_map(|(id, found)| {
            let features = |side| {
                found
                    .sides
                    .get(&side)
                    .map(|features| features.iter().cloned().collect())
            };
            Some(RequestedPackage {
                name: id.name,
                version: id.version,
                checksum: found.checksum?,
                target_features: features(Side::Target),
                host_features: features(Side::Host),
                dependencies: found.dependencies.into_iter().collect(),
            })
        });
        Ok(packages.collect())
    }

    /// The units that a call is compiled against.
    fn dependencies(&self, call: &KeyDocument, side: Side, choice: usize) -> Result<Vec<(UnitKey, Side)>, NoClosure> {
        let mut below = Vec::new();
        for extern_input in &call.externs {
            match extern_input.content {
                ExternContent::Rmeta(content) | ExternContent::Rlib(content) => {
                    let unit = self.library(content, &extern_input.name, call, choice);
                    let unit = unit.ok_or_else(|| NoClosure::Unpublished(extern_input.name.clone()))?;
                    below.push((unit, side));
                }
                ExternContent::ProcMacro(unit) => below.push((unit, Side::Host)),
                ExternContent::Baked(unit) => below.push((unit, side)),
                ExternContent::Sysroot => {}
            }
        }
        Ok(below)
    }

    /// A unit that is said to have produced this; the likeliest is the first choice.
    fn library(&self, content: Digest, name: &str, dependent: &KeyDocument, choice: usize) -> Option<UnitKey> {
        let mut units: Vec<UnitKey> = self.libraries.get(&content)?.iter().copied().collect();
        units.sort_by_cached_key(|key| {
            let call = match self.units.get(key) {
                Some(UnitDocument::Call(call)) => Some(call),
                _ => None,
            };
            let differs = |differs: &dyn Fn(&KeyDocument) -> bool| call.is_none_or(|call| differs(call));
            (
                differs(&|call| call.crate_name != name),
                differs(&|call| call.compiler != dependent.compiler),
                differs(&|call| call.codegen != dependent.codegen),
                *key,
            )
        });
        // The likeliest of each, then all the second ones, and so on; then mixed, since of several libraries that somebody
        // lies about not all have the right unit at the same place.
        let place = match choice {
            0..MAX_CHOICES_IN_STEP => choice,
            _ => usize::from(Digest::of(format!("{choice} {content}").as_bytes()).as_bytes()[0]),
        };
        units.get(place % units.len()).copied()
    }

    /// What is known of the package's build script: what it is compiled against belongs to the lock file, too.
    fn scripts_of(&self, call: &KeyDocument, wanted: &BTreeSet<FeatureName>) -> Vec<&KeyDocument> {
        let package = (call.package.name.clone(), call.package.version.clone());
        let scripts = self.scripts.get(&package).into_iter().flatten();
        let scripts = scripts.filter_map(|key| match self.units.get(key) {
            Some(UnitDocument::Call(script)) => Some(&**script),
            _ => None,
        });
        scripts
            .filter(|script| {
                script.compiler == call.compiler && features(script).is_ok_and(|features| features == *wanted)
            })
            .collect()
    }
}

fn reference(call: &KeyDocument) -> PackageRef {
    PackageRef {
        name: call.package.name.clone(),
        version: call.package.version.clone(),
    }
}

/// The features that cargo turned on, as it told rustc.
fn features(call: &KeyDocument) -> Result<BTreeSet<FeatureName>, NoClosure> {
    let names = call
        .cfg
        .iter()
        .filter_map(|cfg| cfg.strip_prefix("feature=\"")?.strip_suffix('"'));
    names
        .map(|name| name.parse().map_err(|_| NoClosure::Feature(call.package.name.clone())))
        .collect()
}

#[cfg(test)]
mod tests {
    use sealift_policy::manifest::Output;
    use serde_json::json;

    use super::*;

    /// Adds a unit of this package and gives its key and the `--extern` by which others name it.
    fn add(
        documents: &mut Documents,
        (name, kind, features): (&str, &str, &[&str]),
        externs: &[&serde_json::Value],
    ) -> (UnitKey, serde_json::Value) {
        let cfg: Vec<_> = features
            .iter()
            .map(|feature| format!("feature=\"{feature}\""))
            .collect();
        let text = sealift_policy::canonical::to_string(&json!({
            "cap_lints": "allow", "cfg": cfg, "check_cfg": [], "closure": null, "codegen": [],
            "compiler": {"sysroot": ["libstd-1.so"], "verbose_version": "rustc 1.95.0"},
            "crate_name": name, "crate_root": "src/lib.rs", "crate_type": kind, "edition": "2021",
            "emit": if kind == "lib" { "dep-info,metadata,link" } else { "dep-info,link" },
            "env": {}, "externs": externs, "lints": [], "native_libs": [], "native_search": [], "out_dir": null,
            "package": {"checksum": Digest::of(name.as_bytes()), "name": name, "version": "1.0.0"},
            "rules": 2, "target": null, "version": 1
        }));
        let (key, document) = UnitDocument::from_canonical(text.as_bytes()).unwrap();
        let role = if kind == "lib" { Role::Rmeta } else { Role::ProcMacro };
        let sha256 = Digest::of(format!("output of {key}").as_bytes());
        let manifest = Manifest {
            baseline: None,
            diagnostics: vec![],
            env_deps: vec![],
            glibc: None,
            outputs: vec![Output {
                name: role.file_name(name, key),
                role,
                sha256,
                size: 1,
            }],
            sources: vec![],
            unit_key: key,
            version: 1,
        };
        documents.add(key, document, &manifest);
        let content = if kind == "lib" {
            json!({"rmeta": sha256})
        } else {
            json!({"proc-macro": key})
        };
        (key, json!({"content": content, "name": name}))
    }

    fn shown(packages: &[RequestedPackage]) -> Vec<String> {
        let list = |features: &Option<Vec<FeatureName>>| match features {
            Some(features) => features.iter().map(FeatureName::as_str).collect::<Vec<_>>().join("+"),
            None => "-".to_owned(),
        };
        let line = |package: &RequestedPackage| {
            let below: Vec<_> = package.dependencies.iter().map(PackageRef::to_string).collect();
            let (target, host) = (list(&package.target_features), list(&package.host_features));
            format!("{} target {target} host {host} on {}", package.name, below.join(" "))
        };
        packages.iter().map(line).collect()
    }

    #[test]
    fn a_closure_is_found_by_content_with_host_and_target_apart() {
        let mut documents = Documents::default();
        let sysroot = json!({"content": "sysroot", "name": "proc_macro"});
        let (_, ident) = add(&mut documents, ("ident", "lib", &[]), &[]);
        let (_, host_syn) = add(&mut documents, ("syn", "lib", &["full"]), &[&ident]);
        let (_, derive) = add(&mut documents, ("derive", "proc-macro", &[]), &[&host_syn, &sysroot]);
        let (_, helper) = add(&mut documents, ("helper", "lib", &[]), &[]);
        add(&mut documents, ("base", "bin", &["std"]), &[&helper]);
        add(&mut documents, ("base", "bin", &[]), &[&ident]);
        let (_, base) = add(&mut documents, ("base", "lib", &["std"]), &[&ident]);
        let (root, _) = add(&mut documents, ("root", "lib", &["a", "b"]), &[&base, &derive]);
        let closures = documents.closures(root, Side::Target).unwrap();
        let [closure] = &closures[..] else {
            panic!("{closures:?}");
        };
        assert_eq!(
            shown(closure),
            [
                "base target std host - on helper@1.0.0 ident@1.0.0",
                "derive target - host  on syn@1.0.0",
                "helper target - host  on ",
                "ident target  host  on ",
                "root target a+b host - on base@1.0.0 derive@1.0.0",
                "syn target - host full on ident@1.0.0",
            ]
        );
        let host = documents.closures(root, Side::Host).unwrap();
        assert!(host[0].iter().all(|package| package.target_features.is_none()));
    }

    #[test]
    fn a_unit_that_claims_another_s_library_does_not_hide_it() {
        let mut documents = Documents::default();
        let (ident_key, ident) = add(&mut documents, ("ident", "lib", &["std"]), &[]);
        let content: Digest = serde_json::from_value(ident["content"]["rmeta"].clone()).unwrap();
        let claims = |documents: &mut Documents, liar| {
            let (key, _) = add(documents, liar, &[]);
            documents.libraries.entry(content).or_default().insert(key);
        };
        for name in ["a", "b", "c", "d", "e", "f"] {
            claims(&mut documents, (name, "lib", &[]));
        }
        let (root, _) = add(&mut documents, ("root", "lib", &[]), &[&ident]);
        let closures = documents.closures(root, Side::Target).unwrap();
        assert!(shown(&closures[0]).contains(&"ident target std host - on ".to_owned()));
        assert!(closures.len() > 1, "others are tried, too");
        // Of the same name, and one that is made from what nobody published: whichever comes first, the right one is tried.
        let mut documents = Documents::default();
        let (_, ident) = add(&mut documents, ("ident", "lib", &["std"]), &[]);
        let (root, _) = add(&mut documents, ("root", "lib", &[]), &[&ident]);
        claims(&mut documents, ("ident", "lib", &["forged"]));
        let stranger = json!({"content": {"rmeta": Digest::of(b"stranger")}, "name": "stranger"});
        let (liar, _) = add(&mut documents, ("ident", "lib", &["std"]), &[&stranger]);
        documents.libraries.entry(content).or_default().insert(liar);
        assert_eq!(documents.libraries[&content].len(), 3);
        let closures = documents.closures(root, Side::Target).unwrap();
        let has_ident =
            |packages: &Vec<RequestedPackage>| shown(packages).contains(&"ident target std host - on ".to_owned());
        assert!(closures.iter().any(has_ident), "{ident_key}");
    }

    #[test]
    fn a_dependency_that_nobody_published_is_named() {
        let mut documents = Documents::default();
        let stranger = json!({"content": {"rmeta": Digest::of(b"stranger")}, "name": "stranger"});
        let (root, _) = add(&mut documents, ("root", "lib", &[]), &[&stranger]);
        let refused = documents.closures(root, Side::Target);
        assert_eq!(refused, Err(NoClosure::Unpublished("stranger".into())));
    }
}
