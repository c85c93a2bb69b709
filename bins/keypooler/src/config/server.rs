//! The settings of the server: where it listens, how it serves, how much it takes on.

use std::error::Error as _;
use std::net::IpAddr;
use std::path::PathBuf;

use keypool_http::{HttpSettings, Tls, TlsFiles};

use super::error::ConfigError;
use super::layers::Layers;
use super::sources::{Mode, Sources};
use super::values;

const TLS: [&str; 2] = ["TLS_CERT_FILE", "TLS_KEY_FILE"];

/// Where the server listens, and how it serves.
#[derive(Debug)]
pub(crate) struct ServerSettings {
    pub(crate) host: IpAddr,
    pub(crate) port: Port,
    /// Whether the host or the port was asked for.
    pub(crate) is_address_asked: bool,
    /// Whether that was so by more than the file, which also serves where systemd hands sockets over.
    pub(crate) is_address_asked_now: bool,
    /// The path of a socket to listen on.
    pub(crate) socket: Option<PathBuf>,
    /// What peers of the address speak TLS with; none: they don't.
    pub(crate) tls: Option<Tls>,
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

/// How a server that runs already is reached from its own machine.
#[derive(Debug)]
pub(crate) enum Reached {
    /// By its socket, where it listens on nothing else.
    Socket(PathBuf),
    /// By its address.
    Address { host: IpAddr, port: u16, is_tls: bool },
}

impl Reached {
    /// Reads it out of the settings of that server.
    pub(crate) fn read(sources: &Sources) -> Result<Self, ConfigError> {
        let layers = Layers::merge(sources)?;
        let server = read(&layers, Mode::Command, false)?;
        if let (Some(socket), false) = (server.socket, server.is_address_asked) {
            return Ok(Self::Socket(socket));
        }
        let (Port::Asked(port) | Port::Default(port)) = server.port;
        if port == 0 {
            let blame = layers.blame("SERVER_PORT");
            let error = format!("{blame} is any free port: say which one it took");
            return Err(ConfigError::new(error));
        }
        let is_tls = layers.text("TLS_CERT_FILE")?.is_some();
        Ok(Self::Address { host: server.host, port, is_tls })
    }
}

/// Reads them; the certificate only where something is to be served.
pub(super) fn read(
    layers: &Layers,
    mode: Mode,
    log_requests: bool,
) -> Result<ServerSettings, ConfigError> {
    let port = layers.parse("SERVER_PORT", |text| values::number(text, 0..=u16::MAX))?;
    let is_port_asked = layers.is_given("SERVER_PORT");
    Ok(ServerSettings {
        host: layers.parse("SERVER_HOST", values::address)?,
        port: if is_port_asked { Port::Asked(port) } else { Port::Default(port) },
        is_address_asked: is_port_asked || layers.is_given("SERVER_HOST"),
        is_address_asked_now: ["SERVER_PORT", "SERVER_HOST"]
            .iter()
            .any(|name| layers.is_given_now(name)),
        socket: read_socket(layers)?,
        tls: if mode == Mode::Command { None } else { read_tls(layers, mode)? },
        http: read_http(layers, log_requests)?,
    })
}

fn read_socket(layers: &Layers) -> Result<Option<PathBuf>, ConfigError> {
    let Some(path) = layers.text("SERVER_SOCKET")? else { return Ok(None) };
    let path = values::socket_path(&path);
    path.map(Some).ok_or_else(|| layers.refuse("SERVER_SOCKET"))
}

fn read_tls(layers: &Layers, mode: Mode) -> Result<Option<Tls>, ConfigError> {
    let [certificate, key] = TLS.map(|name| layers.text(name));
    let files = match (certificate?, key?) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => TlsFiles {
            certificate: PathBuf::from(certificate.as_str()),
            key: PathBuf::from(key.as_str()),
        },
        (Some(_), None) => return Err(incomplete(layers, TLS)),
        (None, Some(_)) => return Err(incomplete(layers, [TLS[1], TLS[0]])),
    };
    let blame = TLS.map(|name| layers.blame(name)).join(" and ");
    if mode == Mode::Dev {
        return Err(ConfigError::new(format!(
            "{blame} do not go with --dev, which speaks plain HTTP"
        )));
    }
    // Not the paths: one may be the key itself, set by mistake.
    let loaded = Tls::load(files).map_err(|error| {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        ConfigError::new(format!("{blame} can't be used: {error}{cause}"))
    });
    loaded.map(Some)
}

fn incomplete(layers: &Layers, [given, missing]: [&str; 2]) -> ConfigError {
    ConfigError::new(format!("{} needs {missing} beside it", layers.blame(given)))
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
