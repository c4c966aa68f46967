//! EDNS(0) (RFC 6891) of a query, and its echo in the reply. The reply's own options are in
//! `options`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::options::{COOKIE, NSID, TCP_KEEPALIVE};

/// The most a reply over UDP may have, whatever a client offers: what passes every common path
/// unfragmented (DNS flag day 2020; IPv6's least MTU of 1,280 less 48 octets of headers).
pub const MAX_UDP_REPLY: usize = 1232;
/// The most that a client without EDNS can take (RFC 1035 section 4.2.1).
pub const PLAIN_UDP_REPLY: usize = 512;

/// The option code of the client subnet (RFC 7871 section 6).
const CLIENT_SUBNET: u16 = 8;

/// What a query's OPT record says. Options that are not here are ignored (RFC 6891 section 6.1.2);
/// so is padding, which only hides something where the transport is encrypted (RFC 7830 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns<'m> {
    /// The version; only 0 is served.
    pub version: u8,
    /// Octets that the client can take over UDP.
    pub udp_payload: u16,
    /// DO: the client understands DNSSEC records; echoed (RFC 3225 section 3).
    pub dnssec_ok: bool,
    /// Whom the query is asked for, where the resolver says so.
    pub client_subnet: Option<ClientSubnet>,
    /// The cookie option as sent (RFC 7873 section 4): the client's 8 octets, and behind them none
    /// or the server's 8 to 32. Empty: there is no such option.
    pub cookie: &'m [u8],
    /// The client asks which server this is (RFC 5001 section 2.1).
    pub wants_nsid: bool,
    /// The client asks how long it may hold the connection (RFC 7828 section 3.2.1).
    pub wants_keepalive: bool,
}

/// The client subnet option of a query (RFC 7871 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientSubnet {
    /// The address, zero beyond the prefix.
    pub address: IpAddr,
    /// How many leading bits of it the resolver tells.
    pub source_prefix: u8,
    /// FAMILY as sent: a prefix of no bits may come with family 0.
    family: u16,
}

/// The options could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadOptions;

impl<'m> Edns<'m> {
    /// The fixed part of an OPT record (RFC 6891 section 6.1.2), its options left aside.
    #[inline(always)]
    pub(super) fn without_options(class: u16, ttl: u32) -> Edns<'m> {
        let [_extended_rcode, version, flags, _] = ttl.to_be_bytes();
        Edns {
            version,
            udp_payload: class,
            dnssec_ok: flags & 0x80 != 0,
            client_subnet: None,
            cookie: &[],
            wants_nsid: false,
            wants_keepalive: false,
        }
    }

    /// Reads the options of its OPT record (RFC 6891 section 6.1.2).
    #[inline(always)]
    pub(super) fn read_options(&mut self, mut options: &'m [u8]) -> Result<(), BadOptions> {
        // Options of another version might look otherwise; its BADVERS needs none of them.
        if self.version != 0 {
            return Ok(());
        }
        while let [code_high, code_low, length_high, length_low, rest @ ..] = options {
            let length = usize::from(u16::from_be_bytes([*length_high, *length_low]));
            let (data, behind) = rest.split_at_checked(length).ok_or(BadOptions)?;
            // Of several options of one kind the first counts (RFC 7873 section 4 says so of cookies).
            match u16::from_be_bytes([*code_high, *code_low]) {
                CLIENT_SUBNET if self.client_subnet.is_none() => {
                    self.client_subnet = Some(ClientSubnet::parse(data)?);
                }
                COOKIE if self.cookie.is_empty() => {
                    // RFC 7873 section 5.2.2: every other length is malformed.
                    if !matches!(data.len(), 8 | 16..=40) {
                        return Err(BadOptions);
                    }
                    self.cookie = data;
                }
                NSID => self.wants_nsid = true,
                TCP_KEEPALIVE => self.wants_keepalive = true,
                _ => {}
            }
            options = behind;
        }
        if options.is_empty() { Ok(()) } else { Err(BadOptions) }
    }

    /// The size of the largest reply that the client can take over UDP.
    pub fn udp_limit(&self) -> usize {
        // RFC 6891 section 6.2.3: values below 512 are taken as 512.
        usize::from(self.udp_payload).clamp(PLAIN_UDP_REPLY, MAX_UDP_REPLY)
    }

    /// The same without any option.
    pub fn bare(self) -> Edns<'static> {
        let Edns { version, udp_payload, dnssec_ok, .. } = self;
        Edns { version, dnssec_ok, ..Edns::without_options(udp_payload, 0) }
    }

    /// Whether an option asks for one in return, other than the client subnet.
    pub fn wants_options(&self) -> bool {
        !self.cookie.is_empty() || self.wants_nsid || self.wants_keepalive
    }

    /// Octets of the reply's OPT record, without the options of [`super::ReplyOptions`].
    pub(super) fn reply_length(&self) -> usize {
        OPT_FIXED + self.client_subnet.map_or(0, |subnet| OPTION_HEADER + 4 + subnet.address_octets())
    }

    /// Writes the reply's OPT record into `out`, which has [`Edns::reply_length`] octets and as
    /// many more as other options are to be written behind.
    #[inline(always)]
    pub(super) fn write_reply(&self, extended_rcode: u8, scope: u8, out: &mut [u8]) {
        let Some((fixed, options)) = out.split_first_chunk_mut::<OPT_FIXED>() else { return };
        // What this server takes; it reads larger queries, but asks for none to be fragmented.
        let [payload_high, payload_low] = (MAX_UDP_REPLY as u16).to_be_bytes();
        let [length_high, length_low] = (options.len() as u16).to_be_bytes();
        let flags = if self.dnssec_ok { 0x80 } else { 0 };
        // The root as owner, then the type.
        *fixed = [0, 0, 41, payload_high, payload_low, extended_rcode, 0, flags, 0, length_high, length_low];
        if let Some(subnet) = &self.client_subnet {
            subnet.write_reply(scope, options);
        }
    }
}

