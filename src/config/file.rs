//! The whole of a configuration file.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use toml::de::DeTable;

use super::bias_rules;
use super::condition::{self, ConditionSpec, Known};
use super::domain::{DomainIds, DomainSpec, PlacedDomain, References};
use super::domain_rules;
use super::edits::Document;
use super::geoip::{GeoipSettings, GeoipSpec, NamedDatabases, ReadDatabases};
use super::health_check::HealthCheckSpec;
use super::isolation;
use super::latency::{self, LatencySpec};
use super::name::identifier_fault;
use super::nesting;
use super::notification::{Notification, NotificationSpec};
use super::pool::{CheckRef, PoolSpec};
use super::reader::{Table, Value, list};
use super::report::{File, Report};
use super::sections::{Pieces, Sections};
use super::settings::{Settings, SettingsSpec};
use super::source::{Located, Place};
use super::unique::Unique;
use super::zone::{PlacedZone, ZoneSpec};
use super::zone_rules::{self, ZoneView};
use crate::geo::GeoTable;
use crate::plan::{Condition, ConditionId, HealthCheck, Plan, Pool, PoolId, ZoneId};

/// A file as written. Lists are in its order.
pub(super) struct FileSpec {
    settings: SettingsSpec,
    geoip: Option<Located<GeoipSpec>>,
    zone: Option<Located<Vec<Located<ZoneSpec>>>>,
    health_check: Vec<Named<HealthCheckSpec>>,
    condition: Vec<Named<ConditionSpec>>,
    pool: Vec<Named<PoolSpec>>,
    domain: Vec<Located<DomainSpec>>,
    latency: Option<Located<Vec<Located<LatencySpec>>>>,
    notification: Vec<Named<NotificationSpec>>,
}

/// What a file means.
pub(super) struct World {
    pub(super) settings: Settings,
    pub(super) geoip: GeoipSettings,
    pub(super) geo: Arc<GeoTable>,
    pub(super) plan: Plan,
    pub(super) notifications: Vec<Notification>,
}

/// What has come of the databases that a configuration names.
pub(super) enum Databases {
    /// They are not looked at again: what has come of them before, with what it came of.
    Same(GeoipSettings, Arc<GeoTable>),
    /// They were read.
    Read(Box<ReadDatabases>),
}

/// A table under a name of the operator's; `None`: what stands there is no such table.
type Named<T> = (Located<String>, Option<T>);

impl FileSpec {
    /// Takes the file apart, also into parts that can be changed; `None`: it is not TOML, which has been noted.
    ///
    /// `meanwhile` is given what there is when all but the domains has been read. It may be called twice.
    pub(super) fn read(
        file: &File,
        report: &Report,
        mut meanwhile: impl FnMut(&Self),
    ) -> Option<(Self, Document)> {
        let sections = Sections::of(&file.text);
        let in_sections = Self::read_in_sections(file, &sections, report, &mut meanwhile);
        let spec = in_sections.or_else(|| Self::read_whole(file, report).inspect(|spec| meanwhile(spec)))?;
        Some((spec, Document::cut(&file.text, &sections)))
    }

    /// The databases that it names.
    pub(super) fn databases(&self, base_dir: &Path) -> NamedDatabases {
        let geoip = self.geoip.as_ref();
        geoip.map_or_else(NamedDatabases::none, |geoip| geoip.value.databases(base_dir))
    }

    /// Takes a file of sound TOML apart, in little memory. `None`: it is none, or written in some
    /// way that only the whole makes plain; nothing has been noted.
    fn read_in_sections(
        file: &File,
        sections: &Sections,
        report: &Report,
        meanwhile: &mut impl FnMut(&Self),
    ) -> Option<Self> {
        let rest = sections.rest(&file.text);
        let tree = sound_tree(&rest)?;
        if !sections.domains.is_empty() && tree.contains_key("domain") {
            return None;
        }
        let before = report.mark();
        let mut spec = Self::read_tree(&tree, &sections.pieces_of_rest(), file, report);
        drop(tree);
        drop(rest);
        meanwhile(&spec);
        spec.domain.reserve_exact(sections.count);
        for section in &sections.domains {
            let Some(tree) = sound_tree(&file.text[section.clone()]) else {
                report.rewind(before);
                return None;
            };
            let pieces = Pieces::one(section.start);
            let mut table = Table::root(&tree, file.id, &pieces, report);
            let domains = table.optional("domain", list(DomainSpec::read));
            spec.domain.extend(domains.into_iter().flat_map(|domains| domains.value));
            table.finish();
        }
        Some(spec)
    }

