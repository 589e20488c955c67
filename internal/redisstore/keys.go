package redisstore

import (
	"hash/fnv"
	"strconv"
	"time"
)

// Every Redis key of push is made here. The hash tag in braces keeps what one
// script touches on one node of a cluster.
//
//	herald:{app/n:ID}      hash    a notification: body, hash, class, campaign, start, queued, cancelled, chunks, devices,
//	                               expanded, paused, audience, pace, rate (an operator's, instead of the body's)
//	herald:{app/c:ID.K}    hash    chunk K of it: "n" devices, cells under "0" to "n-1", counters under "#" and a stage's letter ("#2": paid twice, and which under "2:" and their index)
//	herald:{app/d:DEVICE}  string  a device as the source has it, for ten minutes; "" while it is being changed
//	herald:{app/d:DEVICE}o string  whose device it is, as the source has it, for a week after it was last asked for
//	herald:{app/d:DEVICE}e string  what the selector has learned of the device, 32 bytes
//	herald:{app/s:DAY}     string  micros that the app has spent on a day
//	herald:{selector}/news, /snapshot  stream, hash  what the selectors of all workers have learned in common
//	herald:{app/i:DEVICE}  hash    the inbox: delivery → payload, what a live connection still has to bring
//	herald:{app/f:CLASS:WHO} zset   notification → when: what a user (u:…) or a device without one (d:…) was sent, for caps
//	herald:{app/k:DEVICE}  hash    collapse key → the newest notification that has it
//	herald:{app/g:KEY:WHO} hash    a digest that is being collected; with ":DUE" behind it, one that is being sent
//	herald:{due/QUEUE}     zset    the ticks (unix ms) at which something is due; the entries of one are a list under ":TICK",
//	                               "/n" counts them, "/leases" and "/held" have the lots that workers have in hand
//	herald:{note/KEY}      string  what a provider must know again, or a hash with a sheet of words
//	herald:{app/l}         zset    campaigns and what is for later: notification → when it was accepted (unix ms)
//	herald:{nodes}         hash    node → what it says of its live connections: JSON
//	herald:{nodes}/drain   hash    node → until when (unix s) it is asked to send its connections elsewhere
//	herald:{awaited}       zset    PROVIDER, a zero byte, APP → until when (unix s) receipts are waited for
//	herald:{app/q:PROVIDER:QUOTA:DAY}   hash  a quota of the app: "used", and what each worker holds of it: "units until"
//	herald:{app/v:PROVIDER:QUOTA:DAY:B} hash  device → how much of its own quota is used; bucket B has devices by their hash
//	herald:{lanes}/workers, …/w:WORKER, …/off, …/fresh         how workers' lanes are, and what operators want of them
//	herald:{hooks}/out     stream  events for webhooks that are not in SQL yet; its group "takers" has those that are being taken there
//	herald:{t:KEY}         string  an access token of a service, sealed, until its end; KEY names the app's credentials
//	herald:{t:KEY}:turn    string  whose turn it is to fetch that token
const prefix = "herald:{"

const outboxKey = prefix + "hooks}/out"

const awaitedKey = prefix + "awaited}"

const nodesKey = prefix + "nodes}"

func campaignsKey(app string) string { return prefix + app + "/l}" }

func noteKey(key string) string { return prefix + "note/" + key + "}" }

// The keys of lanes are read together, so they are on one node.
const (
	laneWorkersKey = "herald:{lanes}/workers"
	laneOffKey     = "herald:{lanes}/off"
	laneFreshKey   = "herald:{lanes}/fresh"
)

func laneWordKey(worker string) string { return "herald:{lanes}/w:" + worker }

func quotaKey(app, provider, quota, day string) string {
	return prefix + app + "/q:" + provider + ":" + quota + ":" + day + "}"
}

// quotaBuckets is a power of two: a million devices make buckets that Redis
// keeps as compact lists.
const quotaBuckets = 1 << 14

func deviceQuotaKey(app, provider, quota, day, device string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(device)) // never fails
	bucket := strconv.FormatUint(uint64(h.Sum32()%quotaBuckets), 36)
	return prefix + app + "/v:" + provider + ":" + quota + ":" + day + ":" + bucket + "}"
}

func notificationKey(app, id string) string { return prefix + app + "/n:" + id + "}" }

func chunkKey(app, id string, chunk int) string {
	return prefix + app + "/c:" + id + "." + strconv.Itoa(chunk) + "}"
}

func deviceKey(app, device string) string { return prefix + app + "/d:" + device + "}" }

// ownerKey lies on the same node as the device.
func ownerKey(app, device string) string { return deviceKey(app, device) + "o" }

func inboxKey(app, device string) string { return prefix + app + "/i:" + device + "}" }

func capKey(app, class, who string) string { return prefix + app + "/f:" + class + ":" + who + "}" }

func collapseKey(app, device string) string { return prefix + app + "/k:" + device + "}" }

func digestKey(app, key, who string) string { return prefix + app + "/g:" + key + ":" + who + "}" }

// closedKey lies on the same node as the open digest.
func closedKey(open string, due time.Time) string {
	return open + ":" + strconv.FormatInt(due.UnixMilli(), 10)
}

func tokenKey(key string) string { return prefix + "t:" + key + "}" }

func turnKey(key string) string { return tokenKey(key) + ":turn" }

// The selectors' common memory lies on one node.
const (
	newsKey     = prefix + "selector}/news"
	snapshotKey = prefix + "selector}/snapshot"
)

func evidenceKey(app, device string) string { return deviceKey(app, device) + "e" }

func spentKey(app, day string) string { return prefix + app + "/s:" + day + "}" }
