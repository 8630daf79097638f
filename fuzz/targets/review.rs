//! See `sidekey_fuzz::review`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sidekey_fuzz::review(bytes));
