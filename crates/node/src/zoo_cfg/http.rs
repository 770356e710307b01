//! The keys of the HTTP servers: `admin.*` and `metricsProvider.*`.

use super::boolean;
use super::server_line::{port, unbracketed};

/// Where an HTTP server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `None`: all addresses.
    pub host: Option<String>,
    pub port: u16,
    pub path: String,
}

#[derive(Clone, Debug)]
pub struct HttpCfg {
    admin_enabled: bool,
    admin: Endpoint,
    prometheus_enabled: bool,
    prometheus: Endpoint,
}

/// Java's: the admin server is there unless told otherwise, Prometheus' if it is asked for.
impl Default for HttpCfg {
    fn default() -> HttpCfg {
        HttpCfg {
            admin_enabled: true,
            admin: Endpoint { host: None, port: 8080, path: "/commands".into() },
            prometheus_enabled: false,
            prometheus: Endpoint { host: None, port: 7000, path: "/metrics".into() },
        }
    }
}

impl HttpCfg {
    pub fn admin(&self) -> Option<&Endpoint> {
        self.admin_enabled.then_some(&self.admin)
    }

    pub fn prometheus(&self) -> Option<&Endpoint> {
        self.prometheus_enabled.then_some(&self.prometheus)
    }

    /// False: the key is none of these.
    pub(super) fn key(&mut self, key: &str, value: &str) -> Result<bool, String> {
        match key {
            "admin.enableServer" => self.admin_enabled = boolean(value)?,
            "admin.serverAddress" => self.admin.host = host(value),
            "admin.serverPort" => self.admin.port = port(value)?,
            "admin.commandURL" => self.admin.path = path(value)?,
            "metricsProvider.className" => self.prometheus_enabled = is_prometheus(value)?,
            "metricsProvider.httpHost" => self.prometheus.host = host(value),
            "metricsProvider.httpPort" => self.prometheus.port = port(value)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn host(value: &str) -> Option<String> {
    (value != "0.0.0.0").then(|| unbracketed(value).into())
}

fn path(value: &str) -> Result<String, String> {
    let good = value.starts_with('/') && value.len() > 1 && !value.ends_with('/');
    good.then(|| value.into()).ok_or("a path, as /commands".into())
}

fn is_prometheus(class: &str) -> Result<bool, String> {
    match class.strip_prefix("org.apache.zookeeper.metrics.") {
        Some("prometheus.PrometheusMetricsProvider") => Ok(true),
        Some("impl.DefaultMetricsProvider" | "impl.NullMetricsProvider") => Ok(false),
        _ => Err("org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider, or no such key".into()),
    }
}
