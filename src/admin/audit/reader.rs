//! Records as they are read from files, the last first.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::Record;

/// The octets of an answer: as many as are remembered where there is no file.
pub(super) const ANSWER_OCTETS: usize = 16 * 1024 * 1024;

/// What is read of a file at once, from its end.
pub(super) const BLOCK: u64 = 256 * 1024;

/// Which records are asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// As many at most.
    pub(super) limit: usize,
    /// With numbers below this one.
    pub(super) before: Option<u64>,
}

/// Files of records as they were at a moment, to be read wherever that makes nobody wait: what is
/// written since is behind them, and a file that is renamed or replaced stays the same here.
pub(super) struct Snapshot {
    /// Each with its length then, the one with the last records first.
    files: Vec<(File, u64)>,
}

impl Snapshot {
    /// Of `files`, the one with the last records first.
    pub(super) fn of(files: impl IntoIterator<Item = File>) -> io::Result<Self> {
        let files = files.into_iter().map(|file| file.metadata().map(|known| (file, known.len())));
        Ok(Snapshot { files: files.collect::<io::Result<_>>()? })
    }

    /// The last records that are wanted, newest first, or as many as an answer can hold.
    pub(super) fn read(&self, wanted: Wanted) -> Vec<Record> {
        let mut gathered = Gathered::new(wanted);
        if let Err(error) = self.read_into(&mut gathered) {
            tracing::error!(%error, "cannot read the audit log");
        }
        gathered.records
    }

    fn read_into(&self, gathered: &mut Gathered) -> io::Result<()> {
        for (file, octets) in &self.files {
            let end = match gathered.wanted.before {
                Some(before) => end_below(file, *octets, before)?,
                None => *octets,
            };
            if !read_back(file, end, &mut |line| gathered.take(line))? {
                break;
            }
        }
        Ok(())
    }

    /// Gives `take` each line, the last first, until it wants no more.
    pub(super) fn lines(&self, mut take: impl FnMut(&[u8]) -> bool) -> io::Result<()> {
        for (file, octets) in &self.files {
            if !read_back(file, *octets, &mut take)? {
                break;
            }
        }
        Ok(())
    }
}

/// An answer as it grows.
pub(super) struct Gathered {
    wanted: Wanted,
    octets: usize,
    pub(super) records: Vec<Record>,
}

impl Gathered {
    pub(super) fn new(wanted: Wanted) -> Self {
        Gathered { wanted, octets: 0, records: Vec::new() }
    }

    /// Takes a line, if it belongs here; returns whether there can be more.
    pub(super) fn take(&mut self, line: &[u8]) -> bool {
        let is_before = |seq: u64| self.wanted.before.is_none_or(|before| seq < before);
        if !number(line).is_some_and(is_before) {
            return true;
        }
        // What somebody has written into the file is passed over.
        if let Ok(record) = serde_json::from_slice(line) {
            self.octets += line.len();
            self.records.push(record);
        }
        self.records.len() < self.wanted.limit && self.octets < ANSWER_OCTETS
    }
}

