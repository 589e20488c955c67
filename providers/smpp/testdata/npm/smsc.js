// A short message service centre for tests. It does what its standard input
// says and prints what it sees, both one JSON object a line:
//
//   {"refuse": 14}                 refuse further binds with a status
//   {"status": [88, 20]}           answer the next messages with these statuses
//   {"hold": true}                 answer no message until told
//   {"drop": true}                 cut every connection, answering nothing
//   {"answer": true}               answer what is held
//   {"receipt": "EXPIRED", "id": "7", "tlv": true}   report what came of a message
"use strict";

const readline = require("readline");
const smpp = require("smpp");

const sessions = new Set();
const messages = new Map(); // by id: the submit_sm and its session
const parts = new Map(); // of long messages, by sender and reference
let refuse = 0;
let statuses = [];
let holding = false;
let held = [];
let ids = 0xa0; // an id with letters, and with another number in decimal

const tell = (event, more) => process.stdout.write(JSON.stringify({ event, ...more }) + "\n");

const server = smpp.createServer((session) => {
  sessions.add(session);
  session.on("close", () => sessions.delete(session));
  session.on("error", () => session.destroy());
  session.on("bind_transceiver", (pdu) => {
    if (refuse) {
      session.send(pdu.response({ command_status: refuse }));
      tell("refused");
      return;
    }
    session.send(pdu.response({ system_id: "smsc", sc_interface_version: 0x34 }));
    tell("bound", { system_id: pdu.system_id, password: pdu.password, system_type: pdu.system_type });
  });
  session.on("submit_sm", (pdu) => {
    if (holding) {
      held.push([session, pdu]);
      tell("held", { count: held.length });
      return;
    }
    answer(session, pdu);
  });
  session.on("enquire_link", (pdu) => session.send(pdu.response()));
  session.on("unbind", (pdu) => {
    session.send(pdu.response());
    session.close();
    tell("unbound");
  });
});

function answer(session, pdu) {
  const status = statuses.shift() || 0;
  if (status) {
    session.send(pdu.response({ command_status: status }));
    tell("answered", { status });
    return;
  }
  const id = (ids++).toString(16);
  messages.set(id, pdu);
  session.send(pdu.response({ message_id: id }));
  tell("answered", {
    id, status, to: pdu.destination_addr, from: pdu.source_addr, coding: pdu.data_coding,
    registered: pdu.registered_delivery, validity: pdu.validity_period, whole: join(pdu),
  });
}

// join gives the whole text once all of its parts are there, and else null.
function join(pdu) {
  const { udh, message } = pdu.short_message;
  if (!udh) return message;
  const [reference, total, part] = udh[0][0] === 8 // a reference of sixteen bits
    ? [udh[0].readUInt16BE(2), udh[0][4], udh[0][5]]
    : [udh[0][2], udh[0][3], udh[0][4]];
  const key = pdu.destination_addr + "/" + reference;
  const have = parts.get(key) || [];
  have[part - 1] = message;
  parts.set(key, have);
  return have.filter((m) => m !== undefined).length === total ? have.join("") : null;
}

const states = { DELIVRD: 2, EXPIRED: 3, UNDELIV: 5 };

function receipt({ receipt: state, id, tlv, decimal }) {
  const of = messages.get(id);
  const shown = decimal ? String(parseInt(id, 16)) : id;
  const pdu = { source_addr: of.destination_addr, destination_addr: of.source_addr, esm_class: 4 };
  if (tlv) {
    Object.assign(pdu, { receipted_message_id: id, message_state: states[state], short_message: "" });
  } else {
    pdu.short_message = `id:${shown} sub:001 dlvrd:001 submit date:2611231200 done date:2611231201 stat:${state} err:011 text:stat:FAKED`;
  }
  for (const session of sessions) {
    session.deliver_sm(pdu, (r) => tell("acknowledged", { status: r.command_status }));
  }
}

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const order = JSON.parse(line);
  if ("refuse" in order) refuse = order.refuse;
  if ("status" in order) statuses = order.status;
  if ("hold" in order) holding = order.hold;
  if (order.answer) held.splice(0).forEach(([session, pdu]) => answer(session, pdu));
  if (order.drop) {
    held = [];
    sessions.forEach((session) => session.destroy());
  }
  if ("receipt" in order) receipt(order);
  tell("done");
}).on("close", () => process.exit(0));

server.listen(0, "127.0.0.1", () => tell("listening", { address: "127.0.0.1:" + server.address().port }));
