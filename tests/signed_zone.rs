//! A validating resolver asks rhumb about zones that were signed elsewhere: unbound, which trusts one key, follows every
//! delegation, and takes nothing for granted.

mod support;

use std::net::SocketAddr;

use support::others::{Denial, dig, nsd, sign, try_dig, validating_unbound};
use support::process::Process;
use support::scene::{Scene, UNLIMITED};
use support::{eventually, need_root, own_address};

const ZONE: &str = "signed.example";

/// What a validator has to find.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Verdict {
    /// Proven.
    Secure,
    /// Proven to be outside of what is signed.
    Insecure,
    /// Secure, but with opt-out no more than insecure: there may be a delegation wherever no name is denied (RFC 5155
    /// section 9.2).
    SecureButOptedOut,
}

use Verdict::{Insecure, Secure, SecureButOptedOut};

/// Each kind of answer: name below the zone, type, code, whether there is an answer, and what is made of it.
const QUESTIONS: [(&str, &str, &str, bool, Verdict); 64] = [
    ("", "SOA", "NOERROR", true, Secure),
    ("", "DNSKEY", "NOERROR", true, Secure),
    ("", "TXT", "NOERROR", true, Secure),
    ("host", "A", "NOERROR", true, Secure),
    ("HOST", "AAAA", "NOERROR", true, Secure),
    ("upper.case", "A", "NOERROR", true, Secure),
    ("large", "TXT", "NOERROR", true, Secure),
    (r"\000", "A", "NOERROR", true, Secure),
    (r"\000.\000", "A", "NOERROR", true, Secure),
    (r"\200", "A", "NOERROR", true, Secure),
    ("zabc.a.example", "A", "NOERROR", true, Secure),
    // Every sort of data, in which the case of letters counts or does not.
    ("types", "SRV", "NOERROR", true, Secure),
    ("types", "NAPTR", "NOERROR", true, Secure),
    ("types", "RP", "NOERROR", true, Secure),
    ("types", "AFSDB", "NOERROR", true, Secure),
    ("types", "LP", "NOERROR", true, Secure),
    ("types", "CERT", "NOERROR", true, Secure),
    ("types", "LOC", "NOERROR", true, Secure),
    ("types", "APL", "NOERROR", true, Secure),
    ("types", "IPSECKEY", "NOERROR", true, Secure),
    ("types", "SVCB", "NOERROR", true, Secure),
    ("types", "HTTPS", "NOERROR", true, Secure),
    ("types", "CAA", "NOERROR", true, Secure),
    ("types", "URI", "NOERROR", true, Secure),
    ("types", "NID", "NOERROR", true, Secure),
    ("types", "TYPE65280", "NOERROR", true, Secure),
    ("mixed", "MX", "NOERROR", true, Secure),
    ("mixed", "PTR", "NOERROR", true, Secure),
    // Wildcards.
    ("x.wild", "A", "NOERROR", true, SecureButOptedOut),
    ("so.x.wild", "MX", "NOERROR", true, SecureButOptedOut),
    ("*.wild", "A", "NOERROR", true, Secure),
    ("x.z.wild", "TXT", "NOERROR", true, SecureButOptedOut),
    ("no.such.thing", "TXT", "NOERROR", true, SecureButOptedOut),
    ("x.large", "TXT", "NOERROR", true, SecureButOptedOut),
    ("x.wild", "TXT", "NOERROR", false, SecureButOptedOut),
    ("*.wild", "TXT", "NOERROR", false, Secure),
    ("no.such.thing", "A", "NOERROR", false, SecureButOptedOut),
    // Aliases.
    ("alias1", "A", "NOERROR", true, Secure),
    ("alias1", "CNAME", "NOERROR", true, Secure),
    ("x.alias", "A", "NOERROR", true, SecureButOptedOut),
    ("x.tochain", "A", "NOERROR", true, SecureButOptedOut),
    ("x.tonodata", "MX", "NOERROR", true, SecureButOptedOut),
    ("x.tomissing", "A", "NXDOMAIN", true, SecureButOptedOut),
    ("toempty1", "A", "NOERROR", true, Secure),
    ("tomissing1", "A", "NXDOMAIN", true, SecureButOptedOut),
    ("x.towards", "A", "NOERROR", true, SecureButOptedOut),
    ("x.towards", "TXT", "NOERROR", true, SecureButOptedOut),
    ("x.moved", "TXT", "NXDOMAIN", true, SecureButOptedOut),
    ("a.moved", "TXT", "NOERROR", true, Secure),
    // What is not there.
    ("host", "SRV", "NOERROR", false, Secure),
    ("very.deep.name", "A", "NOERROR", false, Secure),
    ("missing.host", "A", "NXDOMAIN", false, SecureButOptedOut),
    ("a.b.missing.host", "A", "NXDOMAIN", false, SecureButOptedOut),
    ("below.it", "A", "NOERROR", false, SecureButOptedOut),
    // Not where a wildcard would stand for it as well: with opt-out, this signer leaves nothing that proves the difference.
    ("below.it.safe", "A", "NOERROR", false, SecureButOptedOut),
    ("x.below.it.safe", "A", "NXDOMAIN", false, SecureButOptedOut),
    // Delegations, to another server and to this one.
    ("child", "DS", "NOERROR", false, SecureButOptedOut),
    ("www.child", "A", "NOERROR", true, Insecure),
    ("missing.child", "A", "NXDOMAIN", false, Insecure),
    ("tochild", "A", "NOERROR", true, Insecure),
    ("lb", "DS", "NOERROR", false, SecureButOptedOut),
    ("www.lb", "A", "NOERROR", true, Insecure),
    ("www.safe", "A", "NOERROR", true, Secure),
    ("missing.safe", "A", "NXDOMAIN", false, SecureButOptedOut),
];

