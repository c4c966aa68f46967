//! Measured latencies that were given by API: kept in the state directory, and laid over those that
//! the configuration lists.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::Bytes;

use crate::admin::{Expected, NotMeasured};
use crate::config::{Latencies, UnknownPool, read_latencies};
use crate::plan::{Measurement, Plan};

/// The name, in the state directory, of the file with what was given.
const FILE: &str = "latency.csv";
/// What messages call what a request brings.
const REQUEST: &str = "body";

/// What was given, and what it lies over.
#[derive(Clone)]
pub(super) struct Measured {
    /// Where it is kept; `None`: nowhere, it is gone with the process.
    state_dir: Option<PathBuf>,
    /// As loaded, with the measurements of the configuration alone.
    loaded: Arc<Plan>,
    /// Empty: nothing was.
    given: Bytes,
}

impl Measured {
    /// What is kept in `state_dir`, over `loaded`; and the plan that comes of it. What cannot be
    /// read is left aside, and stays where it is: a name server without some latencies is better
    /// than none.
    pub(super) fn start(state_dir: Option<PathBuf>, loaded: Arc<Plan>) -> (Self, Arc<Plan>) {
        let nothing = Measured { state_dir, loaded: Arc::clone(&loaded), given: Bytes::new() };
        nothing.over(Arc::clone(&loaded)).unwrap_or_else(|mistakes| {
            tracing::error!("latencies given by API are not used\n{mistakes}");
            (nothing, loaded)
        })
    }

    /// What is kept, read anew, over another plan; and the plan that comes of it. Measurements of
    /// pools that the plan does not have are kept, for when they are back, but not used.
    ///
    /// # Errors
    ///
    /// If what is kept cannot be read, in words.
    pub(super) fn over(&self, loaded: Arc<Plan>) -> Result<(Self, Arc<Plan>), String> {
        let (name, given) = match &self.state_dir {
            Some(directory) => {
                let path = directory.join(FILE);
                let name = path.display().to_string();
                let kept = read(&path).map_err(|error| format!("{name}: error: cannot read it: {error}"))?;
                (name, kept)
            }
            None => (REQUEST.to_owned(), self.given.clone()),
        };
        let Latencies { measurements, passed_over } =
            read_latencies(&name, given.to_vec(), &loaded, UnknownPool::PassOver)
                .map_err(|mistakes| mistakes.to_string())?;
        if passed_over > 0 {
            tracing::warn!(
                measurements = passed_over,
                "latencies given by API are of pools that do not exist, and are not used"
            );
        }
        let plan = laid_over(&loaded, measurements);
        Ok((Measured { state_dir: self.state_dir.clone(), loaded, given }, plan))
    }

    /// The same over another plan, without looking at what is kept.
    pub(super) fn again_over(&self, loaded: Arc<Plan>) -> (Self, Arc<Plan>) {
        let read = read_latencies(REQUEST, self.given.to_vec(), &loaded, UnknownPool::PassOver);
        // It had no mistakes when it was given, and a pool that is not there is none.
        let measurements = read.map_or(Vec::new(), |latencies| latencies.measurements);
        let plan = laid_over(&loaded, measurements);
        (Measured { loaded, ..self.clone() }, plan)
    }

    /// `given` in the place of what was given before, if that is as `expected`, kept; the plan that
    /// comes of it, and how many measurements it has.
    ///
    /// # Errors
    ///
    /// If something else was given before, or it has mistakes or cannot be kept.
    pub(super) fn replaced(
        &self,
        given: Bytes,
        expected: Option<&Expected>,
    ) -> Result<(Self, Arc<Plan>, usize), NotMeasured> {
        if expected.is_some_and(|expected| !expected.is_met_by(&self.given)) {
            return Err(NotMeasured::Lost);
        }
        let Latencies { measurements, passed_over: _ } =
            read_latencies(REQUEST, given.to_vec(), &self.loaded, UnknownPool::Refuse)?;
        if let Some(directory) = &self.state_dir {
            keep(directory, &given).map_err(|error| NotMeasured::NotKept(directory.clone(), error))?;
        }
        let count = measurements.len();
        let plan = laid_over(&self.loaded, measurements);
        Ok((Measured { given, ..self.clone() }, plan, count))
    }

