//! See `sidekey_fuzz::annotations`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sidekey_fuzz::annotations(bytes));
