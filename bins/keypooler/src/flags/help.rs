//! What the help of a command says beyond its flags: what to know before, and examples.

pub(super) const SERVING: &str = "Examples:\n  keypooler --dev\n  ADMIN_TOKEN_FILE=admin-token keypooler --db ./data/pool.db --port 8080";

pub(super) const ASKING: &str = "It reads SERVER_HOST, SERVER_PORT, SERVER_SOCKET and TLS_CERT_FILE as the server does, takes any certificate, and waits for 4 \
    seconds. Exit code 0 is yes (the \
    answer is 200); 3 is no, or no answer.\n\nExamples:\n  keypooler health\n  keypooler health --ready --port 9090";

pub(super) const TOKEN_HELP: &str = "256 random bits in the form of a consumer's token, so that scanners find one that leaked. It is kept nowhere.\n\n\
    Example:\n  (umask 077; keypooler token >admin-token)\n  ADMIN_TOKEN_FILE=admin-token keypooler";

pub(super) const COMPLETIONS_HELP: &str = "Examples:\n  \
    keypooler completions bash >~/.local/share/bash-completion/completions/keypooler\n  \
    keypooler completions zsh >~/.zfunc/_keypooler    # with ~/.zfunc in fpath\n  \
    keypooler completions fish >~/.config/fish/completions/keypooler.fish";

pub(super) const MIGRATING: &str =
    "Examples:\n  keypooler migrate --status\n  keypooler migrate --db ./data/pool.db";

pub(super) const VERIFYING: &str = "It reads only, and may run beside a server. Exit code 3: it found something amiss, and tells what.\n\n\
    Examples:\n  keypooler verify\n  keypooler verify --db ./copy.db --json";

pub(super) const BACKING_UP: &str = "The backup holds all that was committed before it began, is readable by its owner alone (values that are plain in the \
    pool are plain in it), and is there whole or not at all. A name that is taken is refused. Of a libSQL database no server \
    may be running while it is copied.\n\n\
    Example:\n  keypooler backup /var/backups/pool-$(date +%F-%H%M%S).db";

pub(super) const RESTORING: &str = "The backup is looked at first, as by `keypooler verify`: exit code 3 says that it is not as it should be, and that \
    nothing was changed. Grants that were made after it are not in it: budgets and rate limits go on from where it stands.\n\n\
    Examples:\n  keypooler restore ./pool-2026-01-31.db --db ./data/pool.db\n  \
    keypooler restore ./pool-2026-01-31.db --replace    # what is there is kept as pool.db.before-restore";

pub(super) const EXPORTING: &str = "With --with-values the list holds every value and secret in clear, and can be imported; keys that cannot be used (inactive, \
    expired, damaged) are left out of it. A file is written with mode 0600, and not over another.\n\n\
    Examples:\n  keypooler export\n  keypooler export --with-values --output ./keys.json\n  \
    keypooler export --format csv --tier firecrawl";

pub(super) const IMPORTING: &str = "A key whose value the pool has already is passed over, so that an import can be repeated. Where one key cannot be added, none \
    is: exit code 3, and the report says which and why. A running server has the keys when the command ends.\n\n\
    Examples:\n  keypooler import ./keys.json --dry-run\n  keypooler import ./keys.csv --tier firecrawl\n  \
    keypooler import --format env --tier openai - <.env";

pub(super) const PRUNING: &str = "A TIME is a day (2026-01-31), a moment (RFC 3339) or an age in days (90d), and means the beginning of that day in UTC. \
    Events of a window that is open stay: a TIME inside one is refused. So does the newest event of all. Cut off, it goes on \
    where it was when it is called again, with the same archive. The archive is gzip of one JSON object a line; it is \
    added to, and each event is in it once.\n\n\
    Examples:\n  keypooler prune --before 90d --dry-run\n  \
    keypooler prune --before 90d --archive /var/backups/keypooler/usage-$(date +%Y).jsonl.gz";

pub(super) const RESEALING: &str = "Plain values, those under ENCRYPTION_KEY_PREVIOUS and those in the Go program's form get a seal under \
    ENCRYPTION_KEY. A server on the database has to run with the same ENCRYPTION_KEY and ENCRYPTION_KEY_PREVIOUS. Cut \
    off, it goes on where it was when it is called again. Exit code 3 says that not every value is sealed under \
    ENCRYPTION_KEY, or that a copy with plain values (of a takeover or a restore) lies beside.\n\n\
    Examples:\n  ENCRYPTION_KEY_FILE=new ENCRYPTION_KEY_PREVIOUS_FILE=old keypooler reseal\n  keypooler reseal --check";

pub(super) const COPYING: &str = "A PLACE is the path of a SQLite file, or a URL (libsql://HOST, https://HOST, http://127.0.0.1:PORT). \
    Stop every server on the source first. It is only read; the destination has to be empty, or to hold a copy that was \
    not finished, which is begun anew. The token of a database server comes by DATABASE_AUTH_TOKEN or \
    DATABASE_AUTH_TOKEN_FILE, never by the URL.\n\n\
    Example:\n  keypooler copy --from ./data/pool.db --to libsql://HOST --to-token-file ./token";