    /// As it was given.
    pub(super) fn given(&self) -> &Bytes {
        &self.given
    }
}

/// `loaded` with `given` in the place of what it has for the same clients and pools.
fn laid_over(loaded: &Arc<Plan>, given: Vec<Measurement>) -> Arc<Plan> {
    if given.is_empty() {
        return Arc::clone(loaded);
    }
    let subject = |measurement: &Measurement| (measurement.source, measurement.pool);
    let subjects: HashSet<_> = given.iter().map(subject).collect();
    let mut plan = Plan::clone(loaded);
    plan.latencies.retain(|listed| !subjects.contains(&subject(listed)));
    plan.latencies.extend(given);
    Arc::new(plan)
}

/// What is kept in the file at `path`; without one, nothing.
fn read(path: &Path) -> io::Result<Bytes> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Bytes::new()),
        read => read.map(Bytes::from),
    }
}

/// Keeps `given` in `directory`, whole or not at all. When it returns, it outlasts a crash of the
/// machine.
fn keep(directory: &Path, given: &[u8]) -> io::Result<()> {
    let path = directory.join(FILE);
    if given.is_empty() {
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            removed => removed?,
        }
    } else {
        fs::create_dir_all(directory)?;
        let unfinished = directory.join(format!("{FILE}.new"));
        let replaced = write(&unfinished, given).and_then(|()| fs::rename(&unfinished, &path));
        if replaced.is_err() {
            // It would take up the space that is missing; that it did not work is told anyway.
            let _ = fs::remove_file(&unfinished);
        }
        replaced?;
    }
    // A name lasts when its directory does.
    File::open(directory)?.sync_all()
}

