//! Where records of changes are kept.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::Record;
use super::reader::{ANSWER_OCTETS, Gathered, Snapshot, Wanted, number};

/// In the state directory.
const FILE: &str = "audit.log";
const FILE_BEFORE: &str = "audit.log.1";

/// How long the file gets, in octets, before the next is begun: some hundred thousand changes. The one
/// before it is kept, so that twice as much is taken at most.
const LONGEST: u64 = 64 * 1024 * 1024;

/// How many are remembered where there is no file, and how many octets they take together.
const REMEMBERED: usize = 1000;
const REMEMBERED_OCTETS: usize = ANSWER_OCTETS;

/// The records, and the number of the next.
pub(super) struct Kept {
    next: u64,
    place: Place,
}

enum Place {
    Memory { lines: VecDeque<String>, octets: usize },
    Directory(Log),
}

/// A file that is written to its end, and the one before it.
struct Log {
    directory: PathBuf,
    file: File,
    octets: u64,
    longest: u64,
    /// That the last record was cut off, so that the next begins with a new line.
    is_torn: bool,
    is_synced: bool,
}

impl Kept {
    /// In `state_dir`; without one, or where that cannot be, in memory: names have to be answered, and
    /// the log says that nobody will know afterwards who has changed what.
    pub(super) fn start(state_dir: Option<&Path>) -> Self {
        let memory = || Place::Memory { lines: VecDeque::new(), octets: 0 };
        let Some(directory) = state_dir else { return Kept { next: 1, place: memory() } };
        match Log::open(directory, LONGEST) {
            Ok((log, next)) => Kept { next, place: Place::Directory(log) },
            Err(error) => {
                let path = directory.join(FILE);
                tracing::error!(path = %path.display(), %error, "cannot keep an audit log");
                Kept { next: 1, place: memory() }
            }
        }
    }

    /// Goes on behind what another process has kept meanwhile.
    pub(super) fn resume(&mut self) {
        let Place::Directory(log) = &mut self.place else { return };
        match Log::open(&log.directory, log.longest) {
            Ok((anew, next)) => (*log, self.next) = (anew, next.max(self.next)),
            Err(error) => {
                tracing::error!(%error, "the audit log goes on without what another process has kept")
            }
        }
    }

    /// Keeps `record` under the next number.
    pub(super) fn keep(&mut self, mut record: Record) {
        record.seq = self.next;
        let line = match serde_json::to_string(&record) {
            Ok(line) => line,
            Err(error) => return tracing::error!(%error, "a change is not in the audit log"),
        };
        self.next += 1;
        match &mut self.place {
            Place::Memory { lines, octets } => {
                *octets += line.len();
                lines.push_back(line);
                while lines.len() > REMEMBERED || *octets > REMEMBERED_OCTETS {
                    *octets -= lines.pop_front().map_or(0, |line| line.len());
                }
            }
            Place::Directory(log) => {
                if let Err(error) = log.write(&line) {
                    // So that it is somewhere.
                    tracing::error!(%error, "a change is not in the audit log: {line}");
                }
            }
        }
    }

    /// Makes what was kept outlast a crash of the machine.
    pub(super) fn sync(&mut self) {
        if let Place::Directory(log) = &mut self.place
            && !std::mem::replace(&mut log.is_synced, true)
            && let Err(error) = log.file.sync_data()
        {
            tracing::error!(%error, "the audit log may be lost if the machine crashes");
        }
    }

    /// The records that are wanted, newest first, or what they are to be read from: files may be long.
    pub(super) fn look(&self, wanted: Wanted) -> Found {
        match &self.place {
            Place::Memory { lines, .. } => {
                let mut gathered = Gathered::new(wanted);
                let _ = lines.iter().rev().all(|line| gathered.take(line.as_bytes()));
                Found::Records(gathered.records)
            }
            Place::Directory(log) => match log.snapshot() {
                Ok(files) => Found::Files(files),
                Err(error) => {
                    tracing::error!(%error, "cannot read the audit log");
                    Found::Records(Vec::new())
                }
            },
        }
    }
}

