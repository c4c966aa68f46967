//! Query bytes to reply bytes.

use super::aside::{RuledOut, answer_aside, answer_limited};
use super::cookie::Credit;
use super::rate_limit::{Kind, Ruling};
use super::recorder::{Recorder, Silent};
use super::respond::{Outcome, Responder};
use super::table::RoutingTable;
use super::whereabouts::Whereabouts;
use super::worker::Worker;
use super::{Client, Transport};
use crate::dns::{Full, PLAIN_UDP_REPLY, Query, Rcode, Reply, Section};

/// Answers `query` into `reply` and returns the reply's length; 0 means: send nothing.
///
/// `reply` holds at least [`crate::dns::MAX_UDP_REPLY`] octets for UDP and should hold 65,535
/// for TCP. Every transport calls this function. It allocates nothing, locks nothing, logs
/// nothing, asks no clock and waits for nothing.
pub fn answer(
    table: &RoutingTable,
    worker: &mut Worker,
    client: Client,
    query: &[u8],
    reply: &mut [u8],
) -> usize {
    answer_recorded(table, worker, client, query, reply, &mut Silent)
}

/// [`answer`], telling `recorder` of every step.
pub(super) fn answer_recorded(
    table: &RoutingTable,
    worker: &mut Worker,
    client: Client,
    message: &[u8],
    buffer: &mut [u8],
    recorder: &mut impl Recorder,
) -> usize {
    let mut query = Query::unread();
    if let Err(unanswerable) = query.read(message, &mut worker.name) {
        return answer_aside(table, worker, client, message, (query, unanswerable), buffer);
    }
    let Worker { counters, chance, tally, name, visited, proofs, options, service, limiter, now } =
        &mut *worker;
    let Query { rtype, question_octets, ref edns } = query;
    table.world.names.fetch(name);
    counters.asked(rtype);
    // By reference, here and below: what is copied costs more than what is done with it.
    let edns = edns.as_ref();
    let limit = match (client.transport, edns) {
        (Transport::Udp, None) => PLAIN_UDP_REPLY,
        (Transport::Udp, Some(edns)) => edns.udp_limit(),
        (Transport::Tcp, _) => usize::from(u16::MAX),
    };
    let subnet = edns.and_then(|edns| edns.client_subnet.as_ref());
    if subnet.is_some() {
        counters.client_subnets.add(1);
    }
    // A resolver that gives no bits wants its client not to be located: its own address is all
    // there is to go by (RFC 7871 section 7.1.2).
    let located_by =
        subnet.filter(|subnet| subnet.source_prefix > 0).map_or(&client.address, |subnet| &subnet.address);
    if let Some(view) = &table.world.usual_view {
        view.fetch(*located_by);
    }
    options.clear();
    // Whoever has come by TCP, or back with our cookie, is at the address that the query is from.
    let mut is_genuine = client.transport == Transport::Tcp;
    if let Some(edns) = edns
        && edns.wants_options()
    {
        let credit = service.respond(table.cookies(), edns, client, *now, counters, options);
        is_genuine |= credit == Some(Credit::Good);
    }
    visited.clear();
    proofs.clear();
    let mut reply = Reply::start(message, question_octets, edns, options.octets(), limit, buffer);
    let mut whereabouts = Whereabouts::new(located_by, &client.address);
    let mut responder = Responder {
        table,
        chance,
        tally,
        rtype,
        name,
        visited,
        owner: Reply::QUESTION,
        is_referral: false,
        reply: &mut reply,
        limiter: limiter.as_deref().filter(|_| !is_genuine),
        entry: None,
        whereabouts: &mut whereabouts,
        recorder,
        negative_ttl: u32::MAX,
        dnssec_ok: edns.is_some_and(|edns| edns.dnssec_ok),
        proofs,
    };
    let outcome = responder.respond();
    let Responder { is_referral, entry, .. } = responder;
    if let Some(limiter) = limiter
        && !is_genuine
    {
        let entry = entry.unwrap_or_else(|| limiter.entry(client.address, Kind::Other));
        let ruling = limiter.rule(entry, client.address, *now);
        if ruling != Ruling::Send {
            let rcode = outcome.map_or(Rcode::NoError, |outcome| outcome.rcode);
            return answer_limited(table, worker, client, message, query, RuledOut { rcode, ruling }, buffer);
        }
    }
    match outcome {
        Ok(Outcome { rcode, authoritative }) => {
            counters.replied(rcode, false);
            match rcode {
                Rcode::NoError | Rcode::NxDomain | Rcode::YxDomain => {
                    // Resolvers keep negative answers and referrals for everybody, whatever they
                    // are told (RFC 7871 section 7.4).
                    let is_for_all = reply.count(Section::Answer) == 0;
                    let scope = if is_for_all { 0 } else { whereabouts.scope() };
                    reply.finish(rcode, authoritative, scope)
                }
                _ => reply.finish_error(rcode),
            }
        }
        Err(Full) if client.transport == Transport::Udp => {
            counters.replied(Rcode::NoError, true);
            reply.finish_truncated(!is_referral, whereabouts.scope())
        }
        // More than a message can hold: there is no larger transport to send the client to.
        Err(Full) => {
            counters.replied(Rcode::ServFail, false);
            reply.finish_error(Rcode::ServFail)
        }
    }
}
