//! Says the SHA-256 of `abc`, by code that is not Rust.

fn main() {
    let digest = ring::digest::digest(&ring::digest::SHA256, b"abc");
    println!("{digest:?}");
}
