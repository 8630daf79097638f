//! See `sidekey_fuzz::settings`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sidekey_fuzz::settings(bytes));
