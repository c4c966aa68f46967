//! The recorder of explanations: what it hears, in words.

use std::net::IpAddr;

use super::RoutingTable;
use super::explain::{
    AddressExplained, CandidateExplained, ChoiceExplained, DecisionExplained, PlaceExplained,
};
use super::pool_health::{Share, Standing, Tier};
use super::recorder::{Finding, Reason, Recorder};
use crate::geo::GeoTable;
use crate::plan::{Address, Addresses, DomainId, DomainPolicy, PoolId, Source, WhenAllDown};

/// Writes down what it hears.
pub(super) struct Story<'t> {
    table: &'t RoutingTable,
    client: IpAddr,
    place: Option<PlaceExplained>,
    decisions: Vec<DecisionExplained>,
    /// The rule that the next choice is of.
    rule: Option<(u16, Option<Source>)>,
}

impl<'t> Story<'t> {
    /// A story that has not begun.
    pub(super) fn new(table: &'t RoutingTable, client: IpAddr) -> Self {
        Story { table, client, place: None, decisions: Vec::new(), rule: None }
    }

    /// Where the client was found, if its place was looked at, and what was decided.
    pub(super) fn end(self) -> (Option<PlaceExplained>, Vec<DecisionExplained>) {
        (self.place, self.decisions)
    }

    fn pool_name(&self, pool: PoolId) -> String {
        self.table.pool(pool).name.clone()
    }

    fn addresses(&self, pool: PoolId) -> Vec<AddressExplained> {
        let shares = &self.table.health(pool).shares;
        match &self.table.pool(pool).addresses {
            Addresses::Ip(list) => list.iter().zip(shares).map(address).collect(),
            Addresses::Cname(list) => list.iter().zip(shares).map(address).collect(),
            Addresses::Domain(_) => Vec::new(),
        }
    }

    /// The distance of a pool from the client, by great circle.
    fn distance_km(&self, pool: PoolId) -> Option<f32> {
        let here = self.table.geo().locate(self.client).place.location.coordinates?;
        Some(here.distance_km(&self.table.pool(pool).coordinates?))
    }

    /// Why a pool is passed over.
    fn why_not(&self, pool: PoolId) -> String {
        let standing = self.table.health(pool).standing;
        let what = match standing {
            Standing::Unmet => "what it depends on is down",
            Standing::BelowMinimum => "less than its minimum is up",
            Standing::Held => "up again, but held back for a while",
            Standing::AwaitsRelease => "up again, but not released yet",
            Standing::Full | Standing::Returning(_) => "no healthy address to give",
        };
        format!("passed over: {what}")
    }

    /// How a pool's bias changes its distance.
    fn biased(&self, pool: PoolId) -> String {
        match self.table.pool(pool).bias {
            0 => String::new(),
            bias if bias > 0 => format!(", counted as {bias} km closer"),
            bias => format!(", counted as {} km further", -bias),
        }
    }

    fn found(&self, pool: PoolId, finding: Finding) -> CandidateExplained {
        let distance_km = self.distance_km(pool).filter(|_| finding == Finding::Placed);
        let words = match finding {
            Finding::PassedOver => self.why_not(pool),
            Finding::NotYet => {
                let share = self.table.share(pool).unwrap_or(Share::FULL).part() * 100.0;
                format!("passed over: comes back, and serves {share:.0} % of the clients so far")
            }
            Finding::Suitable => "has an address to give".to_owned(),
            Finding::Placed => {
                let away = distance_km.map_or(String::new(), |km| format!("{km:.0} km away"));
                away + &self.biased(pool)
            }
            Finding::Measured(milliseconds) => {
                format!("{milliseconds} ms away, as measured") + &self.biased(pool)
            }
            Finding::Placeless => "without a place".to_owned(),
        };
        CandidateExplained { pool: self.pool_name(pool), distance_km, finding: words }
    }
}

fn address<T: ToString>((address, share): (&Address<T>, &Share)) -> AddressExplained {
    AddressExplained {
        name: address.name.clone(),
        target: address.target.to_string(),
        weight: address.weight,
        share: share.part(),
        up: *share > Share::NONE,
    }
}

