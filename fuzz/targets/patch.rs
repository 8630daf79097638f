//! See `sidekey_fuzz::patch`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sidekey_fuzz::patch(bytes));