fn write(path: &Path, octets: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(octets)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::plan::{LatencySource, PoolId};

    /// A plan of `pools`, for which one latency of each is listed.
    fn plan(pools: &[&str]) -> Arc<Plan> {
        let pool = |name: &&str| format!("pool.{name}.address = [{{ name = \"a\", ip = \"192.0.2.1\" }}]\n");
        let text = "geoip.databases = []\n".to_owned() + &pools.iter().map(pool).collect::<String>();
        let mut plan = config::parse("test.toml", &text, Path::new("")).expect("nothing is wrong").plan;
        plan.latencies = (0..).zip(pools).map(|(id, _)| measurement(64500, id, 10.0)).collect();
        Arc::new(plan)
    }

    fn measurement(asn: u32, pool: u32, milliseconds: f32) -> Measurement {
        Measurement { source: LatencySource::Asn(asn), pool: PoolId(pool), milliseconds }
    }

    #[test]
    fn what_is_given_wins_and_is_kept() {
        let directory = tempfile::tempdir().expect("a directory");
        let state = Some(directory.path().join("new"));
        let loaded = plan(&["a", "b"]);
        let (measured, plan) = Measured::start(state.clone(), loaded.clone());
        assert!(Arc::ptr_eq(&plan, &loaded), "nothing was given");

        let given = Bytes::from("AS64501,a,1\nAS64500,b,2\n");
        let (measured, plan, count) = measured.replaced(given.clone(), None).expect("nothing is wrong");
        let expected = [measurement(64500, 0, 10.0), measurement(64501, 0, 1.0), measurement(64500, 1, 2.0)];
        assert_eq!((count, &plan.latencies[..]), (2, &expected[..]));
        let (again, plan) = Measured::start(state.clone(), loaded.clone());
        assert_eq!((again.given(), &plan.latencies[..]), (&given, &expected[..]));

        let refused = measured.replaced(Bytes::from("AS64501,c,1\n"), None).err().expect("there is no c");
        assert!(refused.to_string().starts_with("body:1:9: error: pool `c` does not exist"), "{refused}");
        assert_eq!(Measured::start(state.clone(), loaded.clone()).0.given(), &given);

        let (_, plan, count) = measured.replaced(Bytes::new(), None).expect("nothing is wrong");
        assert!(count == 0 && Arc::ptr_eq(&plan, &loaded), "only what is listed");
        assert!(Measured::start(state, loaded).0.given().is_empty());
    }

    #[test]
    fn measurements_wait_for_their_pool() {
        let directory = tempfile::tempdir().expect("a directory");
        let (measured, _) = Measured::start(Some(directory.path().to_owned()), plan(&["a", "b"]));
        let given = Bytes::from("AS64501,a,1\nAS64501,b,2\n");
        let (measured, ..) = measured.replaced(given.clone(), None).expect("nothing is wrong");
        let (measured, without) = measured.over(plan(&["b"])).expect("it was good before");
        assert_eq!(without.latencies, [measurement(64500, 0, 10.0), measurement(64501, 0, 2.0)]);
        assert_eq!(measured.given(), &given);
        let (_, with) = measured.over(plan(&["b", "a"])).expect("it was good before");
        assert_eq!(with.latencies[2..], [measurement(64501, 1, 1.0), measurement(64501, 0, 2.0)]);
    }

    #[test]
    fn what_cannot_be_read_stops_a_reload_but_no_start() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(FILE);
        fs::write(&path, "AS64501,a,1\nAS64501,a\n").expect("it can be written");
        let loaded = plan(&["a"]);
        let (measured, plan) = Measured::start(Some(directory.path().to_owned()), loaded.clone());
        assert!(Arc::ptr_eq(&plan, &loaded) && measured.given().is_empty());
        let refused = measured.over(loaded.clone()).err().expect("a line is broken");
        assert!(refused.starts_with(&format!("{}:2:1: error: ", path.display())), "{refused}");
        assert!(path.exists(), "it is left for whoever can mend it");

        fs::remove_file(&path).and_then(|()| fs::create_dir(&path)).expect("it can be replaced");
        let refused = measured.over(loaded).err().expect("a directory is not read");
        assert!(refused.contains("cannot read it"), "{refused}");
    }

    #[test]
    fn what_cannot_be_kept_changes_nothing() {
        let directory = tempfile::tempdir().expect("a directory");
        let state = directory.path().join("state");
        let (measured, _) = Measured::start(Some(state.clone()), plan(&["a"]));
        let given = Bytes::from("AS64501,a,1\n");
        let (measured, ..) = measured.replaced(given.clone(), None).expect("nothing is wrong");
        // Whoever writes there is told that no space is left.
        let unfinished = state.join("latency.csv.new");
        std::os::unix::fs::symlink("/dev/full", &unfinished).expect("links can be made");
        let refused = measured.replaced(Bytes::from("AS64501,a,2\n"), None).err();
        let is_full = |error: &io::Error| error.kind() == io::ErrorKind::StorageFull;
        assert!(
            matches!(&refused, Some(NotMeasured::NotKept(path, error)) if *path == state && is_full(error)),
            "{refused:?}"
        );
        assert_eq!(fs::read(state.join(FILE)).expect("it is still there"), given);
        assert!(unfinished.symlink_metadata().is_err(), "nothing is left behind");
    }

    #[test]
    fn without_a_directory_it_lasts_as_long_as_the_process() {
        let (measured, _) = Measured::start(None, plan(&["a"]));
        let (measured, ..) = measured.replaced(Bytes::from("AS64501,a,1\n"), None).expect("nothing is wrong");
        let (_, plan) = measured.over(plan(&["b", "a"])).expect("it was good before");
        assert_eq!(plan.latencies[2..], [measurement(64501, 1, 1.0)]);
    }
}
