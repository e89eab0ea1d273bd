//! The real binary in a temporary directory: one test a behaviour that a person relies on.

mod audit;
mod bad_input;
mod command_line;
mod common;
mod comparing;
mod faults;
mod interruptions;
mod latex;
mod other_writers;
mod outputs;
mod shards;
mod watching;
mod whole_path;
