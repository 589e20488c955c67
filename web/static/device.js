// This page is a device: it connects over MQTT, shows what arrives, and reports
// what becomes of it. See "A device on MQTT" in the protocol's document.

import { backoff } from "./live.js";

const cards = document.getElementById("cards");
const { app, device, may } = cards.dataset;
const csrf = document.querySelector('meta[name="csrf"]').content;

const words = { on: "connected", wait: "connecting", off: "not connected", bad: "refused", gone: "connected elsewhere" };
function wire(state, detail) {
  document.getElementById("wire").dataset.state = state;
  const word = document.getElementById("wire-word");
  const text = detail ? `${words[state]}: ${detail}` : words[state];
  if (word.textContent !== text) word.textContent = text;
}

/** Registers the device and returns what it needs to connect. */
async function credentials() {
  const query = new URLSearchParams({ app, device });
  const answer = await fetch(`/demo/device?${query}`, {
    method: "POST",
    headers: { "X-CSRF-Token": csrf, Accept: "application/json" },
  });
  if (answer.status === 401) location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
  if (!answer.ok) throw new Error((await answer.text()).trim());
  return answer.json();
}

const takenOver = 0x8e; // MQTT 5, 3.14.2.1: session taken over
let client, renewal, failures = 0;

async function connect() {
  clearTimeout(renewal);
  wire("wait");
  let with_;
  try {
    with_ = await credentials();
  } catch (fault) {
    wire("bad", fault.message);
    renewal = setTimeout(connect, backoff(failures++));
    return;
  }
  drop();
  client = mqtt.connect(with_.url, {
    clientId: with_.client_id, username: with_.username, password: with_.password,
    protocolVersion: 5, clean: true, keepalive: 30, connectTimeout: 10000,
    reconnectPeriod: 0, // a fresh token may be needed: connect() comes back itself
    timerVariant: "native", // the other kind is a worker from a blob, which the policy forbids
  });
  client.on("connect", () => {
    failures = 0;
    wire("on");
    client.subscribe("inbox", { qos: 1 });
    reports.forEach(bring);
  });
  client.on("message", (topic, payload) => topic === "inbox" && arrive(payload)); // mqtt.js answers with PUBACK
  client.on("error", (fault) => wire("bad", fault.message));
  client.on("disconnect", (packet) => packet.reasonCode === takenOver && leave());
  client.on("close", again);
  // Well before the token ends: a tenth of its life, at least half a minute, early.
  const life = Date.parse(with_.expires_at) - Date.now();
  renewal = setTimeout(connect, Math.min(2 ** 31 - 1, Math.max(5000, life - Math.max(30000, life / 10))));
}

/** Ends the connection and hears nothing more of it. */
function drop() {
  client?.removeAllListeners();
  client?.on("error", () => {}); // one that nobody hears would be thrown
  client?.end(true);
}

// Another page became this device. To come back at once would be to fight it.
function leave() {
  drop();
  clearTimeout(renewal);
  wire("gone", "reload to be it again");
}

function again() {
  clearTimeout(renewal);
  if (document.getElementById("wire").dataset.state !== "bad") wire("wait");
  renewal = setTimeout(connect, backoff(failures++));
}

// Reports that Herald has not acknowledged yet; a new connection brings them again.
const reports = new Set();

function report(id, event) {
  const text = JSON.stringify({ id, event, at: new Date().toISOString() });
  reports.add(text);
  if (client?.connected) bring(text);
}

function bring(text) {
  client.publish("receipts", text, { qos: 1 }, (fault) => fault || reports.delete(text));
}

const seen = new Set();
let received = 0, repeats = 0;

function arrive(payload) {
  let n;
  try {
    n = JSON.parse(new TextDecoder().decode(payload));
  } catch {
    return; // not ours
  }
  // By notification: the same one may come again as another delivery.
  const key = n.notification ?? n.id;
  if (seen.has(key)) {
    document.getElementById("repeats").textContent = ++repeats;
    return;
  }
  seen.add(key);
  document.getElementById("received").textContent = ++received;
  show(n);
}

const visible = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting || document.hidden) continue;
    visible.unobserve(entry.target);
    entry.target.dispatchEvent(new Event("displayed"));
  }
}, { threshold: 0.6 });

// A card that came while the tab was hidden is displayed when the tab is.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  cards.querySelectorAll("[data-unseen]").forEach((card) => (visible.unobserve(card), visible.observe(card)));
});

function show(n) {
  document.getElementById("no-cards").hidden = true;
  const item = document.createElement("li");
  const card = make("button", "card");
  card.type = "button";
  card.dataset.unseen = "";
  const head = make("span", "head");
  head.append(make("span", "", app), make("time", "", new Date().toLocaleTimeString()));
  const proof = make("span", "proof", "delivered");
  card.append(head, make("strong", "", n.title || "Notification"), make("span", "body", n.body ?? ""), proof);
  card.addEventListener("displayed", () => {
    delete card.dataset.unseen;
    proof.textContent = "delivered, displayed";
    report(n.id, "displayed");
  });
  card.addEventListener("click", () => {
    if (card.dataset.clicked) return;
    card.dataset.clicked = "yes";
    proof.textContent = "delivered, displayed, clicked";
    report(n.id, "clicked");
  });
  item.append(card);
  if (n.collapse_key) {
    cards.querySelector(`[data-collapse="${CSS.escape(n.collapse_key)}"]`)?.remove();
    item.dataset.collapse = n.collapse_key;
  }
  cards.prepend(item);
  while (cards.children.length > 50) cards.lastChild.remove();
  visible.observe(card);
}

/** An element with a class and text; text is never read as HTML. */
function make(name, className, text = "") {
  const element = document.createElement(name);
  if (className) element.className = className;
  element.textContent = text;
  return element;
}

// A walk: the person agrees to tell where they are, and reports a way of two
// hundred metres that leads into the fence of `herald dev`'s shop. What comes
// of it comes as every notification does.
const walk = document.getElementById("walk");
const shop = { lat: 52.5219, lon: 13.4132 };
const say = (text) => (document.getElementById("walk-word").textContent = text);
walk.hidden = may !== "true";
walk.addEventListener("click", async () => {
  walk.disabled = true;
  try {
    const { password } = await credentials();
    const agreed = await fetch(`/v1/devices/${encodeURIComponent(device)}/consent`, {
      method: "PUT", body: JSON.stringify({ mode: "exact" }),
      headers: { Authorization: `Bearer ${password}`, "Content-Type": "application/json" },
    });
    if (!agreed.ok) throw new Error((await agreed.json()).detail);
    for (let metres = 200; metres >= 0; metres -= 40) {
      say(`${metres} m from the shop`);
      const here = { lat: shop.lat + metres / 111_195, lon: shop.lon, accuracy_m: 5, at: new Date().toISOString() };
      await new Promise((told) => client.publish("positions", JSON.stringify({ positions: [here] }), { qos: 1 }, told));
      await new Promise((next) => setTimeout(next, 400));
    }
    say("at the shop");
  } catch (fault) {
    say(fault.message);
  }
  walk.disabled = false;
});

const clock = document.getElementById("phone-clock");
const tick = () => (clock.textContent = new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
tick();
setInterval(tick, 10000);

if (may === "true") connect();
addEventListener("pagehide", drop);
addEventListener("pageshow", (event) => event.persisted && may === "true" && connect());
