//! A store of static files and a web server for it, and operators that write what they like into it.
//!
//! Nothing is compiled: an audit without a sample reads no more than what is here. Must not know what is tried out.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use sealift_policy::digest::{Digest, UnitKey};
use sealift_policy::layout::ObjectPath;
use sealift_policy::leaf::Leaf;
use sealift_policy::log::{
    Checkpoint, EntryBundle, LeafIndex, LogSigner, Origin, SignedCheckpoint, TlogProof, Tree, tile,
};
use sealift_policy::manifest::{Manifest, Output, Role};
use sealift_policy::name::OperatorName;
use sealift_policy::trust::TrustPolicy;
use serde_json::{Value, json};

use crate::audit::choice::Seed;
use crate::audit::finding::Finding;
use crate::audit::record::Record;
use crate::audit::report::LookedAt;
use crate::audit::{AuditError, LogReport, Scope, audit};
use crate::object;
use crate::service::Service;

/// When everything is signed and audited.
pub(super) const NOW: u64 = 1_000_000;

/// A folder that is served, and an auditor beside it.
pub(super) struct Store {
    folder: tempfile::TempDir,
    url: String,
}

/// An operator: a log, and what it would do next.
#[derive(Clone)]
pub(super) struct Operator {
    name: OperatorName,
    pub(super) signer: LogSigner,
    tree: Tree,
    last: EntryBundle,
    pub(super) time: u64,
}

/// A unit as it was built.
#[derive(Clone)]
pub(super) struct Unit {
    pub(super) key_document: String,
    pub(super) manifest: Manifest,
    contents: Vec<Vec<u8>>,
}

/// What an audit gave.
pub(super) struct Given {
    pub(super) findings: Vec<Finding>,
    pub(super) looked_at: LookedAt,
    pub(super) logs: Vec<LogReport>,
}

impl Store {
    pub(super) fn new() -> Self {
        // In memory where that is possible: the tests are about content, and on a busy disk thousands of syncs take minutes.
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() {
            memory.to_owned()
        } else {
            std::env::temp_dir()
        };
        let folder = tempfile::Builder::new()
            .prefix("sealift-audit-")
            .tempdir_in(parent)
            .unwrap();
        let root = folder.path().join("store");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let root = root.clone();
                std::thread::spawn(move || serve(&root, &stream));
            }
        });
        Self { folder, url }
    }

    /// The file of an object.
    pub(super) fn path(&self, object: &ObjectPath) -> PathBuf {
        let relative = object.to_string();
        self.folder.path().join("store").join(relative.trim_start_matches('/'))
    }

    pub(super) fn write(&self, object: &ObjectPath, bytes: &[u8]) {
        let path = self.path(object);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, bytes).unwrap();
    }

    /// The auditor's folder.
    pub(super) fn auditor(&self) -> PathBuf {
        self.folder.path().join("auditor")
    }

    pub(super) fn audit(&self, operators: &[&Operator]) -> Given {
        self.audit_by(&policy(operators, &json!({})), |_| {}).unwrap()
    }

    pub(super) fn audit_by(&self, policy: &TrustPolicy, change: impl Fn(&mut Scope)) -> Result<Given, AuditError> {
        let record = Record::open(&self.auditor())?;
        static SERVICE: LazyLock<Service> = LazyLock::new(|| Service::new("http://localhost").unwrap());
        let service = SERVICE.at(&self.url);
        let mut scope = Scope {
            seed: Seed(7),
            outputs: usize::MAX,
            proofs: usize::MAX,
            again: false,
            now: NOW,
        };
        change(&mut scope);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let audit = runtime.block_on(audit(&service, policy, &record, scope))?;
        Ok(Given {
            findings: audit.findings,
            looked_at: audit.looked_at,
            logs: audit.logs,
        })
    }
}

impl Given {
    /// One line for each finding.
    pub(super) fn lines(&self) -> Vec<String> {
        self.findings.iter().map(Finding::to_string).collect()
    }

    /// The only finding.
    #[track_caller]
    pub(super) fn only(&self) -> &Finding {
        let [finding] = &self.findings[..] else {
            panic!("{:#?}", self.lines());
        };
        finding
    }

    #[track_caller]
    pub(super) fn assert_fine(&self) {
        assert!(self.findings.is_empty(), "{:#?}", self.lines());
        assert!(self.logs.iter().all(|log| log.complete), "{:#?}", self.logs);
    }
}

/// A policy in which these operators count, with these members besides.
pub(super) fn policy(operators: &[&Operator], members: &Value) -> TrustPolicy {
    let operator = |operator: &&Operator| json!({"name": operator.name, "logs": [{"epoch": 1, "vkey": operator.signer.verifier()}]});
    let mut document = json!({
        "version": 1,
        "operators": operators.iter().map(operator).collect::<Vec<_>>(),
        "quorum": {"host_code": 2, "library": 1},
        "max_checkpoint_age_seconds": 1000
    });
    let members = members.as_object().unwrap().clone();
    document.as_object_mut().unwrap().extend(members);
    serde_json::from_value(document).unwrap()
}

impl Operator {
    pub(super) fn new(name: &str) -> Self {
        let name: OperatorName = name.parse().unwrap();
        Self {
            signer: LogSigner::generate(Origin::of(&name, 1), &mut rand_core::OsRng),
            tree: Tree::default(),
            last: EntryBundle::default(),
            time: NOW,
            name,
        }
    }

    pub(super) fn tile(&self, path: &str) -> ObjectPath {
        ObjectPath::Tile(self.name.clone(), 1, path.to_owned())
    }

