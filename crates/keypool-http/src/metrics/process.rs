//! What the system says of this process, under the names that Prometheus has for it.

use std::fmt;

use procfs::ProcResult;
use procfs::process::{LimitValue, Process};

use super::families::*;
use super::sheet::{Sheet, float};

/// Figures of this process.
#[derive(Clone, Copy, Debug)]
struct Figures {
    cpu_secs: f64,
    resident_bytes: u64,
    virtual_bytes: u64,
    open_fds: usize,
    /// `None` where there is no limit.
    max_fds: Option<u64>,
    threads: i64,
    started_secs: f64,
}

/// Writes them; where the system does not tell, names alone.
pub(super) fn write(sheet: &mut Sheet<'_>) -> fmt::Result {
    let figures = Figures::read().ok();
    sheet.counter(&PROCESS_CPU, figures.map(|it| it.cpu_secs))?;
    sheet.gauge(&PROCESS_RESIDENT, figures.map(|it| it.resident_bytes))?;
    sheet.gauge(&PROCESS_VIRTUAL, figures.map(|it| it.virtual_bytes))?;
    sheet.gauge(&PROCESS_OPEN_FDS, figures.map(|it| it.open_fds))?;
    sheet.gauge(&PROCESS_MAX_FDS, figures.and_then(|it| it.max_fds))?;
    sheet.gauge(&PROCESS_THREADS, figures.map(|it| it.threads))?;
    sheet.gauge(&PROCESS_START, figures.map(|it| it.started_secs))
}

impl Figures {
    fn read() -> ProcResult<Self> {
        let process = Process::myself()?;
        let stat = process.stat()?;
        let ticks_a_second = float(procfs::ticks_per_second());
        let max_fds = match process.limits()?.max_open_files.soft_limit {
            LimitValue::Value(most) => Some(most),
            LimitValue::Unlimited => None,
        };
        Ok(Self {
            cpu_secs: float(stat.utime.saturating_add(stat.stime)) / ticks_a_second,
            resident_bytes: stat.rss.saturating_mul(procfs::page_size()),
            virtual_bytes: stat.vsize,
            open_fds: process.fd_count()?,
            max_fds,
            threads: stat.num_threads,
            started_secs: float(procfs::boot_time_secs()?) + float(stat.starttime) / ticks_a_second,
        })
    }
}
