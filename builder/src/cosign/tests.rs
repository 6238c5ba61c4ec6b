//! Real witnesses over loopback, and ones that lie.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;

use sealift_policy::digest::{Digest, UnitKey};
use sealift_policy::leaf::Leaf;
use sealift_policy::log::cosignature::WitnessSigner;
use sealift_policy::log::{Checkpoint, LogSigner, Tree, TreeHash};

use super::*;
use crate::log_store::FolderStore;
use crate::sequencer::Sequencer;
use crate::witness::Witness;
use crate::witness::data::WitnessData;
use crate::witness::serve::router;

/// The time of all tests.
pub(crate) const NOW: u64 = 1000;

/// A witness as `sealift-builder witness` runs it, on a port that it keeps.
#[derive(Debug)]
pub(crate) struct RealWitness {
    folder: tempfile::TempDir,
    pub(crate) key: WitnessSigner,
    port: u16,
    running: Option<tokio::runtime::Runtime>,
}

impl RealWitness {
    pub(crate) fn start(name: &str, log: &LogVerifier) -> Self {
        let mut witness = Self {
            folder: tempfile::tempdir().unwrap(),
            key: WitnessSigner::generate(name.parse().unwrap(), &mut rand_core::OsRng),
            port: 0,
            running: None,
        };
        witness.start_again(log);
        witness
    }

    pub(crate) fn start_again(&mut self, log: &LogVerifier) {
        let logs = format!("log {log}\n").parse().unwrap();
        let data = WitnessData::open(self.folder.path()).unwrap();
        let witness = Arc::new(Witness::new(data, self.key.clone(), logs).unwrap());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = TcpListener::bind(("127.0.0.1", self.port)).unwrap();
        listener.set_nonblocking(true).unwrap();
        self.port = listener.local_addr().unwrap().port();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, router(witness, || NOW)).await.unwrap();
        });
        self.running = Some(runtime);
    }

    pub(crate) fn stop(&mut self) {
        self.running = None;
    }

    /// Its line in a witness policy.
    pub(crate) fn line(&self, name: &str) -> String {
        format!(
            "witness {name} {} http://127.0.0.1:{}/\n",
            self.key.verifier(),
            self.port
        )
    }

    /// The size that it has seen of a log.
    pub(crate) fn seen(&self, log: &LogVerifier) -> Option<u64> {
        let hash = crate::witness::data::origin_hash(log.origin());
        let head = fs_err::read(self.folder.path().join("heads").join(hash)).ok()?;
        let head = sealift_policy::log::SignedCheckpoint::parse(&head).unwrap();
        Some(head.unverified().size.value())
    }
}

pub(crate) fn witnesses(policy: &str) -> Witnesses {
    Witnesses::new(vec![policy.parse().unwrap()], Duration::from_secs(10)).unwrap()
}

/// A witness that gives every request this answer.
fn liar(key: &WitnessSigner, answer: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream);
            let (mut line, mut length) = (String::new(), 0);
            while reader.read_line(&mut line).unwrap_or(0) > 2 {
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            let _ = reader.read_exact(&mut body);
            let _ = reader.get_mut().write_all(answer.as_bytes());
        }
    });
    format!("witness liar {} http://127.0.0.1:{port}\n", key.verifier())
}

fn answer(status: &str, text: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{text}",
        text.len()
    )
}

struct Fixture {
    _folder: tempfile::TempDir,
    key: LogSigner,
    contents: LogContents,
}

fn log(name: &str, leaves: u64) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let key = LogSigner::generate(name.parse().unwrap(), &mut rand_core::OsRng);
    let seen: PathBuf = folder.path().join("seen");
    let store = FolderStore::new(&folder.path().join("log"), &seen);
    let mut log = Sequencer::create(store, key.clone(), 1).unwrap();
    let leaf = |number: u64| Leaf::new(UnitKey::new(Digest::of(&number.to_be_bytes())), Digest::of(b"manifest"));
    log.append(&(0..leaves).map(leaf).collect::<Vec<_>>(), 2).unwrap();
    Fixture {
        contents: log.contents().clone(),
        key,
        _folder: folder,
    }
}

impl Fixture {
    fn head(&self) -> VerifiedCheckpoint {
        self.contents.head().clone()
    }

    fn cosign(&self, witnesses: &Witnesses, seen: &mut SeenSizes) -> Cosigned {
        self.cosign_head(witnesses, self.head(), seen)
    }

    fn cosign_head(&self, witnesses: &Witnesses, head: VerifiedCheckpoint, seen: &mut SeenSizes) -> Cosigned {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let log = Log {
            key: self.key.verifier(),
            contents: &self.contents,
        };
        runtime.block_on(witnesses.cosign(log, head, seen, NOW))
    }
}

fn size(value: u64) -> TreeSize {
    value.try_into().unwrap()
}

