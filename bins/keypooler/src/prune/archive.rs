//! The archive of pruned usage events: one JSON object a line, compressed by gzip, each event once.
//!
//! Every call adds a gzip member of its own (RFC 1952 section 2.2: members follow each other) and waits until it is on the
//! disk. A member that was cut off is taken off when the archive is opened again, so what is there is whole. Events of the
//! last member may not have gone from the database yet: they come again, and are not added twice. Those of the members
//! before it are not kept in mind: one that comes again after all is refused.

use std::collections::HashSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use keypool_engine::{DrawId, UsageView, times};
use serde::{Deserialize, Serialize};

/// An archive that is added to.
#[derive(Debug)]
pub(super) struct Archive {
    file: File,
    /// The newest event that it holds.
    last: Option<DrawId>,
    /// The events of its last member.
    latest: HashSet<DrawId>,
}

/// Why an archive cannot be used or added to.
#[derive(Debug, thiserror::Error)]
pub(super) enum ArchiveError {
    #[error("the archive cannot be read or written")]
    Io(#[from] io::Error),
    #[error("another prune adds to the archive")]
    Taken,
    #[error(
        "the archive holds something else than usage events in gzip, or is damaged: name another file"
    )]
    Foreign,
    #[error(
        "the archive holds events up to {last}, and the older event {older}, which is still in the pool, is not in the part \
         that was added last; no other part is compared. Either the pool was restored from a backup of before a prune, or \
         it is the archive of another pool, or parts of it are missing: name another file"
    )]
    Older { last: String, older: String },
}

/// A usage event as `GET /admin/usage` lists it.
#[derive(Debug, Serialize)]
struct Line<'a> {
    draw_id: String,
    created_at: String,
    key_id: &'a str,
    key_name: &'a str,
    consumer_id: &'a str,
    consumer_name: &'a str,
    feature: &'a str,
}

/// What of a line is read again.
#[derive(Debug, Deserialize)]
struct Known {
    draw_id: String,
}

impl Archive {
    /// Opens an archive, or begins one that its owner alone can read.
    pub(super) fn open(path: &Path) -> Result<Self, ArchiveError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(ArchiveError::Taken),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let mut archive = Self { file, last: None, latest: HashSet::new() };
        let (whole, last, latest) = read_whole(&mut archive.file)?;
        (archive.last, archive.latest) = (last, latest);
        archive.file.set_len(whole)?;
        archive.file.seek(SeekFrom::Start(whole))?;
        // The name of a new file, too.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(archive)
    }

    /// Adds events, in their order, that it does not hold yet. They are on the disk when this returns.
    pub(super) fn keep(&mut self, events: &[UsageView]) -> Result<(), ArchiveError> {
        let (held, new): (Vec<_>, Vec<_>) =
            events.iter().partition(|event| Some(event.draw_id) <= self.last);
        if let (Some(last), Some(older)) =
            (self.last, held.iter().find(|event| !self.latest.contains(&event.draw_id)))
        {
            let (last, older) = (last.to_string(), older.draw_id.to_string());
            return Err(ArchiveError::Older { last, older });
        }
        let Some(newest) = new.last() else { return Ok(()) };
        let mut member = GzEncoder::new(Vec::new(), Compression::default());
        for event in &new {
            serde_json::to_writer(&mut member, &line(event)).map_err(io::Error::from)?;
            member.write_all(b"\n")?;
        }
        self.file.write_all(&member.finish()?)?;
        self.file.sync_all()?;
        self.last = Some(newest.draw_id);
        self.latest = new.iter().map(|event| event.draw_id).collect();
        Ok(())
    }
}

impl Drop for Archive {
    /// Whoever this process starts at that moment has the file open as well, until it runs another program: closing ours alone
    /// leaves the lock.
    fn drop(&mut self) {
        // It goes with the file otherwise.
        let _ = self.file.unlock();
    }
}

fn line(event: &UsageView) -> Line<'_> {
    Line {
        draw_id: event.draw_id.to_string(),
        created_at: times::to_the_millisecond(event.created_at),
        key_id: &event.key_id,
        key_name: &event.key_name,
        consumer_id: &event.consumer_id,
        consumer_name: &event.consumer_name,
        feature: &event.feature,
    }
}

type Whole = (u64, Option<DrawId>, HashSet<DrawId>);

/// How far the archive is whole, its newest event, and the events of its last member.
fn read_whole(file: &mut File) -> Result<Whole, ArchiveError> {
    let mut input = BufReader::new(file);
    let (mut whole, mut last, mut latest) = (0, None, HashSet::new());
    while !input.fill_buf()?.is_empty() {
        let Some(events) = read_member(&mut input)? else { break };
        whole = input.stream_position()?;
        last = last.max(events.iter().copied().max());
        latest = events;
    }
    Ok((whole, last, latest))
}

/// The events of the next member; none where it was cut off.
fn read_member(input: &mut BufReader<&mut File>) -> Result<Option<HashSet<DrawId>>, ArchiveError> {
    let begin = input.stream_position()?;
    let mut text = Vec::new();
    let is_whole = match GzDecoder::new(&mut *input).read_to_end(&mut text) {
        Ok(_) => true,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => false,
        Err(error)
            if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) =>
        {
            // A power cut can leave zeros where something was being written.
            let is_cut_off = rest_from(begin, input)?.iter().all(|byte| *byte == 0);
            return if is_cut_off { Ok(None) } else { Err(ArchiveError::Foreign) };
        }
        Err(error) => return Err(error.into()),
    };
    if !is_whole {
        // Taken off only if it is ours.
        let is_ours = are_alike(&rest_from(begin, input)?, &GZIP) && are_alike(&text, BEGINNING);
        return if is_ours { Ok(None) } else { Err(ArchiveError::Foreign) };
    }
    let event = |line: &[u8]| {
        let known: Known = serde_json::from_slice(line).ok()?;
        known.draw_id.parse().ok()
    };
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(event).collect::<Option<_>>().map(Some).ok_or(ArchiveError::Foreign)
}

/// What a gzip member begins with (RFC 1952 section 2.3), and what a line of ours.
const GZIP: [u8; 3] = [0x1f, 0x8b, 8];
const BEGINNING: &[u8] = br#"{"draw_id":""#;

/// Whether two texts are the same as far as both go.
fn are_alike(one: &[u8], other: &[u8]) -> bool {
    one.iter().zip(other).all(|(one, other)| one == other)
}

fn rest_from(begin: u64, input: &mut BufReader<&mut File>) -> io::Result<Vec<u8>> {
    input.seek(SeekFrom::Start(begin))?;
    let mut rest = Vec::new();
    input.read_to_end(&mut rest)?;
    Ok(rest)
}

#[cfg(test)]
mod tests;
