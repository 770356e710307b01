//! The HTTP servers: the admin server (`JettyAdminServer`: `/commands`) and Prometheus' (`/metrics`). A
//! connection is for one request; what it may take is bounded in number, bytes and time.

mod commands;
mod prometheus;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedSender;

use crate::connections::{accept, bind, room};
use crate::host::Happened;
use crate::view::{Conf, ask};
use crate::zoo_cfg::Endpoint;

/// Connections at a time; the others wait to be accepted.
const AT_ONCE: usize = 16;
/// From the first byte of a request to the last of its answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of a request's head.
const HEAD: usize = 16 * 1024;

type Answer = Response<Full<Bytes>>;

pub async fn serve_commands(
    endpoint: &Endpoint,
    conf: Arc<Conf>,
    happened: UnboundedSender<Happened>,
) -> io::Result<()> {
    let base = endpoint.path.clone();
    serve(endpoint, "admin server", move |request| {
        let (base, conf, happened) = (base.clone(), Arc::clone(&conf), happened.clone());
        async move {
            let Some(command) = request.uri().path().strip_prefix(&base) else { return not_found() };
            match command.strip_prefix('/') {
                None if !command.is_empty() => not_found(),
                None | Some("") => html(commands::links(&base)),
                Some(command) => {
                    let (command, arguments) = (command.to_owned(), arguments(request.uri().query()));
                    let dirs = conf.dirs();
                    let run = ask(&happened, move |view| commands::run(view, &command, &arguments, &dirs));
                    run.await.map_or_else(stopping, |json| text("application/json", json))
                }
            }
        }
    })
    .await
}

pub async fn serve_metrics(endpoint: &Endpoint, happened: UnboundedSender<Happened>) -> io::Result<()> {
    let path = endpoint.path.clone();
    serve(endpoint, "metrics", move |request| {
        let (found, happened) = (request.uri().path() == path, happened.clone());
        async move {
            if !found {
                return not_found();
            }
            let samples = ask(&happened, |view| crate::metrics::samples(view)).await;
            samples.map_or_else(stopping, |samples| {
                text(
                    "application/openmetrics-text; version=1.0.0; charset=utf-8",
                    prometheus::encode_samples(samples),
                )
            })
        }
    })
    .await
}

/// Listens; each request is answered by `answer` in time, or its connection ends.
async fn serve<F>(
    endpoint: &Endpoint,
    what: &'static str,
    answer: impl Fn(Request<Incoming>) -> F + Clone + Send + 'static,
) -> io::Result<()>
where
    F: Future<Output = Answer> + Send + 'static,
{
    let listener = bind(endpoint.host.as_deref(), endpoint.port).await?;
    tracing::info!("{what} at port {}, {}", endpoint.port, endpoint.path);
    tokio::spawn(async move {
        let budget = Arc::new(Semaphore::new(AT_ONCE));
        loop {
            let room = room(&budget).await;
            let stream = accept(&listener).await;
            let answer = answer.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let answer = answer.clone();
                async move {
                    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
                    Ok::<_, Infallible>(if reads { answer(request).await } else { not_allowed() })
                }
            });
            tokio::spawn(async move {
                let mut http = hyper::server::conn::http1::Builder::new();
                http.keep_alive(false).max_buf_size(HEAD).half_close(true);
                let connection = http.serve_connection(TokioIo::new(stream), service);
                if !matches!(tokio::time::timeout(PATIENCE, connection).await, Ok(Ok(()))) {
                    tracing::debug!("a connection to the {what} came to nothing");
                }
                drop(room);
            });
        }
    });
    Ok(())
}

/// `a=b&c=d`; of a key that comes twice the first value counts, as in Java.
fn arguments(query: Option<&str>) -> BTreeMap<String, String> {
    let mut arguments = BTreeMap::new();
    for pair in query.unwrap_or_default().split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        arguments.entry(key.to_owned()).or_insert_with(|| value.to_owned());
    }
    arguments
}

fn text(kind: &'static str, body: String) -> Answer {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn html(body: String) -> Answer {
    text("text/html; charset=utf-8", body)
}

fn with_status(status: StatusCode, words: &'static str) -> Answer {
    let mut response = text("text/plain; charset=utf-8", words.into());
    *response.status_mut() = status;
    response
}

fn not_found() -> Answer {
    with_status(StatusCode::NOT_FOUND, "there is nothing here\n")
}

fn not_allowed() -> Answer {
    let mut response = with_status(StatusCode::METHOD_NOT_ALLOWED, "expected GET\n");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

fn stopping() -> Answer {
    with_status(StatusCode::SERVICE_UNAVAILABLE, "this server is stopping\n")
}

#[cfg(test)]
mod tests;
