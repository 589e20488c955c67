// A device of Herald, in a browser or in Node: it stays connected, acknowledges,
// reports what became of a notification, talks, and calls businesses. It stands on
// MQTT.js, which is handed in, and on nothing else.
//
// What it does for you, as the protocol's document asks: it comes back after a
// loss with a pause that doubles and is never in step with others, and begins
// again at the shortest only after a minute of calm; it finds the longest
// heartbeat that the network bears; it drops what has been shown; after every
// connection it holds back what comes, pulls what has changed since its cursor,
// and goes on, so that nothing is missed and nothing comes twice.

/** Why Herald did not take what was asked. */
export class Refusal extends Error {
  constructor({ code, field, detail, status, faults, part, retry_after_seconds }) {
    super(detail ?? code);
    Object.assign(this, { name: "Refusal", code, field, status, faults, part, retry_after_seconds });
  }
}

/** Keeps things for as long as the page or process lives. */
export const memoryStore = () => {
  const kept = new Map();
  return { get: (k) => kept.get(k), set: (k, v) => void kept.set(k, v) };
};

/** Keeps things in the browser's localStorage. */
export const localStore = (prefix = "herald:") => ({
  get: (k) => JSON.parse(localStorage.getItem(prefix + k) ?? "null") ?? undefined,
  set: (k, v) => localStorage.setItem(prefix + k, JSON.stringify(v)),
});

const takenOver = 0x8e; // MQTT 5, 3.14.2.1
const calm = 60_000; // ms of connection after which the pause starts anew
const remembered = 500; // notifications by which repeats are dropped

/** Milliseconds before try n (from 0): anything up to 30 s, at most doubling. */
export const pause = (n, random = Math.random) => random() * Math.min(30_000, 500 * 2 ** n) + 100;

/** Milliseconds before try n where the server asked for at least so many seconds:
 * doubled with each try, up to ten minutes, and then up to twice as long. */
export const later = (seconds, n, random = Math.random) => 1000 * Math.min(600, seconds * 2 ** n) * (1 + random());

/**
 * Heartbeat searches the longest silence, in seconds, after which the network
 * still carries a packet: it begins at 210, tries a minute more after three that
 * went well, and steps back and stays for a day after two that did not.
 */
export class Heartbeat {
  constructor({ store, network = "default", most = 600, now = Date.now }) {
    Object.assign(this, { store, key: `heartbeat:${network}`, most, now });
    Object.assign(this, { seconds: 210, good: 0, bad: 0, settled: 0 }, store.get(this.key));
  }
  went(well) {
    if (well) {
      this.bad = 0;
      if (this.now() > this.settled && ++this.good >= 3) this.move(Math.min(this.most, this.seconds + 60));
    } else if (++this.bad >= 2) {
      this.settled = this.now() + 86_400_000;
      this.move(Math.max(30, this.seconds - 80));
    }
    this.store.set(this.key, { seconds: this.seconds, settled: this.settled });
  }
  move(seconds) {
    Object.assign(this, { seconds, good: 0, bad: 0 });
  }
}

/** See herald.d.ts for what each thing takes and gives. */
export class Herald {
  #mqtt; #credentials; #api; #store; #network; #heard = new Map();
  #client; #timer; #beat; #running = false; #failures = 0; #retry = 0; #token = ""; #held = null; #watched;
  #reports = new Map(); #asked = new Map(); #heads = new Map(); #calls = new Map();

  constructor({ mqtt, credentials, api, store = memoryStore(), network = "default" }) {
    this.#mqtt = mqtt.default ?? mqtt;
    this.#credentials = credentials;
    this.#api = api?.replace(/\/$/, "");
    this.#store = store;
    this.#network = network;
    for (const [id, n] of store.get("heads") ?? []) this.#heads.set(id, n);
    for (const text of store.get("reports") ?? []) this.#reports.set(text, true);
  }

