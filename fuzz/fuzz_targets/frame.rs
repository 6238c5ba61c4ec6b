//! Fuzzes [`sealift_fuzz::stored::frame`], which owns what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sealift_fuzz::stored::frame(data));
