//! What is in deploy/: that it is what its readers take, and that it fits the program.

mod support;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use support::daemon::{Daemon, run};
use support::others::program;

const CHART: &str = "deploy/kubernetes/rhumb";

/// The files of values, in tests/deploy, and whether the chart makes the configuration of each.
const VALUES: [(&str, bool); 4] = [("least", true), ("most", true), ("nodes", false), ("stateless", true)];

/// What may follow on SIGTERM, in seconds (src/daemon/ending.rs): ten for clients, one for those of the admin API, two for
/// notifications, one for the audit log, one for traces.
const STOP: i64 = 15;

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A program of those that `tests/deploy/run` installs.
fn tool(name: &str) -> Command {
    let path = top().join("target/deploy/venv/bin").join(name);
    assert!(path.is_file(), "{} is missing: tests/deploy/run installs it", path.display());
    let mut command = program("timeout");
    command.args(["--kill-after=10s", "2m"]).arg(path).current_dir(top());
    command
}

fn told(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text)).concat()
}

/// `helm` with the chart, values of tests/deploy and more arguments.
fn helm(action: &[&str], values: &str, more: &[&str]) -> Output {
    let mut command = tool("helm");
    command.args(action).arg(CHART).arg("--values").arg(format!("tests/deploy/{values}.yaml")).args(more);
    command.output().expect("it runs")
}

/// The documents of a stream of YAML.
fn documents(yaml: &[u8], arguments: &[&str]) -> Vec<Value> {
    let mut command = tool("python");
    command.arg("tests/deploy/objects.py").args(arguments);
    let pipe = Stdio::piped;
    let mut process = command.stdin(pipe()).stdout(pipe()).stderr(pipe()).spawn().expect("it runs");
    process.stdin.take().expect("it is piped").write_all(yaml).expect("it reads");
    let output = process.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", told(&output));
    serde_json::from_slice(&output.stdout).expect("it is JSON")
}

/// What the chart makes of values, each object as Kubernetes knows it.
fn objects(values: &str, more: &[&str]) -> Vec<Value> {
    let output = helm(&["template", "ns"], values, more);
    assert!(output.status.success(), "{values}: {}", told(&output));
    documents(&output.stdout, &["--kubernetes"])
}

fn of_kind<'o>(objects: &'o [Value], kinds: &'o [&str]) -> impl Iterator<Item = &'o Value> {
    objects.iter().filter(|object| kinds.contains(&object["kind"].as_str().expect("it has a kind")))
}

fn template(objects: &[Value]) -> &Value {
    let mut found = of_kind(objects, &["StatefulSet", "Deployment", "DaemonSet"]);
    let workload = found.next().expect("there is one");
    assert_eq!(found.next(), None);
    &workload["spec"]["template"]
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Whether what `selector` asks for is among `labels`, and is anything at all.
fn selects(selector: &Value, labels: &Value) -> bool {
    let wanted = selector.as_object().expect("it selects by labels");
    !wanted.is_empty() && wanted.iter().all(|(key, value)| labels[key] == *value)
}

fn names(of: &Value) -> Vec<&str> {
    list(of).iter().map(|each| each["name"].as_str().expect("it has a name")).collect()
}

/// The files that the pod finds in /etc/rhumb.
fn configured(objects: &[Value]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).expect("there is room");
    for object in of_kind(objects, &["ConfigMap", "Secret"]) {
        for (name, text) in ["data", "stringData"].iter().filter_map(|key| object[key].as_object()).flatten()
        {
            let text = text.as_str().expect("it is text");
            let is_encoded = object["kind"] == "Secret" && object["data"].is_object();
            let decoded = || data_encoding::BASE64.decode(text.as_bytes()).expect("it is base64");
            let text =
                if is_encoded { String::from_utf8(decoded()).expect("it is text") } else { text.to_owned() };
            write(name, &text);
        }
    }
    directory
}