/// Octets of an OPT record without options.
const OPT_FIXED: usize = 11;
/// Octets of an option's code and length.
pub(super) const OPTION_HEADER: usize = 4;

impl ClientSubnet {
    /// The subnet of the first `source_prefix` bits of `address`.
    pub fn new(address: IpAddr, source_prefix: u8) -> Self {
        let family = if address.is_ipv4() { 1 } else { 2 };
        ClientSubnet { address: masked(address, source_prefix), source_prefix, family }
    }

    /// RFC 7871 section 6; what its section 7.1 forbids a query to carry is malformed.
    #[inline(always)]
    fn parse(data: &[u8]) -> Result<Self, BadOptions> {
        let [family_high, family_low, source_prefix, scope, octets @ ..] = data else {
            return Err(BadOptions);
        };
        let (family, source_prefix) = (u16::from_be_bytes([*family_high, *family_low]), *source_prefix);
        if *scope != 0 || octets.len() != usize::from(source_prefix).div_ceil(8) {
            return Err(BadOptions);
        }
        let address = match family {
            // dig +subnet=0 names no family: there is no address to be of one.
            0 if source_prefix == 0 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            1 if source_prefix <= 32 => {
                // One by one: to have `memcpy` copy three octets costs more than all else that is done for them.
                let bits = u32::from_be_bytes(match *octets {
                    [a] => [a, 0, 0, 0],
                    [a, b] => [a, b, 0, 0],
                    [a, b, c] => [a, b, c, 0],
                    [a, b, c, d] => [a, b, c, d],
                    _ => [0; 4],
                });
                if bits.checked_shl(source_prefix.into()).is_some_and(|beyond| beyond != 0) {
                    return Err(BadOptions);
                }
                IpAddr::V4(Ipv4Addr::from_bits(bits))
            }
            2 if source_prefix <= 128 => {
                let mut all = [0; 16];
                all[..octets.len()].copy_from_slice(octets);
                let bits = u128::from_be_bytes(all);
                if bits.checked_shl(source_prefix.into()).is_some_and(|beyond| beyond != 0) {
                    return Err(BadOptions);
                }
                IpAddr::V6(Ipv6Addr::from_bits(bits))
            }
            _ => return Err(BadOptions),
        };
        Ok(ClientSubnet { address, source_prefix, family })
    }

    fn address_octets(&self) -> usize {
        usize::from(self.source_prefix).div_ceil(8)
    }

    /// RFC 7871 section 7.2.1: family, source prefix and address as in the query.
    #[inline]
    fn write_reply(&self, scope: u8, out: &mut [u8]) {
        let octets = self.address_octets();
        let Some((fixed, out)) = out.split_first_chunk_mut::<{ OPTION_HEADER + 4 }>() else { return };
        // A resolver that gave no bits asked that nobody be located: section 7.1.2.
        let scope = match self.address {
            _ if self.source_prefix == 0 || scope == 0 => 0,
            // What was looked up is the IPv4 address, and its scope counts from there.
            IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some() => 96 + scope.min(32),
            _ => scope,
        };
        let [code_high, code_low] = CLIENT_SUBNET.to_be_bytes();
        let [family_high, family_low] = self.family.to_be_bytes();
        // At most 4 and an IPv6 address.
        let length = 4 + octets as u8;
        *fixed = [code_high, code_low, 0, length, family_high, family_low, self.source_prefix, scope];
        match self.address {
            IpAddr::V4(ip) => {
                let [a, b, c, d] = ip.octets();
                match &mut out[..octets] {
                    [first] => *first = a,
                    [first, second] => [*first, *second] = [a, b],
                    [first, second, third] => [*first, *second, *third] = [a, b, c],
                    [first, second, third, fourth] => [*first, *second, *third, *fourth] = [a, b, c, d],
                    _ => {}
                }
            }
            IpAddr::V6(ip) => out[..octets].copy_from_slice(&ip.octets()[..octets]),
        }
    }
}

