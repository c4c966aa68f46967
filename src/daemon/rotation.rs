//! Rotations that go on when one process takes over from another.

use std::sync::Arc;

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::routing::{Rotation, RoutingTable, Turns, Worker};
use crate::serve::{TableAnswerer, WorkerId};

/// Whose turn it is with all that answers. Apart by transport: the few who ask over TCP say nothing of the others.
#[derive(Clone)]
pub(super) struct Rotations {
    published: Arc<ArcSwap<RoutingTable>>,
    udp: Arc<Rotation>,
    tcp: Arc<Rotation>,
}

/// Whose turn it was in the process before this one, worker by worker; empty: nobody knows.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct HandedOn {
    udp: Vec<Turns>,
    tcp: Vec<Turns>,
}

impl Rotations {
    /// Of nobody so far, by the names in the table that is published.
    pub(super) fn new(published: Arc<ArcSwap<RoutingTable>>) -> Self {
        Rotations { published, udp: Arc::default(), tcp: Arc::default() }
    }

    /// `worker`, which is read from now on.
    pub(super) fn with(&self, id: WorkerId, worker: Worker) -> Worker {
        match id {
            WorkerId::Udp(_) => worker.with_rotation(&self.udp),
            WorkerId::Tcp(_) => worker.with_rotation(&self.tcp),
        }
    }

    /// Whose turn it is now, in `room` octets at the most. What does not fit is left out.
    pub(super) fn told(&self, mut room: usize) -> Value {
        let table = self.published.load_full();
        let udp = self.udp.read(&table, &mut room);
        let tcp = self.tcp.read(&table, &mut room);
        // Numbers by name are all that there is: this does not fail.
        serde_json::to_value(HandedOn { udp, tcp }).unwrap_or_default()
    }
}

impl HandedOn {
    /// What another process has `told`; one of another version may tell it in another way.
    pub(super) fn of(told: Value) -> Self {
        serde_json::from_value(told).unwrap_or_else(|error| {
            tracing::debug!(%error, "rotations begin anywhere: what is told of them is not understood");
            HandedOn::default()
        })
    }

    /// `answerer`, which goes on where one of the other process stood. Where there are more than there were, several
    /// go on from the same, each one turn further than the one before.
    pub(super) fn go_on(&self, id: WorkerId, answerer: TableAnswerer) -> TableAnswerer {
        let (before, number) = match id {
            WorkerId::Udp(number) => (&self.udp, number),
            WorkerId::Tcp(number) => (&self.tcp, number),
        };
        match number.checked_rem(before.len()).and_then(|at| before.get(at)) {
            Some(turns) => {
                let further = u32::try_from(number / before.len()).unwrap_or_default();
                answerer.going_on(turns, further)
            }
            None => answerer,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::path::Path;

    use hickory_proto::op::Message;
    use serde_json::json;

    use super::*;
    use crate::config;
    use crate::dns::{Rtype, query_message};
    use crate::routing::{Client, Counters, Transport};
    use crate::serve::Answerer;

    const SITES: u8 = 7;

    fn published() -> Arc<ArcSwap<RoutingTable>> {
        let sites = (0..SITES).map(|number| format!("{{ name = \"a{number}\", ip = \"192.0.2.{number}\" }}"));
        let text = format!(
            "geoip.databases = []\n\
             zone = [{{ name = \"ai.example\", nameservers = [\"ns.example\"], contact = \"a.example\" }}]\n\
             pool.p = {{ policy = \"round-robin\", answers = 1, address = [{}] }}\n\
             domain = [{{ name = \"www.ai.example\", policy = \"priority\", pools = [\"p\"] }}]\n",
            sites.collect::<Vec<_>>().join(", ")
        );
        let loaded = config::parse("test.toml", &text, Path::new("/etc"));
        let loaded = loaded.unwrap_or_else(|mistakes| panic!("{mistakes}"));
        Arc::new(ArcSwap::from_pointee(RoutingTable::well(Arc::new(loaded.plan), loaded.geo)))
    }

    /// Which site comes next.
    fn next(answerer: &mut TableAnswerer) -> u8 {
        let name = "www.ai.example".parse().expect("a name");
        let client = Client { address: [192, 0, 2, 99].into(), transport: Transport::Udp };
        let mut reply = [0; 512];
        let length = answerer.answer(client, &query_message(1, &name, Rtype::A, None), &mut reply);
        let reply = Message::from_vec(&reply[..length]).expect("a good reply");
        match reply.answers[0].data.ip_addr() {
            Some(IpAddr::V4(ip)) => ip.octets()[3],
            other => panic!("an A record has an IPv4 address: {other:?}"),
        }
    }

    #[test]
    fn each_worker_goes_on_from_one_and_none_is_in_step_with_another() {
        let published = published();
        let rotations = Rotations::new(published.clone());
        let answerer = |rotations: &Rotations, id| {
            let worker = rotations.with(id, Worker::new(fastrand::u64(..), Arc::<Counters>::default()));
            TableAnswerer::new(published.clone(), worker)
        };
        let ids = [WorkerId::Udp(0), WorkerId::Udp(1), WorkerId::Tcp(0)];
        let mut old = ids.map(|id| answerer(&rotations, id));
        let [first, second, by_tcp] = &mut old;
        let stood = [first, second, by_tcp].map(next);
        let told = HandedOn::of(rotations.told(10_000));
        let after = Rotations::new(published.clone());
        for (id, stood, further) in [
            (WorkerId::Udp(0), stood[0], 1),
            (WorkerId::Udp(1), stood[1], 1),
            (WorkerId::Udp(2), stood[0], 2),
            (WorkerId::Udp(5), stood[1], 3),
            (WorkerId::Tcp(0), stood[2], 1),
            (WorkerId::Tcp(2), stood[2], 3),
        ] {
            let mut new = told.go_on(id, answerer(&after, id));
            assert_eq!(next(&mut new), (stood + further) % SITES, "{id}");
        }
        // Where there is no room nothing is told, and each begins anywhere.
        assert_eq!(HandedOn::of(rotations.told(10)), HandedOn::default());
        next(&mut HandedOn::default().go_on(WorkerId::Udp(0), answerer(&after, WorkerId::Udp(0))));
    }

    #[test]
    fn what_another_version_tells_in_another_way_is_passed_over() {
        for told in [json!(null), json!([1]), json!({"udp": 7}), json!({"udp": [{"pools": {"p": "x"}}]})] {
            assert_eq!(HandedOn::of(told.clone()), HandedOn::default(), "{told}");
        }
        let more = HandedOn::of(json!({"udp": [{"pools": {"p": [1, null, null]}, "later": 1}], "later": 1}));
        assert_eq!(more.udp.len(), 1);
    }
}
