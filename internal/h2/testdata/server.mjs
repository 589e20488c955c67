// Node's own HTTP/2 server, for the client's tests. It reads one line of JSON
// with {key, cert, settings, trouble} and prints the port that it listens on.
//
// POST / answers 418 with the request's body, path and authorization. With
// trouble, a share of requests, it refuses, resets or says goodbye at random;
// GET /seen then tells how often each x-id was processed.
import http2 from 'node:http2';
import readline from 'node:readline';

const line = await new Promise((resolve) => readline.createInterface(process.stdin).once('line', resolve));
const {key, cert, settings, trouble = 0} = JSON.parse(line);
const seen = {};
const {NGHTTP2_REFUSED_STREAM, NGHTTP2_INTERNAL_ERROR} = http2.constants;

// processed is the highest stream of a session that was looked at; a farewell
// names it, and nothing above it is looked at afterwards.
const server = http2.createSecureServer({key, cert, settings});
server.on('session', (session) => { session.processed = 0; session.leaving = false; });
server.on('sessionError', () => {});
server.on('stream', (stream, headers) => {
  stream.on('error', () => {});
  const session = stream.session;
  if (!session) return; // destroyed meanwhile
  if (headers[':path'] === '/seen') {
    stream.respond({':status': 200, 'content-type': 'application/json'});
    stream.end(JSON.stringify(seen));
    return;
  }
  if (session.leaving) return;
  const lot = Math.random();
  if (lot < trouble * 0.4) {
    stream.close(NGHTTP2_REFUSED_STREAM);
    return;
  }
  if (lot < trouble * 0.5) {
    session.leaving = true;
    session.goaway(0, session.processed);
    setTimeout(() => session.destroy(), 20);
    return;
  }
  session.processed = Math.max(session.processed, stream.id);
  const chunks = [];
  stream.on('data', (chunk) => chunks.push(chunk));
  stream.on('end', () => {
    const id = headers['x-id'];
    if (id) seen[id] = (seen[id] ?? 0) + 1;
    if (lot < trouble * 0.8) {
      stream.close(NGHTTP2_INTERNAL_ERROR);
      return;
    }
    if (stream.destroyed) return;
    stream.respond({':status': 418, 'x-path': headers[':path'], 'x-auth': headers.authorization ?? ''});
    stream.end(Buffer.concat(chunks));
  });
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
