//! The settings of the server: where it listens, how it serves, how much it takes on.

use std::net::IpAddr;

use keypool_http::HttpSettings;

use super::error::ConfigError;
use super::layers::Layers;
use super::sources::Sources;
use super::values;

/// Where the server listens, and how it serves.
#[derive(Debug)]
pub(crate) struct ServerSettings {
    pub(crate) host: IpAddr,
    pub(crate) port: Port,
    /// How requests are served; whether they are logged is read with the rest of the log.
    pub(crate) http: HttpSettings,
}

/// A port, and whether another would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    /// This one was asked for; 0 is any free one.
    Asked(u16),
    /// Nobody asked for this one.
    Default(u16),
}

impl ServerSettings {
    /// Reads those of a server that runs already, for whoever wants to call it.
    pub(crate) fn of_running(sources: &Sources) -> Result<Self, ConfigError> {
        let layers = Layers::merge(sources)?;
        let server = read(&layers, false)?;
        let (Port::Asked(port) | Port::Default(port)) = server.port;
        if port == 0 {
            let blame = layers.blame("SERVER_PORT");
            let error = format!("{blame} is any free port: say which one it took");
            return Err(ConfigError::new(error));
        }
        Ok(server)
    }
}

/// Reads them.
pub(super) fn read(layers: &Layers, log_requests: bool) -> Result<ServerSettings, ConfigError> {
    let port = layers.parse("SERVER_PORT", |text| values::number(text, 0..=u16::MAX))?;
    let is_asked = layers.is_given("SERVER_PORT");
    Ok(ServerSettings {
        host: layers.parse("SERVER_HOST", values::address)?,
        port: if is_asked { Port::Asked(port) } else { Port::Default(port) },
        http: read_http(layers, log_requests)?,
    })
}

fn read_http(layers: &Layers, log_requests: bool) -> Result<HttpSettings, ConfigError> {
    let timeout = |name| layers.parse(name, values::timeout);
    let limit = |name| layers.parse(name, values::limit);
    let header_bytes = |text: &str| values::number(text, 1024..=65_536);
    Ok(HttpSettings {
        header_timeout: timeout("SERVER_HEADER_TIMEOUT_SECONDS")?,
        read_timeout: timeout("SERVER_READ_TIMEOUT_SECONDS")?,
        request_timeout: timeout("SERVER_REQUEST_TIMEOUT_SECONDS")?,
        write_timeout: timeout("SERVER_WRITE_TIMEOUT_SECONDS")?,
        idle_timeout: timeout("SERVER_IDLE_TIMEOUT_SECONDS")?,
        shutdown_timeout: timeout("SERVER_SHUTDOWN_TIMEOUT_SECONDS")?,
        max_connections: limit("SERVER_MAX_CONNECTIONS")?,
        max_connections_per_address: limit("SERVER_MAX_CONNECTIONS_PER_ADDRESS")?,
        max_header_bytes: layers.parse("SERVER_MAX_HEADER_BYTES", header_bytes)?,
        max_requests: limit("SERVER_MAX_REQUESTS_PER_CONNECTION")?,
        trusted_proxies: layers.parse("TRUSTED_PROXIES", |text| text.parse().ok())?,
        // It is told apart from the admin's where that is known.
        metrics_token: None,
        log_requests,
    })
}
