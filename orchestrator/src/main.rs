//! apim-deploy, the program.

fn main() -> std::process::ExitCode {
    apim_deploy::cli::main()
}