#[test]
fn a_validator_believes_what_is_denied_name_by_name() {
    prove(Denial::Nsec);
}

#[test]
fn a_validator_believes_what_is_denied_by_hashes() {
    prove(Denial::Nsec3);
}

#[test]
fn a_validator_believes_what_is_denied_with_opt_out() {
    prove(Denial::OptOut);
}

fn prove(denial: Denial) {
    need_root();
    let [rhumb, other, resolver] = [53, 53, 5300].map(|port| SocketAddr::new(own_address().into(), port));
    let mut scene = Scene::new();
    scene.dns = rhumb;
    let directory = |name: &str| {
        let path = scene.path().join(name);
        std::fs::create_dir(&path).expect("the directory is ours");
        path
    };
    let safe = format!(
        "$TTL 60\n@ SOA ns hostmaster 1 14400 3600 1209600 60\n@ NS ns\nns A {}\nwww A 192.0.2.1\n\
         far.below.it NS ns.elsewhere.example.\n",
        rhumb.ip()
    );
    let safe = sign(&directory("safe"), "safe.signed.example", &safe, denial);
    let records = format!(
        "{}
$ORIGIN {ZONE}.
safe     NS    ns.safe
ns.safe  A     {}
lb       NS    ns.safe
child    NS    ns.child
ns.child A     {}
tochild  CNAME www.child
{}",
        include_str!("static_zone/signed.zone"),
        rhumb.ip(),
        other.ip(),
        safe.ds,
    );
    let signed = sign(&directory("signed"), ZONE, &records, denial);
    scene.write("signed.zone", &signed.zone);
    scene.write("safe.zone", &safe.zone);
    let child = format!(
        "$TTL 60\n@ SOA ns hostmaster 1 14400 3600 1209600 60\n@ NS ns\nns A {}\nwww A 192.0.2.2\n",
        other.ip()
    );
    let _daemon = scene.start(&configuration(&scene));
    let _other = Process::start(nsd(&directory("other"), other, "child.signed.example", &child));
    let validator = validating_unbound(&directory("resolver"), resolver, ZONE, rhumb, &signed.trust_anchor);
    let _resolver = Process::start(validator);
    for server in [resolver, other] {
        eventually("the others to answer", || {
            let reply = try_dig(server, &["child.signed.example", "SOA", "+short", "+time=1", "+tries=1"])?;
            (!reply.is_empty()).then_some(())
        });
    }

    let mut wrong = Vec::new();
    for (name, rtype, code, has_answer, verdict) in QUESTIONS {
        let name = if name.is_empty() { ZONE.to_owned() } else { format!("{name}.{ZONE}") };
        let reply = dig(resolver, &[&name, rtype, "+dnssec", "+comments"]);
        let is_secure = match verdict {
            Secure => true,
            Insecure => false,
            SecureButOptedOut => denial != Denial::OptOut,
        };
        let flags = reply.lines().find(|line| line.starts_with(";; flags:")).unwrap_or_default();
        let is_proven = flags.split(';').any(|part| part.split_whitespace().any(|flag| flag == "ad"));
        let is_right = reply.contains(&format!("status: {code},"))
            && flags.contains("ANSWER: 0,") != has_answer
            && is_proven == is_secure;
        if !is_right {
            wrong.push(format!("{name} {rtype} is not {code} and {verdict:?}:\n{reply}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {denial:?}\n{}", wrong.len(), wrong.join("\n"));
}

/// The two signed zones, and one in between whose answers change.
fn configuration(scene: &Scene) -> String {
    format!(
        r#"
[server]
listen = ["{}"]
workers = 1
watch = false
{UNLIMITED}
state_dir = "{}"

[admin]
listen = "{}"

[[zone]]
name = "signed.example"
file = "signed.zone"

[[zone]]
name = "safe.signed.example"
file = "safe.zone"

[[zone]]
name = "lb.signed.example"
nameservers = ["ns.safe.signed.example"]
contact = "hostmaster.signed.example"

[pool.one]
address = [{{ name = "a", ip = "192.0.2.3" }}]

[[domain]]
name = "www.lb.signed.example"
pools = ["one"]
"#,
        scene.dns,
        scene.path().join("state").display(),
        scene.admin,
    )
}
