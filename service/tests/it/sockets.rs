//! The program itself: real sockets, real processes, real kills.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::json;

use crate::operator::{Operator, library, policy_document, proc_macro};

pub(crate) struct Process {
    child: Child,
    address: String,
}

impl Process {
    pub(crate) fn start(data: &Path) -> Self {
        let mut child = program()
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line
            .trim()
            .strip_prefix("listening on http://")
            .expect(&line)
            .to_owned();
        Self { child, address }
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sends a request head and a body, and returns the whole answer.
    pub(crate) fn ask(&self, head: &str, body: &[u8]) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length = body.len();
        write!(
            stream,
            "{head} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
        )
        .unwrap();
        _ = stream.write_all(body);
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_sealift-service"))
}

pub(crate) fn data(operators: &[&Operator]) -> tempfile::TempDir {
    let data = crate::world::folder();
    fs_err::write(data.path().join("service.toml"), "trust_policy = \"policy.json\"\n").unwrap();
    fs_err::write(data.path().join("policy.json"), policy_document(operators).to_string()).unwrap();
    data
}

fn fsck(data: &Path) -> Output {
    program().args(["fsck", "--json", "--data"]).arg(data).output().unwrap()
}

#[test]
fn b9_a_killed_process_loses_nothing_that_it_acknowledged() {
    let mut alpha = Operator::new("alpha");
    let data = data(&[&alpha]);
    let first = alpha.submit(&[library("first")]).body();
    let process = Process::start(data.path());
    assert!(process.ask("POST /v1/submit", &first).starts_with("HTTP/1.1 200"));
    process.kill();
    let second = alpha.submit(&[library("second"), proc_macro("third")]).body();
    for cut in [5, 500, second.len() / 2, second.len() - 1] {
        let process = Process::start(data.path());
        let mut stream = TcpStream::connect(&process.address).unwrap();
        write!(
            stream,
            "POST /v1/submit HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
            second.len()
        )
        .unwrap();
        stream.write_all(&second[..cut]).unwrap();
        process.kill();
        let report = fsck(data.path());
        assert!(report.status.success(), "{}", String::from_utf8_lossy(&report.stdout));
    }
    let process = Process::start(data.path());
    let answer = process.ask("POST /v1/submit", &second);
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("\"size\":3"),
        "{answer}"
    );
    process.kill();
    let process = Process::start(data.path());
    let answer = process.ask(&format!("GET /v1/unit/{}.json", library("second").key()), b"");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    drop(process);
    let report = fsck(data.path());
    let report: serde_json::Value = serde_json::from_slice(&report.stdout).unwrap();
    assert_eq!((&report["findings"], &report["notes"]), (&json!([]), &json!([])));
}

/// The process is killed as soon as a step of the publication can be seen from outside; every step gets its turn.
#[test]
fn b9_a_process_killed_at_any_step_of_a_publication_goes_on_at_the_next_start() {
    let mut alpha = Operator::new("alpha");
    let units: Vec<_> = (0..60).map(|unit| library(&format!("u{unit}"))).collect();
    let first = alpha.submit(&units[..1]).body();
    let second = alpha.submit(&units[1..]).body();
    let key = units[30].key();
    for step in [
        "tmp".to_owned(),
        format!("v1/cas/{}", units[30].manifest.outputs[1].sha256),
        format!("v1/cas/{key}"),
        "v1/log/alpha/1/tile/entries/000.p/60".to_owned(),
        "journal/alpha.1.60".to_owned(),
        format!("v1/proof/alpha/1/{key}.tlog-proof"),
        format!("v1/unit/{key}.json"),
        "v1/plan".to_owned(),
    ] {
        let data = data(&[&alpha]);
        let process = Process::start(data.path());
        assert!(process.ask("POST /v1/submit", &first).starts_with("HTTP/1.1 200"));
        let target = data.path().join(&step);
        let entries = |path: &Path| fs_err::read_dir(path).map_or(0, Iterator::count);
        let before = entries(&target);
        let mut stream = TcpStream::connect(&process.address).unwrap();
        write!(
            stream,
            "POST /v1/submit HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
            second.len()
        )
        .unwrap();
        stream.write_all(&second).unwrap();
        stream.set_nonblocking(true).unwrap();
        // A folder counts as changed when something is added to it. A step that is over too soon to be seen ends with
        // the answer.
        let answered = || stream.peek(&mut [0]).is_ok();
        while !(target.is_file() || (target.is_dir() && entries(&target) > before) || answered()) {
            std::thread::yield_now();
        }
        process.kill();
        let process = Process::start(data.path());
        let report = fsck(data.path());
        assert!(
            report.status.success(),
            "{step}: {}",
            String::from_utf8_lossy(&report.stdout)
        );
        let answer = process.ask("POST /v1/submit", &second);
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.contains("\"size\":60"),
            "{step}: {answer}"
        );
        let report: serde_json::Value = serde_json::from_slice(&fsck(data.path()).stdout).unwrap();
        assert_eq!(
            (&report["findings"], &report["notes"]),
            (&json!([]), &json!([])),
            "{step}"
        );
    }
}

