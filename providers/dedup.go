package providers

// Deduplicator is a provider that tells whether a message that goes out twice is
// seen once: because its service drops the second, or because the device puts it
// in the place of the first ([push.Delivery.Replace]). Of a provider that does
// not say, nobody may rely on it.
type Deduplicator interface {
	Deduplicates() bool
}
