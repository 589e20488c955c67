// This page is a client of chat as the protocol's document has it: connect
// first, hold back what comes, pull what has changed since the cursor, go on.

import { backoff } from "./live.js";

const root = document.getElementById("chat");
const { app, user: me } = root.dataset;
const csrf = document.querySelector('meta[name="csrf"]').content;
const at = (id) => document.getElementById(id);

const words = { on: "connected", wait: "connecting", off: "not connected", bad: "refused", gone: "connected elsewhere" };
function wire(state, detail) {
  at("wire").dataset.state = state;
  const text = detail ? `${words[state]}: ${detail}` : words[state];
  if (at("wire-word").textContent !== text) at("wire-word").textContent = text;
}

/** What is known of a conversation: its messages by number, and how far others have read. */
const talks = new Map();
let open = null; // the conversation that is looked at
let cursor = 0; // of /v1/im/changes
let token = "";

function talk(id) {
  if (!talks.has(id)) talks.set(id, { id, head: 0, read: 0, unread: 0, messages: new Map(), pending: [], others: new Map() });
  return talks.get(id);
}

async function api(method, path, body) {
  const answer = await fetch(`/v1/im/${path}`, {
    method,
    headers: { Authorization: `Bearer ${token}`, ...(body && { "Content-Type": "application/json" }) },
    body: body && JSON.stringify(body),
  });
  if (!answer.ok) throw Object.assign(new Error((await answer.json()).detail), { status: answer.status });
  return answer.status === 204 ? null : answer.json();
}

const enc = encodeURIComponent;

/** Pulls what has moved since the cursor, then the messages that are missing. */
async function sync() {
  for (let more = true; more; ) {
    const page = await api("GET", `changes?after=${cursor}&limit=200`);
    for (const c of page.changes) {
      if (c.gone) {
        talks.delete(c.id);
        continue;
      }
      Object.assign(talk(c.id), { title: c.title || c.peer || c.id, kind: c.kind, head: c.head, unread: c.unread, read: c.me.read, joined: c.me.joined });
      if (c.last) keep(c.last);
    }
    cursor = page.next;
    more = page.more;
  }
  if (open) await look(open.id);
  drawTalks();
}

function keep(m) {
  const t = talk(m.conversation);
  t.head = Math.max(t.head, m.seq);
  if (m.sender === me) t.pending = t.pending.filter((p) => p.client_id !== m.client_id);
  const target = m.target && t.messages.get(m.target);
  if (target && m.kind === "recall") Object.assign(target, { recalled: true, body: {} });
  if (target && m.kind === "edit") Object.assign(target, { body: m.body, edited_at: m.at });
  t.messages.set(m.seq, m);
  return t;
}

/** Closes gaps of a conversation that is looked at: numbers have none. */
async function fill(t) {
  const known = [...t.messages.keys()];
  if (known.length && Math.max(...known) - Math.min(...known) + 1 === known.length && Math.max(...known) === t.head) return;
  const page = await api("GET", `conversations/${enc(t.id)}/messages?limit=200`);
  page.messages.forEach(keep);
}

async function look(id) {
  const t = (open = talk(id));
  at("talk").hidden = false;
  root.dataset.open = "yes";
  at("talk-title").textContent = t.title ?? t.peer ?? id;
  at("refused").hidden = true;
  if (t.head > 0) {
    await fill(t);
    const { members } = await api("GET", `conversations/${enc(id)}/members?limit=500`);
    for (const m of members) if (m.user !== me) t.others.set(m.user, m);
    read(t);
  }
  drawTalk();
  drawTalks();
}

function read(t) {
  if (t !== open || document.hidden || t.read >= t.head) return;
  t.read = t.head;
  t.unread = 0;
  publish({ op: "cursor", conversation: t.id, received: t.head, read: t.head });
}

let client, renewal, failures = 0, held = null;
const takenOver = 0x8e; // MQTT 5, 3.14.2.1: session taken over

