//! A public store of made-up units over real HTTP, two operators with real logs, and a user.
//!
//! Long because the three only make sense together: each answer of the store is signed by the operators and read by the user.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path as UrlPath, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use rand_core::OsRng;
use sealift_policy::digest::{Digest, UnitKey};
use sealift_policy::key::{CALL_RULES, Compiler, KeyDocument, Package};
use sealift_policy::leaf::Leaf;
use sealift_policy::log::Tree;
use sealift_policy::log::{Checkpoint, ConsistencyProof, LeafIndex, LogSigner, Origin, TreeHash, TreeSize};
use sealift_policy::manifest::{Manifest, Output, Role};
use sealift_policy::trust::PolicyDocument;
use sealift_policy::wire::{LookupResponse, ManifestRecord, PlanHint, UnitRecord, Voucher};
use serde_json::json;

use super::super::*;

/// The time of the user's clock.
pub(super) const NOW: u64 = 1_800_000_000;

/// Short, since every hostile server waits as long as it is allowed to.
pub(super) const LIMITS: Limits = Limits {
    connect: Duration::from_millis(500),
    stall: Duration::from_millis(300),
    lookup: Duration::from_secs(1),
    downloads: Duration::from_secs(2),
};

/// Hears what people are told although it is no alarm.
struct Hears<'a>(&'a Mutex<Vec<String>>);

impl Watch for Hears<'_> {
    fn step(&self, step: Step<'_>) {
        if let Step::Notice(notice) = step {
            self.0.lock().unwrap().push(notice.to_owned());
        }
    }
}

/// An operator and its log.
pub(super) struct Operator {
    pub(super) name: OperatorName,
    pub(super) signer: LogSigner,
    pub(super) tree: Tree,
    pub(super) time: u64,
}

impl Operator {
    fn new(name: &str) -> Self {
        let name: OperatorName = name.parse().unwrap();
        let signer = LogSigner::generate(Origin::of(&name, 1), &mut OsRng);
        Self {
            name,
            signer,
            tree: Tree::default(),
            time: NOW - 60,
        }
    }

    fn log(&mut self, leaf: &str) -> u64 {
        self.tree.push(TreeHash::of_leaf(leaf.as_bytes())).unwrap().value()
    }

    pub(super) fn state(&self, known: u64) -> LogState {
        let size = self.tree.size();
        let head = Checkpoint {
            origin: self.signer.verifier().origin().clone(),
            size,
            root: self.tree.root(),
            time: self.time,
        };
        let known = TreeSize::try_from(known).unwrap();
        let proof = self
            .tree
            .consistency(known, size)
            .unwrap_or_else(|_| ConsistencyProof::default());
        LogState {
            operator: self.name.clone(),
            epoch: 1,
            checkpoint: String::from_utf8(head.sign(&self.signer).unwrap().as_bytes().to_vec()).unwrap(),
            consistency: proof.hashes().iter().map(ToString::to_string).collect(),
        }
    }

    fn voucher(&self, index: u64) -> Voucher {
        let at = LeafIndex::try_from(index).unwrap();
        let proof = self.tree.inclusion(at, self.tree.size()).unwrap();
        let proof = proof.hashes().iter().map(ToString::to_string).collect();
        Voucher {
            operator: self.name.clone(),
            epoch: 1,
            index,
            proof,
        }
    }
}

/// A unit as an honest store knows it.
#[derive(Clone)]
pub(super) struct Unit {
    pub(super) plan: PlanId,
    pub(super) key: UnitKey,
    pub(super) document: String,
    pub(super) manifest: Manifest,
}

/// What the store's server gives out.
#[derive(Default)]
pub(super) struct Served {
    pub(super) lookup: Option<LookupResponse>,
    pub(super) blobs: BTreeMap<String, Vec<u8>>,
    pub(super) bundles: BTreeMap<String, String>,
    pub(super) lookups: Vec<LookupRequest>,
    pub(super) fetched: Vec<String>,
    /// The TUF repository, by path below it.
    pub(super) tuf: BTreeMap<String, Vec<u8>>,
    /// A file of it that never ends.
    pub(super) endless: Option<String>,
    /// What of it was asked for.
    pub(super) asked: Vec<String>,
}

