// A device of the client asks businesses through a real Herald. Argument: JSON
// with mqtt (path of MQTT.js) and device (credentials). It prints "ok" or throws.
import assert from "node:assert/strict";
import { Herald, Refusal } from "../herald.js";

const { mqtt: path, device: credentials } = JSON.parse(process.argv[2]);
const mqtt = await import(path);
const herald = new Herald({ mqtt, credentials: async () => credentials });

// Asked before there is a connection, it waits for one.
const early = herald.call("jobs.search", { text: "cook" }, { version: 2, page: { limit: 1 } });
await herald.start();
const answer = await early;
assert.deepEqual(answer.output, { jobs: [{ title: "Cook" }] });
assert.equal(answer.version, 2);
assert.ok(answer.page.next);

const next = await herald.call("jobs.search", { text: "cook" }, { version: 2, page: { limit: 1, cursor: answer.page.next } });
assert.deepEqual(next.output, { jobs: [{ title: "Pastry cook" }] });

const known = await herald.call("jobs.search", { text: "cook" }, { version: 2, page: { limit: 1 }, etag: answer.etag });
assert.equal(known.not_modified, true);

// Errors have the codes that the contract has.
const refusal = (code, status, field) => (e) =>
  e instanceof Refusal && e.code === code && e.status === status && (field === undefined || e.faults[0].field === field);
await assert.rejects(herald.call("jobs.search", { text: 7 }, { version: 2 }), refusal("invalid_input", 422, "input.text"));
await assert.rejects(herald.call("jobs.fire", {}, { version: 2 }), refusal("unknown_operation", 404));
await assert.rejects(herald.call("jobs.search", {}, { version: 9 }), refusal("unknown_version", 404));
await assert.rejects(herald.call("nobody.search"), refusal("unknown_service", 404));
await assert.rejects(herald.call("jobs.gone", {}, { version: 2 }), refusal("job_closed", 409));
await assert.rejects(herald.call("search"), TypeError);

// Many at once, each its own answer.
const words = Array.from({ length: 20 }, (_, i) => `word ${i}`);
const answers = await Promise.all(words.map((text) => herald.call("jobs.echo", { text }, { version: 2 })));
assert.deepEqual(answers.map((a) => a.output), words);

// Who has waited long enough, or no longer wants to know.
await assert.rejects(herald.call("jobs.hang", {}, { version: 2, timeout: 50 }), (e) => e instanceof Refusal && e.code === "timeout");
const leaver = new AbortController();
const left = herald.call("jobs.hang", {}, { version: 2, signal: leaver.signal });
leaver.abort(new Error("changed my mind"));
await assert.rejects(left, /changed my mind/);
await assert.rejects(herald.call("jobs.echo", { text: "x" }, { signal: AbortSignal.abort(new Error("too late")) }), /too late/);

// A connection that is lost before the answer.
const lost = herald.call("jobs.hang", {}, { version: 2 });
herald.stop();
await assert.rejects(lost, (e) => e instanceof Refusal && e.code === "disconnected");

console.log("ok");
process.exit(0);
