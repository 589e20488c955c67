// Two devices of the client talk through a real Herald, lose their connections
// and miss nothing. Argument: JSON with mqtt (path of MQTT.js), api, ann and bob
// (credentials). It prints "ok" or throws.
import assert from "node:assert/strict";
import { Herald, Heartbeat, Refusal, later, memoryStore, pause } from "../herald.js";

const { mqtt: path, api, ann: annsCredentials, bob: bobsCredentials } = JSON.parse(process.argv[2]);
const mqtt = await import(path);

const until = async (what, ok) => {
  for (const end = Date.now() + 30_000; !ok(); ) {
    if (Date.now() > end) throw new Error(`not in time: ${what}`);
    await new Promise((r) => setTimeout(r, 20));
  }
};

function device(credentials, store = memoryStore()) {
  const d = { heard: [], notes: [], cursors: [], state: "", faults: [] };
  d.herald = new Herald({ mqtt, api, credentials: async () => credentials, store });
  d.herald.on("message", (m) => d.heard.push(m));
  d.herald.on("notification", (n) => (d.notes.push(n), d.herald.displayed(n)));
  d.online = {};
  d.herald.on("presence", (p) => Object.assign(d.online, p.users));
  d.herald.on("cursor", (c) => d.cursors.push(c));
  d.herald.on("state", (s) => (d.state = s));
  d.herald.on("fault", (f) => d.faults.push(f));
  return d;
}

// The heartbeat grows while it goes well and settles where it does not.
const beat = new Heartbeat({ store: memoryStore() });
for (let i = 0; i < 6; i++) beat.went(true);
assert.equal(beat.seconds, 330);
beat.went(false);
beat.went(false);
assert.equal(beat.seconds, 250);
for (let i = 0; i < 6; i++) beat.went(true);
assert.equal(beat.seconds, 250, "settled for a day");
assert.ok(pause(30, () => 1) <= 30_100 && pause(0, () => 0) >= 100);
assert.equal(later(20, 1, () => 0), 40_000);
assert.equal(later(20, 30, () => 1), 1_200_000, "at most ten minutes, and up to twice that");

const store = memoryStore();
const ann = device(annsCredentials), bob = device(bobsCredentials, store);
await Promise.all([ann.herald.start(), bob.herald.start()]);
await until("both connect", () => ann.state === "connected" && bob.state === "connected");

await ann.herald.watch(["bob", "eve"]);
await until("ann sees who is there", () => ann.online.bob === true && ann.online.eve === false);

const first = await ann.herald.send({ to: "bob", text: "one" });
assert.equal(first.seq, 1);
await until("bob hears", () => bob.heard.length === 1);
assert.equal(bob.heard[0].body.text, "one");
await bob.herald.read(first.conversation, first.seq);
await until("ann sees that it was read", () => ann.cursors.some((c) => c.user === "bob" && c.read === 1));

// Said twice by one client id it is said once.
const second = { conversation: first.conversation, text: "two", client_id: "same" };
assert.equal((await ann.herald.send(second)).seq, 2);
assert.equal((await ann.herald.request("POST", "messages", { conversation: first.conversation, client_id: "same", body: { text: "two" } })).seq, 2);

await assert.rejects(ann.herald.send({ conversation: "nowhere", text: "?" }), (e) => e instanceof Refusal && e.code === "not_found");
await assert.rejects(ann.herald.request("GET", "conversations/nowhere"), (e) => e instanceof Refusal && e.status === 404);

// What is said while bob is away he gets when he is back, in order, once.
await until("bob hears the second", () => bob.heard.length === 2);
bob.herald.stop();
await until("ann sees bob go", () => ann.online.bob === false);
for (const text of ["three", "four", "five"]) await ann.herald.send({ conversation: first.conversation, text });
const again = device(bobsCredentials, store);
await again.herald.start();
await until("bob is back", () => again.state === "connected");
await until("bob has what he missed", () => again.heard.length >= 3);
await ann.herald.send({ conversation: first.conversation, text: "six" });
await until("and what follows", () => again.heard.length >= 4);
assert.deepEqual(again.heard.map((m) => m.body.text), ["three", "four", "five", "six"]);
assert.deepEqual(again.heard.map((m) => m.seq), [3, 4, 5, 6]);

console.log("ready"); // for a notification
await until("a notification comes", () => ann.notes.length === 1);
assert.equal(ann.notes[0].title, "Hi");
await new Promise((r) => setTimeout(r, 300)); // were there a second one, it would be here
assert.equal(ann.notes.length, 1);
ann.herald.stop();
again.herald.stop();
console.log("ok");
process.exit(0);