async function connect() {
  clearTimeout(renewal);
  wire("wait");
  let c;
  try {
    const answer = await fetch(`/demo/chat?${new URLSearchParams({ app, user: me })}`, {
      method: "POST", headers: { "X-CSRF-Token": csrf, Accept: "application/json" },
    });
    if (answer.status === 401) location.assign(`/login?next=${enc(location.pathname + location.search)}`);
    if (!answer.ok) throw new Error((await answer.text()).trim());
    c = await answer.json();
  } catch (fault) {
    wire("bad", fault.message);
    renewal = setTimeout(connect, backoff(failures++));
    return;
  }
  token = c.password;
  drop();
  held = []; // from here on until the pull is done
  client = mqtt.connect(c.url, {
    clientId: c.client_id, username: c.username, password: c.password, protocolVersion: 5, clean: true, keepalive: 30,
    connectTimeout: 10000, reconnectPeriod: 0, timerVariant: "native",
  });
  client.on("connect", async () => {
    try {
      await sync();
    } catch (fault) {
      wire("bad", fault.message);
      return client.end();
    }
    failures = 0;
    const late = held;
    held = null;
    late.forEach(hear);
    wire("on");
    for (const t of talks.values()) t.pending.forEach(publish);
  });
  client.on("message", (_, payload) => {
    let frame;
    try {
      frame = JSON.parse(new TextDecoder().decode(payload));
    } catch {
      return; // not ours
    }
    held ? held.push(frame) : hear(frame);
  });
  client.on("error", (fault) => wire("bad", fault.message));
  client.on("disconnect", (p) => p.reasonCode === takenOver && (drop(), clearTimeout(renewal), wire("gone", "reload to talk here")));
  client.on("close", () => {
    clearTimeout(renewal);
    if (at("wire").dataset.state !== "bad") wire("wait");
    renewal = setTimeout(connect, backoff(failures++));
  });
  const life = Date.parse(c.expires_at) - Date.now();
  renewal = setTimeout(connect, Math.min(2 ** 31 - 1, Math.max(5000, life - Math.max(30000, life / 10))));
}

/** Ends the connection and hears nothing more of it. */
function drop() {
  client?.removeAllListeners();
  client?.on("error", () => {}); // one that nobody hears would be thrown
  client?.end(true);
}

const publish = (what) => client?.connected && client.publish("im", JSON.stringify(what), { qos: 1 }, () => {});

async function hear(f) {
  if (f.type === "message") {
    const t = keep(f.message);
    if (!t.title) await sync(); // a conversation that is new here
    if (f.message.sender !== me && t !== open) t.unread = t.head - t.read;
    if (t === open) {
      await fill(t);
      read(t);
      if (f.message.sender !== me) hint("");
      drawTalk();
    }
    drawTalks();
  } else if (f.type === "cursor" && talks.has(f.conversation)) {
    const t = talk(f.conversation);
    if (f.user === me) Object.assign(t, { read: Math.max(t.read, f.read), unread: Math.max(0, t.head - Math.max(t.read, f.read)) });
    else t.others.set(f.user, { user: f.user, received: f.received, read: f.read });
    if (t === open) drawTalk();
    drawTalks();
  } else if (f.type === "typing" && open?.id === f.conversation) {
    hint(`${f.user} is writing…`);
  } else if (f.type === "refused") {
    for (const t of talks.values()) t.pending = t.pending.filter((p) => p.client_id !== f.client_id);
    at("refused").textContent = f.detail;
    at("refused").hidden = false;
    drawTalk();
  }
}

let hintEnds;
function hint(text) {
  clearTimeout(hintEnds);
  at("hint").textContent = text;
  if (text) hintEnds = setTimeout(() => hint(""), 5000);
}

const el = (tag, attributes, ...children) => {
  const node = document.createElement(tag);
  for (const [k, v] of Object.entries(attributes)) k.startsWith("on") ? node.addEventListener(k.slice(2), v) : node.setAttribute(k, v);
  node.append(...children.filter((c) => c != null));
  return node;
};
const clock = (t) => new Date(t).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

function line(m) {
  if (m.recalled) return "Message taken back";
  if (m.kind === "text") return m.body.text ?? "";
  if (m.kind === "system") return `${(m.body.users ?? [m.body.user ?? m.body.by]).join(", ")}: ${m.body.event}`;
  return `[${m.kind}] ${m.body.title ?? m.body.name ?? m.body.url ?? ""}`;
}

const shown = (m) => m.kind !== "recall" && m.kind !== "edit";

