//! The operations port over real HTTP.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use runtime::listen::bind_all;
use runtime::operations::{self, Health, Phase};
use runtime::{Clock, Lifecycle, metrics};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}

// One test: a process has one recorder.
#[tokio::test]
async fn metrics_health_and_readiness() {
    let life = Lifecycle::new();
    let exporter = metrics::install(&life, &Clock::System).unwrap();
    assert!(metrics::install(&life, &Clock::System).is_err(), "a second recorder would count nothing");
    let listeners = bind_all(&["127.0.0.1:0".parse().unwrap()], "operations.listen").unwrap();
    let address = listeners[0].address();
    let health = Health::default();
    exporter.sampled(|| metrics::ROUTER_LOG_UNCOMMITTED_BYTES.set(7.0));
    operations::serve(listeners, exporter, health.clone(), &life);

    assert_eq!(get(address, "/healthz").await, (200, "ok\n".to_owned()));
    assert_eq!(get(address, "/readyz").await, (503, "starting\n".to_owned()));
    health.set(Phase::Ready);
    assert_eq!(get(address, "/readyz").await, (200, "ready\n".to_owned()));
    assert_eq!(get(address, "/").await.0, 404);

    metrics::GATEWAY_STANZAS_IN_TOTAL.increment(3);
    metrics::ROUTER_LOAD_SECONDS.record(0.002);
    let (status, text) = get(address, "/metrics").await;
    assert_eq!(status, 200);
    for metric in metrics::catalogue() {
        assert!(text.contains(&format!("# HELP {} {}", metric.name, metric.help)), "{}", metric.name);
        let sampled = text
            .lines()
            .any(|line| line.strip_prefix(metric.name).is_some_and(|rest| rest.starts_with([' ', '{', '_'])));
        assert!(sampled, "{} has no sample:\n{text}", metric.name);
    }
    assert!(text.contains("waystation_gateway_stanzas_in_total 3"), "{text}");
    assert!(text.contains("waystation_router_load_seconds_bucket{le=\"0.0025\"} 1"), "{text}");
    assert!(text.contains("waystation_router_log_uncommitted_bytes 7"), "{text}");
    assert!(!text.contains("waystation_process_resident_bytes 0\n"), "{text}");

    // It answers while tasks drain, and ends after them.
    let (soft, watched) = (life.soft().clone(), health.clone());
    life.spawn_connection(async move {
        soft.cancelled().await;
        watched.set(Phase::Draining);
        assert_eq!(get(address, "/readyz").await, (503, "draining\n".to_owned()));
    });
    let stopped = life.shutdown(Duration::from_secs(5)).await;
    assert_eq!(stopped, runtime::lifecycle::Stopped::Drained);
    assert!(TcpStream::connect(address).await.is_err());
}