    fn read_whole(file: &File, report: &Report) -> Option<Self> {
        let (tree, errors) = DeTable::parse_recoverable(&file.text);
        let is_whole = note_syntax_errors(errors, file, report);
        is_whole.then(|| Self::read_tree(tree.get_ref(), &Pieces::one(0), file, report))
    }

    fn read_tree(tree: &DeTable<'_>, pieces: &Pieces, file: &File, report: &Report) -> Self {
        let mut table = Table::root(tree, file.id, pieces, report);
        let spec = FileSpec {
            settings: SettingsSpec::read(&mut table),
            geoip: table.optional("geoip", GeoipSpec::read),
            zone: table.optional("zone", list(ZoneSpec::read)),
            health_check: named(&mut table, "health_check", HealthCheckSpec::read),
            condition: named(&mut table, "condition", ConditionSpec::read),
            pool: named(&mut table, "pool", PoolSpec::read),
            domain: table
                .optional("domain", list(DomainSpec::read))
                .map_or(Vec::new(), |domains| domains.value),
            latency: table.optional("latency", list(LatencySpec::read)),
            notification: named(&mut table, "notification", NotificationSpec::read),
        };
        table.finish();
        spec
    }

    /// Makes of it what it means, with the map that `databases` makes of those that it names; `None`:
    /// there is a mistake, and it has been noted.
    pub(super) fn convert(
        self,
        base_dir: &Path,
        databases: impl FnOnce() -> Databases,
        report: &Report,
    ) -> Option<World> {
        let FileSpec {
            mut settings,
            geoip,
            zone,
            health_check,
            condition,
            pool,
            domain,
            latency,
            notification,
        } = self;
        let isolation = settings.take_isolation();
        let settings = settings.convert(base_dir, report);
        let (checks, health_checks) = convert_health_checks(health_check, base_dir, report);
        let domain_ids = DomainIds::of(&domain);
        let bias_places: Vec<Option<Place>> =
            pool.iter().map(|(_, spec)| spec.as_ref().and_then(PoolSpec::bias_place)).collect();
        let condition_ids: BTreeMap<String, ConditionId> =
            condition.iter().zip(0..).map(|((name, _), id)| (name.value.clone(), ConditionId(id))).collect();
        let (pool_ids, pools) = convert_pools(pool, &checks, &domain_ids, &condition_ids, report);
        let known = Known { checks: &checks, pools: &pool_ids, conditions: &condition_ids };
        let conditions = convert_conditions(condition, &known, &pools, report);
        let zones = convert_zones(zone, base_dir, report);
        let mut apexes = BTreeMap::new();
        for (zone, id) in zones.iter().zip(0..) {
            apexes.entry(zone.name.clone()).or_insert(ZoneId(id));
        }
        let domain_count = domain.len();
        let references = References { zones: &apexes, pools: &pool_ids };
        let domains: Vec<PlacedDomain> =
            domain.into_iter().filter_map(|domain| domain.value.convert(&references, report)).collect();
        let views: Vec<ZoneView<'_>> = zones.iter().map(|zone| ZoneView::new(zone, &apexes)).collect();
        let steered = domain_rules::by_name(&domains, report);
        for view in &views {
            view.check(report);
            zone_rules::check_name_servers(view, &views, |name| steered.contains_key(name), report);
            zone_rules::check_delegated(view, &views, report);
        }
        drop(steered);
        // References to domains count on all of them.
        let is_complete = domains.len() == domain_count;
        if is_complete {
            nesting::check(&domains, &pools, report);
        }
        domain_rules::check(&domains, is_complete, &views, &pools, report);
        let latency = latency.map_or(Vec::new(), |latency| latency.value);
        let latencies = latency::convert(latency, base_dir, &pool_ids, report);
        bias_rules::check(&domains, &pools, &bias_places, &latencies, report);
        let notifications: Vec<Notification> = notification
            .into_iter()
            .filter_map(|(name, spec)| spec?.convert(name.value, base_dir, report))
            .collect();
        // Last, as they may be read still.
        let (geoip, geo) = match databases() {
            Databases::Same(geoip, geo) => (geoip, Some(geo)),
            Databases::Read(read) => {
                let geoip = geoip.map_or_else(GeoipSpec::default, |geoip| geoip.value);
                let (geoip, placed) = geoip.convert(base_dir, report);
                let geo = placed.table(*read, &geoip, report);
                (geoip, geo.map(Arc::new))
            }
        };
        if !report.is_clean() {
            return None;
        }
        let plan = Plan {
            zones: views.iter().map(ZoneView::convert).collect::<Option<_>>()?,
            health_checks: health_checks.into_iter().collect::<Option<_>>()?,
            pools: pools.into_iter().map(|pool| pool.map(Arc::new)).collect::<Option<_>>()?,
            domains: domains.into_iter().map(|domain| domain.domain).collect(),
            conditions: conditions?,
            latencies,
            isolation: isolation::convert(isolation),
        };
        Some(World { settings, geoip, geo: geo?, plan, notifications })
    }
}

