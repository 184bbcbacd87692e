// The API: requests, and the one stream of events that every view listens to.

const base = new URL("api/v1/", document.baseURI.split("#")[0]);

export class Refused extends Error {
  constructor(status, detail) { super(detail); this.status = status; }
}

const answer = async (response) => {
  if (response.ok) return response.json();
  let detail = `the server answered ${response.status}`;
  try { detail = (await response.json()).detail ?? detail; } catch { /* no JSON: the status must do */ }
  if (response.status === 401) location.assign("login");
  throw new Refused(response.status, detail);
};

const at = (path, query) => {
  const url = new URL(path, base);
  for (const [name, value] of Object.entries(query ?? {})) if (value !== undefined && value !== null) url.searchParams.set(name, value);
  return url;
};

export const get = async (path, query, signal) => answer(await fetch(at(path, query), { signal, headers: { accept: "application/json" } }));

export const post = async (path, body) => answer(await fetch(at(path), {
  method: "POST",
  headers: { "content-type": "application/json", "x-autoscalebot": "1" },
  body: JSON.stringify(body ?? {}),
}));

export const of = (app, process) => `apps/${encodeURIComponent(app)}/processes/${encodeURIComponent(process)}`;

export const everyProcess = async () => {
  let cursor = null;
  let all = null;
  do {
    const page = await get("processes", { limit: 2000, cursor });
    if (all) all.processes.push(...page.processes); else all = page;
    cursor = page.next;
  } while (cursor !== null);
  return all;
};

const KINDS = ["decided", "scaled", "scale_failed", "condition_began", "condition_ended", "lagged"];

// Listens for good. `on` gets each event's name and data; `state` gets "live" or "lost", each time that it changes.
export const listen = (on, state) => {
  let source = null;
  let timer = 0;
  const open = () => {
    source = new EventSource(at("events/stream"));
    source.onopen = () => state("live");
    source.onerror = () => {
      state("lost");
      // A refusal closes it for good; the browser tries again by itself only where the connection broke.
      if (source.readyState === EventSource.CLOSED) {
        clearTimeout(timer);
        timer = setTimeout(() => { get("processes", { limit: 1 }).catch(() => null); open(); }, 3000);
      }
    };
    for (const kind of KINDS) source.addEventListener(kind, (event) => on(kind, JSON.parse(event.data)));
  };
  open();
};
