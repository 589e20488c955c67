// Starts web-push-testing on a free port and prints its address once it
// listens. It ends when its standard input does.
const net = require('node:net');
const Server = require('web-push-testing/src/server.js');
const { PushApiModel } = require('web-push-testing/src/PushApiModel.js');

process.stdin.on('end', () => process.exit(0)).resume();

const probe = net.createServer().listen(0, () => {
	const { port } = probe.address();
	probe.close(() => {
		const server = new Server(new PushApiModel(), port);
		console.log = console.error; // standard output is for the address alone
		server.startServer();
		server._server.on('listening', () => process.stdout.write(`http://localhost:${port}\n`));
	});
});