#[test]
fn witnesses_are_asked_from_the_sizes_that_they_name() {
    let log = log("log", 7);
    let [one, two] = ["w1", "w2"].map(|name| RealWitness::start(name, log.key.verifier()));
    let witnesses = witnesses(&format!(
        "{}{}group all-of-them all a b\nquorum all-of-them\n",
        one.line("a"),
        two.line("b")
    ));
    // One is believed to have seen a part of the log that it has not; of the other nothing is known.
    let mut seen = SeenSizes::from([("w1".parse().unwrap(), size(5))]);
    let cosigned = log.cosign(&witnesses, &mut seen);
    assert!(
        cosigned.is_met && cosigned.problems.is_empty(),
        "{:?}",
        cosigned.problems
    );
    assert!(witnesses.is_met(&cosigned.head, NOW) && !witnesses.is_met(&log.head(), NOW));
    assert_eq!(
        [one.seen(log.key.verifier()), two.seen(log.key.verifier())],
        [Some(7), Some(7)]
    );
    assert_eq!(seen.values().copied().collect::<Vec<_>>(), [size(7), size(7)]);
    assert!(log.cosign(&witnesses, &mut seen).is_met, "the same head again");
}

#[test]
fn t17_what_a_lying_witness_answers_never_gets_into_a_head() {
    let log = log("log", 7);
    let own = WitnessSigner::generate("w1".parse().unwrap(), &mut rand_core::OsRng);
    let namesake = WitnessSigner::generate("w1".parse().unwrap(), &mut rand_core::OsRng);
    let other = Checkpoint {
        time: 3,
        ..log.head().checkpoint().clone()
    };
    let other = other.sign(&log.key).unwrap().verify(log.key.verifier()).unwrap();
    let line = |signer: &WitnessSigner, head: &VerifiedCheckpoint, time| signer.cosign(head, time).unwrap();
    let good = line(&own, &log.head(), NOW);
    let another_time = {
        // The key id and the time are the first twelve bytes: the signature of one line under the time of another.
        let (early, late) = (good.clone(), line(&own, &log.head(), NOW + 4096));
        let at = early.rfind(' ').unwrap() + 1 + 16;
        format!("{}{}", &late[..at], &early[at..])
    };
    let own_log_line = String::from_utf8(log.head().as_bytes().to_vec()).unwrap();
    let own_log_line = own_log_line.lines().last().unwrap().replace("log ", "log A") + "\n";
    for lie in [
        answer("200 OK", ""),
        answer("200 OK", "fine\n"),
        answer("200 OK", &line(&namesake, &log.head(), NOW)),
        answer("200 OK", &line(&own, &other, NOW)),
        answer("200 OK", &line(&own, &log.head(), NOW + CLOCK_TOLERANCE + 1)),
        answer("200 OK", &another_time),
        answer("200 OK", &format!("{good}{another_time}")),
        answer("200 OK", &format!("\n{good}")),
        answer("200 OK", &own_log_line),
        answer("200 OK", &good.repeat(1000)),
        answer("409 Conflict", "seven\n"),
        answer("409 Conflict", "7"),
        answer("409 Conflict", "3\n"),
        answer("409 Conflict", "9\n"),
        answer("422 Unprocessable Content", &good),
        answer("404 Not Found", &good),
        answer("302 Found", &good),
        "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n".to_owned(),
        String::new(),
    ] {
        let witnesses = witnesses(&format!("{}quorum liar\n", liar(&own, lie.clone())));
        let cosigned = log.cosign(&witnesses, &mut SeenSizes::new());
        assert!(!cosigned.is_met, "{lie}");
        assert_eq!(cosigned.head.as_bytes(), log.head().as_bytes(), "{lie}");
        assert_eq!(cosigned.problems.len(), 1, "{lie}");
    }
    // The same witness when it tells the truth, with other lines around it.
    let noisy = format!("{}{good}", line(&namesake, &log.head(), NOW));
    let honest = witnesses(&format!("{}quorum liar\n", liar(&own, answer("200 OK", &noisy))));
    let cosigned = log.cosign(&honest, &mut SeenSizes::new());
    assert!(cosigned.is_met);
    assert_eq!(
        cosigned.head.as_bytes(),
        [log.head().as_bytes(), good.as_bytes()].concat()
    );
}

#[test]
fn b12_a_silent_witness_costs_the_budget_at_most_and_little_once_there_are_enough() {
    let log = log("log", 3);
    let real = RealWitness::start("w1", log.key.verifier());
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let key = WitnessSigner::generate("w2".parse().unwrap(), &mut rand_core::OsRng);
    let line = format!("witness s {} http://{}\n", key.verifier(), silent.local_addr().unwrap());
    for (quorum, is_met) in [("s", false), ("a", true)] {
        let policy = format!("{}{line}quorum {quorum}\n", real.line("a"));
        let mut witnesses = witnesses(&policy);
        witnesses.budget = Duration::from_millis(300);
        let cosigned = log.cosign(&witnesses, &mut SeenSizes::new());
        assert_eq!(cosigned.is_met, is_met);
        assert!(matches!(&cosigned.problems[..], [(_, AskError::Late)]));
        assert!(real.key.verifier().cosigned(&cosigned.head).is_ok());
    }
}