    pub(super) fn head(&self) -> ObjectPath {
        ObjectPath::Checkpoint(self.name.clone(), 1)
    }

    pub(super) fn proof(&self, key: UnitKey) -> ObjectPath {
        ObjectPath::Proof(self.name.clone(), 1, key)
    }

    pub(super) fn checkpoint(&self) -> SignedCheckpoint {
        let checkpoint = Checkpoint {
            origin: self.signer.verifier().origin().clone(),
            size: self.tree.size(),
            root: self.tree.root(),
            time: self.time,
        };
        checkpoint.sign(&self.signer).unwrap()
    }

    /// Logs the units, and writes all that a service would.
    pub(super) fn publish(&mut self, store: &Store, units: &[Unit]) {
        let first = self.tree.size().value();
        self.log(store, units.iter().map(|unit| unit.leaf().to_canonical().into_bytes()));
        for (index, unit) in (first..).zip(units) {
            unit.store(store);
            let index = LeafIndex::try_from(index).unwrap();
            let proof = TlogProof {
                index,
                proof: self.tree.inclusion(index, self.tree.size()).unwrap(),
                checkpoint: self.checkpoint(),
            };
            store.write(&self.proof(unit.key()), &proof.to_bytes());
        }
    }

    /// Logs any entries.
    pub(super) fn log(&mut self, store: &Store, entries: impl Iterator<Item = Vec<u8>>) {
        let entries: Vec<_> = entries.collect();
        let files = tile::append(&mut self.tree, self.last.clone(), entries.clone()).unwrap();
        self.last = self.last.clone().appended(entries);
        for (path, bytes) in files {
            store.write(&self.tile(&path.to_string()), &bytes);
        }
        store.write(&self.head(), self.checkpoint().as_bytes());
    }
}

impl Unit {
    /// A library: an rmeta, and an rlib that contains it.
    pub(super) fn library(name: &str) -> Self {
        let rmeta = [b"rmeta".as_slice(), name.as_bytes()].concat().repeat(300);
        let rlib = [b"!<arch>\n".as_slice(), &rmeta, name.as_bytes()].concat();
        let document = sealift_policy::canonical::to_string(&json!({
            "cap_lints": "allow", "cfg": [], "check_cfg": [], "closure": null, "codegen": [],
            "compiler": {"sysroot": ["libstd-1.so"], "verbose_version": "rustc 1.95.0"},
            "crate_name": name, "crate_root": "src/lib.rs", "crate_type": "lib", "edition": "2021",
            "emit": "dep-info,metadata,link",
            "env": {}, "externs": [], "lints": [], "native_libs": [], "native_search": [], "out_dir": null,
            "package": {"checksum": Digest::of(name.as_bytes()), "name": name, "version": "1.0.0"},
            "rules": 2, "target": null, "version": 1
        }));
        Self::of(document, name, vec![(Role::Rmeta, rmeta), (Role::Rlib, rlib)])
    }

    /// The same inputs with another output: what a liar publishes.
    pub(super) fn forged(&self) -> Self {
        let name = self.manifest.crate_name().unwrap();
        let outputs = vec![(Role::Rmeta, b"forged".to_vec()), (Role::Rlib, b"forged too".to_vec())];
        Self::of(self.key_document.clone(), name, outputs)
    }

    pub(super) fn of(key_document: String, name: &str, outputs: Vec<(Role, Vec<u8>)>) -> Self {
        let unit_key = UnitKey::new(Digest::of(key_document.as_bytes()));
        let output = |(role, content): &(Role, Vec<u8>)| Output {
            name: role.file_name(name, unit_key),
            role: *role,
            sha256: Digest::of(content),
            size: content.len() as u64,
        };
        let manifest = Manifest {
            baseline: None,
            diagnostics: vec![],
            env_deps: vec![],
            glibc: None,
            outputs: outputs.iter().map(output).collect(),
            sources: vec![],
            unit_key,
            version: 1,
        };
        let contents = outputs.into_iter().map(|(_, content)| content).collect();
        Self {
            key_document,
            manifest,
            contents,
        }
    }

    pub(super) fn key(&self) -> UnitKey {
        UnitKey::new(Digest::of(self.key_document.as_bytes()))
    }

    pub(super) fn manifest_digest(&self) -> Digest {
        Digest::of(self.manifest.to_canonical().as_bytes())
    }

    pub(super) fn leaf(&self) -> Leaf {
        Leaf::new(self.key(), self.manifest_digest())
    }

    /// Writes the objects.
    pub(super) fn store(&self, store: &Store) {
        let document = |text: &str| {
            let stored = object::compress(text.as_bytes(), None).unwrap();
            store.write(&ObjectPath::Cas(Digest::of(text.as_bytes())), &stored);
        };
        document(&self.key_document);
        document(&self.manifest.to_canonical());
        for (output, content) in self.manifest.outputs.iter().zip(&self.contents) {
            let prefix = (output.role == Role::Rlib).then(|| self.contents[0].as_slice());
            let stored = object::compress(content, prefix).unwrap();
            store.write(&ObjectPath::Cas(output.sha256), &stored);
        }
    }
}

/// One request, one answer, and the connection is closed.
fn serve(root: &Path, mut stream: &TcpStream) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let head = lines.next().unwrap_or_default();
    while lines.next().is_some_and(|line| !line.is_empty()) {}
    let path = head.split(' ').nth(1).unwrap_or_default();
    let file = fs_err::read(root.join(path.trim_start_matches('/')));
    let (status, body) = file.map_or(("404 Not Found", vec![]), |body| ("200 OK", body));
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    // Whoever hangs up has its reasons.
    let _ = stream.write_all(&[head.as_bytes(), &body].concat());
}
