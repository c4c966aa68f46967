//! Biases that leave a pool no clients.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;

use super::domain::PlacedDomain;
use super::report::Report;
use super::source::Place;
use crate::geo::Coordinates;
use crate::plan::{DomainPolicy, Measurement, Pool, PoolId};

/// Notes every bias that changes nothing or leaves a pool without clients. `bias_places` has the
/// place of each pool's.
pub(super) fn check(
    domains: &[PlacedDomain],
    pools: &[Option<Pool>],
    bias_places: &[Option<Place>],
    latencies: &[Measurement],
    report: &Report,
) {
    let measured: HashSet<PoolId> = latencies.iter().map(|measurement| measurement.pool).collect();
    for ((pool, place), id) in pools.iter().zip(bias_places).zip(0..) {
        if let (Some(Pool { coordinates: None, .. }), Some(place)) = (pool, place)
            && !measured.contains(&PoolId(id))
        {
            report.error_with_hint(
                *place,
                "a bias does nothing without a `location`",
                "say where the pool is: location = { country = \"VN\" }".to_owned(),
            );
        }
    }
    let mut told = HashSet::new();
    let choices = domains.iter().flat_map(|domain| domain.domain.choices());
    for choice in choices.filter(|choice| choice.policy == DomainPolicy::Nearest) {
        let ids = || choice.pools.iter().map(|weighted| weighted.pool);
        if ids().all(|id| bias_places[id.index()].is_none()) {
            continue;
        }
        // What has clients by decree, or by measurement, is not left without.
        let has_others = |id: PoolId, pool: &Pool| !pool.serves.is_empty() || measured.contains(&id);
        let biased: Vec<BiasedPool<'_>> = ids()
            .filter_map(|id| {
                let pool = pools[id.index()].as_ref()?;
                Some(BiasedPool {
                    name: &pool.name,
                    coordinates: pool.coordinates?,
                    bias_km: pool.bias as f32,
                    bias_place: bias_places[id.index()],
                    has_others: has_others(id, pool),
                })
            })
            .collect();
        for eclipse in eclipses(&biased).into_iter().filter(|eclipse| !eclipse.of.has_others) {
            if let Some(place) = eclipse.place()
                && told.insert((eclipse.by.name.to_owned(), eclipse.of.name.to_owned()))
            {
                report.error(place, eclipse.to_string());
            }
        }
    }
}

/// A pool as far as distances are concerned: the smallest distance less bias is nearest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct BiasedPool<'p> {
    pub(super) name: &'p str,
    pub(super) coordinates: Coordinates,
    /// 0 for one that says none.
    pub(super) bias_km: f32,
    /// Where its bias stands, if it says one.
    pub(super) bias_place: Option<Place>,
    /// Whether clients are sent to it by other means.
    pub(super) has_others: bool,
}

/// A pool that is nearest to nobody because of another one's bias.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Eclipse<'p> {
    /// The pool that is in the way.
    pub(super) by: BiasedPool<'p>,
    /// The pool that is nearest to nobody as long as the other one has an address to give.
    pub(super) of: BiasedPool<'p>,
    /// By how much the bias of the one is above that of the other, in kilometres.
    pub(super) lead_km: f32,
    /// How far the two are apart, in kilometres: not more than the lead.
    pub(super) distance_km: f32,
}

impl Eclipse<'_> {
    /// Where to tell of it: at the bias that is too high, or else at the one that is too low.
    pub(super) fn place(&self) -> Option<Place> {
        let high = self.by.bias_place.filter(|_| self.by.bias_km > 0.0);
        high.or(self.of.bias_place).or(self.by.bias_place)
    }

    /// How far the nearest of all clients of the eclipsed pool is from becoming one, in kilometres.
    fn margin_km(&self) -> f32 {
        self.lead_km - self.distance_km
    }
}

impl fmt::Display for Eclipse<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Eclipse { by, of, lead_km, distance_km } = self;
        write!(
            f,
            "pool `{}` would never be nearest: its bias is {lead_km:.0} km below that of `{}`, which is \
             {distance_km:.0} km away",
            of.name, by.name
        )
    }
}

