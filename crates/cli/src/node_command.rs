//! `vivarium node`: logs to standard error, the exit code out of how it ended.

use std::process::ExitCode;

use peer::Halt;

use crate::{LogFormat, NodeArgs};

/// Where a member gave up because its disk cannot be believed.
const HALTED: &str = "\
The files are as they were; `vivarium decode DIR` shows what they hold, and where one is damaged.
If this is one of several and a quorum of the others has the history, move dataDir's version-2 away (with
dataLogDir's) and start again: the leader sends everything. If it is the only one, restore a copy.";

pub fn run(args: NodeArgs) -> ExitCode {
    let filter = match tracing_subscriber::EnvFilter::try_new(&args.log) {
        Ok(filter) => filter,
        Err(why) => {
            eprintln!("vivarium: --log {}: {why}", args.log);
            return ExitCode::from(2);
        }
    };
    let colour = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match args.log_format {
        LogFormat::Text => log.with_ansi(colour).init(),
        LogFormat::Json => {
            log.json().flatten_event(true).with_current_span(false).with_span_list(false).init()
        }
    }
    match node::run(&node::Options { config: args.config, submit: args.submit, record: args.record }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why @ node::NodeError::Config(_)) => {
            eprintln!("vivarium: {why}");
            ExitCode::from(2)
        }
        Err(why @ node::NodeError::Halted(Halt::Disk(_))) => {
            eprintln!("vivarium: {why}\n{HALTED}");
            ExitCode::from(1)
        }
        Err(why) => {
            eprintln!("vivarium: {why}");
            ExitCode::from(1)
        }
    }
}
