//! Which settings are not those that the process has started with.

use super::admin::AdminSettings;
use super::health::HealthSettings;
use super::resolver::ResolverSettings;
use super::service::ServiceSettings;
use super::settings::{LogSettings, ServerSettings, Settings, TcpSettings};

impl Settings {
    /// The keys, as in `server.listen`, that say something else in `other`.
    pub fn changed_keys(&self, other: &Settings) -> Vec<&'static str> {
        // Taken apart, so that no key is left out when one is added.
        // A reload changes `query_log`, and `level` and `filter` of `log`.
        let Settings { server, admin, resolver, health, log, query_log: _, traces } = self;
        let ServerSettings { listen, workers, socket_affinity, state_dir, user, watch, tcp, service } =
            server;
        let TcpSettings { max_connections, idle_timeout, lifetime } = tcp;
        let ServiceSettings { cookies, cookie_secret_file, nsid, version, id, rate_limit } = service;
        let AdminSettings { listen: admin_listen, token_file, tls, socket } = admin;
        let ResolverSettings { servers } = resolver;
        let HealthSettings { max_scripts, max_in_flight, remember } = health;
        let LogSettings { format, level: _, filter: _ } = log;
        let of_server = &other.server;
        let of_service = &of_server.service;
        [
            ("server.listen", *listen != of_server.listen),
            ("server.workers", *workers != of_server.workers),
            ("server.socket_affinity", *socket_affinity != of_server.socket_affinity),
            ("server.state_dir", *state_dir != of_server.state_dir),
            ("server.user", *user != of_server.user),
            ("server.watch", *watch != of_server.watch),
            ("server.tcp_clients", *max_connections != of_server.tcp.max_connections),
            ("server.tcp_idle_timeout", *idle_timeout != of_server.tcp.idle_timeout),
            ("server.tcp_lifetime", *lifetime != of_server.tcp.lifetime),
            ("server.cookies", *cookies != of_service.cookies),
            ("server.cookie_secret_file", *cookie_secret_file != of_service.cookie_secret_file),
            ("server.nsid", *nsid != of_service.nsid),
            ("server.version", *version != of_service.version),
            ("server.id", *id != of_service.id),
            ("server.rate_limit", *rate_limit != of_service.rate_limit),
            ("admin.listen", *admin_listen != other.admin.listen),
            ("admin.token_file", *token_file != other.admin.token_file),
            ("admin.tls", *tls != other.admin.tls),
            ("admin.socket", *socket != other.admin.socket),
            ("resolver.servers", *servers != other.resolver.servers),
            ("health.max_scripts", *max_scripts != other.health.max_scripts),
            ("health.max_in_flight", *max_in_flight != other.health.max_in_flight),
            ("health.remember", *remember != other.health.remember),
            ("log.format", *format != other.log.format),
            ("traces.otlp", *traces != other.traces),
        ]
        .into_iter()
        .filter_map(|(key, has_changed)| has_changed.then_some(key))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config;

    #[test]
    fn each_key_is_told_by_its_name() {
        let settings = |text: &str| {
            let text = format!("geoip.databases = []\n{text}");
            let loaded = config::parse("test.toml", &text, Path::new(""));
            loaded.unwrap_or_else(|mistakes| panic!("{mistakes}")).settings
        };
        let before = settings("");
        assert_eq!(before.changed_keys(&before), [""; 0]);
        for at_once in ["log.level = \"error\"", "log.filter = \"a=debug\"", "query_log.file = \"a\""] {
            assert_eq!(before.changed_keys(&settings(at_once)), [""; 0]);
        }
        for (key, value) in [
            ("server.listen", "[\"192.0.2.1:53\"]"),
            ("server.workers", "7"),
            ("server.socket_affinity", "true"),
            ("server.state_dir", "\"elsewhere\""),
            ("server.user", "\"rhumb\""),
            ("server.watch", "false"),
            ("server.tcp_clients", "7"),
            ("server.tcp_idle_timeout", "\"7s\""),
            ("server.tcp_lifetime", "\"7s\""),
            ("server.cookies", "false"),
            ("server.cookie_secret_file", "\"secret\""),
            ("server.nsid", "\"7\""),
            ("server.version", "\"7\""),
            ("server.id", "\"7\""),
            ("server.rate_limit", "{ slip = 7 }"),
            ("admin.listen", "\"127.0.0.1:7\""),
            ("admin.token_file", "\"token\""),
            ("resolver.servers", "[\"192.0.2.1\"]"),
            ("health.max_scripts", "7"),
            ("health.max_in_flight", "7"),
            ("health.remember", "\"7s\""),
            ("log.format", "\"json\""),
            ("traces.otlp", "\"http://127.0.0.1:4318\""),
        ] {
            assert_eq!(before.changed_keys(&settings(&format!("{key} = {value}"))), [key]);
        }
    }
}
