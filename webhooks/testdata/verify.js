// Reads calls, one JSON a line with secret, headers and body, and prints for
// each what an app would know: the event if it is Herald's, or the error.
const { Webhook } = require("./npm/node_modules/standardwebhooks");
const lines = require("readline").createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const { secret, headers, body } = JSON.parse(line);
  try {
    console.log(JSON.stringify({ event: new Webhook(secret).verify(body, headers) }));
  } catch (e) {
    console.log(JSON.stringify({ error: e.message }));
  }
});