/// The tree of `text` if nothing is wrong with it.
fn sound_tree(text: &str) -> Option<DeTable<'_>> {
    let (tree, errors) = DeTable::parse_recoverable(text);
    errors.is_empty().then(|| tree.into_inner())
}

/// Notes `errors`, the first of each line. Returns whether the tree is whole in spite of them.
fn note_syntax_errors(mut errors: Vec<toml::de::Error>, file: &File, report: &Report) -> bool {
    errors.sort_by_key(|error| error.span().map(|span| span.start));
    let mut is_whole = true;
    let mut last_start = None;
    for error in errors {
        let span = error.span().unwrap_or_default();
        // A key that is there twice leaves a tree that can be checked on. Any other mistake
        // leaves out parts of it, and would bring on complaints about what only seems missing.
        let is_duplicate = error.message() == "duplicate key";
        is_whole &= is_duplicate;
        // What follows on the same line is nearly always the consequence of the first.
        let since_last = last_start.and_then(|last: usize| file.text.get(last..span.start));
        if since_last.is_some_and(|text| !text.contains('\n')) {
            continue;
        }
        last_start = Some(span.start);
        let message = match file.text.get(span.clone()) {
            Some(key) if is_duplicate => format!("`{}` is there twice", key.trim()),
            _ => error.message().to_owned(),
        };
        report.error(Place::new(file.id, span), message);
    }
    is_whole
}

/// The tables under `key`, each under a name of its own.
fn named<'a, T>(
    table: &mut Table<'a>,
    key: &'static str,
    read: impl Fn(Value<'a>) -> Option<T>,
) -> Vec<Named<T>> {
    let entries = table.optional(key, Value::named).map_or(Vec::new(), |entries| entries.value);
    entries
        .into_iter()
        .map(|(name, value)| {
            if let Some(fault) = identifier_fault(&name.value) {
                value.report.error(name.place, fault);
            }
            (name, read(value))
        })
        .collect()
}

fn convert_health_checks(
    specs: Vec<Named<HealthCheckSpec>>,
    base_dir: &Path,
    report: &Report,
) -> (Vec<CheckRef>, Vec<Option<HealthCheck>>) {
    specs
        .into_iter()
        .map(|(name, spec)| {
            let without_port = spec.as_ref().and_then(HealthCheckSpec::without_port);
            let check = CheckRef { name: name.value.clone(), without_port };
            (check, spec.and_then(|spec| spec.convert(name.value, base_dir, report)))
        })
        .unzip()
}

fn convert_pools(
    specs: Vec<Named<PoolSpec>>,
    checks: &[CheckRef],
    domains: &DomainIds<'_>,
    conditions: &BTreeMap<String, ConditionId>,
    report: &Report,
) -> (BTreeMap<String, PoolId>, Vec<Option<Pool>>) {
    let ids = specs.iter().zip(0..).map(|((name, _), id)| (name.value.clone(), PoolId(id))).collect();
    let pools = specs
        .into_iter()
        .map(|(name, spec)| spec?.convert(name.value, checks, domains, conditions, report))
        .collect();
    (ids, pools)
}

