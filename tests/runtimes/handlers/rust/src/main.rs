//! The handler of the suite, in Rust: one deed an event, the same in every language.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lambda_runtime::streaming::{channel, Body, Response};
use lambda_runtime::{run, service_fn, Context, Diagnostic, FunctionResponse, LambdaEvent};
use serde_json::{json, Value};

static TICKS: AtomicU64 = AtomicU64::new(0);

/// What goes wrong in a deed, as AWS's client wants to be told.
#[derive(Debug)]
struct Broken(String);

impl From<Broken> for Diagnostic {
    fn from(broken: Broken) -> Diagnostic {
        Diagnostic { error_type: "Broken".into(), error_message: broken.0 }
    }
}

impl From<std::io::Error> for Broken {
    fn from(error: std::io::Error) -> Broken {
        Broken(error.to_string())
    }
}

fn context_of(context: &Context) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    json!({
        "requestId": context.request_id,
        "remainingMs": context.deadline as i64 - now,
        "functionName": context.env_config.function_name,
        "functionVersion": context.env_config.version,
        "memoryMb": context.env_config.memory,
        "logGroup": context.env_config.log_group,
        "logStream": context.env_config.log_stream,
        "arn": context.invoked_function_arn,
        "custom": context.client_context.as_ref().map(|client| &client.custom),
        "identity": context.identity.as_ref().map(|identity| &identity.identity_id),
        "traceId": context.xray_trace_id,
    })
}

fn stream(chunks: Vec<Value>, pause: u64) -> Response<Body> {
    let (mut writer, reader) = channel();
    tokio::spawn(async move {
        for chunk in chunks {
            let text = chunk.as_str().unwrap_or_default().to_owned();
            if writer.send_data(text.into()).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    });
    Response::from(reader)
}

async fn handle(asked: LambdaEvent<Value>) -> Result<FunctionResponse<Value, Body>, Broken> {
    let (event, context) = asked.into_parts();
    let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
    let said = match text("do").as_str() {
        "echo" => event["value"].clone(),
        "pid" => json!(std::process::id()),
        "fail" => return Err(Broken("no such luck".into())),
        "exit" => std::process::exit(3),
        "hang" => {
            tokio::time::sleep(Duration::from_secs(1000)).await;
            Value::Null
        }
        "pad" => json!("x".repeat(event["size"].as_u64().unwrap_or_default() as usize)),
        "measure" => json!(text("value").len()),
        "variables" => {
            let names = event["names"].as_array().cloned().unwrap_or_default();
            let found: HashMap<String, Option<String>> = names
                .iter()
                .filter_map(|name| name.as_str())
                .map(|name| (name.to_owned(), std::env::var(name).ok()))
                .collect();
            json!(found)
        }
        "write" => {
            std::fs::write(text("path"), text("text"))?;
            Value::Null
        }
        "read" => json!(std::fs::read_to_string(text("path"))?),
        "tick" => {
            std::thread::spawn(|| loop {
                std::thread::sleep(Duration::from_millis(10));
                TICKS.fetch_add(1, Ordering::Relaxed);
            });
            Value::Null
        }
        "ticks" => {
            while TICKS.load(Ordering::Relaxed) == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            json!(true)
        }
        "print" => {
            println!("{}", text("text"));
            Value::Null
        }
        "context" => context_of(&context),
        "stream" => {
            let chunks = event["chunks"].as_array().cloned().unwrap_or_default();
            let pause = event["pauseMs"].as_u64().unwrap_or_default();
            return Ok(FunctionResponse::StreamingResponse(stream(chunks, pause)));
        }
        _ => return Err(Broken("no such deed".into())),
    };
    Ok(FunctionResponse::BufferedResponse(said))
}

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    run(service_fn(handle)).await
}
