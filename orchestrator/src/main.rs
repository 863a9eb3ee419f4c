//! The `apim-deploy` executable.

fn main() -> std::process::ExitCode {
    apim_deploy::cli::main()
}