/// What there is for whoever asks for records.
pub(super) enum Found {
    /// They themselves.
    Records(Vec<Record>),
    /// The files in which they are.
    Files(Snapshot),
}

impl Found {
    /// The records, which may take long.
    pub(super) fn read(self, wanted: Wanted) -> Vec<Record> {
        match self {
            Found::Records(records) => records,
            Found::Files(files) => files.read(wanted),
        }
    }
}

impl Log {
    /// Opens it in `directory`, and tells the number of the next record.
    fn open(directory: &Path, longest: u64) -> io::Result<(Self, u64)> {
        fs::create_dir_all(directory)?;
        let file = open(&directory.join(FILE))?;
        let octets = file.metadata()?.len();
        let mut last = [b'\n'];
        if octets > 0 {
            file.read_exact_at(&mut last, octets - 1)?;
        }
        let log = Log {
            directory: directory.to_owned(),
            file,
            octets,
            longest,
            is_torn: last != [b'\n'],
            is_synced: true,
        };
        let mut next = 1;
        log.snapshot()?.lines(|line| match number(line) {
            Some(number) => {
                next = number + 1;
                false
            }
            None => true,
        })?;
        Ok((log, next))
    }

    fn write(&mut self, line: &str) -> io::Result<()> {
        let mut text = String::with_capacity(line.len() + 2);
        if self.is_torn {
            text.push('\n');
        }
        text.push_str(line);
        text.push('\n');
        let octets = text.len() as u64;
        if self.octets > 0 && self.octets + octets > self.longest {
            let path = self.directory.join(FILE);
            fs::rename(&path, self.directory.join(FILE_BEFORE))?;
            self.file = open(&path)?;
            self.octets = 0;
        }
        self.is_synced = false;
        // What of it was written when it fails is cut off by the next.
        self.is_torn = true;
        self.file.write_all(text.as_bytes())?;
        self.is_torn = false;
        self.octets += octets;
        Ok(())
    }

    /// Both files, as they are now.
    fn snapshot(&self) -> io::Result<Snapshot> {
        let before = match File::open(self.directory.join(FILE_BEFORE)) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Snapshot::of(std::iter::once(self.file.try_clone()?).chain(before))
    }
}

