//! Harm: what a broken disk, a broken network or an attacker on the way does to a world.
//!
//! Must not know what the victim does about it.

use std::io::{Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, ensure};
use walkdir::WalkDir;

/// Every object below `/v1/cas/` in a service's folder.
///
/// # Errors
/// If there is none, which would make a test of tampering pass for nothing.
pub fn published_blobs(service_data: &Path) -> Result<Vec<PathBuf>> {
    let mut blobs = Vec::new();
    for entry in WalkDir::new(service_data) {
        let entry = entry?;
        let is_digest = entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit()));
        if entry.file_type().is_file() && is_digest && entry.path().iter().any(|part| part == "cas") {
            blobs.push(entry.into_path());
        }
    }
    ensure!(!blobs.is_empty(), "no published blob in `{}`", service_data.display());
    Ok(blobs)
}

/// Flips one bit in the middle of each file. Doing it twice restores them.
///
/// # Errors
/// If a file cannot be read or written.
pub fn flip_a_bit_in_each(files: &[PathBuf]) -> Result<()> {
    for file in files {
        let mut bytes = fs_err::read(file)?;
        let middle = bytes.len() / 2;
        if let Some(byte) = bytes.get_mut(middle) {
            *byte ^= 1;
        }
        let mut permissions = fs_err::metadata(file)?.permissions();
        if permissions.readonly() {
            std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o644);
            fs_err::set_permissions(file, permissions)?;
        }
        fs_err::write(file, bytes)?;
    }
    Ok(())
}

/// A server that accepts every connection, reads what it gets and never says a word. It lives as long as the process.
///
/// # Errors
/// If no port is free.
pub fn silent_server() -> Result<String> {
    answering_server(|_| {})
}

/// A server that gives every connection the same bytes, whatever it asks, and closes it.
///
/// # Errors
/// If no port is free.
pub fn parrot_server(answer: &'static [u8]) -> Result<String> {
    answering_server(move |stream| {
        let _ = stream.write_all(answer);
        let _ = stream.shutdown(std::net::Shutdown::Write);
    })
}

fn answering_server(answer: impl Fn(&mut TcpStream) + Clone + Send + 'static) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}", listener.local_addr()?);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let answer = answer.clone();
            std::thread::spawn(move || {
                let mut first = [0; 4096];
                let _ = stream.read(&mut first);
                answer(&mut stream);
                let _ = std::io::copy(&mut stream, &mut std::io::sink());
            });
        }
    });
    Ok(url)
}

/// A server between a user and a service that hands on the first bytes of each answer stream, over all connections
/// together, and then is silent for ever without closing anything. What the user sends is always handed on.
///
/// # Errors
/// If no port is free.
pub fn drying_proxy(service: &str, bytes: u64) -> Result<String> {
    let left = Arc::new(AtomicU64::new(bytes));
    proxy(service, move |_| Arc::clone(&left))
}

/// A server between a user and a service that hands on everything but what comes from the service on one connection,
/// counted from 0 in the order in which the user opens them: there the user waits for ever.
///
/// # Errors
/// If no port is free.
pub fn stuck_proxy(service: &str, stuck: usize) -> Result<String> {
    proxy(service, move |number| {
        Arc::new(AtomicU64::new(if number == stuck { 0 } else { u64::MAX }))
    })
}

/// Hands on as many bytes of a connection's answers as are allowed for it.
fn proxy(service: &str, allowed: impl Fn(usize) -> Arc<AtomicU64> + Send + 'static) -> Result<String> {
    let service = service.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}", listener.local_addr()?);
    std::thread::spawn(move || {
        for (number, user) in listener.incoming().flatten().enumerate() {
            let Ok(upstream) = TcpStream::connect(&service) else {
                continue;
            };
            let (Ok(mut asked), Ok(mut asks)) = (upstream.try_clone(), user.try_clone()) else {
                continue;
            };
            std::thread::spawn(move || drop(std::io::copy(&mut asks, &mut asked)));
            let left = allowed(number);
            std::thread::spawn(move || hand_on(upstream, user, &left));
        }
    });
    Ok(url)
}

fn hand_on(mut from: TcpStream, mut to: TcpStream, left: &AtomicU64) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let count = count as u64;
        let taken = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
            Some(left.saturating_sub(count))
        });
        let allowed = taken.unwrap_or_default().min(count);
        let allowed = usize::try_from(allowed).expect("no more than the buffer");
        if to.write_all(&buffer[..allowed]).is_err() || allowed < buffer.len().min(usize::try_from(count).unwrap_or(0))
        {
            break;
        }
    }
    // Neither stream is closed while the process lives: the user cannot tell that nothing more comes.
    std::mem::forget((from, to));
}
