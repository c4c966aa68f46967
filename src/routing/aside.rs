//! Replies that no zone has a part in: errors, questions about the server, and what the rate limit
//! sends instead of an answer.

use super::cookie::Credit;
use super::rate_limit::{Kind, Ruling};
use super::service::receive_cookie;
use super::worker::Worker;
use super::{Client, RoutingTable, Transport};
use crate::dns::{CLASS_CHAOS, Edns, ExtendedError, Query, Rcode, Reply, Rtype, Unanswerable};

/// Answers `message`, which was read as `query`, and is not for any zone.
#[cold]
pub(super) fn answer_aside(
    table: &RoutingTable,
    worker: &mut Worker,
    client: Client,
    message: &[u8],
    (mut query, unanswerable): (Query<'_>, Unanswerable),
    buffer: &mut [u8],
) -> usize {
    let (mut rcode, why) = match unanswerable {
        Unanswerable::Silence => {
            worker.counters.dropped.add(1);
            return 0;
        }
        // BADVERS goes back with the version that is served and without options (RFC 6891 section
        // 6.1.3); those of a malformed message are better not believed.
        Unanswerable::Error(rcode) => {
            query.edns = query.edns.map(Edns::bare);
            (rcode, None)
        }
        Unanswerable::NoQuestion | Unanswerable::OtherClass(CLASS_CHAOS) => (Rcode::NoError, None),
        Unanswerable::OtherClass(_) => (Rcode::Refused, Some(ExtendedError::NOT_SUPPORTED)),
    };
    let Worker { counters, name, service, limiter, now, options, .. } = &mut *worker;
    match unanswerable {
        Unanswerable::OtherClass(_) => counters.asked(query.rtype),
        _ => counters.questionless.add(1),
    }
    options.clear();
    let credit =
        query.edns.and_then(|edns| service.respond(table.cookies(), &edns, client, *now, counters, options));
    let mut text = None;
    match unanswerable {
        // RFC 7873 section 5.4: a cookie to be confirmed is, or is not.
        Unanswerable::NoQuestion => match credit {
            Some(Credit::New | Credit::Good) => {}
            Some(Credit::Bad) => rcode = Rcode::BadCookie,
            None => rcode = Rcode::FormErr,
        },
        Unanswerable::OtherClass(CLASS_CHAOS) => {
            text = service.text(name.wire()).filter(|_| matches!(query.rtype, Rtype::TXT | Rtype::ANY));
            if text.is_none() {
                rcode = Rcode::Refused;
            }
        }
        _ => {}
    }
    if let Some(limiter) = limiter
        && client.transport == Transport::Udp
        && credit != Some(Credit::Good)
    {
        match limiter.rule(limiter.entry(client.address, Kind::Other), client.address, *now) {
            Ruling::Send => {}
            // Where a cookie is all that is asked for, a reply without is of no use, and one with more is
            // larger than the query.
            Ruling::Slip if unanswerable == Unanswerable::NoQuestion => {
                counters.limited_slipped.add(1);
                options.clear();
                if let Some(edns) = &query.edns
                    && let Some((_, cookie)) = receive_cookie(table.cookies(), edns, client, *now)
                {
                    options.cookie(&cookie);
                }
                query.edns = query.edns.map(Edns::bare);
            }
            ruling => {
                let ruled_out = RuledOut { rcode, ruling };
                return answer_limited(table, worker, client, message, query, ruled_out, buffer);
            }
        }
    }
    counters.replied(rcode, false);
    let limit = buffer.len();
    let mut reply =
        Reply::start(message, query.question_octets, query.edns.as_ref(), options.octets(), limit, buffer);
    if let Some(text) = text
        && reply.chaos_text(text).is_ok()
    {
        return reply.finish(rcode, true, 0);
    }
    if let Some(why) = why {
        reply.explain(why);
    }
    reply.finish_error(rcode)
}

/// A reply that is not sent as it is.
pub(super) struct RuledOut {
    /// Its code.
    pub(super) rcode: Rcode,
    /// What the rate limit wants instead.
    pub(super) ruling: Ruling,
}

/// Answers `query` in place of a reply that the rate limit has ruled out. What it sends is larger
/// than what was asked by no more than a cookie.
#[cold]
pub(super) fn answer_limited(
    table: &RoutingTable,
    worker: &mut Worker,
    client: Client,
    message: &[u8],
    query: Query<'_>,
    RuledOut { rcode, ruling }: RuledOut,
    buffer: &mut [u8],
) -> usize {
    let Worker { counters, now, options, .. } = worker;
    options.clear();
    let limit = buffer.len();
    let Query { question_octets, edns, .. } = query;
    let bare = edns.map(Edns::bare);
    // Errors are short, and no client is better off for asking them again.
    let is_answer =
        matches!(rcode, Rcode::NoError | Rcode::NxDomain | Rcode::YxDomain) && question_octets > 0;
    // Whatever is sent instead is as rare: who asks in another's name gains nothing by a cookie.
    if ruling != Ruling::Slip {
        counters.limited_withheld.add(1);
        return 0;
    }
    // A client with cookies is who it says once it has come back with ours: it is told to, and
    // needs no TCP (RFC 7873 section 5.2.3).
    if let Some(edns) = edns
        && is_answer
        && let Some((_, cookie)) = receive_cookie(table.cookies(), &edns, client, *now)
    {
        options.cookie(&cookie);
        counters.replied(Rcode::BadCookie, false);
        counters.limited_bad_cookie.add(1);
        let mut reply =
            Reply::start(message, question_octets, bare.as_ref(), options.octets(), limit, buffer);
        return reply.finish_error(Rcode::BadCookie);
    }
    counters.limited_slipped.add(1);
    let mut reply = Reply::start(message, question_octets, bare.as_ref(), &[], limit, buffer);
    if is_answer {
        counters.replied(Rcode::NoError, true);
        reply.finish_truncated(false, 0)
    } else {
        counters.replied(rcode, false);
        reply.finish_error(rcode)
    }
}
