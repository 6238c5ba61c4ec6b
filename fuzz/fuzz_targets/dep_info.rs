//! Fuzzes [`sealift_fuzz::call::dep_info`], which owns what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sealift_fuzz::call::dep_info(data));
