package redisstore

import "strconv"

// Every Redis key of push is made here. The hash tag in braces keeps what one
// script touches on one node of a cluster.
//
//	herald:{app/n:ID}      hash    a notification: body, hash, class, start, queued, cancelled, chunks, devices, expanded
//	herald:{app/c:ID.K}    hash    chunk K of it: "n" devices, cells under "0" to "n-1", counters under "#" and a stage's letter ("#2": paid twice, and which under "2:" and their index)
//	herald:{app/d:DEVICE}  string  a device as the source has it, for ten minutes; "" while it is being changed
//	herald:{app/i:DEVICE}  hash    the inbox: delivery → payload, what a live connection still has to bring
const prefix = "herald:{"

func notificationKey(app, id string) string { return prefix + app + "/n:" + id + "}" }

func chunkKey(app, id string, chunk int) string {
	return prefix + app + "/c:" + id + "." + strconv.Itoa(chunk) + "}"
}

func deviceKey(app, device string) string { return prefix + app + "/d:" + device + "}" }

func inboxKey(app, device string) string { return prefix + app + "/i:" + device + "}" }
