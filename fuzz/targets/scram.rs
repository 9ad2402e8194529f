//! libFuzzer's entry to `fuzz::scram`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::scram::run(data));