/// The pools that are nearest to nobody because of another one's bias, in their order, each with
/// the pool that is most in its way.
///
/// A client at a pool itself is as much nearer to it than to another one as the two are apart, and
/// by the triangle inequality no client is more so. So a lead in bias of that distance wins everywhere.
/// Pools of equal bias never do that to each other: at the same place, their order decides.
pub(super) fn eclipses<'p>(pools: &[BiasedPool<'p>]) -> Vec<Eclipse<'p>> {
    // The usual case, in which there is nothing to compare, should not take a pass per pool.
    let lowest = pools.iter().map(|pool| pool.bias_km).fold(f32::INFINITY, f32::min);
    let raised: Vec<&BiasedPool<'p>> = pools.iter().filter(|pool| pool.bias_km > lowest).collect();
    let eclipse = |of: &BiasedPool<'p>| {
        raised
            .iter()
            .filter(|by| by.bias_km > of.bias_km)
            .map(|&&by| Eclipse {
                by,
                of: *of,
                lead_km: by.bias_km - of.bias_km,
                distance_km: by.coordinates.distance_km(&of.coordinates),
            })
            .filter(|eclipse| eclipse.margin_km() >= 0.0)
            // Of equal ones the first.
            .max_by(|one, other| one.margin_km().total_cmp(&other.margin_km()).then(Ordering::Greater))
    };
    pools.iter().filter_map(eclipse).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HANOI: (f32, f32) = (21.03, 105.85);
    /// 871 km from Hanoi.
    const HONG_KONG: (f32, f32) = (22.32, 114.17);
    const SYDNEY: (f32, f32) = (-33.87, 151.21);

    fn at((latitude, longitude): (f32, f32)) -> Coordinates {
        Coordinates::new(latitude, longitude).unwrap()
    }

    fn pool(name: &'static str, place: (f32, f32), bias_km: f32) -> BiasedPool<'static> {
        let start = name.len();
        let bias_place = (bias_km != 0.0).then_some(Place::new(0, start..start));
        BiasedPool { name, coordinates: at(place), bias_km, bias_place, has_others: false }
    }

    #[track_caller]
    fn check(pools: &[BiasedPool<'static>], expected: &[(&str, &str)]) {
        let found: Vec<_> =
            eclipses(pools).iter().map(|eclipse| (eclipse.by.name, eclipse.of.name)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_lead_beyond_the_distance_flips_it() {
        let distance = at(HANOI).distance_km(&at(HONG_KONG));
        let (below, above) = (distance - 1.0, distance + 1.0);
        check(&[pool("hn", HANOI, below), pool("hk", HONG_KONG, 0.0)], &[]);
        check(&[pool("hn", HANOI, distance), pool("hk", HONG_KONG, 0.0)], &[("hn", "hk")]);
        check(&[pool("hn", HANOI, above), pool("hk", HONG_KONG, 0.0)], &[("hn", "hk")]);
        check(&[pool("hn", HANOI, 0.0), pool("hk", HONG_KONG, -above)], &[("hn", "hk")]);
        check(&[pool("hn", HANOI, -500.0), pool("hk", HONG_KONG, above - 500.0)], &[("hk", "hn")]);
        check(&[pool("hn", HANOI, -500.0), pool("hk", HONG_KONG, 300.0)], &[]);
    }

    #[test]
    fn pools_at_one_place_go_by_their_order_unless_a_bias_says_otherwise() {
        check(&[pool("one", HANOI, 0.0), pool("two", HANOI, 0.0)], &[]);
        check(&[pool("one", HANOI, 10.0), pool("two", HANOI, 10.0)], &[]);
        check(&[pool("one", HANOI, 0.0), pool("two", HANOI, 10.0)], &[("two", "one")]);
    }

    #[test]
    fn each_is_told_once_with_what_is_most_in_its_way() {
        let pools = [
            pool("hn", HANOI, 0.0),
            pool("hk", HONG_KONG, 1_000.0),
            pool("syd", SYDNEY, 20_000.0),
            pool("syd-2", SYDNEY, 20_000.0),
        ];
        check(&pools, &[("syd", "hn"), ("syd", "hk")]);
        check(&[], &[]);
    }

    #[test]
    fn it_is_told_where_the_operator_can_mend_it() {
        let place = |pools: [BiasedPool<'static>; 2]| eclipses(&pools)[0].place();
        let [raised, plain] = [pool("raised", HANOI, 900.0), pool("plain", HONG_KONG, 0.0)];
        let lowered = pool("lowered", HONG_KONG, -900.0);
        assert_eq!(place([raised, plain]), raised.bias_place);
        assert_eq!(place([raised, lowered]), raised.bias_place);
        assert_eq!(place([pool("plain", HANOI, 0.0), lowered]), lowered.bias_place);
        assert_eq!(
            eclipses(&[raised, plain])[0].to_string(),
            "pool `plain` would never be nearest: its bias is 900 km below that of `raised`, which is 871 km away"
        );
    }

    fn anywhere() -> impl Strategy<Value = (f32, f32)> {
        (-90.0f32..=90.0, -180.0f32..=180.0)
    }

    proptest! {
        /// Both ways: no client is nearer to what is eclipsed, and one at what is not is nearest to it.
        #[test]
        fn the_eclipsed_are_nearest_to_nobody(
            pools in prop::collection::vec((anywhere(), -20_000.0_f32..20_000.0), 2..5),
            clients in prop::collection::vec(anywhere(), 8),
        ) {
            let pools: Vec<_> =
                pools.into_iter().map(|(place, bias)| pool("pool", place, bias)).collect();
            let eclipses = eclipses(&pools);
            let reach = |client: &Coordinates, pool: &BiasedPool<'_>| {
                client.distance_km(&pool.coordinates) - pool.bias_km
            };
            // Distances are rounded to some metres.
            let slack = 0.1;
            for Eclipse { by, of, .. } in &eclipses {
                for client in clients.iter().map(|&place| at(place)).chain([of.coordinates]) {
                    prop_assert!(reach(&client, by) <= reach(&client, of) + slack);
                }
            }
            for own in pools.iter().filter(|pool| eclipses.iter().all(|eclipse| eclipse.of != **pool)) {
                for other in &pools {
                    prop_assert!(reach(&own.coordinates, own) <= reach(&own.coordinates, other) + slack);
                }
            }
        }
    }
}
