// Puts the page together: which view is shown, and the state of the connection. A view is { root, event, refresh, close }.

import { everyProcess, listen, Refused } from "./api.js";
import { el, key, say, time } from "./dom.js";
import { overview } from "./overview.js";
import { process } from "./process.js";

const main = document.getElementById("main");
const state = { rows: new Map(), mayChange: false, dryRun: false, loaded: false, live: null, heard: null };
let view = null;

const route = () => {
  const parts = location.hash.replace(/^#\/?/, "").split("/").filter(Boolean).map((part) => {
    try { return decodeURIComponent(part); } catch { return part; }
  });
  if (parts.length === 2) return { app: parts[0], process: parts[1] };
  // With one process there is nothing to choose.
  if (state.rows.size === 1 && parts.length === 0) return [...state.rows.values()][0];
  return null;
};

const show = () => {
  view?.close();
  const wanted = route();
  view = wanted ? process(state, wanted.app, wanted.process) : overview(state);
  main.replaceChildren(view.root);
  document.title = wanted ? `${wanted.app} / ${wanted.process}: autoscalebot` : "autoscalebot";
};

const load = async (quietly) => {
  const all = await everyProcess();
  state.rows = new Map(all.processes.map((row) => [key(row.app, row.process), row]));
  state.mayChange = all.may_change;
  state.dryRun = all.dry_run;
  state.heard = Date.now() / 1000;
  document.getElementById("dry").hidden = !all.dry_run;
  document.getElementById("sign-out").hidden = !all.signed_in;
  const trouble = all.store_trouble;
  const store = document.getElementById("store");
  store.hidden = !trouble;
  store.textContent = trouble ? `Nothing is kept${trouble.since ? ` since ${time(trouble.since)}` : ""}: ${trouble.error}. Scaling goes on.` : "";
  const first = !state.loaded;
  state.loaded = true;
  if (first) show(); else view?.refresh(quietly);
};

const wait = (ms) => new Promise((done) => { setTimeout(done, ms); });

const connected = (live) => {
  if (state.live === live) return;
  const was = state.live;
  state.live = live;
  document.getElementById("link").dataset.state = live ? "live" : "lost";
  document.getElementById("link-text").textContent = live ? "live" : "not connected";
  const gone = document.getElementById("gone");
  gone.hidden = live || !state.loaded;
  gone.textContent = live ? "" : `Not connected: what is shown is from ${time(state.heard ?? Date.now() / 1000)}. Trying again.`;
  if (live && was === false) {
    say("connected again");
    load().catch(() => connected(false));
  }
};

const begin = async () => {
  for (let delay = 500; !state.loaded; delay = Math.min(delay * 2, 8000)) {
    try {
      await load();
    } catch (error) {
      const why = error instanceof Refused ? error.message : "the server does not answer";
      main.replaceChildren(el("div", { class: "empty", role: "status" }, el("h1", {}, "Nothing to show yet"), el("p", {}, `${why}. Trying again.`)));
      await wait(delay);
    }
  }
  listen((kind, data) => {
    state.heard = Date.now() / 1000;
    if (kind === "lagged") { load().catch(() => null); return; }
    if (kind === "decided") state.rows.set(key(data.row.app, data.row.process), data.row);
    view?.event(kind, data);
  }, (now) => connected(now === "live"));
};

addEventListener("hashchange", () => {
  if (location.hash === "#main") return;
  if (state.loaded) { show(); main.focus({ preventScroll: true }); scrollTo(0, 0); }
});
// What no event tells of: processes that are late, a store that cannot be written.
setInterval(() => { if (state.live) load(true).catch(() => null); }, 30_000);
begin();
