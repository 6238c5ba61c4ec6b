//! Fuzzes [`sealift_fuzz::trust::trust_policy`], which owns what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sealift_fuzz::trust::trust_policy(data));
