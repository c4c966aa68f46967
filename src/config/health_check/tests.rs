//! Files that checks name.

use std::fs;
use std::path::Path;

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};

use crate::config::parse;
use crate::plan::{CheckKind, HealthCheck, TlsCheck, Trust};

const TEXT: &str = "\
[health_check.x]
type = \"tls\"
ca_file = \"roots.pem\"
client_certificate = \"client.pem\"
client_key = \"client.key\"
";

fn certified() -> CertifiedKey<KeyPair> {
    generate_simple_self_signed(["a.test".to_owned()]).expect("a good name")
}

fn write(directory: &Path, name: &str, text: &str) {
    fs::write(directory.join(name), text).expect("a temporary file can be written");
}

fn check_in(directory: &Path) -> HealthCheck {
    let loaded = parse("test", TEXT, directory).unwrap_or_else(|errors| panic!("{errors}"));
    loaded.plan.health_checks.into_iter().next().expect("there is one")
}

#[test]
fn certificates_are_read_when_the_check_is() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let directory = directory.path();
    let (root, other, client) = (certified(), certified(), certified());
    write(directory, "roots.pem", &(root.cert.pem() + &other.cert.pem()));
    write(directory, "client.pem", &client.cert.pem());
    write(directory, "client.key", &client.signing_key.serialize_pem());
    let check = check_in(directory);
    assert_eq!(check, check_in(directory), "the same files make the same check");
    let CheckKind::Tls(TlsCheck { trust: Trust::Roots(roots), identity: Some(identity), .. }) = &check.kind
    else {
        panic!("{:?}", check.kind)
    };
    assert_eq!(roots.list(), [root.cert.der().clone(), other.cert.der().clone()]);
    assert_eq!(identity.chain.list(), [client.cert.der().clone()]);
    let shown = format!("{:?}", identity);
    let secret = format!("{:?}", client.signing_key.serialize_der());
    assert!(!shown.contains(secret.trim_matches(['[', ']'])), "{shown}");

    write(directory, "roots.pem", &other.cert.pem());
    assert_ne!(check, check_in(directory), "a changed file makes another check");
}

#[test]
fn a_key_has_to_belong_to_its_certificate() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let directory = directory.path();
    let client = certified();
    write(directory, "roots.pem", &client.cert.pem());
    write(directory, "client.pem", &client.cert.pem());
    write(directory, "client.key", &certified().signing_key.serialize_pem());
    let errors = parse("test", TEXT, directory).expect_err("the key is another's").to_string();
    let expected = "test:5:14: error: `client.key` is no key to the certificate in `client.pem`";
    assert!(errors.starts_with(expected), "{errors}");
}
