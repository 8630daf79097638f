//! See `sidekey_fuzz::template`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sidekey_fuzz::template(bytes));
