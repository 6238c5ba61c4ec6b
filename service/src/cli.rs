//! The command line.
//!
//! Owns the arguments, the exit codes, and what goes to standard output. Must not know how anything is done.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use tokio::net::TcpListener;

use crate::app::App;
use crate::store::fs::FsStore;
use crate::{config, fsck, mirror, router};

/// The catalogue's file below the data folder.
const CATALOGUE: &str = "catalogue.sqlite";

/// The one environment variable: which events go to standard error, as `tracing` directives (`info`,
/// `sealift_service=debug`). Warnings and errors without it.
const LOG: &str = "SEALIFT_LOG";

/// The public store of Sealift.
#[derive(Debug, Parser)]
#[command(name = "sealift-service", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves the store and admits what the operators of the trust policy submit
    Serve(Serve),
    /// Copies another service's store, verifying everything
    Mirror(Mirror),
    /// Checks the whole store; exit code 1 if something is wrong
    Fsck(Fsck),
}

/// Where the store lies and who is believed.
#[derive(Debug, Args)]
struct Data {
    /// The folder of the store
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The configuration file (default: `service.toml` in the data folder, if there)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Serve {
    #[command(flatten)]
    data: Data,
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    listen: SocketAddr,
}

#[derive(Debug, Args)]
struct Mirror {
    #[command(flatten)]
    data: Data,
    /// The service to copy from
    #[arg(long, value_name = "URL")]
    from: String,
}

#[derive(Debug, Args)]
struct Fsck {
    #[command(flatten)]
    data: Data,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    /// As asked.
    Done = 0,
    /// The store has something wrong in it.
    Findings = 1,
    /// The program could not do it.
    Failed = 2,
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let log = tracing_subscriber::EnvFilter::builder()
        .with_default_directive(tracing::Level::WARN.into())
        .with_env_var(LOG)
        .from_env_lossy();
    tracing_subscriber::fmt()
        .with_env_filter(log)
        .with_writer(std::io::stderr)
        .init();
    let exit = run(cli).unwrap_or_else(|error| {
        say(&mut std::io::stderr(), &format!("error: {error:#}"));
        Exit::Failed
    });
    ExitCode::from(exit as u8)
}

fn run(cli: Cli) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match cli.command {
        Command::Serve(serve) => runtime.block_on(self::serve(serve)).map(|()| Exit::Done),
        Command::Mirror(mirror) => {
            let copied = runtime.block_on(copy(&mirror))?;
            say(&mut std::io::stdout(), &copied.to_string());
            Ok(Exit::Done)
        }
        Command::Fsck(fsck) => {
            let trust = config::trust(fsck.data.config.as_deref(), &fsck.data.data);
            let report = fsck::run(&fsck.data.data, runtime.block_on(trust)?.policy.as_ref())?;
            let text = if fsck.json {
                report.to_json()
            } else {
                report.to_string()
            };
            say(&mut std::io::stdout(), text.trim_end());
            Ok(if report.is_sound() { Exit::Done } else { Exit::Findings })
        }
    }
}

/// Copies the repository of trust first: it may name the operators whose logs are copied then.
async fn copy(mirror: &Mirror) -> anyhow::Result<mirror::Copied> {
    let data = &mirror.data;
    let mut files = 0;
    if let Some(root) = config::root(data.config.as_deref(), &data.data)? {
        let store = FsStore::open(&data.data).with_context(|| format!("failed to open `{}`", data.data.display()))?;
        files = mirror::trust(&store, &root, &mirror.from).await?;
    }
    let copied = mirror::run(Arc::new(open(data).await?), &mirror.from).await?;
    Ok(mirror::Copied { files, ..copied })
}

async fn open(data: &Data) -> anyhow::Result<App> {
    let policy = config::trust(data.config.as_deref(), &data.data).await?.policy;
    let store = FsStore::open(&data.data).with_context(|| format!("failed to open `{}`", data.data.display()))?;
    Ok(App::open(Box::new(store), &data.data.join(CATALOGUE), policy.as_ref())?)
}

async fn serve(serve: Serve) -> anyhow::Result<()> {
    let app = Arc::new(open(&serve.data).await?);
    if app.logs().next().is_none() {
        tracing::warn!("no operator is configured: nobody is admitted");
    }
    let listener = TcpListener::bind(serve.listen)
        .await
        .with_context(|| format!("failed to listen on {}", serve.listen))?;
    say(
        &mut std::io::stdout(),
        &format!("listening on http://{}", listener.local_addr()?),
    );
    axum::serve(listener, router::router(app))
        .with_graceful_shutdown(asked_to_stop())
        .await?;
    Ok(())
}

/// Until SIGTERM or Ctrl-C. Requests in flight are answered.
async fn asked_to_stop() {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .expect("a signal handler can be installed before any request");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// Writes a line. Whoever closed the pipe does not want it.
fn say(out: &mut impl std::io::Write, line: &str) {
    _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
