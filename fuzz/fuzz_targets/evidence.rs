//! Fuzzes [`sealift_fuzz::log::evidence`], which owns what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sealift_fuzz::log::evidence(data));