#[test]
fn http_2_works_with_prior_knowledge() {
    let alpha = Operator::new("alpha");
    let data = data(&[&alpha]);
    let process = Process::start(data.path());
    let url = format!("http://{}/healthz", process.address);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (version, text) = runtime.block_on(async {
        let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
        let answer = client.get(url).send().await.unwrap();
        (answer.version(), answer.text().await.unwrap())
    });
    assert_eq!((version, text.as_str()), (reqwest::Version::HTTP_2, "ok\n"));
}

#[test]
fn a_refused_submission_is_answered_although_its_body_is_not_wanted() {
    let (alpha, mut stranger) = (Operator::new("alpha"), Operator::new("gamma"));
    let data = data(&[&alpha]);
    let process = Process::start(data.path());
    let units: Vec<_> = (0..200).map(|unit| library(&format!("u{unit}"))).collect();
    let body = stranger.submit(&units).body();
    let answer = process.ask("POST /v1/submit", &body);
    assert!(
        answer.starts_with("HTTP/1.1 403") && answer.contains("unknown-operator"),
        "{answer}"
    );
}

#[test]
fn one_process_serves_a_folder_and_asked_to_stop_it_stops() {
    let alpha = Operator::new("alpha");
    let data = data(&[&alpha]);
    let mut process = Process::start(data.path());
    let second = program()
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(data.path())
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&second.stderr).contains("in use by another process"));
    Command::new("kill")
        .arg("-TERM")
        .arg(process.child.id().to_string())
        .status()
        .unwrap();
    assert_eq!(process.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a8_a_program_without_its_trust_policy_does_not_start() {
    let alpha = Operator::new("alpha");
    let data = data(&[&alpha]);
    fs_err::remove_file(data.path().join("policy.json")).unwrap();
    for command in ["serve", "fsck", "mirror"] {
        let mut program = program();
        program.arg(command).arg("--data").arg(data.path());
        match command {
            "serve" => program.args(["--listen", "127.0.0.1:0"]),
            "mirror" => program.args(["--from", "http://127.0.0.1:9"]),
            _ => &mut program,
        };
        let output = program.output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{command}");
        assert!(
            String::from_utf8_lossy(&output.stderr).contains("policy.json"),
            "{command}"
        );
    }
}

#[test]
fn fsck_says_by_its_exit_code_what_it_found() {
    let mut alpha = Operator::new("alpha");
    let data = data(&[&alpha]);
    let process = Process::start(data.path());
    assert!(
        process
            .ask("POST /v1/submit", &alpha.submit(&[library("first")]).body())
            .starts_with("HTTP/1.1 200")
    );
    drop(process);
    assert_eq!(fsck(data.path()).status.code(), Some(0));
    let path = format!("v1/cas/{}", library("first").manifest.outputs[1].sha256);
    fs_err::write(data.path().join(&path), "x").unwrap();
    let report = program().args(["fsck", "--data"]).arg(data.path()).output().unwrap();
    assert_eq!(report.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&report.stdout).contains(&path));
    assert_eq!(
        program()
            .args(["fsck", "--data", "/nonexistent"])
            .output()
            .unwrap()
            .status
            .code(),
        Some(2)
    );
}
