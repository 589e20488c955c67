package providers

import "hash/fnv"

// NotifyID makes a key, as of [push.Delivery.Replace], the number under which a
// phone files a notification: one that comes again under the same number
// replaces itself. Phones are sent it by whichever Herald sends next, so it
// depends on the key alone. It is never 0, which some services take for the
// number of all messages that have none.
func NotifyID(key string) int32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key)) // never fails
	return int32(max(h.Sum32()&0x7fffffff, 1))
}
