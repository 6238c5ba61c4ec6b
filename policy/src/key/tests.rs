//! What counts in a key, and what does not.

use proptest::prelude::*;

use super::*;

const CALL: &str = "--crate-name serde_json --edition=2021 /r/serde_json-1.0.150/src/lib.rs --error-format=json \
    --json=artifacts --crate-type lib --emit=dep-info,metadata,link -C opt-level=3 -C embed-bitcode=no --cfg a --cfg b \
    --check-cfg cfg(docsrs,test) -C metadata=c934 -C extra-filename=-1287 --out-dir /t/deps -L dependency=/t/deps \
    --extern itoa=/t/deps/libitoa-dc11.rmeta --cap-lints allow";

struct World {
    root: PathBuf,
    out_dir: Option<OutDir>,
    package: Package,
    compiler: Compiler,
    env: BTreeMap<String, String>,
    itoa: ExternContent,
    moot_search: BTreeSet<PathBuf>,
}

impl World {
    fn new() -> Self {
        Self {
            root: "/r/serde_json-1.0.150".into(),
            out_dir: Some(OutDir {
                path: "/t/build/x/out".into(),
                tree: Digest::of(b"tree"),
            }),
            package: Package {
                checksum: Digest::of(b"crate"),
                name: "serde_json".parse().unwrap(),
                version: "1.0.150".parse().unwrap(),
            },
            compiler: Compiler {
                sysroot: vec!["libstd-1.so".into()],
                verbose_version: "rustc 1.95.0".into(),
            },
            env: BTreeMap::from([("CARGO_PKG_NAME".into(), "serde_json".into())]),
            itoa: ExternContent::Rmeta(Digest::of(b"itoa")),
            moot_search: BTreeSet::new(),
        }
    }

    fn document(&self, call: &str) -> Result<KeyDocument, NoKey> {
        let args: Vec<String> = call.split_whitespace().map(str::to_owned).collect();
        let invocation = Invocation::parse(&args).unwrap();
        KeyDocument::new(&Inputs {
            invocation: &invocation,
            compiler: &self.compiler,
            package: &self.package,
            package_root: &self.root,
            env: &self.env,
            externs: vec![ExternInput {
                content: self.itoa,
                name: "itoa".into(),
            }],
            closure: None,
            out_dir: self.out_dir.as_ref(),
            moot_search: &self.moot_search,
        })
    }

    fn key(&self, call: &str) -> Digest {
        Digest::of(self.document(call).unwrap().to_canonical().as_bytes())
    }
}

