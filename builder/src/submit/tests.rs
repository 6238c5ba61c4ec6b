//! Rules of submitting, against a service that is made up: it keeps sizes and bodies, nothing else.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;

use sealift_policy::digest::UnitKey;
use sealift_policy::log::Origin;
use sealift_policy::log::key::LogSigner;

use super::*;
use crate::cosign::tests::{NOW, RealWitness, witnesses as cosign_with};
use crate::data::Operator;
use crate::sequencer::Sequencer;

/// What the service has of the log, and what it was sent.
#[derive(Default)]
struct Known {
    checkpoint: Option<String>,
    /// The size that it gives when a submission does not fit.
    size: u64,
    headers: Vec<SubmissionHeader>,
    /// How many submissions it admits before it breaks.
    patience: Option<usize>,
}

/// An operator with a log of batches of these sizes, and a service.
struct Fixture {
    _folder: tempfile::TempDir,
    data: Data,
    known: Arc<Mutex<Known>>,
    service: Service,
}

fn fixture(batches: &[u64]) -> Fixture {
    fixture_with_key(batches).0
}

fn fixture_with_key(batches: &[u64]) -> (Fixture, LogSigner) {
    let folder = tempfile::tempdir().unwrap();
    let name = "alpha".parse().unwrap();
    let signer = LogSigner::generate(Origin::of(&name, 1), &mut rand_core::OsRng);
    let operator = Operator {
        version: 1,
        name,
        epoch: 1,
        vkey: signer.verifier().clone(),
    };
    let data = Data::create(&folder.path().join("data"), operator).unwrap();
    let store = FolderStore::new(&data.log(), &data.seen());
    let mut log = Sequencer::create(store, signer.clone(), 1).unwrap();
    let mut number = 0_u64;
    for (index, &batch) in batches.iter().enumerate() {
        let leaves: Vec<Leaf> = (0..batch)
            .map(|_| {
                number += 1;
                sign_nothing(&data, number)
            })
            .collect();
        log.append(&leaves, index as u64 + 2).unwrap();
    }
    (with_service(folder, data), signer)
}

/// The same operator before another service.
fn fixture_like(fixture: &Fixture) -> Fixture {
    with_service(tempfile::tempdir().unwrap(), fixture.data.clone())
}

fn with_service(folder: tempfile::TempDir, data: Data) -> Fixture {
    let known = Arc::new(Mutex::new(Known::default()));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let shared = Arc::clone(&known);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            answer(stream, &shared);
        }
    });
    Fixture {
        _folder: folder,
        data,
        known,
        service: Service::new(&url).unwrap(),
    }
}

/// A unit without outputs.
fn sign_nothing(data: &Data, number: u64) -> Leaf {
    let unit_key = UnitKey::new(Digest::of(&number.to_be_bytes()));
    let manifest = Manifest {
        baseline: None,
        diagnostics: vec![],
        env_deps: vec![],
        glibc: None,
        outputs: vec![],
        sources: vec![],
        unit_key,
        version: 1,
    };
    let record = UnitRecord {
        version: 1,
        unit_key,
        manifest: manifest.to_canonical(),
        key_document: String::new(),
        plans: vec![],
        compile_ms: 0,
        sandboxed: true,
        stored: 0,
    };
    let leaf = Leaf::new(unit_key, record.manifest_digest());
    crate::durable::write(&data.unit(unit_key), &serde_json::to_vec(&record).unwrap()).unwrap();
    leaf
}

fn answer(stream: TcpStream, known: &Mutex<Known>) {
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    let mut length = 0;
    let mut line = String::new();
    while reader.read_line(&mut line).unwrap_or(0) > 2 {
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        request.push_str(&line);
        line.clear();
    }
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let mut known = known.lock().unwrap();
    let (status, text) = if request.starts_with("POST") {
        let end = 8 + usize::try_from(u64::from_be_bytes(body[..8].try_into().unwrap())).unwrap();
        admit(&mut known, serde_json::from_slice(&body[8..end]).unwrap())
    } else {
        match &known.checkpoint {
            Some(checkpoint) => ("200 OK", checkpoint.clone()),
            None => ("404 Not Found", String::new()),
        }
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        text.len()
    );
    let _ = reader.get_mut().write_all(format!("{head}{text}").as_bytes());
}

fn admit(known: &mut Known, header: SubmissionHeader) -> (&'static str, String) {
    if header.old_size != known.size {
        return (
            "409 Conflict",
            format!("{{\"title\":\"stale\",\"size\":{}}}", known.size),
        );
    }
    if known.patience == Some(0) {
        return ("422 Unprocessable Content", "{\"title\":\"no more\"}".to_owned());
    }
    known.patience = known.patience.map(|patience| patience - 1);
    known.size += header.units.len() as u64;
    known.checkpoint = Some(header.checkpoint.clone());
    known.headers.push(header);
    (
        "200 OK",
        format!(
            "{{\"version\":1,\"operator\":\"alpha\",\"epoch\":1,\"size\":{}}}",
            known.size
        ),
    )
}

