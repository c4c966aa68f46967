// Walks through the console as an operator does, in Chromium without a screen, against a running daemon.
// Arguments: the program, and a directory for pictures. Whatever the page complains of is a failure.

import assert from "node:assert/strict";
import path from "node:path";
import { chromium } from "playwright-core";
import { TOKENS, begin, eventually, PATIENCE } from "./world.mjs";

const [rhumb, pictures] = process.argv.slice(2);
const VIETNAM = "14.160.0.0/24";
const world = await begin(rhumb);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", chromiumSandbox: process.getuid() !== 0,
});
const complaints = [];

/** A fresh browser with nothing remembered. */
async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 860 }, colorScheme: "light", ...options });
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
      console.error(`policy: ${violatedDirective} ${blockedURI}`);
    });
  });
  page.on("console", (message) => {
    // The browser itself says so of every refusal, of which there are to be some.
    const isRefusal = /status of (400 \(Bad Request\)|401 \(Unauthorized\)|412 \(Precondition Failed\))/.test(message.text());
    if (!isRefusal && ["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.stack));
  page.on("request", (request) => {
    if (!request.url().startsWith(world.base)) complaints.push(`fetched from elsewhere: ${request.url()}`);
  });
  await page.goto(world.base);
  return page;
}

async function login(page, who = "alice") {
  await page.fill("#token", TOKENS[who]);
  await page.keyboard.press("Enter");
  await page.waitForSelector('.node[data-id="domain:www.ai.example.com"]');
}

const node = (page, id) => page.locator(`.node[data-id="${id}"]`);

/** Waits until the form has this weight; a panel that was just asked for is not there at once. */
const weighs = (page, value) => page.waitForFunction((wanted) => document.querySelector("#weight")?.value === wanted, value);

/** What somebody does who asks the API, as Alice; returns what is answered. */
async function ask(method, where, body) {
  const response = await fetch(`${world.base}${where}`, {
    method, headers: { authorization: `Bearer ${TOKENS.alice}`, "content-type": "application/json" }, body: body && JSON.stringify(body),
  });
  const text = await response.text();
  assert.ok(response.ok, `${method} ${where}: ${response.status} ${text}`);
  return text === "" ? null : JSON.parse(text);
}

/** A picture of what is left when all has moved to where it goes. */
async function picture(page, name) {
  await page.evaluate(() => Promise.allSettled(document.getAnimations().map(({ finished }) => finished)));
  await page.screenshot({ path: path.join(pictures, `${name}.png`) });
}

const steps = {
  async "a token is asked for, and a wrong one refused"(page) {
    await page.fill("#token", "wrong");
    await page.click("#login button");
    await page.getByText("This token is not known.").waitFor();
    await login(page);
    await page.locator("#who", { hasText: "alice (edit)" }).waitFor();
    assert.equal(await page.evaluate(() => sessionStorage.length), 0, "nothing is remembered unless said");
    assert.equal(await page.evaluate(() => document.cookie), "");
  },

  async "the diagram shows what there is, and what is not well"(page) {
    for (const id of ["domain:static.ai.example.com", "pool:hanoi", "pool:static-cdn", "address:frankfurt/lb-b"]) {
      await node(page, id).waitFor();
    }
    assert.equal(await node(page, "pool:saopaulo").getAttribute("data-tone"), "bad");
    assert.match(await node(page, "address:saopaulo/edge").textContent(), /^Address .*edge down .*connection refused/);
    await node(page, "pool:saopaulo").hover();
    assert.match(await page.locator("#tip").innerText(), /saopaulo: down/);
    await page.mouse.move(700, 5);
    await page.waitForSelector('#connection[data-state="live"]');
  },

  async "edges are as wide as their share of the answers"(page) {
    await page.waitForSelector('.node[data-id="domain:www.ai.example.com"] .shares span');
    const widths = await page.$$eval(".edge.used", (edges) => edges.map((edge) => Number(edge.getAttribute("stroke-width"))));
    assert.ok(widths.length > 5 && Math.max(...widths) > 2 * Math.min(...widths), `${widths}`);
  },

  async "an address is drained by keys alone, DNS follows, and the edit is taken back"(page) {
    const both = [world.ip("hanoi/alb-1"), world.ip("hanoi/alb-2")];
    await page.keyboard.press("/");
    await page.keyboard.type("hanoi");
    await node(page, "domain:api.ai.example.com").waitFor({ state: "detached" });
    const focused = () => page.evaluate(() => document.activeElement?.dataset.id ?? null);
    for (let tabs = 0; await focused() !== "address:hanoi/alb-1"; tabs += 1) {
      assert.ok(tabs < 40, "Tab comes to every node");
      await page.keyboard.press("Tab");
    }
    await page.keyboard.press("d");
    await page.waitForFunction(() => document.activeElement?.id === "apply");
    const story = await page.locator(".moves").innerText();
    assert.match(story, /Answers of \d+ domains? moves?/);
    assert.match(story, /www\.ai\.example\.com/);
    await picture(page, "dry-run");
    await page.keyboard.press("Enter");
    await page.waitForSelector("#edits .edits li");
    assert.match(await page.locator("#edits .edits li").innerText(), /hanoi \/ alb-1 drain/);
    await eventually("DNS to follow", async () => (await world.dig("www.ai.example.com", VIETNAM)).join() === both[1]);
    await page.waitForSelector('.node[data-id="address:hanoi/alb-1"][data-tone="warn"]');

    await page.locator("#edits [data-edit]").focus();
    await page.keyboard.press("Enter");
    await page.getByText("Sure?").waitFor();
    await page.keyboard.press("Enter");
    await page.getByText("None: all is as in the configuration file.").waitFor();
    await eventually("DNS to be as before", async () => (await world.dig("www.ai.example.com", VIETNAM)).includes(both[0]));
    await page.waitForSelector('.node[data-id="address:hanoi/alb-1"][data-tone="ok"]');
    await page.keyboard.press("Escape");
    await page.waitForSelector("#panel", { state: "hidden" });
    await page.fill("#filter", "");
  },

  async "a weight is edited in place, with a reason and an end"(page) {
    await node(page, "address:hanoi/alb-2").click();
    await page.fill("#weight", "5");
    await page.fill("#reason", "larger machines");
    await page.fill("#expires", "2h");
    await page.click("#preview");
    await page.click("#apply");
    const edit = page.locator("#edits .edits li");
    await edit.waitFor();
    assert.match(await edit.innerText(), /hanoi \/ alb-2 weight 5[\s\S]*larger machines/);
    await node(page, "address:hanoi/alb-2").getByText("×5").waitFor();
    await page.fill("#expires", "a while");
    await page.fill("#weight", "7");
    await page.click("#preview");
    await page.locator(".moves .complaint").waitFor();
    await page.getByRole("button", { name: "Close (Esc)" }).click();
  },

  async "what happens streams in"(page) {
    world.kill("sydney/edge-2");
    await page.locator('#feed li[data-tone="bad"]', { hasText: "sydney / edge-2" }).first().waitFor();
    await page.waitForSelector('.node[data-id="address:sydney/edge-2"][data-tone="bad"]');
  },

  async "the last probes of an address are a strip, each with its reason"(page) {
    await node(page, "address:sydney/edge-2").click();
    await page.waitForSelector(".strip .fail");
    await page.locator(".strip").focus();
    await page.keyboard.press("ArrowLeft");
    await page.locator(".told", { hasText: "connection refused" }).waitFor();
    await page.locator(".turns li", { hasText: "down" }).first().waitFor();
    await picture(page, "address");
    await world.revive("sydney/edge-2");
    await page.locator(".turns li", { hasText: "up" }).first().waitFor();
    await page.keyboard.press("Escape");
  },

  async "an answer is explained"(page) {
    await page.keyboard.press("3");
    await page.fill("#explain-name", "www.ai.example.com");
    await page.fill("#explain-client", "not an address");
    await page.keyboard.press("Enter");
    await page.locator(".explanation .complaint", { hasText: "is not an IP address" }).waitFor();
    await page.fill("#explain-client", "14.160.0.1");
    await page.keyboard.press("Enter");
    await page.locator(".tree .taken em", { hasText: "taken" }).waitFor();
    assert.match(await page.locator(".tree").innerText(), /saopaulo[\s\S]*passed over[\s\S]*hanoi[\s\S]*taken/);
    assert.match(await page.locator(".records").innerText(), /^www\.ai\.example\.com\. 5 IN A 127\./);
    await picture(page, "explain");
  },

  async "the map shows who serves whom, and what if a site went down"(page) {
    await page.evaluate(() => document.activeElement?.blur());
    await page.keyboard.press("2");
    await page.selectOption("#map-domain", "www.ai.example.com");
    await page.waitForSelector('[data-country="VN"][data-pool="hanoi"]');
    await page.waitForSelector('[data-country="DE"][data-pool="frankfurt"]');
    await page.waitForSelector('.site[data-site="sydney"]');
    await picture(page, "map");
    await page.getByRole("button", { name: "frankfurt" }).click();
    await page.waitForSelector('[data-country="DE"].moved:not([data-pool="frankfurt"])');
    assert.match(await page.locator("#map .summary").innerText(), /\d+ countries move if frankfurt goes down/);
    assert.equal(await page.getAttribute('[data-country="VN"]', "data-pool"), "hanoi");
    await picture(page, "map-what-if");
    await page.keyboard.press("1");
  },

  async "pictures for the documents"(page) {
    for (const [object, state, reason] of [["frankfurt", "drain", "new kernel"]]) {
      await node(page, `address:${object}/lb-b`).click();
      await page.keyboard.press(state[0]);
      await page.waitForSelector("#apply");
      await page.fill("#reason", reason);
      await page.fill("#expires", "30m");
      await page.click("#preview");
      await page.click("#apply");
      await page.waitForSelector(`.node[data-id="address:${object}/lb-b"][data-tone="warn"]`);
    }
    await page.keyboard.press("Escape");
    await page.waitForSelector("#panel", { state: "hidden" });
    await page.evaluate(() => { document.activeElement?.blur(); scrollTo(0, 0); });
    await page.mouse.move(700, 5);
    await page.waitForFunction(() => !document.querySelector(".toast"));
    await picture(page, "console");
    await page.emulateMedia({ colorScheme: "dark" });
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    assert.equal(await ground(), "rgb(13, 17, 23)", "dark, as the system");
    await picture(page, "console-dark");
    await page.keyboard.press("t");
    assert.equal(await ground(), "rgb(245, 246, 248)", "light, as the operator says");
    await page.keyboard.press("t");
    assert.equal(await ground(), "rgb(13, 17, 23)", "dark, likewise");
  },

  async "a sheet tells the keys"(page) {
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keys" }).waitFor();
    await page.keyboard.press("Enter");
    await page.getByRole("dialog", { name: "Keys" }).waitFor({ state: "detached" });
  },

  async "a phone shows all of it"() {
    const page = await open({ viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 });
    await login(page);
    const fits = async (view) => {
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(width <= 390, `${view} is ${width} px wide`);
    };
    await fits("the diagram");
    await page.waitForSelector('.node[data-id="domain:www.ai.example.com"] .shares span');
    await picture(page, "phone");
    await node(page, "address:frankfurt/lb-a").tap();
    await page.waitForSelector(".strip .pass");
    await fits("the panel");
    await picture(page, "phone-panel");
    await page.getByRole("button", { name: "Close (Esc)" }).tap();
    for (const view of ["Map", "Explain", "Activity"]) {
      await page.getByRole("link", { name: view }).tap();
      await fits(view);
    }
    await page.getByRole("link", { name: "Map" }).tap();
    await page.waitForSelector('[data-country="VN"][data-pool="hanoi"]');
    await picture(page, "phone-map");
    await page.context().close();
  },

  async "a token may be remembered for the tab, and logging out forgets it"() {
    const page = await open();
    await page.check("#remember");
    await login(page);
    await page.reload();
    await node(page, "pool:hanoi").waitFor();
    await page.click("#logout");
    await page.waitForSelector("#token");
    assert.equal(await page.evaluate(() => sessionStorage.length), 0);
    await page.context().close();
  },

  async "what a token does not allow cannot be pressed, and says why"() {
    for (const [who, address, why] of [
      ["bob", "sydney/edge-1", "This token may only look (its role is read)."],
      ["carol", "virginia/nlb-1", "This token is for the pools s?d* only."],
      ["carol", "sydney/edge-1", null],
    ]) {
      const page = await open();
      await login(page, who);
      await page.locator("#who", { hasText: who }).waitFor();
      await node(page, `address:${address}`).click();
      const hint = page.locator(".change .hint", { hasText: why ?? "Choose a state or change the weight." });
      await hint.waitFor();
      assert.equal(await page.locator("#reason").isDisabled(), why !== null, `${who} ${address}`);
      await page.context().close();
    }
  },

  async "only who may can take back an edit"() {
    const edits = [
      { object: "pools/sydney/addresses/edge-1", state: "drain" },
      { object: "pools/sydney/addresses/edge-2", merge: { weight: 7 } },
      { object: "pools/virginia/addresses/nlb-1", state: "drain" },
    ];
    const made = (await ask("POST", "/v1/transactions", { edits })).edits;
    const looks = "This token may only look (its role is read).";
    for (const [who, reasons] of [
      ["bob", [looks, looks, looks]],
      ["carol", [null, "This token may take back states only (its role is operate).", "This token is for the pools s?d* only."]],
    ]) {
      const page = await open();
      await login(page, who);
      for (const [position, why] of reasons.entries()) {
        const button = page.locator(`#edits [data-edit="${made[position]}"]`);
        await button.waitFor();
        assert.equal(await button.isDisabled(), why !== null, `${who} ${position}`);
        if (why) assert.equal(await button.getAttribute("title"), why);
      }
      await page.context().close();
    }
    for (const id of made) await ask("DELETE", `/v1/edits/${id}`);
  },

  async "nobody overwrites unnoticed what somebody else has changed"(page) {
    const address = "/v1/pools/virginia/addresses/nlb-1";
    await node(page, "address:virginia/nlb-1").click();
    await weighs(page, "1");
    // As long as nothing is typed, the form follows what is in force.
    await ask("PATCH", address, { weight: 2 });
    await weighs(page, "2");

    await page.fill("#weight", "7");
    await page.fill("#reason", "more machines");
    await page.click("#preview");
    await page.waitForSelector("#apply");
    await ask("PATCH", address, { weight: 4, state: "drain", reason: "new kernel" });
    await page.click("#apply");
    const notice = page.locator(".conflict");
    await notice.getByText("Somebody else has changed it meanwhile").waitFor();
    const rows = await notice.locator("tbody tr").evaluateAll((all) => all.map((row) => [...row.children].map((cell) => cell.textContent)));
    assert.deepEqual(rows, [["State", "Auto", "Drain", "as it is"], ["Weight", "2", "4", "7"]]);
    const who = await notice.locator("li").allInnerTexts();
    assert.match(who.join("\n"), /nlb-1 weight 4 alice.*new kernel[\s\S]*nlb-1 drain alice.*new kernel/);
    assert.equal((await ask("GET", address)).specification.weight, 4, "nothing is overwritten");
    assert.equal(await page.inputValue("#weight"), "7", "what was typed is kept");
    assert.equal(await page.inputValue("#reason"), "more machines");
    assert.ok(await page.isChecked("#state-drain"), "what was not typed follows what is in force");
    await page.waitForSelector("#apply");
    assert.ok(await notice.evaluate((element) => element === document.activeElement), "Enter does not apply what nobody has read");
    await picture(page, "conflict");

    await ask("PATCH", address, { weight: 5 });
    await page.click("#apply");
    await notice.getByRole("row", { name: "Weight 2 5 7" }).waitFor();
    await page.getByRole("button", { name: "Apply all the same" }).click();
    await page.waitForSelector(".conflict:empty", { state: "attached" });
    const { specification, state } = await ask("GET", address);
    assert.deepEqual([specification.weight, state], [7, "drain"]);
    await weighs(page, "7");
    assert.equal(await page.inputValue("#reason"), "");

    for (const id of (await ask("GET", address)).edits.reverse()) await ask("DELETE", `/v1/edits/${id}`);
    await weighs(page, "1");
    await page.keyboard.press("Escape");
  },

  async "what somebody else has done already is left at that, and the form follows again"(page) {
    const address = "/v1/pools/virginia/addresses/nlb-1";
    await node(page, "address:virginia/nlb-1").click();
    await weighs(page, "1");
    await page.fill("#weight", "7");
    await page.fill("#reason", "more machines");
    await page.click("#preview");
    await page.waitForSelector("#apply");
    await ask("PATCH", address, { weight: 7 });
    await page.click("#apply");
    const notice = page.locator(".conflict");
    await notice.getByText("What you wanted is in force by now.").waitFor();
    assert.ok(await page.isDisabled("#preview"), "there is nothing to apply");
    await page.getByRole("button", { name: "Leave it" }).click();
    await page.waitForSelector(".conflict:empty", { state: "attached" });
    assert.equal(await page.inputValue("#reason"), "");
    await ask("PATCH", address, { weight: 3 });
    await weighs(page, "3");

    for (const id of (await ask("GET", address)).edits.reverse()) await ask("DELETE", `/v1/edits/${id}`);
    await weighs(page, "1");
    await page.keyboard.press("Escape");
  },

  async "what is no longer so is marked as stale"(page) {
    assert.deepEqual(complaints, [], "nothing was complained of so far");
    await page.context().setOffline(true);
    await page.waitForSelector('#connection[data-state="stale"]');
    assert.match(await page.locator("#banner").innerText(), /^Stale: no answer from this server since /);
    await page.context().setOffline(false);
    await page.waitForSelector('#connection[data-state="live"]');
    await page.waitForSelector("#banner", { state: "hidden" });
    complaints.length = 0;
  },
};

let failed = null;
let page;
try {
  page = await open();
  for (const [name, step] of Object.entries(steps)) {
    failed = name;
    await step(page);
    assert.deepEqual(complaints, [], "what the page complains of");
    console.log(`ok: ${name}`);
  }
  failed = null;
} catch (error) {
  console.error(`FAILED: ${failed}\n${error.stack}\ncomplaints: ${complaints.join("\n")}\n${world.log().split("\n").slice(-12).join("\n")}`);
  await picture(page, "failed").catch(() => {});
} finally {
  await browser.close();
  await world.end();
}
process.exit(failed === null ? 0 : 1);