#[test]
fn a_key_document_keeps_its_golden_form() {
    let text = World::new().document(CALL).unwrap().to_canonical();
    insta::assert_snapshot!(text, @r#"{"cap_lints":"allow","cfg":["a","b"],"check_cfg":["cfg(docsrs,test)"],"closure":null,"codegen":["embed-bitcode=no","opt-level=3"],"compiler":{"sysroot":["libstd-1.so"],"verbose_version":"rustc 1.95.0"},"crate_name":"serde_json","crate_root":"src/lib.rs","crate_type":"lib","edition":"2021","emit":"dep-info,metadata,link","env":{"CARGO_PKG_NAME":"serde_json"},"externs":[{"content":{"rmeta":"a0a7eb79b1b3c30f8f2305963533f972fdb65420c43e902b1044bb2b625562d6"},"name":"itoa"}],"lints":[],"native_libs":[],"native_search":[],"out_dir":"dc9c5edb8b2d479e697b4b0b8ab874f32b325138598ce9e7b759eb8292110622","package":{"checksum":"f5fe331d2367a7a67ee20bd579c77b929ae49439d8b0d8e9c3b98609797b6b69","name":"serde_json","version":"1.0.150"},"rules":2,"target":null,"version":1}"#);
    let (key, document) = crate::document::UnitDocument::from_canonical(text.as_bytes()).unwrap();
    assert_eq!(key.digest(), World::new().key(CALL));
    assert_eq!(document.class().unwrap(), Class::Library);
}

// K30: file names and `-C metadata` never identify a unit.
#[test]
fn where_things_lie_and_how_messages_look_never_change_a_key() {
    let world = World::new();
    let key = world.key(CALL);
    for (from, to) in [
        ("/t/deps", "/elsewhere/target/x86_64/release/deps"),
        ("metadata=c934", "metadata=ffff"),
        ("filename=-1287", "filename=-0"),
        (
            "--json=artifacts",
            "--json=diagnostic-rendered-ansi,artifacts --color always --diagnostic-width 80",
        ),
        ("--cfg a --cfg b", "--cfg b --cfg a --cfg b"),
        (
            "-C opt-level=3 -C embed-bitcode=no",
            "-C embed-bitcode=no -C opt-level=2 -C opt-level=3",
        ),
        ("--cap-lints allow", "--cap-lints allow -D warnings -W unused"),
        (
            "--cap-lints allow",
            "--cap-lints allow -C link-arg=-fuse-ld=lld -C strip=debuginfo -C rpath -L native=/usr/lib",
        ),
    ] {
        assert!(CALL.contains(from), "{from}");
        assert_eq!(world.key(&CALL.replace(from, to)), key, "{from} -> {to}");
    }
    let mut moved = World::new();
    moved.root = "/home/somebody/.cargo/registry/src/x/serde_json-1.0.150".into();
    moved.out_dir.as_mut().unwrap().path = "/b/out".into();
    assert_eq!(
        moved.key(&CALL.replace(
            "/r/serde_json-1.0.150",
            "/home/somebody/.cargo/registry/src/x/serde_json-1.0.150"
        )),
        key
    );
}

// K21
#[test]
fn every_relevant_input_changes_the_key() {
    let key = World::new().key(CALL);
    for (from, to) in [
        ("crate-name serde_json", "crate-name serde"),
        ("edition=2021", "edition=2018"),
        ("src/lib.rs", "src/main.rs"),
        ("opt-level=3", "opt-level=2"),
        ("-C embed-bitcode=no", ""),
        ("-C embed-bitcode=no", "-C embed-bitcode=no -C panic=abort"),
        ("-C embed-bitcode=no", "-C embed-bitcode=no -C linker-plugin-lto"),
        ("-C embed-bitcode=no", "-C embed-bitcode=no -C lto=thin"),
        ("-C embed-bitcode=no", "-C embed-bitcode=no -C codegen-units=1"),
        (
            "-C embed-bitcode=no",
            "-C embed-bitcode=no -C debuginfo=line-tables-only",
        ),
        ("-C embed-bitcode=no", "-C embed-bitcode=no -C overflow-checks=on"),
        ("metadata,link", "metadata"),
        ("--cfg a", "--cfg ab"),
        ("cfg(docsrs,test)", "cfg(docsrs)"),
        ("--cap-lints allow", "--cap-lints warn"),
        (
            "--cap-lints allow",
            "--cap-lints allow --target x86_64-unknown-linux-gnu",
        ),
        ("--cap-lints allow", "--cap-lints allow -l static=z"),
        ("--cap-lints allow", "--cap-lints allow -L native=/t/build/x/out/lib"),
        ("--cap-lints allow", "--cap-lints allow -C target-feature=+avx2"),
    ] {
        assert!(CALL.contains(from), "{from}");
        assert_ne!(World::new().key(&CALL.replace(from, to)), key, "{from} -> {to}");
    }
    let changes: [fn(&mut World); 9] = [
        |world| world.package.checksum = Digest::of(b"other"),
        |world| world.package.version = "1.0.151".parse().unwrap(),
        |world| world.compiler.verbose_version.push('x'),
        |world| world.compiler.sysroot[0].push('x'),
        |world| world.itoa = ExternContent::Rmeta(Digest::of(b"other")),
        |world| world.itoa = ExternContent::Rlib(Digest::of(b"itoa")),
        |world| world.itoa = ExternContent::Baked(UnitKey::new(Digest::of(b"itoa"))),
        |world| world.out_dir = None,
        |world| drop(world.env.insert("CARGO_PKG_VERSION".into(), String::new())),
    ];
    for change in changes {
        let mut world = World::new();
        change(&mut world);
        assert_ne!(world.key(CALL), key);
    }
}

#[test]
fn target_features_add_up_in_order() {
    let world = World::new();
    let features = |value: &str| world.key(&format!("{CALL} {value}"));
    assert_eq!(
        features("-C target-feature=+a -C target-feature=-a"),
        features("-C target-feature=+a,-a")
    );
    assert_ne!(
        features("-C target-feature=+a -C target-feature=-a"),
        features("-C target-feature=-a,+a")
    );
}

#[test]
fn lint_flags_count_unless_lints_are_capped() {
    let world = World::new();
    let uncapped = CALL.replace("--cap-lints allow", "");
    assert_ne!(world.key(&uncapped), world.key(&format!("{uncapped} -D warnings")));
    assert_ne!(
        world.key(&format!("{uncapped} -A x -D x")),
        world.key(&format!("{uncapped} -D x -A x"))
    );
}

#[test]
fn a_host_program_has_no_key_under_link_arguments_that_could_change_it() {
    let world = World::new();
    let host = CALL
        .replace("crate-type lib", "crate-type proc-macro")
        .replace("metadata,link", "link");
    let key = world.key(&host);
    assert_eq!(
        world.key(&format!("{host} -C link-arg=-fuse-ld=lld -C linker=clang")),
        key
    );
    for harmful in [
        "-C link-arg=-lfoo",
        "-C link-args=-Wl,-O1",
        "-C link-arg=-Wl,-O1,-lfoo",
        "-C link-arg=/x.o",
    ] {
        assert!(
            matches!(
                world.document(&format!("{host} {harmful}")),
                Err(NoKey::LinkArgument(_))
            ),
            "{harmful}"
        );
    }
    assert!(matches!(
        world.document(&format!("{host} -L native=/usr/lib")),
        Err(NoKey::NativeSearch(_))
    ));
    assert_ne!(world.key(&format!("{host} -C strip=symbols")), key);
    assert_eq!(world.key(&format!("{host} -C rpath")), key);
}

#[test]
fn a_library_that_bundles_from_a_foreign_folder_has_no_key() {
    let call = format!("{CALL} -l static=ssl -L native=/opt/ssl/lib");
    assert!(matches!(World::new().document(&call), Err(NoKey::NativeSearch(_))));
    let mut world = World::new();
    world.moot_search.insert("/opt/ssl/lib".into());
    assert!(world.document(&call).unwrap().native_search.is_empty());
    assert!(matches!(
        world.document(&format!("{call} -L native=/opt/z")),
        Err(NoKey::NativeSearch(_))
    ));
    assert!(World::new().document(&call.replace("static=ssl", "ssl")).is_ok());
    assert!(
        World::new()
            .document(&call.replace("metadata,link", "metadata"))
            .is_ok()
    );
}

// `OUT_DIR/../x` begins with `OUT_DIR` and lies outside of it: no digest in the key speaks of what is bundled from there.
#[test]
fn a_search_path_that_climbs_out_of_out_dir_is_a_foreign_folder() {
    let call = format!("{CALL} -l static=ssl -L native=/t/build/x/out/lib");
    assert!(World::new().document(&call).is_ok());
    for climbing in ["out/..", "out/lib/../../../x", "out/../out/lib"] {
        let call = call.replace("out/lib", climbing);
        assert!(
            matches!(World::new().document(&call), Err(NoKey::NativeSearch(_))),
            "{climbing}"
        );
        let unbundled = World::new().document(&call.replace("static=ssl", "ssl")).unwrap();
        assert!(unbundled.native_search.is_empty(), "{climbing}");
    }
}

#[test]
fn a_crate_root_outside_its_package_has_no_key() {
    for root in ["/r/other/src/lib.rs", "/r/serde_json-1.0.150/../x.rs", "src/lib.rs"] {
        let call = CALL.replace("/r/serde_json-1.0.150/src/lib.rs", root);
        assert!(
            matches!(World::new().document(&call), Err(NoKey::CrateRoot(_))),
            "{root}"
        );
    }
}

fn flag() -> impl Strategy<Value = (u8, String)> {
    (0..5u8, "[a-c,=\" ]{0,4}")
}

fn call_with(flags: &[(u8, String)]) -> Vec<String> {
    let mut args: Vec<String> = CALL
        .replace("--cap-lints allow", "")
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    for (kind, value) in flags {
        let flag = ["--cfg", "--check-cfg", "-l", "-A", "--cfg=k"][usize::from(*kind)];
        match flag.split_once('=') {
            Some((flag, prefix)) => args.extend([flag.to_owned(), format!("{prefix}{value}")]),
            None => args.extend([flag.to_owned(), value.clone()]),
        }
    }
    args
}

/// What a list of flags means to rustc: cfgs as sets, the rest in order.
type Meaning = (Vec<String>, Vec<String>, Vec<String>, Vec<String>);

fn meaning(flags: &[(u8, String)]) -> Meaning {
    let of = |kinds: &[u8]| -> Vec<String> {
        let prefix = |kind: u8| if kind == 4 { "k" } else { "" };
        flags
            .iter()
            .filter(|(kind, _)| kinds.contains(kind))
            .map(|(kind, v)| format!("{}{v}", prefix(*kind)))
            .collect()
    };
    (as_set(&of(&[0, 4])), as_set(&of(&[1])), of(&[2]), of(&[3]))
}

proptest! {
    // K17
    #[test]
    fn calls_have_one_key_exactly_when_they_mean_the_same(
        a in prop::collection::vec(flag(), 0..5),
        b in prop::collection::vec(flag(), 0..5),
    ) {
        let world = World::new();
        let key = |flags: &[(u8, String)]| {
            let invocation = Invocation::parse(&call_with(flags)).unwrap();
            let inputs = Inputs {
                invocation: &invocation,
                compiler: &world.compiler,
                package: &world.package,
                package_root: &world.root,
                env: &world.env,
                externs: vec![],
                closure: None,
                out_dir: None,
                moot_search: &world.moot_search,
            };
            KeyDocument::new(&inputs).unwrap().to_canonical()
        };
        let with_cfgs = |flags: &[(u8, String)]| {
            let mut meaning = meaning(flags);
            meaning.0 = as_set(&[meaning.0, vec!["a".into(), "b".into()]].concat());
            meaning.1 = as_set(&[meaning.1, vec!["cfg(docsrs,test)".into()]].concat());
            meaning
        };
        prop_assert_eq!(key(&a) == key(&b), with_cfgs(&a) == with_cfgs(&b));
    }
}
