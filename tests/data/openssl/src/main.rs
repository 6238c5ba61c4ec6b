//! Says which OpenSSL it is linked with, and uses it.

fn main() {
    println!("{}", openssl::version::version());
    for byte in openssl::sha::sha256(b"abc") {
        print!("{byte:02x}");
    }
    println!();
}
