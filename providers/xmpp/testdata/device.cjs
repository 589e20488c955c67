// A device on xmpp.js: node device.cjs <port> <domain> <user> <password> <answers|silent>.
// It prints a line of JSON for each thing that happens. One that answers sends
// the receipt that a message asks for. Each line of its standard input is a
// message's id, which it then reports as displayed.
const readline = require('readline')
const path = require('path')

const [port, domain, username, password, manner] = process.argv.slice(2)
const say = (event, more) => console.log(JSON.stringify({ event, ...more }))

async function main() {
  const entry = path.join(__dirname, 'npm/node_modules/@xmpp/client/index.js')
  const { client, xml } = await import(entry)
  const xmpp = client({ service: `xmpp://127.0.0.1:${port}`, domain, username, password, resource: 'phone' })
  xmpp.reconnect.stop()
  const senders = new Map()

  xmpp.on('error', (err) => say('error', { message: String(err) }))
  xmpp.on('online', async (address) => {
    await xmpp.send(xml('presence'))
    say('online', { address: address.toString() })
  })
  xmpp.on('stanza', async (stanza) => {
    if (!stanza.is('message')) return
    const { id, from, type } = stanza.attrs
    senders.set(id, from)
    const payload = stanza.getChild('notification', 'urn:herald:push:1')
    say('message', {
      id, type, from,
      title: stanza.getChildText('subject'),
      body: stanza.getChildText('body'),
      payload: payload ? payload.getChildText('json') : null,
      late: !!stanza.getChild('delay', 'urn:xmpp:delay'),
    })
    if (manner === 'answers' && stanza.getChild('request', 'urn:xmpp:receipts'))
      await xmpp.send(xml('message', { to: from }, xml('received', { xmlns: 'urn:xmpp:receipts', id })))
  })
  const lines = readline.createInterface({ input: process.stdin })
  lines.on('line', (id) =>
    xmpp.send(xml('message', { to: senders.get(id) }, xml('displayed', { xmlns: 'urn:xmpp:chat-markers:0', id }))))
  lines.on('close', () => process.exit(0))
  await xmpp.start()
}
main().catch((err) => { say('error', { message: String(err) }); process.exit(1) })