impl Fixture {
    fn submit(&self) -> Result<Summary, SubmitError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(submit_all(&self.data, &self.service, None, None, || 1000))
    }

    /// Old size and number of units of every admitted submission.
    fn admitted(&self) -> Vec<(u64, usize)> {
        let known = self.known.lock().unwrap();
        known
            .headers
            .iter()
            .map(|header| (header.old_size, header.units.len()))
            .collect()
    }
}

#[test]
fn batches_are_submitted_one_by_one_each_with_its_checkpoint() {
    let fixture = fixture(&[3, 2, 4]);
    assert_eq!(fixture.submit().unwrap().leaves, 9);
    assert_eq!(fixture.admitted(), [(0, 3), (3, 2), (5, 4)]);
    let known = fixture.known.lock().unwrap();
    for (header, size) in known.headers.iter().zip([3, 5, 9]) {
        let checkpoint = SignedCheckpoint::parse(header.checkpoint.as_bytes()).unwrap();
        assert_eq!(checkpoint.unverified().size.value(), size);
    }
}

#[test]
fn what_was_cut_off_is_continued_where_the_service_stands() {
    let fixture = fixture(&[3, 2, 4]);
    fixture.known.lock().unwrap().patience = Some(1);
    assert!(matches!(
        fixture.submit(),
        Err(SubmitError::Service(ServiceError::Refused { .. }))
    ));
    fixture.known.lock().unwrap().patience = None;
    assert_eq!(fixture.submit().unwrap().leaves, 6);
    assert_eq!(fixture.admitted(), [(0, 3), (3, 2), (5, 4)]);
}

#[test]
fn a_service_that_stands_elsewhere_than_its_checkpoint_says_is_followed() {
    let fixture = fixture(&[3, 2]);
    // A checkpoint from a cache: the service itself has the first batch already.
    fixture.known.lock().unwrap().size = 3;
    assert_eq!(fixture.submit().unwrap().leaves, 2);
    assert_eq!(fixture.admitted(), [(3, 2)]);
}

#[test]
fn nothing_is_sent_when_the_service_has_everything() {
    let fixture = fixture(&[3]);
    fixture.submit().unwrap();
    assert_eq!(
        fixture.submit().unwrap(),
        Summary {
            size: 3,
            ..Summary::default()
        }
    );
    assert_eq!(fixture.admitted().len(), 1);
}

#[test]
fn an_empty_log_announces_itself() {
    let fixture = fixture(&[]);
    assert_eq!(fixture.submit().unwrap().leaves, 0);
    assert_eq!(fixture.admitted(), [(0, 0)]);
}

#[test]
fn a_service_that_has_more_than_the_log_gets_nothing() {
    let (ahead, behind) = (fixture(&[3, 2]), fixture(&[3]));
    ahead.submit().unwrap();
    let checkpoint = ahead.known.lock().unwrap().checkpoint.clone();
    behind.known.lock().unwrap().checkpoint = checkpoint;
    assert!(matches!(
        behind.submit(),
        Err(SubmitError::Behind { published: 5, here: 3 })
    ));
    assert!(behind.admitted().is_empty());
}

#[test]
fn a_record_that_is_not_what_was_signed_is_not_sent() {
    let fixture = fixture(&[1]);
    let key = UnitKey::new(Digest::of(&1_u64.to_be_bytes()));
    let mut record = UnitRecord::read(&fixture.data, key).unwrap();
    record.manifest.push(' ');
    fs_err::write(fixture.data.unit(key), serde_json::to_vec(&record).unwrap()).unwrap();
    assert!(matches!(fixture.submit(), Err(SubmitError::Io(_))));
    assert!(fixture.admitted().is_empty());
}

/// Two witnesses, both of which are needed.
struct Pair {
    witnesses: [RealWitness; 2],
    policy: Witnesses,
}

impl Pair {
    fn of(fixture: &Fixture) -> Self {
        let log = &fixture.data.operator().vkey;
        let witnesses = ["w1", "w2"].map(|name| RealWitness::start(name, log));
        let lines = [witnesses[0].line("a"), witnesses[1].line("b")].concat();
        Self {
            policy: cosign_with(&format!("{lines}group both all a b\nquorum both\n")),
            witnesses,
        }
    }
}

impl Fixture {
    fn submit_to(&self, pair: &Pair) -> Summary {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let submitted = submit_all(&self.data, &self.service, Some(&pair.policy), None, || NOW);
        runtime.block_on(submitted).unwrap()
    }