/// Everything.
pub(super) struct World {
    pub(super) alpha: Operator,
    pub(super) beta: Operator,
    pub(super) units: Vec<(Unit, Vec<(usize, u64)>)>,
    pub(super) served: Arc<Mutex<Served>>,
    pub(super) user: tempfile::TempDir,
    pub(super) require_provenance: bool,
    pub(super) notices: Mutex<Vec<String>>,
    url: String,
}

impl World {
    /// An empty store whose server runs.
    pub(super) async fn new() -> Self {
        let served = Arc::new(Mutex::new(Served::default()));
        let app = Router::new()
            .route("/v1/lookup", post(lookup))
            .route("/v1/cas/{digest}", get(blob))
            .route("/v1/provenance/{file}", get(bundle))
            .route("/v1/tuf/{*path}", get(tuf))
            .with_state(Arc::clone(&served));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self {
            alpha: Operator::new("alpha"),
            beta: Operator::new("beta"),
            units: Vec::new(),
            served,
            user: tempfile::tempdir().unwrap(),
            require_provenance: false,
            notices: Mutex::default(),
            url,
        }
    }

    /// A library that both operators built, and its proc macro sister.
    pub(super) async fn with_units() -> Self {
        let mut world = Self::new().await;
        for (name, crate_type) in [("memchr", "lib"), ("serde_derive", "proc-macro"), ("regex", "lib")] {
            let unit = unit(name, crate_type);
            world.publish(unit, &[0, 1]);
        }
        world.serve();
        world
    }

    /// Logs a unit with these operators (0 is alpha, 1 is beta) and stores its outputs.
    pub(super) fn publish(&mut self, unit: Unit, operators: &[usize]) {
        let leaf = Leaf::new(unit.key, Digest::of(unit.manifest.to_canonical().as_bytes())).to_canonical();
        let vouchers: Vec<_> = operators
            .iter()
            .map(|&who| (who, self.operator(who).log(&leaf)))
            .collect();
        let mut prefix = Vec::new();
        for output in &unit.manifest.outputs {
            let content = content(&output.name);
            let with = if output.role == Role::Rlib {
                prefix.as_slice()
            } else {
                b""
            };
            let stored = compress(&content, with);
            self.served
                .lock()
                .unwrap()
                .blobs
                .insert(output.sha256.to_string(), stored);
            if output.role == Role::Rmeta {
                prefix = content;
            }
        }
        self.units.push((unit, vouchers));
    }

    fn operator(&mut self, who: usize) -> &mut Operator {
        if who == 0 { &mut self.alpha } else { &mut self.beta }
    }

    /// What an honest store answers for everything, from the empty tree.
    pub(super) fn honest(&self) -> LookupResponse {
        let record = |(unit, vouchers): &(Unit, Vec<(usize, u64)>)| UnitRecord {
            unit_key: unit.key,
            key_document: unit.document.clone(),
            compile_ms: 1000,
            manifests: vec![ManifestRecord {
                manifest: unit.manifest.to_canonical(),
                vouchers: (vouchers.iter())
                    .map(|(who, index)| if *who == 0 { &self.alpha } else { &self.beta }.voucher(*index))
                    .collect(),
            }],
        };
        let hint = |(unit, _): &(Unit, _)| PlanHint {
            version: 1,
            plan_id: unit.plan,
            unit_keys: vec![unit.key],
        };
        LookupResponse {
            version: 1,
            logs: vec![self.alpha.state(0), self.beta.state(0)],
            plans: self.units.iter().map(hint).collect(),
            units: self.units.iter().map(record).collect(),
        }
    }

    /// Answers honestly from now on.
    pub(super) fn serve(&self) {
        self.served.lock().unwrap().lookup = Some(self.honest());
    }

    /// Answers with a change from now on.
    pub(super) fn serve_forged(&self, forge: impl FnOnce(&mut LookupResponse)) {
        let mut answer = self.honest();
        forge(&mut answer);
        self.served.lock().unwrap().lookup = Some(answer);
    }

    /// Changes every stored object.
    pub(super) fn damage_blobs(&self, damage: impl Fn(&mut Vec<u8>)) {
        self.served.lock().unwrap().blobs.values_mut().for_each(damage);
    }

