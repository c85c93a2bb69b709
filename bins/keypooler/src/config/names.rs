//! Every setting by its name: its default and what it takes. The one table of them.

/// A setting: an environment variable, and in lower case a member of the configuration file.
#[derive(Debug)]
pub(crate) struct Setting {
    /// The variable's name.
    pub(crate) name: &'static str,
    /// Its value where none is given; empty for none.
    pub(crate) default: &'static str,
    /// What it takes, to follow "takes".
    pub(crate) takes: &'static str,
}

const fn setting(name: &'static str, default: &'static str, takes: &'static str) -> Setting {
    Setting { name, default, takes }
}

const A_TOKEN: &str =
    "1 to 1024 visible ASCII characters without spaces, as it is sent as a bearer token";
const A_KEY: &str = "64 hexadecimal digits (32 bytes)";
const TRUTH: &str = "true or false (also 1, t, T, TRUE, True, 0, f, F, FALSE, False)";
const A_PATH: &str = "the path of a file (DATABASE_URL takes the URL of a database)";
const SECONDS: &str = "a whole number of seconds from 0 (no timeout) to 31536000";
const A_LIMIT: &str = "a whole number from 0 (no limit) to 1000000000";

/// All settings, in the order of the documentation.
pub(crate) const SETTINGS: &[Setting] = &[
    setting("ADMIN_TOKEN", "", A_TOKEN),
    setting("ADMIN_TOKEN_FILE", "", "the path of a file that holds the admin token"),
    setting("ADMIN_TOKEN_PREVIOUS", "", A_TOKEN),
    setting(
        "ADMIN_TOKEN_PREVIOUS_FILE",
        "",
        "the path of a file that holds the admin token that was valid before",
    ),
    setting("METRICS_TOKEN", "", A_TOKEN),
    setting("METRICS_TOKEN_FILE", "", "the path of a file that holds the token for metrics"),
    setting("ENCRYPTION_KEY", "", A_KEY),
    setting(
        "ENCRYPTION_KEY_FILE",
        "",
        "the path of a file that holds the encryption key as 64 hexadecimal digits",
    ),
    setting("ENCRYPTION_KEY_PREVIOUS", "", A_KEY),
    setting(
        "ENCRYPTION_KEY_PREVIOUS_FILE",
        "",
        "the path of a file that holds the encryption key before as 64 hexadecimal digits",
    ),
    setting("ENCRYPTION_REQUIRED", "false", TRUTH),
    setting("DATABASE_URL", "", "a URL such as libsql://HOST?authToken=TOKEN"),
    setting("DATABASE_AUTH_TOKEN", "", "visible ASCII characters without spaces"),
    setting(
        "DATABASE_AUTH_TOKEN_FILE",
        "",
        "the path of a file that holds the token of the database server",
    ),
    setting("DATABASE_CA_FILE", "", "the path of a file that holds certificates in PEM form"),
    setting("DB_PATH", "./data/pool.db", A_PATH),
    setting("DB_MAX_OPEN_CONNS", "1", "a whole number from 1 to 128"),
    setting("DB_BUSY_TIMEOUT_MS", "5000", "a whole number of milliseconds from 0 to 2147483647"),
    setting("DB_SYNCHRONOUS", "full", "full or normal"),
    setting("SERVER_HOST", "::", "an IP address, such as :: (all addresses), 0.0.0.0 or 127.0.0.1"),
    setting("SERVER_PORT", "8080", "a port from 0 (any free one) to 65535"),
    setting(
        "SERVER_SOCKET",
        "",
        "the path of a socket, of at most 100 bytes, in a folder that is there",
    ),
    setting("TLS_CERT_FILE", "", "the path of a file that holds a certificate in PEM form"),
    setting("TLS_KEY_FILE", "", "the path of a file that holds its private key in PEM form"),
    setting("SERVER_HEADER_TIMEOUT_SECONDS", "10", SECONDS),
    setting("SERVER_READ_TIMEOUT_SECONDS", "30", SECONDS),
    setting("SERVER_REQUEST_TIMEOUT_SECONDS", "60", SECONDS),
    setting("SERVER_WRITE_TIMEOUT_SECONDS", "30", SECONDS),
    setting("SERVER_IDLE_TIMEOUT_SECONDS", "120", SECONDS),
    setting("SERVER_SHUTDOWN_TIMEOUT_SECONDS", "30", SECONDS),
    setting(
        "TRUSTED_PROXIES",
        "",
        "addresses, networks such as 10.0.0.0/8, and the word unix, with commas between them",
    ),
    setting("SERVER_MAX_CONNECTIONS", "10000", A_LIMIT),
    setting("SERVER_MAX_CONNECTIONS_PER_ADDRESS", "1000", A_LIMIT),
    setting("SERVER_MAX_HEADER_BYTES", "16384", "a whole number of bytes from 1024 to 65536"),
    setting("SERVER_MAX_REQUESTS_PER_CONNECTION", "100000", A_LIMIT),
    setting("LOG_LEVEL", "info", "trace, debug, info, warn or error"),
    setting("LOG_FORMAT", "json", "json or pretty"),
    setting("LOG_REQUESTS", "true", TRUTH),
];

/// What `--dev` puts in place of the defaults above.
pub(crate) const DEV_DEFAULTS: &[(&str, &str)] =
    &[("DB_PATH", "./data/dev.db"), ("SERVER_HOST", "127.0.0.1"), ("LOG_FORMAT", "pretty")];

/// What a command that ends by itself puts in place of them: it speaks to whoever called it.
pub(crate) const COMMAND_DEFAULTS: &[(&str, &str)] =
    &[("LOG_LEVEL", "warn"), ("LOG_FORMAT", "pretty")];

/// Says, where it is set at all, that output is to have no colours: <https://no-color.org>. It is
/// read from the environment alone.
pub(crate) const NO_COLOR: &str = "NO_COLOR";

/// What a setting takes, to follow "takes".
pub(crate) fn takes(name: &str) -> &'static str {
    let setting = SETTINGS.iter().find(|setting| setting.name == name);
    setting.expect("every setting that is read stands in the table").takes
}