/// For the daemon's user, and for the group to read, such as whatever collects logs.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).read(true).mode(0o640).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn record(reason: &str) -> Record {
        Record {
            seq: 0,
            at: "2026-11-21T10:00:00.000Z".to_owned(),
            who: "alice".to_owned(),
            from: "192.0.2.1".to_owned(),
            action: "order".to_owned(),
            object: "pools/vietnam".to_owned(),
            before: Value::Null,
            after: Value::Null,
            reason: Some(reason.to_owned()),
        }
    }

    fn read(kept: &Kept, limit: usize, before: Option<u64>) -> Vec<Record> {
        let wanted = Wanted { limit, before };
        kept.look(wanted).read(wanted)
    }

    fn seqs(kept: &Kept, limit: usize, before: Option<u64>) -> Vec<u64> {
        read(kept, limit, before).iter().map(|record| record.seq).collect()
    }

    fn in_files(directory: &Path, longest: u64) -> Kept {
        let (log, next) = Log::open(directory, longest).expect("there is nothing in the way");
        Kept { next, place: Place::Directory(log) }
    }

    #[test]
    fn the_newest_come_first_page_by_page() {
        let directory = tempfile::tempdir().expect("a directory");
        for mut kept in [Kept::start(None), Kept::start(Some(directory.path()))] {
            assert_eq!(seqs(&kept, 10, None), [0; 0]);
            for _ in 0..5 {
                kept.keep(record("why"));
            }
            assert_eq!(seqs(&kept, 2, None), [5, 4]);
            assert_eq!(seqs(&kept, 2, Some(4)), [3, 2]);
            assert_eq!(seqs(&kept, 2, Some(2)), [1]);
            assert_eq!(seqs(&kept, 2, Some(1)), [0; 0]);
            assert_eq!(read(&kept, 1, None)[0], Record { seq: 5, ..record("why") });
        }
    }

    #[test]
    fn it_goes_on_behind_what_another_process_has_kept() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut kept = in_files(directory.path(), 2000);
        kept.keep(record("before"));
        let mut other = in_files(directory.path(), 2000);
        // The file is another by then.
        for _ in 0..12 {
            other.keep(record("other"));
        }
        kept.resume();
        kept.keep(record("after"));
        let found = read(&kept, 2, None);
        assert_eq!((found[0].seq, found[0].reason.as_deref()), (14, Some("after")));
        assert_eq!((found[1].seq, found[1].reason.as_deref()), (13, Some("other")));
    }

    #[test]
    fn memory_holds_no_more_than_it_should() {
        let mut kept = Kept::start(None);
        for _ in 0..1200 {
            kept.keep(record("why"));
        }
        assert_eq!(seqs(&kept, 2000, None).len(), REMEMBERED);
        let large = "x".repeat(1024 * 1024);
        for _ in 0..40 {
            kept.keep(record(&large));
        }
        assert_eq!(seqs(&kept, 2000, None).len(), 15);
    }

    #[test]
    fn a_long_file_makes_room_and_both_are_read() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut kept = in_files(directory.path(), 2000);
        for _ in 0..20 {
            kept.keep(record("why"));
        }
        let lengths = [FILE, FILE_BEFORE]
            .map(|name| fs::metadata(directory.path().join(name)).expect("there are two files").len());
        assert!(lengths.iter().all(|length| (1..=2000).contains(length)), "{lengths:?}");
        let found = seqs(&kept, 100, None);
        assert!(found.len() > 10 && found.iter().zip((1..=20).rev()).all(|(seq, wanted)| *seq == wanted));
        // The numbers go on, though the last is in the other file.
        fs::write(directory.path().join(FILE), "").expect("it can be written");
        assert!(in_files(directory.path(), 2000).next > 10);
    }

    #[test]
    fn what_is_being_read_stays_as_it_was() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut kept = in_files(directory.path(), 2000);
        for _ in 0..15 {
            kept.keep(record("why"));
        }
        let found = seqs(&kept, 100, None);
        assert!(found.len() > 10, "there are two files");
        let wanted = Wanted { limit: 100, before: None };
        let looked = kept.look(wanted);
        // Neither of the files is there any more in the end.
        for _ in 0..40 {
            kept.keep(record("later"));
        }
        assert_eq!(looked.read(wanted).iter().map(|record| record.seq).collect::<Vec<_>>(), found);
    }

    #[test]
    fn what_a_crash_cut_off_spoils_nothing() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut kept = in_files(directory.path(), LONGEST);
        for _ in 0..3 {
            kept.keep(record("why"));
        }
        let path = directory.path().join(FILE);
        let text = fs::read_to_string(&path).expect("it is there");
        for cut in 1..text.len() {
            fs::write(&path, &text[..cut]).expect("it can be written");
            let mut kept = in_files(directory.path(), LONGEST);
            let before = seqs(&kept, 10, None);
            let whole = text[..cut].lines().filter(|line| line.ends_with("\"why\"}")).count();
            assert_eq!(before.len(), whole, "{cut}");
            kept.keep(record("later"));
            let after = read(&kept, 10, None);
            assert_eq!(after.len(), whole + 1, "{cut}");
            assert_eq!(after[0].reason.as_deref(), Some("later"));
            assert!(before.first().is_none_or(|last| after[0].seq > *last));
        }
    }

    #[test]
    fn lines_are_found_wherever_blocks_end() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut kept = in_files(directory.path(), LONGEST);
        let mut wanted = Vec::new();
        for length in [10, 300_000, 100, 262_144, 5, 600_000, 1] {
            kept.keep(record(&"y".repeat(length)));
            wanted.insert(0, length);
        }
        let found: Vec<usize> = read(&kept, 10, None)
            .iter()
            .map(|record| record.reason.as_ref().map_or(0, String::len))
            .collect();
        assert_eq!(found, wanted);
    }
}
