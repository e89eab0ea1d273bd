#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cograd_fuzz::try_bytes("training_examples", bytes));