fn checked(file: PathBuf) -> String {
    let output = run(&["check", "--config", file.to_str().expect("it is text")]);
    assert!(output.status.success(), "{}", told(&output));
    fs::read_to_string(file).expect("it is there")
}

#[test]
fn the_chart_makes_what_kubernetes_takes() {
    for (values, _) in VALUES {
        let lint = helm(&["lint", "--strict", "--quiet"], values, &[]);
        assert!(lint.status.success(), "{values}: {}", told(&lint));
        let objects = objects(values, &[]);
        let template = template(&objects);
        let (labels, spec) = (&template["metadata"]["labels"], &template["spec"]);

        let container = &list(&spec["containers"])[0];
        let within = &container["securityContext"];
        for (is, expected) in [
            (&spec["securityContext"]["runAsNonRoot"], Value::Bool(true)),
            (&spec["automountServiceAccountToken"], Value::Bool(false)),
            (&within["readOnlyRootFilesystem"], Value::Bool(true)),
            (&within["allowPrivilegeEscalation"], Value::Bool(false)),
            (&within["capabilities"]["drop"][0], Value::from("ALL")),
        ] {
            assert_eq!(*is, expected, "{values}");
        }
        let delay = container["lifecycle"]["preStop"]["sleep"]["seconds"].as_i64().expect("it waits");
        assert!(spec["terminationGracePeriodSeconds"].as_i64() >= Some(delay + STOP), "{values}");

        let claims =
            of_kind(&objects, &["StatefulSet"]).flat_map(|set| list(&set["spec"]["volumeClaimTemplates"]));
        let claims: Vec<&Value> = claims.map(|claim| &claim["metadata"]["name"]).collect();
        let volumes = names(&spec["volumes"]);
        for mount in names(&container["volumeMounts"]) {
            assert!(
                volumes.contains(&mount) != claims.iter().any(|claim| *claim == mount),
                "{values}: {mount}"
            );
        }
        for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
            let command = list(&container[probe]["exec"]["command"]);
            let words: Vec<&str> = command.iter().map(|word| word.as_str().expect("it is text")).collect();
            // No daemon is there, and that is all that is wrong.
            let nowhere = ["--admin", "unix:/nonexistent/admin.sock"];
            let output = run(&[&words[1..], &nowhere].concat());
            assert_eq!((words[0], output.status.code()), ("/usr/bin/rhumb", Some(1)), "{}", told(&output));
        }

        let ports = names(&container["ports"]);
        for service in of_kind(&objects, &["Service"]) {
            for port in list(&service["spec"]["ports"]) {
                assert!(ports.contains(&port["targetPort"].as_str().expect("a name")), "{values}: {port}");
            }
            for (key, value) in service["spec"]["selector"].as_object().expect("it selects") {
                // This one is added to each pod by its set.
                let is_of_set = key == "statefulset.kubernetes.io/pod-name";
                assert!(is_of_set || labels[key] == *value, "{values}: {key}");
            }
        }
    }
}