/// `address` with all but its first `prefix` bits zero.
fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(ip.to_bits() & mask))
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & mask))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(udp_payload: u16, options: &[u8]) -> Result<Edns<'_>, BadOptions> {
        let mut edns = Edns::without_options(udp_payload, 0);
        edns.read_options(options).map(|()| edns)
    }

    fn subnet(data: &[u8]) -> Result<ClientSubnet, BadOptions> {
        ClientSubnet::parse(data)
    }

    #[test]
    fn subnets_are_read() {
        assert_eq!(subnet(&[0, 1, 24, 0, 192, 0, 2]), Ok(ClientSubnet::new([192, 0, 2, 0].into(), 24)));
        assert_eq!(
            subnet(&[0, 2, 32, 0, 0x20, 1, 0xd, 0xb8]),
            Ok(ClientSubnet::new("2001:db8::".parse().expect("an address"), 32))
        );
        assert_eq!(subnet(&[0, 1, 0, 0]).map(|subnet| subnet.source_prefix), Ok(0));
        assert_eq!(subnet(&[0, 0, 0, 0]).map(|subnet| subnet.source_prefix), Ok(0));
    }

    #[test]
    fn what_rfc_7871_forbids_is_malformed() {
        for (data, why) in [
            (&[0, 1, 24][..], "cut off"),
            (&[0, 1, 24, 0, 192, 0], "too few octets"),
            (&[0, 1, 24, 0, 192, 0, 2, 0], "too many octets"),
            (&[0, 1, 24, 1, 192, 0, 2], "a scope in a query"),
            (&[0, 1, 33, 0, 192, 0, 2, 0, 0], "more bits than the family has"),
            (&[0, 1, 20, 0, 192, 0, 0xff], "bits beyond the prefix"),
            (&[0, 3, 8, 0, 1], "an unknown family"),
            (&[0, 0, 8, 0, 1], "bits of no family"),
        ] {
            assert_eq!(subnet(data), Err(BadOptions), "{why}");
        }
    }

    #[test]
    fn the_size_a_client_offers_is_clamped() {
        for (offered, limit) in [(0, 512), (511, 512), (513, 513), (1232, 1232), (4096, 1232)] {
            let edns = parse(offered, &[]).expect("no options");
            assert_eq!(edns.udp_limit(), limit);
        }
    }

    /// It is looked up as IPv4, but the prefix that is echoed is IPv6.
    #[test]
    fn the_scope_of_a_mapped_address_counts_from_its_family() {
        for (address, source, scope, written) in [
            ("::ffff:192.0.2.1", 128, 24, 120),
            ("::ffff:192.0.2.1", 128, 0, 0),
            ("2001:db8::1", 128, 24, 24),
            ("192.0.2.1", 32, 24, 24),
        ] {
            let subnet = ClientSubnet::new(address.parse().expect("an address"), source);
            let mut out = [0; 24];
            subnet.write_reply(scope, &mut out[..8 + subnet.address_octets()]);
            assert_eq!(out[7], written, "{address}");
        }
    }

    #[test]
    fn unknown_options_are_skipped_and_cut_off_ones_are_malformed() {
        let cookie_then_subnet = [&[0, 10, 0, 8][..], &[7; 8], &[0, 8, 0, 5, 0, 1, 8, 0, 10]].concat();
        let edns = parse(1232, &cookie_then_subnet).expect("well formed");
        assert_eq!(edns.client_subnet, Some(ClientSubnet::new([10, 0, 0, 0].into(), 8)));
        for cut in [1, 3, 5, cookie_then_subnet.len() - 1] {
            assert_eq!(parse(1232, &cookie_then_subnet[..cut]), Err(BadOptions));
        }
    }

    #[test]
    fn cookies_have_the_lengths_of_rfc_7873_and_the_first_counts() {
        for length in 0..=64u8 {
            let option = [&[0, 10, 0, length][..], &vec![7; usize::from(length)]].concat();
            let read = parse(1232, &option).map(|edns| edns.cookie.len());
            let is_well_formed = length == 8 || (16..=40).contains(&length);
            assert_eq!(read, if is_well_formed { Ok(usize::from(length)) } else { Err(BadOptions) });
        }
        let two = [&[0, 10, 0, 8][..], &[1; 8], &[0, 10, 0, 8], &[2; 8]].concat();
        assert_eq!(parse(1232, &two).map(|edns| edns.cookie), Ok(&[1; 8][..]));
    }
}
