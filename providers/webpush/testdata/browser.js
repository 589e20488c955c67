// Plays a browser with the standard library's web crypto alone: prints the keys
// of a subscription, then reads messages, one in base64 a line, and prints each
// in the clear as RFC 8291 says, as a JSON string.
const { webcrypto } = require('node:crypto');
const { subtle } = webcrypto;
const readline = require('node:readline');

const text = (s) => new TextEncoder().encode(s);
const join = (...parts) => new Uint8Array(Buffer.concat(parts));

async function hkdf(salt, secret, info, length) {
	const key = await subtle.importKey('raw', secret, 'HKDF', false, ['deriveBits']);
	return new Uint8Array(await subtle.deriveBits({ name: 'HKDF', hash: 'SHA-256', salt, info }, key, length * 8));
}

async function decrypt(pair, auth, body) {
	const salt = body.subarray(0, 16);
	const size = body.readUInt32BE(16);
	const sender = body.subarray(21, 21 + body[20]);
	const record = body.subarray(21 + body[20]);
	if (record.length > size) throw new Error('more than one record');

	const theirs = await subtle.importKey('raw', sender, { name: 'ECDH', namedCurve: 'P-256' }, false, []);
	const shared = new Uint8Array(await subtle.deriveBits({ name: 'ECDH', public: theirs }, pair.privateKey, 256));
	const mine = new Uint8Array(await subtle.exportKey('raw', pair.publicKey));
	const secret = await hkdf(auth, shared, join(text('WebPush: info\0'), mine, sender), 32);
	const key = await hkdf(salt, secret, text('Content-Encoding: aes128gcm\0'), 16);
	const iv = await hkdf(salt, secret, text('Content-Encoding: nonce\0'), 12);

	const aes = await subtle.importKey('raw', key, 'AES-GCM', false, ['decrypt']);
	const padded = Buffer.from(await subtle.decrypt({ name: 'AES-GCM', iv }, aes, record));
	const end = padded.findLastIndex((b) => b !== 0);
	if (padded[end] !== 2) throw new Error('the last record has no delimiter');
	return padded.subarray(0, end).toString();
}

async function main() {
	const pair = await subtle.generateKey({ name: 'ECDH', namedCurve: 'P-256' }, false, ['deriveBits']);
	const auth = webcrypto.getRandomValues(new Uint8Array(16));
	const point = Buffer.from(await subtle.exportKey('raw', pair.publicKey));
	console.log(JSON.stringify({ p256dh: point.toString('base64url'), auth: Buffer.from(auth).toString('base64url') }));
	for await (const line of readline.createInterface({ input: process.stdin })) {
		console.log(JSON.stringify(await decrypt(pair, auth, Buffer.from(line, 'base64'))));
	}
}

main();