    pub(super) fn policy(&self) -> TrustPolicy {
        self.policy_with(|_| {})
    }

    pub(super) fn policy_with(&self, change: impl FnOnce(&mut PolicyDocument)) -> TrustPolicy {
        let operator = |operator: &Operator| json!({"name": operator.name, "logs": [{"epoch": 1, "vkey": operator.signer.verifier()}]});
        let mut document: PolicyDocument = serde_json::from_value(json!({
            "version": 1,
            "operators": [operator(&self.alpha), operator(&self.beta)],
            "quorum": {"host_code": 2, "library": 1},
            "max_checkpoint_age_seconds": 604_800,
        }))
        .unwrap();
        change(&mut document);
        document.try_into().unwrap()
    }

    /// A prefetch of everything from the store's own server.
    pub(super) async fn fetch(&self) -> Fetched {
        self.fetch_from(&self.url).await
    }

    /// A prefetch of everything from another server.
    pub(super) async fn fetch_from(&self, url: &str) -> Fetched {
        self.fetch_under(url, &self.policy(), NOW).await
    }

    /// A prefetch under another policy, at another time.
    pub(super) async fn fetch_as(&self, policy: &TrustPolicy, now: u64) -> Fetched {
        self.fetch_under(&self.url, policy, now).await
    }

    async fn fetch_under(&self, url: &str, policy: &TrustPolicy, now: u64) -> Fetched {
        self.order(url, Trust::Policy(policy), now).await
    }

    /// A prefetch of everything whose trust starts elsewhere.
    pub(super) async fn fetch_trusting(&self, trust: Trust<'_>, now: u64) -> Fetched {
        self.order(&self.url, trust, now).await
    }

    async fn order(&self, url: &str, trust: Trust<'_>, now: u64) -> Fetched {
        let plans: Vec<_> = self.units.iter().map(|(unit, _)| unit.plan).collect();
        let mut fetched = Fetched::default();
        let order = Order {
            url,
            store: self.user.path(),
            trust,
            toolchain: &"1.95.0-x86_64-unknown-linux-gnu".parse().unwrap(),
            plans: &plans,
            limits: LIMITS,
            now,
            require_provenance: self.require_provenance,
            network: &Network::default(),
            watch: &Hears(&self.notices),
        };
        fetch(&order, &mut fetched).await;
        fetched
    }

    /// The crates that the user's local store has, with the right content.
    pub(super) fn local(&self) -> Vec<String> {
        let deposit = Deposit::open(self.user.path()).unwrap();
        let is_local = |unit: &&(Unit, Vec<(usize, u64)>)| {
            let (unit, _) = unit;
            deposit.store().unit(unit.key).is_some()
                && (unit.manifest.outputs.iter()).all(|output| {
                    deposit
                        .content(output)
                        .is_some_and(|found| found == content(&output.name))
                })
        };
        let name = |(unit, _): &(Unit, _)| unit.manifest.crate_name().unwrap().to_owned();
        self.units.iter().filter(is_local).map(name).collect()
    }

    pub(super) fn evidence(&self) -> usize {
        fs_err::read_dir(self.user.path().join("v1/evidence")).map_or(0, Iterator::count)
    }
}

/// The key of a witness that has never seen any of our logs: a key of type 0x04 under its own name.
pub(super) fn witness() -> String {
    let signer = LogSigner::generate("witness.example".parse().unwrap(), &mut OsRng);
    let text = signer.verifier().to_string();
    let mut key = BASE64_STANDARD.decode(text.splitn(3, '+').nth(2).unwrap()).unwrap();
    key[0] = 4;
    let id = signed_note::key_id("witness.example", &key);
    format!("witness.example+{id:08x}+{}", BASE64_STANDARD.encode(key))
}

/// A unit of this crate.
pub(super) fn unit(name: &str, crate_type: &str) -> Unit {
    unit_by_rules(name, crate_type, CALL_RULES)
}

