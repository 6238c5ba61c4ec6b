//! Servers that hang, flood, redirect, drip and lie about what they are. Each ends within the limits and without an
//! alarm: a broken network is no attack.

use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use sealift_policy::layout::ObjectPath;

use super::world::{LIMITS, World};
use crate::cargo::Network;
use crate::remote::{Remote, RemoteError};

/// A server that treats every connection like this, after it has read the request's head.
async fn server<F>(treat: impl Fn(TcpStream) -> F + Copy + Send + 'static) -> String
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = Vec::new();
                let mut piece = [0; 1024];
                while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                    match socket.read(&mut piece).await {
                        Ok(read) if read > 0 => head.extend_from_slice(&piece[..read]),
                        _ => return,
                    }
                }
                treat(socket).await;
            });
        }
    });
    url
}

/// A prefetch from this server ends in time, brings nothing, and says this.
async fn ends(url: &str, says: &str) {
    let world = World::with_units().await;
    let begin = Instant::now();
    let fetched = world.fetch_from(url).await;
    assert!(
        begin.elapsed() < LIMITS.lookup + LIMITS.downloads,
        "{says}: {:?}",
        begin.elapsed()
    );
    assert_eq!(fetched.event.fetched, 0);
    assert!(fetched.alarms.is_empty(), "{says}: {:?}", fetched.alarms);
    assert!(
        fetched.event.problems.iter().any(|problem| problem.contains(says)),
        "{says}: {:?}",
        fetched.event.problems
    );
    assert!(world.local().is_empty());
}

