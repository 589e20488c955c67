// A service worker with Web Crypto alone: it makes the keys of a subscription,
// reads messages as RFC 8291 says, and shows what comes in a push event as
// docs/providers.md tells apps to.
const text = (s) => new TextEncoder().encode(s);

function join(...parts) {
	const all = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
	let at = 0;
	for (const p of parts) {
		all.set(p, at);
		at += p.length;
	}
	return all;
}

const base64url = (bytes) => btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');

async function hkdf(salt, secret, info, length) {
	const key = await crypto.subtle.importKey('raw', secret, 'HKDF', false, ['deriveBits']);
	return new Uint8Array(await crypto.subtle.deriveBits({ name: 'HKDF', hash: 'SHA-256', salt, info }, key, length * 8));
}

let pair, mine, auth;

async function keys() {
	pair = await crypto.subtle.generateKey({ name: 'ECDH', namedCurve: 'P-256' }, false, ['deriveBits']);
	mine = new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey));
	auth = crypto.getRandomValues(new Uint8Array(16));
	return { p256dh: base64url(mine), auth: base64url(auth) };
}

async function read(body) {
	const salt = body.subarray(0, 16);
	const sender = body.subarray(21, 21 + body[20]);
	const record = body.subarray(21 + body[20]);
	const theirs = await crypto.subtle.importKey('raw', sender, { name: 'ECDH', namedCurve: 'P-256' }, false, []);
	const shared = new Uint8Array(await crypto.subtle.deriveBits({ name: 'ECDH', public: theirs }, pair.privateKey, 256));
	const secret = await hkdf(auth, shared, join(text('WebPush: info\0'), mine, sender), 32);
	const key = await hkdf(salt, secret, text('Content-Encoding: aes128gcm\0'), 16);
	const iv = await hkdf(salt, secret, text('Content-Encoding: nonce\0'), 12);
	const aes = await crypto.subtle.importKey('raw', key, 'AES-GCM', false, ['decrypt']);
	const padded = new Uint8Array(await crypto.subtle.decrypt({ name: 'AES-GCM', iv }, aes, record));
	const end = padded.findLastIndex((b) => b !== 0);
	if (padded[end] !== 2) throw new Error('the last record has no delimiter');
	return new TextDecoder().decode(padded.subarray(0, end));
}

self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (e) => e.waitUntil(self.clients.claim()));
self.addEventListener('message', (e) => {
	const answer = e.data === 'keys' ? keys() : read(e.data);
	e.waitUntil(answer.then((ok) => e.ports[0].postMessage({ ok }), (err) => e.ports[0].postMessage({ err: String(err) })));
});
self.addEventListener('push', (e) => {
	const m = e.data.json();
	e.waitUntil(self.registration.showNotification(m.title, {
		tag: m.collapse_key || m.notification, body: m.body, data: { id: m.id, url: m.url }, ...m.options,
	}));
});
