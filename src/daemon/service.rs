//! How the server presents and guards itself, from its settings.

use crate::config::{RateLimitSettings, ServerSettings, ServiceSettings};
use crate::routing::{RateLimit, Service};

/// The service of `settings`, whose rate is shared by `workers`.
pub(super) fn service(settings: &ServerSettings, workers: usize) -> Service {
    let ServiceSettings { cookies: _, cookie_secret_file: _, nsid, version, id, rate_limit } =
        settings.service.clone();
    Service {
        rate_limit: share(rate_limit, workers),
        nsid,
        version,
        id,
        tcp_idle_timeout: Some(settings.tcp.idle_timeout),
    }
}

/// What one of `workers` may send: the kernel divides the clients of an address among them, by
/// address and port, or as the cores receive. All together send no more than the settings say, but for
/// what is rounded up.
fn share(settings: RateLimitSettings, workers: usize) -> Option<RateLimit> {
    let RateLimitSettings { responses_per_second, slip, exempt } = settings;
    let workers = u32::try_from(workers).unwrap_or(u32::MAX);
    let replies_per_second = responses_per_second.div_ceil(workers.max(1));
    (responses_per_second > 0).then_some(RateLimit { replies_per_second, slip, exempt })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_share_the_rate() {
        let share = |responses_per_second, workers| {
            let settings = RateLimitSettings { responses_per_second, slip: 2, exempt: Vec::new() };
            super::share(settings, workers).map(|limit| limit.replies_per_second)
        };
        assert_eq!([share(200, 1), share(200, 3), share(1, 8)], [Some(200), Some(67), Some(1)]);
        assert_eq!(share(0, 8), None);
    }
}
