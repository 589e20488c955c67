package places

import (
	"hash/fnv"
	"strconv"
)

// Every Redis key of places is made here. An app's devices are spread over
// shards by their ids, and the hash tag keeps a shard on one node of a cluster:
//
//	herald:{app/p:N}   zset  device → where it is, as Redis GEO has it
//	herald:{app/p:N}p  zset  device → where it is, near the poles, which Redis GEO does not know
//	herald:{app/p:N}n  zset  the same as the first for those who may be found, blurred
//	herald:{app/p:N}t  zset  device → when it last reported (unix s)
//	herald:{app/p:N}d  hash  device → its consent and how it stands with fences
//	herald:{app/p:N}o  hash  notification → a crossing that has not been told yet
//
// Within a shard devices are in the order of their ids. An audience is walked
// shard by shard, so that a page costs a part of it, and no device can come
// twice however it moves meanwhile.
const shards = 64

// The keys of a shard, behind its name.
const (
	keyPolar   = "p"
	keyNearby  = "n"
	keyTimes   = "t"
	keyRecords = "d"
	keyOutbox  = "o"
)

// shardOf is where a device is.
func shardOf(device string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(device)) // never fails
	return int(h.Sum32() % shards)
}

func shardKey(app string, shard int) string {
	return "herald:{" + app + "/p:" + strconv.Itoa(shard) + "}"
}
