//! What is answered under which path.

use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::exposition::{self, Exposition};
use super::guard::{Asked, Denied, Guard};
use super::own;
use super::pgbouncer::{self, Shown};
use super::pools::{self, Gone};
use super::seats::AllSeats;
use super::source::{Readiness, Source};
use super::tables::Table;

/// A scrape is answered with the text of the last one for so many times as long as that has taken to
/// make. So at most a fiftieth of a processor goes into metrics, however many ask and however many
/// series there are.
const SHARE: u32 = 49;

/// But never for longer than this.
const STALEST: Duration = Duration::from_secs(1);

/// How long it is remembered whether a primary could be reached.
const MEMORY: Duration = Duration::from_secs(1);

const JSON: &str = "application/json";
const PLAIN: &str = "text/plain; charset=utf-8";

/// What requests are answered from.
#[derive(Debug)]
pub struct Served<S> {
    source: S,
    guard: Guard,
    /// When the certificate of this side ends, in seconds since 1970.
    certificate_end: Option<u64>,
    scrape: Mutex<Scrape>,
    /// Whether a primary could be reached, and until when that holds. One asks, the others wait.
    primary: Mutex<Option<(Instant, bool)>>,
    asking: Semaphore,
}

#[derive(Debug, Default)]
struct Scrape {
    seats: AllSeats,
    gone: Gone,
    last: Option<(Instant, Bytes)>,
}

impl<S: Source> Served<S> {
    /// Shows `source` to whom `guard` admits, under a certificate that ends then.
    pub fn new(source: S, guard: Guard, certificate_end: Option<u64>) -> Arc<Self> {
        Arc::new(Self {
            source,
            guard,
            certificate_end,
            scrape: Mutex::default(),
            primary: Mutex::default(),
            asking: Semaphore::new(1),
        })
    }

    /// Whether new clients should be sent here. Servers are tried once in a while, however many ask.
    async fn readiness(&self) -> Readiness {
        if let Some(obstacle) = self.source.obstacle() {
            return obstacle;
        }
        let _turn = self.asking.acquire().await;
        let last = *self.primary.lock().unwrap_or_else(PoisonError::into_inner);
        let reached = match last {
            Some((until, reached)) if Instant::now() < until => reached,
            Some(_) | None => {
                let reached = self.source.has_primary().await;
                let news = Some((Instant::now() + MEMORY, reached));
                *self.primary.lock().unwrap_or_else(PoisonError::into_inner) = news;
                reached
            }
        };
        if reached {
            Readiness::Ready
        } else {
            Readiness::NoPrimary
        }
    }

    /// The metrics, as they are now or were a moment ago.
    fn metrics(&self) -> Bytes {
        let mut scrape = self.scrape.lock().unwrap_or_else(PoisonError::into_inner);
        let began = Instant::now();
        if let Some((until, text)) = &scrape.last
            && began < *until
        {
            return text.clone();
        }
        let text = Bytes::from(self.write_metrics(&mut scrape));
        let ended = Instant::now();
        let until = ended + ((ended - began) * SHARE).min(STALEST);
        scrape.last = Some((until, text.clone()));
        text
    }

    fn write_metrics(&self, scrape: &mut Scrape) -> String {
        let source = &self.source;
        let shown = Shown {
            databases: rested(source.databases()),
            pools: rested(source.pools()),
            stats: rested(source.stats()),
            lists: rested(source.lists()),
            limits: source.limits(),
            clients: rested(source.client_kinds()),
        };
        let mut out = Exposition::resting(thread::yield_now);
        let (mut numbers, most) = (rested(source.numbers()), source.most_named());
        numbers.certificates.http = self.certificate_end;
        let Scrape { seats, gone, .. } = scrape;
        gone.note(&numbers.forgotten, seats, most);
        pgbouncer::write(&mut out, (&shown, gone), seats, most);
        pools::write(&mut out, (&shown, &numbers, gone), seats, most);
        own::write(&mut out, &numbers);
        out.finish()
    }
}

/// Lets a worker go on that has to share its core with this thread. So a scrape comes between its
/// turns in short pieces, and clients do not have to wait for the whole. With a lower priority this
/// thread could be held up for long while it has a lock that workers want; here it has none.
fn rested<T>(done: T) -> T {
    thread::yield_now();
    done
}

/// All paths, behind the guard.
pub fn router<S: Source>(served: Arc<Served<S>>) -> Router {
    let mut router = Router::new()
        .route(
            "/healthz",
            get(async || answer(StatusCode::OK, PLAIN, "ok\n")),
        )
        .route("/readyz", get(readyz::<S>))
        .route("/metrics", get(metrics::<S>));
    for table in Table::ALL {
        let rows = async move |State(served): State<Arc<Served<S>>>| {
            answer(StatusCode::OK, JSON, table.rows(&served.source).to_string())
        };
        router = router.route(&format!("/api/v1/{}", table.name()), get(rows));
    }
    let nothing = async || answer(StatusCode::NOT_FOUND, PLAIN, "there is nothing here\n");
    router
        .fallback(nothing)
        .layer(from_fn_with_state(Arc::clone(&served), admit::<S>))
        .with_state(served)
}

async fn readyz<S: Source>(State(served): State<Arc<Served<S>>>) -> Response {
    let readiness = served.readiness().await;
    let status = match readiness {
        Readiness::Ready => StatusCode::OK,
        Readiness::ShuttingDown | Readiness::Paused | Readiness::NoPrimary => {
            StatusCode::SERVICE_UNAVAILABLE
        }
    };
    answer(status, PLAIN, format!("{}\n", readiness.word()))
}

async fn metrics<S: Source>(State(served): State<Arc<Served<S>>>) -> Response {
    answer(StatusCode::OK, exposition::CONTENT_TYPE, served.metrics())
}

/// Lets only those requests through that the guard admits.
async fn admit<S: Source>(
    State(served): State<Arc<Served<S>>>,
    request: Request,
    next: Next,
) -> Response {
    let admitted = if has_body(request.headers()) {
        Err(Denied::Body)
    } else {
        served.guard.admit(&asked(&request))
    };
    let mut response = match admitted {
        Ok(()) => next.run(request).await,
        Err(denied) => refuse(denied, &served.guard),
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn asked(request: &Request) -> Asked<'_> {
    let headers = request.headers();
    // A browser always names its host; a health check of HTTP/1.0 may not.
    let unnamed = (request.version() == Version::HTTP_10).then_some("localhost");
    let host = match request.uri().authority() {
        Some(authority) => Some(authority.as_str()),
        None if headers.contains_key(HOST) => only(headers, &HOST),
        None => unnamed,
    };
    Asked {
        path: request.uri().path(),
        host,
        authorization: only(headers, &AUTHORIZATION),
    }
}

/// A header that comes once, as text.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then_some(value)?.to_str().ok()
}

fn has_body(headers: &HeaderMap) -> bool {
    let empty = |length: &HeaderValue| length.as_bytes() == b"0";
    headers.contains_key(TRANSFER_ENCODING) || !headers.get_all(CONTENT_LENGTH).iter().all(empty)
}

fn refuse(denied: Denied, guard: &Guard) -> Response {
    let status = StatusCode::from_u16(denied.status()).unwrap_or(StatusCode::FORBIDDEN);
    let mut response = answer(status, PLAIN, line(&denied));
    if status == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static(guard.challenge());
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}

fn line(text: &impl Display) -> String {
    format!("{text}\n")
}

fn answer(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response {
    (status, [(CONTENT_TYPE, kind)], body.into()).into_response()
}
