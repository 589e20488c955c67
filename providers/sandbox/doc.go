// Package sandbox plays the vendors: APNs (HTTP/2 over TLS), FCM v1 with its
// OAuth token endpoint, a Twilio-style SMS service, Huawei, Honor, Xiaomi, OPPO,
// vivo, Meizu, a Web Push service, JPush for the provider "http", a short message
// service centre (SMPP 3.4) and an XMPP server with the clients of its people. It
// behaves as their documents say, refuses what they refuse, and can be made slow, wrong, deaf or
// silent while it runs. Tests, `herald dev` and `herald sandbox` use the same one.
//
// Vendors are named as their providers are: [Vendors]. Each has an address of its
// own, with TLS under the sandbox's own CA ([Sandbox.CA]) or in plain HTTP, as its
// URL says. [Sandbox.Credentials] gives the JSON that
// PUT /v1/apps/{app}/providers/{provider} takes, so an app needs nothing else.
//
// # Tokens
//
// An APNs device token is 64 to 200 hexadecimal digits; others are answered
// BadDeviceToken. An FCM token is 16 to 4096 bytes without spaces. A phone
// number is E.164. Any token of that form is a registered device until it is
// declared dead.
//
// A browser of "webpush" is known by the end of its subscription's endpoint,
// here and in the control API: /push/{browser}. [Subscription] gives the token of
// any name, and POST /subscriptions at the vendor's own address, with
// {"applicationServerKey":"…"}, that of a new one.
//
// A person of "xmpp" is known by the bare address, in lower case: any
// name@domain. A phone of "smpp" is known by + and its number.
//
// # Connections
//
// SMPP and XMPP (XEP-0114) are under TLS for those who begin with it, as
// [Sandbox.Credentials] do, and plain TCP for others, on the same port. Settings, scripts and requests
// hold for them as if each submit_sm and each message were a request of that
// name, and each bind or handshake one of path /bind, which scripts mean only by
// that path. Words are values of command_status ("0x58") and conditions
// ("item-not-found"; those of a stream have "stream-" before them). A word of a
// bind or a stream, such as "0x0D" or "stream-not-authorized", is heard by those
// who connect. An outage html or a status of a script are octets that break the
// connection. A receipt by SMPP for nobody who is bound waits for whoever binds
// next; those of XMPP are lost, as there.
//
// # Control
//
// [Sandbox.Control] serves this API, and [Sandbox.Run] serves it too at
// [Sandbox.ControlURL]. Bodies and answers are JSON; a fault is answered
// {"error":"…"} with status 400, 404, 405 or 415. {vendor} is a name in [Vendors].
//
//	GET    /control/vendors                              {"vendors":[Vendor…]}
//	GET    /control/vendors/{vendor}                     Vendor
//	GET    /control/vendors/{vendor}/settings            Settings
//	PUT    /control/vendors/{vendor}/settings            Settings: fields left out take their default; answers Settings
//	PATCH  /control/vendors/{vendor}/settings            Settings: fields left out stay; answers Settings
//	GET    /control/vendors/{vendor}/dead                {"dead":[{"token","since"}…]}
//	PUT    /control/vendors/{vendor}/dead/{token}        body {} or {"since":"RFC 3339"}: the app was deleted then; 204
//	DELETE /control/vendors/{vendor}/dead/{token}        registered again; 204
//	GET    /control/vendors/{vendor}/devices/{token}     {"token","received","shows":[Message…]}: newest last
//	GET    /control/vendors/{vendor}/messages?limit=50   {"messages":[Message…]}: the vendor's newest first, at most 256
//	GET    /sandbox/{vendor}/faults                      {"rules":[Rule…]}, each with how often it was played
//	POST   /sandbox/{vendor}/faults                      {"rules":[Rule…]} takes the place of the script before; answers it
//	DELETE /sandbox/{vendor}/faults                      no script; 204
//	GET    /sandbox/{vendor}/requests?limit=50&contains= {"requests":[Request…]}: the newest first, at most 200, without secrets
//	POST   /control/reset                                settings, dead tokens, messages and counts of every vendor; 204
//	GET    /control/ca.pem                               the CA's certificate
//	GET    /control/credentials/{vendor}                 credentials for PUT /v1/apps/{app}/providers/{provider}
//
// A Vendor is {"name","url","settings":Settings,"counts":[Counts]}. Requests
// that change something must say Content-Type: application/json, so that no
// foreign page can make a browser send them.
//
// # Settings
//
//	latency_ms        0       every answer waits this long
//	jitter_ms         0       and up to this much more
//	latency_spread    uniform fixed: without the jitter; uniform: evenly up to it; lognormal: half of
//	                          the answers take longer than latency_ms, one in six longer than both
//	error_rate        0       share of requests answered with error, 0 to 1
//	error             ""      the vendor's word for it, such as "InternalServerError",
//	                          "UNAVAILABLE" or "20429"; "" is the vendor's internal error
//	outage            "none"  none, or one of:
//	                          refuse  connections are closed at once, before TLS
//	                          hang    requests are read and never answered
//	                          reset   requests are read, then the stream or connection is cut
//	                          html    requests are answered 502 with a page of HTML
//	                          silent  requests are accepted and the device never hears
//	retry_after_s     0       Retry-After in 429 and 503 answers; 0 sends none
//	rate_per_s        0       more than this are answered 429; 0 is no limit
//	quota_per_day     0       messages accepted from midnight UTC on; then the vendor's word for that
//	loss              0       share of accepted messages that no device shows, 0 to 1
//	receipt_delay_ms  0       time from acceptance to the vendor's callback, where it has them
//	receipt_jitter_ms 0       and up to this much more
//	receipt_spread    uniform as latency_spread
//	receipt_loss      0       share of callbacks that are never sent, 0 to 1
//
// # Scripts
//
// A script is rules in order; the first that applies to a request is played.
//
//	{"match":{"token":"…","app":"…","number":"+49","path":"/…","contains":"…"},
//	 "skip":2,"times":3,"from_s":0,"for_s":60,"share":0.5,
//	 "do":{"latency_ms":200,"jitter_ms":100,"spread":"lognormal","status":503,"body":"…","retry_after_s":9}}
//
// All that match gives must hold; without a path only sends are meant, not requests
// for access tokens. It passes skip requests, then plays on times of them (0: on
// all), in the window from from_s for for_s seconds after the script came, on a
// share of them. Of what to do one is given, a latency beside it or alone:
//
//	code    the vendor's word, answered as it would
//	status  an answer of that status with body
//	html    a 502 page of something in between
//	hang    read and never answered
//	reset   RST_STREAM: NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM
//	goaway  graceful: answered, and the connection takes no more; cut: no answer
//	silent  accepted, and the device never hears
//
// Over HTTP/1 there are no streams: reset and cut close the connection.
package sandbox
