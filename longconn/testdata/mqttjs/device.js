// A device on MQTT.js: node device.js <url> <version 4|5> <device> <password>.
// It prints a line of JSON for each thing that happens, and publishes each line
// of its standard input on "receipts".
const mqtt = require('mqtt')
const readline = require('readline')

const [url, version, device, password] = process.argv.slice(2)
const say = (event, more) => console.log(JSON.stringify({ event, ...more }))

const client = mqtt.connect(url, {
  protocolVersion: Number(version),
  clientId: device,
  username: 'demo/' + device,
  password,
  clean: true,
  keepalive: 60,
  reconnectPeriod: 0,
})
client.on('connect', (ack) => {
  say('connect', { present: ack.sessionPresent })
  client.subscribe('inbox', { qos: 1 }, (err, granted) =>
    say('subscribed', { error: err ? err.message : '', qos: granted && granted[0] ? granted[0].qos : null }))
})
client.on('message', (topic, payload, packet) =>
  say('message', { topic, payload: payload.toString(), qos: packet.qos, dup: packet.dup }))
client.on('disconnect', (packet) => say('disconnect', { reason: packet.reasonCode }))
client.on('error', (err) => { say('error', { code: err.code, message: err.message }); client.end(true) })
client.on('close', () => { say('close'); process.exit(0) })

const lines = readline.createInterface({ input: process.stdin })
lines.on('line', (line) =>
  client.publish('receipts', line, { qos: 1 }, (err) => say('published', { error: err ? err.message : '' })))
lines.on('close', () => client.end())
