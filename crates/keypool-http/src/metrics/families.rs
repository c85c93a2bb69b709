//! The table of all metrics: name, kind, unit, labels and meaning. The page, its documentation, the dashboard and the
//! alerts follow it.
//!
//! Names and units are Prometheus's: base units, counters end in `_total`, moments are seconds since 1970.

use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

/// One metric with all its labels.
#[derive(Debug)]
pub(crate) struct Family {
    /// Its name, without the unit and what the kind adds.
    pub(super) name: &'static str,
    pub(super) kind: MetricType,
    pub(super) unit: Option<Unit>,
    pub(super) labels: &'static [&'static str],
    /// What it tells.
    pub(super) help: &'static str,
}

macro_rules! families {
    ($($name:ident: $kind:ident $text:literal $unit:ident [$($label:ident)*] $help:literal;)+) => {
        $(pub(super) static $name: Family = Family {
            name: $text,
            kind: MetricType::$kind,
            unit: families!(unit $unit),
            labels: &[$(stringify!($label)),*],
            help: $help,
        };)+
    };
    (unit none) => { None };
    (unit seconds) => { Some(Unit::Seconds) };
    (unit bytes) => { Some(Unit::Bytes) };
}

#[rustfmt::skip]
families! {
    DRAWS: Counter "keypooler_draws" none [feature outcome]
        "Draws by what became of them: granted, or the code of the refusal or failure. Names that are no feature share one label";
    DRAW_DURATION: Histogram "keypooler_draw_duration" seconds [result]
        "What draws took, from the question to the decision that is on record";
    COMMITS: Counter "keypooler_commits" none [kind result]
        "Attempts to commit a batch of draws or a change by an admin, by how they ended";
    COMMIT_DURATION: Histogram "keypooler_commit_duration" seconds [kind]
        "What these attempts took";
    BATCH_DRAWS: Histogram "keypooler_batch_draws" none []
        "Draws that were committed together";
    QUEUED_DRAWS: Gauge "keypooler_queued_draws" none []
        "Draws that wait to be recorded";
    QUEUED_CHANGES: Gauge "keypooler_queued_changes" none []
        "Changes by admins that wait to be made";
    ADMIN_CHANGES: Counter "keypooler_admin_changes" none [kind]
        "Tiers, keys, consumers, scopes and tokens that admins changed";
    CATCH_UPS: Counter "keypooler_catch_ups" none [kind]
        "What memory took over from a database that others write to";
    DATABASE_QUESTIONS: Counter "keypooler_database_questions" none [result]
        "How often a shared database was asked how it stands, and whether it answered";

    KEYS: Gauge "keypooler_keys" none [tier state]
        "Keys by state; each is in one of them";
    KEYS_EXPIRING: Gauge "keypooler_keys_expiring" none [tier]
        "Keys that expire within a day, whatever their state (but for expired, inactive and damaged ones)";
    NEXT_KEY_EXPIRY: Gauge "keypooler_next_key_expiry_timestamp" seconds [tier]
        "When the next key expires that may be granted";
    FEATURE_KEYS: Gauge "keypooler_feature_keys" none [tier feature state]
        "Keys by how they stand for a feature; each is in one state for each";
    BUDGET_USED: Gauge "keypooler_budget_used" none [tier]
        "Units used of all budgets, in the windows that are open now or for life";
    BUDGET_LEFT: Gauge "keypooler_budget_left" none [tier]
        "Units left of all budgets, until these windows end or for life";

    REQUESTS: Counter "keypooler_http_requests" none [path method status]
        "Requests by the path of their route, method and class of status";
    REQUEST_DURATION: Histogram "keypooler_http_request_duration" seconds [path method]
        "What requests took, from their head to their answer";
    AUTH_FAILURES: Counter "keypooler_auth_failures" none [reason]
        "Requests without a token that opens their path, by reason";
    CONNECTIONS: Gauge "keypooler_http_connections" none []
        "Connections that are open";
    CONNECTION_EVENTS: Counter "keypooler_http_connection_events" none [event]
        "What became of connections at the door";

    DATABASE: Info "keypooler_database" none [driver]
        "What kind of database the pool is stored in";
    SCHEMA_VERSION: Gauge "keypooler_database_schema_version" none []
        "The version of the database's schema";
    FILE_SIZE: Gauge "keypooler_database_file" bytes []
        "Size of the database file";
    JOURNAL_SIZE: Gauge "keypooler_database_journal" bytes []
        "Size of the file's journal (WAL)";
    FREE_SIZE: Gauge "keypooler_database_free" bytes []
        "Pages of the file that hold nothing and will be used again";
    LAST_COMMIT: Gauge "keypooler_last_commit_timestamp" seconds []
        "When something was committed last since the start";
    MEMORY_AGE: Gauge "keypooler_memory_age" seconds []
        "How old what memory has of a shared database is at most";

    READY: Gauge "keypooler_ready" none []
        "1 where draws can be recorded, as GET /ready says, else 0";
    BUILD: Info "keypooler_build" none [version]
        "The version of keypooler";
    UPTIME: Gauge "keypooler_uptime" seconds []
        "How long the pool has been open";
    CLOCK_OFFSET: Gauge "keypooler_clock_offset" seconds []
        "How far the time that the pool goes by is ahead of this machine's clock";
    CLOCK_AHEAD: Gauge "keypooler_clock_ahead" seconds []
        "By how much the clock stands ahead of the pool's time, where that is too far to be followed; else 0";

    PROCESS_CPU: Counter "process_cpu" seconds []
        "Processor time that the process has used";
    PROCESS_RESIDENT: Gauge "process_resident_memory" bytes []
        "Memory of the process that is in RAM";
    PROCESS_VIRTUAL: Gauge "process_virtual_memory" bytes []
        "Memory that the process has addresses for";
    PROCESS_OPEN_FDS: Gauge "process_open_fds" none []
        "File descriptors that are open";
    PROCESS_MAX_FDS: Gauge "process_max_fds" none []
        "File descriptors that may be open at most";
    PROCESS_THREADS: Gauge "process_threads" none []
        "Threads of the process";
    PROCESS_START: Gauge "process_start_time" seconds []
        "When the process started";
}
