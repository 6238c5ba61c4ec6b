//! The program `sealift-service`. See [`sealift_service::cli`].

fn main() -> std::process::ExitCode {
    sealift_service::cli::main()
}
