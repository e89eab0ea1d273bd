//! Nothing but dependencies: every crate of the workspace depends on this one, and so on one set of features.
//!
//! Cargo compiles a dependency with the features that the crates being built ask for. Without this crate
//! `cargo test -p cograd-trace` asks for fewer than `cargo test --workspace`, and compiles arrow, parquet and polars
//! a second time. With it, every way of building finds what any other has compiled.
//!
//! `Cargo.toml` names small, low packages only (serde, half, regex, …), with the features that the whole workspace
//! gives them. It names neither polars nor arrow, so that no crate waits for one that it does not use. Features of
//! polars, arrow, clap and gemm are equal everywhere because `[workspace.dependencies]` says them once.
//!
//! `.ci/features` checks all this, and says what to write where.
