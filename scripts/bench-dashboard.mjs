// How long the dashboard takes in Chromium, for scripts/bench-dashboard: node bench-dashboard.mjs URL FOLDER_WITH_NODE_MODULES
// PROCESSES. Times are in the browser's clock, from the start of the navigation; each round is a browser that knows nothing.

import { createRequire } from "node:module";
import { join, resolve } from "node:path";

const [url, modules, processes] = process.argv.slice(2);
const require = createRequire(join(resolve(modules), "here.js"));
const { chromium } = require("playwright-core");

const ROUNDS = 9;
const flags = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: flags });

// Opens an address and says when it was painted, and when what is looked for was there and painted, too.
const round = async (address, there, range) => {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 } });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  await page.addInitScript((chosen) => { localStorage.setItem("range", chosen); }, range);
  await page.goto(address, { waitUntil: "commit" });
  const times = await (await page.waitForFunction(there, Number(processes).toLocaleString())).jsonValue();
  await context.close();
  return times;
};

// These run in the page. Only the rows in sight are made, so the number in the summary tells that all have come.
const overview = (total) => {
  const painted = performance.getEntriesByName("first-contentful-paint")[0]?.startTime;
  const summary = document.querySelector(".overview .muted")?.textContent ?? "";
  return painted && summary.startsWith(`${total} process`) && document.querySelector(".rows .row") && { painted, there: performance.now() };
};
const one = () => {
  const painted = performance.getEntriesByName("first-contentful-paint")[0]?.startTime;
  return painted && document.querySelector(".stage .dynos-line") && document.querySelector("tbody tr") && { painted, there: performance.now() };
};

const tell = async (name, address, there) => {
  const rounds = [];
  for (let n = 0; n < ROUNDS; n += 1) rounds.push(await round(address, there, "30d"));
  const figure = (which) => {
    const all = rounds.map((times) => times[which]).sort((a, b) => a - b);
    return `median ${all[(ROUNDS - 1) / 2].toFixed(0)} ms, slowest of ${ROUNDS} ${all.at(-1).toFixed(0)} ms`;
  };
  console.log(`${name}: first contentful paint ${figure("painted")}; all there ${figure("there")}`);
};

await tell(`overview of ${processes}`, url, overview);
await tell("a process at 30 days", `${url}#/app1/web`, one);
await browser.close();
