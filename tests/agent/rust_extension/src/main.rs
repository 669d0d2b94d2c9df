//! An extension on AWS's own crate: what it hears goes to the file `$HEARD`, one record a line.
//! `$LISTENER` says which API: `telemetry` or `logs`; `$LISTENER_PORT` where to listen.

use lambda_extension::{service_fn, Error, Extension, LambdaLog, LambdaTelemetry, LogBuffering, SharedService};
use std::{env, fs::OpenOptions, io::Write};

fn write(line: String) -> Result<(), Error> {
    let mut file = OpenOptions::new().create(true).append(true).open(env::var("HEARD")?)?;
    file.write_all((line + "\n").as_bytes())?;
    Ok(())
}

async fn hear_telemetry(events: Vec<LambdaTelemetry>) -> Result<(), Error> {
    for event in events {
        write(serde_json::to_string(&event)?)?;
    }
    Ok(())
}

async fn hear_logs(events: Vec<LambdaLog>) -> Result<(), Error> {
    for event in events {
        write(format!("{:?}", event.record))?;
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let port = env::var("LISTENER_PORT")?.parse()?;
    let types = ["platform", "function", "extension"];
    let buffering = LogBuffering { timeout_ms: 25, max_bytes: 262_144, max_items: 1000 };
    if env::var("LISTENER")? == "logs" {
        Extension::new()
            .with_log_types(&types)
            .with_log_buffering(buffering)
            .with_log_port_number(port)
            .with_logs_processor(SharedService::new(service_fn(hear_logs)))
            .run()
            .await
    } else {
        Extension::new()
            .with_telemetry_types(&types)
            .with_telemetry_buffering(buffering)
            .with_telemetry_port_number(port)
            .with_telemetry_processor(SharedService::new(service_fn(hear_telemetry)))
            .run()
            .await
    }
}