/// The number of a record, without looking at the rest of it.
pub(super) fn number(line: &[u8]) -> Option<u64> {
    let digits = line.strip_prefix(br#"{"seq":"#)?;
    let end = digits.iter().position(|octet| !octet.is_ascii_digit())?;
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
}

/// Where the records end of which some may have numbers below `before`, in the first `octets` of `file`:
/// numbers only grow, so that halves are left out until about a block is left.
fn end_below(file: &File, octets: u64, before: u64) -> io::Result<u64> {
    // What begins from `end` on has no number below. So has what begins from `high` on, but `high` may be
    // in the middle of a line; the record that begins at `low`, if there is one, has.
    let (mut low, mut high, mut end) = (0, octets, octets);
    while high - low > BLOCK {
        let middle = low + (high - low) / 2;
        match first_from(file, middle, high)? {
            Some((start, number)) if number < before => low = start,
            Some((start, _)) => (high, end) = (middle, start),
            None => high = middle,
        }
    }
    Ok(end)
}

/// The first record that begins behind `from` and before `to`: where, and its number.
fn first_from(file: &File, from: u64, to: u64) -> io::Result<Option<(u64, u64)>> {
    /// `{"seq":`, the digits of any number and what follows them.
    const HEAD: u64 = 32;
    let mut at = from;
    let mut buffer = vec![0; 4096];
    while at < to {
        // A line that begins just before `to` goes on behind it.
        let some = (to + HEAD - at).min(buffer.len() as u64);
        let known = read_some(file, &mut buffer[..some as usize], at)?;
        let block = &buffer[..known];
        let is_last = known < some as usize || at + some >= to + HEAD;
        let newlines = block.iter().enumerate().filter(|(_, octet)| **octet == b'\n');
        for start in newlines.map(|(newline, _)| newline + 1) {
            let begins = at + start as u64;
            if begins >= to {
                return Ok(None);
            }
            if let Some(number) = number(&block[start..]) {
                return Ok(Some((begins, number)));
            }
        }
        if is_last {
            break;
        }
        // Again what may be the beginning of a record that is cut off here.
        at += some - HEAD;
    }
    Ok(None)
}

/// Reads until `buffer` is full or the file ends.
fn read_some(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut known = 0;
    while known < buffer.len() {
        match file.read_at(&mut buffer[known..], at + known as u64) {
            Ok(0) => break,
            Ok(more) => known += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(known)
}

/// Gives `take` the lines in the first `end` octets of `file`, the last first; returns whether it wanted all.
fn read_back(file: &File, mut end: u64, take: &mut impl FnMut(&[u8]) -> bool) -> io::Result<bool> {
    // The end of a line whose beginning was not read yet.
    let mut rest = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        let mut block = vec![0; usize::try_from(end - start).unwrap_or(usize::MAX)];
        file.read_exact_at(&mut block, start)?;
        block.append(&mut rest);
        end = start;
        let first_whole = match block.iter().position(|octet| *octet == b'\n') {
            _ if start == 0 => 0,
            Some(newline) => newline + 1,
            None => block.len(),
        };
        for line in block[first_whole..].rsplit(|octet| *octet == b'\n') {
            if !line.is_empty() && !take(line) {
                return Ok(false);
            }
        }
        block.truncate(first_whole);
        rest = block;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// Each number in a line of its own, with what may be between and in lines.
    fn file(lengths: &[(u64, usize)]) -> (File, Vec<(u64, u64)>) {
        let mut file = tempfile::tempfile().expect("there is room");
        let (mut places, mut at) = (Vec::new(), 0);
        for (seq, length) in lengths {
            let text = match seq {
                0 => format!("{}\n", "x".repeat(*length)),
                _ => format!("{{\"seq\":{seq},\"reason\":\"{}\"}}\n", "y".repeat(*length)),
            };
            file.write_all(text.as_bytes()).expect("there is room");
            if *seq > 0 {
                places.push((at, *seq));
            }
            at += text.len() as u64;
        }
        (file, places)
    }

    #[test]
    fn what_is_too_new_is_left_out_unread() {
        const LONGEST: u64 = 700_000;
        let mut lengths = Vec::new();
        for seq in 1..=2000 {
            let length = match seq {
                500 | 501 | 1999 => LONGEST as usize - 100,
                _ => seq as usize * 7919 % 5000,
            };
            lengths.push((seq, length));
            // Written by somebody else, or cut off.
            if seq % 300 == 0 {
                lengths.push((0, LONGEST as usize - 100));
            }
        }
        let (file, places) = file(&lengths);
        let octets = file.metadata().expect("it is open").len();
        for before in (0..=2001).step_by(23).chain([1, 2, 499, 500, 501, 502, 1999, 2000, 2001]) {
            let end = end_below(&file, octets, before).expect("it can be read");
            let place = places.iter().find(|(_, seq)| *seq >= before).map_or(octets, |(place, _)| *place);
            assert!(end >= place, "{before}: some are missed: {end}, {place}");
            assert!(end - place <= BLOCK + 2 * LONGEST, "{before}: {end} is too far from {place}");
            assert!(end == octets || places.iter().any(|(place, _)| *place == end), "in a line");
        }
    }

    #[test]
    fn the_first_record_is_found_from_anywhere() {
        let (file, places) = file(&[
            (1, 5),
            (0, 3),
            (22, 9000),
            (0, 4090),
            (333, 0),
            (4444, 4060),
            (55555, 8190),
            (u64::MAX, 1),
        ]);
        let octets = file.metadata().expect("it is open").len();
        let near = places.iter().flat_map(|(place, _)| place.saturating_sub(40)..*place + 2);
        for from in (0..octets).step_by(61).chain(near) {
            let expected = places.iter().find(|(place, _)| *place > from).copied();
            assert_eq!(first_from(&file, from, octets).expect("it can be read"), expected, "{from}");
            if let Some((place, _)) = expected {
                assert_eq!(first_from(&file, from, place).expect("it can be read"), None);
                assert_eq!(first_from(&file, from, place + 1).expect("it can be read"), expected);
            }
        }
    }
}