#[test]
fn what_is_about_the_pods_selects_them() {
    for (values, is_budgeted, is_closed) in
        [("least", true, false), ("most", true, true), ("nodes", false, false), ("stateless", true, false)]
    {
        let objects = objects(values, &[]);
        let labels = &template(&objects)["metadata"]["labels"];
        for (kind, selector, is_expected) in [
            ("PodDisruptionBudget", "/spec/selector/matchLabels", is_budgeted),
            ("NetworkPolicy", "/spec/podSelector/matchLabels", is_closed),
        ] {
            let kinds = [kind];
            let found: Vec<&Value> = of_kind(&objects, &kinds).collect();
            assert_eq!(found.len(), usize::from(is_expected), "{values}: {kind}");
            for object in found {
                assert!(selects(object.pointer(selector).expect("it selects"), labels), "{values}: {object}");
            }
        }
        let workload = of_kind(&objects, &["StatefulSet", "Deployment", "DaemonSet"]).next().expect("one");
        assert!(selects(&workload["spec"]["selector"]["matchLabels"], labels), "{values}: {workload}");
    }

    // What comes in by a policy are ports of the pod.
    let objects = objects("most", &[]);
    let ports = names(&list(&template(&objects)["spec"]["containers"])[0]["ports"]);
    let policy = of_kind(&objects, &["NetworkPolicy"]).next().expect("it is wanted");
    let open = list(&policy["spec"]["ingress"]).iter().flat_map(|rule| list(&rule["ports"]));
    let open: Vec<&str> = open.map(|port| port["port"].as_str().expect("a name")).collect();
    assert_eq!(open, ["dns-udp", "dns-tcp", "admin"]);
    assert!(open.iter().all(|port| ports.contains(port)), "{open:?} of {ports:?}");

    // One service leads to each pod by itself, and has the port that is scraped.
    let monitor = of_kind(&objects, &["ServiceMonitor"]).next().expect("it is wanted");
    let selector = &monitor["spec"]["selector"]["matchLabels"];
    let services: Vec<&Value> = of_kind(&objects, &["Service"])
        .filter(|service| selects(selector, &service["metadata"]["labels"]))
        .collect();
    assert_eq!(services.len(), 1, "{selector}");
    assert_eq!(services[0]["spec"]["clusterIP"], "None");
    let scraped = monitor["spec"]["endpoints"][0]["port"].as_str().expect("a name");
    assert!(names(&services[0]["spec"]["ports"]).contains(&scraped), "{scraped}");
}

#[test]
fn the_configuration_of_the_chart_is_good() {
    for (values, _) in VALUES.into_iter().filter(|(_, is_made)| *is_made) {
        let objects = objects(values, &[]);
        let directory = configured(&objects);
        let text = checked(directory.path().join("rhumb.toml"));
        // What is not guarded is not for others.
        let is_guarded = text.contains("token_file");
        assert_eq!(is_guarded, values == "most");
        assert_eq!(text.contains("level = \"debug\""), values == "most", "{text}");
        assert_ne!(is_guarded, text.contains("listen = \"127.0.0.1:8053\""), "{text}");
        // Both in the form of a projected volume, by which its files are one.
        let sources = &template(&objects)["spec"]["volumes"][0]["projected"]["sources"];
        let named = list(sources).iter().map(|source| {
            let source =
                &source.as_object().expect("an object").values().next().expect("of one kind")["name"];
            source.as_str().expect("a name")
        });
        let made: Vec<&str> = of_kind(&objects, &["ConfigMap", "Secret"])
            .map(|object| object["metadata"]["name"].as_str().expect("a name"))
            .collect();
        for name in named {
            assert!(made.contains(&name), "{name} of {made:?}");
        }
    }
}