function drawTalks() {
  const all = [...talks.values()].filter((t) => t.head > 0 || t.pending.length);
  const when = (t) => Date.parse(t.messages.get(Math.max(...t.messages.keys()))?.at ?? 0) || 0;
  all.sort((a, b) => when(b) - when(a));
  at("no-talks").hidden = all.length > 0;
  at("talks").replaceChildren(...all.map((t) => {
    const last = [...t.messages.values()].filter(shown).sort((a, b) => b.seq - a.seq)[0];
    return el("li", {}, el("button", { class: "talk-row", type: "button", "aria-current": String(t === open), onclick: () => look(t.id).catch(fail) },
      el("strong", {}, t.title ?? t.id), el("span", { class: "preview" }, last ? line(last) : ""),
      t.unread > 0 ? el("span", { class: "badge", "aria-label": `${t.unread} unread` }, String(t.unread)) : null));
  }));
}

function drawTalk() {
  if (!open) return;
  const t = open;
  const others = [...t.others.values()];
  const state = (m) => {
    if (!others.length) return ["said", "✓"];
    if (others.every((o) => o.read >= m.seq)) return ["read", "✓✓ read"];
    return others.some((o) => o.received >= m.seq) ? ["received", "✓✓"] : ["said", "✓"];
  };
  const rows = [...t.messages.values()].filter(shown).sort((a, b) => a.seq - b.seq).map((m) => {
    if (m.kind === "system") return el("li", { class: "event" }, line(m));
    const mine = m.sender === me;
    const [word, tick] = state(m);
    return el("li", { class: mine ? "mine" : "theirs", "data-seq": m.seq },
      t.kind === "group" && !mine ? el("span", { class: "who" }, m.sender) : null,
      el("span", { class: m.recalled ? "words gone" : "words" }, line(m)),
      el("span", { class: "when" }, m.edited_at && !m.recalled ? "edited " : "", clock(m.at), mine ? el("span", { class: "tick", "data-state": word, title: word }, ` ${tick}`) : null),
      mine && !m.recalled ? el("button", { class: "take", type: "button", onclick: () => publish({ op: "recall", conversation: t.id, seq: m.seq }) }, "Take back") : null);
  });
  rows.push(...t.pending.map((p) => el("li", { class: "mine" }, el("span", { class: "words" }, p.body.text), el("span", { class: "when" }, "sending…"))));
  at("said").replaceChildren(...rows);
  at("said").scrollTop = at("said").scrollHeight;
}

const fail = (fault) => {
  at("refused").textContent = fault.message;
  at("refused").hidden = false;
};

at("begin").addEventListener("submit", (e) => {
  e.preventDefault();
  const peer = at("peer").value.trim();
  at("begin").reset();
  const known = [...talks.values()].find((t) => t.kind === "direct" && t.title === peer);
  if (known) return look(known.id).catch(fail);
  // It gets its id with the first message.
  open = { id: "", title: peer, to: peer, head: 0, read: 0, unread: 0, messages: new Map(), pending: [], others: new Map() };
  at("talk").hidden = false;
  root.dataset.open = "yes";
  at("talk-title").textContent = peer;
  drawTalk();
  at("text").focus();
});

at("say").addEventListener("submit", async (e) => {
  e.preventDefault();
  const text = at("text").value.trim();
  if (!text || !open) return;
  at("text").value = "";
  at("refused").hidden = true;
  const message = { client_id: crypto.randomUUID?.() ?? String(Math.random()), kind: "text", body: { text } };
  if (open.to) {
    try {
      const said = await api("POST", "messages", { ...message, to: open.to });
      open = null;
      await sync();
      await look(said.conversation);
    } catch (fault) {
      fail(fault);
    }
    return;
  }
  const what = { op: "send", conversation: open.id, ...message };
  open.pending.push(what);
  publish(what);
  drawTalk();
});

let typed = 0;
at("text").addEventListener("input", () => {
  if (open?.id && Date.now() - typed > 2000) {
    typed = Date.now();
    publish({ op: "typing", conversation: open.id });
  }
});
at("back").addEventListener("click", () => {
  open = null;
  delete root.dataset.open;
  at("talk").hidden = true;
  drawTalks();
});
document.addEventListener("visibilitychange", () => open && read(open));
addEventListener("pagehide", drop);

if (root.dataset.may === "true") connect();
