// Opens the dashboard of a running demo in Chromium, as a person would: sees dynos rise, reads why, pauses and resumes, at
// desktop and phone width, by mouse, finger and keyboard; axe-core looks for faults of accessibility. Called by
// tests/dashboard.rs and scripts/screenshots: node dashboard.mjs URL FOLDER_WITH_NODE_MODULES [FOLDER_FOR_PICTURES]

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

const [url, modules, pictures] = process.argv.slice(2);
const require = createRequire(join(resolve(modules), "here.js"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: flags });
const faults = [];
const began = Date.now();
const note = (text) => console.log(`${((Date.now() - began) / 1000).toFixed(1)} s: ${text}`);

const open = async (options) => {
  const context = await browser.newContext({ reducedMotion: "reduce", ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  page.on("pageerror", (error) => faults.push(error.message));
  page.on("console", (message) => {
    // A connection that ends is the one error that is expected, at the end.
    if (message.type() === "error" && !/ERR_CONNECTION|ERR_INCOMPLETE|ERR_EMPTY|net::/.test(message.text())) faults.push(message.text());
  });
  return page;
};

const look = async (page, name) => {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const serious = violations.filter((v) => ["serious", "critical"].includes(v.impact));
  for (const { id, help, nodes } of serious) faults.push(`${name}: ${id}: ${help}: ${nodes.map((node) => node.html).slice(0, 3).join(" ")}`);
  note(`axe on ${name}: ${violations.length} findings, ${serious.length} serious${violations.length ? ` (${violations.map((v) => v.id).join(", ")})` : ""}`);
};

const picture = async (page, name, fullPage = false) => { if (pictures) await page.screenshot({ path: join(pictures, `${name}.png`), fullPage }); };
const dynos = async (page) => Number(await page.locator(".stat .big").first().textContent());
const until = async (what, so, ms = 25_000) => {
  const end = Date.now() + ms;
  while (!(await so())) {
    assert(Date.now() < end, `waited too long: ${what}`);
    await new Promise((done) => { setTimeout(done, 100); });
  }
};
const overflow = (page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

// Moves onto a decision until its reason is read: the picture moves with time until somebody points at it.
const point = async (page, which, wanted, act) => {
  const tip = page.locator(".tip");
  await page.locator(".stage").scrollIntoViewIfNeeded();
  await until(`a tip with ${wanted}`, async () => {
    const box = await page.evaluate((n) => {
      const { x, y, width, height } = [...document.querySelectorAll(".mark.up .shape")].at(n)?.getBoundingClientRect() ?? {};
      return width && { x: x + width / 2, y: y + height / 2 };
    }, which);
    if (!box) return false;
    await act(box.x, box.y);
    return (await tip.isVisible()) && wanted.test(await tip.innerText());
  });
  return (await tip.innerText()).replaceAll("\n", " | ");
};

const pauseAndResume = async (page, why) => {
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByLabel("Why").fill(why);
  await page.getByLabel("How long").selectOption({ label: "1 hour" });
  await page.locator("#pause-now").click();
  await page.getByText(`: ${why}`).waitFor();
  const { pause } = await (await page.request.get(new URL("api/v1/apps/sample/processes/web", url).href)).json();
  assert.equal(pause.why, why);
  // The engine has heard of it, too: its next decision says so.
  await page.locator("tbody tr .gate", { hasText: "pause" }).first().waitFor();
  await page.getByRole("button", { name: "Resume" }).click();
  await page.getByRole("button", { name: "Pause" }).waitFor();
};

// A desktop.
const desk = await open({ viewport: { width: 1280, height: 860 } });
await desk.goto(url);
await desk.getByRole("heading", { name: "sample / web" }).waitFor();
note("the page is there");
const before = await dynos(desk);
await until("dynos rise", async () => (await dynos(desk)) > before);
note(`dynos rose from ${before} to ${await dynos(desk)}`);

const move = (x, y) => desk.mouse.move(x, y);
const why = /\d+ → \d+ dynos[\s\S]*servers are busy/;
const tip = desk.locator(".tip");
note(`hovered: ${await point(desk, 0, why, move)}`);
await desk.mouse.move(5, 5);
assert(await tip.isHidden());

await desk.locator('.mark[tabindex="0"]').focus();
await desk.keyboard.press("Home");
assert.match(await tip.innerText(), /1 → \d+ dynos/);
assert.match(await desk.evaluate(() => document.activeElement.getAttribute("aria-label")), /servers are busy/);
note("the keyboard reaches the decisions");
// The rule that only watches: what it wants now, and in the table where it differs.
await desk.locator(".stat.shadow", { hasText: /heartbeat, in the shadow[\s\S]*wants \d dyno/ }).waitFor();
await desk.locator("tbody td", { hasText: /In the shadow, heartbeat wants \d dynos?: / }).first().waitFor();
note("the shadow's proposals are there");
await look(desk, "the page");

await desk.getByRole("button", { name: "Pause" }).click();
await look(desk, "the dialog");
await picture(desk, "pause");
await desk.keyboard.press("Escape");
await pauseAndResume(desk, "a sale begins");
note("paused and resumed");

await desk.emulateMedia({ colorScheme: "dark" });
await look(desk, "the dark page");
await desk.getByText("6 h", { exact: true }).click();
assert(await desk.getByRole("radio", { name: "6 h" }).isChecked());
await desk.getByText("15 min", { exact: true }).click();

// A phone.
const phone = await open({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 });
await phone.goto(url);
await phone.getByRole("heading", { name: "sample / web" }).waitFor();
assert.equal(await overflow(phone), 0, "the phone scrolls sideways");
note(`touched: ${await point(phone, -1, why, (x, y) => phone.touchscreen.tap(x, y))}`);
await pauseAndResume(phone, "by phone");
await look(phone, "the phone");
await picture(phone, "phone");
note("the phone does it all, too");

// A thousand processes: made up, as no demo has so many.
const many = await open({ viewport: { width: 1280, height: 860 } });
const row = (n) => ({
  app: `shop-${String(n).padStart(4, "0")}`, process: n % 3 ? "web" : "worker", platform: "heroku", late: n === 700,
  attention: n === 700 ? "urgent" : n % 211 === 5 ? "warning" : n % 97 === 3 ? "notice" : "none", at: new Date().toISOString(),
  dynos: 1 + (n % 5), desired: 1 + (n % 5), bounds: { min: 1, max: 5 }, verdict: "just_right",
  measurements: [{ name: "heartbeat", unit: "ms", value: 200 + (n * 37) % 600, verdict: "just_right", range: { low: 200, high: 1000 } }],
  conditions: n % 211 === 5 ? ["needs_above_max"] : n % 97 === 3 ? ["paused"] : [],
  pause: null, reason: n % 211 === 5 ? "more dynos are needed, but 5 dynos are at the maximum of 5" : "heartbeat: the newest reading is in the wanted range",
});
const thousand = Array.from({ length: 1000 }, (_, n) => row(n));
await many.route("**/api/v1/processes?*", (route) => route.fulfill({ json: { now: new Date().toISOString(), dry_run: false, may_change: true, signed_in: false, total: 1000, processes: thousand, next: null } }));
await many.goto(url);
await many.getByText("1,000 processes").waitFor();
const rows = many.locator(".rows .row");
assert((await rows.count()) < 60, "only rows in sight are made");
assert.match(await rows.first().innerText(), /shop-0700[\s\S]*late/);
await look(many, "the overview");
await picture(many, "overview");
const typed = Date.now();
await many.getByRole("searchbox").fill("shop-0123 worker");
await until("the search", async () => (await rows.count()) === 1);
note(`searched among 1,000 in ${Date.now() - typed} ms`);
const worst = await many.evaluate(async () => {
  document.getElementById("search").value = "";
  document.getElementById("search").dispatchEvent(new Event("input"));
  let longest = 0;
  for (let y = 0; y < 40_000; y += 1500) {
    const start = performance.now();
    scrollTo(0, y);
    await new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)); });
    longest = Math.max(longest, performance.now() - start);
  }
  return longest;
});
note(`the longest two frames of a scroll through 1,000: ${worst.toFixed(0)} ms`);
assert(worst < 500, `a scroll takes ${worst} ms`);
await many.getByRole("searchbox").fill("no such thing");
await many.getByText("Nothing found").waitFor();

// The end of the demo.
if (pictures) {
  await desk.emulateMedia({ colorScheme: "light" });
  await desk.locator(".mark.down").nth(1).waitFor({ timeout: 45_000 });
  await desk.evaluate(() => scrollTo(0, 0));
  await point(desk, 0, why, move);
  await picture(desk, "dashboard");
  await desk.mouse.move(5, 5);
  await desk.emulateMedia({ colorScheme: "dark" });
  await picture(desk, "dark");
} else {
  await desk.locator("#gone", { hasText: "Not connected" }).waitFor({ timeout: 45_000 });
  note("the page says that the connection is gone");
}
await browser.close();
assert.deepEqual(faults, []);
note("all is well");
