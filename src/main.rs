//! The binary: hands the command line to `cli`, and the process its exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    relatch::cli::run()
}
