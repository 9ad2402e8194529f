//! libFuzzer's entry to `fuzz::startup`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::startup::run(data));