  on(what, f) {
    if (!this.#heard.has(what)) this.#heard.set(what, new Set());
    this.#heard.get(what).add(f);
    return () => this.#heard.get(what).delete(f);
  }

  #tell(what, value) {
    for (const f of this.#heard.get(what) ?? []) f(value);
  }

  start() {
    this.#running = true;
    return this.#connect();
  }

  stop() {
    this.#running = false;
    this.#drop();
    this.#tell("state", "stopped");
  }

  async #connect() {
    this.#drop();
    this.#tell("state", "connecting");
    let c;
    try {
      c = await this.#credentials();
    } catch (fault) {
      this.#tell("fault", fault);
      return this.#again();
    }
    if (!this.#running) return;
    this.#token = c.password;
    this.#held = [];
    const client = (this.#client = this.#mqtt.connect(c.url, {
      clientId: c.client_id, username: c.username, password: c.password, protocolVersion: 5, clean: false,
      properties: { sessionExpiryInterval: 3600, receiveMaximum: 32 }, keepalive: 1200, connectTimeout: 10_000,
      reconnectPeriod: 0, // a fresh token may be needed: #connect comes back itself
      timerVariant: "native",
      customHandleAcks: (topic, message, packet, done) => this.#arrive(topic, message).then(() => done(0), () => done(0x80)),
    }));
    client.on("connect", () => this.#connected(client, c));
    client.on("message", (topic, payload, packet) => topic === "answers" && this.#answered(payload, packet));
    client.on("error", (fault) => this.#tell("fault", fault));
    client.on("packetreceive", (p) => {
      const seconds = Number(p.properties?.userProperties?.["retry-after"]);
      if ((p.cmd === "connack" || p.cmd === "disconnect") && seconds > 0) this.#retry = seconds;
    });
    client.on("disconnect", (p) => {
      if (p.reasonCode !== takenOver) return;
      this.#running = false; // another one is this device now: to come back would be to fight it
      this.#tell("state", "taken over");
    });
    client.on("close", () => this.#client === client && this.#again());
  }

  async #connected(client, c) {
    const began = setTimeout(() => (this.#failures = 0), calm);
    client.once("close", () => clearTimeout(began));
    this.#keepAlive(client);
    for (const call of this.#calls.values()) call.ask();
    const life = Date.parse(c.expires_at) - Date.now();
    if (life > 0) this.#timer = setTimeout(() => this.#connect(), Math.min(2 ** 31 - 1, Math.max(5000, life - Math.max(30_000, life / 10))));
    for (const text of this.#reports.keys()) this.#bring(text);
    try {
      await this.#pull();
    } catch (fault) {
      this.#tell("fault", fault);
      return client.end(true);
    }
    const late = this.#held ?? [];
    this.#held = null;
    for (const frame of late) await this.#take(frame);
    this.#tell("state", "connected");
    if (this.#watched) this.#publish("presence", this.#watched);
    for (const [id, { payload }] of this.#asked) this.#say(id, payload);
  }

  #keepAlive(client) {
    const beat = new Heartbeat({ store: this.#store, network: this.#network });
    let waiting;
    const next = () => (this.#beat = setTimeout(() => {
      waiting = setTimeout(() => (beat.went(false), client.stream?.destroy()), 10_000);
      client.sendPing();
    }, beat.seconds * 1000));
    client.on("packetreceive", (p) => {
      if (p.cmd !== "pingresp" || !waiting) return;
      clearTimeout(waiting);
      waiting = undefined;
      beat.went(true);
      next();
    });
    client.once("close", () => clearTimeout(waiting));
    next();
  }

  #drop() {
    clearTimeout(this.#timer);
    clearTimeout(this.#beat);
    const old = this.#client;
    this.#client = undefined;
    old?.removeAllListeners();
    old?.on("error", () => {}); // one that nobody hears would be thrown
    old?.end(true);
    for (const call of this.#calls.values()) call.lost();
  }

  #again() {
    this.#drop();
    if (!this.#running) return;
    this.#tell("state", "waiting");
    const wait = this.#retry ? later(this.#retry, this.#failures++) : pause(this.#failures++);
    this.#retry = 0;
    this.#timer = setTimeout(() => this.#connect(), wait);
  }

  #publish(topic, text) {
    return new Promise((done) => {
      if (!this.#client?.connected) return done(false);
      this.#client.publish(topic, text, { qos: 1 }, (fault) => done(!fault));
    });
  }

  // What arrives is acknowledged once this has returned: kept, and shown to the app.
  async #arrive(topic, payload) {
    if (topic !== "inbox") return;
    let frame;
    try {
      frame = JSON.parse(new TextDecoder().decode(payload));
    } catch {
      return; // not ours; to refuse it would bring it again
    }
    if (frame.type === undefined) return this.#notification(frame);
    if (this.#held) this.#held.push(frame);
    else await this.#take(frame);
  }

  #notification(n) {
    const key = n.notification ?? n.id;
    const seen = this.#store.get("seen") ?? [];
    if (seen.includes(key)) return;
    this.#store.set("seen", [...seen, key].slice(-remembered));
    this.#tell("notification", n);
  }

  displayed(n) { return this.#report(n.id, "displayed"); }
  clicked(n) { return this.#report(n.id, "clicked"); }

  /**
   * Tells where the device is, or was within the last day: {lat, lon, accuracy_m, at},
   * or a list of them. False means that there is no connection: keep them, and
   * report them together. What Herald refuses is told as a "fault".
   */
  position(where) { return this.#publish("positions", JSON.stringify({ positions: [where].flat() })); }

  #report(id, event) {
    const text = JSON.stringify({ id, event, at: new Date().toISOString() });
    this.#reports.set(text, true);
    this.#store.set("reports", [...this.#reports.keys()]);
    return this.#bring(text);
  }

  async #bring(text) {
    if (!(await this.#publish("receipts", text))) return;
    this.#reports.delete(text);
    this.#store.set("reports", [...this.#reports.keys()]);
  }

  // Calls.

  /**
   * Asks a business: name is service.operation. It waits for a connection if there
   * is none, and is made once: a connection that is lost before the answer is an
   * error, for the business may have been asked.
   */
  call(name, input, { version, page, etag, timeout = 30_000, signal } = {}) {
    const [service, operation, more] = name.split(".");
    if (!operation || more !== undefined || /[/+#]/.test(name)) return Promise.reject(new TypeError(`${name} is not service.operation`));
    if (signal?.aborted) return Promise.reject(signal.reason);
    const id = newID(), bytes = new TextEncoder(), correlationData = bytes.encode(id);
    const body = JSON.stringify({ version, input, page, etag });
    return new Promise((resolve, reject) => {
      let asked = false;
      const end = (f, value) => {
        this.#calls.delete(id);
        clearTimeout(timer);
        signal?.removeEventListener("abort", abort);
        f(value);
      };
      const leave = (why) => {
        if (asked) this.#client?.publish("cancel", "", { qos: 0, properties: { correlationData } });
        end(reject, why);
      };
      const abort = () => leave(signal.reason);
      const timer = setTimeout(() => leave(new Refusal({ code: "timeout", detail: `${name} was not answered within ${timeout} ms` })), timeout);
      signal?.addEventListener("abort", abort);
      const call = {
        ask: () => {
          if (asked || !this.#client?.connected) return;
          asked = true;
          this.#client.publish(`services/${service}/${operation}`, body, {
            qos: 0, properties: { responseTopic: "answers", correlationData, messageExpiryInterval: Math.ceil(timeout / 1000) },
          });
        },
        lost: () => asked && end(reject, new Refusal({ code: "disconnected", detail: `the connection was lost before ${name} was answered` })),
        answered: (a) => (a.code ? end(reject, new Refusal(a)) : end(resolve, a)),
      };
      this.#calls.set(id, call);
      call.ask();
    });
  }

  #answered(payload, packet) {
    const text = new TextDecoder();
    this.#calls.get(text.decode(packet.properties?.correlationData ?? new Uint8Array()))?.answered(JSON.parse(text.decode(payload)));
  }

  // Chat.

  async #take(f) {
    if (f.type === "message") return this.#said(f.message);
    if (f.type === "refused" && !f.client_id) return this.#tell("fault", new Refusal(f));
    if (f.type === "refused") return this.#settle(f.client_id, (p) => p.reject(new Refusal(f)));
    this.#tell(f.type, f); // cursor, typing, reaction, friends, presence
  }

  /** A message in its turn: what is known is dropped, what is missing fetched first. */
  async #said(m) {
    const head = this.#heads.get(m.conversation);
    if (head !== undefined && m.seq <= head) return this.#settle(m.client_id, (p) => p.resolve(m));
    if (head !== undefined && m.seq > head + 1) await this.#fetch(m.conversation, head, m.seq);
    this.#have(m);
  }

  #have(m) {
    if (m.seq <= (this.#heads.get(m.conversation) ?? 0)) return;
    this.#heads.set(m.conversation, m.seq);
    this.#store.set("heads", [...this.#heads]);
    this.#settle(m.client_id, (p) => p.resolve(m));
    this.#tell("message", m);
  }

  async #fetch(conversation, after, before) {
    for (let from = after; ; ) {
      const page = await this.request("GET", `conversations/${encodeURIComponent(conversation)}/messages?after=${from}&limit=200`);
      for (const m of page.messages) if (before === undefined || m.seq < before) this.#have(m);
      const last = page.messages.at(-1)?.seq ?? 0;
      if (page.messages.length < 200 || (before !== undefined && last >= before - 1)) return;
      from = last;
    }
  }

  async #pull() {
    if (!this.#api) return;
    for (let more = true; more; ) {
      const page = await this.request("GET", `changes?after=${this.#store.get("cursor") ?? 0}&limit=200`);
      for (const c of page.changes) {
        const head = this.#heads.get(c.id);
        if (c.gone) this.#heads.delete(c.id);
        else if (head === undefined && this.#store.get("cursor") === undefined) this.#heads.set(c.id, c.head); // history is asked for by who wants it
        else if (c.head > (head ?? c.me.joined)) await this.#fetch(c.id, head ?? c.me.joined);
        this.#tell("conversation", c);
      }
      this.#store.set("cursor", page.next);
      this.#store.set("heads", [...this.#heads]);
      this.#tell("unread", page.unread);
      more = page.more;
    }
    this.#tell("synced");
  }

  /** Asks the API under /v1/im with the device's token. */
  async request(method, path, body) {
    const answer = await fetch(`${this.#api}/v1/im/${path}`, {
      method,
      headers: { Authorization: `Bearer ${this.#token}`, ...(body && { "Content-Type": "application/json" }) },
      body: body && JSON.stringify(body),
    });
    if (answer.ok) return answer.status === 204 ? null : answer.json();
    const problem = await answer.json().catch(() => ({}));
    throw new Refusal({ ...problem, ...problem.faults?.[0], status: answer.status });
  }

  /** Says something. It is said once, however often the connection breaks meanwhile. */
  send({ to, conversation, text, kind = "text", body = { text }, reply_to, mentions, client_id = newID() }) {
    const payload = JSON.stringify({ op: "send", to, conversation, kind, body, reply_to, mentions, client_id });
    return new Promise((resolve, reject) => {
      this.#asked.set(client_id, { payload, resolve, reject });
      this.#say(client_id, payload);
    });
  }

  // What Herald has taken comes back with its number. Should that be lost on its
  // way, it is asked for.
  async #say(id, payload) {
    const client = this.#client;
    if (!(await this.#publish("im", payload))) return;
    setTimeout(() => {
      if (!this.#asked.has(id) || this.#client !== client) return;
      this.#pull().catch((fault) => this.#tell("fault", fault));
    }, 3000);
  }

  #settle(id, f) {
    const asked = this.#asked.get(id);
    if (!asked) return;
    this.#asked.delete(id);
    f(asked);
  }

  recall(conversation, seq) { return this.#publish("im", JSON.stringify({ op: "recall", conversation, seq })); }
  edit(conversation, seq, body) { return this.#publish("im", JSON.stringify({ op: "edit", conversation, seq, body })); }
  read(conversation, seq) { return this.#publish("im", JSON.stringify({ op: "cursor", conversation, received: seq, read: seq })); }
  typing(conversation) { return this.#publish("im", JSON.stringify({ op: "typing", conversation })); }
  watch(users) {
    this.#watched = JSON.stringify({ users });
    return this.#publish("presence", this.#watched);
  }
  history(conversation, { before, limit = 50 } = {}) {
    return this.request("GET", `conversations/${encodeURIComponent(conversation)}/messages?limit=${limit}${before ? `&before=${before}` : ""}`).then((p) => p.messages);
  }
}

const newID = () => globalThis.crypto?.randomUUID?.() ?? Math.random().toString(36).slice(2) + Date.now().toString(36);