impl Recorder for Story<'_> {
    fn domain(&mut self, domain: impl FnOnce() -> DomainId) {
        self.rule = None;
        self.decisions.push(DecisionExplained {
            domain: self.table.plan().domains[domain().index()].name.to_string(),
            choices: Vec::new(),
            all_down: None,
            pool: None,
            reason: None,
            addresses: Vec::new(),
            shortened_ttl: None,
        });
    }

    fn located(&mut self, client: IpAddr) {
        self.place = Some(placed(self.table.geo(), client));
    }

    fn rule(&mut self, number: u16, source: Option<Source>) {
        self.rule = Some((number, source));
    }

    fn choice(&mut self, policy: DomainPolicy, tier: Tier) {
        let rule = self.rule.take();
        let Some(decision) = self.decisions.last_mut() else { return };
        decision.choices.push(ChoiceExplained {
            rule: rule.map(|(number, _)| number + 1),
            source: rule.and_then(|(_, source)| source).map(|source| source.to_string()),
            policy: policy.to_string(),
            among: match tier {
                Tier::InService => "in service",
                Tier::Healthy => "healthy",
                Tier::Configured | Tier::Expected => "all",
            }
            .to_owned(),
            candidates: Vec::new(),
        });
    }

    fn candidate(&mut self, pool: PoolId, finding: Finding) {
        let found = self.found(pool, finding);
        let choice = self.decisions.last_mut().and_then(|decision| decision.choices.last_mut());
        if let Some(choice) = choice {
            choice.candidates.push(found);
        }
    }

    fn taken(&mut self, pool: PoolId, reason: Reason) {
        let name = self.pool_name(pool);
        let addresses = self.addresses(pool);
        let Some(decision) = self.decisions.last_mut() else { return };
        decision.pool = Some(name);
        decision.addresses = addresses;
        decision.reason = Some(match reason {
            Reason::First => "the first in order that has something to give".to_owned(),
            Reason::Only => "the only one that has something to give".to_owned(),
            Reason::Serves(source) => format!("serves {source}"),
            Reason::Closest => "closest to the client".to_owned(),
            Reason::Quickest => "quickest for the client, as measured".to_owned(),
            Reason::Unplaced => "first in order: no distance is known".to_owned(),
            Reason::Drawn(chance) => format!("drawn, at a chance of {:.1} %", chance * 100.0),
            Reason::Turn => "its turn".to_owned(),
            Reason::Hashed => "the client's prefix belongs to it".to_owned(),
            Reason::Fallback => "the fallback pool".to_owned(),
        });
    }

    fn all_down(&mut self, then: WhenAllDown) {
        let Some(decision) = self.decisions.last_mut() else { return };
        decision.all_down = Some(
            match then {
                WhenAllDown::ServeAll => "serve-all: answered as if all were up",
                WhenAllDown::Fallback(_) => "fallback: answered from the fallback pool",
                WhenAllDown::Nodata => "nodata: answered empty",
                WhenAllDown::Servfail => "servfail: answered with an error",
            }
            .to_owned(),
        );
    }

    fn unruled(&mut self) {
        if let Some(decision) = self.decisions.last_mut() {
            decision.reason = Some("no rule is for the client: answered empty".to_owned());
        }
    }

    fn shortened(&mut self, ttl: u32) {
        // The TTL is that of the name, whatever domains stand in for its pools.
        if let Some(decision) = self.decisions.last_mut() {
            decision.shortened_ttl = Some(ttl);
        }
    }
}

fn placed(geo: &GeoTable, client: IpAddr) -> PlaceExplained {
    let description = geo.describe(client);
    let location = description.place.location;
    let sources = description.sources;
    let mut databases: Vec<String> = Vec::new();
    for database in
        [sources.country, sources.subdivision, sources.continent, sources.asn, sources.coordinates]
    {
        if let Some(database) = database
            && !databases.iter().any(|known| known == database)
        {
            databases.push(database.to_owned());
        }
    }
    PlaceExplained {
        prefix: description.prefix.to_string(),
        continent: location.continent.map(|continent| continent.code().to_owned()),
        country: location.country.map(|country| country.to_string()),
        subdivision: location.subdivision.map(|subdivision| subdivision.to_string()),
        asn: location.asn,
        latitude: location.coordinates.map(|at| at.latitude),
        longitude: location.coordinates.map(|at| at.longitude),
        databases,
    }
}