/// `None`: one has a mistake, which has been noted.
fn convert_conditions(
    specs: Vec<Named<ConditionSpec>>,
    known: &Known<'_>,
    pools: &[Option<Pool>],
    report: &Report,
) -> Option<Vec<Condition>> {
    let places: Vec<Place> = specs.iter().map(|(name, _)| name.place).collect();
    let conditions: Vec<Option<Condition>> =
        specs.into_iter().map(|(name, spec)| spec?.convert(name.value, known, pools, report)).collect();
    let conditions: Vec<Condition> = conditions.into_iter().collect::<Option<_>>()?;
    condition::check_circles(&conditions, pools, &places, report);
    Some(conditions)
}

fn convert_zones(
    specs: Option<Located<Vec<Located<ZoneSpec>>>>,
    base_dir: &Path,
    report: &Report,
) -> Vec<PlacedZone> {
    let specs = specs.map_or(Vec::new(), |specs| specs.value);
    let zones: Vec<PlacedZone> =
        specs.into_iter().filter_map(|spec| spec.value.convert(base_dir, report)).collect();
    let mut unique = Unique::new("zone");
    for zone in &zones {
        unique.note(&zone.name, zone.place, report);
    }
    zones
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
[geoip]
databases = []
[[zone]]
name = \"z.test\"
nameservers = [\"ns.other.test\"]
contact = \"a.z.test\"
[[domain]]
name = \"one.z.test\"
pools = [\"p\"]
[domain.when_all_down]
fallback = \"p\"
[pool.p]
[[pool.p.address]]
name = \"a\"
ip = \"192.0.2.1\"
[[domain]]
name = '''two.z.test'''
pools = [
  \"p\",
]
[[domain]]
name = \"three.z.test\"
pools = [\"p\"]
";

    /// Lines of [`TEXT`] moved or doubled, and what means something to TOML put in.
    fn changed(random: &mut fastrand::Rng) -> String {
        const STRAWS: [&str; 10] = [
            "\"\"\"",
            "'''",
            "x = [",
            "]",
            "#",
            "[domain]",
            "[domain.x]",
            "[[domain.x]]",
            " [[domain]]",
            "[y]",
        ];
        // To read the embedded databases takes longer than all the rest.
        const KEPT: usize = 2;
        let mut lines: Vec<&str> = TEXT.lines().collect();
        for _ in 0..random.usize(1..5) {
            let from = random.usize(KEPT..lines.len());
            let line = if random.bool() { lines.remove(from) } else { lines[from] };
            lines.insert(random.usize(KEPT..=lines.len()), line);
            if random.u8(..4) == 0 {
                lines.insert(random.usize(KEPT..=lines.len()), STRAWS[random.usize(..STRAWS.len())]);
            }
        }
        lines.join("\n")
    }

    /// What comes of `text` as `read` takes it apart.
    fn outcome(read: impl Fn(&File, &Report) -> Option<FileSpec>, text: &str) -> Option<String> {
        let report = Report::default();
        let file = report.add_file("test.toml".to_owned(), text.into()).expect("it is UTF-8");
        let loaded = read(&file, &report).map(|spec| {
            let databases = spec.databases(Path::new(""));
            spec.convert(Path::new(""), || Databases::Read(databases.read().into()), &report)
        });
        match report.end() {
            Err(diagnostics) => Some(diagnostics.to_string()),
            Ok(_) => loaded.map(|loaded| format!("{:?}", loaded.expect("nothing is wrong").plan)),
        }
    }

    #[test]
    fn a_file_means_in_sections_what_it_means_as_a_whole() {
        let mut random = fastrand::Rng::with_seed(7);
        let texts = std::iter::once(TEXT.to_owned()).chain(std::iter::from_fn(|| Some(changed(&mut random))));
        let mut in_sections = 0;
        for text in texts.take(2000) {
            let in_parts = |file: &File, report: &Report| {
                FileSpec::read_in_sections(file, &Sections::of(&file.text), report, &mut |_| {})
            };
            if let Some(sections) = outcome(in_parts, &text) {
                assert_eq!(Some(sections), outcome(FileSpec::read_whole, &text), "{text}");
                in_sections += 1;
            }
        }
        assert!(in_sections > 300, "only {in_sections} were read in sections");
    }
}