/// A unit of this crate that was compiled by these rules.
pub(super) fn unit_by_rules(name: &str, crate_type: &str, rules: u32) -> Unit {
    let (emit, roles): (_, &[Role]) = match crate_type {
        "lib" => ("dep-info,metadata,link", &[Role::Rmeta, Role::Rlib]),
        "proc-macro" => ("dep-info,link", &[Role::ProcMacro]),
        _ => ("dep-info,link", &[Role::BuildScript]),
    };
    let document = KeyDocument {
        cap_lints: Some("allow".into()),
        cfg: vec![],
        check_cfg: vec![],
        closure: None,
        codegen: vec![],
        compiler: Compiler {
            sysroot: vec!["libstd-0.so".into()],
            verbose_version: "rustc 1.95.0\nhost: x86_64-unknown-linux-gnu\nrelease: 1.95.0\n".into(),
        },
        crate_name: name.into(),
        crate_root: "src/lib.rs".into(),
        crate_type: crate_type.into(),
        edition: Some("2021".into()),
        emit: emit.into(),
        env: BTreeMap::new(),
        externs: vec![],
        lints: vec![],
        native_libs: vec![],
        native_search: vec![],
        out_dir: None,
        package: Package {
            checksum: Digest::of(name.as_bytes()),
            name: name.parse().unwrap(),
            version: "1.0.0".parse().unwrap(),
        },
        rules,
        target: None,
        version: 1,
    }
    .to_canonical();
    let key = UnitKey::new(Digest::of(document.as_bytes()));
    let output = |role: &Role| {
        let name = role.file_name(name, key);
        let content = content(&name);
        Output {
            sha256: Digest::of(&content),
            size: content.len() as u64,
            role: *role,
            name,
        }
    };
    let manifest = Manifest {
        baseline: None,
        diagnostics: vec![],
        env_deps: vec![],
        glibc: None,
        outputs: roles.iter().map(output).collect(),
        sources: vec![],
        unit_key: key,
        version: 1,
    };
    Unit {
        plan: PlanId::new(Digest::of(format!("plan of {name}").as_bytes())),
        key,
        document,
        manifest,
    }
}

/// The content of an output: some kilobytes that depend on its name.
pub(super) fn content(name: &str) -> Vec<u8> {
    let seed = name.replace(".rlib", ".rmeta");
    let mut content: Vec<u8> = (0..200_u32)
        .flat_map(|n| *Digest::of(format!("{seed}{n}").as_bytes()).as_bytes())
        .collect();
    if name.ends_with(".rlib") {
        content.extend_from_slice(b"object code");
    }
    content
}

pub(super) fn compress(content: &[u8], prefix: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::with_ref_prefix(Vec::new(), 3, prefix).unwrap();
    encoder.set_pledged_src_size(Some(content.len() as u64)).unwrap();
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

async fn lookup(State(served): State<Arc<Mutex<Served>>>, axum::Json(request): axum::Json<LookupRequest>) -> Response {
    let mut served = served.lock().unwrap();
    served.lookups.push(request);
    match &served.lookup {
        Some(answer) => axum::Json(answer).into_response(),
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

async fn blob(State(served): State<Arc<Mutex<Served>>>, UrlPath(digest): UrlPath<String>) -> Response {
    let mut served = served.lock().unwrap();
    served.fetched.push(digest.clone());
    match served.blobs.get(&digest) {
        Some(stored) => ([(header::CONTENT_TYPE, "application/zstd")], Body::from(stored.clone())).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn bundle(State(served): State<Arc<Mutex<Served>>>, UrlPath(file): UrlPath<String>) -> Response {
    let mut served = served.lock().unwrap();
    served.fetched.push(file.clone());
    match served.bundles.get(&file) {
        Some(bundle) => ([(header::CONTENT_TYPE, "application/json")], Body::from(bundle.clone())).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn tuf(State(served): State<Arc<Mutex<Served>>>, UrlPath(path): UrlPath<String>) -> Response {
    let mut served = served.lock().unwrap();
    served.asked.push(path.clone());
    if served.endless.as_ref() == Some(&path) {
        let piece = || Some((Ok::<_, std::io::Error>(vec![b' '; 1 << 16]), ()));
        let stream = futures::stream::unfold((), move |()| std::future::ready(piece()));
        return ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(stream)).into_response();
    }
    match served.tuf.get(&path) {
        Some(bytes) => ([(header::CONTENT_TYPE, "application/json")], bytes.clone()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
