//! How many connections there are, and whose.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::throttle::network;

/// What is left for connections.
#[derive(Clone)]
pub(super) struct Places(Arc<Mutex<Taken>>);

/// Of the ordinary ones, and of the spare ones.
struct Taken {
    free: [usize; 2],
    of_one: [usize; 2],
    by: HashMap<IpAddr, [usize; 2]>,
}

/// A place that is taken, until it is dropped.
pub(super) struct Place {
    places: Places,
    /// 0: an ordinary one, 1: a spare one.
    kind: usize,
    source: Option<IpAddr>,
}

impl Places {
    /// As many ordinary ones and spare ones, of which one address may take `of_one`.
    pub(super) fn new(ordinary: usize, spare: usize, of_one: [usize; 2]) -> Self {
        let taken = Taken { free: [ordinary, spare], of_one, by: HashMap::new() };
        Places(Arc::new(Mutex::new(taken)))
    }

    /// Takes one for `source`; `None` stands for those who share one and are not told apart. If none
    /// is left for it, there is no answer but to hang up.
    pub(super) fn take(&self, source: Option<IpAddr>) -> Option<Place> {
        let source = source.map(network);
        let mut taken = self.taken();
        let held = source.and_then(|source| taken.by.get(&source)).copied().unwrap_or_default();
        let is_open =
            |kind: &usize| taken.free[*kind] > 0 && (source.is_none() || held[*kind] < taken.of_one[*kind]);
        let kind = [0, 1].into_iter().find(is_open)?;
        taken.free[kind] -= 1;
        if let Some(source) = source {
            taken.by.entry(source).or_default()[kind] += 1;
        }
        Some(Place { places: self.clone(), kind, source })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        // Nothing panics while it is locked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Whether its holder is only to be told that there are too many.
    pub(super) fn is_spare(&self) -> bool {
        self.kind == 1
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.free[self.kind] += 1;
        let Some(source) = self.source else { return };
        if let Some(held) = taken.by.get_mut(&source) {
            held[self.kind] -= 1;
            if *held == [0, 0] {
                taken.by.remove(&source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().expect("it is an address"))
    }

    #[test]
    fn nobody_alone_takes_all() {
        let places = Places::new(5, 3, [3, 1]);
        let take = |source| places.take(source).map(|place| (place.is_spare(), place));
        let kinds = |taken: &[Option<(bool, Place)>]| -> Vec<Option<bool>> {
            taken.iter().map(|taken| taken.as_ref().map(|(is_spare, _)| *is_spare)).collect()
        };
        let one: Vec<_> = (0..5).map(|_| take(ip("192.0.2.1"))).collect();
        assert_eq!(kinds(&one), [Some(false), Some(false), Some(false), Some(true), None]);
        // The addresses of a network of IPv6 are one.
        let other: Vec<_> = (1..5).map(|host| take(ip(&format!("2001:db8::{host}")))).collect();
        assert_eq!(kinds(&other), [Some(false), Some(false), Some(true), None]);
        let third = [take(ip("192.0.2.3")), take(ip("192.0.2.4"))];
        assert_eq!(kinds(&third), [Some(true), None]);
        // What is given back can be taken again, and nothing is remembered of it.
        drop((one, other, third));
        let all: Vec<_> = (0..9).map(|_| take(None)).collect();
        assert_eq!(all.iter().flatten().count(), 8);
        assert!(places.taken().by.is_empty());
    }
}