/// A server that gives this answer whole and closes.
async fn answering(text: &'static str) -> String {
    server(move |mut socket| async move {
        let _ = socket.write_all(text.as_bytes()).await;
        let _ = socket.shutdown().await;
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    ends(&url, "failed to reach").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_does_not_exist() {
    ends("http://sealift.invalid", "failed to reach").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_that_is_none() {
    ends("ftp://127.0.0.1", "not the URL of a store").await;
    ends("nonsense", "not the URL of a store").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_accepted_and_then_silent() {
    let url = server(|socket| async move {
        std::future::pending::<()>().await;
        drop(socket);
    })
    .await;
    ends(&url, "nothing arrived").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks() {
    let url = server(|socket| async move { drop(socket) }).await;
    ends(&url, "failed to reach").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn statuses_other_than_200() {
    ends(
        &answering("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n").await,
        "answers 500",
    )
    .await;
    ends(
        &answering("HTTP/1.1 429 Slow down\r\ncontent-length: 0\r\n\r\n").await,
        "answers 429",
    )
    .await;
    ends(
        &answering("HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n").await,
        "answers 403",
    )
    .await;
    ends(
        &answering("HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n").await,
        "is not there",
    )
    .await;
    ends(
        &answering("HTTP/1.1 206 Part\r\ncontent-length: 2\r\ncontent-type: application/json\r\n\r\n{}").await,
        "answers 206",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_not_followed() {
    let redirect = "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest\r\ncontent-length: 0\r\n\r\n";
    ends(&answering(redirect).await, "answers 302").await;
    ends(
        &answering("HTTP/1.1 308 Moved\r\nlocation: file:///etc/passwd\r\ncontent-length: 0\r\n\r\n").await,
        "answers 308",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_page_and_an_empty_answer() {
    let page = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 13\r\n\r\n<html></html>";
    ends(&answering(page).await, "answers something else: text/html").await;
    ends(
        &answering("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 0\r\n\r\n").await,
        "nothing",
    )
    .await;
    ends(
        &answering("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}").await,
        "not a lookup's",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encoding_that_was_not_asked_for() {
    let gzip =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}";
    ends(&answering(gzip).await, "encoding that was not asked for").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_content_length() {
    let short = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{}";
    ends(&answering(short).await, "failed to reach").await;
    let endless = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999999999999\r\n\r\n{";
    ends(&answering(endless).await, "longer than").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_end() {
    let url = server(|mut socket| async move {
        let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
        let _ = socket.write_all(head).await;
        let chunk = format!("{:x}\r\n{}\r\n", 1 << 20, " ".repeat(1 << 20));
        while socket.write_all(chunk.as_bytes()).await.is_ok() {}
    })
    .await;
    let world = World::with_units().await;
    let begin = Instant::now();
    let fetched = world.fetch_from(&url).await;
    assert!(begin.elapsed() < LIMITS.lookup + LIMITS.downloads);
    assert_eq!((fetched.event.fetched, fetched.event.problems.len()), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn something_that_is_not_http() {
    ends(&answering("SSH-2.0-OpenSSH_9.9\r\n").await, "failed to reach").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_without_end() {
    let url = server(|mut socket| async move {
        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\n").await;
        while socket.write_all(b"x-header: value\r\n").await.is_ok() {}
    })
    .await;
    let world = World::with_units().await;
    let fetched = world.fetch_from(&url).await;
    assert_eq!((fetched.event.fetched, fetched.event.problems.len()), (0, 1));
}

/// A server that answers the lookup honestly and treats downloads like this.
async fn with_bad_downloads(answer: &'static [u8], says: &str) {
    let world = World::with_units().await;
    let lookup = serde_json::to_vec(&world.honest()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let lookup = lookup.clone();
            tokio::spawn(async move {
                let mut head = vec![0; 64 << 10];
                let read = socket.read(&mut head).await.unwrap_or(0);
                if head[..read].starts_with(b"POST") {
                    let length = lookup.len();
                    let top = format!(
                        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
                    );
                    let _ = socket.write_all(&[top.as_bytes(), &lookup].concat()).await;
                    let _ = socket.shutdown().await;
                } else {
                    let _ = socket.write_all(answer).await;
                    // The connection stays open and silent.
                    std::future::pending::<()>().await;
                }
            });
        }
    });
    let begin = Instant::now();
    let fetched = world.fetch_from(&url).await;
    assert!(begin.elapsed() < LIMITS.lookup + LIMITS.downloads, "{says}");
    assert_eq!((fetched.event.fetched, fetched.alarms.len()), (0, 0), "{says}");
    assert!(
        fetched.event.problems.iter().any(|problem| problem.contains(says)),
        "{says}: {:?}",
        fetched.event.problems
    );
    assert!(world.local().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn downloads_that_hang_redirect_or_are_sign_in_pages() {
    with_bad_downloads(b"", "nothing arrived").await;
    with_bad_downloads(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc", "nothing arrived").await;
    with_bad_downloads(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\nabc", "longer than").await;
    with_bad_downloads(
        b"HTTP/1.1 301 Moved\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
        "answers 301",
    )
    .await;
    with_bad_downloads(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n", "answers 503").await;
    with_bad_downloads(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>",
        "text/html",
    )
    .await;
}

// A7: what a store says is repeated to people, and must do nothing to their terminals.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_s_words_hold_nothing_that_a_terminal_would_obey() {
    let text = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n\
        {\"version\":1,\"logs\":[],\"units\":[],\"plans\":[{\"version\":1,\"plan_id\":\"\\u001b[2J\\nx\",\"unit_keys\":[]}]}";
    let world = World::with_units().await;
    let problems = world.fetch_from(&answering(text).await).await.event.problems;
    assert!(problems[0].contains("[2J"), "{problems:?}");
    assert!(!problems[0].contains(char::is_control), "{problems:?}");
}

// W10: problems are written into the local store, and people paste them.
#[tokio::test(flavor = "multi_thread")]
async fn the_password_of_a_store_is_in_no_report() {
    let url = answering("HTTP/1.1 500 Oh\r\nconnection: close\r\n\r\n").await;
    let url = url.replace("http://", "http://somebody:secret@");
    let world = World::with_units().await;
    let problems = world.fetch_from(&url).await.event.problems;
    assert!(problems[0].contains("answers 500"), "{problems:?}");
    assert!(
        !problems[0].contains("secret") && !problems[0].contains("somebody"),
        "{problems:?}"
    );
}

// N4: neither does what is said nor what is not said beforehand make an answer longer.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_a_stated_end_is_read_up_to_its_limit() {
    let url = server(move |mut socket| async move {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n";
        let _ = socket.write_all(head.as_bytes()).await;
        let _ = socket.write_all(&vec![b'x'; 100 << 10]).await;
        let _ = socket.shutdown().await;
    })
    .await;
    let remote = Remote::new(&url, LIMITS, &Network::default()).unwrap();
    let path = ObjectPath::Checkpoint("alpha".parse().unwrap(), 1);
    let refused = remote.checkpoint(&path).await;
    assert!(matches!(refused, Err(RemoteError::TooLong { .. })), "{refused:?}");
}