#[test]
fn b11_a_witness_that_has_seen_more_or_something_else_says_so() {
    let (long, short) = (log("log", 9), log("log", 4));
    let witness = RealWitness::start("w1", long.key.verifier());
    let policy = witnesses(&format!("{}quorum a\n", witness.line("a")));
    assert!(long.cosign(&policy, &mut SeenSizes::new()).is_met);
    // The same key, an older state of the log.
    let restored = Fixture {
        key: long.key.clone(),
        contents: {
            let folder = tempfile::tempdir().unwrap();
            let store = FolderStore::new(folder.path(), &folder.path().join("seen"));
            Sequencer::create(store, long.key, 1).unwrap().contents().clone()
        },
        _folder: tempfile::tempdir().unwrap(),
    };
    let cosigned = restored.cosign(&policy, &mut SeenSizes::new());
    assert!(!cosigned.is_met && cosigned.ahead.is_none());
    assert!(
        matches!(&cosigned.problems[..], [(_, AskError::LogIsOlder { .. })]),
        "{:?}",
        cosigned.problems
    );
    // Another key: a log that it does not know.
    let unknown = short.cosign(&policy, &mut SeenSizes::new());
    assert!(matches!(&unknown.problems[..], [(_, AskError::Refused { status, .. })] if status.as_u16() == 403));
}

#[test]
fn b11_a_size_that_a_witness_made_up_counts_only_as_far_as_it_would_help() {
    let log = log("log", 9);
    let leaves = log.contents.leaves()[..3].iter();
    let first_three = Tree::of(leaves.map(|leaf| TreeHash::of_leaf(leaf.to_canonical().as_bytes()))).unwrap();
    let head = Checkpoint {
        size: size(3),
        root: first_three.root(),
        ..log.head().checkpoint().clone()
    };
    let head = head.sign(&log.key).unwrap().verify(log.key.verifier()).unwrap();
    let [liar_key, other_key] =
        ["w1", "w2"].map(|name| WitnessSigner::generate(name.parse().unwrap(), &mut rand_core::OsRng));
    let ahead = |quorum: &str, others: &str| {
        let policy = format!(
            "{}{others}group {quorum} {quorum} liar other\nquorum {quorum}\n",
            liar(&liar_key, answer("409 Conflict", "9\n"))
        );
        let mut witnesses = witnesses(&policy);
        witnesses.budget = Duration::from_millis(500);
        let cosigned = log.cosign_head(&witnesses, head.clone(), &mut SeenSizes::new());
        assert!(!cosigned.is_met);
        cosigned.ahead
    };
    // The other one is not there.
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = format!("witness other {} http://{dead}\n", other_key.verifier());
    assert_eq!(ahead("any", &silent), Some(size(9)));
    assert_eq!(ahead("all", &silent), None);
    // Of two that are ahead the smaller size is asked for first, if it is enough.
    let at_5 = liar(&other_key, answer("409 Conflict", "5\n")).replacen("liar", "other", 1);
    assert_eq!(ahead("any", &at_5), Some(size(5)));
    let at_5 = liar(&other_key, answer("409 Conflict", "5\n")).replacen("liar", "other", 1);
    assert_eq!(ahead("all", &at_5), Some(size(9)));
}

#[test]
fn all_policies_must_be_met_and_a_witness_of_both_is_asked_once() {
    let log = log("log", 3);
    let [one, two] = ["w1", "w2"].map(|name| RealWitness::start(name, log.key.verifier()));
    let bare = one.line("a").replace(&format!(" http://127.0.0.1:{}/", one.port), "");
    let trust: WitnessPolicy = format!("{bare}quorum a\n").parse().unwrap();
    let own: WitnessPolicy = format!("{}{}quorum b\n", one.line("x"), two.line("b")).parse().unwrap();
    let budget = Duration::from_secs(10);
    let both = Witnesses::new(vec![trust.clone(), own], budget).unwrap();
    assert_eq!(both.asked.len(), 2);
    let cosigned = log.cosign(&both, &mut SeenSizes::new());
    assert!(
        cosigned.is_met && cosigned.problems.is_empty(),
        "{:?}",
        cosigned.problems
    );
    let alone = Witnesses::new(vec![trust], budget).unwrap();
    let cosigned = log.cosign(&alone, &mut SeenSizes::new());
    assert!(matches!(&cosigned.problems[..], [(_, AskError::NoUrl)]));
    assert!(
        Witnesses::new(
            vec![
                format!("{bare} ftp://x\nquorum none\n")
                    .replace("\n ", " ")
                    .parse()
                    .unwrap()
            ],
            budget
        )
        .is_err()
    );
}
