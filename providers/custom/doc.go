// Package custom hands deliveries to any push service that is described by a
// configuration: where requests go, what is in them, how they are signed and
// how answers and reports are read. The configuration is the JSON object of
// PUT /v1/apps/{app}/providers/http; [Examples] has those of JPush, Getui and
// Umeng.
//
// # Requests
//
//	endpoint       "https://api.example.com": fixed; no template changes the host
//	path           "/v1/apps/{{.Vars.app}}/push": each part is escaped by itself
//	method         "POST" (default), GET, PUT, PATCH or DELETE
//	query          {"name": template}
//	headers        {"name": template}
//	body           a JSON value whose strings are templates; none for no body
//	format         "json" (default) or "form": the body's fields as a form
//	check          {"method","path","query","headers","body","format","sign"}: a
//	               request that sends nothing, by which herald doctor finds out
//	               whether the service takes the credentials; signed as messages
//	               are unless it says otherwise
//	vars           {"name": secret}: what templates call {{.Vars.name}}
//	limit_bytes    the service's limit for the body
//	ca             PEM to trust beside the system's
//	allow_private  true permits plain http and addresses that are not public
//	source, date, notes   for people
//
// Templates are Go's text/template with if and with, and the functions and, or,
// not, eq, ne, lt, le, gt, ge, len, index, print, urlquery, json, base64, md5,
// sha1, sha256, hmac_sha1, hmac_sha256, lower, upper, cut, min, max, mul,
// default and date. They speak of .App .Notification .Delivery .Device .Class
// .Title .Body .Data .Token .Topic .Tokens .TokenList .Collapse .Replace .TTL
// .Expires .Now .Vars .Access. As the strings of a JSON value they need no
// escaping. Four objects are none: {"$number": template}, {"$json": template},
// such as {"$json": "{{json .Data}}"}, {"$optional": value}, which is left out
// where it is empty, and {"$each": value}, the list of the value for each device.
//
// # Many devices in one request
//
//	batch          without it a request tells one device
//	  most         how many devices it tells, up to 1000
//	  classes      the message classes that go out so; none is all
//	  results      {"items","token","code","success","message_id"}: the answer
//	               has an outcome for each device at items. token is the path in
//	               each to whose it is; without one they are in the request's
//	               order. A device with a code that is none of success is refused
//	               for it, as codes say
//	  refused      [{"tokens","code"}]: the answer lists at tokens those that were
//	               refused, all for that code
//
// Whom the answer does not name was told. Outside of $each a template cannot
// speak of one device (.Token, .Device, .Topic), and .Delivery is the id that the
// chunk's deliveries share; .Tokens are all tokens, and .TokenList the same with
// commas between. limit_bytes is held against a message for one device.
//
// # Signature and access token
//
//	sign           {"kind","secret","over","into","encoding"}
//	  kind         hmac-sha256, hmac-sha1, sha256, sha1, md5, basic or bearer
//	  secret       template over vars; for basic "user:password"
//	  over         template that also speaks of .Method .URL .Path .RequestBody
//	               .Secret and {{.Sorted "=" "&"}}: the fields by name
//	  into         "header:X-Sign", "query:sign" or "body:sign"
//	  encoding     "hex" (default) or "base64"
//	auth           a request as above, with
//	  endpoint     if it is another
//	  token        path to the token, which templates then call {{.Access}}
//	  expires      path to its end; lifetime_seconds if the answer does not say
//
// # Answers
//
// A path is names and positions with dots between, such as
// "data.results.0.code"; "*" is every member and "*key" at the end their names.
//
//	success        {"status": [200], "path": path, "equals": [words]}
//	message_id     path to the service's own id
//	dead_tokens    paths to tokens that an accepted request names as dead
//	code           path to the error's word, or several: the first found counts
//	reason         path to the error's text; it is compared, never shown
//	codes          rows; the first that fits counts
//	  status, code, contains   what must fit: status, word, part of the reason
//	  kind                     unregistered, rejected, credentials, throttled,
//	                           quota, policy, unavailable, unknown or unreachable
//	  retry_after              path to seconds; or retry_after_seconds
//	  renew                    true: the access token is fetched again
//	  means                    in your words
//
// # Reports
//
// The service is given /v1/callbacks/http?app={app}.
//
//	receipts       {"signature","lines","items","delivery","token","message_id",
//	               "stage","stages","code","at","answer"}
//	  signature    as sign, with "from": "header:…", "query:…" or "item:path";
//	               over speaks of .RequestBody .Secret .Vars {{.Header "name"}}
//	               {{.Query "name"}} and {{.Item "path"}}
//	  answer       what the service wants to hear when its report was taken, in
//	               JSON; without it that is status 204 and nothing
//	  lines        true if the body is one JSON value a line
//	  items        path to the reports; the others are paths in each
//	  delivery     what the request named {{.Delivery}}
//	  token        the device's, needed where a request told many
//	  stages       {"their word": "handed_over", "delivered", "displayed",
//	               "clicked" or "failed"}
package custom
