//! libFuzzer's entry to `fuzz::ini`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::ini::run(data));
