//! libFuzzer's entry to `fuzz::sql`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::sql::run(data));