#[test]
fn the_rules_of_the_chart_are_those_for_prometheus() {
    let objects = objects("most", &[]);
    let rules = fs::read(top().join("deploy/prometheus/rules.yml")).expect("they are there");
    let rules = &documents(&rules, &[])[0];
    let found = of_kind(&objects, &["PrometheusRule"]).next().expect("it is wanted");
    assert_eq!(found["spec"], *rules);
    // They are about the jobs of this name.
    assert!(rules.to_string().contains(r#"job=\"rhumb\""#), "{rules}");
    let monitor = of_kind(&objects, &["ServiceMonitor"]).next().expect("it is wanted");
    let relabelled = &monitor["spec"]["endpoints"][0]["relabelings"][0];
    assert_eq!((&relabelled["targetLabel"], &relabelled["replacement"]), (&"job".into(), &"rhumb".into()));
}

#[test]
fn only_what_needs_a_restart_restarts_the_pods() {
    let pods = |more: &[&str]| template(&objects("least", more)).clone();
    let before = pods(&[]);
    let zone = "config=[[zone]]\nname = \"example.net\"\nnameservers = [\"ns1.example.org\"]\n";
    assert_eq!(pods(&["--set-literal", zone]), before);
    assert_eq!(pods(&["--set", "image.pullPolicy=IfNotPresent"]), before);
    assert_eq!(pods(&["--set", "log.level=debug"]), before);
    assert_ne!(pods(&["--set", "log.format=text"]), before);
    assert_ne!(pods(&["--set-literal", "server.extra=workers = 2"]), before);
}

#[test]
fn values_that_cannot_work_are_refused() {
    for (values, set, reason) in [
        ("least", "config=", "config: say which zones there are"),
        ("least", "config=[server]", "[server], [admin] and [log] are made of the values"),
        ("least", "config=admin.listen = 1", "[server], [admin] and [log] are made of the values"),
        ("least", "kind=Pod", "kind"),
        ("least", "replicaz=1", "replicaz"),
        ("least", "admin.tokens[0]=secret", "admin.tokens.0"),
        ("nodes", "icmp=true", "icmp: with hostNetwork"),
        ("least", "hostNetwork=true", "hostNetwork: inside the pod is the node"),
        ("least", "persistence.hostPath=/srv", "persistence.hostPath: two pods"),
        ("stateless", "service.perReplica=true", "service.perReplica: only the replicas of a StatefulSet"),
        ("least", "metrics.serviceMonitor.enabled=true", "it needs a token"),
        ("most", "metrics.serviceMonitor.tokenSecret.name=", "say where the token is"),
    ] {
        let output = helm(&["template", "ns"], values, &["--set", set]);
        assert!(!output.status.success() && told(&output).contains(reason), "{set}: {}", told(&output));
    }
}

#[test]
fn the_demonstration_in_containers_is_whole() {
    let directory = top().join("deploy/container/compose");
    let read = |name: &str| fs::read(directory.join(name)).expect("it is there");
    let services = &documents(&read("compose.yaml"), &[])[0]["services"];
    for (name, service) in services.as_object().expect("services") {
        for volume in list(&service["volumes"]) {
            let source = volume.as_str().expect("text").split(':').next().expect("a part");
            assert!(!source.starts_with('.') || directory.join(source).exists(), "{name}: {source}");
        }
    }

    // The tokens, as they are made there, are those that the configuration takes.
    let scene = support::scene::Scene::new();
    fs::create_dir(scene.path().join("tokens")).expect("there is room");
    let script = String::from_utf8(read("make-tokens")).expect("it is text");
    let script = script.replace("cd /tokens", &format!("cd {}/tokens", scene.path().display()));
    let made = program("sh").arg("-c").arg(script).output().expect("it runs");
    assert!(made.status.success(), "{}", told(&made));
    let text = String::from_utf8(read("rhumb/rhumb.toml")).expect("it is text");
    let text = text.replace("\"/tokens/", &format!("\"{}/tokens/", scene.path().display()));
    checked(scene.configure(&text));

    // Prometheus's may see the metrics, and the other does what it likes.
    let text = text
        .replace("0.0.0.0:53", &scene.dns.to_string())
        .replace("0.0.0.0:8053", &scene.admin.to_string())
        .replace("/run/rhumb", &scene.path().display().to_string())
        .replace("[server]", &format!("[server]\nstate_dir = {:?}", scene.path().join("state")));
    let daemon: Daemon = scene.launch(&text);
    daemon.await_line(0, &["ready"]);
    for (holder, reload) in [("prometheus", 1), ("me", 0)] {
        let token = scene.path().join("tokens").join(holder);
        let admin = format!("http://{}", daemon.admin());
        let asked = |command| {
            run(&[command, "--admin", &admin, "--token-file", token.to_str().expect("text")]).status.code()
        };
        assert_eq!((asked("whoami"), asked("reload")), (Some(0), Some(reload)), "{holder}");
    }
}

#[test]
fn the_recipe_of_the_image_is_sound() {
    let output = tool("hadolint").arg("deploy/container/Containerfile").output().expect("it runs");
    assert!(output.status.success(), "{}", told(&output));
}
