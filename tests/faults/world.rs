//! Three sites, a daemon and, beside it, gdnsd, which watch them, on hosts of one network.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;

use crate::network::{Namespace, Network};
use crate::site::{Site, make_certificates};
use crate::stream::Stream;
use crate::support::daemon::serve;
use crate::support::others::program;
use crate::support::process::Process;
use crate::support::scene::{DOMAIN, Scene};
use crate::told::Told;

/// The host numbers of the sites, in the order in which they are preferred.
const SITES: [u8; 3] = [1, 2, 3];
/// The host number of the daemon.
const DAEMON: u8 = 53;

/// The check of the tests, in TOML without type: that of the example configuration.
pub(crate) const CHECK: &str = r#"interval = "500ms", timeout = "300ms", fall = 2, rise = 2"#;

/// Hosts and what runs on them. What is told first ends first.
pub(crate) struct World {
    /// Those who are asked.
    pub(crate) asked: Vec<Asked>,
    pub(crate) rhumb: Process,
    gdnsd: Option<Process>,
    pub(crate) sites: Vec<Site>,
    pub(crate) daemon: Namespace,
    /// The program on the first site's cable.
    delayer: Option<Told>,
    _network: Network,
    _scene: Scene,
}

/// A server and the stream of queries to it.
pub(crate) struct Asked {
    pub(crate) who: Who,
    pub(crate) stream: Stream,
}

/// Which server.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    Rhumb,
    Gdnsd,
}

impl Who {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Who::Rhumb => "rhumb",
            Who::Gdnsd => "gdnsd",
        }
    }
}

/// What a test says about its world.
#[derive(Default)]
pub(crate) struct Plan<'a> {
    /// The check of all sites, with its type, in TOML without braces.
    pub(crate) check: &'a str,
    /// Whether gdnsd runs as well.
    pub(crate) gdnsd: bool,
    /// Whether packets to the first site can be held up.
    pub(crate) far: bool,
    /// How the first site's address is told, instead of `ip = "..."`.
    pub(crate) first: Option<&'a str>,
    /// Further configuration.
    pub(crate) further: &'a str,
}

impl World {
    /// Makes it, and waits until the servers answer.
    pub(crate) fn start(plan: &Plan) -> World {
        World::start_in(Network::new(), plan)
    }

    /// The same in a network that may have something else in it already.
    pub(crate) fn start_in(network: Network, plan: &Plan) -> World {
        let mut scene = Scene::new();
        // Of its own host alone: clients ask whatever becomes of the network.
        scene.dns.set_ip(Ipv4Addr::LOCALHOST.into());
        scene.admin.set_ip(Ipv4Addr::LOCALHOST.into());
        let trusted = make_certificates(scene.path());
        let mut delayer = None;
        let sites: Vec<Site> = SITES
            .into_iter()
            .map(|number| {
                let host = if plan.far && number == SITES[0] {
                    let (host, between) = network.far_host(number);
                    let mut command = Command::new("/usr/bin/python3");
                    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faults/delay.py"));
                    delayer = Some(between.within(|| Told::start(command)));
                    host
                } else {
                    network.host(number)
                };
                Site::start(host, number, scene.path())
            })
            .collect();
        let daemon = network.host(DAEMON);

        let mut command = serve(&scene.configure(&configuration(&scene, plan)));
        command.env("SSL_CERT_FILE", trusted);
        let rhumb = daemon.within(|| Process::start(command));
        rhumb.await_line(0, &["ready"]);
        let gdnsd = plan.gdnsd.then(|| {
            let directory = gdnsd_configuration(&scene);
            let mut command = program("gdnsd");
            command.arg("-c").arg(directory).arg("start");
            let gdnsd = daemon.within(|| Process::start(command));
            gdnsd.await_line(0, &["DNS listeners started"]);
            gdnsd
        });
        let mut asked = vec![Asked { who: Who::Rhumb, stream: Stream::start(&daemon, scene.dns, DOMAIN) }];
        if plan.gdnsd {
            let stream = Stream::start(&daemon, gdnsd_address(&scene), DOMAIN);
            asked.push(Asked { who: Who::Gdnsd, stream });
        }
        World { asked, rhumb, gdnsd, sites, daemon, delayer, _network: network, _scene: scene }
    }

    /// The site that is preferred, and that is broken.
    pub(crate) fn first(&mut self) -> &mut Site {
        &mut self.sites[0]
    }

    /// Holds what goes to the first site up for as many milliseconds.
    pub(crate) fn delay(&mut self, milliseconds: u32) {
        self.delayer.as_mut().expect("a site that is far").tell(&milliseconds.to_string());
    }

    /// Goes on without gdnsd.
    pub(crate) fn dismiss_gdnsd(&mut self) {
        self.asked.retain(|asked| asked.who == Who::Rhumb);
        self.gdnsd = None;
    }

    /// Whether gdnsd is there.
    pub(crate) fn has_gdnsd(&self) -> bool {
        self.gdnsd.is_some()
    }
}

fn configuration(scene: &Scene, plan: &Plan) -> String {
    let mut text =
        format!("{}\n[health_check]\nweb = {{ {} }}\n{}\n", scene.ground(), plan.check, plan.further);
    for number in SITES {
        let ip = format!("ip = \"{}\"", crate::network::address(number));
        let target = if number == SITES[0] { plan.first.unwrap_or(&ip) } else { &ip };
        text += &format!(
            "[pool.site{number}]\nhealth_check = \"web\"\naddress = [{{ name = \"a\", {target} }}]\n"
        );
    }
    text + &format!(
        "[[domain]]\nname = \"{DOMAIN}\"\npolicy = \"priority\"\npools = [\"site1\", \"site2\", \"site3\"]\nttl = \"1s\"\n"
    )
}

fn gdnsd_address(scene: &Scene) -> SocketAddr {
    SocketAddr::new(scene.dns.ip(), 5301)
}

/// gdnsd at its quickest: one failure is enough, and it probes no oftener than every two seconds.
fn gdnsd_configuration(scene: &Scene) -> PathBuf {
    let directory = scene.path().join("gdnsd");
    for below in ["zones", "run", "state"] {
        std::fs::create_dir_all(directory.join(below)).expect("the directory is ours");
    }
    let [first, second, _] = SITES.map(crate::network::address);
    let configuration = format!(
        "options => {{ listen => {}, udp_threads => 1, tcp_threads => 1
  run_dir => {directory}/run, state_dir => {directory}/state }}
service_types => {{ web => {{ plugin => http_status, port => 80, url_path => /health
  interval => 2, timeout => 1, up_thresh => 1, ok_thresh => 1, down_thresh => 1 }} }}
plugins => {{ simplefo => {{ www => {{ service_types => [ web ], primary => {first}, secondary => {second} }} }} }}
",
        gdnsd_address(scene),
        directory = directory.display(),
    );
    let zone = "@ 3600 SOA ns1 hostmaster 1 7200 1800 86400 5\n@ 3600 NS ns1\nns1 3600 A 127.0.0.1\nwww 1 DYNA simplefo!www\n";
    std::fs::write(directory.join("config"), configuration).expect("the directory is ours");
    std::fs::write(directory.join("zones/ai.example.com"), zone).expect("the directory is ours");
    directory
}