    /// The sizes of all heads that the service was given; each must have had enough cosignatures.
    fn cosigned_heads(&self, pair: &Pair) -> Vec<u64> {
        let known = self.known.lock().unwrap();
        let heads = known.headers.iter().map(|header| {
            let head = SignedCheckpoint::parse(header.checkpoint.as_bytes()).unwrap();
            let head = head.verify(&self.data.operator().vkey).unwrap();
            assert!(pair.policy.is_met(&head, NOW));
            head.size().value()
        });
        heads.collect()
    }

    fn append(&self, key: &LogSigner, leaves: std::ops::Range<u64>, time: u64) {
        let store = FolderStore::new(&self.data.log(), &self.data.seen());
        let leaves: Vec<Leaf> = leaves.map(|number| sign_nothing(&self.data, number)).collect();
        Sequencer::open(store, key.clone())
            .unwrap()
            .append(&leaves, time)
            .unwrap();
    }
}

#[test]
fn every_head_that_is_submitted_has_the_quorum() {
    let fixture = fixture(&[3, 2, 4]);
    let pair = Pair::of(&fixture);
    let summary = fixture.submit_to(&pair);
    assert_eq!((summary.leaves, summary.withheld), (9, None));
    assert_eq!(fixture.cosigned_heads(&pair), [3, 5, 9]);
}

#[test]
fn b12_without_a_witness_the_last_cosigned_head_stays_and_the_next_run_goes_on() {
    let (fixture, key) = fixture_with_key(&[3]);
    let mut pair = Pair::of(&fixture);
    fixture.submit_to(&pair);
    let log = fixture.data.operator().vkey.clone();
    pair.witnesses[1].stop();
    for round in 0..2 {
        fixture.append(&key, 100 + 2 * round..102 + 2 * round, 10 + round);
        let summary = fixture.submit_to(&pair);
        let withheld = summary.withheld.unwrap();
        assert_eq!((summary.leaves, summary.size, withheld.size), (0, 3, 5));
        assert!(
            withheld.problems[0].starts_with("witness `w2`: it cannot be reached"),
            "{withheld:?}"
        );
        assert_eq!(fixture.cosigned_heads(&pair), [3]);
        // Nobody is shown a head before the one in front of it is published.
        assert_eq!(pair.witnesses[0].seen(&log), Some(5));
    }
    pair.witnesses[1].start_again(&log);
    let summary = fixture.submit_to(&pair);
    assert_eq!((summary.leaves, summary.withheld), (4, None));
    assert_eq!(fixture.cosigned_heads(&pair), [3, 5, 7]);
}

#[test]
fn heads_that_a_witness_has_gone_past_are_submitted_together_with_later_ones() {
    let (fixture, key) = fixture_with_key(&[3]);
    let mut pair = Pair::of(&fixture);
    fixture.append(&key, 100..102, 10);
    fixture.append(&key, 102..106, 11);
    // One witness has cosigned the second of three heads, for another service say.
    let only_one = cosign_with(&format!("{}quorum a\n", pair.witnesses[0].line("a")));
    let elsewhere = fixture_like(&fixture);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    elsewhere.known.lock().unwrap().patience = Some(2);
    let cut = runtime.block_on(submit_all(
        &elsewhere.data,
        &elsewhere.service,
        Some(&only_one),
        None,
        || NOW,
    ));
    assert!(cut.is_err());
    assert_eq!(
        pair.witnesses[0].seen(&fixture.data.operator().vkey),
        Some(9),
        "shown, and refused by that service"
    );
    let summary = fixture.submit_to(&pair);
    assert_eq!((summary.leaves, summary.withheld), (9, None));
    assert_eq!(fixture.cosigned_heads(&pair), [9]);
    pair.witnesses[0].stop();
}

#[test]
fn b11_a_log_restored_from_a_backup_is_not_cosigned_even_where_nobody_else_remembers() {
    let (fixture, key) = fixture_with_key(&[3]);
    let pair = Pair::of(&fixture);
    let backup = tempfile::tempdir().unwrap();
    copy(fixture.data.root(), backup.path());
    fixture.append(&key, 100..104, 10);
    fixture.submit_to(&pair);
    // The service has lost everything, and so has the file beside the key.
    *fixture.known.lock().unwrap() = Known::default();
    fs_err::remove_dir_all(fixture.data.root()).unwrap();
    copy(backup.path(), fixture.data.root());
    let summary = fixture.submit_to(&pair);
    let said = summary.withheld.unwrap().problems.concat();
    assert!(said.contains("restored from an older backup"), "{said}");
    // Grown again, with other leaves: a fork.
    fixture.append(&key, 200..206, 12);
    let summary = fixture.submit_to(&pair);
    let said = summary.withheld.unwrap().problems.concat();
    assert!(said.contains("restored from an older backup"), "{said}");
    assert!(fixture.admitted().is_empty());
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry.unwrap();
        let target = to.join(entry.path().strip_prefix(from).unwrap());
        if entry.file_type().is_dir() {
            fs_err::create_dir_all(&target).unwrap();
        } else {
            fs_err::copy(entry.path(), &target).unwrap();
        }
    }
}
