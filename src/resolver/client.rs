//! One lookup: what the resolvers say of a name, and for how long.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::config::{NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{self, RecordType};
use hickory_resolver::{TokioResolver, system_conf};
use tokio::sync::{OnceCell, Semaphore};

use crate::control::{Found, Lookup};
use crate::dns::Name;

/// So many names are looked up at once, each by two queries: enough that names whose servers are
/// dead do not keep others waiting, few enough for any resolver and for the descriptors of a process.
const LOOKUPS: usize = 128;

/// How long each of the three tries at the configured servers may take: longer than it takes a
/// resolver to ask around, in all but rare cases, whose answer is there for the next try.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Asks resolvers. Keeps nothing of what they say: they are caches themselves.
pub(super) struct Client {
    servers: Vec<SocketAddr>,
    /// Made with the first lookup, so that who resolves nothing needs no resolver.
    resolver: OnceCell<TokioResolver>,
    room: Semaphore,
}

/// What was found of one type, and for how long it is good.
type Part = (Found, Option<Duration>);

impl Client {
    pub(super) fn new(servers: Vec<SocketAddr>) -> Self {
        Client { servers, resolver: OnceCell::new(), room: Semaphore::new(LOOKUPS) }
    }

    /// Looks up the addresses of `name`. Also says for how long the answers are good, if they do.
    pub(super) async fn look_up(&self, name: &Name) -> (Lookup, Option<Duration>) {
        let _room = self.room.acquire().await;
        let resolver = match self.resolver.get_or_try_init(|| async { make(&self.servers) }).await {
            Ok(resolver) => resolver,
            Err(error) => {
                let failed = || Found::Failed(error.to_string());
                return (Lookup { v4: failed(), v6: failed() }, None);
            }
        };
        let ((v4, v4_ttl), (v6, v6_ttl)) =
            tokio::join!(part(resolver, name, RecordType::A), part(resolver, name, RecordType::AAAA));
        // That there are no addresses of one type is asked anew with those of the other: how long
        // a zone's denials may be kept is no reason to ask more often than its answers need.
        let of_answers = [(&v4, v4_ttl), (&v6, v6_ttl)]
            .into_iter()
            .filter(|(found, _)| matches!(found, Found::Addresses(_)))
            .filter_map(|(_, ttl)| ttl)
            .min();
        let ttl = of_answers.or_else(|| v4_ttl.into_iter().chain(v6_ttl).min());
        (Lookup { v4, v6 }, ttl)
    }
}

/// A resolver that asks `servers`, or those of the system. The system's hosts file goes before them.
fn make(servers: &[SocketAddr]) -> Result<TokioResolver, NetError> {
    let (config, mut options) = match servers {
        [] => system_conf::read_system_conf()?,
        servers => {
            let servers = servers.iter().map(|server| {
                let mut config = NameServerConfig::udp_and_tcp(server.ip());
                for connection in &mut config.connections {
                    connection.port = server.port();
                }
                config
            });
            let mut options = ResolverOpts::default();
            options.timeout = TIMEOUT;
            (ResolverConfig::from_name_servers(servers.collect()), options)
        }
    };
    options.cache_size = 0;
    options.max_active_requests = 2 * LOOKUPS;
    TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).with_options(options).build()
}

async fn part(resolver: &TokioResolver, name: &Name, rtype: RecordType) -> Part {
    // Names are absolute: the system's search list is for people.
    let name = match rr::Name::from_ascii(format!("{}.", name.to_string().trim_end_matches('.'))) {
        Ok(name) => name,
        Err(error) => return (Found::Failed(error.to_string()), None),
    };
    judge(resolver.lookup(name, rtype).await.map(|lookup| lookup.answers().to_vec()))
}

fn judge(answer: Result<Vec<rr::Record>, NetError>) -> Part {
    let seconds = |ttl: u32| Duration::from_secs(ttl.into());
    match answer {
        Ok(records) => {
            let addresses: Vec<_> = records.iter().filter_map(|record| record.data.ip_addr()).collect();
            // An alias on the way is good for no longer than it says itself.
            let ttl = records.iter().map(|record| seconds(record.ttl)).min();
            (if addresses.is_empty() { Found::Nothing } else { Found::Addresses(addresses) }, ttl)
        }
        Err(NetError::Dns(DnsError::NoRecordsFound(NoRecords { response_code, negative_ttl, .. }))) => {
            match response_code {
                ResponseCode::NXDomain => (Found::NoSuchName, negative_ttl.map(seconds)),
                ResponseCode::NoError => (Found::Nothing, negative_ttl.map(seconds)),
                other => (Found::Failed(refusal(other)), None),
            }
        }
        Err(NetError::Dns(DnsError::ResponseCode(code))) => (Found::Failed(refusal(code)), None),
        Err(NetError::Timeout) => (Found::Failed("no resolver has answered in time".to_owned()), None),
        Err(error) => (Found::Failed(error.to_string()), None),
    }
}

fn refusal(code: ResponseCode) -> String {
    let mnemonic = match code {
        ResponseCode::ServFail => "SERVFAIL",
        ResponseCode::Refused => "REFUSED",
        other => other.to_str(),
    };
    format!("the resolver answers {mnemonic}")
}
